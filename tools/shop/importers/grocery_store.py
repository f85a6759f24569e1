"""Reads the Grocery Store Dataset: classes.csv, with a catalogue picture and an English description for each class.

A class becomes a product. The source has no prices and counts no stock: both stay unknown.
Source: Klasson et al. 2019, arXiv:1901.00711; github.com/marcusklasson/GroceryStoreDataset.
"""

import csv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tools.kit.errors import ImportFailed
from tools.shop.importers.source import (
    MAX_LINE_BYTES,
    Entry,
    Located,
    Note,
    Rejected,
    check,
    file_below,
    read_lines,
    required_file,
)
from tools.shop.types import LocalText, Product, ShopInfo

_COLUMNS = ("Class Name (str)", "Coarse Class Name (str)", "Iconic Image Path (str)", "Product Description Path (str)")


def read(source: Path) -> Iterator[Entry]:
    """Read a folder with classes.csv and the pictures and descriptions that it names."""
    path = required_file(source, "classes.csv")
    # The pictures and texts were taken from a Swedish shop's site.
    info = ShopInfo(name=LocalText(en="Grocery Store"), currency="SEK", timezone="Europe/Stockholm")
    yield Located("classes.csv", info)
    columns: list[str] | None = None
    for where, line in read_lines(path):
        if isinstance(line, Rejected):
            yield line
            continue
        try:
            cells = next(csv.reader([line]))
        except csv.Error as error:
            yield Rejected(where, str(error))
            continue
        if columns is None:
            columns = cells
            if missing := [column for column in _COLUMNS if column not in columns]:
                raise ImportFailed(f"'{path}' has no column '{missing[0]}'; is it the dataset's classes.csv?")
        elif len(cells) != len(columns):
            yield Rejected(where, f"{len(cells)} cells instead of {len(columns)}")
        else:
            row = dict(zip(columns, cells, strict=True))
            yield from _read_class(source, where, *(row[column].strip() for column in _COLUMNS))


def _read_class(source: Path, where: str, name: str, coarse: str, picture_path: str, text_path: str) -> Iterator[Entry]:
    picture = file_below(source, picture_path.lstrip("/"))
    if not picture:
        yield Note(where, f"picture '{picture_path}' is not there: left out")
    description = _read_text(source, text_path)
    if not description:
        yield Note(where, f"description '{text_path}' is not there or no text: left out")
    file_name = f"{name}{PurePosixPath(picture_path).suffix}"
    # "/iconic-images-and-descriptions/Fruit/Apple/…": the department is the second part.
    department = PurePosixPath(picture_path.lstrip("/")).parts[1:2]
    record = {
        "id": name,
        "title": {"en": name.replace("-", " ")},
        "description": {"en": description} if description else None,
        "category": {"en": coarse.replace("-", " ")},
        "keywords": department,
        "pictures": [file_name] if picture else [],
        "variants": [{"id": name, "price_cents": None, "stock": None}],
    }
    product = check(where, Product, record)
    if isinstance(product, Rejected):
        yield product
    else:
        yield Located(where, product, {file_name: picture} if picture else {})


def _read_text(source: Path, name: str) -> str | None:
    path = file_below(source, name.lstrip("/"))
    if not path or path.stat().st_size > MAX_LINE_BYTES:
        return None
    try:
        return path.read_text("utf-8").strip()
    except UnicodeDecodeError:
        return None
