"""How the server bears many conversations at once, over HTTP, as browsers use it.

Every customer waits for an answer before the next message. `measure_many` is about the server: its chat model recites, the rest is
real. `measure_model` is about the chat model, which all conversations share: all ask the same question at the same moment.
"""

import asyncio
import json
import random
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from uuid import uuid4

import httpx
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from agent.models.scripted import Scripted
from agent.resources import Opened
from agent.server.app import GracefulServer, config_of, make_app
from agent.server.services import Backing
from agent.settings import Settings
from agent.turn import Agent
from tools.kit.clock import system_clock
from tools.shop.types import Product

RECITED = "Have a look at it: it may be just what you are looking for. "
ASKS = ('Do you have the "{title}"? How much is it?', 'What is the "{title}" like, would it do for a present?')
"""The first is answered by code with the product's card, the second is written by the chat model."""
SEED = 7
MOST_RESUMED = 5


@dataclass
class Answer:
    """One message's answer as its customer saw it; `whole` is None where none came. Seconds count from the message."""

    first_words: float | None = None
    whole: float | None = None
    products: list[str] = field(default_factory=list)
    is_refused: bool = False
    is_anothers: bool = False
    resumed: int = 0
    """So often its connection was lost and it was read on, as browsers do."""


@dataclass
class Told:
    """What became of one conversation."""

    answers: list[Answer]
    is_mixed: bool


@contextmanager
def serving(opened: Opened, agent: Agent, settings: Settings) -> Iterator[str]:
    """A server of this agent on a free port of the loopback address: its address. Limits by address are lifted: all customers have one."""
    server = settings.server.model_copy(
        update={"sessions_a_minute": 10**6, "requests_a_minute": 10**6, "waiting_turns": 10**6, "trusted_proxies": ()}
    )
    settings = settings.model_copy(update={"server": server})
    backing = Backing(agent, opened.shop, opened.catalog, opened.desk, opened.review, settings, system_clock, opened.reindex)
    running = GracefulServer(config_of(make_app(backing), backing))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        while not running.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            running.should_exit = True
            thread.join()


@contextmanager
def reciting(opened: Opened, answers: int, folder: Path) -> Iterator[Agent]:
    """The shop's agent with a chat model that needs no time; its memory is a file in `folder`, as a real one's is."""
    connection = sqlite3.connect(folder / "recited.sqlite", check_same_thread=False)
    try:
        saver = SqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        yield opened.agent_with(Scripted(replies=[RECITED] * answers), saver)
    finally:
        connection.close()


def measure_many(address: str, products: Sequence[Product], *, conversations: int, at_once: int) -> dict[str, Any]:
    """Hold conversations about a product each, `at_once` of them at a time; whether every answer came, and to whom it belonged."""
    chosen = random.Random(SEED).choices(list(products), k=conversations)

    async def all_of_them() -> list[Told]:
        room = asyncio.Semaphore(at_once)
        async with _client(address) as http:

            async def one(product: Product) -> Told:
                async with room:
                    return await _converse(http, product)

            return await asyncio.gather(*map(one, chosen))

    began = time.perf_counter()
    told = asyncio.run(all_of_them())
    took = time.perf_counter() - began
    answers = [answer for each in told for answer in each.answers]
    whole = [answer.whole for answer in answers if answer.whole is not None]
    cuts = quantiles(whole, n=100, method="inclusive") if len(whole) > 1 else [0.0] * 99
    return {
        "conversations": conversations,
        "at_once": at_once,
        "messages": len(answers),
        "lost": sum(answer.whole is None for answer in answers),
        "refused": sum(answer.is_refused for answer in answers),
        "resumed": sum(answer.resumed for answer in answers),
        "mixed": sum(each.is_mixed for each in told),
        "p50_s": cuts[49],
        "p95_s": cuts[94],
        "p95_over_p50": cuts[94] / cuts[49] if cuts[49] else None,
        "messages_a_second": len(whole) / took,
        "seconds": sorted(whole),
    }


def measure_model(address: str, product: Product, at_once: int) -> dict[str, Any]:
    """Ask the same question in `at_once` conversations at the same moment: seconds, and how evenly they were served."""

    async def all_of_them() -> list[Answer]:
        async with _client(address) as http:
            sessions = [await _session(http) for _ in range(at_once)]
            return await asyncio.gather(*(_ask(http, each, ASKS[1], product) for each in sessions))

    answers = asyncio.run(all_of_them())
    whole = [answer.whole for answer in answers if answer.whole is not None]
    first = [answer.first_words for answer in answers if answer.first_words is not None]
    return {
        "at_once": at_once,
        "lost": at_once - len(whole),
        "first_words_s": median(first) if first else None,
        "whole_s": median(whole) if whole else None,
        "slowest_over_fastest": max(whole) / min(whole) if whole else None,
    }


def _client(address: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(base_url=address, timeout=600, limits=limits, trust_env=False)


async def _session(http: httpx.AsyncClient) -> dict[str, str]:
    opened: dict[str, str] = (await http.post("/v1/session", json={"language": "en"})).raise_for_status().json()
    return opened


async def _converse(http: httpx.AsyncClient, product: Product) -> Told:
    session = await _session(http)
    answers = [await _ask(http, session, ask, product) for ask in ASKS]
    history = (await http.get("/v1/history", headers=_auth(session))).raise_for_status().json()
    said = [each["text"] for each in history["messages"] if each["role"] == "customer"]
    is_own = said == [ask.format(title=_title(product)) for ask in ASKS]
    found = answers[0]
    # The product is named in the message: that its card comes first is a matter of search, that it comes is whose answer it is.
    is_anothers = found.whole is not None and product.id not in found.products
    return Told(answers, is_mixed=not is_own or is_anothers or any(each.is_anothers for each in answers))


async def _ask(http: httpx.AsyncClient, session: dict[str, str], ask: str, product: Product) -> Answer:
    answer = Answer()
    body: dict[str, Any] = {
        "threadId": session["conversation"],
        "runId": uuid4().hex,
        "state": {},
        "messages": [{"id": "m", "role": "user", "content": ask.format(title=_title(product))}],
        "tools": [],
        "context": [],
        "forwardedProps": {},
    }
    began = time.perf_counter()
    while answer.resumed < MOST_RESUMED:
        try:
            await _follow(http, session, body, answer, began)
            break
        except httpx.TransportError:
            answer.resumed += 1
    return answer


async def _follow(http: httpx.AsyncClient, session: dict[str, str], body: dict[str, Any], answer: Answer, began: float) -> None:
    """Send the message, or read on after a lost connection: the same run is answered once."""
    async with http.stream("POST", "/v1/runs", json=body, headers=_auth(session)) as response:
        if response.status_code != httpx.codes.OK:
            answer.is_refused = True
            return
        async for line in response.aiter_lines():
            if not line.startswith("data: "):
                continue
            event = json.loads(line.removeprefix("data: "))
            if (
                event.get("threadId", body["threadId"]) != body["threadId"]
                or event.get("runId", body["runId"]) != body["runId"]
            ):
                answer.is_anothers = True
                return
            if event["type"] == "TEXT_MESSAGE_CONTENT" and answer.first_words is None:
                answer.first_words = time.perf_counter() - began
            elif event["type"] == "CUSTOM" and event["name"] == "products":
                answer.products = [each["id"] for each in event["value"]]
            elif event["type"] == "RUN_FINISHED":
                answer.whole = time.perf_counter() - began


def _auth(session: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['session']}"}


def _title(product: Product) -> str:
    return product.title.in_language("en")


WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 860, 320, 60, 50, 46
PANEL = 340


def draw(result: dict[str, Any]) -> str:
    """The result as SVG: how many answers came within how many seconds, and what the model's customers wait for."""
    many, rows = result["many"], result.get("model", [])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(
            LEFT, 24, f"{many['messages']} answers in {many['conversations']} conversations, {many['at_once']} at once", size=15
        ),
    ]
    seconds = many["seconds"] or [1.0]
    most = max(seconds)
    points = " ".join(
        f"{LEFT + PANEL * each / most:.1f},{HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (place + 1) / len(seconds):.1f}"
        for place, each in enumerate(seconds)
    )
    parts += _axes(LEFT, most, "seconds to the whole answer", [(0.5, "50 %"), (0.95, "95 %"), (1, "100 %")])
    parts.append(f'<polyline points="{points}" fill="none" stroke="#0b5c4d" stroke-width="2.5"/>')
    if rows:
        left, most_s = LEFT + PANEL + 90, max(row["whole_s"] or 0 for row in rows) or 1.0
        parts.append(_text(left, 24, "The chat model, shared: seconds", size=15))
        step = PANEL / len(rows)
        for place, row in enumerate(rows):
            for number, (name, color) in enumerate((("first_words_s", "#7fb8a8"), ("whole_s", "#0b5c4d"))):
                height = (HEIGHT - TOP - BOTTOM) * (row[name] or 0) / most_s
                x = left + place * step + 10 + number * step * 0.36
                parts.append(
                    f'<rect x="{x:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" width="{step * 0.32:.1f}" height="{height:.1f}" fill="{color}"/>'
                )
                parts.append(_text(x + step * 0.16, HEIGHT - BOTTOM - height - 5, f"{row[name] or 0:.1f}", anchor="middle"))
            parts.append(
                _text(left + place * step + step * 0.4, HEIGHT - BOTTOM + 18, f"{row['at_once']} at once", anchor="middle")
            )
        parts.append(_text(left, HEIGHT - 8, "light: first words, dark: whole answer"))
    return "\n".join([*parts, "</svg>", ""])


def _axes(left: float, most: float, name: str, shares: list[tuple[float, str]]) -> list[str]:
    bottom = HEIGHT - BOTTOM
    parts = [_text(left + PANEL / 2, HEIGHT - 8, name, anchor="middle")]
    for share, label in shares:
        y = bottom - (bottom - TOP) * share
        parts += [f'<path d="M{left} {y:.1f}h{PANEL}" stroke="#dddddd"/>', _text(left - 8, y + 4, label, anchor="end")]
    for part in range(5):
        x = left + PANEL * part / 4
        parts += [
            f'<path d="M{x} {bottom}v5" stroke="#444444"/>',
            _text(x, bottom + 18, f"{most * part / 4:.1f}", anchor="middle"),
        ]
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 13) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#222222">{escape(text)}</text>'
