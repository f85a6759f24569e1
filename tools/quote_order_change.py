"""A customer wants to change an order that was not sent yet: what is in it, where it goes, or how it is paid. The quote."""

import re

from tools.kit.aftersales import Ask, items_of, newest, order_of, prepare
from tools.kit.answers import likeness, names_method, read_address, read_method, read_options
from tools.kit.facts import Facts
from tools.kit.naming import parts_about
from tools.kit.tool import Runtime, ToolContext, customer_tool
from tools.quote_exchange import swap_request, swaps_of
from tools.shop.quotes import AddressChangeRequest, ExchangeRequest, ItemChangeRequest, NotAllowed, PaymentChangeRequest
from tools.shop.types import Customer, Order

_ADDRESS = re.compile(
    r"\baddress|\bdeliver(?:ed|y)? (?:it )?to|\b(?:send|ship) (?:it|them|that|the order|this)"
    r"|\b(?:send|ship|deliver)\b[^.?!]{0,40}?\bto\s+(?=\d+\s+[A-Za-z])|地址|寄到|送到|寄去",
    re.I,
)
_REMOVE = re.compile(
    r"\b(?:remove|without|leave out|drop|take (?:out|off)|delete)\b|\btake\b[^.?!]{1,40}\bout of\b"
    r"|去掉|删掉|不要.{0,8}(?:那|这)?[件个双条]|拿掉|减掉|不要了|不想要了",
    re.I,
)


@customer_tool
def quote_order_change(runtime: Runtime) -> Facts:
    """The customer wants to change an order not yet sent: its address, its payment method, a size or colour, or leave an item out."""
    context = runtime.context

    def build(customer: Customer) -> AddressChangeRequest | PaymentChangeRequest | ItemChangeRequest | ExchangeRequest:
        if any(_ADDRESS.search(text) for text in context.heard):
            return _new_address(context, customer)
        if any(names_method(text) for text in context.heard) and not _changes_a_thing(context, customer):
            return _new_method(context, customer)
        return _new_items(context, customer)

    return prepare(context, "quote_order_change", build)


def _new_address(context: ToolContext, customer: Customer) -> AddressChangeRequest:
    order = order_of(context, customer, context.shop.policy.address_changes)
    address = newest(context, lambda text: read_address(text, order.address))
    if address is None:
        raise Ask("address", context.phrase("ask_address", order=order.id))
    return AddressChangeRequest(order_id=order.id, address=address)


def _new_method(context: ToolContext, customer: Customer) -> PaymentChangeRequest:
    order = order_of(context, customer, context.shop.policy.payment_changes)
    method = newest(context, lambda text: read_method(text, customer.payment_methods))
    if method is None:
        raise NotAllowed("not_your_method")
    return PaymentChangeRequest(order_id=order.id, pay_with=method.id)


def _new_items(context: ToolContext, customer: Customer) -> ItemChangeRequest | ExchangeRequest:
    order = order_of(context, customer, context.shop.policy.item_changes)
    removes = any(_REMOVE.search(text) for text in context.heard)
    if not removes and not _names_a_thing(context, order) and len(order.items) > 1:
        raise Ask("change", context.phrase("ask_change", order=order.id))
    if removes:
        return ItemChangeRequest(order_id=order.id, without=items_of(context, order))
    if any(order.status in rule.statuses for rule in context.shop.policy.exchanges if rule.allowed):
        return swap_request(context, customer, order)
    method = newest(context, lambda text: read_method(text, customer.payment_methods))
    return ItemChangeRequest(order_id=order.id, swaps=swaps_of(context, order), pay_with=method.id if method else None)


def _changes_a_thing(context: ToolContext, customer: Customer) -> bool:
    """Whether something bought is to become another, or to be left out: then a payment method is only for the difference."""
    items = [item for order in context.shop.orders_of(customer.id) for item in order.items]
    named = [item for text in context.heard for item in items if item.variant_id in parts_about(text, items, context.shop)]
    removes = any(_REMOVE.search(text) for text in context.heard)
    return any(removes or read_options(text, item, context.shop) for item in named for text in context.heard)


def _names_a_thing(context: ToolContext, order: Order) -> bool:
    return any(likeness(text, item, context.shop) >= 1 for text in context.heard for item in order.items)
