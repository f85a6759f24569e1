"""Write actions of tau-bench's retail tasks, done the way a customer's are: quote, agreement, commit.

A task is `{"user_id", "actions": [{"name", "kwargs"}]}`. The shop that is named is never touched: actions run on copies.
Source of the form: Yao et al. 2024, arXiv:2406.12045.
"""

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tools.kit.clock import Clock
from tools.kit.errors import OperatorError, StorehandError
from tools.shop.policy import Reason, Unknown
from tools.shop.quotes import (
    AddressChangeRequest,
    CancellationRequest,
    CustomerAddressRequest,
    ExchangeRequest,
    ItemChangeRequest,
    PaymentChangeRequest,
    Quote,
    Request,
    ReturnRequest,
    Swap,
    Units,
)
from tools.shop.sqlite_shop import SqliteShop
from tools.shop.types import Address, Customer, Order, PaymentMethod

_REASONS: dict[str, Reason] = {"no longer needed": "changed_mind", "ordered by mistake": "by_mistake"}
_SOURCES = {"card": "credit_card", "paypal": "paypal", "gift_card": "gift_card"}


class Action(BaseModel):
    """One call of a task."""

    name: str
    arguments: Annotated[dict[str, Any], Field(alias="kwargs")]


class Task(BaseModel):
    """What a customer wants done, as the calls that would do it."""

    model_config = ConfigDict(extra="allow")

    user_id: str
    actions: tuple[Action, ...]


def read_tasks(path: Path) -> list[Task]:
    """The tasks in a JSON list or JSON lines. Raises OperatorError where the file holds none."""
    try:
        text = path.read_text(encoding="utf-8")
        rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines() if line]
        return TypeAdapter(list[Task]).validate_python(rows)
    except (OSError, ValueError) as error:
        raise OperatorError(f"'{path}' holds no tasks ({str(error)[:300]}); see eval/actions.py for their form.") from error


def run_tasks(
    folder: Path, tasks: Sequence[Task], clock: Clock, *, in_a_row: bool, done: Callable[[], None] = lambda: None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Do every write action of every task; returns a verdict for each task and the shop's last state in tau-bench's own shape.

    With `in_a_row` all tasks run on one shop, each finding what those before it did; else each starts from the shop as it is.
    A verdict is `{"user_id", "accepted": all were, "actions": [{"name", "accepted", "why"}]}`.
    """
    verdicts: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="storehand-") as scratch:
        copy = Path(scratch)
        copy_records(folder, copy)
        with ExitStack() as opened:
            shop = opened.enter_context(SqliteShop.open(copy))
            for task in tasks:
                if not in_a_row and verdicts:
                    opened.close()
                    copy_records(folder, copy)
                    shop = opened.enter_context(SqliteShop.open(copy))
                actions = do_actions(shop, task, clock())
                accepted = all(each["accepted"] for each in actions)
                verdicts.append({"user_id": task.user_id, "accepted": accepted, "actions": actions})
                done()
            state = tau_state(shop)
    return verdicts, state


def do_actions(shop: SqliteShop, task: Task, now: datetime) -> list[dict[str, Any]]:
    """Do the task's write actions on this very shop, in their order; what came of each as `run_tasks` tells it."""
    return [_try(shop, task.user_id, action, now) for action in task.actions if action.name in REQUESTS]


def copy_records(folder: Path, copy: Path) -> None:
    """Put a shop's records and rules, without its index, in the place of those in `copy`."""
    for old in copy.glob("shop.sqlite*"):
        old.unlink()
    # SQLite's own copy also has what is still in the write-ahead log.
    with closing(sqlite3.connect(folder / "shop.sqlite")) as source, closing(sqlite3.connect(copy / "shop.sqlite")) as target:
        source.backup(target)
    if (folder / "policy.yaml").is_file():
        shutil.copyfile(folder / "policy.yaml", copy / "policy.yaml")


def _try(shop: SqliteShop, customer_id: str, action: Action, now: datetime) -> dict[str, Any]:
    verdict: dict[str, Any] = {"name": action.name, "accepted": False, "why": ""}
    try:
        request = REQUESTS[action.name](action.arguments)
        quote = shop.ledger.prepare(request, customer_id, now)
        shop.ledger.commit(quote.id, customer_id, now)
        verdict |= {"accepted": True, "total_cents": quote.total_cents}
    except (StorehandError, Unknown) as refused:
        verdict["why"] = str(refused)
    except (KeyError, TypeError, ValueError) as bad:
        verdict["why"] = f"not a call that we understand: {bad!r}"
    return verdict


def _swaps(given: dict[str, Any]) -> tuple[Swap, ...]:
    pairs = zip(given["item_ids"], given["new_item_ids"], strict=True)
    return tuple(Swap(variant_id=old, new_variant_id=new) for old, new in pairs)


def _address(given: dict[str, Any]) -> Address:
    return Address(
        line1=given["address1"],
        line2=given["address2"],
        city=given["city"],
        region=given["state"],
        postcode=given["zip"],
        country=given["country"],
    )


REQUESTS: dict[str, Callable[[dict[str, Any]], Request]] = {
    "cancel_pending_order": lambda k: CancellationRequest(order_id=k["order_id"], reason=_REASONS[k["reason"]]),
    "return_delivered_order_items": lambda k: ReturnRequest(
        order_id=k["order_id"],
        items=tuple(Units(variant_id=each) for each in k["item_ids"]),
        refund_to=k["payment_method_id"],
    ),
    "exchange_delivered_order_items": lambda k: ExchangeRequest(
        order_id=k["order_id"], swaps=_swaps(k), pay_with=k["payment_method_id"]
    ),
    "modify_pending_order_items": lambda k: ItemChangeRequest(
        order_id=k["order_id"], swaps=_swaps(k), pay_with=k["payment_method_id"]
    ),
    "modify_pending_order_payment": lambda k: PaymentChangeRequest(order_id=k["order_id"], pay_with=k["payment_method_id"]),
    "modify_pending_order_address": lambda k: AddressChangeRequest(order_id=k["order_id"], address=_address(k)),
    "modify_user_address": lambda k: CustomerAddressRequest(address=_address(k)),
}
"""What each write action asks the shop for."""


def tau_state(shop: SqliteShop, customers: Sequence[Customer] | None = None) -> dict[str, Any]:
    """All orders and users of a shop, or of these `customers`, in the shape of tau-bench's orders.json and users.json."""
    orders: dict[str, Any] = {}
    users: dict[str, Any] = {}
    for customer in shop.customers() if customers is None else customers:
        own = shop.orders_of(customer.id)
        users[customer.id] = _tau_user(customer, own)
        for order in own:
            orders[order.id] = _tau_order(order, shop.ledger.done(order.id))
    return {"orders": orders, "users": users}


def _tau_user(customer: Customer, orders: Sequence[Order]) -> dict[str, Any]:
    first, _, last = customer.name.partition(" ")
    return {
        "name": {"first_name": first, "last_name": last},
        "address": _tau_address(customer.address),
        "email": customer.email,
        "payment_methods": {method.id: _tau_method(method) for method in customer.payment_methods},
        "orders": sorted(order.id for order in orders),
    }


def _tau_method(method: PaymentMethod) -> dict[str, Any]:
    told: dict[str, Any] = {"source": _SOURCES.get(method.kind, method.kind), "id": method.id}
    if method.kind == "card":
        told |= {"brand": method.brand, "last_four": method.last_four}
    if method.balance_cents is not None:
        told["balance"] = _dollars(method.balance_cents)
    return told


def _tau_address(address: Address) -> dict[str, str]:
    return {
        "address1": address.line1,
        "address2": address.line2,
        "city": address.city,
        "country": address.country,
        "state": address.region,
        "zip": address.postcode,
    }


def _tau_order(order: Order, done: Sequence[Quote]) -> dict[str, Any]:
    status = "pending (item modified)" if order.status == "pending_changed" else order.status.replace("_", " ")
    told: dict[str, Any] = {
        "order_id": order.id,
        "user_id": order.customer_id,
        "address": _tau_address(order.address),
        "items": [
            {
                "name": item.title.en,
                "product_id": item.product_id,
                "item_id": item.variant_id,
                "price": _dollars(item.unit_price_cents),
                "options": item.options,
            }
            for item in order.items
            for _ in range(item.quantity)
        ],
        "fulfillments": [
            {"tracking_id": parcel.tracking_number.split(", "), "item_ids": list(parcel.variant_ids)}
            for parcel in order.fulfilments
        ],
        "status": status,
        "payment_history": [
            {
                "transaction_type": payment.kind,
                "amount": _dollars(payment.amount_cents),
                "payment_method_id": payment.payment_method_id,
            }
            for payment in order.payments
        ],
    }
    for quote in done:
        told |= _after_sales(quote)
        if isinstance(quote.request, ItemChangeRequest) and not quote.moves:
            # tau-bench takes down a refund of nothing where prices are equal.
            nothing = {"transaction_type": "refund", "amount": 0.0, "payment_method_id": quote.request.pay_with}
            told["payment_history"].append(nothing)
    return told


def _after_sales(quote: Quote) -> dict[str, Any]:
    match quote.request:
        case CancellationRequest(reason=reason):
            # tau-bench knows two reasons; the shop's own others keep their name.
            return {"cancel_reason": next((word for word, ours in _REASONS.items() if ours == reason), reason)}
        case ReturnRequest(items=items, refund_to=refund_to):
            method = refund_to or _moved_by(quote)
            return {"return_items": sorted(_listed(items)), "return_payment_method_id": method}
        case ExchangeRequest(swaps=swaps, pay_with=pay_with):
            return {
                "exchange_items": sorted(swap.variant_id for swap in swaps for _ in range(swap.quantity)),
                "exchange_new_items": sorted(swap.new_variant_id for swap in swaps for _ in range(swap.quantity)),
                "exchange_payment_method_id": pay_with or _moved_by(quote),
                "exchange_price_difference": _dollars(-quote.total_cents),
            }
        case _:
            return {}


def _moved_by(quote: Quote) -> str | None:
    """The payment method of a quote for which the customer named none; None where no money moves."""
    return next((move.payment_method_id for move in quote.moves), None)


def _listed(items: Sequence[Units]) -> Iterator[str]:
    for units in items:
        yield from [units.variant_id] * units.quantity


def _dollars(cents: int) -> float:
    return cents / 100
