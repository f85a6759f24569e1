"""Who is talking, what was shown and what was said: read back from a conversation's messages, never stored twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from agent.examples import Before
from tools.kit.facts import Asked, Facts, Rest
from tools.shop.quotes import Quote
from tools.shop.types import Language

KINDS: dict[str, Before] = {
    "search_products": "shown",
    "identify_product": "shown",
    "recommend_products": "shown",
    "advise_size": "size",
    "track_order": "order",
    "answer_from_policy": "policy",
}
"""What a turn was about, by the tool it ran."""


@dataclass(frozen=True)
class Choice:
    """A question back, before any tool: which of these `tools` the customer means by `wish`, their message."""

    tools: tuple[str, ...]
    wish: str


@dataclass(frozen=True)
class Doubt:
    """A question back whether a spoken `number` was heard right; `said` is the message that it stands in."""

    number: str
    said: str


@dataclass(frozen=True)
class Session:
    """One conversation. `customer_id` was verified by whoever made the session; no message can change it."""

    conversation_id: str
    customer_id: str | None = None


@dataclass(frozen=True)
class Past:
    """What a new message can lean on.

    `turns` are (customer's message, reply) pairs, oldest first, with "" for a reply that was never finished; `shown` the product ids
    shown last, in order, `rest` what their list has besides; `before` what the last turn was about; `quote` what the last turn
    offered, `asked` what a tool asked back, `choice` between which tools it asked and `doubt` which number it may have misheard;
    `orders_told` the ids of the orders told of last; `customer_id` who the customer proved to be in this conversation;
    `failures` how many of the last turns came to nothing; `desk_entry` the last message of a person's that is part of this;
    `done` the ids of the quotes carried out.
    """

    turns: tuple[tuple[str, str], ...] = ()
    shown: tuple[str, ...] = ()
    rest: Rest | None = None
    before: Before | None = None
    language: Language | None = None
    quote: Quote | None = None
    asked: Asked | None = None
    choice: Choice | None = None
    doubt: Doubt | None = None
    orders_told: tuple[str, ...] = ()
    customer_id: str | None = None
    failures: int = 0
    desk_entry: int = 0
    done: tuple[str, ...] = ()


def facts_of(message: ToolMessage) -> Facts | None:
    """The facts a tool message carries; None if the tool failed."""
    artifact: Any = message.artifact
    return Facts.model_validate(artifact) if isinstance(artifact, dict) else None


def current_turn(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The messages after the customer's last one."""
    for index in range(len(messages) - 1, -1, -1):
        if isinstance(messages[index], HumanMessage):
            return list(messages[index + 1 :])
    return list(messages)


def tools_run(messages: Sequence[AnyMessage]) -> Iterator[tuple[str, dict[str, Any], Facts | None]]:
    """Each tool's name, what it was called with, and the facts it found (None if it failed), in order."""
    asked: dict[str | None, dict[str, Any]] = {}
    for message in messages:
        if isinstance(message, AIMessage):
            asked |= {call["id"]: call["args"] for call in message.tool_calls}
        elif isinstance(message, ToolMessage):
            yield message.name or "", asked.get(message.tool_call_id, {}), facts_of(message)


def past_of(messages: Sequence[AnyMessage]) -> Past:
    """Read the finished turns of a conversation; a turn that was cut off leaves its question and nothing else."""
    past = Past()
    for message in messages:
        if isinstance(message, HumanMessage):
            kept = message.additional_kwargs
            past = replace(
                past,
                turns=(*past.turns, (message.text, "")),
                language=kept.get("language", past.language),
                customer_id=past.customer_id or kept.get("customer_id"),
                # An offer holds for the next message only: a later yes may mean something else.
                desk_entry=kept.get("desk_entry", past.desk_entry),
                quote=None,
                asked=None,
                choice=None,
                doubt=None,
            )
        elif isinstance(message, ToolMessage):
            past = _after_tool(past, message)
        elif isinstance(message, AIMessage) and "staff" in message.additional_kwargs:
            # What a person said came between an offer and a yes.
            past = replace(past, turns=(*past.turns, ("", message.text)), quote=None, asked=None, choice=None, doubt=None)
        elif isinstance(message, AIMessage) and not message.tool_calls and past.turns:
            choice = message.additional_kwargs.get("choice")
            doubt = message.additional_kwargs.get("doubt")
            past = replace(
                past,
                turns=(*past.turns[:-1], (past.turns[-1][0], message.text)),
                choice=Choice(tuple(choice["tools"]), choice["wish"]) if choice else None,
                doubt=Doubt(doubt["number"], doubt["said"]) if doubt else None,
            )
    return past


def _after_tool(past: Past, message: ToolMessage) -> Past:
    facts = facts_of(message)
    if facts is None:
        return replace(past, before=_before(message, None))
    orders = tuple(
        dict.fromkeys(fact.source.removeprefix("order:") for fact in facts.facts if fact.source.startswith("order:"))
    )
    if facts.quote and facts.quote.request.order_id:
        orders = (facts.quote.request.order_id,)
    return replace(
        past,
        before=_before(message, facts),
        shown=facts.product_ids or past.shown,
        # A closer look at one of the list is no end of the list.
        rest=past.rest if facts.rest is None and set(facts.product_ids) <= set(past.shown) else facts.rest,
        quote=facts.quote or past.quote,
        asked=facts.asks or past.asked,
        orders_told=orders or past.orders_told,
        done=(*past.done, *_carried_out(message, facts)),
        failures=past.failures + 1 if facts.outcome == "nothing_found" else 0,
    )


def _carried_out(message: ToolMessage, facts: Facts) -> tuple[str, ...]:
    if message.name != "commit_quote" or facts.quote is not None:
        return ()
    return tuple(dict.fromkeys(fact.source.removeprefix("quote:") for fact in facts.facts if fact.source.startswith("quote:")))


def _before(message: ToolMessage, facts: Facts | None) -> Before | None:
    if facts and facts.quote:
        return "quote"
    # A question of a quote's tells of orders and items.
    return "order" if facts and facts.asks and facts.asks.slot in ("order", "items") else KINDS.get(message.name or "")
