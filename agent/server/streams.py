"""Server-sent events: a run's, and what a person writes while no run goes on."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from ag_ui.core import CustomEvent
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from agent.server.identity import Visitor
from agent.server.problems import Problem
from agent.server.runs import Run, handover_of
from agent.server.services import Services

PING_SECONDS = 15.0
"""Proxies close connections on which nothing comes."""
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def run_stream(run: Run | Sequence[str], after: int = 0) -> EventSourceResponse:
    """The events of a run from the one after `after`, as they come or as they were kept; each has its number as its id."""
    return EventSourceResponse(_live(run, after) if isinstance(run, Run) else _kept(run, after), headers=_HEADERS)


def last_event_number(header: str | None) -> int:
    """What Last-Event-ID names, 0 for none. Raises Problem 422."""
    if header is None:
        return 0
    if not (header.isascii() and header.isdigit() and len(header) < 10):
        raise Problem(422, "invalid", "Last-Event-ID: must be the id of one of the run's events.")
    return int(header)


async def _kept(events: Sequence[str], after: int) -> AsyncIterator[bytes]:
    for number, data in enumerate(events[after:], after + 1):
        yield format_sse_event(data_str=data, id=str(number))


async def _live(run: Run, after: int) -> AsyncIterator[bytes]:
    while True:
        seen, is_over = run.signal.count, run.is_over  # before the events are read: none comes after the end
        for data in run.events[after:]:
            after += 1
            yield format_sse_event(data_str=data, id=str(after))
        if is_over:
            return
        if not await run.signal.wait(seen, PING_SECONDS) and not run.is_over:
            yield KEEPALIVE_COMMENT


def updates_stream(server: Services, visitor: Visitor, last_event_id: str | None) -> EventSourceResponse:
    """What a person writes to this customer, and the hand-over's state when it changes.

    An id is "ENTRY.STATE": the last message that was seen, and the state that was told.
    """
    entry, state, staff = _seen(server, visitor.conversation, last_event_id)
    return EventSourceResponse(_updates(server, visitor.conversation, entry, (state, staff)), headers=_HEADERS)


def _seen(server: Services, conversation: str, last_event_id: str | None) -> tuple[int, str, str | None]:
    number, _, state = (last_event_id or "").partition(".")
    if number.isascii() and number.isdigit() and len(number) < 15 and state:
        return int(number), state, None
    # Whoever comes anew has read the history.
    entries = server.desk.messages(conversation)
    handover = handover_of(server.desk, conversation)
    return entries[-1].entry if entries else 0, handover["state"], handover["staff"]


async def _updates(server: Services, conversation: str, entry: int, told: tuple[str, str | None]) -> AsyncIterator[bytes]:
    yield KEEPALIVE_COMMENT  # opens the stream at once
    while not server.is_closing:
        seen = server.watch.signal.count
        for entry, told, name, value in await asyncio.to_thread(_news, server, conversation, entry, told):  # noqa: B020
            yield format_sse_event(data_str=_json(name, value), id=f"{entry}.{told[0]}")
        if not await server.watch.signal.wait(seen, PING_SECONDS):
            yield KEEPALIVE_COMMENT


def _news(
    server: Services, conversation: str, entry: int, told: tuple[str, str | None]
) -> list[tuple[int, tuple[str, str | None], str, dict[str, Any]]]:
    news: list[tuple[int, tuple[str, str | None], str, dict[str, Any]]] = []
    for message in server.desk.messages(conversation, entry):
        entry = message.entry
        if message.speaker == "staff":
            told_of = staff_message(message.entry, message.text, message.staff, message.at.isoformat())
            news.append((entry, told, "staffMessage", told_of))
    handover = handover_of(server.desk, conversation)
    now = (handover["state"], handover["staff"])
    if now[0] != told[0] or (told[1] is not None and now[1] != told[1]):
        news.append((entry, now, "handover", handover))
    return news


def staff_message(entry: int, text: str, staff: str | None, at: str) -> dict[str, Any]:
    """What a person wrote, as front ends are told it."""
    return {"id": f"staff-{entry}", "text": text, "staff": staff, "at": at}


def _json(name: str, value: Any) -> str:
    return CustomEvent(name=name, value=value).model_dump_json(by_alias=True)


async def staff_stream(server: Services) -> AsyncIterator[bytes]:
    """ "inbox" when the list of those who wait or are helped changed, "message" when something was said in a conversation."""
    yield KEEPALIVE_COMMENT
    seen = server.watch.said_in[-1][0] if server.watch.said_in else 0
    count = server.watch.signal.count
    before = await asyncio.to_thread(server.desk.open)
    while not server.is_closing:
        woken = await server.watch.signal.wait(count, PING_SECONDS)
        count = server.watch.signal.count
        for number, conversation in [each for each in list(server.watch.said_in) if each[0] > seen]:
            seen = number
            yield format_sse_event(event="message", data_str=json.dumps({"conversation": conversation}))
        now = await asyncio.to_thread(server.desk.open)
        if now != before:
            before = now
            yield format_sse_event(event="inbox", data_str="{}")
        elif not woken:
            yield KEEPALIVE_COMMENT
