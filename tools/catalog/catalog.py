"""The catalogue as tools see it: search by words, by likeness and by photo, and the clauses of the policy.

The index finds; the shop tells what is true. Filters are asked of the index and then of the shop again, so that a product
whose price or stock changed since the index was made is never shown for what it no longer is.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Literal, Self

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
    VariantValues,
)
from tools.kit.errors import EncoderMismatch, IndexMissing
from tools.shop.shop import Shop
from tools.shop.types import LANGUAGES, Language, Product, ShopInfo

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
DESCRIPTION_CHARACTERS = 600


class Catalog:
    """Finds products and clauses of one shop. Any thread may call it."""

    def __init__(
        self, shop: Shop, index: Index, text_encoder: "TextEncoder", photo_encoder: "Callable[[], PhotoEncoder]"
    ) -> None:
        """Use an index that is there, made with this text encoder; `photo_encoder` is called when the first photo comes.

        Raises IndexMissing or EncoderMismatch, which name the command that mends it.
        """
        self._shop, self._index, self._text_encoder, self._load_photo_encoder = shop, index, text_encoder, photo_encoder
        if index.manifest().layout != LAYOUT:
            raise IndexMissing(
                'the index was made by another version of Storehand; run "storehand index --shop DIR" to make it again.'
            )
        self._check_encoder("text", text_encoder.fingerprint)
        self._bm25 = Bm25()

    @classmethod
    def open(cls, shop: Shop, index: Index, text_encoder: "TextEncoder", photo_encoder: "Callable[[], PhotoEncoder]") -> Self:
        """The catalogue of a shop that was indexed. Raises IndexMissing or EncoderMismatch."""
        return cls(shop, index, text_encoder, photo_encoder)

    @property
    def is_stale(self) -> bool:
        """Whether products or clauses changed since the index was made: new ones are not found yet."""
        return self._index.manifest().shop_version != self._shop.version

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
        if not self._index.manifest().counts.get("pictures"):
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
        made_by = self._index.manifest().fingerprints.get(which)
        if made_by != fingerprint:
            raise EncoderMismatch(
                f"the index holds {which} vectors of the encoder '{made_by}', but '{fingerprint}' is loaded; "
                'run "storehand index --shop DIR" to make it again, or set the encoder back.'
            )


def fits(product: Product, filters: Filters) -> bool:
    """Whether the product is in the category and one of its variants is all that the filters want."""
    if filters.category is not None and filters.category.casefold() not in category_names(product):
        return False
    return any(_variant_fits(values, filters) for values in variant_values(product))


def _variant_fits(values: VariantValues, filters: Filters) -> bool:
    low, high, price = filters.price_min_cents, filters.price_max_cents, values.price_cents
    return (
        (low is None or (price is not None and price >= low))
        and (high is None or (price is not None and price <= high))
        and (filters.color is None or values.color == filters.color.casefold())
        and (filters.size is None or values.size == filters.size.casefold())
        and (filters.in_stock is None or values.in_stock == filters.in_stock)
    )


def category_names(product: Product) -> tuple[str, ...]:
    """The product's categories in both languages, lower case."""
    return tuple(name.casefold() for name in product.category.all())


def variant_values(product: Product) -> tuple[VariantValues, ...]:
    """What filters read of the product's variants."""
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
