"""Reads Shopify's product export: every CSV file in the folder that has its columns, beside a shop.yaml.

| column, and what it was called before | becomes |
|---|---|
| URL handle, Handle | the product's id; rows with one handle are one product |
| Title; Description, Body (HTML); Vendor | title; description as plain text; brand |
| Type, else Product category | category |
| Tags | keywords |
| Status; Published on online store, Published | anything but active and published is left out |
| Option1 name, Option1 value … Option3 | the variant's options |
| SKU, Variant SKU | the variant's id; without one, the handle and the option values |
| Price, Variant Price | the variant's price |
| Inventory quantity, Variant Inventory Qty; Inventory tracker | stock; not known where nothing is tracked |
| Product image URL, Image Src; Variant image URL, Variant Image | pictures |
| Color (product.metafields.…) and other such columns | attributes |

Source: help.shopify.com/manual/products/import-export/using-csv and the sample file there, of 2025 and before.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.shop.importers.catalogue import catalogue_info, category, option_name, product_entries
from tools.shop.importers.plain_text import local, plain_text
from tools.shop.importers.prices import BadValue, read_price
from tools.shop.importers.source import Entry, Located, Note, Rejected
from tools.shop.importers.tables import Row, grouped, read_tables

_NOW = {
    "handle": "url handle",
    "body (html)": "description",
    "published": "published on online store",
    "variant sku": "sku",
    "variant price": "price",
    "variant inventory tracker": "inventory tracker",
    "variant inventory qty": "inventory quantity",
    "image src": "product image url",
    "variant image": "variant image url",
}
"""Columns as they were called before, and as they are called now."""
_METAFIELD = re.compile(r"(.+?) \(product\.metafields\.")


def read(source: Path) -> Iterator[Entry]:
    """Read a folder with shop.yaml and Shopify's products_export.csv."""
    info = catalogue_info(source)
    yield Located("shop.yaml", info)
    rows = read_tables(source, (".csv",), ("url handle", "title", "price"), _NOW)
    for found in grouped(rows, lambda row: row["url handle"]):
        if isinstance(found, list):
            yield from _product(source, info.currency, found)
        else:
            yield found


def _product(source: Path, currency: str, rows: Sequence[Row]) -> Iterator[Entry]:
    first = rows[0]
    if not first["url handle"] or not first["title"]:
        yield Rejected(first.where, "the product's first row has no URL handle or no title")
        return
    status = first["status"].lower() or "active"
    if status != "active" or first["published on online store"].lower() == "false":
        yield Note(first.where, f"'{first['url handle']}' is {status if status != 'active' else 'not published'}: left out")
        return
    names = [option_name(first[f"option{number} name"]) for number in (1, 2, 3)]
    variants: dict[str, dict[str, object]] = {}
    rejected = False
    for row in rows:
        values = [row[f"option{number} value"] for number in (1, 2, 3)]
        if not (row["price"] or row["sku"] or any(values)):
            continue  # a row of one more picture
        # "Title" with "Default Title" only says that there is nothing to choose.
        chosen = {name: value for name, value in zip(names, values, strict=True) if value and value != "Default Title"}
        id = row["sku"] or "-".join((first["url handle"], *chosen.values()))
        try:
            if id in variants:
                raise BadValue(f"variant '{id}' occurs twice; the first one is kept")
            price = read_price(row["price"], currency)
            variants[id] = {"id": id, "options": chosen, "price_cents": price.cents, "stock": _stock(row)}
        except BadValue as error:
            rejected = True
            yield Rejected(row.where, str(error))
            continue
        if price.lowest:
            yield Note(row.where, f"price '{row['price'][:60]}' is where a range begins: its lowest is taken")
    if not variants:
        if not rejected:
            yield Rejected(first.where, "the product has no row with a price")
        return
    metafields = ((_METAFIELD.match(column), text) for column, text in first.cells.items())
    record = {
        "id": first["url handle"],
        "title": local(plain_text(first["title"])),
        "category": category(first["type"] or first["product category"]),
        "brand": first["vendor"] or None,
        "attributes": {found[1]: local(plain_text(text)) for found, text in metafields if found and text},
        "keywords": [tag for tag in re.split(r"\s*[,，]\s*", first["tags"]) if tag],
        "variants": list(variants.values()),
    }
    pictures = [row[column] for column in ("product image url", "variant image url") for row in rows if row[column]]
    yield from product_entries(source, first.where, record, first["description"], pictures)


def _stock(row: Row) -> int | None:
    quantity = row["inventory quantity"]
    if not quantity or ("inventory tracker" in row.cells and not row["inventory tracker"]):
        return None
    if not re.fullmatch(r"-?\d{1,9}", quantity):
        raise BadValue(f"inventory quantity '{quantity[:60]}' is no whole number")
    return max(0, int(quantity))
