"""Brings a shop's index up to date: finds what changed by the digests that the index keeps, and makes those points anew.

Where there is no index, or one of another layout or encoder, all is made anew beside it and then takes its place.
"""

import hashlib
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tools.catalog.bm25 import Bm25
from tools.catalog.catalog import product_text, variant_values
from tools.catalog.index import KINDS, LAYOUT, Changes, Index, Kind, Manifest, Point, VariantValues, point_uuid
from tools.catalog.passages import passages
from tools.catalog.vector_cache import VectorCache
from tools.kit.errors import IndexMissing
from tools.shop.shop import Shop
from tools.shop.types import LANGUAGES, Clause, Product

if TYPE_CHECKING:
    # Importing them takes seconds; whoever makes an encoder has done so.
    from tools.catalog.photo_encoder import PhotoEncoder
    from tools.catalog.text_encoder import TextEncoder

BATCH = 32

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Counts:
    """How many points of one kind are new, made anew and gone; `kept` are as they were."""

    added: int
    changed: int
    deleted: int
    kept: int


@dataclass(frozen=True)
class BuildReport:
    """What was done, and the pictures that could not be read, each with the reason."""

    counts: dict[Kind, Counts]
    rebuilt: bool
    """Whether all was made anew: there was no index, or one of another layout or encoder."""
    unreadable_pictures: tuple[str, ...]


def index_shop(
    shop: Shop,
    index: Index,
    text_encoder: "TextEncoder",
    photo_encoder: "Callable[[], PhotoEncoder]",
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
) -> BuildReport:
    """Make the index hold the shop's products, pictures and clauses as they are now; only what changed is made anew.

    `cache` is a file that keeps vectors, so that an interrupted build goes on where it stopped. `progress` is called with how
    many points are made, and how many there are to make. Raises OperatorError if the index cannot be written.
    """
    with VectorCache(cache) as kept:
        return _Build(shop, index, text_encoder, photo_encoder, kept, progress).run()


@dataclass(frozen=True)
class _Draft:
    """A point before its vectors are computed."""

    id: str
    owner: str
    contents: list[bytes]
    """What the vectors are made from: texts, or the bytes of a picture."""
    picture: str = ""
    """The picture's name."""
    words: str = ""
    variants: tuple[VariantValues, ...] = ()

    def digest(self, content_digests: Iterable[bytes]) -> str:
        """Of all that the point is made from."""
        variants = [asdict(variant) for variant in self.variants]
        rest = json.dumps([self.owner, self.words, variants], ensure_ascii=False)
        return hashlib.sha256(b"".join(content_digests) + rest.encode()).hexdigest()


@dataclass
class _Build:
    """One build: drafts every point, and makes those whose digest the index does not have."""

    shop: Shop
    index: Index
    text_encoder: "TextEncoder"
    load_photo_encoder: "Callable[[], PhotoEncoder]"
    cache: VectorCache
    progress: Callable[[int, int], None] | None
    bm25: Bm25 = field(default_factory=Bm25)
    unreadable: dict[str, str] = field(default_factory=dict)
    """By the picture's name: why."""
    done: int = 0
    total: int = 0

    def run(self) -> BuildReport:
        # Read first: products that change on the way make the index stale, not wrongly fresh.
        version = self.shop.version
        try:
            old = self.index.manifest()
        except IndexMissing:
            old = None
        manifest = self._manifest(version, old)
        rebuild = old is None or not manifest.continues(old) or manifest.dimensions != old.dimensions
        counts: dict[Kind, Counts] = {}
        changes: dict[Kind, Changes] = {}
        for kind in KINDS:
            known = {} if rebuild else self.index.digests(kind)
            wanted, counts[kind], deleted = self._compare(kind, known)
            if wanted or deleted or rebuild:
                changes[kind] = Changes(self._points(kind, wanted), deleted)
            self.total += len(wanted)
        if rebuild:
            self.index.rebuild(manifest, {kind: change.points for kind, change in changes.items()})
        elif changes or manifest != old:
            self.index.update(manifest, changes)
        return BuildReport(counts, rebuild, tuple(f"{name}: {reason}" for name, reason in self.unreadable.items()))

    def _manifest(self, version: str, old: Manifest | None) -> Manifest:
        """What the index is to hold; a photo encoder that is not needed any more stays named, since its vectors' place stays."""
        fingerprints: dict[Literal["text", "photo"], str] = {"text": self.text_encoder.fingerprint}
        dimensions: dict[Kind, dict[str, int]] = {
            "products": dict.fromkeys(LANGUAGES, self.text_encoder.dimensions),
            "clauses": dict.fromkeys(LANGUAGES, self.text_encoder.dimensions),
        }
        if any(product.pictures for product in self.shop.products()):
            fingerprints["photo"] = self._photo_encoder.fingerprint
            dimensions["pictures"] = {"photo": self._photo_encoder.dimensions}
        elif old is not None and "photo" in old.fingerprints:
            fingerprints["photo"] = old.fingerprints["photo"]
            dimensions["pictures"] = old.dimensions["pictures"]
        counts = old.counts if old is not None else {}
        return Manifest(layout=LAYOUT, shop_version=version, fingerprints=fingerprints, dimensions=dimensions, counts=counts)

    @cached_property
    def _photo_encoder(self) -> "PhotoEncoder":
        return self.load_photo_encoder()

    def _compare(self, kind: Kind, known: Mapping[str, str]) -> tuple[set[str], Counts, list[str]]:
        """The ids of the points to make, how many are new and changed, and the uuids of those to delete."""
        wanted: set[str] = set()
        present: set[str] = set()
        for draft in self._drafts(kind):
            uuid = point_uuid(draft.id)
            if known.get(uuid) != self._digest(kind, draft):
                if kind == "pictures" and not self._readable(draft):
                    continue
                wanted.add(draft.id)
            present.add(uuid)
        added = len(present - known.keys())
        deleted = sorted(known.keys() - present)
        changed = len(wanted) - added
        return wanted, Counts(added, changed, len(deleted), len(present) - added - changed), deleted

    def _digest(self, kind: Kind, draft: _Draft) -> str:
        encoder = self._photo_encoder if kind == "pictures" else self.text_encoder
        return draft.digest(self.cache.use(encoder.fingerprint, draft.contents))

    def _drafts(self, kind: Kind) -> Iterator[_Draft]:
        if kind == "products":
            for product in self.shop.products():
                yield self._product_draft(product)
        elif kind == "pictures":
            for product in self.shop.products():
                yield from self._picture_drafts(product)
        else:
            # In force or not: a search is told the day, which may be that of a call of last year.
            for clause in self.shop.all_clauses():
                yield from _clause_drafts(clause)

    def _product_draft(self, product: Product) -> _Draft:
        texts = [product_text(product, language, self.shop.info) for language in LANGUAGES]
        return _Draft(
            id=product.id,
            owner=product.id,
            contents=[text.encode() for text in texts],
            words=" ".join(dict.fromkeys(texts)),
            variants=variant_values(product),
        )

    def _picture_drafts(self, product: Product) -> Iterator[_Draft]:
        for place, name in enumerate(product.pictures):
            try:
                content = self.shop.picture(name).read_bytes()
            except OSError as error:
                self.unreadable[name] = str(error)
                continue
            yield _Draft(
                id=f"{product.id}/{place}",
                owner=product.id,
                contents=[content],
                picture=name,
                variants=variant_values(product),
            )

    def _readable(self, draft: _Draft) -> bool:
        """Whether the picture can be decoded; if not, it is reported."""
        try:
            _decoded(draft.contents[0])
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            self.unreadable[draft.picture] = str(error)
            return False
        return True

    def _points(self, kind: Kind, wanted: Container[str]) -> Iterator[Point]:
        """The points with these ids, their vectors computed batch by batch."""
        for batch in _batches(draft for draft in self._drafts(kind) if draft.id in wanted):
            computed = iter(self._vectors(kind, [content for draft in batch for content in draft.contents]))
            for draft in batch:
                vectors = list(islice(computed, len(draft.contents)))
                yield Point(
                    id=draft.id,
                    owner=draft.owner,
                    vectors={"photo": vectors[0]} if kind == "pictures" else _by_language(vectors),
                    words=self.bm25.document(draft.words) if draft.words else None,
                    variants=draft.variants,
                    digest=self._digest(kind, draft),
                )
            self.done += len(batch)
            if self.progress:
                self.progress(self.done, self.total)

    def _vectors(self, kind: Kind, contents: list[bytes]) -> list[NDArray[np.float32]]:
        if kind == "pictures":
            photos = self._photo_encoder
            return self.cache.vectors(
                photos.fingerprint, contents, lambda missing: photos.photos([_decoded(contents[place]) for place in missing])
            )
        texts = self.text_encoder
        return self.cache.vectors(
            texts.fingerprint, contents, lambda missing: texts.passages([contents[place].decode() for place in missing])
        )


def _clause_drafts(clause: Clause) -> Iterator[_Draft]:
    """One for each passage, in both languages as far as both have so many."""
    titles = [clause.title.in_language(language) for language in LANGUAGES]
    pieces = [passages(clause.text.in_language(language)) for language in LANGUAGES]
    for place in range(max(map(len, pieces))):
        texts = [f"{title}\n{of[min(place, len(of) - 1)]}" for title, of in zip(titles, pieces, strict=True)]
        texts += clause.questions
        yield _Draft(
            id=f"{clause.id}/{place}" if place else clause.id,
            owner=clause.id,
            contents=[text.encode() for text in texts],
            words="\n".join(dict.fromkeys(texts)),
        )


def _by_language(vectors: Sequence[NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """A product's two vectors; a clause lies, in each language, half way between its text and the mean of its questions.

    Compared with each question on its own, a customer's question is nearest to what is phrased like it, whatever it is
    about: then only 0.35 of the questions measured in catalog.py find their clause.
    """
    texts, questions = vectors[: len(LANGUAGES)], vectors[len(LANGUAGES) :]
    asked = np.mean(questions, axis=0) if questions else np.zeros_like(texts[0])
    return {language: text + asked for language, text in zip(LANGUAGES, texts, strict=True)}


def _decoded(content: bytes) -> Image.Image:
    picture = Image.open(BytesIO(content))
    picture.load()
    return picture


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
