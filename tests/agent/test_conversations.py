"""Whole conversations on the real default models and the demo shop: which tool, which facts, which language; never the wording."""

import re
from pathlib import Path

import pytest
from places import PICTURES, shared_data

from agent.events import Turn
from agent.resources import Opened
from agent.session import Session
from agent.turn import Message

pytestmark = pytest.mark.real


class Conversation:
    """One customer's conversation with the demo shop."""

    def __init__(self, opened: Opened, name: str, customer: str | None = "c001") -> None:
        self._opened, self._session = opened, Session(name, customer)

    def say(self, text: str = "", photo: Path | None = None, voice: Path | None = None) -> Turn:
        message = Message(text, photo.read_bytes() if photo else None, voice.read_bytes() if voice else None)
        *_, turn = self._opened.agent.answer(self._session, message)
        assert isinstance(turn, Turn)
        assert turn.reply
        return turn


@pytest.fixture
def conversation(demo: Opened, request: pytest.FixtureRequest) -> Conversation:
    return Conversation(demo, request.node.name)


def tools(turn: Turn) -> list[str]:
    return [step.tool for step in turn.steps]


def sources(turn: Turn) -> list[str]:
    return [fact.source for step in turn.steps for fact in step.facts]


def products(opened: Opened, turn: Turn) -> list[str]:
    """The ids of the products shown, in order."""
    return list(dict.fromkeys(source.removeprefix("product:") for source in sources(turn) if source.startswith("product:")))


def is_chinese(text: str) -> bool:
    return len(re.findall(r"[\u4e00-\u9fff]", text)) > len(re.findall(r"[A-Za-z]{2,}", text))


@pytest.mark.parametrize(
    ("said", "clauses"), [("退货流程", {"clause:RET-2", "clause:RET-1"}), ("如何申请退款", {"clause:REF-1", "clause:RET-2"})]
)
def test_a_rule_is_quoted_in_chinese(conversation: Conversation, said: str, clauses: set[str]) -> None:
    turn = conversation.say(said)
    assert tools(turn) == ["answer_from_policy"]
    assert clauses & set(sources(turn))
    assert turn.language == "zh"
    assert is_chinese(turn.reply)
    assert turn.steps[0].facts[0].text in turn.reply


def test_the_exclusion_of_underwear_wins_over_the_general_rule(conversation: Conversation) -> None:
    turn = conversation.say("can I return underwear?")
    assert tools(turn) == ["answer_from_policy"]
    assert sources(turn)[0] == "clause:RET-4"
    assert "cannot be returned" in turn.reply
    assert turn.language == "en"


@pytest.mark.parametrize(
    ("said", "category", "season"),
    [("T恤男 夏季", "T恤", "夏"), ("夏季连衣裙", "连衣裙", "夏"), ("夏天穿的鞋子", "鞋子", "夏")],
)
def test_chinese_search_finds_the_category_for_the_season(
    demo: Opened, conversation: Conversation, said: str, category: str, season: str
) -> None:
    turn = conversation.say(said)
    assert tools(turn) == ["search_products"]
    found = [demo.shop.product(product_id) for product_id in products(demo, turn)]
    assert found
    assert sum(product is not None and product.category.zh == category for product in found) >= 2
    assert any(product is not None and season in product.attributes["season"].in_language("zh") for product in found)
    assert turn.language == "zh"
    assert is_chinese(turn.reply)


def test_a_photo_is_identified_with_its_stock(demo: Opened, conversation: Conversation) -> None:
    turn = conversation.say("what is this and is it in stock?", photo=PICTURES / "p088.webp")
    assert tools(turn)[0] == "identify_product"
    assert products(demo, turn)[0] == "p088"
    assert any("in stock" in fact.text or "sold out" in fact.text for fact in turn.steps[0].facts)


def test_something_cheaper_costs_less_than_what_was_shown(demo: Opened, conversation: Conversation) -> None:
    conversation.say("what is this and is it in stock?", photo=PICTURES / "p088.webp")
    turn = conversation.say("something similar but cheaper")
    assert tools(turn) == ["recommend_products"]
    price = demo.shop.product("p088").lowest_price_cents  # type: ignore[union-attr]
    cheaper = [demo.shop.product(product_id).lowest_price_cents for product_id in products(demo, turn)]  # type: ignore[union-attr]
    assert cheaper
    assert all(cost is not None and price is not None and cost < price for cost in cheaper)


def test_an_order_is_tracked_for_its_customer_only(demo: Opened, conversation: Conversation) -> None:
    turn = conversation.say("where is my order?")
    assert tools(turn) == ["track_order"]
    own = {f"order:{order.id}" for order in demo.shop.orders_of("c001")}
    assert set(sources(turn)) <= own
    assert sources(turn)


def test_the_weather_is_not_invented(conversation: Conversation) -> None:
    turn = conversation.say("what's the weather in Paris?")
    assert not any(word in turn.reply.lower() for word in ("sunny", "rain", "cloud", "degrees", "°", "warm", "cold"))


def test_a_person_is_fetched(conversation: Conversation) -> None:
    turn = conversation.say("转人工")
    assert tools(turn) == ["hand_to_human"]
    assert turn.handoff is not None
    assert is_chinese(turn.reply)


def test_a_follow_up_leans_on_what_was_shown(demo: Opened, conversation: Conversation) -> None:
    second = products(demo, conversation.say("do you have summer dresses?"))[1]
    turn = conversation.say("the second one, in blue")
    assert tools(turn) == ["search_products"]
    assert products(demo, turn) == [second]


def test_a_chinese_follow_up_leans_on_what_was_shown(demo: Opened, conversation: Conversation) -> None:
    shown = products(demo, conversation.say("夏季连衣裙"))
    turn = conversation.say("第二款有白色的吗")
    assert tools(turn) == ["search_products"]
    assert products(demo, turn) == [shown[1]]
    assert is_chinese(turn.reply)


def test_a_reply_never_tells_a_price_that_is_in_no_fact(conversation: Conversation) -> None:
    turn = conversation.say("show me jackets between $50 and $120")
    facts = " ".join(fact.text for step in turn.steps for fact in step.facts)
    prices = re.findall(r"\$\d+(?:\.\d\d)?", turn.reply)
    assert prices
    assert all(price in facts for price in prices)


def test_speech_is_understood_and_answered_in_its_language(conversation: Conversation) -> None:
    recording = next(iter(sorted((shared_data("speech_aishell3") / "audio").glob("*.wav"))))
    turn = conversation.say(voice=recording)
    assert tools(turn)[0] == "transcribe_speech"
    assert sources(turn)[0] == "voice"
    assert turn.language == "zh"
    assert is_chinese(turn.said)


def test_the_language_of_the_reply_follows_the_customer(conversation: Conversation) -> None:
    assert conversation.say("is shipping free?").language == "en"
    turn = conversation.say("包邮吗")
    assert turn.language == "zh"
    assert is_chinese(turn.reply)
