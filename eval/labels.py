"""What is a label worth? Accuracy against labels spent, where the most informative sentences are labelled first, and at random.

A chooser starts with one writer of each language; the other writers' sentences are the pool, and labelling one is looking up what its
writer says of it. After each step the model is fitted anew and judges what is left, as the review list does. The model is the chooser's
linear classifier, which is fitted in seconds; the tuned encoder beside it takes hours for as many fits.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from agent.chooser.chooser import TALK, evidence_of
from agent.chooser.linear import Linear
from agent.chooser.situation import Situation
from agent.examples import REPLY, Example
from agent.review import uncertainty
from eval.choose import Case
from tools.kit.errors import OperatorError

STEPS = (0, 100, 200, 400, 800, 1600)
"""Labels spent, after which is measured; the whole pool comes last."""
INFORMATIVE, RANDOM = "most informative first", "random"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 64, 24, 44, 52
"""Of the drawing, in pixels, and its margins."""
_COLORS = {INFORMATIVE: "#0b6e4f", RANDOM: "#8a6d3b"}

Floats = NDArray[np.float32]
Tell = Callable[[float, str], None]
"""Told how much of all is done, from 0 to 1, and what is being done."""


class Encoder(Protocol):
    """What is used of the text encoder."""

    def queries(self, texts: Sequence[str], /) -> Floats:
        """Vectors: shape (len(texts), dimensions)."""


@dataclass(frozen=True)
class _Labelled:
    """All sentences side by side: those that may be learnt, then the cases."""

    examples: Sequence[Example]
    cases: Sequence[Case]
    vectors: Floats
    case_vectors: Floats
    labels: list[str] = field(default_factory=list)

    def fit(self, chosen: Sequence[int]) -> Linear:
        """The classifier fitted on these examples."""
        known = [self.examples[index] for index in chosen]
        right = np.array(
            [[(label in its) / len(its) for label in self.labels] for its in map(_labels, known)], dtype=np.float32
        )
        return Linear.fit([each.say for each in known], self.vectors[list(chosen)], list(map(Situation.of, known)), right)

    def uncertainty(self, model: Linear, index: int) -> float:
        """Of one example, as the review list counts it."""
        example = self.examples[index]
        shares = model.shares(example.say, self.vectors[index], Situation.of(example))
        return uncertainty(evidence_of(shares, self.labels).shares)

    def accuracy(self, model: Linear) -> dict[str, float]:
        """The share of cases whose likeliest tool is a right one, of all and by language."""
        right: dict[str, list[bool]] = {}
        for case, vector in zip(self.cases, self.case_vectors, strict=True):
            shares = model.shares(case.say, vector, Situation(case.language, None, bool(case.photo)))
            likeliest = next(iter(evidence_of(shares, self.labels).shares))
            right.setdefault(case.language, []).append((None if likeliest == REPLY else likeliest) in case.tools)
        of_all = [each for of_language in right.values() for each in of_language]
        return {
            "accuracy": float(np.mean(of_all)),
            **{f"accuracy_{name}": float(np.mean(right[name])) for name in sorted(right)},
        }


def measure_labels(
    encoder: Encoder,
    examples: Sequence[Example],
    cases: Sequence[Case],
    *,
    steps: Sequence[int] = STEPS,
    seeds: int = 3,
    tell: Tell = lambda _share, _what: None,
) -> dict[str, Any]:
    """Both curves: labels spent and accuracy on the cases without earlier messages; at random, the mean of `seeds` orders.

    Raises OperatorError where there is no case to judge by or only one writer of each language.
    """
    judged = [case for case in cases if not case.before and case.say]
    starters = first_writers(examples)
    start = [index for index, example in enumerate(examples) if example.writer in starters]
    pool = [index for index, example in enumerate(examples) if example.writer not in starters]
    if not judged or not pool:
        raise OperatorError(
            "there is nothing to measure: it takes cases without earlier messages, and two writers of a language."
        )
    tell(0.0, "encoding the sentences")
    data = _Labelled(
        examples=examples,
        cases=judged,
        vectors=encoder.queries([example.say for example in examples]),
        case_vectors=encoder.queries([case.say for case in judged]),
        labels=sorted({label for example in examples for label in _labels(example)}),
    )
    between = [step for step in sorted(set(steps)) if 0 < step < len(pool)]
    fits, done = 2 + len(between) * (1 + seeds), 0

    def fitted(chosen: Sequence[int], what: str) -> Linear:
        nonlocal done
        tell(done / fits, what)
        model = data.fit([*start, *chosen])
        done += 1
        return model

    first = fitted([], "no label")
    at_first, at_last = data.accuracy(first), data.accuracy(fitted(pool, "all labels"))
    informed: list[dict[str, float]] = []
    chosen: list[int] = []
    model = first
    for step in between:
        left = sorted(set(pool) - set(chosen))
        by_worth = sorted(left, key=lambda index: -data.uncertainty(model, index))
        chosen = [*chosen, *by_worth[: step - len(chosen)]]
        model = fitted(chosen, f"{step} labels, {INFORMATIVE}")
        informed.append(data.accuracy(model))
    orders = [random.Random(seed).sample(pool, len(pool)) for seed in range(seeds)]
    drawn = [[data.accuracy(fitted(order[:step], f"{step} labels, {RANDOM}")) for order in orders] for step in between]
    tell(1.0, "done")
    return {
        "start": {"writers": sorted(starters), "sentences": len(start)},
        "pool": len(pool),
        "cases": len(judged),
        "curves": {
            INFORMATIVE: [
                {"labels": 0, **at_first},
                *({"labels": step, **each} for step, each in zip(between, informed, strict=True)),
                {"labels": len(pool), **at_last},
            ],
            RANDOM: [
                {"labels": 0, **at_first},
                *({"labels": step, **_over(each)} for step, each in zip(between, drawn, strict=True)),
                {"labels": len(pool), **at_last},
            ],
        },
    }


def first_writers(examples: Sequence[Example]) -> set[str]:
    """The first writer of each language, by the number in the file's name."""
    by_language: dict[str, list[str]] = {}
    for example in examples:
        by_language.setdefault(example.writer.partition("-")[0], []).append(example.writer)
    return {min(writers, key=lambda writer: (len(writer), writer)) for writers in by_language.values()}


def _labels(example: Example) -> list[str]:
    return [f"{TALK}{example.talk or 'unclear'}" if tool == REPLY else tool for tool in example.tools]


def _over(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of several runs, and the least and most of their accuracies."""
    means = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
    accuracies = [run["accuracy"] for run in runs]
    return {**means, "least": min(accuracies), "most": max(accuracies)}


def draw_curves(result: dict[str, Any]) -> str:
    """Both curves as an SVG picture; the labels' axis is a square root's, for most of what is learnt is learnt early."""
    curves: dict[str, list[dict[str, float]]] = result["curves"]
    points = [point for curve in curves.values() for point in curve]
    low = np.floor(50 * min(point.get("least", point["accuracy"]) for point in points)) / 50
    high = max(np.ceil(50 * max(point.get("most", point["accuracy"]) for point in points)) / 50, low + 0.02)

    def x(labels: float) -> float:
        return float(LEFT + (WIDTH - LEFT - RIGHT) * np.sqrt(labels / result["pool"]))

    def y(accuracy: float) -> float:
        return float(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (accuracy - low) / (high - low))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 22, f"Right tools on {result['cases']} sentences, against labels spent", size=15),
    ]
    for tick in np.arange(low, high + 1e-9, 0.02 if high - low <= 0.16 else 0.05):
        parts.append(f'<path d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>')
        parts.append(_text(LEFT - 8, y(tick) + 4, f"{tick:.0%}", anchor="end"))
    for point in curves[INFORMATIVE]:
        parts.append(f'<path d="M{x(point["labels"]):.1f} {HEIGHT - BOTTOM}v5" stroke="#444444"/>')
        parts.append(_text(x(point["labels"]), HEIGHT - BOTTOM + 19, f"{point['labels']:,.0f}", anchor="middle"))
    start = f"labels beside the {result['start']['sentences']:,} sentences of {' and '.join(result['start']['writers'])}"
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 12, start, anchor="end"))
    there = [(x(point["labels"]), point.get("least", point["accuracy"])) for point in curves[RANDOM]]
    back = [(x(point["labels"]), point.get("most", point["accuracy"])) for point in reversed(curves[RANDOM])]
    area = " ".join(f"{at:.1f},{y(accuracy):.1f}" for at, accuracy in (*there, *back))
    parts.append(f'<polygon points="{area}" fill="{_COLORS[RANDOM]}" opacity="0.15"/>')
    for number, (name, curve) in enumerate(curves.items()):
        line = [(x(point["labels"]), y(point["accuracy"])) for point in curve]
        drawn = " ".join(f"{at:.1f},{height:.1f}" for at, height in line)
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{_COLORS[name]}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{at:.1f}" cy="{height:.1f}" r="3.5" fill="{_COLORS[name]}"/>' for at, height in line]
        parts.append(_text(WIDTH - RIGHT - 8, HEIGHT - BOTTOM - 32 + 19 * number, name, anchor="end", color=_COLORS[name]))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 13, color: str = "#222222") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}">{escape(text)}</text>'
