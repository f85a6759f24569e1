"""A customer wants another size or colour of what arrived: the quote."""

from collections.abc import Mapping, Sequence

from tools.kit.aftersales import (
    LISTED_AT_ONCE,
    Ask,
    item_text,
    items_of,
    newest,
    opened_of,
    order_of,
    prepare,
    reason_of,
    variants_text,
)
from tools.kit.answers import read_method, read_options, read_variant, variants_for
from tools.kit.facts import Facts
from tools.kit.naming import parts_about
from tools.kit.tool import Runtime, ToolContext, customer_tool
from tools.shop.quotes import ExchangeRequest, ItemChangeRequest, Swap, Units
from tools.shop.types import Customer, Order, OrderItem, Product, Variant


@customer_tool
def quote_exchange(runtime: Runtime) -> Facts:
    """The customer wants what arrived swapped now for another size or colour."""
    context = runtime.context

    def build(customer: Customer) -> ExchangeRequest | ItemChangeRequest:
        return swap_request(context, customer, order_of(context, customer, context.shop.policy.exchanges))

    return prepare(context, "quote_exchange", build)


def swap_request(context: ToolContext, customer: Customer, order: Order) -> ExchangeRequest | ItemChangeRequest:
    """Other sizes or colours: a change of the order while it can be changed, else an exchange. Customers call either by both names."""
    swaps = swaps_of(context, order)
    method = newest(context, lambda text: read_method(text, customer.payment_methods))
    pay_with = method.id if method else None
    if any(order.status in rule.statuses for rule in context.shop.policy.item_changes):
        return ItemChangeRequest(order_id=order.id, swaps=swaps, pay_with=pay_with)
    # Most people change a size because it does not fit; who says otherwise is heard.
    reason = reason_of(context) or "does_not_fit"
    return ExchangeRequest(order_id=order.id, swaps=swaps, reason=reason, opened=opened_of(context), pay_with=pay_with)


def swaps_of(context: ToolContext, order: Order) -> tuple[Swap, ...]:
    """Every item that is meant with the variant it shall become. Raises Ask for the first that is not clear."""
    units = items_of(context, order)
    alone = len(units) == 1
    return tuple(_swap(context, order, each, alone=alone) for each in units)


def _swap(context: ToolContext, order: Order, units: Units, *, alone: bool) -> Swap:
    """The swap that the customer asks for. Raises Ask where colour or size is not said, does not exist or is sold out."""
    item = next(each for each in order.items if each.variant_id == units.variant_id)
    product = context.shop.product(item.product_id)
    title = item.title.in_language(context.language)
    if product is None:
        raise Ask("variant", context.phrase("exchange_gone", title=title), about=item.variant_id)
    wanted, named = _wanted(context, order, item, alone=alone)
    if not wanted and (near := _nearest(product, item, named)):
        raise _which(context, "exchange_no_such", item, units, near, wanted=_options(context, named))
    if not wanted:
        choices = variants_text(context, product, item.variant_id)
        key = "ask_variant" if choices else "exchange_gone"
        raise Ask("variant", context.phrase(key, title=title, choices=choices), about=item.variant_id)
    buyable = [variant for variant in wanted if variant.stock is None or variant.stock >= units.quantity]
    if not buyable:
        raise Ask("variant", _sold_out(context, item, product, wanted[0]), about=item.variant_id)
    if len(buyable) > 1:
        raise _which(context, "ask_which_variant", item, units, buyable)
    return Swap(variant_id=item.variant_id, new_variant_id=buyable[0].id, quantity=units.quantity)


def _which(context: ToolContext, key: str, item: OrderItem, units: Units, variants: Sequence[Variant], **words: str) -> Ask:
    """The question which of the variants the item shall become."""
    listed = variants[:LISTED_AT_ONCE]
    choices = "\n".join(
        f"{number}. {item_text(context, item.title, each.options, units.quantity)}"
        for number, each in enumerate(listed, start=1)
    )
    text = context.phrase(key, title=item.title.in_language(context.language), choices=choices, **words)
    return Ask("variant", text, [each.id for each in listed], about=item.variant_id)


def _nearest(product: Product, item: OrderItem, named: Mapping[str, str]) -> list[Variant]:
    """What can be had instead of a variant that does not exist: with something of what was asked for that the item has not."""
    new = {name: value for name, value in named.items() if item.options.get(name) != value}
    return [each for each in product.variants if each.in_stock and any(each.options.get(name) == new[name] for name in new)]


def _wanted(
    context: ToolContext, order: Order, item: OrderItem, *, alone: bool
) -> tuple[tuple[Variant, ...], Mapping[str, str]]:
    """What the item shall become, and the options asked for, by all that was said of it; later words go before earlier ones."""
    named: dict[str, str] = {}
    newest_part = ""
    picked: tuple[Variant, ...] = ()
    for text in context.heard:
        parts = parts_about(text, order.items, context.shop)
        # What names none of the order's things speaks of the one that is meant.
        part = parts.get(item.variant_id) if parts else text if alone else None
        if part is None:
            continue
        if found := read_options(part, item, context.shop):
            named |= found
            newest_part, picked = part, ()
        elif given := read_variant(part, item, context.shop):
            newest_part, picked = part, given
    if picked or not named:
        return picked, named
    said = " ".join(context.heard)
    together = variants_for(named, said, item, context.shop)
    return together or read_variant(newest_part, item, context.shop), named


def _options(context: ToolContext, options: Mapping[str, str]) -> str:
    return ", ".join(context.shop.info.word(value, context.language) for value in options.values())


def _sold_out(context: ToolContext, item: OrderItem, product: Product, wanted: Variant) -> str:
    choices = variants_text(context, product, item.variant_id)
    key = "exchange_sold_out" if choices else "exchange_all_sold_out"
    return context.phrase(
        key, title=item.title.in_language(context.language), wanted=_options(context, wanted.options), choices=choices
    )
