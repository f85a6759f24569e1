"""The contract of every index: the same tests for Qdrant Edge, Qdrant's local mode and, where there is one, a Qdrant server."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from tools.catalog.bm25 import Bm25
from tools.catalog.edge_index import EdgeIndex
from tools.catalog.index import LAYOUT, WORDS, Filters, Index, Manifest, Point, VariantValues
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
        categories=("dresses", "连衣裙"),
        variants=variants,
    )


def variant(color: str, size: str, *, price: int | None = 1000, in_stock: bool = True) -> VariantValues:
    return VariantValues(price_cents=price, color=color, size=size, in_stock=in_stock)


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
    assert [hit.score for hit in hits] == pytest.approx([1, 0.5**0.5], abs=1e-5)


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
    mixed = dress("mixed", variant("blue", "m", in_stock=False), variant("red", "m"), variant("blue", "s", price=5000))
    index.rebuild(EMPTY, {"products": [mixed, dress("right", variant("blue", "m"))]})
    assert found(index, Filters(color="blue", size="M", in_stock=True)) == {"right"}
    assert found(index, Filters(color="Blue", price_max_cents=1000, in_stock=True)) == {"right"}
    assert found(index, Filters(color="blue", price_min_cents=5000)) == {"mixed"}
    assert found(index, Filters(color="red")) == {"mixed"}
    assert found(index, Filters(in_stock=False)) == {"mixed"}


def test_prices_at_both_ends_of_the_range_are_in_it(index: Index) -> None:
    points = [dress(str(price), variant("red", "m", price=price)) for price in (999, 1000, 1500, 1501)]
    index.rebuild(EMPTY, {"products": [*points, dress("unknown", variant("red", "m", price=None))]})
    assert found(index, Filters(price_min_cents=1000, price_max_cents=1500)) == {"1000", "1500"}


@pytest.mark.parametrize("category", ["Dresses", "连衣裙"])
def test_a_category_is_found_by_its_name_in_either_language(index: Index, category: str) -> None:
    index.rebuild(EMPTY, {"products": [dress("a"), Point("b", "b", {"en": EAST}, categories=("shoes", "鞋"))]})
    assert found(index, Filters(category=category)) == {"a"}


def test_filters_hold_for_words_too(index: Index) -> None:
    index.rebuild(EMPTY, {"products": [dress("red", variant("red", "m")), dress("blue", variant("blue", "m"))]})
    assert [hit.id for hit in index.nearest("products", WORDS, BM25.query("dress"), 5, Filters(color="blue"))] == ["blue"]


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
    first.rebuild(EMPTY, {"products": [dress("a", variant("red", "m"))]})
    first.close()
    second = reopen(tmp_path)
    assert found(second, Filters(color="red")) == {"a"}
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


def test_a_second_process_is_told_what_to_do(tmp_path: Path) -> None:
    index = EdgeIndex(tmp_path)
    index.rebuild(EMPTY, {"products": [dress("a")]})
    program = (
        "import sys; from pathlib import Path; from tools.catalog.edge_index import EdgeIndex; "
        "from tools.kit.errors import OperatorError\n"
        "try: EdgeIndex(Path(sys.argv[1])).manifest(); print('opened')\n"
        "except OperatorError as error: print(error)"
    )

    def second_process() -> str:
        return subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True).stdout

    assert "stop the other" in second_process()
    index.close()
    assert second_process().strip() == "opened"


def test_a_damaged_index_names_the_command(tmp_path: Path) -> None:
    index = EdgeIndex(tmp_path)
    index.rebuild(EMPTY, {"products": [dress("a")]})
    index.close()
    (tmp_path / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(IndexMissing, match="storehand index --shop DIR"):
        EdgeIndex(tmp_path).manifest()
