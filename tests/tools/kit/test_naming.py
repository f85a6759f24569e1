"""Which part of a sentence is about which thing of an order, and what is asked for there."""

from typing import cast

import pytest

from tests.tools.demo_shop import DemoShop
from tools.kit.answers import read_items, read_options, read_variant, replaces_items
from tools.kit.naming import left_out, named_options, parts_about, pieces_about
from tools.shop.shop import Shop
from tools.shop.types import LocalText, Order, OrderItem, Product, Variant


def made(product_id: str, title: str, *options: dict[str, str]) -> Product:
    variants = [Variant(id=f"{product_id}{n}", options=each, price_cents=1000 + n, stock=5) for n, each in enumerate(options)]
    name = LocalText(en=title)
    return Product(id=product_id, title=name, category=name, variants=tuple(variants))


MOUSE = made(
    "m",
    "Gaming Mouse",
    {"color": "black", "sensor type": "laser", "connectivity": "wireless"},
    {"color": "white", "sensor type": "optical", "connectivity": "wired"},
    {"color": "white", "sensor type": "optical", "connectivity": "wireless"},
)
SHELF = made(
    "s",
    "Bookshelf",
    {"material": "metal", "color": "brown", "height": "4 ft"},
    {"material": "glass", "color": "white", "height": "5 ft"},
    {"material": "glass", "color": "brown", "height": "5 ft"},
)
BOOTS = made("b", "Hiking Boots", {"size": "9", "waterproof": "no"}, {"size": "10", "waterproof": "yes"})
PUZZLE = made("z", "Jigsaw Puzzle", {"pieces": "500", "theme": "art"}, {"pieces": "1500", "theme": "art"})
KETTLE = made("k", "Tea Kettle", {"capacity": "1 liter"}, {"capacity": "1.5 liters"})
GLASSES = made(
    "g", "Sunglasses", {"frame color": "black", "lens color": "brown"}, {"frame color": "brown", "lens color": "black"}
)
BACKPACK = made("p", "Backpack", {"compartment": "camera"}, {"compartment": "laptop"})
LAPTOP = made("l", "Laptop", {"ram": "8GB"}, {"ram": "16GB"})
LUGGAGE = made("x", "Luggage Set", {"color": "red"})


@pytest.fixture(scope="module")
def shop() -> Shop:
    demo = DemoShop()
    demo.stocked = {each.id: each for each in (MOUSE, SHELF, BOOTS, PUZZLE, KETTLE, GLASSES, BACKPACK, LAPTOP, LUGGAGE)}
    return cast(Shop, demo)


def bought(*products: Product, variant: int = 0) -> tuple[OrderItem, ...]:
    return tuple(
        OrderItem(
            product_id=each.id,
            variant_id=each.variants[variant].id,
            title=each.title,
            options=each.variants[variant].options,
            quantity=1,
            unit_price_cents=1000,
        )
        for each in products
    )


def order(*items: OrderItem) -> Order:
    return Order.model_validate(
        {
            "id": "1042",
            "customer_id": "c1",
            "status": "delivered",
            "currency": "USD",
            "items": items,
            "address": {"line1": "1 A St"},
        }
    )


def wanted(text: str, shop: Shop, *products: Product) -> dict[str, list[str]]:
    items = bought(*products)
    parts = parts_about(text, items, shop)
    return {
        item.product_id: [variant.id for variant in read_variant(parts[item.variant_id], item, shop)]
        for item in items
        if item.variant_id in parts
    }


@pytest.mark.parametrize(
    "text",
    [
        "Swap the black mouse for a white wired one, and the bookshelf for a glass one in white with 5 ft.",
        "I want the white wired optical gaming mouse and the 5-foot white glass bookshelf instead of the mouse and the bookshelf",
        "please change the gaming mouse and the bookshelf to the wired white mouse and the white bookshelf in glass, 5 feet",
    ],
)
def test_of_several_swaps_each_has_its_own_words(text: str, shop: Shop) -> None:
    assert wanted(text, shop, MOUSE, SHELF) == {"m": ["m1"], "s": ["s1"]}


@pytest.mark.parametrize(
    ("text", "product", "variant"),
    [
        ("the boots in size 10, waterproof please", BOOTS, "b1"),
        ("I'd rather have the 1500-piece puzzle", PUZZLE, "z1"),
        ("1.5 L instead", KETTLE, "k1"),
        ("can I have one with brown frame and black lenses", GLASSES, "g1"),
        ("a backpack with a laptop compartment", BACKPACK, "p1"),
    ],
)
def test_an_option_is_read_as_customers_write_it(text: str, product: Product, variant: str, shop: Shop) -> None:
    (item,) = bought(product)
    assert [each.id for each in read_variant(text, item, shop)] == [variant]


@pytest.mark.parametrize("text", ["I want a full refund for the boots", "the boots are not waterproof", "order 10 is late", ""])
def test_no_option_is_read_where_none_is_asked_for(text: str, shop: Shop) -> None:
    (item,) = bought(BOOTS)
    assert read_options(text, item, shop) == {}


def test_a_laptop_compartment_is_no_laptop(shop: Shop) -> None:
    items = bought(BACKPACK, LAPTOP)
    assert set(parts_about("change the backpack to one with a laptop compartment", items, shop)) == {"p0"}
    assert set(parts_about("the backpack and the laptop", items, shop)) == {"p0", "l0"}


def test_please_set_up_names_no_set(shop: Shop) -> None:
    assert set(parts_about("please set up a return for the laptop", bought(LUGGAGE, LAPTOP), shop)) == {"l0"}


def test_what_is_excluded_is_not_meant(shop: Shop) -> None:
    items = bought(MOUSE, SHELF, BOOTS)
    kept = {item.variant_id: 1 for item in items}
    assert left_out("everything except the boots", items, shop) == {"b0"}
    assert [u.variant_id for u in read_items("everything except the boots", order(*items), kept, shop)] == ["m0", "s0"]
    assert [u.variant_id for u in read_items("all items but the boots", order(*items), kept, shop)] == ["m0", "s0"]
    assert [u.variant_id for u in read_items("the whole order with the mouse", order(*items), kept, shop)] == ["m0", "s0", "b0"]
    assert [u.variant_id for u in read_items("the mouse, not the bookshelf", order(*items), kept, shop)] == ["m0"]


def test_of_two_of_a_kind_the_options_tell_which(shop: Shop) -> None:
    items = (*bought(MOUSE), *bought(MOUSE, variant=1), *bought(SHELF))
    kept = {item.variant_id: 1 for item in items}
    both = read_items("return the black mouse, the white mouse and the bookshelf", order(*items), kept, shop)
    assert [units.variant_id for units in both] == ["m0", "m1", "s0"]
    assert [u.variant_id for u in read_items("the wired mouse and the bookshelf", order(*items), kept, shop)] == ["m1", "s0"]
    # Which mouse is not said: to be asked for.
    assert [u.variant_id for u in read_items("one mouse", order(*items[:2]), kept, shop)] == []


def test_pieces_are_counted_for_the_thing_they_are_said_of(shop: Shop) -> None:
    items = bought(BACKPACK, LAPTOP)
    assert pieces_about("one of the two backpacks and both of the laptops", items, shop) == {"p0": 1, "l0": 2}
    assert pieces_about("just one of the laptops", items, shop) == {"l0": 1}
    assert pieces_about("the laptop", items, shop) == {}


@pytest.mark.parametrize(
    ("text", "replaces"),
    [
        ("no, only the lamp", True),
        ("not that one, the lamp", True),
        ("also the lamp please", False),
        ("the lamp as well", False),
    ],
)
def test_a_later_message_adds_or_replaces(text: str, replaces: bool) -> None:
    assert replaces_items(text) is replaces


def test_a_shared_value_counts_for_the_option_named_beside_it(shop: Shop) -> None:
    named = named_options("brown frame, black lenses", GLASSES.variants, shop)
    assert {name: [value for _, value in said] for name, said in named.items()} == {
        "frame color": ["brown"],
        "lens color": ["black"],
    }
