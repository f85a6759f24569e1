"""Foretelling baskets: who counts as known, what is left out, and the scores of a shop small enough to count by hand."""

import gzip
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.recommend import Case, cases_of, draw_ladder, fit_weights, measure_recommendations, read_baskets, score
from tools.kit.errors import OperatorError

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


def invoices(file: Path, *rows: tuple[str, str, str, str]) -> Path:
    """Lines of (invoice, code, day, customer)."""
    lines = [f"{invoice},{code},THING {code},1,{day} 10:00:00,2.5,{who},UK\n" for invoice, code, day, who in rows]
    file.write_bytes(gzip.compress((HEADER + "".join(lines)).encode()))
    return file


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    past = [(f"{n}", code, "2011-01-02", f"{n}.0") for n in range(8) for code in ("11111", "22222")]
    past += [(f"{n + 50}", "33333", "2011-01-03", "") for n in range(9)]
    later = [("90", "22222", "2011-02-01", "3.0"), ("91", "11111", "2011-02-02", "77.0"), ("91", "22222", "2011-02-02", "77.0")]
    return invoices(tmp_path / "a.gz", *past), invoices(tmp_path / "b.gz", *later)


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.eye(max(4, len(texts)), dtype=np.float32)[: len(texts)]


def test_cancellations_postage_and_gifts_for_nothing_are_no_purchases(tmp_path: Path) -> None:
    file = tmp_path / "x.gz"
    lines = "1,85123a,A,2,2011-01-02 08:00:00,1,5.0,UK\nC2,22222,B,-1,2011-01-02 08:00:00,1,5.0,UK\n"
    lines += "3,POST,C,1,2011-01-02 08:00:00,1,5.0,UK\n4,33333,D,1,2011-01-02 08:00:00,0,5.0,UK\n"
    file.write_bytes(gzip.compress((HEADER + lines).encode()))
    baskets, _ = read_baskets([file])
    assert [(each.product_ids, each.customer_id) for each in baskets] == [(("85123A",), "5")]


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.gz"
    file.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    with pytest.raises(OperatorError, match="no gzipped CSV of invoice lines"):
        read_baskets([file])


def test_known_new_and_unknown_customers_are_told_apart(files: tuple[Path, Path]) -> None:
    (train, _), (test, _) = read_baskets(files[:1]), read_baskets(files[1:])
    cases = cases_of(train, test)
    assert [case.bought for case in cases["known"]] == [{"22222"}]
    assert [(case.looking_at, case.bought) for case in cases["new"]] == [(("11111",), {"22222"})]
    assert [(case.looking_at, case.history) for case in cases["unknown"]] == [((), ())]


def test_scores_are_those_counted_by_hand() -> None:
    case = Case((), (), frozenset({"a", "b"}))
    found = score([["x", "a"]], [case])
    assert found["recall10"] == 0.5
    assert found["ndcg10"] == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))


def test_ours_finds_what_popularity_does_not(files: tuple[Path, Path]) -> None:
    (train, names), (test, _) = read_baskets(files[:1]), read_baskets(files[1:])
    result = measure_recommendations(train, test, names, encode)
    assert result["ours"]["new"]["ndcg10"] == 1 > result["popularity"]["new"]["ndcg10"]
    assert result["cases"] == {"known": 1, "new": 1, "unknown": 1}
    ElementTree.fromstring(draw_ladder(result))
    assert fit_weights(train, test, names, encode)[1] > 0
