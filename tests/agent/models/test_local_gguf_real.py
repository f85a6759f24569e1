"""The default chat model itself: decisions, prose, the shared prefix, the stop button."""

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_tests.integration_tests import ChatModelIntegrationTests

from agent.models.llama_engine import Engine, load_engine
from agent.models.local_gguf import LocalGGUF
from tools.kit.errors import ModelFailed

pytestmark = pytest.mark.real

PREFIX = """You are the assistant of a shop. You choose one tool, as JSON, or you write a short reply.
- search_products(query, max_price): products, prices, colours, sizes.
- track_order(order_id): where an order is.
- reply(): greetings and thanks.
Examples:
Customer: hi
{"tool": "reply"}
Customer: 有没有红色的连衣裙
{"tool": "search_products", "arguments": {"query": "红色 连衣裙"}}
Customer: where is my parcel 77?
{"tool": "track_order", "arguments": {"order_id": "77"}}"""


@tool
def search_products(query: str, max_price: int | None = None) -> str:
    """Find products."""
    return query


@tool
def track_order(order_id: str | None = None) -> str:
    """Find an order."""
    return str(order_id)


@pytest.fixture(scope="module")
def model(engine: Engine) -> LocalGGUF:
    engine.warm(PREFIX)
    return LocalGGUF(engine=engine, temperature=0, max_tokens=40)


def ask(model: Any, *said: str) -> AIMessage:
    answer = model.invoke([SystemMessage(PREFIX), *map(HumanMessage, said)])
    assert isinstance(answer, AIMessage)
    return answer


@pytest.mark.parametrize(
    ("said", "name", "within"),
    [
        ("Customer: where is my order 1042?", "track_order", "1042"),
        ("Customer: do you have linen dresses?", "search_products", "linen"),
        ("Customer: 我的订单 2077 到哪了", "track_order", "2077"),
        ("Customer: 有没有夏天穿的鞋子", "search_products", "鞋"),
    ],
)
def test_the_model_chooses_the_tool_with_its_arguments(model: LocalGGUF, said: str, name: str, within: str) -> None:
    (call,) = ask(model.bind_tools([search_products, track_order]), said).tool_calls
    assert call["name"] == name
    assert within in str(call["args"])


def test_only_bound_tools_can_be_chosen(model: LocalGGUF) -> None:
    answer = ask(model.bind_tools([search_products], allow_reply=False), "Customer: where is my order 1042?")
    assert [call["name"] for call in answer.tool_calls] == ["search_products"]


def test_a_greeting_gets_a_written_reply_in_the_same_call(model: LocalGGUF) -> None:
    answer = ask(model.bind_tools([search_products, track_order]), "Customer: hi")
    assert answer.tool_calls == []
    assert answer.text.strip()


def test_facts_are_told(model: LocalGGUF) -> None:
    messages = [
        SystemMessage("You are the assistant of a shop. Answer in one sentence from the facts only."),
        HumanMessage("Where is my order 1042?"),
        AIMessage("", tool_calls=[{"name": "track_order", "args": {"order_id": "1042"}, "id": "1"}]),
        ToolMessage("- Order 1042 was delivered on 3 May.", tool_call_id="1"),
    ]
    assert "3 May" in model.invoke(messages).text.replace("May 3", "3 May")


def test_a_new_conversation_reads_the_shared_prefix_from_memory(model: LocalGGUF) -> None:
    for said in ("Customer: good morning", "Customer: 你好", "Customer: hello there", "Customer: hey"):
        usage = ask(model.bind_tools([track_order], write_reply=False), said).usage_metadata
        assert usage is not None
        assert usage["input_token_details"]["cache_read"] > 0.8 * usage["input_tokens"]


def test_conversations_answer_side_by_side(model: LocalGGUF) -> None:
    answers: dict[str, Any] = {}

    def talk(number: str) -> None:
        answers[number] = ask(model.bind_tools([track_order], allow_reply=False), f"Customer: where is parcel {number}?")

    talkers = [threading.Thread(target=talk, args=(number,)) for number in ("4711", "1234", "9000", "5555")]
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join()
    assert {number: answer.tool_calls[0]["args"]["order_id"] for number, answer in answers.items()} == {
        number: number for number in answers
    }


def test_a_stopped_stream_leaves_the_model_ready(model: LocalGGUF) -> None:
    pieces: Iterator[Any] = model.bind(max_tokens=100_000).stream(
        [SystemMessage(PREFIX), HumanMessage("Count to one thousand.")]
    )
    assert next(pieces).text
    pieces.close()  # type: ignore[attr-defined]  # it is a generator
    assert ask(model.bind_tools([track_order], allow_reply=False), "Customer: where is 12?").tool_calls


def test_a_prompt_longer_than_the_context_is_refused_with_the_setting(model: LocalGGUF) -> None:
    with pytest.raises(ModelFailed, match=r"model\.context_tokens"):
        ask(model, "linen " * 3000)


def test_a_turn_border_in_a_text_is_read_as_letters(model: LocalGGUF) -> None:
    def tokens(text: str) -> int:
        usage = model.bind(max_tokens=1).invoke([SystemMessage(PREFIX), HumanMessage(text)]).usage_metadata
        assert usage is not None
        return usage["input_tokens"]

    plain = tokens("hello")
    for border in ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<tool_call>"):
        # As the control token that it spells, it would be exactly one.
        assert tokens(f"hello{border}") > plain + 2


def test_a_second_process_reads_the_prefix_from_disk(model: LocalGGUF, qwen_path: Path, states_dir: Path) -> None:
    again = load_engine(qwen_path, context_tokens_per_conversation=2048, conversations=3, threads=1, cache_dir=states_dir)
    assert again.warm(PREFIX) is None
    usage = ask(LocalGGUF(engine=again, max_tokens=1), "Customer: hi").usage_metadata
    assert usage is not None
    assert usage["input_token_details"]["cache_read"] > 0.8 * usage["input_tokens"]


def test_llamas_own_http_server_is_locked(engine: Engine) -> None:
    address = engine._states._address
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{address}/slots", timeout=10)
    refusal.value.close()
    assert refusal.value.code == 401
    assert socket.gethostbyname(address.split("//")[1].split(":")[0]).startswith("127.")


class TestLocalGGUFTalksAsLangChainExpects(ChatModelIntegrationTests):
    @pytest.fixture(autouse=True)
    def _loaded(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return LocalGGUF

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"engine": self._engine}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 30}

    @property
    def has_structured_output(self) -> bool:
        # It is a forced tool call, which other tests make; its eight tests would take half of the time.
        return False
