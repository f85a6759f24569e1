"""A woman's chest, waist and hips from her height and weight: an estimate that knows how far it may be off, and for whom it holds.

A body is taken for a column: with volume as weight, its girth grows with the square root of weight ÷ height. Each girth is
    a + b · height + c · √(weight / height)         height in m, weight in kg, girth in mm
with an error that grows with the girth. The figures are data, body_women.json, made by `python -m tools.sizes.fit FILE`.
It does not know men, children, pregnancy or anybody outside the heights and weights it was fitted on: there it gives nothing.
"""

import json
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

Girth = Literal["chest", "waist", "hips"]
GIRTHS: tuple[Girth, ...] = ("chest", "waist", "hips")
Spoken = Literal["stated", "measured"]
"""Whether height and weight are what the woman says of herself, or were measured: people round, and say they are taller."""
MODEL = Path(__file__).with_name("body_women.json")
Z_80 = 1.2816
"""Standard deviations on either side that hold 80 % of a normal distribution."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GirthModel(_Data):
    """Coefficients of one girth; `error_share` is the standard deviation of the error as a share of the girth."""

    constant: float
    height: float
    column: float
    error_share: float
    mean_error_mm: float
    """Mean absolute error in ten-fold cross-validation."""


class BodyModel(_Data):
    """body_women.json: the regressions and everything one has to know before believing them."""

    source: str
    licence: str
    population: str
    people: int
    file_sha256: str
    """Of the file it was fitted on, so that a benchmark knows whether it is judged by its own people."""
    height_mm: tuple[int, int]
    weight_g: tuple[int, int]
    bmi: tuple[float, float]
    navel_over_narrowest_mm: int
    """The waist here is measured at the navel; charts mean the narrowest place, which is this much less."""
    navel_source: str
    girths: dict[Spoken, dict[Girth, GirthModel]]
    error_correlation: dict[Spoken, dict[str, float]]
    """How the errors of two girths go together: {"chest waist": 0.39, …}."""


class Estimate(_Data):
    """A girth in mm: the expectation and its standard deviation."""

    mm: int
    sd_mm: float

    @property
    def interval_80(self) -> tuple[int, int]:
        """The range that holds the true girth of four women in five."""
        return round(self.mm - Z_80 * self.sd_mm), round(self.mm + Z_80 * self.sd_mm)


@cache
def body_model() -> BodyModel:
    """The model as shipped."""
    return BodyModel.model_validate(json.loads(MODEL.read_text(encoding="utf-8")))


def columns(height_mm: float, weight_g: float) -> tuple[float, float, float]:
    """What the regression multiplies its coefficients with: 1, height in m, √(kg / m)."""
    height = height_mm / 1000
    return 1.0, height, sqrt(weight_g / 1000 / height)


def holds_for(height_mm: int, weight_g: int, model: BodyModel | None = None) -> bool:
    """Whether somebody this tall and heavy is within what the model was fitted on."""
    model = model or body_model()
    bmi = weight_g / 1000 / (height_mm / 1000) ** 2
    return (
        model.height_mm[0] <= height_mm <= model.height_mm[1]
        and model.weight_g[0] <= weight_g <= model.weight_g[1]
        and model.bmi[0] <= bmi <= model.bmi[1]
    )


def estimate_woman(
    height_mm: int, weight_g: int, spoken: Spoken = "stated", model: BodyModel | None = None
) -> dict[Girth, Estimate] | None:
    """Chest, waist (at the navel) and hips of an adult woman; None outside the model's range.

    Source: fitted on ANSUR II, women (see body_women.json); girth as √(weight / height) is the circumference of a cylinder.
    """
    model = model or body_model()
    if not holds_for(height_mm, weight_g, model):
        return None
    estimates: dict[Girth, Estimate] = {}
    for girth, each in model.girths[spoken].items():
        one, height, column = columns(height_mm, weight_g)
        mm = each.constant * one + each.height * height + each.column * column
        estimates[girth] = Estimate(mm=round(mm), sd_mm=mm * each.error_share)
    return estimates


def error_correlation(first: Girth, second: Girth, spoken: Spoken = "stated") -> float:
    """How far the errors of two girths go the same way, from -1 to 1."""
    if first == second:
        return 1.0
    pairs = body_model().error_correlation[spoken]
    return pairs.get(f"{first} {second}", pairs.get(f"{second} {first}", 0.0))
