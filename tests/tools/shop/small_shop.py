"""A small shop with rules of its own for the tests of quotes and their ledger, and work for processes beside the test's."""

import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from tools.shop.ledger import Ledger, QuoteChanged, Truth
from tools.shop.policy import Policy
from tools.shop.quotes import NotAllowed
from tools.shop.sqlite_shop import ShopRecord, ShopWriter, SqliteShop, read_customer, read_info, read_orders, read_product
from tools.shop.types import (
    Address,
    Clause,
    Customer,
    Discount,
    Fulfilment,
    LocalText,
    Order,
    OrderItem,
    OrderStatus,
    Payment,
    PaymentMethod,
    Product,
    ShopInfo,
    Variant,
)

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
INFO = ShopInfo(name=LocalText(en="Corner shop"), currency="USD", timezone="Europe/Berlin")


def product(id: str, *variants: tuple[str, int | None, int | None], category: str = "Clothes", attribute: str = "") -> Product:
    """A product with `(variant id, price, stock)`."""
    return Product(
        id=id,
        title=LocalText(en=id.capitalize()),
        category=LocalText(en=category),
        attributes={attribute: LocalText(en="yes")} if attribute else {},
        variants=tuple(
            Variant(id=name, options={"size": name.partition("-")[2]}, price_cents=price, stock=stock)
            for name, price, stock in variants
        ),
    )


SHIRT = product(
    "shirt",
    *(("shirt-s", 3500, 5), ("shirt-m", 4000, 5), ("shirt-l", 4000, 2), ("shirt-xl", 4500, 5)),
    *(("shirt-xxl", 4500, 0), ("shirt-old", None, 5)),
)
SOCKS = product("socks", ("socks-a", 333, None), ("socks-b", 334, 9))
BRUSH = product("brush", ("brush-1", 1200, 5), ("brush-2", 900, 5), category="Bathroom", attribute="hygiene")
LAMP = product("lamp", ("lamp-1", 9999, 3), ("lamp-2", 10999, 3), category="Camping")
PRODUCTS = (SHIRT, SOCKS, BRUSH, LAMP)
PRICES = {variant.id: variant.price_cents or 0 for each in PRODUCTS for variant in each.variants}
PRODUCT_OF = {variant.id: each for each in PRODUCTS for variant in each.variants}

HOME = Address(line1="1 High Street", postcode="10115", country="Germany")
ANNA = Customer(
    id="anna",
    name="Anna",
    email="anna@example.com",
    address=HOME,
    payment_methods=(
        PaymentMethod(id="card", kind="card", brand="visa", last_four="4242"),
        PaymentMethod(id="paypal", kind="paypal"),
        PaymentMethod(id="gift", kind="gift_card", balance_cents=5000),
        PaymentMethod(id="empty-gift", kind="gift_card", balance_cents=0),
    ),
)
BEN = Customer(
    id="ben",
    name="Ben",
    email="ben@example.com",
    address=HOME,
    payment_methods=(PaymentMethod(id="bens-card", kind="card", last_four="1111"),),
)


def order(
    id: str = "#1",
    pieces: Mapping[str, int] | Sequence[tuple[str, int]] = (("shirt-m", 1), ("socks-a", 1)),
    *,
    customer_id: str = "anna",
    status: OrderStatus = "delivered",
    paid: Mapping[str, int] | None = None,
    discounts: Sequence[Discount] = (),
    shipping_cents: int = 0,
    placed_at: datetime | None = NOW - timedelta(days=8),
    delivered_at: datetime | None = NOW - timedelta(days=5),
    address: Address = HOME,
) -> Order:
    """An order at the shop's prices; without `paid` by card, in full."""
    items = tuple(
        OrderItem(
            product_id=PRODUCT_OF[name].id,
            variant_id=name,
            title=PRODUCT_OF[name].title,
            options={"size": name.partition("-")[2]},
            quantity=quantity,
            unit_price_cents=PRICES[name],
        )
        for name, quantity in (pieces.items() if isinstance(pieces, Mapping) else pieces)
    )
    parcel = Fulfilment(variant_ids=tuple({item.variant_id: None for item in items}), delivered_at=delivered_at)
    unpaid = Order(
        id=id,
        customer_id=customer_id,
        placed_at=placed_at,
        status=status,
        currency="USD",
        items=items,
        address=address,
        fulfilments=() if status in ("pending", "pending_changed", "processed") else (parcel,),
        discounts=tuple(discounts),
        shipping_cents=shipping_cents,
    )
    paid = {"card": unpaid.total_cents} if paid is None else paid
    payments = tuple(Payment(kind="payment", amount_cents=cents, payment_method_id=name) for name, cents in paid.items())
    return unpaid.model_copy(update={"payments": payments})


def off(cents: int, minimum_cents: int = 0) -> Discount:
    """Money off a whole order."""
    return Discount(label=LocalText(en="Voucher"), amount_cents=cents, minimum_cents=minimum_cents)


ALLOWED: dict[str, Any] = {
    "returns": [
        {"id": "r", "clause": "RET", "paid": "at_once", "statuses": ["delivered", "return_requested", "returned"]},
    ],
    "exchanges": [{"id": "e", "clause": "EXC"}],
    "cancellations": [{"id": "c", "clause": "CAN"}],
    "item_changes": [{"id": "i", "clause": "ITEM"}],
    "address_changes": [{"id": "a", "clause": "ADDR"}],
    "payment_changes": [{"id": "p", "clause": "PAY"}],
}
"""Rules that allow what they can, in the shape of policy.yaml."""


def policy(**sections: Any) -> Policy:
    """ALLOWED with some sections in the place of its own; `returns={…}` changes its one rule, a list replaces it."""
    merged = dict(ALLOWED)
    for name, value in sections.items():
        changes = isinstance(value, dict) and name in ALLOWED
        merged[name] = [{**ALLOWED[name][0], **value}] if changes else value
    return Policy.model_validate(merged)


CLAUSES = tuple(
    Clause(id=id, kind="policy", topic="returns", title=LocalText(en=id), text=LocalText(en=f"What {id} says."))
    for id in ("RET", "RET-OLD", "HYG", "FOOD", "FAULT", "FEE", "EXC", "CAN", "ITEM", "ADDR", "PAY", "POST", "REF")
)


def write_shop(folder: Path, rules: Policy, orders: Sequence[Order], products: Sequence[Product] = PRODUCTS) -> None:
    """The shop with both customers and these orders, in `folder`; what was agreed to there before stays."""
    with ShopWriter(folder) as writer:
        records: tuple[ShopRecord, ...] = (INFO, *CLAUSES, *products, ANNA, BEN, *orders)
        for record in records:
            writer.add(record)
    write_rules(folder, rules)


def write_rules(folder: Path, rules: Policy) -> None:
    """Put policy.yaml into the folder, for whoever opens the shop next."""
    # JSON is YAML.
    text = rules.model_dump_json(by_alias=True, exclude_unset=True)
    (folder / "policy.yaml").write_text(text, encoding="utf-8")


def dump(folder: Path, *, without: Sequence[str] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of the shop, to compare."""
    with closing(sqlite3.connect(folder / "shop.sqlite")) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names if name not in without}


def outcome_of_commit(shop: SqliteShop, quote_id: str, now: datetime) -> str:
    """What a commit came to: "done", "again", or the kind of refusal."""
    try:
        return "again" if shop.ledger.commit(quote_id, "anna", now).again else "done"
    except (NotAllowed, QuoteChanged) as refused:
        return refused.why


def commit_in_threads(folder: Path, quote_ids: Sequence[str], threads: int, now: datetime) -> list[str]:
    """Open the shop and commit each of the quotes, all at the same time."""
    with SqliteShop.open(folder) as shop, ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda quote_id: outcome_of_commit(shop, quote_id, now), quote_ids))


def commit_and_die_at_every_statement(folder: Path, quote_id: str, now: datetime) -> None:
    """Commit the quote in copies of the folder, `folder-0`, `folder-1`…: in copy n by a process killed before statement n.

    The last copy is of a process that was left alive. Forks, so it is for a process without threads.
    """
    for number in count():
        copy = folder.with_name(f"{folder.name}-{number}")
        shutil.copytree(folder, copy)
        child = os.fork()
        if not child:
            _commit_and_die_before_statement(number, copy, quote_id, now)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert status == 0
            return


def _commit_and_die_before_statement(number: int, folder: Path, quote_id: str, now: datetime) -> None:
    started = count()

    def watch(_: object = None) -> None:
        if next(started) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    with SqliteShop.open(folder) as shop:

        @contextmanager
        def watched() -> Iterator[sqlite3.Connection]:
            with shop._writable() as connection:
                connection.set_trace_callback(watch)
                yield connection
                watch()  # done, and not told yet

        truth = Truth(info=read_info, customer=read_customer, orders=read_orders, product=read_product)
        Ledger(watched, shop.policy, truth).commit(quote_id, "anna", now)
    os._exit(0)
