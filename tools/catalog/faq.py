"""Which answer a customer's sentence asks for, learnt from example sentences of each answer; or that none of them does.

Kernel ridge regression on what the sentences mean (the text encoder's vectors) and on what they look like (words and pieces of
words, which stand typing errors): fitted in closed form within a second for a thousand sentences, so that a shop's own
questions are learnt when its catalogue is opened. It knows nothing of shops and encoders.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.catalog.grams import grams

MEANING = 0.6
"""How much of the kernel is meaning, the rest being looks."""
RIDGE = 0.2
NEAR = 1.0
"""What the likeness to the nearest example counts beside the regression in telling whether any answer is meant.

All three were chosen by cross-validation on the training sentences of HINT3 (two shops; Arora et al. 2020, arXiv:2009.13833):
0.89 and 0.90 right where the nearest sentence has 0.80 and 0.78, nearly the same for MEANING 0.3 to 0.7, RIDGE 0.03 to 0.3
and NEAR 0.5 to 2."""
FOLDS = 5

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Match:
    """The answer that fits best; `answers` is whether it is meant, `margin` how far above (or below) the line that was."""

    label: str
    margin: float

    @property
    def answers(self) -> bool:
        """Whether the sentence asks for one of the answers at all."""
        return self.margin >= 0


class Faq:
    """Answers by their example sentences. Any thread may ask."""

    def __init__(self, sentences: Sequence[str], labels: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Learn that `sentences[n]`, whose query vector is `vectors[n]` (unit length), asks for `labels[n]`.

        Raises ValueError with fewer than FOLDS labels: how sure is sure enough is found by leaving labels out.
        """
        self.labels = sorted(set(labels))
        if len(self.labels) < FOLDS:
            raise ValueError(f"{len(self.labels)} answers are too few to learn what is none of them; it takes {FOLDS}.")
        self._mean = vectors.mean(axis=0, dtype=np.float64)
        self._centred = self._around_mean(vectors)
        self._looks = _Looks(sentences)
        right = np.array([self.labels.index(label) for label in labels])
        likeness = np.stack([self._likeness(*each) for each in zip(sentences, vectors, strict=True)])
        self._weights = _fitted(likeness, right, len(self.labels))
        self._line = _line(likeness, right, len(self.labels))

    def match(self, sentence: str, vector: NDArray[np.float32]) -> Match:
        """The answer that the sentence, with its query vector, asks for."""
        likeness = self._likeness(sentence, vector)
        shares = likeness @ self._weights
        return Match(self.labels[int(shares.argmax())], float(shares.max() + NEAR * likeness.max() - self._line))

    def _likeness(self, sentence: str, vector: NDArray[np.float32]) -> Floats:
        """How like each example the sentence is: 1 for itself."""
        meaning = self._centred @ self._around_mean(vector)
        return MEANING * meaning + (1 - MEANING) * self._looks.likeness(sentence)

    def _around_mean(self, vectors: NDArray[np.float32]) -> Floats:
        """Vectors of sentences lie close together; what tells them apart is where they lie around their mean."""
        moved = vectors - self._mean
        result: Floats = moved / np.maximum(np.linalg.norm(moved, axis=-1, keepdims=True), 1e-9)
        return result


class _Looks:
    """Sentences by their words and pieces of words; compared by the cosine of the sets."""

    def __init__(self, sentences: Sequence[str]) -> None:
        rows = defaultdict[str, list[int]](list)
        for row, sentence in enumerate(sentences):
            for gram in grams(sentence):
                rows[gram].append(row)
        self._rows = {gram: np.array(found) for gram, found in rows.items()}
        self._lengths = np.array([max(1, len(grams(sentence))) ** 0.5 for sentence in sentences])

    def likeness(self, sentence: str) -> Floats:
        found = grams(sentence)
        shared = np.zeros(len(self._lengths))
        for gram in found & self._rows.keys():
            shared[self._rows[gram]] += 1
        result: Floats = shared / (self._lengths * max(1, len(found)) ** 0.5)
        return result


def _fitted(likeness: Floats, right: NDArray[np.intp], labels: int) -> Floats:
    """The weight of each example for each label: examples × labels."""
    result: Floats = np.linalg.solve(likeness + RIDGE * np.eye(len(likeness)), np.eye(labels)[right]).astype(np.float64)
    return result


def _line(likeness: Floats, right: NDArray[np.intp], labels: int) -> float:
    """The score from which a sentence counts as meaning one of the answers.

    Found on the examples: each is scored once by a fit without its fold, and once by a fit without its answer, as a sentence
    that is meant for none. Right are the first if they are answered rightly, the second if not at all; both count the same.
    """
    random = np.random.default_rng(0)
    of_example, of_label = random.permutation(len(right)) % FOLDS, random.permutation(labels) % FOLDS

    def scores(left_out: Callable[[int], NDArray[np.bool_]]) -> tuple[Floats, NDArray[np.bool_]]:
        score, hit = np.zeros(len(right)), np.zeros(len(right), dtype=bool)
        for fold in range(FOLDS):
            out = left_out(fold)
            if not out.any() or out.all():
                continue
            to_rest = likeness[np.ix_(out, ~out)]
            shares = to_rest @ _fitted(likeness[np.ix_(~out, ~out)], right[~out], labels)
            score[out] = shares.max(axis=1) + NEAR * to_rest.max(axis=1)
            hit[out] = shares.argmax(axis=1) == right[out]
        return score, hit

    covered, hit = scores(lambda fold: of_example == fold)
    uncovered, _ = scores(lambda fold: of_label[right] == fold)
    lines = np.sort(np.concatenate([covered, uncovered]))
    worth = [np.mean(hit & (covered >= line)) + np.mean(uncovered < line) for line in lines]
    return float(lines[int(np.argmax(worth))])
