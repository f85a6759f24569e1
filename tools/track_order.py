"""Tell a customer where an order is. Only the session's own customer's orders are ever looked at."""

import re
from typing import Annotated

from pydantic import Field

from tools.kit.aftersales import day_text, who_are_you
from tools.kit.facts import Fact, Facts
from tools.kit.reading import calls_an_order
from tools.kit.tool import Runtime, ToolContext, customer_tool
from tools.shop.types import Order, format_money

LISTED_AT_ONCE = 3


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
    named = _named_order(" ".join(context.heard) or context.said, order, orders)
    if named == "unknown":
        # An order of somebody else and one that does not exist get the same answer.
        return context.refuse("order_not_found", "orders")
    if isinstance(named, Order):
        return _told(context, [_describe(context, named)])
    if not orders:
        return context.refuse("no_orders", "orders")
    if len(orders) == 1:
        return _told(context, [_describe(context, orders[0])])
    underway = [candidate for candidate in orders if candidate.status in ("pending", "processed", "shipped")]
    first = (underway or orders)[0]
    others = [candidate for candidate in orders if candidate.id != first.id][: LISTED_AT_ONCE - 1]
    return _told(context, [_describe(context, first), *([_summary(context, other)] for other in others)])


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


def _describe(context: ToolContext, order: Order) -> list[Fact]:
    source = f"order:{order.id}"
    facts = [_summary(context, order)]
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
