"""The loop around a chat model that says what a test wants: what gets out must be true whatever the model does."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver

from agent.events import Said, ToolStarted, Turn
from agent.models.scripted import Scripted
from agent.resources import Opened
from agent.session import Session
from agent.turn import Agent, Message
from eval.obedient import ASKED
from tools.kit.errors import ModelFailed

pytestmark = pytest.mark.real  # the encoders and the demo shop are the real ones

SEARCH = {"tool": "search_products", "arguments": {"query": "summer dress"}}
ABOUT = "what is the Breeze Linen Midi Dress like, would it do for a wedding"
ABOUT_IT = {"tool": "search_products", "arguments": {"query": "Breeze Linen Midi Dress"}}
"""A question that the chat model answers in its own words: lists of products are code's."""
Make = Callable[..., Agent]


@pytest.fixture
def scripted(demo: Opened) -> Make:
    """An agent of the demo shop whose chat model follows a script."""

    def make(replies: Sequence[str | dict[str, Any] | Exception], checkpointer: Any = None) -> Agent:
        return demo.agent_with(Scripted(replies=replies), checkpointer or InMemorySaver(), **ASKED)

    return make


def ask(agent: Agent, text: str | bytes = "", customer: str | None = "c001", conversation: str = "t", **more: Any) -> Turn:
    *_, last = agent.answer(Session(conversation, customer), Message(text=text, **more))
    assert isinstance(last, Turn)
    return last


def test_an_invented_price_is_replaced_before_it_is_sent(scripted: Make) -> None:
    agent = scripted([ABOUT_IT, "It is a linen dress. The Breeze Linen Midi Dress costs $3.33 only today!"])
    events = list(agent.answer(Session("t"), Message(ABOUT)))
    turn = events[-1]
    assert isinstance(turn, Turn)
    assert "".join(event.text for event in events if isinstance(event, Said)).strip() == turn.reply
    assert "3.33" not in turn.reply
    assert turn.promises.replaced >= 1
    assert any("3.33" in line for line in turn.why)
    assert any(fact.text in turn.reply for fact in turn.steps[0].facts)


def test_a_reply_that_passes_is_sent_as_it_was_written(scripted: Make, demo: Opened) -> None:
    agent = scripted([ABOUT_IT, "Have a look at this dress. Would you like to see it?"])
    turn = ask(agent, ABOUT)
    assert turn.promises.replaced == 0
    assert "Would you like to see it?" in turn.reply
    assert [step.tool for step in turn.steps] == ["search_products"]
    assert all(demo.shop.product(fact.source.removeprefix("product:")) for fact in turn.steps[0].facts)


def test_the_answer_about_one_colour_and_size_is_codes_own(scripted: Make, demo: Opened) -> None:
    product = demo.shop.product("p001")
    assert product is not None
    gone = next(variant for variant in product.variants if variant.stock == 0)
    color, size = gone.options["color"], gone.options["size"]
    said = f"is the {product.title.en} in {color}, size {size} in stock?"
    turn = ask(scripted([{"tool": "search_products", "arguments": {"query": said}}]), said)
    assert turn.model_calls == 1
    assert "sold out" in turn.reply
    assert "is in stock: " not in turn.reply


def test_a_colour_that_a_product_does_not_come_in_is_denied(scripted: Make) -> None:
    decision = {"tool": "search_products", "arguments": {"query": "red"}}
    agent = scripted([SEARCH, decision])
    shown = ask(agent, "do you have a summer dress").steps[0].facts[-1].source
    turn = ask(agent, "the last one, in charcoal please")
    assert turn.steps[0].facts[0].source == shown
    assert "does not come in" in turn.reply


def test_an_order_of_somebody_else_and_an_unknown_one_get_the_same_answer(scripted: Make) -> None:
    def about(order: str) -> str:
        decision = {"tool": "track_order", "arguments": {"order": order}}
        return ask(scripted([decision, "…"]), f"where is order {order}?").reply

    assert about("1054") == about("999999")
    assert "1054" not in about("1054")


def test_a_visitor_sees_no_orders_whatever_the_model_calls(scripted: Make) -> None:
    decision = {"tool": "track_order", "arguments": {"order": "1066"}}
    turn = ask(scripted([decision]), "where is order 1066? I am c001", customer=None)
    assert [fact.source for fact in turn.steps[0].facts] == ["question"]
    assert "who you are" in turn.reply


def test_an_order_number_that_only_the_model_wrote_is_not_looked_up(scripted: Make) -> None:
    decision = {"tool": "track_order", "arguments": {"order": "66120"}}
    turn = ask(scripted([decision, "Your order is on its way."]), "where is my order?")
    assert turn.steps[0].arguments == {}
    assert all(fact.source.startswith("order:") for fact in turn.steps[0].facts)


def test_promised_deeds_never_get_out(scripted: Make) -> None:
    agent = scripted([ABOUT_IT, "Have a look at it. I have refunded your last order."])
    turn = ask(agent, ABOUT)
    assert "refunded" not in turn.reply
    assert turn.promises.replaced == 1


def test_a_model_that_fails_gets_an_apology_and_the_conversation_goes_on(scripted: Make) -> None:
    agent = scripted([ModelFailed("it answered garbage"), SEARCH])
    failed = ask(agent, "do you have a summer dress")
    assert "Reference" in failed.reply
    assert any("garbage" in line for line in failed.why)
    assert ask(agent, "do you have a summer dress?").steps[0].tool == "search_products"


def test_a_model_that_fails_while_writing_leaves_the_facts_told(scripted: Make) -> None:
    turn = ask(scripted([ABOUT_IT, ModelFailed("the stream was cut")]), ABOUT)
    assert turn.reply.startswith("Here is what I found:")
    assert turn.steps[0].facts[0].text in turn.reply


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (Message(text=""), "did not receive any text"),
        (Message(text=b"\x00\xe2\x80\xae"), "did not receive any text"),
        (Message(text="dress " * 2_000_000), "longer than"),
        (Message(text="what is this", photo=b"not a picture"), "cannot open this picture"),
        (Message(text="what is this", photo=b""), "arrived empty"),
        (Message(voice=b"not a recording"), "cannot open this recording"),
    ],
)
def test_unusable_input_gets_a_polite_sentence_and_nothing_is_lost(scripted: Make, message: Message, words: str) -> None:
    agent = scripted(
        [
            SEARCH,
            {"tool": "search_products", "arguments": {"query": "the second one"}},
            "It is lovely.",
        ]
    )
    shown = [fact.source for fact in ask(agent, "do you have a summer dress").steps[0].facts if fact.source != "catalogue"]
    *_, turn = agent.answer(Session("t", "c001"), message)
    assert isinstance(turn, Turn)
    assert words in turn.reply
    assert turn.model_calls == 0
    assert ask(agent, "tell me more about the second one").steps[0].facts[0].source == shown[1]


def test_text_that_is_not_utf8_is_read_as_far_as_it_goes(scripted: Make) -> None:
    assert ask(scripted([SEARCH]), b"do you have a summer \xff\xfedress").steps


def test_a_turn_that_was_cut_off_leaves_a_conversation_that_goes_on(scripted: Make) -> None:
    agent = scripted([SEARCH, SEARCH])
    for event in agent.answer(Session("t", "c001"), Message("do you have a summer dress")):
        if isinstance(event, ToolStarted):
            break
    assert ask(agent, "summer dress, please").steps[0].tool == "search_products"


def test_a_conversation_survives_a_restart_with_private_data_masked(scripted: Make, tmp_path: Path) -> None:
    database = tmp_path / "conversations.sqlite"

    def agent(replies: Sequence[Any]) -> Agent:
        return scripted(replies, SqliteSaver(sqlite3.connect(database, check_same_thread=False)))

    first = ask(agent([SEARCH]), "I am ann.lee@example.com, do you have a summer dress")
    second = ask(
        agent([{"tool": "search_products", "arguments": {"query": "it"}}, "It is lovely."]), "tell me about the first one"
    )
    assert second.steps[0].facts[0].source == next(fact.source for fact in first.steps[0].facts if fact.source != "catalogue")
    assert b"ann.lee@example.com" not in b"".join(path.read_bytes() for path in tmp_path.glob("conversations.sqlite*"))


def test_conversations_do_not_mix(scripted: Make) -> None:
    agent = scripted([SEARCH, {"tool": "search_products", "arguments": {"query": "tent"}}])
    ask(agent, "do you have a summer dress", conversation="a")
    turn = ask(agent, "the first one: is it a good tent?", conversation="b")
    assert not any("Dress" in fact.text for fact in turn.steps[0].facts)


def test_two_wishes_in_one_message_are_both_served(demo: Opened) -> None:
    # Both are clear without the chat model.
    agent = demo.agent_with(Scripted(replies=[]), InMemorySaver())
    turn = ask(agent, "Where is my parcel? How many days do I have to return something?")
    assert [step.tool for step in turn.steps] == ["track_order", "answer_from_policy"]
    assert "30 days" in turn.reply


def test_a_person_gets_a_summary_of_the_conversation(scripted: Make) -> None:
    agent = scripted([SEARCH, {"tool": "hand_to_human", "arguments": {"reason": "wants a person"}}])
    ask(agent, "do you have a summer dress")
    turn = ask(agent, "let me talk to a real person please")
    assert turn.handoff is not None
    assert "Emma Carter" in turn.handoff.summary
    assert "do you have a summer dress" in turn.handoff.summary
