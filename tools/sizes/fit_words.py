"""What buyers' reviews say of the fit: counted, word by word from prompts/fit_words.yaml, never obeyed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from tools.kit.errors import BadSettings
from tools.kit.phrases import PROMPTS, prompt_data
from tools.shop.types import Review

Fit = Literal["small", "large", "right"]
FITS: tuple[Fit, ...] = ("small", "large", "right")
ENOUGH_REMARKS = 5
"""Fewer buyers than this say nothing certain of a product."""
CLEAR_SHARE = 0.5
CLEAR_RATIO = 3


@dataclass(frozen=True)
class Verdict:
    """How many buyers wrote of the fit, and what the many of them say; `shift` is how many sizes larger to go, from -1 to 1."""

    remarks: int
    small: int
    large: int
    right: int
    fit: Fit | None

    @property
    def shift(self) -> float:
        """Up where it runs small: by the share of buyers who say so over those who say the contrary."""
        return (self.small - self.large) / self.remarks if self.fit in ("small", "large") else 0.0

    @property
    def count(self) -> int:
        """How many say what the verdict is."""
        return {"small": self.small, "large": self.large, "right": self.right}[self.fit] if self.fit else 0


@cache
def _patterns() -> dict[Fit, re.Pattern[str]]:
    path = PROMPTS / "fit_words.yaml"
    loaded = prompt_data(path.name)
    if set(loaded) != set(FITS) or not all(isinstance(words, list) for words in loaded.values()):
        raise BadSettings(f"'{path}' must list words under {', '.join(FITS)}; see the file as shipped.")
    return {fit: re.compile("|".join(_pattern(str(word)) for word in loaded[fit]), re.I | re.A) for fit in FITS}


def _pattern(word: str) -> str:
    edge = r"\b" if word.isascii() else ""
    return f"{edge}{re.escape(word)}{edge}".replace(r"\ ", r"\s+")


def fit_of(text: str) -> Fit | None:
    """What one review says of the fit: too small, too large or true to size; None if nothing or both."""
    said: set[Fit] = set()
    rest = text.replace("’", "'")
    # "doesn't run small" and 「不偏小」 hold the words of the contrary, so they are read and taken out first.
    order: tuple[Fit, ...] = ("right", "small", "large")
    for fit in order:
        pattern = _patterns()[fit]
        if pattern.search(rest):
            said.add(fit)
            rest = pattern.sub(" ", rest)
    return next(iter(said)) if len(said) == 1 else None


def verdict(reviews: Iterable[Review]) -> Verdict:
    """Count what buyers say of the fit, each buyer once; a side wins if it is enough, at least half, and three times the other."""
    votes: dict[str, Fit] = {}
    for review in reviews:
        if fit := fit_of(review.text):
            votes[review.customer_id or f"review {review.id}"] = fit
    counted = {fit: sum(vote == fit for vote in votes.values()) for fit in FITS}
    remarks = len(votes)
    winner: Fit | None = None
    for fit in FITS:
        contrary = counted["large"] if fit == "small" else counted["small"] if fit == "large" else 0
        if remarks >= ENOUGH_REMARKS and counted[fit] >= CLEAR_SHARE * remarks and counted[fit] >= CLEAR_RATIO * contrary:
            winner = fit
            break
    return Verdict(remarks, counted["small"], counted["large"], counted["right"], winner)
