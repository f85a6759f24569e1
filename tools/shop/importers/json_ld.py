"""Reads schema.org products: .json and .jsonld files, and the JSON-LD in .html pages, at any depth of the folder, beside a shop.yaml.

| property | becomes |
|---|---|
| ProductGroup with hasVariant, Product with hasVariant | one product with its variants |
| Product with isVariantOf or inProductGroupWithID | a variant of the product with that productGroupID |
| productGroupID, sku, productID, gtin…, mpn, @id, url | the id: the first that is there |
| name; description; brand; category | title; description as plain text; brand; category |
| offers: Offer, a list of them, AggregateOffer | price, with the shop's currency; of an AggregateOffer without offers its lowPrice |
| offers.availability | stock: an unknown count if InStock, LimitedAvailability or OnlineOnly or not told, else none |
| color, size | options |
| material, pattern, additionalProperty | attributes |
| keywords | keywords |
| image | pictures |

A product without offers has no known price. Source: schema.org/Product, schema.org/ProductGroup;
developers.google.com/search/docs/appearance/structured-data/product.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser

from tools.kit.errors import ImportFailed
from tools.shop.importers.catalogue import catalogue_info, category, product_entries
from tools.shop.importers.plain_text import local, plain_text
from tools.shop.importers.prices import BadValue, ReadPrice, read_price
from tools.shop.importers.source import Entry, Located, Note, Rejected
from tools.shop.importers.tables import Row, grouped

MAX_FILE_BYTES = 50_000_000
_PAGES = (".html", ".htm")
_IDS = ("sku", "productID", "gtin", "gtin13", "gtin14", "gtin12", "gtin8", "mpn", "@id", "url")
_SOLD_NOW = ("instock", "limitedavailability", "onlineonly", "instoreonly")
_MAX_DEPTH = 50

Values = Mapping[str, Any]


def read(source: Path) -> Iterator[Entry]:
    """Read a folder with shop.yaml and JSON-LD files or saved pages."""
    info = catalogue_info(source)
    yield Located("shop.yaml", info)
    # The products wait as rows of one cell: variants of a group may stand on pages of their own.
    for found in grouped(_rows(source), lambda row: row["group"]):
        if isinstance(found, list):
            yield from _product(
                source, info.currency, [(row.where, json.loads(row["values"], parse_float=Decimal)) for row in found]
            )
        else:
            yield found


def _rows(source: Path) -> Iterator[Row | Rejected | Note]:
    suffixes = (".json", ".jsonld", *_PAGES)
    # What is in faq/ and policies/ are help pages.
    paths = sorted(
        path
        for path in source.rglob("*")
        if path.suffix.lower() in suffixes and path.relative_to(source).parts[0] not in ("faq", "policies") and path.is_file()
    )
    if not paths:
        raise ImportFailed(f"'{source}' has no {', '.join(suffixes)} file.")
    for path in paths:
        where = path.relative_to(source).as_posix()
        if path.stat().st_size > MAX_FILE_BYTES:
            yield Rejected(where, f"the file is larger than {MAX_FILE_BYTES:,} bytes; split it")
            continue
        number = 0
        for text in _scripts(path):
            try:
                content = json.loads(text, parse_float=Decimal)
            except (ValueError, RecursionError) as error:
                yield Rejected(where, f"not valid JSON: {error}")
                continue
            for product in _products(content):
                number += 1
                yield Row(f"{where}:product {number}", {"group": _group(product), "values": json.dumps(product, default=str)})


def _scripts(path: Path) -> Iterator[str | bytes]:
    content = path.read_bytes()
    if path.suffix.lower() not in _PAGES:
        yield content
        return
    for script in LexborHTMLParser(content).css('script[type="application/ld+json"]'):
        yield script.text()


def _products(value: object, depth: int = 0) -> Iterator[Values]:
    """The products in a JSON-LD document, wherever they hang: alone, in lists, in @graph, in an ItemList, on a WebPage."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, list):
        for one in value:
            yield from _products(one, depth + 1)
    elif isinstance(value, dict):
        if {"Product", "ProductGroup", "IndividualProduct", "ProductModel"} & set(_types(value)):
            yield value
        else:
            for key in ("@graph", "mainEntity", "itemListElement", "item", "about"):
                yield from _products(value.get(key), depth + 1)


def _types(value: Values) -> list[str]:
    return [str(name).rpartition("/")[2].removeprefix("schema:") for name in _list(value.get("@type"))]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: object) -> str:
    """A property as text: of an object its name or value, of a list the first."""
    if isinstance(value, dict):
        value = next((value[key] for key in ("name", "value", "@value", "contentUrl", "url", "@id") if key in value), None)
    if isinstance(value, list):
        return _text(value[0]) if value else ""
    return str(value).strip() if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""


def _id(value: Values) -> str:
    found = next((text for key in _IDS if (text := _text(value.get(key)))), "")
    # Of a long address the end tells the product.
    return found if len(found) <= 100 else (urlsplit(found).path.rstrip("/").rpartition("/")[2] or found)[-100:]


def _group(value: Values) -> str:
    """The id of the product that this one is or is a variant of."""
    above = next(iter(_list(value.get("isVariantOf"))), None)
    if isinstance(above, dict) and (found := _text(above.get("productGroupID")) or _id(above)):
        return found
    return _text(value.get("inProductGroupWithID")) or _text(value.get("productGroupID")) or _id(value)


def _product(source: Path, currency: str, found: Sequence[tuple[str, Values]]) -> Iterator[Entry]:
    where, first = next((one for one in found if "ProductGroup" in _types(one[1]) or one[1].get("hasVariant")), found[0])
    product_id = _group(first)
    if not product_id:
        for place, _ in found:
            yield Rejected(place, f"the product has none of {', '.join(_IDS)} to know it by")
        return
    sold = [(place, child) for place, one in found for child in (_list(one.get("hasVariant")) or [one])]
    variants: dict[str, dict[str, object]] = {}
    for place, one in sold:
        if not isinstance(one, dict) or (one is first and len(sold) > 1 and "ProductGroup" in _types(one)):
            continue  # a group that leaves its variants to their own pages
        id = _id(one) or product_id
        options = {name: text for name in ("color", "size") if (text := _text(one.get(name)))}
        try:
            if id in variants:
                raise BadValue(f"id '{id}' occurs twice; the first one is kept")
            price, stock = _offer(one.get("offers"), currency)
            variants[id] = {"id": id, "options": options, "price_cents": price and price.cents, "stock": stock}
        except BadValue as error:
            yield Rejected(place, str(error))
            continue
        if price is None:
            yield Note(place, f"'{id}' has no offer: its price is not known")
        elif price.lowest:
            yield Note(place, f"'{id}' has a range of prices: the lowest is taken")
    if not variants:
        return  # each was reported
    named = [first, *(child for _, child in sold if isinstance(child, dict))]

    def value(key: str) -> object:
        return next((one[key] for one in named if one.get(key)), None)

    attributes = {name: _text(value(name)) for name in ("material", "pattern")}
    for extra in _list(value("additionalProperty")):
        if isinstance(extra, dict):
            attributes[_text(extra.get("name"))] = " ".join(_text(extra.get(key)) for key in ("value", "unitText")).strip()
    keywords = [word for text in _list(value("keywords")) for word in _text(text).split(",")]
    record = {
        "id": product_id,
        "title": local(plain_text(_text(value("name")))),
        "category": category(_text(value("category")).replace("/", ">")),
        "brand": _text(value("brand")) or None,
        "attributes": {name: local(plain_text(text)) for name, text in attributes.items() if name and text},
        "keywords": [word.strip() for word in keywords if word.strip()],
        "variants": list(variants.values()),
    }
    images = (image for one in named for image in _list(one.get("image")))
    pictures = [address for image in images if (address := _address(image))]
    yield from product_entries(source, where, record, _text(value("description")), pictures)


def _address(image: object) -> str:
    if isinstance(image, dict):
        return _text(image.get("contentUrl") or image.get("url") or image.get("@id"))
    return _text(image)


def _offer(offers: object, currency: str) -> tuple[ReadPrice | None, int | None]:
    """The lowest price of what can be had now, else of all offers, and the stock. Raises BadValue."""
    read = [_one_offer(offer, currency) for offer in _list(offers) if isinstance(offer, dict)]
    read = [one for one in read if one[1] is None] or read
    priced = [price for price, _ in read if price]
    if not read:
        return None, None
    lowest = min(priced, default=None)
    differing = lowest is not None and len({price.cents for price in priced}) > 1
    return lowest and ReadPrice(lowest.cents, lowest.lowest or differing), read[0][1]


def _one_offer(offer: Values, currency: str) -> tuple[ReadPrice | None, int | None]:
    if "AggregateOffer" in _types(offer) and offer.get("offers"):
        return _offer(offer["offers"], currency)
    stated = next((one for one in _list(offer.get("priceSpecification")) if isinstance(one, dict)), {})
    written = _text(offer.get("price")) or _text(stated.get("price"))
    low, high = _text(offer.get("lowPrice")), _text(offer.get("highPrice"))
    price = None
    if written or low:
        given = _text(offer.get("priceCurrency")) or _text(stated.get("priceCurrency"))
        if given and given.upper() != currency:
            raise BadValue(f"price '{(written or low)[:60]}' is in {given[:10]}, but the shop sells in {currency}")
        price = read_price(written or low, currency)
        price = ReadPrice(price.cents, price.lowest or (not written and high != low))
    availability = _text(offer.get("availability")).rpartition("/")[2].lower()
    return price, None if not availability or availability in _SOLD_NOW else 0
