"""The catalogue as tools see it: search by words, by likeness and by photo, and the clauses of the policy.

The index finds; the shop tells what is true. Filters are asked of the index and then of the shop again, so that a product
whose price or stock changed since the index was made is never shown for what it no longer is.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import replace
from datetime import date
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tools.catalog.bm25 import Bm25
from tools.catalog.clause_search import ClauseHit, ClauseSearch
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
from tools.catalog.known_questions import KnownQuestions
from tools.catalog.ranking import FEEDBACK, PHOTO_WORTH, Ranking, fused, reranked, with_feedback
from tools.catalog.vocabulary import Vocabulary, synonyms_in
from tools.kit.errors import EncoderMismatch, IndexMissing
from tools.shop.shop import Shop
from tools.shop.types import LANGUAGES, Clause, Language, Product, ShopInfo

if TYPE_CHECKING:
    # Importing them takes seconds; whoever makes an encoder has done so.
    from tools.catalog.photo_encoder import PhotoEncoder
    from tools.catalog.text_encoder import TextEncoder

CANDIDATES = 100
"""How many of each list are fused, at least."""
PICTURES = 4
"""So many times as many pictures are looked at as products are wanted, for a product may have several."""
DESCRIPTION_CHARACTERS = 600


class Catalog:
    """Finds products and clauses of one shop. Any thread may call it."""

    def __init__(
        self,
        shop: Shop,
        index: Index,
        text_encoder: "TextEncoder",
        photo_encoder: "Callable[[], PhotoEncoder]",
        queries: Callable[[Sequence[str]], NDArray[np.float32]] | None = None,
    ) -> None:
        """Use an index that is there, made with this text encoder; `photo_encoder` is called when the first photo comes.

        `queries` makes vectors of what is looked for among products in the encoder's place, where the shop has its own.

        Raises IndexMissing or EncoderMismatch, which name the command that mends it.
        """
        self._shop, self._index, self._text_encoder, self._load_photo_encoder = shop, index, text_encoder, photo_encoder
        if index.manifest().layout != LAYOUT:
            raise IndexMissing(
                'the index was made by another version of Storehand; run "storehand index --shop DIR" to make it again.'
            )
        self._check_encoder("text", text_encoder.fingerprint)
        self._queries = queries or text_encoder.queries
        self._bm25 = Bm25()
        self._vocabulary: tuple[str, Vocabulary] | None = None
        self._clause_search: tuple[tuple[str, date], ClauseSearch] | None = None
        self._learnt: tuple[tuple[tuple[str, str], ...], KnownQuestions | None] | None = None
        self._asked: dict[str, NDArray[np.float32]] = {}

    @classmethod
    def open(
        cls,
        shop: Shop,
        index: Index,
        text_encoder: "TextEncoder",
        photo_encoder: "Callable[[], PhotoEncoder]",
        queries: Callable[[Sequence[str]], NDArray[np.float32]] | None = None,
    ) -> Self:
        """The catalogue of a shop that was indexed. Raises IndexMissing or EncoderMismatch."""
        return cls(shop, index, text_encoder, photo_encoder, queries)

    def of(self, shop: Shop) -> Self:
        """The same index and encoders for a copy of the shop, whose prices and stock may be others."""
        twin = copy(self)
        twin._shop = shop
        return twin

    @property
    def is_stale(self) -> bool:
        """Whether products or clauses changed since the index was made: new ones are not found yet."""
        return self._index.manifest().shop_version != self._shop.version

    @property
    def vocabulary(self) -> Vocabulary:
        """The words of the shop's products as they are now."""
        version = self._shop.version
        if self._vocabulary is None or self._vocabulary[0] != version:
            self._vocabulary = version, Vocabulary.of(self._shop)
        return self._vocabulary[1]

    def search(
        self,
        text: str,
        language: Language,
        filters: Filters,
        limit: int,
        *,
        photo: Image.Image | None = None,
        ranking: Ranking = "reranked",
        photo_worth: float = PHOTO_WORTH,
    ) -> list[Hit]:
        """Products that fit the words, the filters and, where one is given, the photo, best first.

        Misspelled words are read as the shop's own. `ranking` stops at a part of the way, and `photo_worth` weighs the photo, which
        counts in the last part, so that each can be measured. Raises EncoderMismatch with a photo if the pictures were indexed by
        another encoder.
        """
        text = self.vocabulary.corrected(text).text
        count = max(CANDIDATES, 2 * limit)
        words = self._bm25.query(text, synonyms_in(text))
        by_words = self._index.nearest("products", WORDS, words, count, filters) if words.indices else []
        if ranking == "bm25":
            return self._true_hits(by_words, filters, limit)
        query = self._queries([text])[0]
        by_meaning = self._index.nearest("products", language, query, count, filters)
        if ranking == "dense":
            return self._true_hits(by_meaning, filters, limit)
        both = fused(by_meaning, by_words)
        if ranking == "fused":
            return self._true_hits(both, filters, limit)
        heads = (self._index.vectors("products", hit.id).get(language) for hit in both[:FEEDBACK])
        moved = with_feedback(query, [vector for vector in heads if vector is not None])
        near = self._index.nearest("products", language, moved, count, filters)
        by_photo = self._by_photo(photo, count, filters) if photo is not None else []
        cosines = {hit.id: hit.cosine for hit in both}
        return self._true_hits(reranked(near, by_words, by_photo, cosines, photo_worth), filters, limit)

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
        return self._true_hits([hit for hit in fused(*lists) if hit.id != product_id], filters, limit)

    def identify(self, photo: Image.Image, limit: int) -> list[Hit]:
        """Products whose catalogue pictures are nearest to the photo, best first; the score is the cosine.

        Raises EncoderMismatch if the pictures were indexed by another encoder.
        """
        hits = self._by_photo(photo, max(CANDIDATES, 2 * limit), NO_FILTERS)
        return self._true_hits([replace(hit, cosine=hit.score) for hit in hits], NO_FILTERS, limit)

    def clauses(self, text: str, language: Language, on: date, limit: int) -> list[ClauseHit]:
        """Clauses and FAQ entries in force on that day that answer the text, best first."""
        version = self._shop.version, on
        if self._clause_search is None or self._clause_search[0] != version:
            clauses = self._shop.clauses(on)
            known = self._known_questions(clauses)
            self._clause_search = version, ClauseSearch(self._index, self._text_encoder, self._bm25, clauses, known)
        return self._clause_search[1].hits(text, language)[:limit]

    def _known_questions(self, clauses: Sequence[Clause]) -> KnownQuestions | None:
        """What the clauses' known questions teach; learnt anew only where they are others."""
        asked = tuple((question, clause.id) for clause in clauses for question in clause.questions)
        if self._learnt is None or self._learnt[0] != asked:
            questions, entries = zip(*asked, strict=True) if asked else ((), ())
            self._learnt = asked, KnownQuestions.learnt(questions, entries, self._asked_vectors)
        return self._learnt[1]

    def _asked_vectors(self, questions: Sequence[str]) -> NDArray[np.float32]:
        """The query vectors of known questions; where one is edited, that one alone is encoded."""
        if missing := [question for question in dict.fromkeys(questions) if question not in self._asked]:
            self._asked |= dict(zip(missing, self._text_encoder.queries(missing), strict=True))
        return np.stack([self._asked[question] for question in questions])

    def _by_photo(self, photo: Image.Image, count: int, filters: Filters) -> list[Hit]:
        """The products whose pictures are nearest to the photo; none where the shop has no pictures."""
        if not self._index.manifest().counts.get("pictures"):
            return []
        vector = self._photo_encoder.photos([photo])[0]
        return _best_by_owner(self._index.nearest("pictures", "photo", vector, PICTURES * count, filters))[:count]

    def _true_hits(self, hits: Iterable[Hit], filters: Filters, limit: int) -> list[Hit]:
        """The hits whose products the shop still has, and still as the filters want them."""
        if filters == NO_FILTERS and not self.is_stale:
            return list(islice(hits, limit))
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
    """Whether one of the product's variants is all that the filters want."""
    low, high = filters.price_min_cents, filters.price_max_cents
    return any(
        (low is None or (each.price_cents is not None and each.price_cents >= low))
        and (high is None or (each.price_cents is not None and each.price_cents <= high))
        and (each.in_stock or not filters.in_stock)
        for each in product.variants
    )


def variant_values(product: Product) -> tuple[VariantValues, ...]:
    """What filters read of the product's variants."""
    return tuple(VariantValues(price_cents=each.price_cents, in_stock=each.in_stock) for each in product.variants)


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
