"""Which entry a question asks for, learnt from the many questions that a shop's FAQ has for each; or that it asks for none.

Kernel ridge regression on what the questions mean (the text encoder's vectors) and on what they look like (words and pieces of
words, which stand typing errors), fitted in closed form when the questions are first needed: 0.1 s for 600.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tools.catalog.grams import grams

MEANING = 0.6
"""How much of a likeness is meaning, the rest being looks."""
RIDGE = 0.2
NEAR = 0.5
"""What the likeness to the entry's nearest question counts beside the regression.

The three were chosen by cross-validation on the training sentences of HINT3 (two shops; Arora et al. 2020, arXiv:2009.13833)."""
SAME = 1 - 1e-6
"""The likeness of a question to itself, but for rounding."""
REFUSED = 1 / 15
"""The share of the shop's own questions, of those that find their entry with themselves left out, that the line would refuse."""
ALIKE = 0.4
"""The share of questions whose nearest other question, by looks, is of the same entry, from which entries can be learnt from their
questions. HINT3's shops have 0.75 and more, with a third of their questions 0.57; the demo, whose questions are each about something
else, 0.12: there a clause's text says more."""
LEAST, MOST = 50, 1500
"""Fewer questions tell no line; of more, so many are learnt, spread over all: the time grows with their cube."""

Floats = NDArray[np.float64]


class KnownQuestions:
    """Entries by their known questions. Any thread may ask."""

    def __init__(self, questions: Sequence[str], entries: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Learn that `questions[n]`, whose query vector is `vectors[n]` (unit length), asks for `entries[n]`."""
        self._entries = list(dict.fromkeys(entries))
        self._of = np.array([self._entries.index(entry) for entry in entries])
        self._mean = vectors.mean(axis=0, dtype=np.float64)
        self._centred = self._around_mean(vectors)
        self._looks = Looks(questions)
        likeness = np.stack([self._likeness(*each) for each in zip(questions, vectors, strict=True)])
        right = np.eye(len(self._entries))[self._of]
        inverse = np.linalg.inv(likeness + RIDGE * np.eye(len(likeness)))
        self._weights = inverse @ right
        # What the regression without a question says of it needs no second fit. Source: Allen 1974, doi:10.1080/00401706.1974.10489157.
        left_out = right - self._weights / np.diag(inverse)[:, None]
        np.fill_diagonal(likeness, -1)
        scores = left_out + NEAR * self._nearest(likeness)
        found = scores.argmax(axis=1) == self._of
        self._line = float(np.quantile(scores.max(axis=1)[found], REFUSED)) if found.any() else np.inf

    @classmethod
    def learnt(
        cls, questions: Sequence[str], entries: Sequence[str], encode: Callable[[Sequence[str]], NDArray[np.float32]]
    ) -> Self | None:
        """What can be learnt; None where the questions are too few or too unlike each other. `encode` makes query vectors."""
        every = max(1, math.ceil(len(questions) / MOST))
        questions, entries = questions[::every], entries[::every]
        if len(questions) < LEAST or Looks(questions).share_alike(entries) < ALIKE:
            return None
        return cls(questions, entries, encode(questions))

    def margins(self, question: str, vector: NDArray[np.float32]) -> dict[str, float]:
        """How far each entry is above the line from which it is meant (or below), for a question with this query vector.

        Whose own question it is word for word is meant, however unlike its others that is.
        """
        likeness = self._likeness(question, vector)
        nearest = self._nearest(likeness[None])[0]
        margins = likeness @ self._weights + NEAR * nearest - self._line
        margins = np.where(nearest > SAME, np.maximum(margins, 0), margins)
        return dict(zip(self._entries, margins.tolist(), strict=True))

    def _nearest(self, likeness: Floats) -> Floats:
        """The likeness of each row to the nearest question of each entry."""
        return np.stack([likeness[:, self._of == entry].max(axis=1) for entry in range(len(self._entries))], axis=1)

    def _likeness(self, question: str, vector: NDArray[np.float32]) -> Floats:
        """How like each known question it is: 1 for itself."""
        meaning = self._centred @ self._around_mean(vector)
        result: Floats = MEANING * meaning + (1 - MEANING) * self._looks.likeness(question)
        return result

    def _around_mean(self, vectors: NDArray[np.float32]) -> Floats:
        """Vectors of sentences lie close together; what tells them apart is where they lie around their mean."""
        moved = vectors - self._mean
        result: Floats = moved / np.maximum(np.linalg.norm(moved, axis=-1, keepdims=True), 1e-9)
        return result


class Looks:
    """Questions by their words and pieces of words, compared by the cosine of the sets."""

    def __init__(self, questions: Sequence[str]) -> None:
        self._questions = questions
        rows = defaultdict[str, list[int]](list)
        for row, question in enumerate(questions):
            for gram in grams(question):
                rows[gram].append(row)
        self._rows = {gram: np.array(found) for gram, found in rows.items()}
        self._lengths = np.array([max(1, len(grams(question))) ** 0.5 for question in questions])

    def likeness(self, question: str) -> Floats:
        """The cosine to each of the questions."""
        found = grams(question)
        shared = np.zeros(len(self._lengths))
        for gram in found & self._rows.keys():
            shared[self._rows[gram]] += 1
        result: Floats = shared / (self._lengths * max(1, len(found)) ** 0.5)
        return result

    def share_alike(self, entries: Sequence[str]) -> float:
        """Of how many questions the nearest other one is of the same entry."""
        likeness = np.stack([self.likeness(question) for question in self._questions])
        np.fill_diagonal(likeness, -1)
        return float(np.mean([entries[near] == entry for near, entry in zip(likeness.argmax(axis=1), entries, strict=True)]))
