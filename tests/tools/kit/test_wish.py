import sys
from pathlib import Path
from typing import Any, cast

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))
from demo_shop import DemoShop

from tools.catalog.vocabulary import Vocabulary
from tools.kit.wish import Fit, Wish, fit_of, read_wish, wants_more

SHOP = DemoShop()
VOCABULARY = Vocabulary.of(cast(Any, SHOP))


def read(text: str) -> Wish:
    return read_wish(text, VOCABULARY, cast(Any, SHOP))


def fitting(text: str, my_sizes: dict[str, str] | None = None) -> list[Fit]:
    wish = read(text)
    fits = [fit_of(product, wish, cast(Any, SHOP), my_sizes) for product in SHOP.products()]
    return [fit for fit in fits if not fit.unmet]


def materials(fits: list[Fit]) -> set[str]:
    return {str(fit.product.attributes["material"].en) for fit in fits if "material" in fit.product.attributes}


@pytest.mark.parametrize("text", ["red shoes under $80", "80美元以内的红色鞋子"])
def test_price_colour_and_category_are_read_in_both_languages(text: str) -> None:
    fits = fitting(text)
    assert fits
    for fit in fits:
        assert fit.product.category.en == "Shoes"
        assert all(variant.price_cents is not None and variant.price_cents <= 8000 for variant in fit.variants)
        assert all(variant.in_stock for variant in fit.variants)
    assert {variant.options["color"] for fit in fits for variant in fit.variants} >= {"red"}


@pytest.mark.parametrize("text", ["shoes, not leather", "不要皮的鞋子", "leather-free shoes", "对皮革过敏，想买鞋子"])
def test_what_is_not_wanted_is_left_out(text: str) -> None:
    found = materials(fitting(text))
    assert found
    assert not found & {"leather", "suede"}


def test_what_is_not_wanted_is_not_searched_for() -> None:
    assert "leather" not in read("boots, not leather, under $90").text
    assert "90" not in read("boots, not leather, under $90").text


def test_asking_whether_there_is_none_in_red_asks_for_red() -> None:
    (color,) = (asked for asked in read("没有红色的吗").asked if asked.aspect == "color")
    assert color.wanted


@pytest.mark.parametrize("text", ["夏季连衣裙", "summer dresses"])
def test_a_season_holds_by_the_shops_own_attribute(text: str) -> None:
    wish = read(text)
    fits = fitting(text)
    assert fits
    assert all("winter" not in str(fit.product.attributes["season"].en) for fit in fits)
    assert wish.kinds


def test_all_year_comes_after_the_season_that_was_named() -> None:
    wish = read("summer T-shirts")
    by_season = {
        str(product.attributes["season"].en): fit_of(product, wish, cast(Any, SHOP)).loosely
        for product in SHOP.products()
        if "season" in product.attributes and product.category.en == "T-shirts"
    }
    assert by_season["summer"] == 0
    assert by_season["all year"] == 1


def test_the_customers_size_counts_where_they_ask_for_it() -> None:
    fits = fitting("a dress in my size", {"dresses": "XS"})
    assert fits
    assert {variant.options["size"] for fit in fits for variant in fit.variants if "size" in variant.options} == {"XS"}


@pytest.mark.parametrize("text", ["a 500ml bottle", "0.5 l bottle", "500毫升的瓶子"])
def test_a_measure_is_found_in_every_unit(text: str) -> None:
    assert "500 ml" in {variant.options.get("capacity") for fit in fitting(text) for variant in fit.variants}


def test_boots_are_nearer_to_boots_than_other_shoes_are() -> None:
    wish = read("red boots")
    distance = {str(product.title.en): fit_of(product, wish, cast(Any, SHOP)).distance for product in SHOP.products()}
    assert distance["Tidewalk Canvas Low Sneakers"] == 1  # no boots, but red
    assert distance["Chelsea Boots"] == 1  # boots, but not red
    assert distance["Denim Jacket"] > 3


@pytest.mark.parametrize(
    "text",
    [
        "more",
        "Any more?",
        "show me more please",
        "what else?",
        "next page",
        "还有吗",
        "还有别的吗？",
        "下一页",
        "换一批",
        "再看看别的",
    ],
)
def test_more_is_understood(text: str) -> None:
    assert wants_more(text)


@pytest.mark.parametrize(
    "text", ["more red ones", "do you have dresses?", "还有红色的吗", "好的", "thanks", "is there a bigger size?", "还有货吗"]
)
def test_what_asks_for_something_new_is_not_more(text: str) -> None:
    assert not wants_more(text)
