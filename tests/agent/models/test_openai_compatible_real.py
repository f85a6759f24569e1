"""The client against a real OpenAI-compatible server with the default model: llama.cpp's own, which the engine opens."""

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_tests.integration_tests import ChatModelIntegrationTests
from pydantic import SecretStr

from agent.models.llama_engine import Engine
from agent.models.openai_compatible import OpenAICompatible
from tools.kit.errors import ModelFailed

pytestmark = pytest.mark.real

PREFIX = """You choose one tool, as JSON.
- track_order(order_id): where an order is.
Example:
Customer: where is my parcel 77?
{"tool": "track_order", "arguments": {"order_id": "77"}}"""


@tool
def track_order(order_id: str) -> str:
    """Find a customer's order by its number."""
    return order_id


def settings_of(engine: Engine) -> dict[str, Any]:
    return {
        "base_url": f"{engine._states._address}/v1",
        "api_key": SecretStr(engine._states._key),
        "model": engine.name,
        "max_tokens": 40,
    }


def test_a_tool_is_called_with_its_arguments(engine: Engine) -> None:
    model = OpenAICompatible(**settings_of(engine), tool_mode="json").bind_tools([track_order], allow_reply=False)
    answer = model.invoke([SystemMessage(PREFIX), HumanMessage("Customer: where is my order 1042?")])
    assert isinstance(answer, AIMessage)
    (call,) = answer.tool_calls
    assert (call["name"], call["args"]) == ("track_order", {"order_id": "1042"})


def test_a_reply_is_streamed_to_its_end(engine: Engine) -> None:
    chunks = list(OpenAICompatible(**settings_of(engine), temperature=0).stream("Say hello in one word."))
    assert "".join(chunk.text for chunk in chunks).strip()
    assert [chunk.response_metadata["finish_reason"] for chunk in chunks if "finish_reason" in chunk.response_metadata] == [
        "stop"
    ]


def test_a_decision_cut_off_by_the_limit_fails(engine: Engine) -> None:
    model = OpenAICompatible(**{**settings_of(engine), "max_tokens": 6}, tool_mode="json").bind_tools([track_order])
    with pytest.raises(ModelFailed, match="did not end"):
        model.invoke([SystemMessage(PREFIX), HumanMessage("Customer: where is my order 1042?")])


def test_a_wrong_key_is_told(engine: Engine) -> None:
    with pytest.raises(ModelFailed, match=r"status 401.*model\.api_key"):
        OpenAICompatible(**{**settings_of(engine), "api_key": SecretStr("wrong")}).invoke("hi")


class TestOpenAICompatibleTalksAsLangChainExpects(ChatModelIntegrationTests):
    @pytest.fixture(autouse=True)
    def _served(self, engine: Engine) -> None:
        self._settings = settings_of(engine)

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return OpenAICompatible

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return self._settings

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 30}

    @property
    def has_tool_calling(self) -> bool:
        # The 1.5B model cannot call tools natively (it writes until it is cut off); as JSON it can, see above.
        return False

    @property
    def has_structured_output(self) -> bool:
        return False
