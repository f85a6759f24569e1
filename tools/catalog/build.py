"""Makes a shop's index: turns products, pictures and clauses into points, batch by batch."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tools.catalog.bm25 import Bm25
from tools.catalog.catalog import category_names, product_text, variant_values
from tools.catalog.index import LAYOUT, Index, Kind, Manifest, Point
from tools.catalog.vector_cache import VectorCache
from tools.shop.shop import Shop
from tools.shop.types import LANGUAGES, Clause

if TYPE_CHECKING:
    # Importing them takes seconds; whoever makes an encoder has done so.
    from tools.catalog.photo_encoder import PhotoEncoder
    from tools.catalog.text_encoder import TextEncoder

DAYS_AHEAD = 366
"""Clauses that come into force within this many days are indexed already."""
BATCH = 32

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class BuildReport:
    """What was indexed, and the pictures that could not be read, each with the reason."""

    counts: dict[Kind, int]
    unreadable_pictures: tuple[str, ...]


def index_shop(
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
                    categories=category_names(product),
                    variants=variant_values(product),
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
                    categories=category_names(product),
                    variants=variant_values(product),
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
