from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from qdrant_client import QdrantClient
from small_shop import CLAUSES, SmallShop, drawing

from tools.catalog.build import index_shop
from tools.catalog.catalog import Catalog
from tools.catalog.clause_search import ClauseHit
from tools.catalog.edge_index import EdgeIndex
from tools.catalog.index import NO_FILTERS, Filters, Hit, Index
from tools.catalog.photo_encoder import PhotoEncoder
from tools.catalog.server_index import ServerIndex
from tools.catalog.text_encoder import TextEncoder
from tools.kit.errors import EncoderMismatch, IndexMissing
from tools.shop.types import LocalText, Variant

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")

TODAY = date.today()  # noqa: DTZ011


@dataclass
class LetterEncoder:
    """Stands in for the text encoder: texts with the same letters have the same vector."""

    fingerprint: str = "letters"
    dimensions: int = 64
    encoded: list[str] = field(default_factory=list)

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.passages(texts)

    def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.encoded += texts
        vectors = np.full((len(texts), self.dimensions), 0.01, dtype=np.float32)
        for row, text in enumerate(texts):
            for letter in text.lower():
                vectors[row, crc32(letter.encode()) % self.dimensions] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@dataclass
class PixelEncoder:
    """Stands in for the photo encoder: a picture's vector is its pixels, 8 by 8."""

    fingerprint: str = "pixels"
    dimensions: int = 64
    embedded: int = 0

    def photos(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        self.embedded += len(pictures)
        small = [np.asarray(picture.convert("L").resize((8, 8)), dtype=np.float32).ravel() - 128 for picture in pictures]
        vectors = np.stack(small) + 0.5
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Bench:
    """A small shop, an index and encoders; `build` and `open` as a program would."""

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder = folder
        self.index = index
        self.shop = SmallShop(folder)
        self.texts: Any = LetterEncoder()
        self.pixels: Any = PixelEncoder()
        self.progress: list[tuple[int, int]] = []

    def build(self) -> Any:
        return index_shop(
            self.shop,
            self.index,
            self.texts,
            lambda: self.pixels,
            self.folder / "vectors.sqlite",
            lambda done, total: self.progress.append((done, total)),
        )

    def open(self) -> Catalog:
        return Catalog.open(self.shop, self.index, self.texts, lambda: self.pixels)

    def built(self) -> Catalog:
        self.build()
        return self.open()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, ServerIndex(QdrantClient(":memory:"), "shop"))
    yield made
    made.index.close()


def ids(hits: Sequence[Hit | ClauseHit]) -> list[str]:
    return [hit.id for hit in hits]


def test_a_shop_that_was_never_indexed_names_the_command(bench: Bench) -> None:
    with pytest.raises(IndexMissing, match="storehand index"):
        bench.open()


def test_another_text_encoder_is_refused_at_once(bench: Bench) -> None:
    bench.build()
    bench.texts = LetterEncoder(fingerprint="other letters")
    with pytest.raises(EncoderMismatch, match=r"'letters'.*'other letters'.*storehand index"):
        bench.open()


def test_another_photo_encoder_is_refused_with_the_first_photo(bench: Bench) -> None:
    bench.shop.with_pictures("kettle")
    catalog = bench.built()
    bench.pixels = PixelEncoder(fingerprint="other pixels")
    assert catalog.search("kettle", "en", NO_FILTERS, 1)
    with pytest.raises(EncoderMismatch, match=r"'pixels'.*'other pixels'.*storehand index"):
        catalog.identify(drawing(0), 1)


def test_the_photo_encoder_is_not_loaded_for_a_shop_without_pictures(bench: Bench) -> None:
    bench.pixels = None
    assert bench.built().identify(drawing(0), 3) == []


def test_a_changed_shop_makes_the_index_stale_until_it_is_built_again(bench: Bench) -> None:
    assert not bench.built().is_stale
    bench.shop.change("lamp", title=LocalText(en="Reading light", zh="阅读灯"))
    assert bench.open().is_stale
    assert not bench.built().is_stale
    assert ids(bench.open().search("reading light", "en", NO_FILTERS, 1)) == ["lamp"]


def test_a_second_build_encodes_only_what_changed(bench: Bench) -> None:
    bench.shop.with_pictures("kettle", "lamp")
    bench.build()
    bench.texts.encoded.clear()
    bench.pixels.embedded = 0
    bench.shop.change("tea", title=LocalText(en="Green tea"))
    bench.build()
    assert all("Green tea" in text for text in bench.texts.encoded)
    assert bench.texts.encoded
    assert bench.pixels.embedded == 0


def test_an_interrupted_build_leaves_the_old_index_and_goes_on_where_it_stopped(bench: Bench) -> None:
    bench.build()
    bench.texts = LetterEncoder(fingerprint="new letters")

    def interrupted(texts: Sequence[str]) -> NDArray[np.float32]:
        raise KeyboardInterrupt

    encode = bench.texts.passages
    bench.texts.passages = lambda texts: interrupted(texts) if "Delivery" in str(texts) else encode(texts)
    with pytest.raises(KeyboardInterrupt):
        bench.build()
    assert bench.index.manifest().fingerprints["text"] == "letters"
    done = len(bench.texts.encoded)
    bench.texts.passages = encode
    bench.build()
    assert not any("kettle" in text.lower() for text in bench.texts.encoded[done:])
    assert set(ids(bench.open().search("kettle", "en", NO_FILTERS, 2))) == {"kettle", "kettle-small"}


def changes(report: Any) -> dict[str, tuple[int, int, int]]:
    return {kind: (done.added, done.changed, done.deleted) for kind, done in report.counts.items()}


def test_an_update_counts_what_is_new_changed_and_gone(bench: Bench) -> None:
    bench.shop.with_pictures("kettle", "lamp")
    report = bench.build()
    assert report.rebuilt
    assert changes(report) == {"products": (12, 0, 0), "pictures": (3, 0, 0), "clauses": (4, 0, 0)}
    bench.shop.change("tea", title=LocalText(en="Green tea", zh="绿茶"))
    bench.shop.change("towel", variants=(Variant(id="towel", price_cents=100, stock=0),))
    bench.shop.stocked["mat"] = bench.shop.stocked["towel"].model_copy(update={"id": "mat", "title": LocalText(en="Bath mat")})
    del bench.shop.stocked["lamp"]
    bench.shop.kept_clauses = [clause for clause in bench.shop.kept_clauses if clause.id != "PAY-1"]
    catalog = bench.open()
    report = bench.build()
    assert not report.rebuilt
    assert changes(report) == {"products": (1, 2, 1), "pictures": (0, 0, 2), "clauses": (0, 0, 1)}
    assert bench.index.manifest().counts == {"products": 12, "pictures": 1, "clauses": 3}
    # The catalogue that was open before sees it.
    assert not catalog.is_stale
    assert ids(catalog.search("green tea", "en", NO_FILTERS, 1)) == ["tea"]
    assert "mat" in ids(catalog.search("bath mat", "en", NO_FILTERS, 2))
    assert ids(catalog.search("towel", "en", Filters(price_max_cents=100), 3))[0] == "towel"
    assert "PAY-1" not in ids(catalog.clauses("Ways to pay", "en", TODAY, 5))


def test_nothing_is_written_where_nothing_changed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.shop.with_pictures("kettle")
    bench.build()
    bench.texts.encoded.clear()
    monkeypatch.setattr(bench.index, "update", None)
    report = bench.build()
    assert set(changes(report).values()) == {(0, 0, 0)}
    assert {kind: done.kept for kind, done in report.counts.items()} == {"products": 12, "pictures": 1, "clauses": 4}
    assert not bench.texts.encoded


def test_a_picture_that_changed_or_cannot_be_read_any_more_is_not_found_as_it_was(bench: Bench) -> None:
    bench.shop.with_pictures("kettle", "tea")
    catalog = bench.built()
    drawing(2).save(bench.folder / "kettle.png")
    (bench.folder / "tea.png").write_bytes(b"no picture")
    bench.shop.version += "+"
    report = bench.build()
    assert changes(report)["pictures"] == (0, 1, 1)
    assert catalog.identify(drawing(2), 1)[0].score == pytest.approx(1, abs=1e-4)


def test_vectors_of_what_is_gone_are_forgotten_and_the_others_kept(bench: Bench) -> None:
    bench.build()
    bench.shop.change("tea", title=LocalText(en="Green tea"))
    bench.build()
    bench.shop.change("tea", title=LocalText(en="Jasmine tea", zh="茉莉花茶"))
    bench.texts.encoded.clear()
    bench.build()
    assert any("Jasmine" in text for text in bench.texts.encoded)
    bench.texts.encoded.clear()
    bench.index.rebuild(bench.index.manifest().model_copy(update={"layout": 0}), {})
    assert bench.build().rebuilt
    assert not bench.texts.encoded


def test_the_first_picture_of_a_shop_makes_the_index_anew_without_encoding_texts_again(bench: Bench) -> None:
    bench.build()
    bench.texts.encoded.clear()
    bench.shop.with_pictures("kettle")
    assert bench.build().rebuilt
    assert not bench.texts.encoded
    bench.shop.change("kettle", pictures=())
    assert not bench.build().rebuilt


def test_progress_ends_at_the_number_of_records(bench: Bench) -> None:
    bench.shop.with_pictures("kettle", "lamp")
    bench.build()
    total = 12 + 3 + len(CLAUSES)
    assert bench.progress[-1] == (total, total)
    assert bench.progress == sorted(bench.progress)


def test_an_unreadable_picture_is_reported_and_the_rest_is_indexed(bench: Bench) -> None:
    bench.shop.with_pictures("kettle", "lamp")
    (bench.folder / "kettle.png").write_bytes(b"no picture")
    bench.shop.change("tea", pictures=("missing.png",))
    report = bench.build()
    assert bench.index.manifest().counts == {"products": 12, "pictures": 2, "clauses": 4}
    assert sorted(line.split(":")[0] for line in report.unreadable_pictures) == ["kettle.png", "missing.png"]
    assert ids(bench.open().identify(drawing(1), 3)) == ["lamp"]


def test_price_and_stock_are_the_shops_of_today_not_the_indexs(bench: Bench) -> None:
    catalog = bench.built()
    cheap = Filters(price_max_cents=3000, in_stock=True)
    assert set(ids(catalog.search("kettle", "en", cheap, 12))) >= {"kettle-small", "tea"}
    bench.shop.change("kettle-small", variants=(Variant(id="k", price_cents=9900, stock=1),))
    bench.shop.change("tea", variants=(Variant(id="t", price_cents=990, stock=0),))
    assert not {"kettle-small", "tea"} & set(ids(catalog.search("kettle", "en", cheap, 12)))


def test_a_product_that_left_the_shop_is_not_found(bench: Bench) -> None:
    catalog = bench.built()
    del bench.shop.stocked["kettle"]
    bench.shop.version += "+"
    assert "kettle" not in ids(catalog.search("electric kettle", "en", NO_FILTERS, 12))


def test_search_keeps_to_the_limit(bench: Bench) -> None:
    catalog = bench.built()
    assert len(catalog.search("summer", "en", NO_FILTERS, 3)) == 3


def test_a_product_found_by_words_and_by_meaning_comes_before_one_found_by_either(bench: Bench) -> None:
    hits = bench.built().search("travel kettle", "en", NO_FILTERS, 12)
    assert hits[0].id == "kettle-small"
    assert hits[0].score == max(hit.score for hit in hits)
    assert hits[0].cosine is not None


def test_like_leaves_the_product_itself_out_and_filters(bench: Bench) -> None:
    catalog = bench.built()
    assert ids(catalog.like("kettle", NO_FILTERS, 1)) == ["kettle-small"]
    assert ids(catalog.like("kettle-small", Filters(price_max_cents=3000), 12))[0] != "kettle"
    assert catalog.like("no-such-product", NO_FILTERS, 3) == []


def test_like_counts_pictures_that_look_the_same(bench: Bench) -> None:
    bench.shop.with_pictures("kettle", "tea")
    picture = bench.folder / "coat.png"
    drawing(0).save(picture)
    bench.shop.change("coat", pictures=("coat.png",))
    assert "coat" in ids(bench.built().like("kettle", NO_FILTERS, 2))


def test_a_photo_finds_the_product_whose_picture_it_shows_once(bench: Bench) -> None:
    bench.shop.with_pictures("kettle", "lamp", "tea", "towel")
    catalog = bench.built()
    hits = catalog.identify(drawing(1), 3)
    assert hits[0].id == "lamp"
    assert hits[0].score == hits[0].cosine == pytest.approx(1, abs=1e-4)
    assert len(hits) == len(set(ids(hits))) == 3


def test_clauses_are_those_in_force_on_the_day(bench: Bench) -> None:
    ends = TODAY + timedelta(days=30)
    now = CLAUSES[1].model_copy(update={"effective_from": None, "effective_to": ends})
    later = CLAUSES[1].model_copy(update={"id": "RET-2", "effective_from": ends + timedelta(days=1)})
    bench.shop.kept_clauses = [now, later]
    catalog = bench.built()
    assert ids(catalog.clauses("退货流程", "zh", TODAY, 5)) == ["RET-1"]
    assert ids(catalog.clauses("退货流程", "zh", ends + timedelta(days=1), 5)) == ["RET-2"]


def test_a_clause_is_found_by_the_words_of_a_question_that_its_text_does_not_have(bench: Bench) -> None:
    hits = bench.built().clauses("花呗", "zh", TODAY, 5)
    assert hits[0].id == "PAY-1"
    assert len(hits) == len(set(ids(hits))) == 3


def test_a_shop_without_clauses_covers_nothing(bench: Bench) -> None:
    bench.shop.kept_clauses = []
    assert bench.built().clauses("returns", "en", TODAY, 5) == []


@pytest.fixture(scope="module")
def catalog(
    text_encoder: TextEncoder, photo_encoder: PhotoEncoder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Catalog]:
    folder = tmp_path_factory.mktemp("real")
    bench = Bench(folder, EdgeIndex(folder / "index"))
    bench.texts, bench.pixels = text_encoder, photo_encoder
    bench.shop.with_pictures("kettle", "lamp", "tea", "towel")
    yield bench.built()
    bench.index.close()


@pytest.mark.real
@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("夏季连衣裙", "zh", {"dress-linen"}),
        ("T恤男 夏季", "zh", {"tee-men"}),
        ("夏天穿的鞋子", "zh", {"sandals"}),
        ("something warm for the snow", "en", {"boots", "coat", "dress-wool"}),
        ("summer dresses", "en", {"dress-linen"}),
        ("to boil water on a journey", "en", {"kettle-small"}),
        ("blue t shirt for him", "en", {"tee-men"}),
        ("洗澡用的毛巾", "zh", {"towel"}),
    ],
)
def test_customers_words_find_what_they_mean(catalog: Catalog, text: str, language: Any, expected: set[str]) -> None:
    assert ids(catalog.search(text, language, NO_FILTERS, 1))[0] in expected


@pytest.mark.real
@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("退货流程", "zh", "RET-1"),
        ("can I send it back?", "en", "RET-1"),
        ("when will my parcel come", "en", "SHIP-1"),
        ("几天能到", "zh", "SHIP-1"),
        ("支持微信吗", "zh", "PAY-1"),
    ],
)
def test_questions_find_their_clause(catalog: Catalog, text: str, language: Any, expected: str) -> None:
    hits = catalog.clauses(text, language, TODAY, 3)
    assert hits[0].id == expected


@pytest.mark.real
def test_a_question_that_no_clause_answers_is_further_from_all_of_them(catalog: Catalog) -> None:
    def nearest(text: str) -> float:
        return max(hit.likeness for hit in catalog.clauses(text, "en", TODAY, 5))

    assert nearest("what's the weather in Paris?") < nearest("can I return my dress?") - 0.02


@pytest.mark.real
def test_the_same_picture_a_little_smaller_is_recognised(catalog: Catalog) -> None:
    hits = catalog.identify(drawing(3).resize((150, 150)), 2)
    assert hits[0].id == "towel"
    assert hits[0].score > 0.9
