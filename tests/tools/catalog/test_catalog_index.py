"""The contract of every index: the same tests for Qdrant Edge, Qdrant's local mode and, where there is one, a Qdrant server."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from tools.catalog.bm25 import Bm25
from tools.catalog.edge_index import EdgeIndex
from tools.catalog.index import LAYOUT, WORDS, Changes, Filters, Index, Manifest, Point, VariantValues, point_uuid
from tools.catalog.server_index import ServerIndex
from tools.kit.errors import IndexMissing, OperatorError

# A server keeps what a test leaves there: give it one of its own.
SERVER = os.environ.get("STOREHAND_TEST_QDRANT_URL")
pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")

BM25 = Bm25()
EMPTY = Manifest(layout=LAYOUT, shop_version="v1", fingerprints={"text": "t"}, dimensions={"products": {"en": 4}})


@pytest.fixture(params=["edge", "local", *(["server"] if SERVER else [])])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    if request.param == "edge":
        made: Index = EdgeIndex(tmp_path / "index")
    elif request.param == "local":
        made = ServerIndex(QdrantClient(path=str(tmp_path / "local")), "shop")
    else:
        made = ServerIndex.connect(str(SERVER), f"test-{uuid.uuid4().hex[:8]}")
    yield made
    made.close()


def dress(name: str, *variants: VariantValues, direction: tuple[float, ...] = (1, 0, 0, 0), text: str = "dress") -> Point:
    return Point(
        id=name,
        owner=name,
        vectors={"en": np.array(direction, dtype=np.float32)},
        words=BM25.document(text),
        variants=variants,
    )


def variant(price: int | None = 1000, *, in_stock: bool = True) -> VariantValues:
    return VariantValues(price_cents=price, in_stock=in_stock)


CHEAP = Filters(price_max_cents=1000)


EAST = np.array([1, 0, 0, 0], dtype=np.float32)


def found(index: Index, filters: Filters) -> set[str]:
    return {hit.id for hit in index.nearest("products", "en", EAST, 20, filters)}


def test_an_index_never_built_is_missing_and_names_the_command(index: Index) -> None:
    with pytest.raises(IndexMissing, match="storehand index --shop DIR"):
        index.manifest()


def test_the_nearest_vector_comes_first_with_its_cosine(index: Index) -> None:
    points = [
        dress("near", direction=(2, 0, 0, 0)),
        dress("between", direction=(1, 1, 0, 0)),
        dress("far", direction=(0, 0, 1, 0)),
    ]
    index.rebuild(EMPTY, {"products": points})
    hits = index.nearest("products", "en", EAST, 2)
    assert [hit.id for hit in hits] == ["near", "between"]
    # The engine in the process keeps vectors in half precision: 11 bits.
    assert [hit.score for hit in hits] == pytest.approx([1, 0.5**0.5], abs=2**-11)


@pytest.mark.parametrize(
    ("query", "expected"),
    [("summer dresses", "en"), ("连衣裙", "zh"), ("夏天的裙子", "zh"), ("ＤＲＥＳＳ", "en"), ("walking shoe", "shoes")],
)
def test_words_find_english_by_stem_and_chinese_by_character(index: Index, query: str, expected: str) -> None:
    points = [
        dress("en", text="Summer dress in linen"),
        dress("zh", text="夏季亚麻连衣裙"),
        dress("shoes", text="Shoes for walks"),
        dress("other", text="Kettle 水壶"),
    ]
    index.rebuild(EMPTY, {"products": points})
    assert index.nearest("products", WORDS, BM25.query(query), 1)[0].id == expected


def test_a_rare_word_weighs_more_than_a_common_one(index: Index) -> None:
    points = [dress("rare", text="paisley scarf"), *(dress(f"common{n}", text="cotton shirt") for n in range(5))]
    index.rebuild(EMPTY, {"products": points})
    assert index.nearest("products", WORDS, BM25.query("cotton paisley"), 1)[0].id == "rare"


def test_words_that_no_product_has_find_nothing(index: Index) -> None:
    index.rebuild(EMPTY, {"products": [dress("a")]})
    assert index.nearest("products", WORDS, BM25.query("telescope"), 5) == []
    assert index.nearest("products", WORDS, BM25.query("the of"), 5) == []


def test_filters_hold_within_one_variant(index: Index) -> None:
    mixed = dress("mixed", variant(1000, in_stock=False), variant(5000), variant(None))
    index.rebuild(EMPTY, {"products": [mixed, dress("right", variant(1000)), dress("gone", variant(1000, in_stock=False))]})
    assert found(index, Filters(price_max_cents=1000)) == {"mixed", "right", "gone"}
    assert found(index, Filters(price_max_cents=1000, in_stock=True)) == {"right"}
    assert found(index, Filters(price_min_cents=5000, in_stock=True)) == {"mixed"}
    assert found(index, Filters(price_min_cents=2000, price_max_cents=4000)) == set()
    assert found(index, Filters(in_stock=True)) == {"mixed", "right"}


def test_prices_at_both_ends_of_the_range_are_in_it(index: Index) -> None:
    points = [dress(str(price), variant(price)) for price in (999, 1000, 1500, 1501)]
    index.rebuild(EMPTY, {"products": [*points, dress("unknown", variant(None))]})
    assert found(index, Filters(price_min_cents=1000, price_max_cents=1500)) == {"1000", "1500"}


def test_filters_hold_for_words_too(index: Index) -> None:
    index.rebuild(EMPTY, {"products": [dress("dear", variant(1001)), dress("cheap", variant())]})
    assert [hit.id for hit in index.nearest("products", WORDS, BM25.query("dress"), 5, CHEAP)] == ["cheap"]


def test_a_point_gives_its_vectors_back(index: Index) -> None:
    index.rebuild(EMPTY, {"products": [dress("a", direction=(0, 3, 0, 0))]})
    assert index.vectors("products", "a")["en"] == pytest.approx([0, 1, 0, 0])
    assert index.vectors("products", "b") == {}


def test_several_points_of_one_owner_are_found_as_that_owner(index: Index) -> None:
    points = [Point("p1/0", "p1", {"en": EAST}), Point("p1/1", "p1", {"en": EAST})]
    index.rebuild(EMPTY, {"products": points})
    assert [hit.id for hit in index.nearest("products", "en", EAST, 5)] == ["p1", "p1"]


def test_a_rebuild_replaces_everything_and_keeps_its_manifest(index: Index) -> None:
    index.rebuild(EMPTY, {"products": [dress("old")]})
    index.rebuild(EMPTY.model_copy(update={"shop_version": "v2"}), {"products": [dress("new"), dress("newer")]})
    assert found(index, Filters()) == {"new", "newer"}
    assert index.manifest().shop_version == "v2"
    assert index.manifest().counts == {"products": 2, "pictures": 0, "clauses": 0}


def test_an_interrupted_rebuild_leaves_the_old_index_and_the_next_one_works(index: Index) -> None:
    def interrupted() -> Iterator[Point]:
        yield from (dress(f"half{n}") for n in range(300))
        raise KeyboardInterrupt

    index.rebuild(EMPTY, {"products": [dress("old")]})
    with pytest.raises(KeyboardInterrupt):
        index.rebuild(EMPTY, {"products": interrupted()})
    assert found(index, Filters()) == {"old"}
    index.rebuild(EMPTY, {"products": [dress("new")]})
    assert found(index, Filters()) == {"new"}


@pytest.mark.parametrize(
    "reopen",
    [
        lambda folder: EdgeIndex(folder),
        lambda folder: ServerIndex(QdrantClient(path=str(folder)), "shop"),
    ],
    ids=["edge", "local"],
)
def test_an_index_lasts_from_one_process_to_the_next(reopen: Callable[[Path], Index], tmp_path: Path) -> None:
    first = reopen(tmp_path)
    first.rebuild(EMPTY, {"products": [dress("a", variant())]})
    first.close()
    second = reopen(tmp_path)
    assert found(second, CHEAP) == {"a"}
    assert second.manifest().counts["products"] == 1
    second.close()


def test_two_shops_share_a_server_without_meeting() -> None:
    client = QdrantClient(":memory:")
    shirts, shoes = ServerIndex(client, "shop"), ServerIndex(client, "shop-products")
    shirts.rebuild(EMPTY, {"products": [dress("shirt")]})
    shoes.rebuild(EMPTY, {"products": [dress("shoe")]})
    shirts.rebuild(EMPTY, {"products": [dress("shirt")]})
    assert found(shirts, Filters()) == {"shirt"}
    assert found(shoes, Filters()) == {"shoe"}


def test_a_server_that_does_not_answer_is_named() -> None:
    with pytest.raises(OperatorError, match="qdrant_url"):
        ServerIndex.connect("http://127.0.0.1:9", "shop").manifest()


def test_an_update_writes_and_deletes_single_points(index: Index) -> None:
    index.rebuild(EMPTY, {"products": [dress("kept"), dress("gone"), dress("old", text="dress")]})
    assert set(index.digests("products")) == {point_uuid(name) for name in ("kept", "gone", "old")}
    changed = [dress("old", variant(), text="scarf"), dress("new", text="scarf")]
    later = EMPTY.model_copy(update={"shop_version": "v2"})
    index.update(later, {"products": Changes((replace(point, digest="d2") for point in changed), [point_uuid("gone")])})
    assert found(index, Filters()) == {"kept", "old", "new"}
    assert found(index, CHEAP) == {"old"}
    assert {hit.id for hit in index.nearest("products", WORDS, BM25.query("scarf"), 5)} == {"old", "new"}
    assert index.digests("products") == {point_uuid("kept"): "", point_uuid("old"): "d2", point_uuid("new"): "d2"}
    assert index.manifest().shop_version == "v2"
    assert index.manifest().counts == {"products": 3, "pictures": 0, "clauses": 0}


def test_an_interrupted_update_keeps_its_manifest_and_can_be_done_again(index: Index) -> None:
    def interrupted() -> Iterator[Point]:
        yield from (dress(f"half{n}") for n in range(300))
        raise KeyboardInterrupt

    index.rebuild(EMPTY, {"products": [dress("old")]})
    later = EMPTY.model_copy(update={"shop_version": "v2"})
    with pytest.raises(KeyboardInterrupt):
        index.update(later, {"products": Changes(interrupted())})
    assert index.manifest().shop_version == "v1"
    left = set(index.digests("products")) - {point_uuid("old")}
    index.update(later, {"products": Changes([dress("new")], sorted(left))})
    assert found(index, Filters()) == {"old", "new"}
    assert index.manifest().shop_version == "v2"


@pytest.mark.parametrize("same_encoder", [True, False])
def test_who_searches_goes_on_with_a_new_index_of_the_same_encoder_only(tmp_path: Path, same_encoder: bool) -> None:
    writer, reader = EdgeIndex(tmp_path), EdgeIndex(tmp_path)
    writer.rebuild(EMPTY, {"products": [dress("old")]})
    assert found(reader, Filters()) == {"old"}
    writer.rebuild(
        EMPTY.model_copy(update={"fingerprints": {"text": "t" if same_encoder else "u"}}), {"products": [dress("new")]}
    )
    assert found(reader, Filters()) == ({"new"} if same_encoder else {"old"})
    assert reader.manifest().fingerprints == {"text": "t"}
    # The files of the old one are deleted, but still open.
    assert len(list(tmp_path.glob("generation-*"))) == 1
    assert reader.vectors("products", "new" if same_encoder else "old")["en"] == pytest.approx([1, 0, 0, 0])
    assert found(EdgeIndex(tmp_path), Filters()) == {"new"}


def test_a_server_index_of_another_encoder_is_not_searched_with_the_old_one() -> None:
    client = QdrantClient(":memory:")
    writer, reader = ServerIndex(client, "shop"), ServerIndex(client, "shop")
    writer.rebuild(EMPTY, {"products": [dress("old")]})
    assert found(reader, Filters()) == {"old"}
    writer.rebuild(EMPTY.model_copy(update={"fingerprints": {"text": "u"}}), {"products": [dress("new")]})
    with pytest.raises((IndexMissing, ValueError)):  # the client's local mode has an error of its own
        found(reader, Filters())


def test_other_processes_search_while_one_writes_and_only_one_writes(tmp_path: Path) -> None:
    index = EdgeIndex(tmp_path)
    index.rebuild(EMPTY, {"products": [dress("a")]})
    program = (
        "import sys; from pathlib import Path; from tools.catalog.edge_index import EdgeIndex; "
        "from tools.kit.errors import OperatorError\n"
        "index = EdgeIndex(Path(sys.argv[1])); print(index.manifest().counts['products'])\n"
        "try: index.update(index.manifest(), {}); print('written')\n"
        "except OperatorError as error: print(error)"
    )

    def second_process() -> str:
        return subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True).stdout

    said: list[str] = []

    def points() -> Iterator[Point]:
        said.append(second_process())
        yield dress("b")

    index.update(index.manifest(), {"products": Changes(points())})
    assert said[0].startswith("1\n")
    assert "made by another process" in said[0]
    assert second_process() == "2\nwritten\n"


def test_a_damaged_index_names_the_command(tmp_path: Path) -> None:
    index = EdgeIndex(tmp_path)
    index.rebuild(EMPTY, {"products": [dress("a")]})
    index.close()
    (tmp_path / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(IndexMissing, match="storehand index --shop DIR"):
        EdgeIndex(tmp_path).manifest()
    EdgeIndex(tmp_path).rebuild(EMPTY, {"products": [dress("b")]})
    assert found(EdgeIndex(tmp_path), Filters()) == {"b"}
