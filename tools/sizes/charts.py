"""Which size of a chart fits a body, and how sure that is.

Every measure is a place on the chart: row i reaches from i - 0.5 to i + 0.5, so that a chest, a foot and a size worn elsewhere can be
averaged and their errors compared. A place with its standard deviation gives each size a probability. What lies between two
rows belongs to the larger one; where rows overlap they part in the middle. Conversions between EU, UK, US, CN and JP are what the
chart's labels say, and approximations: makers differ.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import erf, sqrt
from typing import Literal

from tools.shop.types import Product, SizeChart, SizeRow
from tools.sizes.body import GIRTHS, Girth, error_correlation
from tools.sizes.reading import Audience, Measure, SaidSize, System

For = Literal["women", "men", "kids", "unisex"]
TAPE_SD_MM: dict[Measure, float] = {"height": 10, "chest": 10, "waist": 10, "hips": 10, "foot": 3}
"""How far a customer's own tape is off, one standard deviation; assumed."""
UNKNOWN_SD = 0.6
"""How many sizes a measure that the chart asks for and nobody gave may differ from the others; assumed."""
_GENDERS: tuple[tuple[For, str], ...] = (
    ("unisex", r"\bunisex\b|男女|中性"),
    ("kids", r"\b(?:kids?|children|child|girls?|boys?|baby|babies|toddlers?)\b|童|婴"),
    ("women", r"\b(?:women|woman|ladies|female)\b|女"),
    ("men", r"\b(?:men|man|male|gentlemen)\b|男"),
)
_SHOES = re.compile(r"\b(?:shoes?|footwear|boots?|sneakers?|sandals?|slippers?)\b|鞋|靴", re.I | re.A)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Place:
    """Where on a chart something lies, in sizes from its first row, and its standard deviation."""

    at: float
    sd: float


@dataclass(frozen=True)
class Measured:
    """A length in mm with its standard deviation; `estimated` from height and weight rather than measured."""

    mm: float
    sd_mm: float
    estimated: bool = False


def sizes_of(product: Product) -> tuple[str, ...]:
    """The sizes a product is made in, in its own order."""
    return tuple(dict.fromkeys(variant.options["size"] for variant in product.variants if "size" in variant.options))


def made_for(product: Product) -> For | None:
    """Whom a product is for, by its attributes, else by its title; None where neither says."""
    told = [text for name in ("gender", "audience") if name in product.attributes for text in product.attributes[name].all()]
    for words in (told, [*product.title.all(), *product.category.all()]):
        for who, pattern in _GENDERS:
            if any(re.search(pattern, text, re.I | re.A) for text in words):
                return who
    return None


def is_shoe(product: Product) -> bool:
    """Whether the product's category is shoes."""
    return any(_SHOES.search(text) for text in product.category.all())


def chart_for(charts: Iterable[SizeChart], product: Product, audience: Audience | None = None) -> SizeChart | None:
    """The chart that holds for a product: one that names its brand wins, then its category, then whom it is for.

    A chart must have sizes that the product comes in. `audience` counts where the product is for anybody. For shoes in EU sizes
    without a chart, one is made by the Paris point.
    """
    wanted = {size.casefold() for size in sizes_of(product)}
    who = made_for(product)
    fitting: list[tuple[tuple[bool, bool, bool, int], SizeChart]] = []
    for chart in charts:
        covered = len(wanted & {row.size.casefold() for row in chart.rows})
        categories = {category.casefold() for category in chart.categories}
        for_them = chart.audience is None or chart.audience == (audience if who in ("unisex", None) else who)
        its_brand = chart.brand is None or chart.brand.casefold() == (product.brand or "").casefold()
        its_category = not categories or bool(categories & {text.casefold() for text in product.category.all()})
        if covered and for_them and its_brand and its_category:
            named = (chart.brand is not None, bool(categories), (chart.audience is None) == (who in ("unisex", None)), covered)
            fitting.append((named, chart))
    if fitting:
        return max(fitting, key=lambda pair: pair[0])[1]
    return paris_chart(wanted) if is_shoe(product) else None


def eu_of_foot(foot_mm: float) -> float:
    """The EU shoe size of a foot: Paris points of 2/3 cm, with 1.5 cm of room: EU = 1.5 × (foot in cm + 1.5)."""
    return 1.5 * (foot_mm / 10 + 1.5)


def foot_of_eu(size: float) -> float:
    """The foot in mm that an EU shoe size is made for; the inverse of `eu_of_foot`."""
    return (size / 1.5 - 1.5) * 10


def paris_chart(sizes: Iterable[str]) -> SizeChart | None:
    """A chart of foot lengths for whole EU shoe sizes; None if the sizes are no such."""
    whole = sorted({int(size) for size in sizes if size.isdigit() and 15 <= int(size) <= 52})
    rows = tuple(
        SizeRow(
            size=str(size), labels={"EU": str(size)}, foot=(round(foot_of_eu(size - 0.5)) + 1, round(foot_of_eu(size + 0.5)))
        )
        for size in whole
    )
    return SizeChart(id="paris-point", rows=rows) if rows else None


def measures_of(chart: SizeChart) -> tuple[Measure, ...]:
    """What the chart goes by: the measures that every one of its rows has."""
    names: tuple[Measure, ...] = ("chest", "waist", "hips", "height", "foot")
    return tuple(name for name in names if all(getattr(row, name) for row in chart.rows))


def _edges(chart: SizeChart, measure: Measure) -> list[float]:
    """Where one row ends and the next begins, in mm, with the ends of the chart: one more than there are rows."""
    ranges: list[tuple[int, int]] = [getattr(row, measure) for row in chart.rows]
    inner = [high + 0.5 if high < next_low else (high + next_low) / 2 for (_, high), (next_low, _) in pairwise(ranges)]
    return [ranges[0][0] - 0.5, *inner, ranges[-1][1] + 0.5]


def place_of(chart: SizeChart, measure: Measure, mm: float) -> float:
    """Where on the chart a length lies; beyond its ends it goes on as wide as the last row."""
    edges = _edges(chart, measure)
    row = next((number for number, edge in enumerate(edges[1:-1]) if mm < edge), len(edges) - 2)
    low, high = edges[row], edges[row + 1]
    return row - 0.5 + (mm - low) / max(high - low, 1.0)


def place_of_body(chart: SizeChart, body: Mapping[Measure, Measured]) -> Place | None:
    """Where on the chart a body lies: the mean over the measures; None if none of them is known.

    Errors of measures that were estimated from the same height and weight go together as far as the body model says.
    """
    asked = measures_of(chart)
    known = [name for name in asked if name in body]
    if not known:
        return None
    places = {name: place_of(chart, name, body[name].mm) for name in known}
    # How many sizes an error of one standard deviation makes, from both sides.
    errors = {
        name: (
            place_of(chart, name, body[name].mm + body[name].sd_mm) - place_of(chart, name, body[name].mm - body[name].sd_mm)
        )
        / 2
        for name in known
    }
    variance = 0.0
    for first in known:
        for second in known:
            together = 1.0 if first == second else 0.0
            if first != second and body[first].estimated and body[second].estimated:
                together = _together(first, second)
            variance += together * errors[first] * errors[second]
    missing = 1 - len(known) / len(asked)
    return Place(
        at=sum(places.values()) / len(known), sd=sqrt(max(variance, 0.0) / len(known) ** 2 + (missing * UNKNOWN_SD) ** 2)
    )


def _together(first: Measure, second: Measure) -> float:
    girths: dict[str, Girth] = {girth: girth for girth in GIRTHS}
    return error_correlation(girths[first], girths[second]) if first in girths and second in girths else 0.0


def place_of_size(chart: SizeChart, said: SaidSize) -> float | None:
    """Where on the chart a size lies that the customer calls by one of its names: "M", EU 38, JP 23.5; None if it has no such."""
    for number, row in enumerate(chart.rows):
        if said.system is None and row.size.casefold() == said.size.casefold():
            return float(number)
    if not _NUMBER.fullmatch(said.size):
        labels = [number for number, row in enumerate(chart.rows) if _is_label(row, said)]
        return float(labels[0]) if labels else None
    value = float(said.size)
    if said.system in ("CN", "JP") and "foot" in measures_of(chart):
        # These two are the length of the foot: JP in cm; CN in mm, or else an EU number.
        foot = value * 10 if value < 40 and said.system == "JP" else value
        if foot >= 80:
            place = place_of(chart, "foot", foot)
            return place if -0.6 <= place <= len(chart.rows) - 0.4 else None
    system: System = said.system if said.system and not (said.system == "CN" and "foot" in measures_of(chart)) else "EU"
    return _place_of_number([_numbers(row, system) for row in chart.rows], value)


def _place_of_number(labels: Sequence[tuple[float, float] | None], value: float) -> float | None:
    """A number among labels like (36, 38): inside one of them, or halfway between two."""
    for number, label in enumerate(labels):
        if label and label[0] <= value <= label[1]:
            low, high = label
            return number + (0.0 if high == low else ((value - low) / (high - low) - 0.5) / 2)
    for number, (left, right) in enumerate(pairwise(labels)):
        if left and right and left[1] < value < right[0]:
            return number + 0.5
    return None


def _numbers(row: SizeRow, system: System) -> tuple[float, float] | None:
    label = row.labels.get(system) or (row.size if system == "EU" else "")
    if "/" in label:
        return None
    numbers = [float(number) for number in _NUMBER.findall(label)]
    return (numbers[0], numbers[-1]) if numbers else None


def _is_label(row: SizeRow, said: SaidSize) -> bool:
    labels = [row.labels.get(said.system, "")] if said.system else list(row.labels.values())
    parts = [part.strip().casefold() for label in labels for part in re.split(r"\s*[–,;]\s*|\s+or\s+", label)]
    return said.size.casefold() in parts or (said.system is not None and said.size.casefold() == row.size.casefold())


def place_on(chart: SizeChart, other: SizeChart, at: float) -> float | None:
    """Where on `chart` somebody lies who wears the size at `at` of another chart, by the bodies that both are made for."""
    row = other.rows[min(max(round(at), 0), len(other.rows) - 1)]
    shared = [name for name in measures_of(chart) if name in measures_of(other)]
    if not shared:
        return None
    return sum(place_of(chart, name, sum(getattr(row, name)) / 2) for name in shared) / len(shared)


def combined(places: Iterable[Place]) -> Place | None:
    """One place from several that were found independently, the surer ones counting more; None of none."""
    listed = list(places)
    if not listed:
        return None
    weights = [1 / max(place.sd, 0.05) ** 2 for place in listed]
    return Place(
        at=sum(weight * place.at for weight, place in zip(weights, listed, strict=True)) / sum(weights),
        sd=1 / sqrt(sum(weights)),
    )


@dataclass(frozen=True)
class Odds:
    """How likely each size is the right one; `smaller` and `larger` are the odds that the chart has none."""

    sizes: tuple[float, ...]
    smaller: float
    larger: float

    @property
    def best(self) -> int:
        """The likeliest row."""
        return max(range(len(self.sizes)), key=self.sizes.__getitem__)

    @property
    def runner_up(self) -> int | None:
        """The second likeliest row; None in a chart of one."""
        return max((row for row in range(len(self.sizes)) if row != self.best), key=self.sizes.__getitem__, default=None)

    def doubted(self, row: int, share: float) -> "Odds":
        """The same with one row's odds cut to `share` of what they were."""
        cut = [odds * (share if number == row else 1) for number, odds in enumerate(self.sizes)]
        total = sum(cut) + self.smaller + self.larger
        return Odds(tuple(odds / total for odds in cut), self.smaller / total, self.larger / total)


def odds_of(chart: SizeChart, place: Place) -> Odds:
    """The odds of each size of the chart for a body at this place."""
    sd = max(place.sd, 0.05)
    below = [(1 + erf((edge - 0.5 - place.at) / sd / sqrt(2))) / 2 for edge in range(len(chart.rows) + 1)]
    return Odds(tuple(high - low for low, high in pairwise(below)), smaller=below[0], larger=1 - below[-1])
