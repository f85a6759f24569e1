"""What a turn costs beside its model calls, and what a warm prefix saves.

The calls that a turn makes of its chat model are recorded, then made again without the turn around them. So that neither side
finds its prompts evaluated already, what the engine remembers of the last conversations is pushed out before each of them,
and the order is turned from one repeat to the next. A server that forgets nothing knows the prompts of both sides: the
turn was taken once before.
"""

import resource
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.outputs import LLMResult

from agent.events import Turn
from agent.session import Session
from agent.turn import Agent, Message
from tools.kit.errors import OperatorError
from tools.shop.types import Language, Product

ASKED: dict[Language, str] = {"en": 'Do you have the "{title}"? How much is it?', "zh": "有没有{title}？多少钱？"}


@dataclass(frozen=True)
class ModelCall:
    """One request to a chat model: the messages, and what was asked for beside them (tools, say)."""

    messages: tuple[BaseMessage, ...]
    options: dict[str, Any]


@dataclass(eq=False)
class Recorder(BaseCallbackHandler):
    """Remembers what a chat model is asked, and for how long it answered, in seconds; `own` are the model's own parameters."""

    own: dict[str, Any]
    calls: list[ModelCall] = field(default_factory=list)
    seconds: float = 0.0
    tokens: int = 0
    """Written by the model."""
    _began: dict[UUID, float] = field(default_factory=dict)

    raise_error = True

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],  # noqa: ARG002 (part of the interface)
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        **kwargs: Any,
    ) -> None:
        """Take down the request; what it has beside the messages comes mixed with the model's own parameters."""
        given: dict[str, Any] = kwargs["invocation_params"]
        options = {
            name: value
            for name, value in given.items()
            if (name not in self.own or self.own[name] != value) and (name, value) != ("stop", None)
        }
        self.calls += [ModelCall(tuple(each), options) for each in messages]
        self._began[run_id] = time.perf_counter()

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:  # noqa: ARG002 (part of the interface)
        """Take the time of the answer."""
        self.seconds += time.perf_counter() - self._began.pop(run_id)
        usage = getattr(getattr(response.generations[0][0], "message", None), "usage_metadata", None) or {}
        self.tokens += usage.get("output_tokens", 0)


@contextmanager
def recording(model: BaseChatModel) -> Iterator[Recorder]:
    """Record every request to the model, whoever makes it."""
    before, recorder = model.callbacks, Recorder(model.asdict())
    model.callbacks = [recorder]
    try:
        yield recorder
    finally:
        model.callbacks = before


@dataclass(frozen=True)
class Taken:
    """One turn, or its model calls alone: seconds in all, seconds and written tokens of the model, the requests."""

    seconds: float
    model_seconds: float
    tokens: int
    calls: tuple[ModelCall, ...]
    turn: Turn | None = None


def take_turn(agent: Agent, model: BaseChatModel, message: Message) -> Taken:
    """Answer one message in a conversation of its own."""
    with recording(model) as recorder:
        began = time.perf_counter()
        *_, last = agent.answer(Session(conversation_id=f"bench-{uuid4().hex}"), message)
        seconds = time.perf_counter() - began
    turn = last if isinstance(last, Turn) else None
    return Taken(seconds, recorder.seconds, recorder.tokens, tuple(recorder.calls), turn)


def call_directly(model: BaseChatModel, calls: Iterable[ModelCall]) -> Taken:
    """Make the same requests, one after the other, with nothing around them."""
    with recording(model) as recorder:
        began = time.perf_counter()
        for call in calls:
            for _ in model.stream(list(call.messages), **call.options):
                pass
        seconds = time.perf_counter() - began
    return Taken(seconds, recorder.seconds, recorder.tokens, tuple(recorder.calls))


def first_token_s(model: BaseChatModel, messages: Sequence[BaseMessage]) -> float:
    """Seconds until the model's first text, or until its end where it writes none."""
    began = time.perf_counter()
    first: float | None = None
    for chunk in model.stream(list(messages), max_tokens=1):
        if first is None and chunk.text:
            first = time.perf_counter() - began
    return time.perf_counter() - began if first is None else first


def questions_about(products: Sequence[Product], count: int = 1) -> list[str]:
    """Questions that any shop's agent can answer: about `count` products, in each language that they have a title in."""
    if not products:
        raise OperatorError('the shop has no products to ask about; import some with "storehand import".')
    chosen = products[:: max(1, len(products) // count)][:count]
    return [
        asked.format(title=getattr(product.title, language))
        for language, asked in ASKED.items()
        for product in chosen
        if getattr(product.title, language)
    ]


def measure_turns(
    agent: Agent,
    model: BaseChatModel,
    questions: Sequence[str],
    *,
    repeats: int,
    conversations: int,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Compare turns with their model calls, and a warm prefix with a cold one; times are medians, in seconds.

    `conversations` is how many the engine remembers. `tell` is told what is being done. Raises OperatorError if no turn
    asked the model to write.
    """
    pairs: list[tuple[list[Taken], list[Taken]]] = []
    recorded: list[Taken] = []
    for number, question in enumerate(questions, start=1):
        tell(f"turns, question {number} of {len(questions)}")
        first = take_turn(agent, model, Message(text=question))
        if not first.calls:
            continue
        recorded.append(first)
        turns: list[Taken] = []
        direct: list[Taken] = []
        for repeat in range(repeats):
            for ours in (True, False) if repeat % 2 == 0 else (False, True):
                _push_out(model, first.calls[0].messages[:1], conversations)
                if ours:
                    turns.append(take_turn(agent, model, Message(text=question)))
                else:
                    direct.append(call_directly(model, first.calls))
        pairs.append((turns, direct))
    writes = next((call for taken in recorded for call in taken.calls if not call.options.get("tools")), None)
    if writes is None:
        raise OperatorError("no turn asked the chat model to write; try another --shop, one with products to describe.")
    cold, warm = _first_tokens(model, writes.messages, repeats, tell)
    bare_cold, bare_warm = _first_tokens(model, [writes.messages[0], HumanMessage(questions[0])], repeats, tell)
    all_turns = [taken for turns, _ in pairs for taken in turns]
    all_direct = [taken for _, direct in pairs for taken in direct]
    parts = [taken.turn.seconds for taken in all_turns if taken.turn]
    return {
        # What the prefix saves: a question after it, with the prefix known and unknown.
        "first_token_warm_over_cold": bare_warm / bare_cold,
        "turn_over_direct_calls": sum(_median_s(turns) for turns, _ in pairs) / sum(_median_s(direct) for _, direct in pairs),
        # The same turns against the time that the model took inside them: no second run, so no difference in what it wrote.
        "turn_over_own_model_time": statistics.median(taken.seconds / taken.model_seconds for taken in all_turns),
        "first_token_cold_s": bare_cold,
        "first_token_warm_s": bare_warm,
        # A whole reply's prompt: its facts must be read, warm or cold.
        "with_facts": {"warm_over_cold": warm / cold, "cold_s": cold, "warm_s": warm},
        "turn_median_s": _median_s(all_turns),
        "direct_median_s": _median_s(all_direct),
        "turn_first_words_median_s": statistics.median(part.first_token for part in parts),
        "beside_the_model_median_s": statistics.median(taken.seconds - taken.model_seconds for taken in all_turns),
        "tools_median_s": statistics.median(part.act for part in parts),
        "model_calls_per_turn": statistics.mean(len(taken.calls) for taken in all_turns),
        "tokens_written": {"turn": sum(each.tokens for each in all_turns), "direct": sum(each.tokens for each in all_direct)},
        "questions": len(pairs),
        "repeats": repeats,
    }


def _median_s(taken: Iterable[Taken]) -> float:
    return statistics.median(each.seconds for each in taken)


def _first_tokens(
    model: BaseChatModel, messages: Sequence[BaseMessage], repeats: int, tell: Callable[[str], None]
) -> tuple[float, float]:
    """Medians of the seconds to the first token of one request: with a prefix never seen, and with the shop's own."""
    system, *rest = messages
    cold, warm = [], []
    for repeat in range(1, repeats + 1):
        tell(f"first token, {repeat} of {repeats}")
        cold.append(first_token_s(model, [_marked(system), *rest]))
        # The cold request may have pushed the shop's prefix out.
        first_token_s(model, [system, HumanMessage(_mark())])
        # The mark makes both requests equally long, and the question new.
        warm.append(first_token_s(model, [system, _marked(rest[0]), *rest[1:]]))
    return statistics.median(cold), statistics.median(warm)


def _push_out(model: BaseChatModel, prefix: Sequence[BaseMessage], conversations: int) -> None:
    """Let the engine forget everything but the prefix: as many other conversations as it remembers."""
    for _ in range(conversations):
        first_token_s(model, [*prefix, HumanMessage(_mark())])


def _mark() -> str:
    return secrets.token_hex(8)


def _marked(message: BaseMessage) -> BaseMessage:
    """The message under a first line that no other has."""
    return message.model_copy(update={"content": f"{_mark()}\n{message.text}"})


def peak_memory_gib() -> float:
    """The most main memory that this process has held so far, in GiB; the model's file, which is mapped, counts too."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)
