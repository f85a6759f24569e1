"""The words' part of the chooser: a linear classifier on the text encoder's vector, the sentence's letters and words, and the situation."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from agent.chooser.situation import Situation
from tools.catalog.grams import grams

BUCKETS = 8192
"""Letters and words are hashed into so many features."""
VECTOR_SCALE, GRAM_SCALE, SITUATION_SCALE = 12.0, 12.0, 0.3
"""How much each kind of feature may say; chosen on the labelled dev sentences among 5 to 30, 0 to 12 and 0.3."""
_ITERATIONS = 200

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Linear:
    """`weights` is features × labels; `mean` the mean of the vectors it was fitted on."""

    mean: Floats
    weights: Floats
    bias: Floats

    @classmethod
    def fit(cls, sentences: Sequence[str], vectors: Floats, situations: Sequence[Situation], right: Floats) -> Self:
        """Fit on labelled sentences; `vectors` is sentences × dimensions, `right` sentences × labels, as `losses` reads it."""
        mean = vectors.mean(axis=0)
        rows = np.stack([features(*each, mean) for each in zip(sentences, vectors, situations, strict=True)])
        inputs, target = torch.from_numpy(rows), torch.from_numpy(right)
        weights = torch.zeros(rows.shape[1], right.shape[1], requires_grad=True)
        bias = torch.zeros(right.shape[1], requires_grad=True)
        optimizer = torch.optim.LBFGS([weights, bias], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            value = losses((inputs @ weights + bias).log_softmax(-1), target).mean()
            value = value + weights.square().sum() / len(target)
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        return cls(mean, weights.detach().numpy(), bias.detach().numpy())

    def shares(self, sentence: str, vector: Floats, situation: Situation) -> Floats:
        """The probability of each label: they add up to 1."""
        scores = features(sentence, vector, situation, self.mean) @ self.weights + self.bias
        odds = np.exp(scores - scores.max())
        result: Floats = odds / odds.sum()
        return result


def losses(log_shares: torch.Tensor, right: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """How unlikely the right labels are, a number for each row of logarithms of shares (… × labels).

    A row of `right` that adds up to 1 tells how much of the share each label should have; a row with several ones, that any of these
    is right. `smoothing` is the part of the share that is spread over all labels, where it is known which one is right.
    """
    spread = right * (1 - smoothing) + smoothing / right.shape[-1]
    some = -log_shares.masked_fill(right == 0, -torch.inf).logsumexp(-1)
    return torch.where(right.sum(-1) > 1.5, some, -(spread * log_shares).sum(-1))


def features(sentence: str, vector: Floats, situation: Situation, mean: Floats) -> Floats:
    """One row: the vector around its mean, the hashed letters and words, the situation."""
    known = np.array(situation.features(), dtype=np.float32)
    return np.concatenate([(vector - mean) * VECTOR_SCALE, _hashed(sentence) * GRAM_SCALE, known * SITUATION_SCALE])


def _hashed(sentence: str) -> Floats:
    row = np.zeros(BUCKETS, dtype=np.float32)
    # crc32, because Python's own hash differs from one process to the next.
    row[[zlib.crc32(gram.encode()) % BUCKETS for gram in grams(sentence)]] = 1.0
    return row / max(1.0, float(np.linalg.norm(row)))
