"""One customer message in, events out: the whole loop.

    intake → decide → act (at most `max_steps` times) → reply, sentence by sentence through the promise check → remember

It is LangChain's create_agent with one middleware: code narrows the tools and quotes what must be quoted, the chat model chooses among
what is left and writes from facts. The conversation is saved by a LangGraph checkpointer after every step.
"""

import secrets
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Command
from PIL.Image import Image

from agent.answers import Identity, answer_to, choice_made, doubtful_order, identify, settled, wish_label
from agent.decide import CODE_TOOLS, PATIENCE, TOOLS, Decider, call
from agent.events import Decided, Event, Heard, Promises, Said, Step, ToolStarted, Turn
from agent.handover import DeskMessage, HandoverDesk, Packet, Spoken, Tried
from agent.intake import clean_text, detect_language, mask_private, open_photo
from agent.models.stopping import Stopped, check_stopped
from agent.promises import PromiseCheck
from agent.prompts import static_prefix
from agent.review import Noted, ReviewList, ReviewUnusable, Thumb, Wish
from agent.session import Past, Session, current_turn, facts_of, past_of, tools_run
from agent.settings import TurnSettings
from agent.turn_context import Meter, TurnContext
from agent.writing import Question, made_reply
from tools.catalog.catalog import Catalog
from tools.hand_to_human import hand_to_human
from tools.kit.answers import agrees_to, corrects
from tools.kit.clock import Clock
from tools.kit.errors import CustomerError, ModelFailed, UnreadableVoice
from tools.kit.facts import Facts, Handoff
from tools.kit.phrases import phrase
from tools.kit.reading import points_back
from tools.shop.quotes import Quote
from tools.shop.shop import Shop
from tools.shop.types import Language
from tools.speech.hints import Hints, hints_of

if TYPE_CHECKING:
    from agent.chooser.chooser import Chooser
    from tools.transcribe_speech import Transcriber

STOPPED = "the customer stopped the answer"
"""In the trace."""
MOST_TRIED = 20
"""Steps of a conversation that a person who takes over is told of, the last ones."""


@dataclass(frozen=True)
class Message:
    """What a customer sends at one time: text, a photo's bytes, a recording's bytes, or several of them; or a button pressed.

    `agree_to` and `decline` are a quote's id: the customer pressed its button. `saw_quote` is the one that was before the customer as
    they wrote, "" for none: their yes means no other; None for the last. `looking_at` is the product on the customer's page, which
    counts as shown where the conversation has shown none.
    """

    text: str | bytes = ""
    photo: bytes | None = None
    voice: bytes | None = None
    agree_to: str | None = None
    decline: str | None = None
    saw_quote: str | None = None
    looking_at: str | None = None


@dataclass(frozen=True)
class Words:
    """The shop's own words, for the promise check: all titles and option values, lower case, and names that may always be said."""

    titles: frozenset[str]
    vocabulary: frozenset[str]
    names: tuple[str, ...]


class Loop(AgentMiddleware[AgentState[Any], TurnContext]):
    """Decides with examples and few tools, then writes from facts; code-made answers go out without a model call."""

    def __init__(self, chooser: "Chooser", words: Words, settings: TurnSettings) -> None:
        super().__init__()
        self._decider = Decider(chooser, words.titles, settings)
        self._words = words
        self._settings = settings

    def wrap_model_call(
        self, request: ModelRequest[TurnContext], handler: Callable[[ModelRequest[TurnContext]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Choose the next tool, or write the reply once the facts are there."""
        turn = request.runtime.context
        done = [message for message in current_turn(request.messages) if isinstance(message, ToolMessage)]
        try:
            decision = self._next(request, handler, done)
        except Stopped:
            turn.meter.why.append(STOPPED)
            return ModelResponse(result=[AIMessage("")])
        if decision:
            if not done:
                request.runtime.stream_writer(_decided(turn, decision))
            return ModelResponse(result=[decision if decision.tool_calls else self._send(request, decision)])
        found = [facts for message in done if (facts := facts_of(message))]
        if not found:
            return ModelResponse(result=[self._send(request, AIMessage(turn.phrase("talk_unclear")))])
        return ModelResponse(result=[self._write(request, found)])

    def _next(
        self,
        request: ModelRequest[TurnContext],
        handler: Callable[[ModelRequest[TurnContext]], ModelResponse[Any]],
        done: Sequence[ToolMessage],
    ) -> AIMessage | None:
        """The next tool call, or a reply that needs none; None when it is time to write."""
        turn = request.runtime.context
        if not done and (known := self._decider.known_step(turn)):
            return known
        check_stopped()
        began = time.perf_counter()
        try:
            wishes = self._decider.wishes(turn)
            is_known = turn.agreed is not None or turn.continued or turn.chosen is not None
            if not is_known and len(done) < min(len(wishes), self._settings.max_steps):
                decision = self._decider.choose(request, handler, wishes[len(done)])
                return decision if decision.tool_calls or not done else None
        finally:
            turn.meter.seconds.decide += time.perf_counter() - began
        return self._give_up(turn, done)

    def _give_up(self, turn: TurnContext, done: Sequence[ToolMessage]) -> AIMessage | None:
        """A call for a person, when this is one turn too many in a row that came to nothing."""
        if turn.past.failures < PATIENCE or any(message.name == hand_to_human.name for message in done):
            return None
        if not all((facts := facts_of(message)) and facts.outcome == "nothing_found" for message in done):
            return None
        turn.meter.why.append(f"{turn.past.failures + 1} turns in a row came to nothing: a person takes over")
        return call(hand_to_human.name, reason=mask_private(turn.said)[:200])

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
        runtime.stream_writer(
            Step(
                tool=request.tool_call["name"],
                arguments=request.tool_call["args"],
                facts=facts.facts,
                product_ids=facts.product_ids,
            )
        )
        return answer

    def _write(self, request: ModelRequest[TurnContext], found: Sequence[Facts]) -> AIMessage:
        """The reply: code-made answers word for word, the rest written by the chat model and checked."""
        turn = request.runtime.context
        quoted = [facts.reply for facts in found if facts.reply is not None]
        open_facts = [facts for facts in found if facts.reply is None]
        if not open_facts:
            return self._send(request, AIMessage("\n\n".join(quoted)))
        question = self._question(turn, open_facts, is_whole=not quoted)
        check = PromiseCheck(
            question.facts,
            said=turn.said,
            titles=question.titles,
            catalogue_titles=self._words.titles,
            vocabulary=self._words.vocabulary,
            names=self._words.names,
        )
        told = [self._say(request, text + "\n\n") for text in quoted]
        prefix = request.system_message or SystemMessage("")
        try:
            for text in made_reply(request.model, prefix, question, check, count=turn.meter.count, note=turn.meter.why.append):
                told.append(self._say(request, text))
        except Stopped:
            # What was said stays said; what code has still to tell (a quote, what was done) was told before.
            turn.meter.why.append(STOPPED)
        turn.meter.promises = Promises(checked=check.checked, replaced=len(check.replaced))
        turn.meter.why += [f"replaced: {each.sentence!r} because {each.why}" for each in check.replaced]
        return AIMessage("".join(told).strip())

    def _question(self, turn: TurnContext, found: Sequence[Facts], *, is_whole: bool) -> Question:
        ids = dict.fromkeys(product_id for each in found for product_id in each.product_ids)
        products = [product for product_id in ids if (product := turn.shop.product(product_id))]
        steps = [each.next_step for each in found if each.next_step]
        return Question(
            said=mask_private(turn.said or turn.phrase("photo_sent")),
            language=turn.language,
            facts=tuple(fact for each in found for fact in each.facts),
            titles={product.id: product.title.all() for product in products},
            next_step=turn.phrase("list_question")
            if sum(product.in_stock for product in products) > 1
            else next(iter(steps), None),
            is_whole=is_whole,
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


def _decided(turn: TurnContext, decision: AIMessage) -> Decided:
    return Decided(
        tool=decision.tool_calls[0]["name"] if decision.tool_calls else None,
        asked=tuple(decision.additional_kwargs.get("choice", {}).get("tools", ())),
        likeliest=turn.meter.likeliest,
        share=turn.meter.share,
        model_calls=turn.meter.model_calls,
    )


class Agent:
    """Answers customers. One for a whole process; conversations may run side by side."""

    def __init__(
        self,
        shop: Shop,
        catalog: Catalog,
        model: BaseChatModel,
        checkpointer: BaseCheckpointSaver[Any],
        *,
        chooser: "Chooser",
        transcriber: "Callable[[], Transcriber]",
        desk: HandoverDesk,
        settings: TurnSettings,
        clock: Clock,
        review: ReviewList | None = None,
    ) -> None:
        """`review` takes what is worth labelling, and thumbs; without it neither is kept."""
        self._shop, self._catalog, self._clock, self._transcriber, self._desk = shop, catalog, clock, transcriber, desk
        self._chooser, self._review, self._checkpointer = chooser, review, checkpointer
        self._hints = hints_of(shop)
        self._graph = create_agent(
            model,
            [*TOOLS, *CODE_TOOLS],
            system_prompt=prefix_of(shop),
            middleware=[Loop(chooser, _words_of(shop), settings)],
            context_schema=TurnContext,
            checkpointer=checkpointer,
        )

    def answer(self, session: Session, message: Message) -> Iterator[Event]:
        """Answer one message; the last event is the whole turn.

        While a person holds the conversation the agent is silent: the message is kept for that person and the reply is "".
        A message that cannot be used, or a model that fails, gets a polite sentence as its reply: the conversation goes on.
        Operator errors other than ModelFailed (no index, say) are raised.
        """
        meter = Meter()
        config: Any = {"configurable": {"thread_id": session.conversation_id}}
        saved: list[AnyMessage] = self._graph.get_state(config).values.get("messages", [])
        from_desk, desk_entry = self._said_at_the_desk(session.conversation_id, past_of(saved).desk_entry)
        past = past_of([*saved, *from_desk])
        language: Language = past.language or "en"
        steps: list[Step] = []
        said, reply = "", ""
        turn: TurnContext | None = None
        doubtful: tuple[str, ...] = ()
        asked: tuple[str, ...] = ()
        try:
            photo = open_photo(message.photo) if message.photo is not None else None
            is_button = message.agree_to is not None or message.decline is not None
            said = clean_text(message.text) if message.text or not (photo or message.voice is not None or is_button) else ""
            if message.voice is not None:
                for event in self._listen(message.voice, steps):
                    yield event
                    if isinstance(event, Heard):
                        said, doubtful = f"{said} {event.text}".strip(), event.doubtful
            said = settled(past.doubt, said)
            language = detect_language(said, past.language) if said else language
            meter.seconds.intake = meter.since_start()
            shown_as = mask_private(said) or phrase("button_pressed" if is_button else "photo_sent", language)
            if self._desk.hear(session.conversation_id, shown_as, self._clock()):
                # Neither a thumb nor a correction is about the agent from here on.
                self._note(session, None, meter)
                meter.seconds.total = meter.since_start()
                yield Turn(said=said, language=language, reply="", held=True, seconds=meter.seconds, why=("a person holds it",))
                return
            who = None
            if session.customer_id is None and past.customer_id is None:
                who = identify(self._shop, past, said, session.conversation_id, self._clock())
            turn = self._context(session, said, photo, language, past, meter, message, who, doubtful)
            proved = {"customer_id": who.customer.id} if who and who.customer else {}
            kept = {"language": language, "desk_entry": desk_entry, **proved}
            question = HumanMessage(shown_as, additional_kwargs=kept)
            told = self._graph.stream({"messages": [*from_desk, question]}, config, context=turn, stream_mode="custom")
            for event in cast(Iterator[Event], told):
                if isinstance(event, Step):
                    steps.append(event)
                if isinstance(event, Decided):
                    asked = event.asked
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
        quote, handoff, quick_replies = self._last(config) if steps else (None, None, ())
        if asked:
            quick_replies = tuple(wish_label(tool, language) for tool in asked)
        if handoff:
            self._desk.request(self._packet(session, config, said, handoff, steps))
        done = tuple(step.tool for step in steps if step.tool != "transcribe_speech")
        noted = Noted(
            language=language,
            done=done,
            asked=asked,
            handed_over=handoff is not None,
            # Who corrects what a person has written since corrects nothing of ours.
            corrects=corrects(said) and not from_desk,
            **(_noted_of(turn) if turn else {}),
        )
        self._note(session, noted, meter)
        meter.seconds.total = meter.since_start()
        yield Turn(
            said=said,
            language=language,
            steps=tuple(steps),
            reply=reply.strip(),
            promises=meter.promises,
            quote=quote,
            quick_replies=quick_replies,
            share=meter.share,
            handoff=handoff,
            model_calls=meter.model_calls,
            tokens=meter.tokens,
            seconds=meter.seconds,
            why=tuple(meter.why),
        )

    def from_staff(self, session: Session, after_entry: int = 0) -> list[DeskMessage]:
        """What a person wrote to this customer, oldest first; `after_entry` is the last entry that is known already."""
        return [each for each in self._desk.messages(session.conversation_id, after_entry) if each.speaker == "staff"]

    def ask_for_person(self, session: Session) -> None:
        """Ask for a person without a message; as if the customer had said so, but nothing is answered."""
        config: Any = {"configurable": {"thread_id": session.conversation_id}}
        past = past_of(self._graph.get_state(config).values.get("messages", []))
        said = past.turns[-1][0] if past.turns else phrase("wish_hand_to_human", past.language or "en")
        self._desk.request(self._packet(session, config, said, Handoff(reason=said, summary=said), ()))

    def proved(self, conversation_id: str) -> str | None:
        """The customer whom a message in this conversation proved to be its writer."""
        config: Any = {"configurable": {"thread_id": conversation_id}}
        return past_of(self._graph.get_state(config).values.get("messages", [])).customer_id

    def ears(self) -> "tuple[Transcriber, Hints]":
        """The speech recognition, loaded if it was not, and the shop's words for it."""
        return self._transcriber(), self._hints

    def forget(self, conversation_id: str, said: Collection[str]) -> dict[str, int]:
        """Delete all that is kept of a conversation: checkpoints, hand-over, review list; how many of each. `said` are its messages."""
        config: Any = {"configurable": {"thread_id": conversation_id}}
        checkpoints = sum(1 for _ in self._checkpointer.list(config))
        self._checkpointer.delete_thread(conversation_id)
        reviewed = self._review.erase(conversation_id, said) if self._review else 0
        return {"checkpoints": checkpoints, "handovers": self._desk.erase(conversation_id), "review": reviewed}

    def rate(self, session: Session, thumb: Thumb, reason: str = "") -> bool:
        """Keep what the customer thinks of the agent's last answer; False if there is none to rate, or no list to keep it in."""
        return self._review is not None and self._review.rate(session.conversation_id, thumb, reason, self._clock())

    def _note(self, session: Session, turn: Noted | None, meter: Meter) -> None:
        """Keep the turn for whoever labels; None where a person answers it. A list that cannot be written costs nobody the answer."""
        if self._review is None:
            return
        try:
            if turn is None:
                self._review.leave(session.conversation_id)
            else:
                self._review.note(session.conversation_id, turn, self._clock())
        except ReviewUnusable as problem:
            meter.why.append(f"not kept for review: {problem}")

    def _listen(self, recording: bytes, steps: list[Step]) -> Iterator[Event]:
        """Turn the recording into text; raises UnreadableVoice where no word is heard."""
        from tools.transcribe_speech import voice_facts  # takes a second, and few conversations need it

        yield ToolStarted(tool="transcribe_speech")
        transcript = self._transcriber().transcribe(recording, self._hints)
        facts = voice_facts(transcript)
        step = Step(tool="transcribe_speech", arguments={}, facts=facts.facts)
        steps.append(step)
        yield step
        if not facts.facts:
            raise UnreadableVoice("voice_empty")
        yield Heard(text=clean_text(transcript.text), doubtful=transcript.doubtful)

    def _context(
        self,
        session: Session,
        said: str,
        photo: Image | None,
        language: Language,
        past: Past,
        meter: Meter,
        message: Message,
        who: Identity | None,
        doubtful: Sequence[str],
    ) -> TurnContext:
        # Who somebody is was proved to whoever made the session, or in this conversation; the first proof holds.
        proved = who.customer.id if who and who.customer else None
        customer_id = session.customer_id or past.customer_id or proved
        answer = answer_to(past, said, self._shop, customer_id) if photo is None else None
        # What a yes is said to; it counts only for the quote that the customer had before them.
        yes_to = past.quote.id if past.quote and agrees_to(said, past.quote.kind) else None
        agreed = message.agree_to or (yes_to if message.saw_quote in (None, yes_to) else None)
        picked = choice_made(
            past.choice,
            said,
            language,
            lambda text: self._chooser.look_up(text, language, before=past.before, photo=False).shares,
        )
        heard = (*past.asked.heard, answer) if past.asked and answer is not None else (mask_private(said),)
        if past.asked and past.asked.slot == "amend" and answer is None and points_back(said):
            # "Can I swap it instead?": which thing of which order was said before.
            heard = (*past.asked.heard, mask_private(said))
        if picked:
            heard = tuple(dict.fromkeys((picked[1], mask_private(said))))
        if who:
            meter.why.append(f"identity: {who.key or 'proved'}")
        return TurnContext(
            shop=self._shop,
            catalog=self._catalog,
            clock=self._clock,
            language=language,
            customer_id=customer_id,
            said=picked[1] if picked else said,
            earlier=tuple(question for question, _ in past.turns),
            shown=past.shown or self._on_page(message),
            rest=past.rest,
            photo=photo,
            heard=heard,
            orders_told=past.orders_told,
            agreed=agreed,
            declined=message.decline,
            done=past.done,
            who=who.key if who else None,
            gave_up=past.failures >= PATIENCE,
            past=past,
            meter=meter,
            too_early=yes_to is not None and agreed is None,
            continued=answer is not None and agreed is None,
            chosen=picked[0] if picked else None,
            doubtful=doubtful_order(said, doubtful, self._shop.orders_of(customer_id) if customer_id else []),
        )

    def _on_page(self, message: Message) -> tuple[str, ...]:
        product = self._shop.product(message.looking_at) if message.looking_at else None
        return (product.id,) if product else ()

    def _said_at_the_desk(self, conversation_id: str, read: int) -> tuple[list[AnyMessage], int]:
        """What customer and staff wrote while a person held the conversation, as a part of it; and the last entry's number."""
        entries = self._desk.messages(conversation_id, read)
        messages: list[AnyMessage] = [
            HumanMessage(each.text)
            if each.speaker == "customer"
            else AIMessage(each.text, additional_kwargs={"staff": each.staff})
            for each in entries
        ]
        return messages, entries[-1].entry if entries else read

    def _packet(self, session: Session, config: Any, said: str, handoff: Handoff, steps: Sequence[Step]) -> Packet:
        """What the person who takes over has to know; `steps` are those of the last message."""
        messages: list[AnyMessage] = self._graph.get_state(config).values.get("messages", [])
        past = past_of(messages)
        declined = {each.additional_kwargs.get("declined") for each in messages if isinstance(each, AIMessage)}
        customer = self._shop.customer(session.customer_id or past.customer_id or "")
        transcript: list[Spoken] = []
        for question, reply in past.turns:
            transcript += [Spoken(speaker="customer", text=question), *([Spoken(speaker="agent", text=reply)] if reply else [])]
        return Packet(
            conversation_id=session.conversation_id,
            at=self._clock(),
            why=handoff.why,
            goal=mask_private(handoff.reason or said),
            customer_id=customer.id if customer else None,
            customer_name=customer.name if customer else None,
            steps=tuple(
                Tried(
                    tool=tool,
                    arguments=arguments,
                    outcome=" ".join(fact.text for fact in found.facts)[:500] if found else "failed",
                    declined=found is not None and found.quote is not None and found.quote.id in declined,
                )
                for tool, arguments, found in list(tools_run(messages))[-MOST_TRIED:]
            ),
            facts=tuple(fact for step in steps for fact in step.facts),
            pending_quote=past.quote.model_dump(mode="json") if past.quote else None,
            transcript=tuple(transcript),
        )

    def _last(self, config: Any) -> tuple[Quote | None, Handoff | None, tuple[str, ...]]:
        """The quote and the hand-over that this turn came to, and the answers that its question offers."""
        messages: list[AnyMessage] = self._graph.get_state(config).values.get("messages", [])
        found = [facts for each in current_turn(messages) if isinstance(each, ToolMessage) and (facts := facts_of(each))]
        quote = next((facts.quote for facts in reversed(found) if facts.quote), None)
        handoff = next((facts.handoff for facts in reversed(found) if facts.handoff), None)
        asked = next((facts.asks for facts in reversed(found) if facts.asks), None)
        return quote, handoff, asked.choices if asked else ()


def _noted_of(turn: TurnContext) -> dict[str, Any]:
    """What the review list is told of the choice: nothing to learn where code knew, as with a yes or an answer to our question."""
    is_known = turn.continued or turn.agreed is not None or turn.declined is not None or turn.chosen is not None
    # Asked who they are, customers write names and postcodes, which no mask finds.
    evidence = None if is_known or turn.who else turn.looked_up.get(turn.said)
    wishes: tuple[Wish, ...] = ()
    if evidence:
        sure = turn.meter.share if turn.meter.share is not None else max(evidence.shares.values())
        wishes = (Wish(said=turn.said, shares=evidence.shares, talk=evidence.talk, sure=sure),)
    return {
        "before": turn.past.before,
        "photo": turn.photo is not None,
        "wishes": wishes,
        "share": turn.meter.share,
        "picked": turn.chosen,
    }


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
