"""Reads a Google Merchant feed, as text (TSV or CSV) or as XML (RSS 2.0 or Atom 1.0), beside a shop.yaml.

| attribute | becomes |
|---|---|
| id; item_group_id | the variant's id; the product's, where there is one: its items are variants, wherever they stand |
| title; description; brand | title; description as plain text; brand |
| product_type, else google_product_category | category |
| price, sale_price, sale_price_effective_date | the price, the sale's only while the sale lasts at the import; "12.00 EUR" |
| availability | stock: out_of_stock, preorder and backorder are none on hand, in_stock is an unknown count |
| color, size | options |
| material, pattern, gender, age_group, size_system | options where a product's items differ in them, else attributes |
| condition (unless new), product_detail | attributes |
| gtin, mpn | keywords |
| image_link, additional_image_link | pictures |

Source: support.google.com/merchants/answer/7052112 (product data specification) and /160569, /160593 (file formats).
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError
from zoneinfo import ZoneInfo

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from tools.kit.errors import ImportFailed
from tools.shop.importers.catalogue import catalogue_info, category, product_entries
from tools.shop.importers.plain_text import local, plain_text
from tools.shop.importers.prices import BadValue, ReadPrice, on_sale, read_price
from tools.shop.importers.source import Entry, Located, Note, Rejected
from tools.shop.importers.tables import Row, grouped, read_tables
from tools.shop.types import ShopInfo

_TEXT_FILES = (".tsv", ".txt", ".csv")
_ALWAYS_OPTIONS = ("color", "size")
_PERHAPS_OPTIONS = ("material", "pattern", "gender", "age_group", "size_system", "size_type")
_STOCK = {"in stock": None, "out of stock": 0, "preorder": 0, "backorder": 0}
_COLUMNS = (
    "id title description brand product_type google_product_category price sale_price sale_price_effective_date availability "
    "color size material pattern gender age_group size_system size_type condition product_detail gtin mpn item_group_id image_link "
    "additional_image_link"
).split()
_ALIASES = {f"g:{name}": name for name in _COLUMNS} | {name.replace("_", " "): name for name in _COLUMNS}
"""A text file may call a column "image link" or "g:image_link" too."""
_NEXT_ADDRESS = re.compile(r"\s*,\s*(?=https?://)|\n")
_NEXT_DETAIL = re.compile(r"\n|,(?=[^,:]*:[^,:]*:)")


def read(source: Path) -> Iterator[Entry]:
    """Read a folder with shop.yaml and feeds as .xml, .tsv, .txt or .csv files."""
    info = catalogue_info(source)
    yield Located("shop.yaml", info)
    for found in grouped(_rows(source), lambda row: row["item_group_id"] or row["id"] or row.where):
        if isinstance(found, list):
            yield from _product(source, info, found)
        else:
            yield found


def _rows(source: Path) -> Iterator[Row | Rejected | Note]:
    feeds = sorted(path for path in source.iterdir() if path.suffix.lower() == ".xml" and path.is_file())
    for path in feeds:
        yield from _items(path)
    if not feeds or any(path.suffix.lower() in _TEXT_FILES for path in source.iterdir()):
        # A column may be called "image link" or "g:image_link" too.
        yield from read_tables(source, _TEXT_FILES, ("id", "title", "price"), _ALIASES)


def _items(path: Path) -> Iterator[Row]:
    """The items of an XML feed; each is forgotten once it was read."""
    number = 0
    above: list[Element] = []
    try:
        with path.open("rb") as file:
            for event, element in iterparse(file, events=("start", "end")):
                if event == "start":
                    above.append(element)
                    continue
                above.pop()
                if above and _name(element) in ("item", "entry"):
                    number += 1
                    yield Row(f"{path.name}:item {number}", _cells(element))
                    above[-1].clear()
    except DefusedXmlException as error:
        raise ImportFailed(f"'{path}' defines entities, which may be an attack ({error}); a feed needs none.") from error
    except (ParseError, ValueError, LookupError) as error:
        raise ImportFailed(f"'{path}' is not valid XML after item {number} ({error}); fetch it again.") from error
    if not number:
        raise ImportFailed(f"'{path}' has no item and no entry; is it a product feed?")


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2].lower()


def _cells(item: Element) -> dict[str, str]:
    """An item's attributes; what occurs more than once is joined by line ends."""
    cells: dict[str, list[str]] = {}
    for child in item:
        # Only a product_detail has parts: section, name and value.
        text = ":".join((part.text or "").strip() for part in child or (child,))
        if text:
            cells.setdefault(_name(child), []).append(text)
    return {
        name: "\n".join(texts) if name in ("additional_image_link", "product_detail") else texts[0]
        for name, texts in cells.items()
    }


def _product(source: Path, info: ShopInfo, rows: Sequence[Row]) -> Iterator[Entry]:
    differing = [name for name in _PERHAPS_OPTIONS if len({row[name] for row in rows}) > 1]
    variants: dict[str, dict[str, object]] = {}
    rejected: set[str] = set()
    for row in rows:
        id = row["id"]
        options = {name: row[name] for name in (*_ALWAYS_OPTIONS, *differing) if row[name]}
        try:
            if not id:
                raise BadValue("the item has no id")
            if id in variants:
                raise BadValue(f"id '{id}' occurs twice; the first one is kept")
            price = _price(row, info)
            variants[id] = {"id": id, "options": options, "price_cents": price.cents, "stock": _stock(row)}
        except BadValue as error:
            rejected.add(row.where)
            yield Rejected(row.where, str(error))
            continue
        if price.lowest:
            yield Note(row.where, "its price is where a range begins: the lowest is taken")
    if not variants:
        return  # each of its rows was reported
    taken = [row for row in rows if row.where not in rejected]
    first = taken[0]
    attributes = {name.replace("_", " "): first[name] for name in _PERHAPS_OPTIONS if name not in differing}
    attributes["condition"] = "" if first["condition"].lower() == "new" else first["condition"]
    if all(_availability(row) in ("preorder", "backorder") for row in taken):
        attributes["availability"] = _availability(first)
    for detail in _NEXT_DETAIL.split(first["product_detail"]):
        # "General:Digital Zoom:4x", the section's name may be missing.
        *_, name, text = ("", "", *(part.strip() for part in detail.split(":", 2)))
        if name:
            attributes[name] = text
    record = {
        "id": first["item_group_id"] or first["id"],
        "title": local(plain_text(first["title"])),
        "category": category(first["product_type"] or re.sub(r"^\d+$", "", first["google_product_category"])),
        "brand": first["brand"] or None,
        "attributes": {name: local(plain_text(text)) for name, text in attributes.items() if text},
        "keywords": list(dict.fromkeys(row[name] for name in ("mpn", "gtin") for row in taken if row[name])),
        "variants": list(variants.values()),
    }
    pictures = [row["image_link"] for row in taken if row["image_link"]]
    pictures += [address for row in taken for address in _NEXT_ADDRESS.split(row["additional_image_link"]) if address]
    yield from product_entries(source, first.where, record, first["description"], pictures)


def _price(row: Row, info: ShopInfo) -> ReadPrice:
    start, _, end = row["sale_price_effective_date"].partition("/")
    if row["sale_price"] and on_sale(start.strip(), end.strip(), ZoneInfo(info.timezone)):
        return read_price(row["sale_price"], info.currency)
    return read_price(row["price"], info.currency)


def _availability(row: Row) -> str:
    return row["availability"].lower().replace("_", " ").replace("-", " ").replace("pre order", "preorder")


def _stock(row: Row) -> int | None:
    availability = _availability(row)
    if availability and availability not in _STOCK:
        raise BadValue(f"availability '{availability[:60]}' is none of {', '.join(_STOCK)}")
    return _STOCK[availability or "in stock"]
