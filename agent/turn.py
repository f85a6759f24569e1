"""One customer message in, events out: the whole loop.

    intake → decide → act (at most `max_steps` times) → reply, sentence by sentence through the promise check → remember

It is LangChain's create_agent with one middleware: code narrows the tools and quotes what must be quoted, the chat model chooses among
what is left and writes from facts. The conversation is saved by a LangGraph checkpointer after every step.
"""

import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.tools import BaseTool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Command
from PIL.Image import Image

from agent.events import Event, Heard, Promises, Said, Seconds, Step, Tokens, ToolStarted, Turn
from agent.examples import ExampleBank, Near, votes
from agent.intake import clean_text, detect_language, mask_private, open_photo
from agent.promises import PromiseCheck, Sentences
from agent.prompts import fill, static_prefix
from agent.session import Past, Session, current_turn, facts_of, past_of
from agent.settings import TurnSettings
from tools.answer_from_policy import answer_from_policy
from tools.catalog.catalog import Catalog
from tools.hand_to_human import hand_to_human
from tools.identify_product import identify_product
from tools.kit.clock import Clock
from tools.kit.errors import CustomerError, ModelFailed, UnreadableVoice
from tools.kit.facts import Facts
from tools.kit.phrases import phrase
from tools.kit.tool import ToolContext
from tools.recommend_products import recommend_products
from tools.search_products import search_products
from tools.shop.shop import Shop
from tools.shop.types import Language
from tools.track_order import track_order
from tools.transcribe_speech import Transcriber, transcribe_speech

TOOLS: tuple[BaseTool, ...] = (
    search_products,
    identify_product,
    recommend_products,
    answer_from_policy,
    track_order,
    hand_to_human,
)
REPLY = "reply"
"""What the examples and the chat model call "no tool"."""
ENOUGH_VOTES = 0.8
"""Tools are allowed, the likeliest first, until the nearest examples that speak for them have this share of the votes. On the
labelled dev sentences this leaves one tool for 109 of 169, always the right one, and the right one among those left for all."""
PLAIN_CHARACTERS = 200
"""A longer message holds more than what a tool's argument asks for; the model reads it."""
CERTAIN_WISH = 0.85
"""Share of votes from which one sentence of several is taken for a wish of its own."""


@dataclass(frozen=True)
class Message:
    """What a customer sends at one time: text, a photo's bytes, a recording's bytes, or several of them."""

    text: str | bytes = ""
    photo: bytes | None = None
    voice: bytes | None = None


@dataclass
class Meter:
    """What a turn costs and why it went as it did; filled while it runs."""

    started: float = field(default_factory=time.perf_counter)
    model_calls: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    seconds: Seconds = field(default_factory=Seconds)
    promises: Promises = field(default_factory=Promises)
    why: list[str] = field(default_factory=list)

    def count(self, message: BaseMessage) -> None:
        """Add one model call's tokens."""
        self.model_calls += 1
        usage = message.usage_metadata if isinstance(message, AIMessage) else None
        if usage:
            self.tokens.prompt += usage["input_tokens"]
            self.tokens.completion += usage["output_tokens"]
            self.tokens.cached += (usage.get("input_token_details") or {}).get("cache_read", 0)

    def since_start(self) -> float:
        """Seconds since the message came."""
        return time.perf_counter() - self.started


@dataclass(frozen=True)
class TurnContext(ToolContext):
    """The tools' context, and what only the loop needs."""

    past: Past = field(default_factory=Past)
    meter: Meter = field(default_factory=Meter)


@dataclass(frozen=True)
class Words:
    """The shop's own words, for the promise check: all titles and option values, lower case, and names that may always be said."""

    titles: frozenset[str]
    vocabulary: frozenset[str]
    names: tuple[str, ...]


class Loop(AgentMiddleware[AgentState[Any], TurnContext]):
    """Decides with examples and few tools, then writes from facts; code-made answers go out without a model call."""

    def __init__(self, bank: ExampleBank, words: Words, settings: TurnSettings) -> None:
        super().__init__()
        self._bank = bank
        self._words = words
        self._settings = settings

    def wrap_model_call(
        self, request: ModelRequest[TurnContext], handler: Callable[[ModelRequest[TurnContext]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Choose the next tool, or write the reply once the facts are there."""
        turn = request.runtime.context
        done = [message for message in current_turn(request.messages) if isinstance(message, ToolMessage)]
        wishes = self._wishes(turn)
        if len(done) < min(len(wishes), self._settings.max_steps):
            began = time.perf_counter()
            decision = self._decide(request, handler, wishes[len(done)])
            turn.meter.seconds.decide += time.perf_counter() - began
            if decision.tool_calls:
                return ModelResponse(result=[decision])
            if not done:
                return ModelResponse(result=[self._send(request, AIMessage(decision.text))])
        found = [facts for message in done if (facts := facts_of(message))]
        if not found:
            return ModelResponse(result=[self._send(request, AIMessage(turn.phrase("talk_unclear")))])
        return ModelResponse(result=[self._write(request, found)])

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        """Run the tool, tell the front end, and take its time."""
        runtime = request.runtime
        turn = cast(TurnContext, runtime.context)
        runtime.stream_writer(ToolStarted(tool=request.tool_call["name"]))
        began = time.perf_counter()
        answer = handler(request)
        turn.meter.seconds.act += time.perf_counter() - began
        facts = facts_of(answer) if isinstance(answer, ToolMessage) else None
        if facts is None:
            turn.meter.why.append(f"{request.tool_call['name']} failed: {getattr(answer, 'content', answer)}")
            facts = Facts(facts=())
        runtime.stream_writer(Step(tool=request.tool_call["name"], arguments=request.tool_call["args"], facts=facts.facts))
        return answer

    def _wishes(self, turn: TurnContext) -> list[str]:
        """The message, or its sentences where they clearly ask for different tools ("Where is 1042? And do you sell tents?")."""
        sentences = [
            part.strip() for part in re.split(r"(?<=[.!?;])\s+|(?<=[。！？；])|\n", turn.said) if len(part.strip()) > 3
        ]
        if not 1 < len(sentences) <= 2 * self._settings.max_steps or turn.photo is not None:
            return [turn.said]
        wishes: dict[str, str] = {}
        for sentence in sentences:
            tool, share = next(iter(votes(self._near(turn, sentence)).items()))
            if share >= CERTAIN_WISH and tool != REPLY:
                wishes.setdefault(tool, sentence)
        return list(wishes.values()) if len(wishes) > 1 else [turn.said]

    def _near(self, turn: TurnContext, said: str) -> list[Near]:
        return self._bank.nearest(said, turn.language, before=turn.past.before, photo=turn.photo is not None)

    def _decide(
        self, request: ModelRequest[TurnContext], handler: Callable[[ModelRequest[TurnContext]], ModelResponse[Any]], wish: str
    ) -> AIMessage:
        """One tool call, or the text of a reply that needs no tool."""
        turn = request.runtime.context
        if turn.photo is not None and not wish:
            return _call("identify_product")
        near = self._near(turn, wish)
        shares = votes(near)
        allowed = _allowed(shares, has_photo=turn.photo is not None)
        turn.meter.why.append(
            "nearest: " + "; ".join(f"{each.example.say!r} → {each.example.tool} ({each.cosine:.3f})" for each in near[:3])
        )
        turn.meter.why.append("allowed: " + ", ".join(f"{tool} ({shares.get(tool, 0):.2f})" for tool in allowed))
        if allowed == [REPLY]:
            return AIMessage(self._talk(turn, near))
        if len(allowed) == 1 and (known := _plain_call(allowed[0], wish, turn)):
            turn.meter.why.append("chosen without the model: one tool is possible and its arguments are plain")
            return known
        shown = [each.example for each in near if each.example.tool in allowed][: self._settings.examples]
        prompt = fill(
            "decide.md",
            context=_context_lines(turn),
            examples="\n".join(f"Customer: {example.say}\n{example.as_decision()}" for example in reversed(shown)),
            said=mask_private(wish),
        )
        response = handler(
            request.override(
                messages=[*self._history(turn), HumanMessage(prompt)],
                tools=[tool for tool in request.tools if isinstance(tool, BaseTool) and tool.name in allowed],
                model_settings={**request.model_settings, "allow_reply": REPLY in allowed, "write_reply": False},
            )
        )
        answer = response.result[-1]
        turn.meter.count(answer)
        if not isinstance(answer, AIMessage):
            raise ModelFailed(f"the chat model answered a {type(answer).__name__}; check the model named in the settings.")
        if not answer.tool_calls:
            turn.meter.why.append("chosen: reply")
            return AIMessage(self._talk(turn, near))
        # One step at a time: what a second call in the same breath would be based on is not known yet.
        call = _spoken(answer.tool_calls[0], turn)
        turn.meter.why.append(f"chosen: {call['name']} {call['args']}")
        return AIMessage("", tool_calls=[call])

    def _talk(self, turn: TurnContext, near: Sequence[Near]) -> str:
        """A reply without facts is one of the shop's own sentences: a model left alone would invent the weather."""
        kind = next((each.example.talk for each in near if each.example.tool == REPLY and each.example.talk), "unclear")
        turn.meter.why.append(f"talk: {kind}")
        return turn.phrase(f"talk_{kind}", shop=turn.shop.info.name.in_language(turn.language))

    def _history(self, turn: TurnContext) -> list[AnyMessage]:
        messages: list[AnyMessage] = []
        for said, reply in turn.past.turns[-self._settings.remembered_turns :]:
            messages += [HumanMessage(said), AIMessage(reply or "…")]
        return messages

    def _write(self, request: ModelRequest[TurnContext], found: Sequence[Facts]) -> AIMessage:
        """The reply: code-made answers word for word, the rest written by the chat model and checked."""
        turn = request.runtime.context
        quoted = [facts.reply for facts in found if facts.reply is not None]
        open_facts = [facts for facts in found if facts.reply is None]
        if not open_facts:
            return self._send(request, AIMessage("\n\n".join(quoted)))
        check = self._check(turn, open_facts)
        prompt = fill(
            f"reply.{turn.language}.md",
            said=mask_private(turn.said or turn.phrase("photo_sent")),
            facts="\n".join(facts.as_text() for facts in open_facts),
        )
        # No earlier turns here: what was true of the last product would be told of this one.
        messages: list[AnyMessage] = [request.system_message or SystemMessage(""), HumanMessage(prompt)]
        told: list[str] = []
        for text in quoted:
            told.append(self._say(request, text + "\n\n"))
        try:
            for sentence in self._sentences(request.model, messages, turn):
                told.append(self._say(request, check.pass_or_replace(sentence)))
        except ModelFailed as failure:
            # The facts are there: they are told as they are, and the answer says so.
            turn.meter.why.append(f"the chat model failed while writing: {failure}")
        if not check.has_told:
            told.append(self._say(request, "\n" * bool(told) + _plainly(turn, open_facts)))
        turn.meter.promises = Promises(checked=check.checked, replaced=len(check.replaced))
        turn.meter.why += [f"replaced: {each.sentence!r} because {each.why}" for each in check.replaced]
        return AIMessage("".join(told).strip())

    def _sentences(self, model: BaseChatModel, messages: list[AnyMessage], turn: TurnContext) -> Iterator[str]:
        """The model's reply, sentence by sentence; a last sentence that was cut off by a limit is dropped."""
        sentences, whole = Sentences(), AIMessageChunk(content="")
        for chunk in model.stream(messages):
            whole += chunk
            yield from sentences.feed(chunk.text)
        turn.meter.count(whole)
        if whole.response_metadata.get("finish_reason") != "length" and (rest := sentences.end()):
            yield rest

    def _check(self, turn: TurnContext, found: Sequence[Facts]) -> PromiseCheck:
        facts = [fact for each in found for fact in each.facts]
        titles = {
            product_id: product.title.all()
            for each in found
            for product_id in each.product_ids
            if (product := turn.shop.product(product_id))
        }
        return PromiseCheck(
            facts,
            said=turn.said,
            titles=titles,
            catalogue_titles=self._words.titles,
            vocabulary=self._words.vocabulary,
            names=self._words.names,
        )

    def _say(self, request: ModelRequest[TurnContext], text: str) -> str:
        meter = request.runtime.context.meter
        if text.strip() and not meter.seconds.first_token:
            meter.seconds.first_token = meter.since_start()
        if text:
            request.runtime.stream_writer(Said(text=text))
        return text

    def _send(self, request: ModelRequest[TurnContext], message: AIMessage) -> AIMessage:
        self._say(request, message.text)
        return message


def _call(tool: str, **arguments: Any) -> AIMessage:
    return AIMessage(
        "", tool_calls=[{"name": tool, "args": arguments, "id": f"call_{secrets.token_hex(8)}", "type": "tool_call"}]
    )


def _plain_call(tool: str, wish: str, turn: TurnContext) -> AIMessage | None:
    """The call where code knows the arguments as well as a model would: a photo, one's own orders, a person, a first question."""
    if tool in (identify_product.name, track_order.name):
        return _call(tool)
    if len(wish) > PLAIN_CHARACTERS:
        return None
    if tool == hand_to_human.name:
        return _call(tool, reason=wish)
    if tool == answer_from_policy.name and not turn.past.turns:
        return _call(tool, question=wish)
    if tool == search_products.name and not turn.past.turns and turn.photo is None:
        return _call(tool, query=wish)
    return None


def _spoken(call: ToolCall, turn: TurnContext) -> ToolCall:
    """The call without an order number that the customer never wrote: a model may make one up."""
    order = str(call["args"].get("order") or "").strip().lstrip("#").lower()
    if call["name"] != track_order.name or (order and order in " ".join((*turn.earlier, turn.said)).lower()):
        return call
    return {**call, "args": {name: value for name, value in call["args"].items() if name != "order"}}


def _allowed(shares: dict[str, float], *, has_photo: bool) -> list[str]:
    """The tools worth choosing among: what the nearest examples speak for, and only what the message makes possible."""
    allowed: list[str] = []
    total = 0.0
    for tool, share in shares.items():
        if total >= ENOUGH_VOTES:
            break
        total += share
        if tool != "identify_product" or has_photo:
            allowed.append(tool)
    if has_photo and "identify_product" not in allowed:
        allowed.append("identify_product")
    return allowed or [REPLY]


def _context_lines(turn: TurnContext) -> str:
    """What was shown and what is attached, for the decision; "" if nothing."""
    lines = []
    if turn.shown:
        titles = [product.title.in_language(turn.language) for each in turn.shown if (product := turn.shop.product(each))]
        lines.append("Shown last: " + "; ".join(f"{number}. {title}" for number, title in enumerate(titles, start=1)))
    if turn.photo is not None:
        lines.append("A photo is attached.")
    return "\n".join(lines) + "\n\n" if lines else ""


def _plainly(turn: TurnContext, found: Sequence[Facts]) -> str:
    return "\n".join([turn.phrase("facts_only"), *(fact.text for facts in found for fact in facts.facts[:4])])


class Agent:
    """Answers customers. One for a whole process; conversations may run side by side."""

    def __init__(
        self,
        shop: Shop,
        catalog: Catalog,
        model: BaseChatModel,
        checkpointer: BaseCheckpointSaver[Any],
        *,
        bank: ExampleBank,
        transcriber: Callable[[], Transcriber],
        settings: TurnSettings,
        clock: Clock,
    ) -> None:
        self._shop, self._catalog, self._clock, self._transcriber = shop, catalog, clock, transcriber
        self._graph = create_agent(
            model,
            list(TOOLS),
            system_prompt=prefix_of(shop),
            middleware=[Loop(bank, _words_of(shop), settings)],
            context_schema=TurnContext,
            checkpointer=checkpointer,
        )

    def answer(self, session: Session, message: Message) -> Iterator[Event]:
        """Answer one message; the last event is the whole turn.

        A message that cannot be used, or a model that fails, gets a polite sentence as its reply: the conversation goes on.
        Operator errors other than ModelFailed (no index, say) are raised.
        """
        meter = Meter()
        config: Any = {"configurable": {"thread_id": session.conversation_id}}
        saved: list[AnyMessage] = self._graph.get_state(config).values.get("messages", [])
        past = past_of(saved)
        language: Language = past.language or "en"
        steps: list[Step] = []
        said, reply = "", ""
        try:
            photo = open_photo(message.photo) if message.photo is not None else None
            said = clean_text(message.text) if message.text or (photo is None and message.voice is None) else ""
            if message.voice is not None:
                for event in self._listen(message.voice, steps):
                    yield event
                    if isinstance(event, Heard):
                        said = f"{said} {event.text}".strip()
            language = detect_language(said, past.language) if said else language
            meter.seconds.intake = meter.since_start()
            turn = self._context(session, said, photo, language, past, meter)
            question = HumanMessage(mask_private(said) or turn.phrase("photo_sent"), additional_kwargs={"language": language})
            told = self._graph.stream({"messages": [question]}, config, context=turn, stream_mode="custom")
            for event in cast(Iterator[Event], told):
                if isinstance(event, Step):
                    steps.append(event)
                if isinstance(event, Said):
                    reply += event.text
                yield event
        except CustomerError as problem:
            reply = phrase(problem.key, language, **problem.values)
            meter.why.append(f"refused the input: {problem}")
            yield Said(text=reply)
        except ModelFailed as problem:
            reference = secrets.token_hex(3)
            meter.why.append(f"the chat model failed (reference {reference}): {problem}")
            apology = phrase("model_failed", language, reference=reference)
            reply = f"{reply}\n\n{apology}" if reply else apology
            yield Said(text=apology)
        meter.seconds.total = meter.since_start()
        yield Turn(
            said=said,
            language=language,
            steps=tuple(steps),
            reply=reply.strip(),
            promises=meter.promises,
            handoff=self._handoff(config) if any(step.tool == hand_to_human.name for step in steps) else None,
            model_calls=meter.model_calls,
            tokens=meter.tokens,
            seconds=meter.seconds,
            why=tuple(meter.why),
        )

    def _listen(self, recording: bytes, steps: list[Step]) -> Iterator[Event]:
        """Turn the recording into text; raises UnreadableVoice where no word is heard."""
        yield ToolStarted(tool="transcribe_speech")
        facts = transcribe_speech(self._transcriber(), recording)
        step = Step(tool="transcribe_speech", arguments={}, facts=facts.facts)
        steps.append(step)
        yield step
        if not facts.facts:
            raise UnreadableVoice("voice_empty")
        yield Heard(text=clean_text(facts.facts[0].text))

    def _context(
        self, session: Session, said: str, photo: Image | None, language: Language, past: Past, meter: Meter
    ) -> TurnContext:
        return TurnContext(
            shop=self._shop,
            catalog=self._catalog,
            clock=self._clock,
            language=language,
            customer_id=session.customer_id,
            said=said,
            earlier=tuple(question for question, _ in past.turns),
            shown=past.shown,
            photo=photo,
            past=past,
            meter=meter,
        )

    def _handoff(self, config: Any) -> Any:
        messages: list[AnyMessage] = self._graph.get_state(config).values["messages"]
        for message in reversed(current_turn(messages)):
            if isinstance(message, ToolMessage) and (facts := facts_of(message)) and facts.handoff:
                return facts.handoff
        return None


def prefix_of(shop: Shop) -> str:
    """The part of every prompt that never changes; a model may evaluate it before the first customer comes."""
    return static_prefix(shop.info.name.in_language("en"), TOOLS)


def _words_of(shop: Shop) -> Words:
    titles: set[str] = set()
    values: set[str] = set()
    for product in shop.products():
        titles |= {title.lower() for title in product.title.all()}
        values |= {value for variant in product.variants for value in variant.options.values()}
        values |= {text for value in product.attributes.values() for text in value.all()}
    translated = {text for value in values if (word := shop.info.words.get(value.lower())) for text in word.all()}
    spoken = {text.lower() for text in values | translated}
    # Sizes and other short codes are held by the number check, long attribute texts by nobody word for word.
    vocabulary = frozenset(
        word for word in spoken if 1 < len(word) <= 20 and not any(character.isdigit() for character in word)
    )
    return Words(titles=frozenset(titles), vocabulary=vocabulary, names=shop.info.name.all())
