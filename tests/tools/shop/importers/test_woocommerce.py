"""Importing WooCommerce's product export."""

import csv
from io import StringIO

from imported import Importing

COLUMNS = (
    "ID,Type,SKU,Name,Published,Visibility in catalog,Short description,Description,Date sale price starts,Date sale price ends,"
    "In stock?,Stock,Sale price,Regular price,Categories,Tags,Images,Parent,Brands,Attribute 1 name,Attribute 1 value(s),"
    "Attribute 2 name,Attribute 2 value(s)"
).split(",")
MUG = {"ID": "7", "Type": "simple", "SKU": "MUG", "Name": "Mug", "Published": "1", "In stock?": "1", "Regular price": "9,50"}


def table(*rows: dict[str, str]) -> str:
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def test_a_simple_product_is_its_one_variant(importing: Importing) -> None:
    row = {
        **MUG,
        "Short description": "A mug.",
        "Description": "<p>Of stoneware.</p>\\n<p>0.3 l</p>",
        "Stock": "12",
        "Sale price": "8",
        "Categories": "Home > Kitchen > Mugs, Gifts\\, small",
        "Tags": "tea, coffee",
        "Brands": "Nord",
        "Attribute 1 name": "Material",
        "Attribute 1 value(s)": "Stoneware",
    }
    found = importing("woocommerce", {"products.csv": table(row)})
    assert found.rejected() == []
    mug = found.products["MUG"]
    assert (mug.category.en, mug.keywords, mug.brand) == ("Home / Kitchen / Mugs", ("tea", "coffee", "Gifts, small"), "Nord")
    assert mug.description is not None
    assert mug.description.en == "A mug.\nOf stoneware.\n0.3 l"
    assert mug.attributes["Material"].en == "Stoneware"
    assert [(one.id, one.price_cents, one.stock) for one in mug.variants] == [("MUG", 800, 12)]


def test_variations_find_their_product_wherever_it_stands(importing: Importing) -> None:
    shirt = {"ID": "1", "Type": "variable", "SKU": "TEE", "Name": "Tee", "Published": "1"}
    shirt |= {
        "Attribute 1 name": "Color",
        "Attribute 1 value(s)": "Blue, Red",
        "Attribute 2 name": "Fit",
        "Attribute 2 value(s)": "Slim",
    }
    blue = {
        "ID": "3",
        "Type": "variation",
        "SKU": "TEE-B",
        "Parent": "TEE",
        "Published": "1",
        "Regular price": "20",
        "In stock?": "0",
    }
    red = {
        "ID": "4",
        "Type": "variation, virtual",
        "Parent": "TEE",
        "Published": "1",
        "Regular price": "21",
        "In stock?": "backorder",
    }
    hat = {"ID": "5", "Type": "variable", "Name": "Hat", "Published": "1"}
    small = {
        "ID": "6",
        "Type": "variation",
        "Parent": "id:5",
        "Regular price": "15",
        "In stock?": "1",
        "Attribute 1 name": "Size",
    }
    rows = [
        {**blue, "Attribute 1 name": "Color", "Attribute 1 value(s)": "Blue"},
        shirt,
        hat,
        MUG,
        {**red, "Attribute 1 name": "Color", "Attribute 1 value(s)": "Red"},
        {**small, "Attribute 1 value(s)": "S"},
    ]
    found = importing("woocommerce", {"products.csv": table(*rows)})
    assert found.rejected() == []
    assert set(found.products) == {"TEE", "5", "MUG"}
    tee = found.products["TEE"]
    assert [(one.id, one.options, one.price_cents, one.stock) for one in tee.variants] == [
        ("TEE-B", {"color": "Blue"}, 2000, 0),
        ("4", {"color": "Red"}, 2100, 0),
    ]
    assert list(tee.attributes) == ["Fit"]
    assert [one.options for one in found.products["5"].variants] == [{"size": "S"}]


def test_a_sale_that_is_over_has_no_price(importing: Importing) -> None:
    over = {**MUG, "Sale price": "5", "Date sale price ends": "2020-01-31"}
    later = {**MUG, "ID": "8", "SKU": "CUP", "Sale price": "5", "Date sale price starts": "2999-01-31 00:00:00"}
    found = importing("woocommerce", {"products.csv": table(over, later)})
    assert [product.lowest_price_cents for product in found.products.values()] == [950, 950]


def test_what_is_not_sold_by_itself_is_left_out(importing: Importing) -> None:
    rows = [
        MUG,
        {**MUG, "SKU": "draft", "Published": "-1"},
        {**MUG, "SKU": "hidden", "Visibility in catalog": "hidden"},
        {**MUG, "SKU": "set", "Type": "grouped"},
    ]
    found = importing("woocommerce", {"products.csv": table(*rows)})
    assert list(found.products) == ["MUG"]
    assert [note.partition(":")[2].partition(":")[0] for note in found.notes()] == ["3", "4", "5"]


def test_bad_rows_are_rejected_with_their_places(importing: Importing) -> None:
    rows = [
        MUG,
        {**MUG, "Name": "Mug again"},
        {**MUG, "SKU": "a", "Regular price": ""},
        {**MUG, "SKU": "b", "Stock": "many"},
        {**MUG, "SKU": "c", "Sale price": "1", "Date sale price ends": "soon"},
        {"ID": "9", "Type": "variation", "Parent": "gone", "Regular price": "1"},
        {"ID": "10", "Type": "variable", "SKU": "d", "Name": "Empty", "Published": "1"},
    ]
    found = importing("woocommerce", {"products.csv": table(*rows) + "1,2,3\n"})
    assert found.products["MUG"].title.en == "Mug"
    assert sorted(found.rejected()) == [
        "products.csv:3: product 'MUG' occurs twice; the first one is kept",
        "products.csv:4: the price is missing",
        "products.csv:5: stock 'many' is no whole number",
        "products.csv:6: sale date 'soon' cannot be read; write it like 2026-01-31",
        "products.csv:7: its parent 'gone' is in no row",
        "products.csv:8: a variable product without variations",
        "products.csv:9: 3 cells instead of 23",
    ]
