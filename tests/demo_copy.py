"""An untouched copy of the demo shop with agents of its own: what one test agrees to there, no other test sees."""

import re
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from agent.events import Turn
from agent.handover import HandoverDesk
from agent.resources import Opened
from agent.session import Session
from agent.turn import Agent, Message
from tools.kit.clock import system_clock
from tools.shop.sqlite_shop import SqliteShop
from tools.shop.types import Order

Books = dict[str, list[tuple[Any, ...]]]


class DemoCopy:
    """The shop as it was imported, in `folder`; encoders, catalogue and chat model are those of `demo`."""

    def __init__(self, demo: Opened, imported: Path, folder: Path) -> None:
        self._demo, self._folder = demo, folder
        folder.mkdir()
        for name in ("shop.sqlite", "policy.yaml"):
            shutil.copy(imported / name, folder / name)
        self.shop = SqliteShop.open(folder)
        self.desk = HandoverDesk(folder / "handovers.sqlite")
        self.later = timedelta(0)
        """How far the agent's clock is ahead."""

    def clock(self) -> datetime:
        return system_clock() + self.later

    def agent(
        self, model: BaseChatModel | None = None, checkpointer: BaseCheckpointSaver[Any] | None = None, **more: Any
    ) -> Agent:
        """An agent of this shop; `more` takes the place of what the demo's agent was made with."""
        _, catalog = self._demo.agent_with.args
        made_with = {**self._demo.agent_with.keywords, "desk": self.desk, "clock": self.clock, **more}
        return Agent(self.shop, catalog, model or self._demo.model, checkpointer or InMemorySaver(), **made_with)

    def talk(self, customer: str | None, agent: Agent | None = None, conversation: str = "t") -> "Talk":
        """A conversation with this customer; None is a visitor."""
        return Talk(agent or self.agent(), Session(conversation, customer))

    def reopen(self) -> None:
        """As after a restart."""
        self.shop.close()
        self.shop = SqliteShop.open(self._folder)

    def edit(self, statement: str, *values: object, **named: object) -> None:
        """Change a record as the shop's own system would."""
        with closing(sqlite3.connect(self._folder / "shop.sqlite")) as connection, connection:
            assert connection.execute(statement, named or values).rowcount > 0

    def edit_policy(self, old: str, new: str) -> None:
        policy = self._folder / "policy.yaml"
        text = policy.read_text("utf-8")
        assert old in text
        policy.write_text(text.replace(old, new), "utf-8")
        self.reopen()

    def order(self, order_id: str) -> Order:
        return next(
            order for customer in self.shop.customers() for order in self.shop.orders_of(customer.id) if order.id == order_id
        )

    def moved(self) -> list[tuple[str | None, str, str | None, int]]:
        """The ledger: order, kind, payment method, cents."""
        return [(each.order_id, each.kind, each.payment_method_id, each.amount_cents) for each in self.shop.ledger.entries()]

    def stock(self, variant_id: str) -> int | None:
        with closing(sqlite3.connect(self._folder / "shop.sqlite")) as connection:
            (stock,) = connection.execute("SELECT stock FROM variants WHERE id = ?", (variant_id,)).fetchone()
        return None if stock is None else int(stock)

    def books(self) -> Books:
        """Every row of the shop but quotes that nobody agreed to, and tries to say who one is."""
        with closing(sqlite3.connect(self._folder / "shop.sqlite")) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {
                name: connection.execute(
                    f"SELECT * FROM {name} {'WHERE committed_at IS NOT NULL' if name == 'quotes' else ''} ORDER BY rowid"
                    if name != "basket_items"
                    else f"SELECT * FROM {name}"
                ).fetchall()
                for name in tables
                if name != "lookups"
            }

    def close(self) -> None:
        self.shop.close()


class Talk:
    """One customer's conversation."""

    def __init__(self, agent: Agent, session: Session) -> None:
        self._agent, self._session = agent, session

    def say(self, *texts: str) -> Turn:
        """Say these one after the other; the last answer."""
        turns = [self.send(Message(text)) for text in texts]
        assert all(turn.reply for turn in turns)
        return turns[-1]

    def send(self, message: Message) -> Turn:
        *_, turn = self._agent.answer(self._session, message)
        assert isinstance(turn, Turn)
        return turn


def tools(turn: Turn) -> list[str]:
    return [step.tool for step in turn.steps]


def sources(turn: Turn) -> set[str]:
    return {fact.source for step in turn.steps for fact in step.facts}


def is_chinese(text: str) -> bool:
    return len(re.findall(r"[\u4e00-\u9fff]", text)) > len(re.findall(r"[A-Za-z]{2,}", text))
