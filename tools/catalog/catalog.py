"""The catalogue as tools see it: search by words, by likeness and by photo, and the clauses of the policy.

The index finds; the shop tells what is true. Filters are asked of the index and then of the shop again, so that a product
whose price or stock changed since the index was made is never shown for what it no longer is.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tools.catalog.bm25 import Bm25
from tools.catalog.index import (
    LAYOUT,
    NO_FILTERS,
    WORDS,
    Filters,
    Hit,
    Index,
    Kind,
    Manifest,
    Point,
    VariantValues,
)
from tools.catalog.vector_cache import VectorCache
from tools.kit.errors import EncoderMismatch, IndexMissing
from tools.shop.shop import Shop
from tools.shop.types import LANGUAGES, Clause, Language, Product, ShopInfo

if TYPE_CHECKING:
    # Importing them takes seconds; whoever makes an encoder has done so.
    from tools.catalog.photo_encoder import PhotoEncoder
    from tools.catalog.text_encoder import TextEncoder

RRF_K = 60
"""How slowly a rank's worth falls in reciprocal rank fusion. Source: Cormack et al. 2009, doi:10.1145/1571941.1572114."""
CANDIDATES = 100
"""How many of each list are fused, at least."""
BM25_WORTH = 0.00075
"""What a point of BM25 adds to a clause's cosine. Words decide between clauses that are equally near; fused by rank they would
outvote the meaning: of 722 questions about 100 clauses, each asked without itself in the index, 0.69 find their clause first
like this and 0.60 by ranks. See Bruch et al. 2023, arXiv:2210.11934."""
DAYS_AHEAD = 366
"""Clauses that come into force within this many days are indexed already."""
BATCH = 32
DESCRIPTION_CHARACTERS = 600

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class BuildReport:
    """What was indexed, and the pictures that could not be read, each with the reason."""

    counts: dict[Kind, int]
    unreadable_pictures: tuple[str, ...]


class Catalog:
    """Finds products and clauses of one shop. Any thread may call it."""

    def __init__(
        self, shop: Shop, index: Index, text_encoder: "TextEncoder", photo_encoder: "Callable[[], PhotoEncoder]"
    ) -> None:
        """Use an index that is there, made with this text encoder; `photo_encoder` is called when the first photo comes.

        Raises IndexMissing or EncoderMismatch, which name the command that mends it.
        """
        self._shop, self._index, self._text_encoder, self._load_photo_encoder = shop, index, text_encoder, photo_encoder
        self._manifest = index.manifest()
        if self._manifest.layout != LAYOUT:
            raise IndexMissing(
                'the index was made by another version of Storehand; run "storehand index --shop DIR" to make it again.'
            )
        self._check_encoder("text", text_encoder.fingerprint)
        self._bm25 = Bm25()

    @classmethod
    def build(
        cls,
        shop: Shop,
        index: Index,
        text_encoder: "TextEncoder",
        photo_encoder: "Callable[[], PhotoEncoder]",
        cache: Path,
        progress: Callable[[int, int], None] | None = None,
    ) -> BuildReport:
        """Put all products, pictures and clauses of the shop into the index, in place of what was there.

        `cache` is a file that keeps vectors, so that only what changed is computed, and an interrupted build goes on where
        it stopped. `progress` is called with how many texts and pictures are done, and how many there are.
        """
        with VectorCache(cache) as kept:
            return _Build(shop, index, text_encoder, photo_encoder, kept, progress).run()

    @classmethod
    def open(cls, shop: Shop, index: Index, text_encoder: "TextEncoder", photo_encoder: "Callable[[], PhotoEncoder]") -> Self:
        """The catalogue of a shop that was indexed. Raises IndexMissing or EncoderMismatch."""
        return cls(shop, index, text_encoder, photo_encoder)

    @property
    def is_stale(self) -> bool:
        """Whether products or clauses changed since the index was made: new ones are not found yet."""
        return self._manifest.shop_version != self._shop.version

    def search(self, text: str, language: Language, filters: Filters, limit: int) -> list[Hit]:
        """Products that fit the words and the filters, best first; by meaning and by words, fused by rank."""
        vector, words = self._text_encoder.queries([text])[0], self._bm25.query(text)
        count = max(CANDIDATES, 2 * limit)
        by_meaning = self._index.nearest("products", language, vector, count, filters)
        by_words = self._index.nearest("products", WORDS, words, count, filters) if words.indices else []
        return self._true_hits(_fuse(by_meaning, by_words), filters, limit)

    def like(self, product_id: str, filters: Filters, limit: int) -> list[Hit]:
        """Products like this one, by text and by picture, best first; without itself. None if it is not in the index."""
        count = max(CANDIDATES, 2 * limit)
        places: tuple[tuple[Kind, str, str], ...] = (
            ("products", product_id, LANGUAGES[0]),
            ("pictures", f"{product_id}/0", "photo"),
        )
        lists = [
            _best_by_owner(self._index.nearest(kind, using, vector, count, filters))
            for kind, point_id, using in places
            if (vector := self._index.vectors(kind, point_id).get(using)) is not None
        ]
        return self._true_hits([hit for hit in _fuse(*lists) if hit.id != product_id], filters, limit)

    def identify(self, photo: Image.Image, limit: int) -> list[Hit]:
        """Products whose catalogue pictures are nearest to the photo, best first; the score is the cosine.

        Raises EncoderMismatch if the pictures were indexed by another encoder.
        """
        if not self._manifest.counts.get("pictures"):
            return []
        vector = self._photo_encoder.photos([photo])[0]
        hits = self._index.nearest("pictures", "photo", vector, max(CANDIDATES, 2 * limit))
        return self._true_hits([replace(hit, cosine=hit.score) for hit in _best_by_owner(hits)], NO_FILTERS, limit)

    def clauses(self, text: str, language: Language, on: date, limit: int) -> list[Hit]:
        """Clauses in force on that day that answer the text, best first.

        `cosine` tells how near a clause is; where even the best is low, the policy does not cover the question.
        """
        in_force = {clause.id for clause in self._shop.clauses(on)}
        vector, words = self._text_encoder.queries([text])[0], self._bm25.query(text)
        count = max(CANDIDATES, 10 * limit)
        by_meaning = self._index.nearest("clauses", language, vector, count)
        by_words = self._index.nearest("clauses", WORDS, words, count) if words.indices else []
        bm25 = {hit.id: hit.score for hit in by_words}
        hits = [
            Hit(hit.id, hit.score + BM25_WORTH * bm25.get(hit.id, 0.0), hit.score) for hit in by_meaning if hit.id in in_force
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:limit]

    def _true_hits(self, hits: Iterable[Hit], filters: Filters, limit: int) -> list[Hit]:
        """The hits whose products the shop still has, and still as the filters want them."""
        true = (hit for hit in hits if (product := self._shop.product(hit.id)) and fits(product, filters))
        return list(islice(true, limit))

    @cached_property
    def _photo_encoder(self) -> "PhotoEncoder":
        encoder = self._load_photo_encoder()
        self._check_encoder("photo", encoder.fingerprint)
        return encoder

    def _check_encoder(self, which: Literal["text", "photo"], fingerprint: str) -> None:
        made_by = self._manifest.fingerprints.get(which)
        if made_by != fingerprint:
            raise EncoderMismatch(
                f"the index holds {which} vectors of the encoder '{made_by}', but '{fingerprint}' is loaded; "
                'run "storehand index --shop DIR" to make it again, or set the encoder back.'
            )


def fits(product: Product, filters: Filters) -> bool:
    """Whether the product is in the category and one of its variants is all that the filters want."""
    if filters.category is not None and filters.category.casefold() not in _categories(product):
        return False
    return any(_variant_fits(values, filters) for values in _variants(product))


def _variant_fits(values: VariantValues, filters: Filters) -> bool:
    low, high, price = filters.price_min_cents, filters.price_max_cents, values.price_cents
    return (
        (low is None or (price is not None and price >= low))
        and (high is None or (price is not None and price <= high))
        and (filters.color is None or values.color == filters.color.casefold())
        and (filters.size is None or values.size == filters.size.casefold())
        and (filters.in_stock is None or values.in_stock == filters.in_stock)
    )


def _categories(product: Product) -> tuple[str, ...]:
    return tuple(name.casefold() for name in product.category.all())


def _variants(product: Product) -> tuple[VariantValues, ...]:
    return tuple(
        VariantValues(
            price_cents=variant.price_cents,
            color=variant.options.get("color", "").casefold(),
            size=variant.options.get("size", "").casefold(),
            in_stock=variant.in_stock,
        )
        for variant in product.variants
    )


def product_text(product: Product, language: Language, info: ShopInfo) -> str:
    """What is embedded of a product: title, category, brand, attributes, colours, keywords, description."""
    colors = dict.fromkeys(variant.options["color"] for variant in product.variants if "color" in variant.options)
    parts = [
        product.title.in_language(language),
        product.category.in_language(language),
        product.brand or "",
        *(value.in_language(language) for value in product.attributes.values()),
        " ".join(info.word(color, language) for color in colors),
        " ".join(product.keywords),
        product.description.in_language(language)[:DESCRIPTION_CHARACTERS] if product.description else "",
    ]
    return ". ".join(dict.fromkeys(part for part in parts if part))


def _best_by_owner(hits: Iterable[Hit]) -> list[Hit]:
    """The hits, best first, each owner once."""
    best: dict[str, Hit] = {}
    for hit in hits:
        best.setdefault(hit.id, hit)
    return list(best.values())


def _fuse(*lists: Sequence[Hit]) -> list[Hit]:
    """Reciprocal rank fusion of lists that are best first; `cosine` is the score in the first list."""
    scores: dict[str, float] = {}
    for hits in lists:
        for rank, hit in enumerate(hits, start=1):
            scores[hit.id] = scores.get(hit.id, 0.0) + 1 / (RRF_K + rank)
    cosines = {hit.id: hit.score for hit in lists[0]} if lists else {}
    fused = (Hit(found, score, cosines.get(found)) for found, score in scores.items())
    return sorted(fused, key=lambda hit: (-hit.score, -(hit.cosine or 0.0)))


@dataclass
class _Build:
    """One build: turns a shop into points, batch by batch."""

    shop: Shop
    index: Index
    text_encoder: "TextEncoder"
    load_photo_encoder: "Callable[[], PhotoEncoder]"
    cache: VectorCache
    progress: Callable[[int, int], None] | None
    bm25: Bm25 = field(default_factory=Bm25)
    unreadable: list[str] = field(default_factory=list)
    done: int = 0
    total: int = 0

    def run(self) -> BuildReport:
        # Read first: products that change on the way make the index stale, not wrongly fresh.
        version = self.shop.version
        clauses = self._all_clauses()
        products = pictures = 0
        for product in self.shop.products():
            products += 1
            pictures += len(product.pictures)
        self.total = products + pictures + len(clauses)
        text = self.text_encoder.dimensions
        manifest = Manifest(
            layout=LAYOUT,
            shop_version=version,
            fingerprints={"text": self.text_encoder.fingerprint},
            dimensions={kind: dict.fromkeys(LANGUAGES, text) for kind in ("products", "clauses")},
        )
        points: dict[Kind, Iterable[Point]] = {"products": self._product_points(), "clauses": self._clause_points(clauses)}
        if pictures:
            encoder = self.load_photo_encoder()
            manifest = manifest.model_copy(
                update={
                    "fingerprints": manifest.fingerprints | {"photo": encoder.fingerprint},
                    "dimensions": manifest.dimensions | {"pictures": {"photo": encoder.dimensions}},
                }
            )
            points["pictures"] = self._picture_points(encoder)
        self.index.rebuild(manifest, points)
        return BuildReport(self.index.manifest().counts, tuple(self.unreadable))

    def _product_points(self) -> Iterator[Point]:
        for batch in _batches(self.shop.products()):
            texts = [[product_text(product, language, self.shop.info) for language in LANGUAGES] for product in batch]
            vectors = self._text_vectors([text for both in texts for text in both])
            for place, product in enumerate(batch):
                mine = vectors[place * len(LANGUAGES) : (place + 1) * len(LANGUAGES)]
                yield Point(
                    id=product.id,
                    owner=product.id,
                    vectors=dict(zip(LANGUAGES, mine, strict=True)),
                    words=self.bm25.document(" ".join(dict.fromkeys(texts[place]))),
                    categories=_categories(product),
                    variants=_variants(product),
                )
            self._count(len(batch))

    def _picture_points(self, encoder: "PhotoEncoder") -> Iterator[Point]:
        named = ((product, place, name) for product in self.shop.products() for place, name in enumerate(product.pictures))
        for batch in _batches(named):
            readable, contents, pictures = [], [], []
            for product, place, name in batch:
                try:
                    content = self.shop.picture(name).read_bytes()
                    picture = Image.open(BytesIO(content))
                    picture.load()
                except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                    self.unreadable.append(f"{name}: {error}")
                    continue
                readable.append((product, place))
                contents.append(content)
                pictures.append(picture)
            embed = _photos_at(encoder, pictures)
            vectors = self.cache.vectors(encoder.fingerprint, contents, embed)
            for (product, place), vector in zip(readable, vectors, strict=True):
                yield Point(
                    id=f"{product.id}/{place}",
                    owner=product.id,
                    vectors={"photo": vector},
                    categories=_categories(product),
                    variants=_variants(product),
                )
            self._count(len(batch))

    def _clause_points(self, clauses: list[Clause]) -> Iterator[Point]:
        """A clause lies, in each language, half way between its text and the mean of the questions that customers ask for it.

        Compared with each question on its own, a customer's question is nearest to what is phrased like it, whatever it is
        about: then only 0.35 of the questions measured above find their clause.
        """
        for clause in clauses:
            texts = [f"{clause.title.in_language(language)}\n{clause.text.in_language(language)}" for language in LANGUAGES]
            vectors = self._text_vectors([*texts, *clause.questions])
            asked = np.mean(vectors[len(texts) :], axis=0) if clause.questions else np.zeros_like(vectors[0])
            yield Point(
                id=clause.id,
                owner=clause.id,
                vectors={language: vector + asked for language, vector in zip(LANGUAGES, vectors, strict=False)},
                words=self.bm25.document("\n".join(dict.fromkeys((*texts, *clause.questions)))),
            )
            self._count(1)

    def _text_vectors(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        return self.cache.vectors(
            self.text_encoder.fingerprint,
            [text.encode() for text in texts],
            lambda missing: self.text_encoder.passages([texts[place] for place in missing]),
        )

    def _all_clauses(self) -> list[Clause]:
        today = date.today()  # noqa: DTZ011  # the shop's zone makes no difference to a year
        days = (today + timedelta(days) for days in range(-1, DAYS_AHEAD))
        return list({clause.id: clause for day in days for clause in self.shop.clauses(day)}.values())

    def _count(self, done: int) -> None:
        self.done += done
        if self.progress:
            self.progress(self.done, self.total)


def _photos_at(encoder: "PhotoEncoder", pictures: Sequence[Image.Image]) -> Callable[[list[int]], NDArray[np.float32]]:
    return lambda places: encoder.photos([pictures[place] for place in places])


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
