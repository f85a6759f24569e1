"""One conversation of a customer with the real agent, on a copy of the shop that nobody else sees: what was said and what changed.

It does not know who the customer is (a script, rules or a model) nor what is right; that is for whoever judges the trajectory.
"""

import hashlib
import json
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Protocol

from langgraph.checkpoint.memory import InMemorySaver
from rich.console import Console

from agent.events import Turn
from agent.handover import HANDOVERS, HandoverDesk
from agent.resources import OWN_QUERIES, PHOTO_MODEL, Opened, open_agent, prepare
from agent.review import REVIEW, ReviewList
from agent.session import Session
from agent.settings import Settings
from agent.turn import Agent, Message
from tools.kit.clock import Clock
from tools.shop.sqlite_shop import SqliteShop

State = dict[str, Any]
"""What of a shop can change; see `state_of`."""


class Customer(Protocol):
    """Whoever talks with the agent."""

    def next(self, turn: Turn | None) -> Message | None:
        """The next message, after the agent's last turn; `turn` is None before the first. None ends the conversation."""


@dataclass(frozen=True)
class Exchange:
    """One message and its answer. The customer waited `seconds` for it."""

    message: Message
    turn: Turn
    seconds: float
    model_calls: int


@dataclass(frozen=True)
class Trajectory:
    """A whole conversation with the shop's state `before` and `after`. `ended` tells by whom, `error` what broke it off."""

    turns: tuple[Exchange, ...]
    before: State
    after: State
    ended: Literal["customer", "max_turns", "agent_failed", "customer_failed"]
    error: str | None = None


@dataclass(frozen=True)
class Place:
    """An agent at work on a copy of a shop, in `folder`."""

    opened: Opened
    folder: Path
    pristine: sqlite3.Connection
    """The shop as it was copied, in memory."""

    @property
    def agent(self) -> Agent:
        """The agent on the chat model of the settings; `opened.agent_with` makes one on another."""
        return self.opened.agent

    @property
    def shop(self) -> SqliteShop:
        """The copy of the shop."""
        return self.opened.shop

    @property
    def desk(self) -> HandoverDesk:
        """Where this place's conversations are handed over."""
        return self.opened.desk

    def session(self, customer_id: str | None) -> Session:
        """A new conversation; None is a visitor. Raises OperatorError for a customer the shop does not have."""
        return self.opened.session(customer_id, None)

    def reset(self) -> None:
        """Bring the shop back to what it was when it was copied; takes milliseconds, nothing is loaded again."""
        with closing(sqlite3.connect(self.folder / "shop.sqlite")) as target:
            self.pristine.backup(target)


def without_references(reply: str, sources: Iterable[str]) -> str:
    """An answer without the references of what was quoted or done, as the facts' sources name them: they are new every time."""
    for source in sources:
        if source.startswith("quote:"):
            reply = reply.replace(source.removeprefix("quote:"), "")
    return reply


@contextmanager
def apart(settings: Settings, shop_folder: Path, clock: Clock, console: Console | None = None) -> Iterator[Place]:
    """Open the agent of the settings on a copy of the shop, with conversations, desk and review list of its own and this clock.

    All of it is thrown away at the end; the shop in `shop_folder` is only read. Raises OperatorError if there is none, or no index.
    """
    console = console or Console(stderr=True)
    prepare(settings, console)
    with (
        TemporaryDirectory(prefix="storehand-", ignore_cleanup_errors=True) as scratch,
        closing(sqlite3.connect(":memory:", check_same_thread=False)) as pristine,
    ):
        folder, data = Path(scratch) / "shop", Path(scratch) / "data"
        copy_shop(shop_folder, folder)
        with closing(sqlite3.connect(folder / "shop.sqlite")) as source:
            source.backup(pristine)
        with open_agent(settings.model_copy(update={"data_dir": data}), str(folder), console, clock) as opened:
            yield Place(opened, folder, pristine)


@contextmanager
def beside(opened: Opened, shop_folder: Path, clock: Clock, *, policy: Path | None = None) -> Iterator[Place]:
    """A place on another copy of the same shop, with the models and the index that `opened` has loaded.

    `policy` is a policy.yaml in the place of the shop's own. Raises BadSettings for rules that cannot be used.
    """
    with (
        TemporaryDirectory(prefix="storehand-", ignore_cleanup_errors=True) as scratch,
        closing(sqlite3.connect(":memory:", check_same_thread=False)) as pristine,
        ExitStack() as closed_last,
    ):
        folder = Path(scratch) / "shop"
        copy_shop(shop_folder, folder)
        if policy is not None:
            shutil.copyfile(policy, folder / "policy.yaml")
        with closing(sqlite3.connect(folder / "shop.sqlite")) as source:
            source.backup(pristine)
        shop = closed_last.enter_context(SqliteShop.open(folder))
        catalog = opened.catalog.of(shop)
        desk, review = HandoverDesk(Path(scratch) / HANDOVERS), ReviewList(Path(scratch) / REVIEW)
        loaded = opened.agent_with.keywords
        agent_with = partial(
            Agent,
            shop,
            catalog,
            chooser=loaded["chooser"],
            transcriber=loaded["transcriber"],
            desk=desk,
            settings=loaded["settings"],
            clock=clock,
            review=review,
        )
        agent = agent_with(opened.model, InMemorySaver())
        there = replace(opened, agent=agent, shop=shop, agent_with=agent_with, catalog=catalog, desk=desk, review=review)
        yield Place(there, folder, pristine)


def copy_shop(source: Path, target: Path) -> None:
    """Copy a shop with its rules, its index and what was learnt for it; the pictures are the same files."""
    SqliteShop.open(source).close()  # raises ShopMissing with what to do
    target.mkdir(parents=True)
    # SQLite's own copy also has what is still in the write-ahead log.
    with closing(sqlite3.connect(source / "shop.sqlite")) as old, closing(sqlite3.connect(target / "shop.sqlite")) as new:
        old.backup(new)
    for name in ("policy.yaml", "vectors.sqlite", PHOTO_MODEL, OWN_QUERIES):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    if (source / "index").is_dir():
        shutil.copytree(source / "index", target / "index", ignore=shutil.ignore_patterns("lock", "*.lock"))
    (target / "pictures").symlink_to((source / "pictures").resolve())


def converse(place: Place, session: Session, customer: Customer, *, max_turns: int, agent: Agent | None = None) -> Trajectory:
    """Let the customer talk with the place's agent, or another one of the same shop, until either is done.

    Whatever goes wrong is the end of this conversation and is told in it, never raised: a run of many goes on.
    """
    answering = agent or place.agent
    before = state_of(place.folder)
    turns: list[Exchange] = []
    ended: Literal["customer", "max_turns", "agent_failed", "customer_failed"] = "max_turns"
    error = None
    while len(turns) < max_turns:
        try:
            message = customer.next(turns[-1].turn if turns else None)
        except Exception as problem:  # noqa: BLE001  # a customer's mistake is no mistake of the agent's, and no end of the run
            ended, error = "customer_failed", f"{type(problem).__name__}: {problem}"
            break
        if message is None:
            ended = "customer"
            break
        began = time.perf_counter()
        try:
            *_, turn = answering.answer(session, message)
        except Exception as problem:  # noqa: BLE001  # neither is a defect of the agent's
            ended, error = "agent_failed", f"{type(problem).__name__}: {problem}"
            break
        assert isinstance(turn, Turn)
        turns.append(Exchange(message, turn, time.perf_counter() - began, turn.model_calls))
    return Trajectory(tuple(turns), before, state_of(place.folder), ended, error)


def state_of(folder: Path) -> State:
    """Everything of the shop in `folder` that a conversation may change, without ids and times of the doing: two states compare.

    `{"orders": {id: {customer_id, status, address, items: [{variant_id, quantity, unit_price_cents}], payments: [{kind, amount_cents,
    payment_method_id}], shipping_cents}}, "customers": {id: {name, email, phone, address, balances: {method id: cents}}}, "stock":
    {variant id: pieces}, "ledger": [{customer_id, order_id, kind, payment_method_id, amount_cents}], "done": [{customer_id, kind, request,
    status}], "records": a digest of products, rules, reviews and parcels, which nobody may change}`. `done` are the quotes that were
    committed, in order; `request` is what they did, as tools/shop/quotes.py has it.
    """
    with closing(sqlite3.connect(folder / "shop.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        rows = {name: [dict(row) for row in connection.execute(query)] for name, query in _CHANGING.items()}
        records = hashlib.sha256()
        for table in ("products", "clauses", "size_charts", "reviews", "fulfilments"):
            for record in connection.execute(f"SELECT * FROM {table}"):
                records.update(repr(tuple(record)).encode())
        for record in connection.execute("SELECT id, product_id, options, price_cents FROM variants"):
            records.update(repr(tuple(record)).encode())
    orders = {
        row.pop("id"): {**row, "address": json.loads(row["address"]), "items": [], "payments": []} for row in rows["orders"]
    }
    for part in ("items", "payments"):
        for row in rows[part]:
            orders[row.pop("order_id")][part].append(row)
    customers = {row.pop("id"): {**row, "address": json.loads(row["address"]), "balances": {}} for row in rows["customers"]}
    for row in rows["balances"]:
        customers[row["customer_id"]]["balances"][row["id"]] = row["balance_cents"]
    return {
        "orders": orders,
        "customers": customers,
        "stock": {row["id"]: row["stock"] for row in rows["stock"]},
        "ledger": rows["ledger"],
        "done": [{**row, "request": json.loads(row["request"])} for row in rows["done"]],
        "records": records.hexdigest(),
    }


_CHANGING = {
    "orders": "SELECT id, customer_id, status, address, shipping_cents FROM orders ORDER BY id",
    "items": "SELECT order_id, variant_id, quantity, unit_price_cents FROM order_items ORDER BY order_id, position",
    "payments": "SELECT order_id, kind, amount_cents, payment_method_id FROM payments ORDER BY order_id, position",
    "customers": "SELECT id, name, email, phone, address FROM customers ORDER BY id",
    "balances": "SELECT customer_id, id, balance_cents FROM payment_methods ORDER BY customer_id, position",
    "stock": "SELECT id, stock FROM variants ORDER BY id",
    "ledger": "SELECT customer_id, order_id, kind, payment_method_id, amount_cents FROM ledger ORDER BY entry",
    "done": "SELECT customer_id, kind, json_extract(quote, '$.request') AS request, status FROM quotes"
    " WHERE committed_at IS NOT NULL ORDER BY committed_at, rowid",
}
