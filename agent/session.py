"""Who is talking, what was shown and what was said: read back from a conversation's messages, never stored twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from agent.examples import Before
from tools.kit.facts import Facts
from tools.shop.types import Language

_KINDS: dict[str, Before] = {
    "search_products": "shown",
    "identify_product": "shown",
    "recommend_products": "shown",
    "track_order": "order",
    "answer_from_policy": "policy",
}


@dataclass(frozen=True)
class Session:
    """One conversation. `customer_id` was verified by whoever made the session; no message can change it."""

    conversation_id: str
    customer_id: str | None = None


@dataclass(frozen=True)
class Past:
    """What a new message can lean on.

    `turns` are (customer's message, reply) pairs, oldest first, with "" for a reply that was never finished; `shown` the product ids
    shown last, in order; `before` what the last turn was about.
    """

    turns: tuple[tuple[str, str], ...] = ()
    shown: tuple[str, ...] = ()
    before: Before | None = None
    language: Language | None = None


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


def past_of(messages: Sequence[AnyMessage]) -> Past:
    """Read the finished turns of a conversation; a turn that was cut off leaves its question and nothing else."""
    turns: list[tuple[str, str]] = []
    shown: tuple[str, ...] = ()
    before: Before | None = None
    language: Language | None = None
    for message in messages:
        if isinstance(message, HumanMessage):
            turns.append((message.text, ""))
            language = message.additional_kwargs.get("language", language)
        elif isinstance(message, ToolMessage):
            before = _KINDS.get(message.name or "")
            facts = facts_of(message)
            if facts and facts.product_ids:
                shown = facts.product_ids
        elif isinstance(message, AIMessage) and not message.tool_calls and turns:
            turns[-1] = (turns[-1][0], message.text)
    return Past(turns=tuple(turns), shown=shown, before=before, language=language)
