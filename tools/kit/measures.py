"""Numbers with units, as shops and customers write them: "500ml", 「1.5公斤」, "30 inch", 「13寸」; all in one unit a quantity."""

import re
from dataclasses import dataclass
from typing import Literal

from tools.kit.reading import chinese_number

Quantity = Literal["length", "volume", "mass", "power", "charge"]

_UNITS: dict[Quantity, dict[str, float]] = {
    # mm
    "length": {
        "mm": 1, "millimetre": 1, "millimeter": 1, "毫米": 1, "cm": 10, "centimetre": 10, "centimeter": 10, "厘米": 10, "公分": 10,
        "m": 1000, "metre": 1000, "meter": 1000, "米": 1000, "inch": 25.4, "inche": 25.4, "''": 25.4, '"': 25.4, "”": 25.4,
        "英寸": 25.4, "寸": 25.4, "ft": 304.8, "foot": 304.8, "feet": 304.8, "英尺": 304.8,
    },
    # ml
    "volume": {
        "ml": 1, "millilitre": 1, "milliliter": 1, "毫升": 1, "cl": 10, "l": 1000, "litre": 1000, "liter": 1000, "升": 1000, "公升": 1000,
        "qt": 946.353, "quart": 946.353, "gal": 3785.41, "gallon": 3785.41, "fl oz": 29.5735,
    },
    # g
    "mass": {
        "g": 1, "gram": 1, "gramme": 1, "克": 1, "kg": 1000, "kilo": 1000, "kilogram": 1000, "公斤": 1000, "千克": 1000, "斤": 500,
        "两": 50, "lb": 453.592, "lbs": 453.592, "pound": 453.592, "磅": 453.592, "oz": 28.3495, "ounce": 28.3495, "盎司": 28.3495,
    },
    "power": {"w": 1, "watt": 1, "瓦": 1, "kw": 1000, "千瓦": 1000},
    "charge": {"mah": 1, "毫安": 1, "毫安时": 1},
}  # fmt: skip
_FACTORS = {unit: (quantity, factor) for quantity, units in _UNITS.items() for unit, factor in units.items()}
_UNIT = "|".join(
    f"{re.escape(unit)}s?(?![a-z])" if unit.isascii() and unit[-1].isalpha() else re.escape(unit)
    for unit in sorted(_FACTORS, key=len, reverse=True)
)
# A bare "in" is left out: "the 40 in black" is a size in a colour.
_MEASURE = re.compile(
    rf"(?<![\w$€£¥.])(\d{{1,6}}(?:[.,]\d{{1,3}})?)\s?-?\s?({_UNIT})"
    r"|([一二两三四五六七八九十百]{1,4})(米|厘米|公分|英寸|寸|毫升|升|公斤|千克|斤|克)",
    re.I | re.A,
)
# What a customer's own body measures is no wish for a product's size.
_BODY = re.compile(r"(?:身高|体重|\bheight|\btall|\bweigh|\bi'?m\b)\D{0,12}$", re.I)
SAME = 0.02
"""By what share two measures may differ and be called the same: a shop rounds where it converts inches."""


@dataclass(frozen=True)
class MeasureOf:
    """So many millimetres, millilitres, grams, watts or milliampere-hours; `written` is how it stood in the text."""

    quantity: Quantity
    amount: float
    written: str

    def is_same(self, other: "MeasureOf") -> bool:
        """Whether both are as long, heavy or large, but for rounding."""
        return self.quantity == other.quantity and abs(self.amount - other.amount) <= SAME * max(self.amount, other.amount)

    @property
    def word(self) -> str:
        """The measure as one word for search, the same for every way to write it: "0.5 l" and 「500毫升」 are "volume500"."""
        return f"{self.quantity}{float(f'{self.amount:.3g}'):g}"


def measures_in(text: str) -> list[MeasureOf]:
    """The measures that the text names, but for those of a body."""
    found = []
    for match in _MEASURE.finditer(text):
        if _BODY.search(text[: match.start()]):
            continue
        unit = (match[2] or match[4]).lower()
        quantity, factor = _FACTORS[unit if unit in _FACTORS else unit.removesuffix("s")]
        number = float(match[1].replace(",", ".")) if match[1] else chinese_number(match[3])
        if number:
            found.append(MeasureOf(quantity, number * factor, match[0].strip()))
    return found
