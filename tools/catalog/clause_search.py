"""Finds the clauses that a question is about: by meaning and by words; a long story also sentence by sentence."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tools.catalog.bm25 import Bm25
from tools.catalog.index import WORDS, Hit, Index
from tools.catalog.passages import sentences
from tools.catalog.ranking import worth_by_rank
from tools.shop.types import Language

if TYPE_CHECKING:
    from tools.catalog.text_encoder import TextEncoder

BM25_WORTH = 0.00075
"""What a point of BM25 adds to a clause's cosine. Words decide between clauses that are equally near; fused by rank they would
outvote the meaning: of 722 questions about 100 clauses, each asked without itself in the index, 0.69 find their clause first
like this and 0.60 by ranks. See Bruch et al. 2023, arXiv:2210.11934."""
LONG = 400
"""A text of more characters is a story: its vector is of everything in it and of nothing. What one of its sentences finds counts
as much as what all its words find. tau-bench's banking scenarios (38, of 2,000 characters on average, 698 documents) find 0.30
of their documents among the first five like this, 0.18 by one vector and 0.22 by words; 0.58 is the most there can be."""


def clause_hits(index: Index, encoder: "TextEncoder", bm25: Bm25, text: str, language: Language, count: int) -> list[Hit]:
    """Clauses, best first; `cosine` is that of the whole text. At most `count` of each list that is joined."""
    by_meaning = _best(index.nearest("clauses", language, encoder.queries([text])[0], count))
    by_words = _best(_nearest_words(index, bm25, text, count))
    if len(text) <= LONG:
        worth = {hit.id: BM25_WORTH * hit.score for hit in by_words}
        hits = [Hit(hit.id, hit.score + worth.get(hit.id, 0.0), hit.score) for hit in by_meaning]
        return sorted(hits, key=lambda hit: -hit.score)
    said = sentences(text)
    near: list[Hit] = []
    for vector in encoder.queries(said):
        found = _best(index.nearest("clauses", language, vector, count))
        # By how much it stands out: a short sentence is near to everything.
        usual = sum(hit.score for hit in found) / max(1, len(found))
        near += [Hit(hit.id, hit.score - usual) for hit in found]
    worded = [hit for sentence in said for hit in _nearest_words(index, bm25, sentence, count)]
    cosines = {hit.id: hit.score for hit in by_meaning}
    scores = worth_by_rank(*([hit.id for hit in hits] for hits in (_best(near), by_words, _best(worded))))
    return sorted((Hit(each, score, cosines.get(each)) for each, score in scores.items()), key=lambda hit: -hit.score)


def _nearest_words(index: Index, bm25: Bm25, text: str, count: int) -> list[Hit]:
    words = bm25.query(text)
    return index.nearest("clauses", WORDS, words, count) if words.indices else []


def _best(hits: Iterable[Hit]) -> list[Hit]:
    """Each clause once, by its best passage, best first."""
    best: dict[str, Hit] = {}
    for hit in sorted(hits, key=lambda hit: -hit.score):
        best.setdefault(hit.id, hit)
    return list(best.values())
