import sys
from pathlib import Path
from typing import Any, cast

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))
from demo_shop import DemoShop

from tools.catalog.vocabulary import Vocabulary, synonyms_in


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.of(cast(Any, DemoShop()))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("red runing shoes", "red running shoes"),
        ("a blak drss under $80", "a black dress under $80"),
        ("waterproff jaket", "waterproof jacket"),
        ("lether boots", "leather boots"),
        ("夏季连依裙", "夏季连衣裙"),
        ("我要一双跑写", "我要一双跑鞋"),
        ("有没有帐蓬", "有没有帐篷"),
    ],
)
def test_a_misspelled_word_is_read_as_the_shops(vocabulary: Vocabulary, written: str, meant: str) -> None:
    assert vocabulary.corrected(written).text == meant


@pytest.mark.parametrize(
    "text",
    [
        "do you sell laptops?",
        "iphone charger",
        "hello there thanks",
        "a colourful jumper",
        "你们有没有笔记本电脑",
        "有没有我的尺码的T恤，黑色的",
        "羊毛以外的毛衣，我对羊毛过敏",
        "送给我妈妈",
    ],
)
def test_what_is_no_slip_stays(vocabulary: Vocabulary, text: str) -> None:
    assert vocabulary.corrected(text).changes == ()


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("a dress", "dresses"),
        ("sneakers", "shoes"),
        ("裙子", "dresses"),
        ("wool hats", "hats & accessories"),
        ("T恤男", "t-shirts"),
    ],
)
def test_categories_are_known_by_their_names_parts_and_synonyms(vocabulary: Vocabulary, text: str, category: str) -> None:
    assert any(category in keys for keys in vocabulary.named_categories(text).values())


def test_synonyms_are_the_other_words_of_a_group() -> None:
    assert "jumper" in synonyms_in("a sweater")
    assert "sweater" not in synonyms_in("a sweater")
