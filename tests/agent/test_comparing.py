"""Sentences that set one product against another, held against the products' numbers."""

import pytest

from agent.promises import PromiseCheck
from tools.kit.facts import Fact

ENGLISH = (
    Fact(text="Swift Runner: $79.00, in stock (Colour: white).", source="product:r1"),
    Fact(text="Weight: 215 g", source="product:r1"),
    Fact(text="Trail Shoe: $95.00, in stock.", source="product:r2"),
    Fact(text="Weight: 320 g", source="product:r2"),
)
CHINESE = (
    Fact(text="清风吸尘器：¥899.00，有货。", source="product:v1"),
    Fact(text="续航：40 分钟", source="product:v1"),
    Fact(text="海啸吸尘器：¥1,399.00，有货。", source="product:v2"),
    Fact(text="续航：65 分钟", source="product:v2"),
)


def objection(sentence: str, facts: tuple[Fact, ...]) -> str | None:
    titles = {fact.source.removeprefix("product:"): (fact.text.replace("：", ":").split(":")[0],) for fact in facts[::2]}
    return PromiseCheck(facts, said="", titles=titles).objection(sentence)


@pytest.mark.parametrize(
    ("sentence", "facts"),
    [
        ("The Swift Runner is lighter than the Trail Shoe.", ENGLISH),
        ("The Swift Runner weighs 215 g and is the lightest.", ENGLISH),
        ("Compared to the Swift Runner, the Trail Shoe is heavier.", ENGLISH),
        ("The Trail Shoe is more expensive.", ENGLISH),
        ("The Trail Shoe is not cheaper.", ENGLISH),
        ("Is the Trail Shoe cheaper?", ENGLISH),
        ("清风吸尘器比海啸吸尘器更便宜。", CHINESE),
        ("与清风吸尘器相比，海啸吸尘器续航更长。", CHINESE),
    ],
)
def test_what_the_numbers_bear_out_is_sent(sentence: str, facts: tuple[Fact, ...]) -> None:
    assert objection(sentence, facts) is None


@pytest.mark.parametrize(
    ("sentence", "facts"),
    [
        ("The Trail Shoe is lighter than the Swift Runner.", ENGLISH),
        ("The Trail Shoe weighs 320 g and is the lightest.", ENGLISH),
        ("Compared to the Trail Shoe, the Swift Runner is heavier.", ENGLISH),
        ("The Swift Runner is more expensive.", ENGLISH),
        ("海啸吸尘器比清风吸尘器更便宜。", CHINESE),
        ("与海啸吸尘器相比，清风吸尘器续航更长。", CHINESE),
    ],
)
def test_what_the_numbers_belie_is_not_sent(sentence: str, facts: tuple[Fact, ...]) -> None:
    assert "numbers say otherwise" in (objection(sentence, facts) or "")


def test_without_both_numbers_in_one_unit_nothing_is_objected_to() -> None:
    unknown = ENGLISH[:3]
    assert objection("The Trail Shoe is lighter than the Swift Runner.", unknown) is None
    mixed = (*ENGLISH[:3], Fact(text="Weight: 0.2 kg", source="product:r2"))
    assert objection("The Swift Runner is lighter than the Trail Shoe.", mixed) is None
