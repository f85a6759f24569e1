"""Importing Google Merchant feeds: text, RSS and Atom."""

import pytest
from imported import Importing

from tools.kit.errors import ImportFailed
from tools.shop.importers import import_shop
from tools.shop.types import Product

RSS = """<?xml version="1.0"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel><title>Shop</title>
{}
</channel></rss>"""
ATOM = """<?xml version="1.0"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0"><title>Shop</title>
{}
</feed>"""
ITEM = """<{tag}><g:id>S-{n}</g:id><title>Rain jacket</title><description>&lt;p&gt;Dry &amp;amp; warm&lt;/p&gt;</description>
<g:item_group_id>S</g:item_group_id><g:price>79.00 EUR</g:price><g:availability>{stock}</g:availability><g:color>Green</g:color>
<g:size>{size}</g:size><g:material>Nylon</g:material><g:gtin>400{n}</g:gtin><g:brand>Nord</g:brand>
<g:product_type>Clothing &gt; Jackets</g:product_type>
<g:product_detail><g:section_name>Care</g:section_name><g:attribute_name>Washing</g:attribute_name>
<g:attribute_value>30 °C</g:attribute_value></g:product_detail>
<g:image_link>https://example.com/{n}.jpg</g:image_link></{tag}>"""


def items(tag: str) -> str:
    return "\n".join(
        ITEM.format(tag=tag, n=n, size=size, stock=stock) for n, size, stock in [(1, "M", "in_stock"), (2, "L", "out_of_stock")]
    )


def is_the_jacket(product: Product) -> bool:
    assert [(one.id, one.options, one.price_cents, one.stock) for one in product.variants] == [
        ("S-1", {"color": "Green", "size": "M"}, 7900, None),
        ("S-2", {"color": "Green", "size": "L"}, 7900, 0),
    ]
    assert product.description is not None
    assert product.description.en == "Dry & warm"
    assert (product.category.en, product.brand) == ("Clothing / Jackets", "Nord")
    assert {name: text.en for name, text in product.attributes.items()} == {"material": "Nylon", "Washing": "30 °C"}
    assert product.keywords == ("4001", "4002")
    return True


@pytest.mark.parametrize("feed", [RSS.format(items("item")), ATOM.format(items("entry"))])
def test_items_of_a_group_in_xml_are_variants_of_one_product(importing: Importing, feed: str) -> None:
    found = importing("google-merchant", {"feed.xml": feed})
    assert found.rejected() == []
    assert is_the_jacket(found.products["S"])
    assert found.notes() == ["google-merchant: 2 pictures at web addresses are left out; --fetch-pictures fetches them"]


def test_a_text_feed_says_the_same(importing: Importing) -> None:
    columns = [
        "id",
        "title",
        "description",
        "item group id",
        "price",
        "availability",
        "g:color",
        "size",
        "material",
        "gtin",
        "brand",
    ]
    columns += ["product type", "product_detail"]
    common = ["Rain jacket", "Dry & warm", "S", "79.00 EUR"]
    end = ["Nord", "Clothing > Jackets", "Care:Washing:30 °C"]
    rows = [
        ["S-1", *common, "in stock", "Green", "M", "Nylon", "4001", *end],
        ["cup", "Cup", "", "", "5 EUR", "in stock", "", "", "", "", "", "", ""],
        ["S-2", *common, "out of stock", "Green", "L", "Nylon", "4002", *end],
    ]
    found = importing("google-merchant", {"feed.txt": "\n".join("\t".join(row) for row in [columns, *rows])})
    assert found.rejected() == []
    assert is_the_jacket(found.products["S"])
    assert found.products["cup"].category.en == "Other"


def test_what_differs_within_a_group_is_an_option(importing: Importing) -> None:
    rows = [
        "id\ttitle\tprice\titem_group_id\tmaterial\tcondition",
        "a\tBag\t5 EUR\tg\tFelt\tused",
        "b\tBag\t6 EUR\tg\tLeather\tused",
    ]
    found = importing("google-merchant", {"feed.tsv": "\n".join(rows)})
    bag = found.products["g"]
    assert [one.options for one in bag.variants] == [{"material": "Felt"}, {"material": "Leather"}]
    assert {name: text.en for name, text in bag.attributes.items()} == {"condition": "used"}


def test_a_sale_price_holds_while_the_sale_lasts(importing: Importing) -> None:
    rows = [
        "id\ttitle\tprice\tsale_price\tsale_price_effective_date",
        "a\tA\t10 EUR\t8 EUR\t2020-01-01T00:00+0100/2999-01-01T00:00+0100",
        "b\tB\t10 EUR\t8 EUR\t2020-01-01T00:00Z/2020-02-01T00:00Z",
        "c\tC\t10 EUR\t8 EUR\t",
    ]
    found = importing("google-merchant", {"feed.tsv": "\n".join(rows)})
    assert {id: product.lowest_price_cents for id, product in found.products.items()} == {"a": 800, "b": 1000, "c": 800}


def test_bad_items_are_rejected_with_their_places(importing: Importing) -> None:
    rows = [
        "id\ttitle\tprice\tavailability",
        "a\tA\t10 EUR\tpreorder",
        "a\tA\t9 EUR\t",
        "b\tB\t10 USD\t",
        "c\tC\t1 EUR\tmaybe",
        "\tD\t1 EUR\t",
    ]
    found = importing("google-merchant", {"feed.tsv": "\n".join(rows)})
    assert found.products["a"].variants[0].stock == 0
    assert found.products["a"].attributes["availability"].en == "preorder"
    assert found.rejected() == [
        "feed.tsv:3: id 'a' occurs twice; the first one is kept",
        "feed.tsv:4: price '10 USD' is in USD, but the shop sells in EUR",
        "feed.tsv:5: availability 'maybe' is none of in stock, out of stock, preorder, backorder",
        "feed.tsv:6: the item has no id",
    ]


BOMB = '<!DOCTYPE x [<!ENTITY a "{}"><!ENTITY b "{}">]>'.format("ha" * 50, "&a;" * 50)
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("doctype", [BOMB, OUTSIDE])
def test_a_feed_that_defines_entities_is_refused(importing: Importing, doctype: str) -> None:
    item = "<item><id>1</id><title>&a;</title><price>1 EUR</price></item>"
    with pytest.raises(ImportFailed, match="defines entities"):
        importing("google-merchant", {"feed.xml": f"{doctype}<rss><channel>{item}</channel></rss>"})


def test_a_feed_that_was_cut_off_is_refused_and_the_old_shop_kept(importing: Importing) -> None:
    whole = RSS.format(items("item"))
    folder = importing("google-merchant", {"feed.xml": whole}).folder
    (folder.parent / "source/feed.xml").write_text(whole[:-100])
    with pytest.raises(ImportFailed, match="not valid XML after item 1"):
        import_shop("google-merchant", folder.parent / "source", folder)
