from typing import cast

import pytest

from tools.kit.reading import (
    calls_an_order,
    chinese_number,
    matching_variants,
    mentions,
    named_values,
    points_back,
    price_limits,
    shown_position,
)
from tools.shop.shop import Shop
from tools.shop.types import LocalText, Product, ShopInfo, Variant

INFO = ShopInfo(
    name=LocalText(en="Test"),
    currency="USD",
    words={"light blue": LocalText(en="light blue", zh="浅蓝色"), "red": LocalText(en="red", zh="红色")},
)
SHIRT = Product(
    id="p1",
    title=LocalText(en="Shirt", zh="衬衫"),
    category=LocalText(en="Shirts"),
    variants=tuple(
        Variant(id=f"p1-{color}-{size}", options={"color": color, "size": size}, price_cents=2000, stock=1)
        for color, size in [("red", "S"), ("red", "M"), ("light blue", "M"), ("light blue", "L")]
    ),
)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("I like the third one", 3),
        ("第二双有货吗", 2),
        ("option 1 please", 1),
        ("the last one", 3),
        ("最后一款多少钱", 3),
        ("the fifth one", None),
        ("is it my first time ordering? no, first order", None),
        ("my second order", None),
        ("how much", None),
    ],
)
def test_position_of_what_was_shown_is_read_from_the_words(text: str, position: int | None) -> None:
    assert shown_position(text, 3) == position


def test_pointing_words_lean_on_what_came_before() -> None:
    assert points_back("how warm is that one")
    assert points_back("这款有红色吗")
    assert not points_back("do you sell tents")


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("boots under $80", (None, 8000)),
        ("anything below 49.90?", (None, 4990)),
        ("between $20 and $35.50", (2000, 3550)),
        ("at least $100", (10000, None)),
        ("two hundred yuan 200元以内的台灯", (None, 20000)),
        ("两百到三百元的被子", (20000, 30000)),
        ("不超过一百五", (None, 15000)),
        ("超过500元的", (50000, None)),
        ("100块左右", (8000, 12000)),
        ("delivered within 5 days", (None, None)),
        ("a size 42 shoe", (None, None)),
        ("order 1042", (None, None)),
        ("under 30 days", (None, None)),
        ("$1,299 or less", (None, 129900)),
        ("a lamp, 35 to 60 pounds", (3500, 6000)),
        ("25 quid max", (None, 2500)),
        ("跑步机 三百到六百", (30000, 60000)),
        ("别超过四百五的背包", (None, 45000)),
        ("身高150到160穿什么码", (None, None)),
        ("100到200毫升的杯子", (None, None)),
    ],
)
def test_price_limits_are_read_in_both_languages(text: str, limits: tuple[int | None, int | None]) -> None:
    assert price_limits(text) == limits


@pytest.mark.parametrize(
    ("text", "number"),
    [("三百五", 350), ("两百", 200), ("一百二十", 120), ("十五", 15), ("一千零五", 1005), ("一万二", 12000), ("abc", None)],
)
def test_chinese_numerals_are_numbers(text: str, number: int | None) -> None:
    assert chinese_number(text) == number


@pytest.mark.parametrize(
    ("text", "word", "found"),
    [
        ("I'm looking for it", "M", False),
        ("do you have it in M?", "M", True),
        ("size m please", "M", True),
        ("有s码的吗", "S", True),
        ("I was bored", "red", False),
        ("two red ones", "red", True),
        ("红的有吗", "红色", True),
        ("it costs 42 dollars", "42", False),
        ("do you have 42码", "42", True),
        ("shoes in a 42", "42", True),
    ],
)
def test_words_are_found_only_where_they_are_meant(text: str, word: str, found: bool) -> None:
    assert mentions(text, word) is found


def test_a_plain_colour_stands_for_its_shades() -> None:
    assert named_values("something blue", {"light blue", "red"}, INFO) == {"light blue"}
    assert named_values("红色的", {"light blue", "red"}, INFO) == {"red"}


class OneShirtShop:
    """As much of a shop as reading options takes: colours and sizes of all its products."""

    info = INFO

    def option_values(self, name: str) -> frozenset[str]:
        return {"color": frozenset({"red", "light blue", "green"}), "size": frozenset({"S", "M", "L", "XL"})}[name]


@pytest.mark.parametrize(
    ("text", "variants"),
    [
        ("in red, size M", ["p1-red-M"]),
        ("in red, size L", []),
        ("is there a green one", []),
        ("the blue one", ["p1-light blue-M", "p1-light blue-L"]),
        ("how much is it", [variant.id for variant in SHIRT.variants]),
    ],
)
def test_options_must_hold_in_one_variant(text: str, variants: list[str]) -> None:
    assert [variant.id for variant in matching_variants(SHIRT, text, cast(Shop, OneShirtShop()))] == variants


@pytest.mark.parametrize(
    "text",
    [
        "order 1042 please",
        "my oder 55120",
        "stop 10-66120 now",
        "is W-48211 packed",
        "#A1042",
        "2024110388120 到哪了",
        "订单号是 3391",
    ],
)
def test_an_order_is_called_by_its_number(text: str) -> None:
    assert calls_an_order(text)


@pytest.mark.parametrize(
    "text",
    [
        "a 1000 piece puzzle",
        "3-5 days",
        "a budget of 150-200",
        "13812345678 打我电话",
        "I paid $1299000",
        "size 38-40",
        "92102 San Diego",
        "155-0031 Tokyo",
    ],
)
def test_other_numbers_call_no_order(text: str) -> None:
    assert not calls_an_order(text)
