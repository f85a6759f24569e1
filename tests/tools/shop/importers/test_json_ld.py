"""Importing schema.org products from JSON files and saved pages."""

import json
from typing import Any

from imported import Importing

MUG = {
    "@context": "https://schema.org",
    "@type": "Product",
    "name": "Mug",
    "sku": "MUG",
    "description": "<b>Stoneware</b> mug",
    "brand": {"@type": "Brand", "name": "Nord"},
    "category": "Home > Mugs",
    "additionalProperty": [{"@type": "PropertyValue", "name": "Volume", "value": 300, "unitText": "ml"}],
    "image": [{"@type": "ImageObject", "url": "https://example.com/mug.jpg"}],
    "offers": {"@type": "Offer", "price": 9.5, "priceCurrency": "EUR", "availability": "https://schema.org/InStock"},
}


def offer(price: str, availability: str = "InStock") -> dict[str, Any]:
    return {"@type": "Offer", "price": price, "priceCurrency": "EUR", "availability": f"http://schema.org/{availability}"}


def page(*contents: object) -> str:
    scripts = (f'<script type="application/ld+json">{json.dumps(content)}</script>' for content in contents)
    return f"<html><head>{''.join(scripts)}</head><body><p>Buy!</p></body></html>"


def test_a_product_on_a_page_is_read(importing: Importing) -> None:
    found = importing("json-ld", {"pages/mug.html": page({"@graph": [{"@type": "WebPage"}, MUG]})})
    assert found.rejected() == []
    mug = found.products["MUG"]
    assert mug.description is not None
    assert (mug.title.en, mug.description.en, mug.brand, mug.category.en) == ("Mug", "Stoneware mug", "Nord", "Home / Mugs")
    assert mug.attributes["Volume"].en == "300 ml"
    assert [(one.id, one.price_cents, one.stock) for one in mug.variants] == [("MUG", 950, None)]
    assert found.notes() == ["json-ld: 1 pictures at web addresses are left out; --fetch-pictures fetches them"]


def test_a_group_and_its_variants_are_one_product(importing: Importing) -> None:
    group = {
        "@type": "ProductGroup",
        "name": "Tee",
        "productGroupID": "TEE",
        "hasVariant": [
            {"@type": "Product", "sku": "TEE-B", "color": "Blue", "size": "M", "offers": offer("20.00")},
            {
                "@type": "Product",
                "sku": "TEE-R",
                "color": "Red",
                "size": {"@type": "SizeSpecification", "name": "L"},
                "offers": offer("21", "OutOfStock"),
            },
        ],
    }
    found = importing("json-ld", {"tee.json": json.dumps([group, {"@type": "ItemList", "itemListElement": [{"item": MUG}]}])})
    assert found.rejected() == []
    assert set(found.products) == {"TEE", "MUG"}
    assert [(one.id, one.options, one.price_cents, one.stock) for one in found.products["TEE"].variants] == [
        ("TEE-B", {"color": "Blue", "size": "M"}, 2000, None),
        ("TEE-R", {"color": "Red", "size": "L"}, 2100, 0),
    ]


def test_variants_on_pages_of_their_own_find_their_group(importing: Importing) -> None:
    pages = {
        f"{color}.html": page(
            {
                "@type": "Product",
                "name": "Scarf",
                "sku": f"SCARF-{color}",
                "color": color,
                "isVariantOf": {"@type": "ProductGroup", "productGroupID": "SCARF"},
                "offers": offer("30"),
            }
        )
        for color in ("blue", "red")
    }
    found = importing("json-ld", {**pages, "mug.html": page(MUG)})
    assert [one.options for one in found.products["SCARF"].variants] == [{"color": "blue"}, {"color": "red"}]


def test_of_several_offers_the_lowest_that_can_be_had_is_the_price(importing: Importing) -> None:
    rows = [
        {**MUG, "sku": "a", "offers": [offer("5", "OutOfStock"), offer("8"), offer("7")]},
        {**MUG, "sku": "b", "offers": {"@type": "AggregateOffer", "lowPrice": "4", "highPrice": "9", "priceCurrency": "EUR"}},
        {**MUG, "sku": "c", "offers": None},
    ]
    found = importing("json-ld", {"all.json": json.dumps(rows)})
    assert {id: product.lowest_price_cents for id, product in found.products.items()} == {"a": 700, "b": 400, "c": None}
    assert [note.partition(": ")[2] for note in found.notes()[:3]] == [
        "'a' has a range of prices: the lowest is taken",
        "'b' has a range of prices: the lowest is taken",
        "'c' has no offer: its price is not known",
    ]


def test_bad_products_and_files_are_rejected_with_their_places(importing: Importing) -> None:
    rows = [
        MUG,
        MUG,
        {**MUG, "sku": "dollars", "offers": {**MUG["offers"], "priceCurrency": "USD"}},  # type: ignore[dict-item]
        {"@type": "Product", "name": "Nobody knows"},
    ]
    files = {"all.json": json.dumps(rows), "bad.json": "{", "page.html": '<script type="application/ld+json">{"a": }</script>'}
    found = importing("json-ld", files)
    assert list(found.products) == ["MUG"]
    assert [row.partition(": ")[0] for row in found.rejected()] == [
        "bad.json",
        "page.html",
        "all.json:product 2",
        "all.json:product 3",
        "all.json:product 4",
    ]


def test_deeply_nested_json_is_no_end_of_the_import(importing: Importing) -> None:
    deep = "[" * 3_000 + "]" * 3_000
    found = importing("json-ld", {"deep.json": deep, "deeper.json": "[" * 200_000, "mug.json": json.dumps(MUG)})
    assert list(found.products) == ["MUG"]
