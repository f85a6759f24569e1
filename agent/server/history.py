"""A conversation as front ends show it: what customer and agent said, with the cards, and what a person wrote in between."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from agent.server.runs import handover_of
from agent.server.services import Services
from agent.server.store import Shown
from agent.server.streams import staff_message


class Shape(BaseModel):
    """Names as JSON has them: camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class ShownMessage(Shape):
    """One message. What it has not is null."""

    id: str
    role: Literal["customer", "agent", "staff"]
    text: str
    at: AwareDatetime
    staff: str | None = None
    products: list[dict[str, Any]] | None = None
    quote: dict[str, Any] | None = None
    sources: list[dict[str, Any]] | None = None
    quick_replies: list[str] | None = None
    upload: dict[str, Any] | None = None
    button: Literal["agree", "decline"] | None = None
    thumb: Literal["up", "down"] | None = None


class HandoverState(Shape):
    """Who has the conversation, if not the agent."""

    state: Literal["waiting", "held"]
    staff: str | None


class Conversation(Shape):
    """A conversation; `active_run` is the one that is not over."""

    messages: list[ShownMessage]
    pending_quote: dict[str, Any] | None
    handover: HandoverState | None
    active_run: str | None


def conversation_of(server: Services, conversation: str) -> Conversation:
    """The conversation with this id, which must be there."""
    kept = server.store.conversation(conversation)
    quote = kept.quote if kept else None
    if quote and datetime.fromisoformat(quote["validUntil"]) < server.clock():
        quote = None
    handover = handover_of(server.desk, conversation)
    return Conversation(
        messages=shown_messages(server, conversation),
        pending_quote=quote,
        handover=HandoverState.model_validate(handover) if handover["state"] != "givenBack" else None,
        active_run=server.runs.active(conversation),
    )


def shown_messages(server: Services, conversation: str) -> list[ShownMessage]:
    """All that was said, oldest first."""
    return [shown for shown, _ in with_runs(server, conversation)]


def with_runs(server: Services, conversation: str) -> list[tuple[ShownMessage, str | None]]:
    """All that was said, oldest first, each with its run; a person's messages have none."""
    kept = server.store.messages(conversation)
    states = {settled["id"]: settled["state"] for each in kept if (settled := each.more.get("settled"))}
    said: list[tuple[ShownMessage, str | None]] = [(_shown(each, states), each.run_id) for each in kept]
    for entry in server.desk.messages(conversation):
        if entry.speaker == "staff":
            told = staff_message(entry.entry, entry.text, entry.staff, entry.at.isoformat())
            said.append((ShownMessage.model_validate({"role": "staff", **told}), None))
    return sorted(said, key=lambda each: each[0].at)


def _shown(message: Shown, states: Mapping[str, str]) -> ShownMessage:
    """The message, its quote with the state that it came to."""
    quote = message.more.get("quote")
    if quote and quote["id"] in states:
        quote = {**quote, "state": states[quote["id"]]}
    return ShownMessage.model_validate(
        {
            "id": message.id,
            "role": message.role,
            "text": message.text,
            "at": message.at,
            "thumb": message.thumb,
            **message.more,
            "quote": quote,
        }
    )
