"""Fit the body model anew: `python -m tools.sizes.fit FILE [--write]`.

FILE is a CSV like ANSUR II's: stature, chestcircumference, waistcircumference, buttockcircumference in mm, weightkg in 100 g, Heightin
(inches) and Weightlbs as the person said them. It prints the cross-validated errors of several forms of regression; --write
puts the chosen one into tools/sizes/body_women.json.
"""

import argparse
import csv
import hashlib
import io
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.sizes.body import GIRTHS, MODEL, BodyModel, Girth, GirthModel, Spoken

Floats = NDArray[np.float64]
FOLDS = 10
GRAMS_PER_POUND = 453.59237
MM_PER_INCH = 25.4
COLUMNS: dict[Girth, str] = {"chest": "chestcircumference", "waist": "waistcircumference", "hips": "buttockcircumference"}
FORMS: dict[str, Callable[[Floats, Floats], list[Floats]]] = {
    "height, weight": lambda h, w: [h, w],
    "BMI": lambda h, w: [w / h**2],
    "height, BMI": lambda h, w: [h, w / h**2],
    "height, √(weight/height)": lambda h, w: [h, np.sqrt(w / h)],
    "log height, log weight": lambda h, w: [np.log(h), np.log(w)],
    "quadratic": lambda h, w: [h, w, h * h, h * w, w * w],
}
CHOSEN = "height, √(weight/height)"


class People(NamedTuple):
    """Measured people, one row each: mm and grams."""

    height: dict[Spoken, Floats]
    weight: dict[Spoken, Floats]
    girths: dict[Girth, Floats]
    file_sha256: str


def read_people(path: Path) -> People:
    """Read a file of measured people; raises ValueError naming a column that is missing."""
    content = path.read_bytes()
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    needed = ["stature", "weightkg", "Heightin", "Weightlbs", *COLUMNS.values()]
    if not rows or (missing := [name for name in needed if name not in rows[0]]):
        raise ValueError(f"'{path}' has no {', '.join(missing) if rows else 'rows'}; it needs the columns {', '.join(needed)}.")
    read: dict[str, Floats] = {name: np.array([float(row[name]) for row in rows]) for name in needed}
    return People(
        height={"measured": read["stature"], "stated": read["Heightin"] * MM_PER_INCH},
        weight={"measured": read["weightkg"] * 100, "stated": read["Weightlbs"] * GRAMS_PER_POUND},
        girths={girth: read[COLUMNS[girth]] for girth in GIRTHS},
        file_sha256=hashlib.sha256(content).hexdigest(),
    )


def folds_of(people: int) -> NDArray[np.int64]:
    """Which of the folds each person is held out in; always the same."""
    return np.random.default_rng(0).permutation(people) % FOLDS


def _design(form: str, height: Floats, weight: Floats) -> Floats:
    h, w = height / 1000, weight / 1000
    return np.column_stack([np.ones_like(h), *FORMS[form](h, w)])


def held_out(form: str, height: Floats, weight: Floats, girth: Floats) -> Floats:
    """Each person's girth as estimated by a model that never saw that person."""
    design, folds, estimated = _design(form, height, weight), folds_of(len(girth)), np.empty(len(girth))
    for fold in range(FOLDS):
        known = folds != fold
        weights = np.linalg.lstsq(design[known], girth[known], rcond=None)[0]
        estimated[~known] = design[~known] @ weights
    return estimated


def fit(people: People, chosen: NDArray[np.bool_] | None = None) -> BodyModel:
    """The model of these people, or of those of them that `chosen` marks; its errors are cross-validated ones."""
    keep = np.ones(len(people.girths["chest"]), dtype=np.bool_) if chosen is None else chosen
    girths: dict[Spoken, dict[Girth, GirthModel]] = {"stated": {}, "measured": {}}
    correlation: dict[Spoken, dict[str, float]] = {}
    for spoken, models in girths.items():
        height, weight = people.height[spoken][keep], people.weight[spoken][keep]
        errors: dict[Girth, Floats] = {}
        for girth in GIRTHS:
            truth = people.girths[girth][keep]
            constant, slope, column = np.linalg.lstsq(_design(CHOSEN, height, weight), truth, rcond=None)[0]
            estimated = held_out(CHOSEN, height, weight, truth)
            errors[girth] = truth - estimated
            models[girth] = GirthModel(
                constant=round(float(constant), 3),
                height=round(float(slope), 3),
                column=round(float(column), 3),
                error_share=round(float(np.std(errors[girth] / estimated)), 5),
                mean_error_mm=round(float(np.mean(np.abs(errors[girth]))), 1),
            )
        correlation[spoken] = {
            f"{first} {second}": round(float(np.corrcoef(errors[first], errors[second])[0, 1]), 2)
            for first, second in combinations(GIRTHS, 2)
        }
    height, weight = people.height["measured"][keep], people.weight["measured"][keep]
    bmi = (weight / 1000) / (height / 1000) ** 2
    return BodyModel(
        source="ANSUR II (2012 Anthropometric Survey of US Army Personnel), women; Gordon et al. 2014, NATICK/TR-15/007",
        licence="public domain (US Government work)",
        population="adult women of the US Army, 17 to 58 years old",
        people=int(keep.sum()),
        file_sha256=people.file_sha256,
        height_mm=(int(height.min()), int(height.max())),
        weight_g=(int(weight.min()), int(weight.max())),
        bmi=(round(float(bmi.min()), 1), round(float(bmi.max()), 1)),
        navel_over_narrowest_mm=82,
        navel_source="292 women, narrowest waist 78.6 cm, at the navel 86.8 cm: jsmj.ajums.ac.ir/article_45397.html",
        girths=girths,
        error_correlation=correlation,
    )


def _report(people: People) -> str:
    lines = [f"{len(people.girths['chest'])} people, {FOLDS}-fold cross-validation, mean absolute error in mm"]
    for spoken in ("stated", "measured"):
        lines.append(f"from {spoken} height and weight:  {'':16}" + "".join(f"{girth:>8}" for girth in GIRTHS))
        for form in FORMS:
            errors = [
                np.mean(np.abs(truth - held_out(form, people.height[spoken], people.weight[spoken], truth)))
                for truth in people.girths.values()
            ]
            lines.append(f"  {form:<44}" + "".join(f"{error:8.1f}" for error in errors))
    return "\n".join(lines)


def main() -> None:
    """Read the file, print the errors, and write the model where that is asked for."""
    options = argparse.ArgumentParser(prog="python -m tools.sizes.fit", description="Fit the body model of women.")
    options.add_argument("file", type=Path, help="measured people, as CSV")
    options.add_argument("--write", action="store_true", help=f"write {MODEL.name}")
    given = options.parse_args()
    people = read_people(given.file)
    sys.stdout.write(_report(people) + "\n")
    if given.write:
        MODEL.write_text(fit(people).model_dump_json(indent=2) + "\n", encoding="utf-8")
        sys.stdout.write(f"wrote {MODEL}\n")


if __name__ == "__main__":
    main()
