"""Makes reports that people look at: one HTML file with everything in it, light and dark, without a script or a foreign address.

Every text that is put in is escaped; what these functions return is HTML and is put in as it is. The shapes stand in report.html.jinja.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

Value = str | int | float | Markup
Kind = Literal["good", "warn", "bad", "plain"]
_LABEL_MOST = 300


@dataclass(frozen=True)
class Line:
    """Something said: `speaker` gives it its colour, `name` what stands above it, `notes` small print below."""

    speaker: Literal["customer", "human", "agent", "system"]
    text: str
    name: str = ""
    notes: tuple[str | Markup, ...] = ()
    language: str | None = None


def page(title: str, lead: str, parts: Sequence[Markup], made: str = "") -> str:
    """A whole HTML document; `made` is its last line (when, from what)."""
    return str(_shape("page", title, lead, parts, made))


def section(heading: str, *parts: Markup, note: str = "") -> Markup:
    """A part of the page under a heading."""
    return _shape("section", heading, parts, note)


def figures(values: Mapping[str, Value]) -> Markup:
    """Key figures as tiles."""
    return _shape("figures", values)


def table(header: Sequence[str], rows: Sequence[Sequence[Value]]) -> Markup:
    """A table; numbers stand to the right."""
    return _shape("table", header, rows)


def bar_chart(
    title: str, bars: Mapping[str, float | Mapping[str, float]], digits: int = 0, most: float | None = None
) -> Markup:
    """Horizontal bars as SVG; a bar given as a mapping is stacked, with one colour and a legend entry for each of its names.

    `most` is the value of a bar of full length: the largest one if it is not given.
    """
    parts = {label: bar if isinstance(bar, Mapping) else {"": bar} for label, bar in bars.items()}
    series = list(dict.fromkeys(name for bar in parts.values() for name in bar))
    drawn = [
        {
            "label": label,
            "total": sum(bar.values()),
            "parts": [{"series": series.index(name), "value": value} for name, value in bar.items()],
        }
        for label, bar in parts.items()
    ]
    longest = most if most is not None else max((sum(bar.values()) for bar in parts.values()), default=0)
    label_px = min(_LABEL_MOST, 20 + max((_width_px(label) for label in parts), default=0))
    return _shape("bar_chart", title, drawn, series, longest, label_px, digits)


def conversation(rows: Sequence[Sequence[Line]]) -> Markup:
    """A conversation from top to bottom; the lines of one row stand beside each other."""
    return _shape("conversation", rows)


def badge(text: str, kind: Kind = "plain") -> Markup:
    """A word or two in a coloured frame."""
    return _shape("badge", text, kind)


def fold(summary: str | Markup, *parts: Markup, is_open: bool = False) -> Markup:
    """Parts that are shown when their summary is clicked."""
    return _shape("fold", summary, parts, is_open)


def _shape(name: str, *values: Any) -> Markup:
    shape: Markup = getattr(_shapes(), name)(*values)
    return shape


@cache
def _shapes() -> Any:
    # Undefined names are errors, as in the prompts.
    place = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    return place.get_template("report.html.jinja").module


def _width_px(text: str) -> int:
    return sum(12 if unicodedata.east_asian_width(character) in "WF" else 7 for character in text)
