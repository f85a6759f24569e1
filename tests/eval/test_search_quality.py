import json
from pathlib import Path
from typing import Any

import pytest

from eval.search_quality import Judged, Named, language_of, measure_quality, ndcg, read_judged
from tools.catalog.index import Hit
from tools.kit.errors import OperatorError


def written(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


JUDGED = Judged("lamp", frozenset({"a", "b"}), frozenset({"c"}))


@pytest.mark.parametrize(
    ("found", "expected"),
    [(["a", "b", "c"], 1), (["x", "a", "y", "b"], 1), (["c"], 0), ([], 0), (["c", "a", "b"], 0.693), (["a"], 0.613)],
)
def test_ndcg_looks_at_judged_products_alone(found: list[str], expected: float) -> None:
    assert ndcg(found, JUDGED) == pytest.approx(expected, abs=0.001)


def test_queries_without_a_relevant_product_are_left_out(tmp_path: Path) -> None:
    queries = written(tmp_path / "q", [{"id": "1", "query": "lamp"}, {"id": "2", "query": "bed"}])
    judgements = written(
        tmp_path / "j",
        [
            {"query_id": "2", "product_id": "c", "label": "Not relevant"},
            {"query_id": "1", "product_id": "a", "label": "Relevant"},
            {"query_id": "1", "product_id": "c", "label": "Not relevant"},
        ],
    )
    assert read_judged(queries, judgements) == [Judged("lamp", frozenset({"a"}), frozenset({"c"}))]


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    queries = written(tmp_path / "q", [{"id": "1", "query": "lamp"}])
    with pytest.raises(OperatorError, match="line 1: product_id"):
        read_judged(queries, written(tmp_path / "j", [{"query_id": "1", "label": "Relevant"}]))


class Always:
    """Finds the same by every way; nothing by words alone."""

    def search(self, text: str, language: str, filters: object, limit: int, ranking: str = "reranked") -> list[Hit]:
        return [] if ranking == "bm25" else [Hit("a", 1.0), Hit("c", 0.5)]


def test_every_stage_is_measured() -> None:
    stand_in: Any = Always()
    rows = {row["stage"]: row for row in measure_quality(stand_in, [JUDGED])}
    assert list(rows) == ["bm25", "dense", "fused", "reranked"]
    assert rows["bm25"]["ndcg10"] == rows["bm25"]["recall10"] == 0
    assert rows["reranked"]["recall10"] == 0.5


def test_a_named_product_is_known_by_nothing_but_its_name() -> None:
    product = Named(id="1", name="台灯").as_product()
    assert product.title.zh == "台灯"
    assert product.lowest_price_cents is None
    assert language_of("lamp 2") == "en"
