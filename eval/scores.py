"""Rates of success over scenarios that were played several times, with what is known of their uncertainty.

pass^k is the chance that k plays of a scenario all succeed, averaged over scenarios. Source: Yao et al. 2024, arXiv:2406.12045, section 3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

Z95 = 1.959964


@dataclass(frozen=True)
class Rate:
    """A share of `scenarios`, and where it lies with 95 % certainty."""

    value: float
    low: float
    high: float
    scenarios: int


def pass_hat(results: Sequence[Sequence[bool]], k: int) -> Rate | None:
    """pass^k over scenarios, each given as its plays' successes; only those played k times count. None if there are none.

    The interval is Wilson's with scenarios, not plays, as what was drawn: plays of one scenario are much alike.
    """
    shares = [math.comb(sum(plays), k) / math.comb(len(plays), k) for plays in results if len(plays) >= k]
    if not shares:
        return None
    value, count = sum(shares) / len(shares), len(shares)
    middle = (value + Z95**2 / (2 * count)) / (1 + Z95**2 / count)
    half = Z95 / (1 + Z95**2 / count) * math.sqrt(value * (1 - value) / count + Z95**2 / (4 * count**2))
    return Rate(value, max(0.0, middle - half), min(1.0, middle + half), count)


@dataclass(frozen=True)
class Paired:
    """How two runs differ over the same scenarios: `lost` succeeded in the first only, `won` in the second only.

    `p` is McNemar's exact test: how often as large a difference would come by chance. Source: McNemar 1947.
    """

    both: int
    lost: int
    won: int
    neither: int
    p: float


def paired(pairs: Sequence[tuple[bool, bool]]) -> Paired:
    """Compare the outcomes of the same scenarios in two runs."""
    lost, won = sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)
    p = float(binomtest(lost, lost + won).pvalue) if lost + won else 1.0
    return Paired(sum(a and b for a, b in pairs), lost, won, sum(not a and not b for a, b in pairs), p)
