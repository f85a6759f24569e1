"""What the chooser makes of a message."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 10
"""Of confidence, for the calibration error."""


@dataclass(frozen=True)
class Evidence:
    """`shares`: each tool's (or "reply"'s) probability, the likeliest first; `talk`: which small talk it would be."""

    shares: dict[str, float]
    talk: str


def calibration_error(sure: Sequence[float], right: Sequence[bool]) -> float:
    """Expected calibration error: how far confidence and accuracy lie apart, on average over `BINS` bins of equal width."""
    confidence, correct = np.asarray(sure, dtype=float), np.asarray(right, dtype=float)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    apart = ((bins == each) for each in np.unique(bins))
    return float(sum(inside.mean() * abs(confidence[inside].mean() - correct[inside].mean()) for inside in apart))
