"""The scripted model keeps to its script."""

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_tests.unit_tests import ChatModelUnitTests

from agent.models.scripted import Scripted
from tools.kit.errors import ModelFailed


@tool
def track_order(order_id: str) -> str:
    """Find an order."""
    return order_id


class TestScriptedIsAChatModel(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return Scripted

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"replies": ["Hello."]}


def test_replies_come_in_order_and_the_requests_are_kept() -> None:
    model = Scripted(replies=["One.", "Two."])
    assert [model.invoke("a").text, model.invoke("b").text] == ["One.", "Two."]
    assert model.calls == [[HumanMessage("a")], [HumanMessage("b")]]


def test_a_reply_is_streamed_word_by_word() -> None:
    pieces = [chunk.text for chunk in Scripted(replies=["Your order is here."]).stream("where?")]
    assert pieces == ["Your ", "order ", "is ", "here.", ""]


def test_a_decision_becomes_a_tool_call() -> None:
    model = Scripted(replies=[{"tool": "track_order", "arguments": {"order_id": "1042"}}]).bind_tools([track_order])
    (call,) = model.invoke("where is 1042?").tool_calls
    assert (call["name"], call["args"]) == ("track_order", {"order_id": "1042"})


def test_a_decision_that_the_bound_tools_do_not_allow_fails_as_a_real_model_would() -> None:
    model = Scripted(replies=[{"tool": "track_order", "arguments": {}}]).bind_tools([track_order])
    with pytest.raises(ModelFailed, match="order_id"):
        model.invoke("where?")


def test_an_exception_in_the_script_is_raised_and_the_next_reply_follows() -> None:
    model = Scripted(replies=[ModelFailed("no answer"), "Back."])
    with pytest.raises(ModelFailed, match="no answer"):
        model.invoke("hello")
    assert model.invoke("hello").text == "Back."


def test_a_script_that_is_used_up_says_what_was_asked() -> None:
    with pytest.raises(AssertionError, match=r"script of 0 replies is used up.*where is my parcel"):
        Scripted(replies=[]).invoke("where is my parcel?")
