"""What a question asks, and whether facts tell of it."""

import pytest

from agent.asked import topics_asked
from tools.kit.facts import Fact
from tools.shop.types import Language


def ids(said: str, language: Language = "en") -> set[str]:
    return {topic.id for topic in topics_asked(said, language)}


@pytest.mark.parametrize(
    ("said", "language", "topic"),
    [
        ("is it waterproof?", "en", "water"),
        ("how do i wash it", "en", "washing"),
        ("how heavy is the thing", "en", "weight"),
        ("What's the guarantee on this?", "en", "warranty"),
        ("防水吗", "zh", "water"),
        ("能机洗不", "zh", "washing"),
        ("这个多重", "zh", "weight"),
        ("保修几年", "zh", "warranty"),
    ],
)
def test_a_question_names_its_topic(said: str, language: Language, topic: str) -> None:
    assert topic in ids(said, language)


@pytest.mark.parametrize(
    "said", ["hello", "tell me about the second one", "do you like it yourself?", "what colours does it come in"]
)
def test_a_message_about_nothing_in_particular_has_no_topic(said: str) -> None:
    assert ids(said) == set()


def test_a_fact_tells_of_a_topic_by_what_it_says_and_not_by_a_products_name() -> None:
    [washing] = [topic for topic in topics_asked("can it be washed?", "en") if topic.id == "washing"]
    title = Fact(text="Easy-Wash Rug: $80.00, in stock.", source="product:rug")
    care = Fact(text="Care: machine wash at 30 °C", source="product:rug")
    assert washing.facts_among([title, care], "en") == [care]


def test_the_price_is_in_a_products_first_line_and_the_material_before_all_in_its_own() -> None:
    title = Fact(text="Gooseneck Kettle: £54.00, in stock (Colour: brushed steel).", source="product:kettle")
    material = Fact(text="Material: stainless steel", source="product:kettle")
    text = Fact(text="A kettle at a fair price.", source="product:kettle")
    [price] = topics_asked("what's the price?", "en")
    [made_of] = topics_asked("what is it made of?", "en")
    assert price.facts_among([title, material, text], "en") == [title]
    assert made_of.facts_among([title, material, text], "en") == [material]
    assert made_of.facts_among([title], "en") == [title]
