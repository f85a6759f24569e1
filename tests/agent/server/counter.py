"""A server over the demo shop without weights: a chooser that knows a few words, a catalogue that compares words, a model that recites.

Run as a program, it serves until it is killed: `python counter.py SHOP DATA PORT_FILE PAUSE_S`.
"""

import re
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from agent.chooser.evidence import Evidence
from agent.decide import TOOLS
from agent.handover import HANDOVERS, HandoverDesk
from agent.models.stopping import check_stopped
from agent.review import REVIEW, ReviewList
from agent.server.app import GracefulServer, config_of, make_app
from agent.server.services import Backing
from agent.settings import Settings, TurnSettings, load_settings
from agent.turn import Agent
from tools.catalog.clause_search import ClauseHit
from tools.catalog.index import Hit
from tools.catalog.vocabulary import Vocabulary
from tools.kit.clock import Clock, system_clock
from tools.shop.sqlite_shop import SqliteShop

SAID = "Have a look at it. " * 3
QUESTION = "what is the Breeze Linen Midi Dress like, would it do for a wedding"
"""Answered by the chat model: lists, rules and orders are code's."""

_WORDS = {
    "quote_cancellation": r"cancel|取消",
    "hand_to_human": r"person|colleague|人工",
    "track_order": r"where is|order|订单",
    "answer_from_policy": r"how long|rule|refund|退货",
    "search_products": r"dress|show me|裙",
}


class Chooser:
    """Sure of the tool whose word stands in the message; of small talk otherwise."""

    def look_up(self, said: str, language: str, *, before: str | None, photo: bool) -> Evidence:
        tool = next((tool for tool, words in _WORDS.items() if re.search(words, said, re.I)), "reply")
        others = [each.name for each in TOOLS if each.name != tool] + ["reply"] * (tool != "reply")
        return Evidence({tool: 0.97, **dict.fromkeys(others, 0.03 / len(others))}, "greeting")


_VOCABULARIES: dict[str, Vocabulary] = {}


def _vocabulary(version: str, shop: SqliteShop) -> Vocabulary:
    """Read once for all tests."""
    if version not in _VOCABULARIES:
        _VOCABULARIES[version] = Vocabulary.of(shop)
    return _VOCABULARIES[version]


class Catalog:
    """Finds by common words."""

    is_stale = False

    def __init__(self, shop: SqliteShop) -> None:
        self._shop = shop
        self.vocabulary = _vocabulary(shop.version, shop)

    def search(self, text: str, language: str, filters: Any, limit: int, **_: Any) -> list[Hit]:
        hits = [Hit(each.id, self._alike(text, *each.title.all(), *each.category.all())) for each in self._shop.products()]
        return sorted((hit for hit in hits if hit.score), key=lambda hit: -hit.score)[:limit]

    def clauses(self, text: str, language: str, on: date, limit: int) -> list[ClauseHit]:
        hits = [(each.id, self._alike(text, *each.title.all(), *each.questions)) for each in self._shop.clauses(on)]
        return [ClauseHit(name, score, score) for name, score in sorted(hits, key=lambda hit: -hit[1])][:limit]

    def identify(self, photo: Any, limit: int) -> list[Hit]:
        return [Hit("p001", 0.9, 0.9)]

    @staticmethod
    def _alike(text: str, *others: str) -> float:
        words = set(re.findall(r"\w+", text.lower()))
        return sum(word in words for word in set(re.findall(r"\w+", " ".join(others).lower())))


class Reciter(BaseChatModel):
    """Says `text` word by word, with a pause before each."""

    text: str = SAID
    pause_s: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "reciter"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for word in re.findall(r"\S+\s*", self.text):
            time.sleep(self.pause_s)
            check_stopped()
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
        end = AIMessageChunk(content="", response_metadata={"finish_reason": "stop"}, chunk_position="last")
        yield ChatGenerationChunk(message=end)


class Serving:
    """A server that runs in a thread, on a port of its own."""

    def __init__(self, backing: Backing, port: int = 0) -> None:
        self.shop, self.app = backing.shop, make_app(backing)
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = GracefulServer(config_of(self.app, backing))
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})

    def start(self) -> None:
        self._thread.start()
        while not self.server.started:
            assert self._thread.is_alive()
            time.sleep(0.01)

    def close(self) -> None:
        self.server.should_exit = True
        self._thread.join()

    def client(self, **more: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20, trust_env=False, **more)


class Counter(Serving):
    """One over the demo shop, whose model recites."""

    def __init__(
        self,
        shop: Path,
        data: Path,
        model: BaseChatModel | None = None,
        clock: Clock = system_clock,
        port: int = 0,
        **server: Any,
    ) -> None:
        server = {"messages_a_minute": 1000, "sessions_a_minute": 1000, "requests_a_minute": 10000, **server}
        self.settings: Settings = load_settings(data_dir=data, server={"port": port, **server})
        data.mkdir(parents=True, exist_ok=True)
        self.shop_folder, self.model = shop, model or Reciter()
        self.indexed = 0
        self.hears: Any = None
        """The speech recognition."""
        opened = SqliteShop.open(shop)
        self.desk = HandoverDesk(data / HANDOVERS)
        self._connection = sqlite3.connect(data / "conversations.sqlite", check_same_thread=False)
        self._connection.execute("PRAGMA secure_delete = ON")
        saver = SqliteSaver(self._connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        catalog: Any = Catalog(opened)
        chooser: Any = Chooser()
        review = ReviewList(data / REVIEW)
        agent = Agent(
            opened,
            catalog,
            self.model,
            saver,
            chooser=chooser,
            transcriber=lambda: self.hears,
            desk=self.desk,
            settings=TurnSettings(),
            clock=clock,
            review=review,
        )
        backing = Backing(agent, opened, catalog, self.desk, review, self.settings, clock, reindex=self._reindex, is_demo=True)
        super().__init__(backing, port)

    def _reindex(self) -> None:
        self.indexed += 1

    def close(self) -> None:
        super().close()
        self._connection.close()
        self.shop.close()


Open = Callable[..., Counter]
"""Opens a server; its arguments are a Counter's after the folders."""
Launch = Callable[..., Any]
"""Starts a browser with further arguments for it."""

if __name__ == "__main__":
    counter = Counter(Path(sys.argv[1]), Path(sys.argv[2]), Reciter(pause_s=float(sys.argv[4])), shutdown_seconds=5)
    Path(sys.argv[3]).write_text(str(counter.port))
    uvicorn.Server.run(counter.server, sockets=[counter.socket])
