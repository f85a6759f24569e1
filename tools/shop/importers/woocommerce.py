"""Reads WooCommerce's product export in English: every CSV file in the folder that has its columns, beside a shop.yaml.

| column | becomes |
|---|---|
| Type | simple, variable and variation rows are read, grouped and external ones left out |
| SKU, else ID | the id of a product or variant |
| Parent | the SKU of a variation's product, or "id:" and its ID; it may stand anywhere in the files |
| Published; Visibility in catalog | anything but 1 is left out, and so is what is hidden |
| Name; Short description, Description; Brands | title; description as plain text; brand |
| Categories | the first is the category, all are keywords: "Clothing > Shirts, Sale" |
| Tags | keywords |
| Sale price, else Regular price; Date sale price starts, ends | the price, the sale's only while the sale lasts at the import |
| In stock?, Stock | stock; what can only be ordered in advance ("backorder") is out of stock |
| Attribute 1 name, Attribute 1 value(s) … | a variation's options, a product's attributes |
| Images | pictures |

Source: github.com/woocommerce/woocommerce/wiki/Product-CSV-Importer-&-Exporter and -Product-CSV-Import-Schema.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from tools.shop.importers.catalogue import catalogue_info, category, option_name, product_entries
from tools.shop.importers.plain_text import local, plain_text
from tools.shop.importers.prices import BadValue, ReadPrice, on_sale, read_price
from tools.shop.importers.source import Entry, Located, Note, Rejected
from tools.shop.importers.tables import Row, grouped, read_tables
from tools.shop.types import ShopInfo

_ATTRIBUTE = re.compile(r"attribute (\d+) name")
_COMMA = re.compile(r"\s*(?<!\\),\s*")


def read(source: Path) -> Iterator[Entry]:
    """Read a folder with shop.yaml and WooCommerce's wc-product-export.csv."""
    info = catalogue_info(source)
    yield Located("shop.yaml", info)
    rows = read_tables(
        source, (".csv",), ("type", "name", "regular price"), {"visibility in catalogue": "visibility in catalog"}
    )
    for found in grouped(rows, _family):
        if isinstance(found, list):
            yield from _product(source, info, found)
        else:
            yield found


def _types(row: Row) -> list[str]:
    return _split(row["type"].lower())


def _family(row: Row) -> str:
    """What a product and its variations have in common: the SKU of the product, else "id:" and its ID."""
    return row["parent"] if "variation" in _types(row) else row["sku"] or f"id:{row['id']}"


def _product(source: Path, info: ShopInfo, rows: Sequence[Row]) -> Iterator[Entry]:
    variations = [row for row in rows if "variation" in _types(row)]
    products = [row for row in rows if row not in variations]
    if not products:
        for row in variations:
            yield Rejected(row.where, f"its parent '{row['parent'][:60]}' is in no row")
        return
    first, *others = products
    for row in others:
        yield Rejected(row.where, f"product '{_id(row)}' occurs twice; the first one is kept")
    types = _types(first)
    if not _id(first):
        yield Rejected(first.where, "the row has neither SKU nor ID")
        return
    if first["published"] not in ("1", "") or first["visibility in catalog"] == "hidden":
        yield Note(first.where, f"'{_id(first)}' is not published: left out")
        return
    if "simple" not in types and "variable" not in types:
        yield Note(first.where, f"'{_id(first)}' is of type '{first['type'][:60]}', not sold by itself here: left out")
        return
    sold = variations if "variable" in types else [first]
    if not sold:
        yield Rejected(first.where, "a variable product without variations")
        return
    variants: dict[str, dict[str, object]] = {}
    option_names: set[str] = set()
    for row in sold:
        if row["published"] not in ("1", ""):
            yield Note(row.where, f"'{_id(row)}' is not published: left out")
            continue
        options = {option_name(name): text for name, text in _attributes(row).items()} if row is not first else {}
        option_names |= options.keys()
        try:
            if not _id(row):
                raise BadValue("the row has neither SKU nor ID")
            if _id(row) in variants:
                raise BadValue(f"variant '{_id(row)}' occurs twice; the first one is kept")
            price = _price(row, info)
            variants[_id(row)] = {"id": _id(row), "options": options, "price_cents": price.cents, "stock": _stock(row)}
        except BadValue as error:
            yield Rejected(row.where, str(error))
            continue
        if price.lowest:
            yield Note(row.where, "its price is where a range begins: the lowest is taken")
    if not variants:
        return  # each of its rows was reported
    categories = _split(first["categories"])
    attributes = {name: text for name, text in _attributes(first).items() if option_name(name) not in option_names}
    record = {
        "id": _id(first),
        "title": local(plain_text(first["name"])),
        "category": category(categories[0] if categories else ""),
        "brand": first["brands"] or None,
        "attributes": {name: local(plain_text(text)) for name, text in attributes.items()},
        "keywords": [*_split(first["tags"]), *categories[1:]],
        "variants": list(variants.values()),
    }
    description = "<br>".join(text for text in (first["short description"], first["description"]) if text)
    pictures = [name for row in (first, *variations) for name in _split(row["images"])]
    yield from product_entries(source, first.where, record, description.replace("\\n", "\n"), pictures)


def _id(row: Row) -> str:
    return row["sku"] or row["id"]


def _split(cell: str) -> list[str]:
    """The parts of a cell; the exporter writes a comma inside of one as "\\,"."""
    return [part.replace("\\,", ",") for part in _COMMA.split(cell.strip()) if part]


def _attributes(row: Row) -> Mapping[str, str]:
    numbers = [found[1] for column in row.cells if (found := _ATTRIBUTE.fullmatch(column))]
    pairs = ((row[f"attribute {number} name"], row[f"attribute {number} value(s)"]) for number in numbers)
    return {name: ", ".join(_split(text)) for name, text in pairs if name and text}


def _price(row: Row, info: ShopInfo) -> ReadPrice:
    zone = ZoneInfo(info.timezone)
    if row["sale price"] and on_sale(row["date sale price starts"], row["date sale price ends"], zone):
        return read_price(row["sale price"], info.currency)
    return read_price(row["regular price"], info.currency)


def _stock(row: Row) -> int | None:
    if row["in stock?"] in ("0", "backorder"):
        return 0
    if not row["stock"] or row["stock"] == "parent":
        return None
    if not re.fullmatch(r"-?\d{1,9}(\.0+)?", row["stock"]):
        raise BadValue(f"stock '{row['stock'][:60]}' is no whole number")
    return max(0, int(float(row["stock"])))
