"""What an importer yields, and how its files are read without trusting them.

A reader is a function `read(source: Path) -> Iterator[Entry]`. It yields the shop info first, then products, customers, orders,
clauses and baskets, raises ImportFailed where the source as a whole is unusable, and yields Rejected for a bad row.
"""

import codecs
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from tools.kit.errors import ImportFailed
from tools.shop.sqlite_shop import ShopRecord, is_picture_name

MAX_LINE_BYTES = 1_000_000
Price = Annotated[Decimal, Field(ge=0, le=10**12, max_digits=15, decimal_places=2)]
"""A price in whole units as sources write it; more than two decimals is an error, never rounded."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Located:
    """A record and where it stands in the source, like "products.jsonl:17".

    `pictures` maps a product's names to files; `picture_urls` are addresses of more, fetched only where the person allows it.
    """

    where: str
    record: ShopRecord
    pictures: Mapping[str, Path] = field(default_factory=dict)
    picture_urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rejected:
    """A row that was not taken over, and why."""

    where: str
    reason: str


@dataclass(frozen=True)
class Note:
    """Something that was taken over in part, or left out on purpose."""

    where: str
    text: str


Entry = Located | Rejected | Note
Reader = Callable[[Path], Iterator[Entry]]


def cents(price: Decimal) -> int:
    """A price in integer minor units, exactly."""
    return int(price * 100)


def required_file(folder: Path, name: str) -> Path:
    """The file `name` in `folder`. Raises ImportFailed if there is none."""
    path = folder / name
    if not path.is_file():
        raise ImportFailed(f"'{folder}' has no {name}; name the folder that holds it, or another FORMAT.")
    return path


def file_below(folder: Path, name: str) -> Path | None:
    """The file `name` somewhere below `folder`; None if there is none, or if a name or a link leads out of the folder."""
    if not is_picture_name(name):
        return None
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder.resolve()) and path.is_file() else None


def read_lines(path: Path) -> Iterator[tuple[str, str | Rejected]]:
    """Every line that is not blank, with its place; Rejected for one that is too long or not UTF-8. Never holds more than one."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            where = f"{path.name}:{number}"
            if len(line) > MAX_LINE_BYTES:
                while line and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE_BYTES)
                yield where, Rejected(where, f"the line is longer than {MAX_LINE_BYTES:,} bytes")
                continue
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            try:
                text = line.decode().strip()
            except UnicodeDecodeError as error:
                yield where, Rejected(where, f"not UTF-8: byte 0x{line[error.start]:02x} at position {error.start + 1}")
                continue
            if text:
                yield where, text


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object that a whole file is. Raises ImportFailed if it is none."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ImportFailed(f"'{path}' is not valid JSON ({error}); mend it or fetch it again.") from error
    if not isinstance(content, dict):
        raise ImportFailed(f"'{path}' holds no JSON object but a {type(content).__name__}; is it the right file?")
    return content


def check_json(where: str, model: type[Model], text: str) -> Model | Rejected:
    """The record that a line of JSON holds, or why it holds none."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        return Rejected(where, reason(error))


def check(where: str, model: type[Model], values: object) -> Model | Rejected:
    """The record that these values make, or why they make none."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        return Rejected(where, reason(error))


def reason(error: ValidationError) -> str:
    """The first three things wrong with a record, like "variants.0.price_cents: Input should be a valid integer ('12,00')"."""
    found = error.errors(include_url=False, include_context=False)
    sentences = []
    for detail in found[:3]:
        place = ".".join(str(part) for part in detail["loc"])
        value = detail["input"]
        shown = f" ({value!r:.60})" if isinstance(value, str | int | float) and detail["type"] != "json_invalid" else ""
        sentences.append(f"{place}: {detail['msg']}{shown}" if place else f"{detail['msg']}{shown}")
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    return "; ".join(sentences) + more
