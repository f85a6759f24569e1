import pytest

from tools.kit.measures import measures_in


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("500ml bottle", "0.5 litres"),
        ("1.5kg", "三斤"),
        ("2 m rug", "两米地毯"),
        ("30 inch vanity", "762 mm"),
        ("13寸笔记本", "13 inches"),
        ("40升背包", "40 litres"),
        ("20000 mAh", "20000毫安"),
    ],
)
def test_the_same_measure_is_one_word_in_every_unit(text: str, other: str) -> None:
    (first,), (second,) = measures_in(text), measures_in(other)
    assert first.is_same(second)
    assert first.word == second.word


@pytest.mark.parametrize(
    "text", ["$50 mug", "the 40 in black", "5 items", "我身高165cm", "I'm 170 cm tall", "2 men", "3 months", "一两件", "T恤"]
)
def test_what_is_no_products_measure_is_none(text: str) -> None:
    assert measures_in(text) == []


def test_litres_are_no_grams() -> None:
    (volume,), (mass,) = measures_in("1 l"), measures_in("1 kg")
    assert not volume.is_same(mass)
