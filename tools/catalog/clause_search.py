"""Finds the clauses and FAQ entries that a question is about, by meaning and by words, in either language, and how sure that is.

A shop's rules are few and their words are customers' own, so that one place weighs all: the encoder's cosine to the clause (text
and known questions), and the share of the question's words that the clause has. A long story is also read sentence by sentence.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tools.catalog.bm25 import Bm25
from tools.catalog.grams import grams
from tools.catalog.index import WORDS, Index, Sparse
from tools.catalog.known_questions import KnownQuestions
from tools.catalog.passages import sentences
from tools.catalog.ranking import worth_by_rank
from tools.kit.errors import BadSettings
from tools.kit.phrases import PROMPTS, prompt_data
from tools.kit.reading import mentions
from tools.shop.types import Clause, Language

if TYPE_CHECKING:
    from tools.catalog.text_encoder import TextEncoder

SHARE_WORTH = 0.07
"""What a clause that has all of a question's words adds to its cosine.

Chosen between 0 and 0.2 on the dev questions of eval/cases/policy_dev.*, where 0.04 to 0.1 are alike; kernel ridge regression on the
same vectors and words found no more of them, and told what is not covered less well. Where a shop's FAQ has many known questions for
each entry, they tell more (known_questions.py)."""
TERM_WORTH = 0.5
"""What a service word counts beside one that was written."""
CANDIDATES = 100
"""How many passages are looked at, for each thing that is said."""
LONG = 400
"""A text of more characters is a story: its vector is of everything in it and of nothing. What one of its sentences finds counts
as much as what all its words find. tau-bench's banking scenarios (38, of 2,000 characters on average, 698 documents) find 0.30 of
their documents among the first five like this, 0.18 by one vector and 0.26 by words; 0.58 is the most there can be. Words shared,
service words, sums over sentences and weighted scores instead of ranks find no more (0.05 to 0.30), nor do the three sentences nearest
to a document in place of one (0.28 to 0.30), its title by itself (0.29), or what is like the documents found first (0.29 to 0.30)."""


@dataclass(frozen=True)
class ClauseHit:
    """A clause that was found: `score` orders the hits of one search.

    `likeness` tells how near the clause is to the question, whatever else was found: a cosine, plus SHARE_WORTH at most. `margin`
    is there where the shop's known questions are so many that they tell whether it is meant: from 0 it is.
    """

    id: str
    score: float
    likeness: float
    margin: float | None = None


class ClauseSearch:
    """Search among these clauses, in an index that may hold others. Any thread may call it."""

    def __init__(
        self,
        index: Index,
        encoder: "TextEncoder",
        bm25: Bm25,
        clauses: Sequence[Clause],
        known: KnownQuestions | None = None,
    ) -> None:
        """`known` is what was learnt from the clauses' known questions."""
        self._index, self._encoder, self._bm25, self._known = index, encoder, bm25, known
        self._row = {clause.id: row for row, clause in enumerate(clauses)}
        rows = defaultdict[str, list[int]](list)
        for row, clause in enumerate(clauses):
            texts = (*clause.title.all(), *clause.text.all(), *clause.questions)
            for gram in frozenset[str]().union(*map(grams, texts)):
                rows[gram].append(row)
        self._rows_of = {gram: np.array(found, dtype=np.int32) for gram, found in rows.items()}

    def hits(self, text: str, language: Language) -> list[ClauseHit]:
        """The clauses that were found, best first."""
        if len(text) > LONG:
            return self._hits_of_story(text, language)
        terms = service_words(text)
        said, named = self._encoder.queries([text, " ".join((text, *terms))])
        # Half way: the one says what is special about the question, the other what it is about, in both languages.
        likeness = self._likeness(self._nearest(said + named, language), text, terms)
        margins = self._known.margins(text, said) if self._known else {}
        hits = (ClauseHit(each, like, like) for each, like in likeness.items() if each not in margins)
        return sorted((*hits, *_by_margin(margins, likeness)), key=lambda hit: -hit.score)

    def _hits_of_story(self, text: str, language: Language) -> list[ClauseHit]:
        """What its sentences find, by how much it stands out (a short sentence is near to everything), and what its words find."""
        said = sentences(text)
        near = [self._nearest(vector, language) for vector in self._encoder.queries(said)]
        likeness = _most(self._likeness(cosines, sentence) for cosines, sentence in zip(near, said, strict=True))
        usual = [sum(cosines.values()) / max(1, len(cosines)) for cosines in near]
        standing_out = _most({each: like - its for each, like in found.items()} for found, its in zip(near, usual, strict=True))
        worded = _most(self._by_words(sentence) for sentence in said)
        scores = worth_by_rank(*map(_ranked, (standing_out, self._by_words(text), worded)))
        return [ClauseHit(each, scores[each], likeness.get(each, 0.0)) for each in _ranked(scores)]

    def _nearest(self, vector: NDArray[np.float32], language: Language) -> dict[str, float]:
        """By clause, the cosine of the nearest passage."""
        return self._found(language, vector / np.linalg.norm(vector))

    def _by_words(self, text: str) -> dict[str, float]:
        words = self._bm25.query(text)
        return self._found(WORDS, words) if words.indices else {}

    def _found(self, using: str, wanted: NDArray[np.float32] | Sparse) -> dict[str, float]:
        return _most(
            {hit.id: hit.score} for hit in self._index.nearest("clauses", using, wanted, CANDIDATES) if hit.id in self._row
        )

    def _likeness(self, cosines: Mapping[str, float], text: str, terms: Sequence[str] = ()) -> dict[str, float]:
        shares = self._shares(text, terms)
        return {each: cosine + SHARE_WORTH * float(shares[self._row[each]]) for each, cosine in cosines.items()}

    def _shares(self, text: str, terms: Sequence[str]) -> NDArray[np.float64]:
        """Which share of the text's words and pieces of words each clause has.

        Rare ones count more, and those that no clause has count most: a question full of them is about something else.
        """
        worth = dict.fromkeys(grams(" ".join(terms)), TERM_WORTH) | dict.fromkeys(grams(text), 1.0)
        shares, whole = np.zeros(len(self._row)), 1e-9
        for gram, counts in worth.items():
            rows = self._rows_of.get(gram, _NOWHERE)
            rarity = counts * math.log(1 + len(self._row) / (1 + len(rows)))
            whole += rarity
            shares[rows] += rarity
        return shares / whole


_NOWHERE = np.array([], dtype=np.int32)


def _by_margin(margins: Mapping[str, float], likeness: Mapping[str, float]) -> Iterator[ClauseHit]:
    """Entries in the order of their margins, at the places that their likenesses have; those that are meant before all else."""
    places = sorted((likeness.get(each, 0.0) for each in margins), reverse=True)
    for each, place in zip(_ranked(margins), places, strict=True):
        yield ClauseHit(each, place + (margins[each] >= 0), likeness.get(each, 0.0), margins[each])


def _most(found: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """By clause, the most that any of these says."""
    most: dict[str, float] = {}
    for scores in found:
        for each, score in scores.items():
            most[each] = max(score, most.get(each, score))
    return most


def _ranked(scores: Mapping[str, float]) -> list[str]:
    return sorted(scores, key=lambda each: -scores[each])


def service_words(text: str) -> list[str]:
    """The words of prompts/service.yaml, in both languages, for what the text names by any of them; without those that it has."""
    found: dict[str, None] = {}
    for group in _groups():
        if any(mentions(text, word) for word in group):
            first = (next((word for word in group if word.isascii() == english), "") for english in (True, False))
            found |= dict.fromkeys(word for word in first if word and not mentions(text, word))
    return list(found)


@cache
def _groups() -> list[list[str]]:
    groups = prompt_data("service.yaml").get("groups")
    if not isinstance(groups, list):
        raise BadSettings(f"'{PROMPTS / 'service.yaml'}' must have a list 'groups'; see the file as shipped.")
    return groups
