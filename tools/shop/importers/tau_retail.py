"""Reads the retail shop of tau-bench: products.json, users.json, orders.json, policy.md.

Sums are dollars; dates there are none; whether a variant can be had is known, how many are left is not.
Source: Yao et al. 2024, arXiv:2406.12045.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator

from tools.shop.importers.source import (
    Entry,
    Located,
    Note,
    Price,
    Rejected,
    cents,
    check,
    read_json_object,
    read_lines,
    required_file,
)
from tools.shop.types import Clause, Customer, Id, LocalText, Order, OrderStatus, Product, ShopInfo, Text

_METHOD_KINDS = {"credit_card": "card", "paypal": "paypal", "gift_card": "gift_card"}
_TOPICS = (
    ("cancel", "cancellations"),
    ("return", "returns"),
    ("exchange", "exchanges"),
    ("payment", "payment"),
    ("modify", "changes"),
)


def _our_status(status: object) -> object:
    if isinstance(status, str) and status.startswith("pending ("):
        return "pending_changed"
    return status.replace(" ", "_") if isinstance(status, str) else status


class _Variant(BaseModel):
    item_id: Id
    options: dict[str, str]
    available: bool
    price: Price


class _Product(BaseModel):
    product_id: Id
    name: Text
    variants: dict[str, _Variant]


class _Address(BaseModel):
    address1: Text
    address2: Text
    city: Text
    state: Text
    zip: Text
    country: Text


class _Name(BaseModel):
    first_name: Text
    last_name: Text


class _Method(BaseModel):
    id: Id
    source: Literal["credit_card", "paypal", "gift_card"]
    brand: str | None = None
    last_four: str | None = None
    balance: Price | None = None


class _User(BaseModel):
    name: _Name
    email: str
    address: _Address
    payment_methods: dict[str, _Method]


class _Item(BaseModel):
    name: Text
    product_id: Id
    item_id: Id
    options: dict[str, str]
    price: Price


class _Fulfilment(BaseModel):
    tracking_id: tuple[str, ...]
    item_ids: tuple[Id, ...]


class _Payment(BaseModel):
    transaction_type: Literal["payment", "refund"]
    amount: Price
    payment_method_id: Id


class _Order(BaseModel):
    order_id: Id
    user_id: Id
    address: _Address
    items: tuple[_Item, ...]
    fulfillments: tuple[_Fulfilment, ...]
    status: Annotated[OrderStatus, BeforeValidator(_our_status)]
    payment_history: tuple[_Payment, ...]


def read(source: Path) -> Iterator[Entry]:
    """Read a folder with products.json, users.json, orders.json and policy.md."""
    names = ("products.json", "users.json", "orders.json")
    paths = [required_file(source, name) for name in names]
    policy = required_file(source, "policy.md")
    info = ShopInfo(name=LocalText(en="tau-bench retail"), currency="USD", timezone="America/New_York")
    yield Located("products.json", info)
    for path, convert in zip(paths, (_product, _customer, _order), strict=True):
        for key, values in read_json_object(path).items():
            where = f"{path.name}:{ascii(key)[1:-1]:.100}"
            record = convert(where, key, values)
            yield record if isinstance(record, Rejected) else Located(where, record)
    yield from _read_policy(policy)


def _product(where: str, _key: str, values: object) -> Product | Rejected:
    product = check(where, _Product, values)
    if isinstance(product, Rejected):
        return product
    name = {"en": product.name}
    variants = [
        {
            "id": variant.item_id,
            "options": variant.options,
            "price_cents": cents(variant.price),
            "stock": None if variant.available else 0,
        }
        for variant in product.variants.values()
    ]
    return check(where, Product, {"id": product.product_id, "title": name, "category": name, "variants": variants})


def _customer(where: str, key: str, values: object) -> Customer | Rejected:
    user = check(where, _User, values)
    if isinstance(user, Rejected):
        return user
    methods = [
        {
            "id": method.id,
            "kind": _METHOD_KINDS[method.source],
            "brand": method.brand,
            "last_four": method.last_four,
            "balance_cents": None if method.balance is None else cents(method.balance),
        }
        for method in user.payment_methods.values()
    ]
    name = f"{user.name.first_name} {user.name.last_name}"
    person = {"id": key, "name": name, "email": user.email, "address": _address(user.address), "payment_methods": methods}
    return check(where, Customer, person)


def _order(where: str, _key: str, values: object) -> Order | Rejected:
    order = check(where, _Order, values)
    if isinstance(order, Rejected):
        return order
    items = [
        {
            "product_id": item.product_id,
            "variant_id": item.item_id,
            "title": {"en": item.name},
            "options": item.options,
            "unit_price_cents": cents(item.price),
        }
        for item in order.items
    ]
    parcels = [
        {"tracking_number": ", ".join(parcel.tracking_id), "variant_ids": parcel.item_ids} for parcel in order.fulfillments
    ]
    payments = [
        {"kind": paid.transaction_type, "amount_cents": cents(paid.amount), "payment_method_id": paid.payment_method_id}
        for paid in order.payment_history
    ]
    record = {
        "id": order.order_id,
        "customer_id": order.user_id,
        "status": order.status,
        "currency": "USD",
        "items": items,
        "address": _address(order.address),
        "fulfilments": parcels,
        "payments": payments,
    }
    return check(where, Order, record)


def _address(address: _Address) -> dict[str, str]:
    return {
        "line1": address.address1,
        "line2": address.address2,
        "city": address.city,
        "region": address.state,
        "postcode": address.zip,
        "country": address.country,
    }


def _read_policy(path: Path) -> Iterator[Entry]:
    """One clause a line below a heading of level 2 or deeper; its id is that heading's words and its number there."""
    heading, level = "", 0
    numbers: Counter[str] = Counter()
    for where, line in read_lines(path):
        if isinstance(line, Rejected):
            yield line
        elif marks := re.match(r"(#+)\s*(.+)", line):
            heading, level = marks[2].strip(), len(marks[1])
        elif level < 2:
            yield Note(where, f"tells the agent how to work and is no rule for customers: left out ({line[:60]}…)")
        else:
            slug = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")
            numbers[slug] += 1
            clause = check(
                where,
                Clause,
                {
                    "id": f"{slug}-{numbers[slug]}",
                    "kind": "policy",
                    "topic": next((topic for word, topic in _TOPICS if word in heading.lower()), "general"),
                    "title": {"en": heading},
                    "text": {"en": re.sub(r"^[-*]\s+", "", line)},
                },
            )
            yield clause if isinstance(clause, Rejected) else Located(where, clause)
