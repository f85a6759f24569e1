"""Tell a customer where an order is. Only the session's own customer's orders are ever looked at."""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from tools.kit.aftersales import address_text, day_text, item_text, method_text, who_are_you
from tools.kit.answers import asks_balance, asks_price, asks_total
from tools.kit.facts import Fact, Facts
from tools.kit.naming import parts_about
from tools.kit.reading import calls_an_order, points_back
from tools.kit.tool import Runtime, ToolContext, customer_tool
from tools.shop.types import Order, format_money

LISTED_AT_ONCE = 3
_ADDRESS = re.compile(r"\baddress\b|\bwhere .{0,30}(?:sent|shipped|delivered|going)\b|地址|寄到哪|送到哪", re.I)


@customer_tool
def track_order(
    runtime: Runtime,
    order: Annotated[str | None, Field(description="order number if the customer gave one", max_length=40)] = None,
) -> Facts:
    """Status, delivery, tracking number or contents of the customer's orders."""
    context = runtime.context
    if context.customer_id is None or context.shop.customer(context.customer_id) is None:
        return who_are_you(context, "track_order")
    orders = context.shop.orders_of(context.customer_id)
    said = " ".join(context.heard) or context.said
    if context.done and asks_total(said):
        return _told(context, [_sums(context, orders)])
    if asks_balance(said):
        return _told(context, [_balances(context)])
    named = _named_order(said, order, orders)
    if named == "unknown":
        # An order of somebody else and one that does not exist get the same answer.
        return context.refuse("order_not_found", "orders")
    if isinstance(named, Order):
        return _told(context, [_describe(context, named, said)])
    if (
        not named
        and (holding := [each for each in orders if parts_about(said, each.items, context.shop)])
        and len(holding) <= LISTED_AT_ONCE
    ):
        return _told(context, [_describe(context, each, said) for each in holding])
    if not orders:
        return context.refuse("no_orders", "orders")
    told_of = [each for each in orders if each.id in context.orders_told]
    if len(orders) == 1 or (len(told_of) == 1 and points_back(said)):
        return _told(context, [_describe(context, (told_of or orders)[0], said)])
    underway = [candidate for candidate in orders if candidate.status in ("pending", "processed", "shipped")]
    first = (underway or orders)[0]
    others = [candidate for candidate in orders if candidate.id != first.id][: LISTED_AT_ONCE - 1]
    return _told(context, [_describe(context, first, said), *([_summary(context, other)] for other in others)])


def _told(context: ToolContext, orders: list[list[Fact]]) -> Facts:
    """The facts of each order as one paragraph: a number or date more or less in an order is not for a chat model to write."""
    space = "" if context.language == "zh" else " "
    reply = "\n\n".join(space.join(fact.text for fact in order) for order in orders)
    return Facts(facts=tuple(fact for order in orders for fact in order), reply=reply)


def _named_order(said: str, argument: str | None, orders: list[Order]) -> Order | str | None:
    """The order that the customer names, "unknown" if it is none of theirs, None if none is named.

    A number counts only if the customer wrote it: a chat model may make one up.
    """
    by_id = {order.id.lstrip("#").lower(): order for order in orders}
    words = re.findall(r"[A-Za-z0-9]+", said.lower())
    for word in words:
        if word in by_id:
            return by_id[word]
    if calls_an_order(said) or (argument and argument.strip().lstrip("#").lower() in words):
        return "unknown"
    return None


def _items(context: ToolContext, order: Order) -> str:
    items = [
        f"{item.quantity} × {item.title.in_language(context.language)}"
        + (
            f" ({', '.join(context.shop.info.word(value, context.language) for value in item.options.values())})"
            if item.options
            else ""
        )
        for item in order.items
    ]
    return ("；" if context.language == "zh" else "; ").join(items)


def _summary(context: ToolContext, order: Order) -> Fact:
    status = context.phrase(f"status_{order.status}")
    placed = context.phrase("placed_on", day=day_text(context, order.placed_at)) if order.placed_at else ""
    text = context.phrase("order_summary", order=order.id, status=status, placed=placed, items=_items(context, order))
    return Fact(text=text, source=f"order:{order.id}")


def _sums(context: ToolContext, orders: Sequence[Order]) -> list[Fact]:
    """What was done in this conversation moves, one line each, and all of it together."""
    facts: list[Fact] = []
    back = charged = 0
    currency = context.shop.info.currency
    quotes = [quote for order in orders for quote in context.shop.ledger.done(order.id) if quote.id in context.done]
    for quote in quotes:
        if quote.kind == "payment_change":
            continue
        for move in quote.moves:
            amount = format_money(move.amount_cents, currency)
            text = context.phrase(
                f"sum_{move.kind}",
                order=quote.request.order_id,
                amount=amount,
                method=method_text(context, move.payment_method_id),
            )
            facts.append(Fact(text=text, source=f"quote:{quote.id}"))
            back += move.amount_cents if move.kind == "refund" else 0
            charged += move.amount_cents if move.kind == "payment" else 0
    if back or not charged:
        facts.append(Fact(text=context.phrase("sum_refunds", amount=format_money(back, currency)), source="ledger"))
    if charged:
        facts.append(Fact(text=context.phrase("sum_payments", amount=format_money(charged, currency)), source="ledger"))
    if back and charged:
        net = back - charged
        key = "sum_net_refund" if net >= 0 else "sum_net_payment"
        facts.append(Fact(text=context.phrase(key, amount=format_money(abs(net), currency)), source="ledger"))
    return facts


def _balances(context: ToolContext) -> list[Fact]:
    customer = context.shop.customer(context.customer_id or "")
    cards = [each for each in customer.payment_methods if each.balance_cents is not None] if customer else []
    currency = context.shop.info.currency
    told = [context.phrase("gift_card_balance", amount=format_money(each.balance_cents or 0, currency)) for each in cards]
    return [Fact(text=text, source="account") for text in told or [context.phrase("no_gift_card_stored")]]


def _describe(context: ToolContext, order: Order, said: str) -> list[Fact]:
    source = f"order:{order.id}"
    facts = [_summary(context, order)]
    if asks_price(said):
        named = parts_about(said, order.items, context.shop)
        for item in order.items:
            if item.variant_id in named:
                what = item_text(context, item.title, item.options, 1)
                price = format_money(item.unit_price_cents, order.currency)
                facts.append(Fact(text=context.phrase("item_price", what=what, price=price), source=source))
    if _ADDRESS.search(said):
        facts.append(Fact(text=context.phrase("order_address", address=address_text(order.address)), source=source))
    for parcel in order.fulfilments:
        if parcel.delivered_at:
            facts.append(Fact(text=context.phrase("delivered_on", day=day_text(context, parcel.delivered_at)), source=source))
        elif parcel.expected_at:
            late = parcel.expected_at < context.clock()
            facts.append(
                Fact(
                    text=context.phrase("late_since" if late else "expected_on", day=day_text(context, parcel.expected_at)),
                    source=source,
                )
            )
        if parcel.tracking_number:
            facts.append(
                Fact(
                    text=context.phrase("tracking", carrier=parcel.carrier or "-", number=parcel.tracking_number), source=source
                )
            )
    facts.append(Fact(text=context.phrase("order_total", total=format_money(order.total_cents, order.currency)), source=source))
    facts += [
        Fact(text=context.phrase("refunded", total=format_money(payment.amount_cents, order.currency)), source=source)
        for payment in order.payments
        if payment.kind == "refund"
    ]
    return facts
