"""Does the size advice fit? Measured people in; how far the estimates are off and how often the size is right, out.

Each person's right size is the one that the true chest, waist and hips average to on a chart; the advice sees height and weight
alone. The file is a CSV like ANSUR II's (tools/sizes/fit.py names its columns). On the very file that the shipped model was fitted
on, `shipped_model` flatters a little; there `held_out` is the honest figure: ten models, each fitted on nine tenths of the file and
judged by the rest. On other women the shipped model is what is measured.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from tools.advise_size import HIGH
from tools.kit.errors import OperatorError
from tools.shop.types import SizeChart
from tools.sizes.body import GIRTHS, BodyModel, Estimate, Girth, Spoken, body_model, estimate_woman
from tools.sizes.charts import TAPE_SD_MM, Measured, measures_of, odds_of, place_of_body
from tools.sizes.fit import FOLDS, People, fit, folds_of, read_people
from tools.sizes.reading import Measure


@dataclass(frozen=True)
class Person:
    """One measured woman: the truth, and what she says of herself."""

    girths: dict[Girth, float]
    height_mm: dict[Spoken, int]
    weight_g: dict[Spoken, int]


@dataclass(frozen=True)
class Outcome:
    """What was advised to one person; `advised` None where the model does not hold for her."""

    right: int
    advised: int | None
    odds: float
    errors_mm: dict[Girth, float]
    covered: dict[Girth, bool]


def measured_people(path: Path) -> People:
    """Read the file; raises OperatorError naming the column that is missing."""
    try:
        return read_people(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise OperatorError(f"'{path}' cannot be read as measurements ({error}); see tools/sizes/fit.py.") from error


def chart_of_women(charts: Iterable[SizeChart]) -> SizeChart:
    """The women's chart that goes by chest, waist and hips; raises OperatorError if the shop has none."""
    fitting = [chart for chart in charts if chart.audience == "women" and set(GIRTHS) <= set(measures_of(chart))]
    if not fitting:
        raise OperatorError("the shop has no women's size chart with chest, waist and hips; give another with --shop.")
    return min(fitting, key=lambda chart: (chart.brand is not None, chart.id))


def persons_of(people: People) -> list[Person]:
    """The rows of the file, one by one."""
    spoken: tuple[Spoken, ...] = ("stated", "measured")
    return [
        Person(
            girths={girth: float(people.girths[girth][row]) for girth in GIRTHS},
            height_mm={each: round(float(people.height[each][row])) for each in spoken},
            weight_g={each: round(float(people.weight[each][row])) for each in spoken},
        )
        for row in range(len(people.girths["chest"]))
    ]


def _at_narrowest(girth: Girth, mm: float, model: BodyModel) -> float:
    """The survey's waist is at the navel; a chart's is the narrowest. Truth and estimate are brought there alike."""
    return mm - model.navel_over_narrowest_mm if girth == "waist" else mm


def _body(girths: dict[Girth, Estimate], model: BodyModel) -> dict[Measure, Measured]:
    return {girth: Measured(_at_narrowest(girth, each.mm, model), each.sd_mm, estimated=True) for girth, each in girths.items()}


def right_size(chart: SizeChart, person: Person, model: BodyModel) -> int:
    """The row of the chart for the true measurements; who is beyond its ends gets the outermost."""
    body: dict[Measure, Measured] = {
        girth: Measured(_at_narrowest(girth, mm, model), TAPE_SD_MM[girth]) for girth, mm in person.girths.items()
    }
    place = place_of_body(chart, body)
    assert place is not None
    return min(max(round(place.at), 0), len(chart.rows) - 1)


def advise(chart: SizeChart, person: Person, spoken: Spoken, model: BodyModel) -> Outcome:
    """Advise one person from height and weight, and hold it against her measurements."""
    right = right_size(chart, person, model)
    estimates = estimate_woman(person.height_mm[spoken], person.weight_g[spoken], spoken, model)
    if estimates is None:
        return Outcome(right, None, 0.0, {}, {})
    place = place_of_body(chart, _body(estimates, model))
    assert place is not None
    odds = odds_of(chart, place)
    intervals = {girth: each.interval_80 for girth, each in estimates.items()}
    return Outcome(
        right=right,
        advised=odds.best,
        odds=odds.sizes[odds.best],
        errors_mm={girth: abs(each.mm - person.girths[girth]) for girth, each in estimates.items()},
        covered={girth: low <= person.girths[girth] <= high for girth, (low, high) in intervals.items()},
    )


def score(outcomes: list[Outcome]) -> dict[str, Any]:
    """Shares of right sizes among all people (nobody advised counts as wrong), errors in mm, and how often the 80 % interval holds."""
    told = [outcome for outcome in outcomes if outcome.advised is not None]
    sure = [outcome for outcome in told if outcome.odds >= HIGH]
    return {
        "people": len(outcomes),
        "not_advised": len(outcomes) - len(told),
        "size_exact": fmean(outcome.advised == outcome.right for outcome in outcomes),
        "size_within_one": fmean(
            outcome.advised is not None and abs(outcome.advised - outcome.right) <= 1 for outcome in outcomes
        ),
        "said_fairly_sure": len(sure) / len(outcomes),
        "size_exact_where_fairly_sure": fmean(outcome.advised == outcome.right for outcome in sure) if sure else None,
        "mean_error_mm": {girth: fmean(outcome.errors_mm[girth] for outcome in told) if told else None for girth in GIRTHS},
        "interval_80_holds": {girth: fmean(outcome.covered[girth] for outcome in told) if told else None for girth in GIRTHS},
    }


def baselines(chart: SizeChart, persons: list[Person], model: BodyModel) -> dict[str, Any]:
    """What costs no thought: the commonest size for everybody, and the size of the other person whose stated BMI is nearest."""
    right = np.array([right_size(chart, person, model) for person in persons])
    bmi = np.array([person.weight_g["stated"] / 1000 / (person.height_mm["stated"] / 1000) ** 2 for person in persons])
    commonest = np.full(len(right), np.bincount(right).argmax())
    apart = np.abs(bmi[:, None] - bmi[None, :])
    np.fill_diagonal(apart, np.inf)
    nearest = right[apart.argmin(axis=1)] if len(right) > 1 else right
    return {
        name: {"size_exact": float(np.mean(chosen == right)), "size_within_one": float(np.mean(abs(chosen - right) <= 1))}
        for name, chosen in (("commonest_size", commonest), ("nearest_by_bmi", nearest))
    }


def measure_sizes(path: Path, charts: Iterable[SizeChart]) -> dict[str, Any]:
    """Advise everybody in the file by the shipped model, and its own people by models that never saw them.

    The figures at the top come from stated height and weight, of models that had not seen the people.
    """
    people, chart, shipped = measured_people(path), chart_of_women(charts), body_model()
    persons = persons_of(people)
    spoken: tuple[Spoken, ...] = ("stated", "measured")
    by: dict[str, dict[Spoken, dict[str, Any]]] = {
        "shipped_model": {each: score([advise(chart, person, each, shipped) for person in persons]) for each in spoken}
    }
    its_own = people.file_sha256 == shipped.file_sha256
    if its_own:
        folds = folds_of(len(persons))
        models = [fit(people, folds != fold) for fold in range(FOLDS)]
        by["held_out"] = {
            each: score([advise(chart, person, each, models[fold]) for person, fold in zip(persons, folds, strict=True)])
            for each in spoken
        }
    chosen = "held_out" if its_own else "shipped_model"
    return {
        "chart": chart.id,
        "model_population": shipped.population,
        "model_fitted_on_this_file": its_own,
        "figures_from": f"{chosen}, stated height and weight",
        **by[chosen]["stated"],
        **by,
        "baselines": baselines(chart, persons, shipped),
    }
