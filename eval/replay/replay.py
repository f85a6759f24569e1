"""Replays a call: its customer's turns go to the agent, on a copy of the shop, at the call's time. The shop itself is never
written to.

The customer's words are what was recorded, whatever the agent answers: a yes that was said to a person agrees to the agent's
quote, if one is before it, in the copy. Where the customer points back at an order or a product that only the person named
("yes, that one"), its number or title is given with the message, and the report tells so.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from zoneinfo import ZoneInfo

from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, ConfigDict

from agent.events import Decided, Turn
from agent.handover import HANDOVERS, HandoverDesk
from agent.resources import Opened
from agent.session import Session
from agent.turn import Agent, Message
from eval.actions import copy_records
from eval.replay.call import Call, Exchange, Moved, UnreadableCall
from eval.replay.judging import Statement, asks_for_facts, departure, statements
from tools.kit.answers import is_no, is_yes
from tools.kit.clock import system_clock
from tools.kit.facts import Fact
from tools.kit.reading import mentions, points_back
from tools.shop.shop import Shop
from tools.shop.sqlite_shop import SqliteShop
from tools.shop.types import Language

Outcome = Literal["resolved", "handed_over", "open"]
COMMIT = "commit_quote"
POLICY = "answer_from_policy"
_SHOWING = ("search_products", "recommend_products", "identify_product", "advise_size", "track_order")
"""What these tell is the answer, even if a question follows it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class ToolRun(_Part):
    """One step of the agent: the tool, its arguments, the facts it answered with their sources."""

    tool: str
    arguments: dict[str, Any]
    facts: tuple[Fact, ...]


class Quoted(_Part):
    """A quote that the agent offered."""

    kind: str
    order: str | None
    total_cents: int
    currency: str


class ReplayedTurn(_Part):
    """One of the customer's turns with both answers.

    `given` is what was added from the person's words; `withheld`: it answered the person's question while a quote of the
    agent's was waiting for a yes, so that the agent was not told. `unknown`: no clause answers it; `asks`: the agent asked
    back. `departs` names how the agent's answer parts from the person's, `departs_why` where; None where it does not.
    """

    customer: str
    human: str
    agent: str
    language: Language
    given: str | None = None
    withheld: bool = False
    likeliest: str | None = None
    steps: tuple[ToolRun, ...] = ()
    quote: Quoted | None = None
    handed_over: str | None = None
    unknown: bool = False
    asks: bool = False
    checked: int = 0
    replaced: int = 0
    seconds: float = 0.0
    departs: str | None = None
    departs_why: str = ""
    statements: tuple[Statement, ...] = ()

    @property
    def tools(self) -> tuple[str, ...]:
        """The tools that ran, in order."""
        return tuple(step.tool for step in self.steps)


class ReplayedCall(_Part):
    """A call and what the agent made of it. `goal` is the tool of the customer's first wish, `topic` that of a rule they asked
    for."""

    call: Call
    turns: tuple[ReplayedTurn, ...]
    goal: str | None
    topic: str | None
    outcome: Outcome
    currency: str
    committed: tuple[Moved, ...] = ()

    @property
    def agent_seconds(self) -> float:
        """What the agent's answers took together."""
        return sum(turn.seconds for turn in self.turns)

    @property
    def first_departure(self) -> int | None:
        """The number, from 0, of the first turn in which the agent's answer parts from the person's."""
        return next((number for number, turn in enumerate(self.turns) if turn.departs), None)

    def misses(self) -> list[str]:
        """What of the expected outcome did not come about; empty where nothing is expected."""
        expect = self.call.expect
        if expect is None:
            return []
        tools = {tool for turn in self.turns for tool in turn.tools}
        sources = {fact.source for turn in self.turns for step in turn.steps for fact in step.facts}
        told = " ".join(turn.agent for turn in self.turns)
        found = [f"ended {self.outcome}, not {expect.outcome}"] if expect.outcome and expect.outcome != self.outcome else []
        found += [f"{tool} did not run" for tool in expect.tools if tool not in tools]
        found += [f"nothing rests on {source}" for source in expect.sources if source not in sources]
        found += [f"{words!r} was not said" for words in expect.says if words.lower() not in told.lower()]
        if expect.committed is not None and sorted(map(str, expect.committed)) != sorted(map(str, self.committed)):
            moved = ", ".join(f"{each.kind} {each.cents} of {each.order}" for each in self.committed) or "nothing"
            found.append(f"moved: {moved}")
        return found


def replay_call(opened: Opened, folder: Path, call: Call, done: Callable[[], None] = lambda: None) -> ReplayedCall:
    """Let the agent answer one call; `folder` is the shop's, `done` is called after every turn.

    Raises UnreadableCall for a customer whom the shop does not have.
    """
    with TemporaryDirectory(prefix="storehand-") as scratch, ExitStack() as stack:
        copy_records(folder, Path(scratch))
        shop = stack.enter_context(SqliteShop.open(Path(scratch)))
        if call.customer is not None and shop.customer(call.customer) is None:
            raise UnreadableCall(f"call '{call.id}': no customer '{call.customer}' in this shop; mend it, or leave it out.")
        before = len(shop.ledger.entries())
        now = _Clock(call.at or system_clock())
        _, catalog = opened.agent_with.args
        made_with = {
            **opened.agent_with.keywords,
            "desk": HandoverDesk(Path(scratch) / HANDOVERS),
            "clock": now,
            "review": None,
        }
        agent = Agent(shop, catalog, opened.model, InMemorySaver(), **made_with)
        session = Session(call.id, call.customer)
        turns: list[ReplayedTurn] = []
        for exchange in call.exchanges():
            now.past_ms = exchange.start_ms or now.past_ms
            if _is_withheld(exchange, turns):
                turns.append(turns[-1].model_copy(update={**_UNSAID, "customer": exchange.customer, "human": exchange.human}))
            else:
                given = _given(exchange, call, turns, shop, session.customer_id or agent.proved(session.conversation_id))
                turns.append(_replay_turn(agent, session, exchange, given))
            done()
        turns = [_judged(turn, turns, now().astimezone(ZoneInfo(shop.info.timezone)).date(), shop, opened) for turn in turns]
        committed = [
            Moved(order=each.order_id or "", kind=each.kind, cents=each.amount_cents) for each in shop.ledger.entries()[before:]
        ]
        goal, topic = _goal(turns, shop)
        return ReplayedCall(
            call=call,
            turns=tuple(turns),
            goal=goal,
            topic=topic,
            outcome=_outcome(turns, goal),
            currency=shop.info.currency,
            committed=tuple(committed),
        )


class _Clock:
    """The call's time: when it began, and how far it is."""

    def __init__(self, began: datetime) -> None:
        self._began = began
        self.past_ms = 0

    def __call__(self) -> datetime:
        return self._began + timedelta(milliseconds=self.past_ms)


_UNSAID: dict[str, Any] = {
    "agent": "", "given": None, "withheld": True, "likeliest": None, "steps": (), "handed_over": None, "unknown": False, "asks": False,
    "checked": 0, "replaced": 0, "seconds": 0.0,
}  # fmt: skip
"""A turn that the agent was not told; its quote goes on waiting."""


def _is_withheld(exchange: Exchange, turns: Sequence[ReplayedTurn]) -> bool:
    """Whether the customer answers what only the person asked, while the agent's quote waits."""
    if not turns or turns[-1].quote is None or is_yes(exchange.customer) or is_no(exchange.customer):
        return False
    return asks_for_facts(turns[-1].human) and not exchange.customer.rstrip().endswith(("?", "？"))


def _given(exchange: Exchange, call: Call, turns: Sequence[ReplayedTurn], shop: Shop, customer_id: str | None) -> str | None:
    """What only the person named and the customer points back at: an order's number or a product's title."""
    if not (is_yes(exchange.customer) or points_back(exchange.customer)) or (turns and turns[-1].quote):
        return None
    before = turns[-1].human if turns else " ".join(each.text for each in call.utterances[:3] if each.speaker == "agent")
    known = " ".join((exchange.customer, *(f"{turn.customer} {turn.agent}" for turn in turns)))
    named = [order.id for order in (shop.orders_of(customer_id) if customer_id else []) if _names(before, order.id)]
    named += (
        [title for product in shop.products() for title in product.title.all() if mentions(before, title)] if not named else []
    )
    return next((name for name in named if not _names(known, name)), None)


def _names(text: str, name: str) -> bool:
    """Whether the text has this title or order number."""
    # Read as any word is, a bare number would be a size.
    return bool(re.search(rf"(?<!\d){name}(?!\d)", text)) if name.isdigit() else mentions(text, name)


def _replay_turn(agent: Agent, session: Session, exchange: Exchange, given: str | None) -> ReplayedTurn:
    said = f"{exchange.customer} ({given})" if given else exchange.customer
    decided, answered = None, None
    for event in agent.answer(session, Message(said)):
        if isinstance(event, Decided):
            decided = decided or event
        if isinstance(event, Turn):
            answered = event
    assert answered is not None  # the last event is the whole turn
    steps = tuple(ToolRun(tool=step.tool, arguments=step.arguments, facts=step.facts) for step in answered.steps)
    unknown = any(step.tool == POLICY and all(fact.source == "policy" for fact in step.facts) for step in steps)
    quote = answered.quote
    return ReplayedTurn(
        customer=exchange.customer,
        human=exchange.human,
        agent=answered.reply,
        language=answered.language,
        given=given,
        likeliest=(decided.tool or decided.likeliest) if decided else None,
        steps=steps,
        quote=Quoted(
            kind=quote.request.kind,
            order=quote.request.order_id,
            total_cents=quote.total_cents,
            currency=quote.currency,
        )
        if quote
        else None,
        handed_over=answered.handoff.why if answered.handoff else None,
        unknown=unknown,
        asks=bool(answered.quick_replies)
        or any(fact.source == "question" for step in steps for fact in step.facts)
        or (bool(steps) and quote is None and answered.reply.rstrip().endswith(("?", "？"))),
        checked=answered.promises.checked,
        replaced=answered.promises.replaced,
        seconds=round(answered.seconds.total, 3),
    )


def _judged(turn: ReplayedTurn, turns: Sequence[ReplayedTurn], day: date, shop: Shop, opened: Opened) -> ReplayedTurn:
    """The turn with where it parts from the person's answer, and the rules that the person stated in it."""
    parts = None
    if turn.steps or turn.asks:
        # A quote asks for a yes.
        asks = turn.asks or turn.quote is not None
        parts = departure(turn.human, turn.agent, asks=asks, unknown=turn.unknown, handed_over=turn.handed_over is not None)
    known = [fact for each in turns for step in each.steps for fact in step.facts]
    told = statements(turn.human, turn.language, day, shop, opened.catalog, known)
    return turn.model_copy(
        update={"departs": parts[0] if parts else None, "departs_why": parts[1] if parts else "", "statements": tuple(told)}
    )


def _goal(turns: Sequence[ReplayedTurn], shop: Shop) -> tuple[str | None, str | None]:
    """The tool of the first wish, and the topic of the rule that was quoted for it."""
    for turn in turns:
        tool = turn.tools[0] if turn.steps else turn.likeliest
        if tool is None or tool == "reply":
            continue
        sources = [fact.source.removeprefix("clause:") for step in turn.steps[:1] for fact in step.facts]
        clause = next((found for source in sources if (found := shop.clause(source))), None)
        return tool, clause.topic if clause and tool == POLICY else None
    return None, None


def _outcome(turns: Sequence[ReplayedTurn], goal: str | None) -> Outcome:
    """Whether the customer's first wish was settled.

    It was where something was agreed to and carried out, where a rule was told that settles it, or where what was asked was told.
    """
    if any(turn.handed_over for turn in turns):
        return "handed_over"
    if any(COMMIT in turn.tools for turn in turns):
        return "resolved"
    for turn in turns:
        if turn.unknown or turn.quote or not turn.steps:
            continue
        if goal in turn.tools and (goal in _SHOWING or not turn.asks):
            return "resolved"
    return "open"
