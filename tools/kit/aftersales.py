"""What the quote tools share: whose order, which order, which items; a question back for what is missing; the quote in words."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

from tools.kit.answers import (
    likeness,
    read_count,
    read_items,
    read_opened,
    read_order,
    read_reason,
    replaces_items,
    so_many,
)
from tools.kit.facts import Asked, Fact, Facts, Handoff, Slot, Why
from tools.kit.naming import left_out
from tools.kit.products import options_text
from tools.kit.reading import calls_an_order
from tools.kit.tool import ToolContext
from tools.shop.policy import Reason, Rule, Unknown
from tools.shop.quotes import (
    AddressChangeRequest,
    CancellationRequest,
    CustomerAddressRequest,
    NotAllowed,
    Quote,
    Request,
    Units,
    kept_units,
)
from tools.shop.types import Address, Customer, LocalText, Order, OrderItem, Product, format_money

Said = TypeVar("Said")
LISTED_AT_ONCE = 5
_SAME_CHOICES: tuple[Slot, ...] = ("reason", "opened", "change")
"""Questions whose answers are the same for every order."""
_REASONS: tuple[Reason, ...] = ("changed_mind", "by_mistake", "does_not_fit", "faulty", "wrong_item")
_OTHER_METHOD = ("refund_elsewhere", "not_your_method", "balance_short")


class Ask(Exception):
    """Something is missing that the customer can tell: `text` asks for it; `choices` are the answers it offers.

    `about` is the variant id of the item that is asked about, where there are several.
    """

    def __init__(
        self, slot: Slot, text: str, listed: Iterable[str] = (), choices: Iterable[str] = (), about: str | None = None
    ) -> None:
        super().__init__(slot)
        self.about = about
        self.slot: Slot = slot
        self.text = text
        self.listed = tuple(listed)
        self.choices = tuple(choices)


def prepare(context: ToolContext, tool: str, build: Callable[[Customer], Request]) -> Facts:
    """Have a quote made and told; or a question back, or why it cannot be done, in the rule's own words."""
    try:
        customer = context.shop.customer(context.customer_id) if context.customer_id else None
        if customer is None:
            return who_are_you(context, tool)
        quote = context.shop.ledger.prepare(build(customer), customer.id, context.clock())
    except Ask as ask:
        return question(context, tool, ask)
    except Unknown as unknown:
        return question(context, tool, Ask(unknown.question, context.phrase(f"ask_{unknown.question}")))
    except NotAllowed as refused:
        if refused.why in _OTHER_METHOD:
            # Everything else is settled: another payment method is all that is missing.
            return question(context, tool, Ask("method", context.phrase(f"no_{refused.why}")))
        return refusal(context, refused)
    return told(context, quote)


def who_are_you(context: ToolContext, tool: str) -> Facts:
    """Ask who it is; after too many wrong answers a person takes over."""
    asked = question(context, tool, Ask("who", context.phrase(context.who or "ask_who")))
    if context.who != "who_too_often":
        return asked
    handoff = Handoff(reason=" / ".join(context.heard), summary=asked.reply or "", why="failed_repeatedly")
    return asked.model_copy(update={"asks": None, "handoff": handoff, "outcome": "nothing_found"})


def question(context: ToolContext, tool: str, ask: Ask) -> Facts:
    """A question back, as the reply."""
    choices = ask.choices
    if ask.slot in _SAME_CHOICES:
        choices = tuple(choice.strip() for choice in context.phrase(f"choices_{ask.slot}").split("|"))
    asked = Asked(tool=tool, slot=ask.slot, heard=context.heard, listed=ask.listed, choices=choices, about=ask.about)
    return Facts(facts=(Fact(text=ask.text, source="question"),), reply=ask.text, asks=asked)


def refusal(context: ToolContext, refused: NotAllowed) -> Facts:
    """Why it cannot be done, with the clause that says so; a person is called where only one may decide."""
    values = {name: _in_words(context, name, value) for name, value in refused.values.items()}
    text = context.phrase(f"no_{refused.why}", **values)
    facts = [Fact(text=text, source="policy")]
    if refused.clause and (clause := clause_text(context, refused.clause)):
        facts.append(Fact(text=clause, source=f"clause:{refused.clause}"))
        text = f"{text}\n{context.phrase('clause_says', clause=clause, id=refused.clause)}"
    handoff = None
    if refused.person:
        handing_over = context.phrase("handing_over")
        text = f"{text} {handing_over}" if context.language == "en" else f"{text}{handing_over}"
        why: Why = "over_cap" if refused.why == "over_cap" else "only_staff"
        handoff = Handoff(reason=" / ".join(context.heard), summary=text, why=why)
    return Facts(facts=tuple(facts), reply=text, handoff=handoff, outcome="nothing_found")


def _in_words(context: ToolContext, name: str, value: str | int | LocalText) -> str:
    if isinstance(value, LocalText):
        return value.in_language(context.language)
    return context.phrase(f"status_{value}") if name == "status" else str(value)


def clause_text(context: ToolContext, clause_id: str) -> str | None:
    """The clause in the customer's language, from the clauses of any day: an old order has old rules."""
    clause = context.shop.clause(clause_id)
    return clause.text.in_language(context.language) if clause else None


def newest(context: ToolContext, read: Callable[[str], Said | None]) -> Said | None:
    """What the newest message says of those about this wish that say anything to `read`."""
    return next((found for text in reversed(context.heard) if (found := read(text)) is not None), None)


def reason_of(context: ToolContext) -> Reason | None:
    """Why, as far as the customer said."""
    return newest(context, read_reason)


def opened_of(context: ToolContext) -> bool | None:
    """Whether it was opened, as far as the customer said."""
    return newest(context, read_opened)


def order_of(context: ToolContext, customer: Customer, rules: Sequence[Rule]) -> Order:
    """The order that is meant. Raises Ask where several may be, NotAllowed where there is none or it is not theirs."""
    orders = context.shop.orders_of(customer.id)
    for text in reversed(context.heard):
        if named := read_order(text, orders):
            return named
        if calls_an_order(text):
            # Somebody else's order and one that does not exist get the same answer.
            raise NotAllowed("order_not_found")
    if not orders:
        raise NotAllowed("no_orders")
    open_now = {status for rule in rules for status in getattr(rule, "statuses", ())}
    possible = [
        order for order in orders if order.status in open_now and +kept_units(order, context.shop.ledger.done(order.id))
    ]
    for candidates in (possible, orders):
        clearest = {order.id: max(_clearness(context, item) for item in order.items) for order in candidates}
        best = max(clearest.values(), default=0.0)
        meant = [order for order in candidates if best >= 1 and clearest[order.id] >= 0.75 * best]
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise _ask_order(context, meant)
    told_of = [order for order in orders if order.id in context.orders_told]
    if len(told_of) == 1:
        return told_of[0]
    if len(possible) == 1:
        return possible[0]
    if not possible:
        # The newest one that is not over tells best why not.
        return next((order for order in orders if order.status not in ("cancelled", "returned")), orders[0])
    raise _ask_order(context, possible)


def _clearness(context: ToolContext, item: OrderItem) -> float:
    return max((likeness(text, item, context.shop) for text in context.heard), default=0.0)


def _ask_order(context: ToolContext, orders: Sequence[Order]) -> Ask:
    ids = [order.id for order in orders[:LISTED_AT_ONCE]]
    return Ask("order", _which_order(context, orders), ids, ids)


def _which_order(context: ToolContext, orders: Sequence[Order]) -> str:
    lines = [context.phrase("ask_order")]
    for number, order in enumerate(orders[:LISTED_AT_ONCE], start=1):
        placed = f", {day_text(context, order.placed_at)}" if order.placed_at else ""
        items = _listed(context, [item_text(context, item.title, item.options, item.quantity) for item in order.items])
        lines.append(f"{number}. {order.id}{placed}: {items}")
    return "\n".join(lines)


def items_of(context: ToolContext, order: Order) -> tuple[Units, ...]:
    """The items of the order that are meant. Raises Ask where that is not clear."""
    kept = +kept_units(order, context.shop.ledger.done(order.id))
    bought = kept_units(order, ())
    pieces: int | None = None
    chosen: tuple[Units, ...] = ()
    for text in context.heard:
        # On its way back already: the quote says so.
        if found := read_items(text, order, kept, context.shop) or read_items(text, order, bought, context.shop):
            found = so_many(found, pieces)
            chosen = found if replaces_items(text) or not chosen else _joined(chosen, found, order)
        elif gone := left_out(text, order.items, context.shop):
            chosen = tuple(units for units in chosen if units.variant_id not in gone)
        # "Two of the buttons are torn off" counts no pieces.
        pieces = (None if read_reason(text) else read_count(text)) or pieces
        chosen = so_many(chosen, pieces)
    if chosen:
        return chosen
    if len(kept) == 1:
        ((variant_id, quantity),) = kept.items()
        return so_many((Units(variant_id=variant_id, quantity=quantity),), pieces)
    if not kept:
        # Told by the quote: whatever is asked for is on its way back.
        return tuple(Units(variant_id=item.variant_id, quantity=item.quantity) for item in order.items)
    items = [item for item in order.items if item.variant_id in kept]
    named = [item_text(context, item.title, item.options, kept[item.variant_id]) for item in items]
    lines = [context.phrase("ask_items"), *(f"{number}. {name}" for number, name in enumerate(named, start=1))]
    raise Ask("items", "\n".join(lines), [item.variant_id for item in items], named)


def _joined(first: Sequence[Units], more: Sequence[Units], order: Order) -> tuple[Units, ...]:
    """Both, in the order's order; of what stands in both, what was said last."""
    said = {units.variant_id: units for units in (*first, *more)}
    return tuple(
        said[variant_id] for variant_id in dict.fromkeys(item.variant_id for item in order.items) if variant_id in said
    )


def item_text(context: ToolContext, title: LocalText | None, options: dict[str, str], quantity: int) -> str:
    """ "2 × Linen dress (sage, M)" """
    named = title.in_language(context.language) if title else ""
    words = _listed(context, [context.shop.info.word(value, context.language) for value in options.values()])
    inside = f"（{words}）" if context.language == "zh" else f" ({words})"
    return f"{quantity} × {named}{inside if words else ''}"


def _listed(context: ToolContext, words: Sequence[str]) -> str:
    return ("、" if context.language == "zh" else ", ").join(words)


def day_text(context: ToolContext, moment: datetime) -> str:
    """A day where the shop is: "3 May 2026", 「2026年5月3日」."""
    local = moment.astimezone(ZoneInfo(context.shop.info.timezone))
    return f"{local.year}年{local.month}月{local.day}日" if context.language == "zh" else f"{local.day} {local:%B} {local.year}"


def method_text(context: ToolContext, method_id: str) -> str:
    """A payment method as its owner knows it: "your Visa ending in 4242"."""
    customer = context.shop.customer(context.customer_id or "")
    method = next((each for each in customer.payment_methods if each.id == method_id), None) if customer else None
    if method is None:
        return context.phrase("method_unknown")
    return context.phrase(
        f"method_{method.kind}", brand=method.brand or context.phrase("method_brand"), last_four=method.last_four or "····"
    )


def variants_text(context: ToolContext, product: Product, leave_out: str) -> str:
    """What else of a product can be had: "Size: S, L"."""
    others = tuple(variant for variant in product.variants if variant.in_stock and variant.id != leave_out)
    return options_text(context, others)


_TOOLS = {
    "return": "quote_return",
    "exchange": "quote_exchange",
    "cancellation": "quote_cancellation",
    "item_change": "quote_order_change",
    "address_change": "quote_order_change",
    "payment_change": "quote_order_change",
    "customer_address": "quote_address_change",
}
"""Which tool makes each kind of quote anew, when the customer wants it otherwise."""


def told(context: ToolContext, quote: Quote) -> Facts:
    """A quote in the customer's words, with the question whether to go on; every line is a fact."""
    lines = [context.phrase(f"quote_{quote.kind}", order=quote.request.order_id or "")]
    lines += money_lines(context, quote)
    if isinstance(quote.request, CancellationRequest) and quote.request.reason:
        reasons = {
            reason: text.strip() for reason, text in zip(_REASONS, context.phrase("reasons_noted").split("|"), strict=True)
        }
        lines.append(context.phrase("quote_reason", reason=reasons[quote.request.reason]))
    lines += _conditions(context, quote)
    sources = [Fact(text=line, source=f"quote:{quote.id}") for line in lines]
    for clause_id in quote.clauses[:1]:
        if clause := clause_text(context, clause_id):
            sources.append(Fact(text=clause, source=f"clause:{clause_id}"))
            lines.append(context.phrase("clause_says", clause=clause, id=clause_id))
    lines.append(context.phrase("quote_valid", until=_time_text(context, quote.valid_until)))
    lines.append(context.phrase("quote_question"))
    asked = Asked(tool=_TOOLS[quote.kind], slot="amend", heard=context.heard)
    return Facts(facts=tuple(sources), reply="\n".join(lines), quote=quote, asks=asked)


def money_lines(context: ToolContext, quote: Quote) -> list[str]:
    """The quote's lines and where its money goes."""
    lines = []
    for line in quote.lines:
        what = item_text(context, line.title, line.options, line.quantity) if line.kind in ("item", "new_item") else ""
        amount = format_money(abs(line.amount_cents), quote.currency)
        lines.append(context.phrase(f"line_{line.kind}", what=what, amount=amount))
    if isinstance(quote.request, AddressChangeRequest | CustomerAddressRequest):
        lines.append(context.phrase("line_address", address=address_text(quote.request.address)))
    lines += move_lines(context, quote, "move")
    if not quote.moves and quote.kind in ("exchange", "item_change"):
        lines.append(context.phrase("move_nothing"))
    return lines


def move_lines(context: ToolContext, quote: Quote, tense: Literal["move", "done"]) -> list[str]:
    """Which money goes where and when: as an offer ("move"), or, for refunds only, as done."""
    lines = []
    arrivals = iter(quote.arrives)
    later = "_later" if quote.paid == "on_receipt" else ""
    for move in quote.moves:
        amount = format_money(move.amount_cents, quote.currency)
        method = method_text(context, move.payment_method_id)
        if move.kind == "refund":
            arrives = next(arrivals, None)
            when = context.phrase("move_arrives", arrives=arrives.in_language(context.language)) if arrives else ""
            space = " " if when and context.language == "en" else ""
            lines.append(context.phrase(f"{tense}_refund{later}", amount=amount, method=method, when=space + when))
        elif tense == "move":
            lines.append(context.phrase(f"move_payment{later}", amount=amount, method=method))
    return lines


def address_text(address: Address) -> str:
    """An address on one line."""
    parts = (address.line1, address.line2, address.city, address.region, address.postcode, address.country)
    return ", ".join(part for part in parts if part)


def _conditions(context: ToolContext, quote: Quote) -> list[str]:
    lines = []
    if quote.conditions:
        named = _listed(context, [context.phrase(f"condition_{each}") for each in quote.conditions])
        lines.append(context.phrase("quote_conditions", conditions=named))
    if quote.postage_by in ("shop", "customer"):
        lines.append(context.phrase(f"postage_{quote.postage_by}"))
    if quote.locks:
        lines.append(context.phrase("quote_locks"))
    return lines


def _time_text(context: ToolContext, moment: datetime) -> str:
    return f"{moment.astimezone(ZoneInfo(context.shop.info.timezone)):%H:%M}"
