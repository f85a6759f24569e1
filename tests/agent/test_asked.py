"""What a question asks, and whether facts tell of it."""

import pytest

from agent.asked import contradicted, nearest_facts, taken_up, topics_asked
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


DUVET = [
    Fact(text="Cloud Duvet: $119.00, in stock.", source="product:duvet"),
    Fact(text="Filling: hollow-fibre polyester", source="product:duvet"),
]
QUILT = [Fact(text="云朵被：¥199.00，有货。", source="product:quilt"), Fact(text="填充：聚酯纤维", source="product:quilt")]


@pytest.mark.parametrize(
    ("sentence", "said", "language", "word"),
    [
        ("Yes, it has goose feathers.", "does it have goose feathers in it?", "en", "goose"),
        ("It has feathers.", "so it has feathers, right?", "en", "feathe"),
        ("是的，里面有鹅毛。", "被子里有鹅毛吗", "zh", "鹅毛"),
    ],
)
def test_a_yes_that_only_repeats_the_question_is_noticed(sentence: str, said: str, language: Language, word: str) -> None:
    assert taken_up(sentence, said, DUVET if language == "en" else QUILT, language) == word


@pytest.mark.parametrize(
    ("sentence", "said", "language"),
    [
        ("No, it has no goose feathers.", "does it have goose feathers?", "en"),
        ("Yes, its filling is polyester.", "is the filling polyester?", "en"),
        ("It weighs 2 kg.", "how heavy are the feathers?", "en"),
        ("It is polyester and feels fluffy.", "is it fluffy?", "en"),
        ("Are you allergic to feathers?", "is it free of feathers?", "en"),
        ("没有鹅毛。", "有鹅毛吗", "zh"),
        ("是的，填充是聚酯纤维。", "填充是聚酯的吗", "zh"),
    ],
)
def test_what_is_denied_asked_or_told_by_a_fact_may_be_repeated(sentence: str, said: str, language: Language) -> None:
    assert taken_up(sentence, said, DUVET if language == "en" else QUILT, language) is None


TENT = [
    Fact(text="Dome Tent: $99.00, in stock.", source="product:tent"),
    Fact(text="Waterproof in steady rain. Not made for snow.", source="product:tent"),
]
CREAM = [Fact(text="面霜：¥99.00，有货。", source="product:cream"), Fact(text="不含酒精和香精。", source="product:cream")]


@pytest.mark.parametrize(
    ("sentence", "said", "language", "is_contradicted"),
    [
        ("No, the tent is not waterproof.", "is the tent really waterproof?", "en", True),
        ("Yes, it is waterproof.", "is the tent really waterproof?", "en", False),
        ("Yes, it can stand snow.", "can it stand snow?", "en", True),
        ("No, it is not made for snow.", "can it stand snow?", "en", False),
        ("It is made of canvas, not waterproof.", "which tent is it?", "en", False),
        ("是的，面霜含酒精。", "面霜含酒精吗", "zh", True),
        ("不含酒精。", "面霜含酒精吗", "zh", False),
    ],
)
def test_a_yes_where_the_facts_say_no_is_noticed_and_a_no_too(
    sentence: str, said: str, language: Language, is_contradicted: bool
) -> None:
    facts = TENT if language == "en" else CREAM
    assert contradicted(sentence, said, facts, language) == (facts[1] if is_contradicted else None)


def test_the_nearest_facts_share_a_word_with_the_question_that_is_not_the_products_name() -> None:
    assert nearest_facts("which filling has the cloud duvet?", DUVET, "en") == [DUVET[1]]
    assert nearest_facts("is the cloud duvet nice?", DUVET, "en") == []
    assert nearest_facts("云朵被的填充物是啥", QUILT, "zh") == [QUILT[1]]
