"""Quotes: what a return, exchange, cancellation or change would do, worked out by code before anybody agrees to it.

`work_out(request, state)` is pure: the same request on the same state gives the same quote, so that what is committed can be
compared with what was agreed to (tools/shop/ledger.py). Sums are integer minor units of the shop's currency.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field

from tools.kit.errors import StorehandError
from tools.shop.policy import (
    Case,
    ChangeRule,
    Condition,
    ExchangeRule,
    Policy,
    PostageRule,
    Reason,
    RefundRule,
    ReturnRule,
    Rule,
    rule_for,
)
from tools.shop.types import (
    Address,
    Customer,
    Id,
    LocalText,
    Order,
    OrderItem,
    Payment,
    PaymentMethod,
    Product,
    Record,
    ShopInfo,
)

VALID_FOR = timedelta(minutes=30)
"""How long a customer may think about a quote."""


class Units(Record):
    """So many pieces of one variant of an order."""

    variant_id: Id
    quantity: Annotated[int, Field(ge=1)] = 1


class Swap(Record):
    """So many pieces of one variant for another variant of the same product."""

    variant_id: Id
    new_variant_id: Id
    quantity: Annotated[int, Field(ge=1)] = 1


class ReturnRequest(Record):
    """Send items back for a refund; `refund_to` is a payment method's id, None for the one that was used."""

    kind: Literal["return"] = "return"
    order_id: Id
    items: Annotated[tuple[Units, ...], Field(min_length=1)]
    reason: Reason | None = None
    opened: bool | None = None
    refund_to: Id | None = None


class ExchangeRequest(Record):
    """Send items back for other variants of the same products; `pay_with` also takes a difference that comes back."""

    kind: Literal["exchange"] = "exchange"
    order_id: Id
    swaps: Annotated[tuple[Swap, ...], Field(min_length=1)]
    reason: Reason | None = None
    opened: bool | None = None
    pay_with: Id | None = None


class CancellationRequest(Record):
    """Cancel a whole order."""

    kind: Literal["cancellation"] = "cancellation"
    order_id: Id
    reason: Reason | None = None


class ItemChangeRequest(Record):
    """Change what is in an order that was not sent yet: other variants, or items left out."""

    kind: Literal["item_change"] = "item_change"
    order_id: Id
    swaps: tuple[Swap, ...] = ()
    without: tuple[Units, ...] = ()
    pay_with: Id | None = None


class AddressChangeRequest(Record):
    """Send an order that was not sent yet to another address."""

    kind: Literal["address_change"] = "address_change"
    order_id: Id
    address: Address


class PaymentChangeRequest(Record):
    """Pay an order that was not sent yet with another payment method."""

    kind: Literal["payment_change"] = "payment_change"
    order_id: Id
    pay_with: Id


class CustomerAddressRequest(Record):
    """Change the address of the customer's account; orders keep theirs."""

    kind: Literal["customer_address"] = "customer_address"
    order_id: None = None
    address: Address


Request = Annotated[
    ReturnRequest
    | ExchangeRequest
    | CancellationRequest
    | ItemChangeRequest
    | AddressChangeRequest
    | PaymentChangeRequest
    | CustomerAddressRequest,
    Field(discriminator="kind"),
]

LineKind = Literal["item", "new_item", "discount", "restocking_fee", "postage", "shipping", "shipping_fee"]


class Line(Record):
    """One line of a quote: what it is about and its money, positive towards the customer."""

    kind: LineKind
    title: LocalText | None = None
    options: dict[str, str] = Field(default_factory=dict)
    quantity: int = 1
    amount_cents: int


class Quote(Record):
    """What would be done and what money would move, exactly.

    `total_cents` is what the customer gets, negative for what is to be paid; `moves` says by which payment methods.
    `paid` tells when: at once with the agreement, or once the parcel is back.
    """

    id: str = ""
    customer_id: Id
    request: Request
    lines: tuple[Line, ...] = ()
    total_cents: int = 0
    currency: str
    moves: tuple[Payment, ...] = ()
    arrives: tuple[LocalText, ...] = ()
    """For each refund in `moves`, how long it takes; empty where the policy does not tell."""
    paid: Literal["at_once", "on_receipt"] = "at_once"
    postage_by: Literal["shop", "deducted", "customer"] | None = None
    conditions: tuple[Condition, ...] = ()
    clauses: tuple[Id, ...] = ()
    """The clauses it rests on, the deciding one first."""
    locks: bool = False
    made_at: AwareDatetime
    valid_until: AwareDatetime

    @property
    def kind(self) -> str:
        """Like "return" or "exchange"."""
        return self.request.kind

    @property
    def refund_cents(self) -> int:
        """What goes back to the customer, at once or later."""
        return sum(move.amount_cents for move in self.moves if move.kind == "refund")

    def same_as(self, other: "Quote") -> bool:
        """Whether both do and cost the same; when they were made does not count."""
        plain = {"id": "", "made_at": self.made_at, "valid_until": self.valid_until}
        return self.model_copy(update=plain) == other.model_copy(update=plain)


class NotAllowed(StorehandError):
    """It will not be done. `why` is a key "no_<why>" of prompts/phrases.*.yaml, `values` fill its blanks, `clause` says it in words.

    With `person` True a member of staff may still decide otherwise.
    """

    def __init__(self, why: str, *, clause: str | None = None, person: bool = False, **values: str | int | LocalText) -> None:
        super().__init__(f"{why} {values}" if values else why)
        self.why, self.clause, self.person, self.values = why, clause, person, values


@dataclass(frozen=True)
class State:
    """What a quote is worked out from, all of one moment. `done` are this order's committed quotes, oldest first."""

    info: ShopInfo
    policy: Policy
    customer: Customer
    order: Order | None
    done: tuple[Quote, ...]
    received: frozenset[str]
    """Ids of the quotes in `done` whose parcel came back."""
    product: Callable[[str], Product | None]
    refunded_today_cents: Mapping[Literal["customer", "shop"], int]
    now: datetime


def work_out(request: Request, state: State) -> Quote:
    """The quote for a request. Raises NotAllowed, or Unknown where a rule turns on what only the customer can tell."""
    match request:
        case ReturnRequest():
            quote = _return(request, state, _order(state))
        case ExchangeRequest():
            quote = _exchange(request, state, _order(state))
        case CancellationRequest():
            quote = _cancellation(request, state, _order(state))
        case ItemChangeRequest():
            quote = _item_change(request, state, _order(state))
        case AddressChangeRequest():
            rule = _change_rule(state.policy.address_changes, state, _order(state))
            if request.address == _order(state).address:
                raise NotAllowed("same_address")
            if rule.same_country and request.address.country.lower() != _order(state).address.country.lower():
                raise NotAllowed("other_country", clause=rule.clause)
            quote = _quote(request, state, clauses=(rule.clause,))
        case PaymentChangeRequest():
            quote = _payment_change(request, state, _order(state))
        case CustomerAddressRequest():
            if request.address == state.customer.address:
                raise NotAllowed("same_address")
            quote = _quote(request, state)
    _check_caps(quote, state)
    return quote


def _quote(request: Request, state: State, **values: object) -> Quote:
    return Quote.model_validate(
        {
            "customer_id": state.customer.id,
            "request": request,
            "currency": state.info.currency,
            "made_at": state.now,
            "valid_until": state.now + VALID_FOR,
            **values,
        }
    )


def _with_money(
    request: Request,
    state: State,
    order: Order,
    moves: Sequence[Payment],
    rules: Sequence[Rule],
    clause: str | None = None,
    **values: object,
) -> Quote:
    """A quote with its moves, how long each refund takes, and the clauses that it rests on."""
    refunds = _refund_rules(moves, state, order)
    clauses = dict.fromkeys(
        [*(rule.clause for rule in rules), *([clause] if clause else []), *(rule.clause for rule in refunds)]
    )
    arrives = tuple(rule.arrives for rule in refunds)
    return _quote(request, state, moves=moves, arrives=arrives, clauses=tuple(clauses), **values)


def _order(state: State) -> Order:
    order = state.order
    if order is None:
        raise NotAllowed("order_not_found")
    # An import may bring back an order as it was before; what was agreed to since still holds.
    if _did(state, "cancellation"):
        return order.model_copy(update={"status": "cancelled"})
    if order.status == "pending" and any(quote.locks for quote in state.done):
        return order.model_copy(update={"status": "pending_changed"})
    return order


def pieces_of(items: Iterable[OrderItem | Units]) -> Counter[str]:
    """How many pieces there are of each variant."""
    pieces: Counter[str] = Counter()
    for item in items:
        pieces[item.variant_id] += item.quantity
    return pieces


def kept_units(order: Order, done: Iterable[Quote]) -> Counter[str]:
    """Pieces of each variant that are neither on their way back nor being exchanged."""
    kept = pieces_of(order.items)
    for quote in done:
        match quote.request:
            case ReturnRequest(items=items):
                for units in items:
                    kept[units.variant_id] -= units.quantity
            case ExchangeRequest(swaps=swaps):
                for swap in swaps:
                    kept[swap.variant_id] -= swap.quantity
            case _:
                pass
    return kept


def price_after_discounts(order: Order, kept: Mapping[str, int]) -> int:
    """What these pieces of the order cost with their share of its discounts, in minor units.

    A discount is shared out over all pieces by price, and lost once the kept pieces no longer reach its minimum.
    """
    pieces = [item for item in order.items for _ in range(item.quantity)]
    left = Counter(kept)
    is_kept = []
    for piece in pieces:
        is_kept.append(left[piece.variant_id] > 0)
        left[piece.variant_id] -= 1
    prices = [piece.unit_price_cents for piece in pieces]
    total = sum(price for price, stays in zip(prices, is_kept, strict=True) if stays)
    off = 0
    for discount in order.discounts:
        if total >= discount.minimum_cents:
            shares = _shared_out(min(discount.amount_cents, sum(prices)), prices)
            off += sum(share for share, stays in zip(shares, is_kept, strict=True) if stays)
    return max(0, total - off)


def _shared_out(amount: int, weights: Sequence[int]) -> list[int]:
    """`amount` in whole parts by weight: largest remainder first, so that the parts add up exactly."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    shares = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % whole), i))
    for i in by_remainder[: amount - sum(shares)]:
        shares[i] += 1
    return shares


def _still_paid(state: State, order: Order) -> Counter[str]:
    """Net paid by method id, in the order of first use, less what is promised and only waits for a parcel.

    An import may bring back an order without what moved since: money that was agreed to counts all the same, and once.
    """
    paid: Counter[str] = Counter()
    refunded: Counter[str] = Counter()
    agreed_paid: Counter[str] = Counter()
    agreed_refunded: Counter[str] = Counter()
    promised: Counter[str] = Counter()
    for payment in order.payments:
        (paid if payment.kind == "payment" else refunded)[payment.payment_method_id] += payment.amount_cents
    for quote in state.done:
        waits = quote.paid == "on_receipt" and quote.id not in state.received
        for move in quote.moves:
            if move.kind == "refund":
                (promised if waits else agreed_refunded)[move.payment_method_id] += move.amount_cents
            elif not waits:
                agreed_paid[move.payment_method_id] += move.amount_cents
    net = paid | agreed_paid
    net.subtract(refunded | agreed_refunded)
    net.subtract(promised)
    return net


def _return(request: ReturnRequest, state: State, order: Order) -> Quote:
    wanted = _wanted(((units.variant_id, units.quantity) for units in request.items), state, order)
    rules = [
        _item_rule(state.policy.returns, state, order, variant_id, request.reason, request.opened) for variant_id in wanted
    ]
    first = rules[0]
    if any(rule.once_per_order for rule in rules) and _did(state, "return", "exchange"):
        raise NotAllowed("once_only", clause=first.clause)
    if order.status in ("return_requested", "returned", "exchange_requested") and not _did(state, "return", "exchange"):
        # Somebody else took something back: what and for how much is not in our books.
        raise NotAllowed("already_back", person=True, order=order.id)
    paid = _still_paid(state, order)
    if sum(paid.values()) <= 0:
        raise NotAllowed("payments_unknown", person=True)
    lines: list[Line] = []
    fees = 0
    for (variant_id, quantity), rule in zip(wanted.items(), rules, strict=True):
        line = _item_line(_item(order, variant_id), quantity)
        lines.append(line)
        if rule.restocking_fee_percent:
            fee = (line.amount_cents * rule.restocking_fee_percent + 50) // 100
            lines.append(Line(kind="restocking_fee", amount_cents=-fee))
            fees += fee
    postage = rule_for(state.policy.postage, _order_case(state, order, request.reason, request.opened))
    if postage and postage.paid_by == "deducted" and postage.amount_cents:
        lines.append(Line(kind="postage", amount_cents=-postage.amount_cents))
        fees += postage.amount_cents
    # An exchanged piece is still the customer's, as another variant, and its price was settled with the exchange.
    returns = [quote for quote in state.done if isinstance(quote.request, ReturnRequest)]
    kept = kept_units(order, returns) - wanted
    # Kept pieces cost more once a discount is lost, and no return charges that; the next one must not refund it either.
    before = min(price_after_discounts(order, kept_units(order, returns[:n])) for n in range(len(returns) + 1))
    credit = max(0, before - price_after_discounts(order, kept))
    if share := sum(line.amount_cents for line in lines if line.kind == "item") - credit:
        lines.append(Line(kind="discount", amount_cents=-share))
    shipping = order.shipping_cents if not kept and all(rule.refund_shipping for rule in rules) else 0
    if shipping:
        lines.append(Line(kind="shipping", amount_cents=shipping))
    refund = max(0, min(credit + shipping - fees, sum(paid.values())))
    moves = _paid_back(refund, paid, state, request.refund_to, _places(rules))
    if not moves and refund:
        raise NotAllowed("payments_unknown", person=True)
    return _sent_back(request, state, order, moves, rules, postage, lines=lines, total_cents=refund)


def _exchange(request: ExchangeRequest, state: State, order: Order) -> Quote:
    wanted = _wanted(((swap.variant_id, swap.quantity) for swap in request.swaps), state, order)
    rules = [
        _item_rule(state.policy.exchanges, state, order, variant_id, request.reason, request.opened) for variant_id in wanted
    ]
    if any(rule.once_per_order for rule in rules) and _did(state, "return", "exchange"):
        raise NotAllowed("once_only", clause=rules[0].clause)
    lines, difference = _swapped(request.swaps, state, order)
    postage = rule_for(state.policy.exchange_postage, _order_case(state, order, request.reason, request.opened))
    if postage and postage.paid_by == "deducted" and postage.amount_cents:
        lines.append(Line(kind="postage", amount_cents=-postage.amount_cents))
        difference += postage.amount_cents
    # A discount may have left less to refund than the pieces' prices differ by.
    listed, difference = difference, _within_paid(difference, state, order)
    if difference != listed:
        lines.append(Line(kind="discount", amount_cents=listed - difference))
    moves = _settled(difference, state, order, request.pay_with, rules[0].difference_to)
    return _sent_back(request, state, order, moves, rules, postage, lines=lines, total_cents=-difference)


def _sent_back(
    request: Request,
    state: State,
    order: Order,
    moves: Sequence[Payment],
    rules: Sequence[ReturnRule] | Sequence[ExchangeRule],
    postage: PostageRule | None,
    **values: object,
) -> Quote:
    """The quote for pieces that come back: with what their rules ask for and who pays the postage."""
    return _with_money(
        request,
        state,
        order,
        moves,
        rules,
        postage.clause if postage else None,
        paid="on_receipt" if any(rule.paid == "on_receipt" for rule in rules) else "at_once",
        postage_by=postage.paid_by if postage else None,
        conditions=tuple(dict.fromkeys(condition for rule in rules for condition in rule.conditions)),
        **values,
    )


def _cancellation(request: CancellationRequest, state: State, order: Order) -> Quote:
    rule = _known(rule_for(state.policy.cancellations, _order_case(state, order, request.reason)))
    if not rule.allowed or order.status not in rule.statuses:
        raise NotAllowed("cancel_status", clause=rule.clause, order=order.id, status=order.status)
    paid = _still_paid(state, order)
    refund = max(0, sum(paid.values()))
    moves = _paid_back(refund, paid, state, None, {"original"})
    lines = [_item_line(item, item.quantity) for item in order.items]
    lines += [Line(kind="discount", title=each.label, amount_cents=-each.amount_cents) for each in order.discounts]
    if order.shipping_cents:
        lines.append(Line(kind="shipping", amount_cents=order.shipping_cents))
    return _with_money(request, state, order, moves, [rule], lines=lines, total_cents=refund)


def _item_change(request: ItemChangeRequest, state: State, order: Order) -> Quote:
    if not request.without and all(swap.variant_id == swap.new_variant_id for swap in request.swaps):
        raise NotAllowed("nothing_to_change")
    rule = _change_rule(state.policy.item_changes, state, order)
    pairs = [(swap.variant_id, swap.quantity) for swap in request.swaps]
    wanted = _wanted([*pairs, *((units.variant_id, units.quantity) for units in request.without)], state, order)
    if not +(kept_units(order, state.done) - wanted) and not request.swaps:
        raise NotAllowed("cancel_instead")
    lines, _ = _swapped(request.swaps, state, order)
    lines += [_item_line(_item(order, units.variant_id), units.quantity) for units in request.without]
    changed = changed_items(order, request, state.product)
    smaller = order.model_copy(update={"items": changed})
    fee, fee_clause = _shipping_fee(state, order, smaller)
    if fee:
        lines.append(Line(kind="shipping_fee", amount_cents=-fee))
    difference = _price(smaller) + fee - _price(order)
    difference = _within_paid(difference, state, order)
    listed = -sum(line.amount_cents for line in lines)
    if difference != listed:
        lines.append(Line(kind="discount", amount_cents=listed - difference))
    moves = _settled(difference, state, order, request.pay_with, rule.difference_to)
    return _with_money(request, state, order, moves, [rule], fee_clause, lines=lines, total_cents=-difference, locks=rule.locks)


def _shipping_fee(state: State, order: Order, smaller: Order) -> tuple[int, str | None]:
    """What shipping costs now that the order no longer ships free, and the clause that says so; 0 where nothing changes."""
    rule = rule_for(state.policy.shipping, _order_case(state, order, None))
    was_free = order.shipping_cents == 0 and rule is not None and order.items_cents >= rule.free_from_cents
    if rule is None or not was_free or smaller.items_cents >= rule.free_from_cents:
        return 0, None
    return rule.fee_cents, rule.clause


def _price(order: Order) -> int:
    return price_after_discounts(order, kept_units(order, ())) + order.shipping_cents


def changed_items(order: Order, request: ItemChangeRequest, product: Callable[[str], Product | None]) -> tuple[OrderItem, ...]:
    """The order's items after the change, each swapped piece in the place of the old one."""
    leaving = pieces_of(request.without)
    swaps = [[swap, swap.quantity] for swap in request.swaps]
    items: list[OrderItem] = []
    for item in order.items:
        quantity = item.quantity
        taken = min(quantity, leaving[item.variant_id])
        leaving[item.variant_id] -= taken
        quantity -= taken
        new: list[OrderItem] = []
        for pending in swaps:
            swap, left = pending
            assert isinstance(swap, Swap)
            assert isinstance(left, int)
            if swap.variant_id == item.variant_id and left and quantity:
                moved = min(left, quantity)
                pending[1] = left - moved
                quantity -= moved
                price, options = _new_variant(product, item, swap.new_variant_id)
                new.append(
                    item.model_copy(
                        update={
                            "variant_id": swap.new_variant_id,
                            "options": options,
                            "unit_price_cents": price,
                            "quantity": moved,
                        }
                    )
                )
        if quantity:
            items.append(item.model_copy(update={"quantity": quantity}))
        items += new
    return tuple(items)


def _payment_change(request: PaymentChangeRequest, state: State, order: Order) -> Quote:
    rule = _change_rule(state.policy.payment_changes, state, order)
    paid = +_still_paid(state, order)
    if len(paid) != 1:
        raise NotAllowed("payment_split", clause=rule.clause, person=True)
    ((old, amount),) = paid.items()
    new = _method(state, request.pay_with)
    if new.id == old:
        raise NotAllowed("same_payment")
    _check_balance(new, amount)
    moves = (
        Payment(kind="payment", amount_cents=amount, payment_method_id=new.id),
        Payment(kind="refund", amount_cents=amount, payment_method_id=old),
    )
    return _with_money(request, state, order, moves, [rule])


def _wanted(pairs: Iterable[tuple[str, int]], state: State, order: Order) -> Counter[str]:
    """Pieces by variant. Raises NotAllowed for what was not bought, or is on its way back already."""
    wanted: Counter[str] = Counter()
    for variant_id, quantity in pairs:
        wanted[variant_id] += quantity
    bought = pieces_of(order.items)
    kept = kept_units(order, state.done)
    for variant_id, quantity in wanted.items():
        if quantity > bought[variant_id]:
            raise NotAllowed("not_in_order", order=order.id)
        if quantity > kept[variant_id]:
            raise NotAllowed("already_back", order=order.id)
    return wanted


R = TypeVar("R", bound=Rule)
ItemRule = TypeVar("ItemRule", ReturnRule, ExchangeRule)


def _item_rule(
    rules: Sequence[ItemRule], state: State, order: Order, variant_id: str, reason: Reason | None, opened: bool | None
) -> ItemRule:
    """The rule that lets this item go back. Raises NotAllowed, quoting the clause, where none does."""
    item = _item(order, variant_id)
    allowing = [rule for rule in rules if rule.allowed and rule.in_force(_placed_on(state, order))]
    if allowing and not any(order.status in rule.statuses for rule in allowing):
        # Nothing that the customer could tell would change it: no question is worth asking.
        raise NotAllowed("status", clause=allowing[-1].clause, order=order.id, status=order.status)
    rule = _known(rule_for(rules, _item_case(state, order, item, reason, opened)))
    if not rule.allowed:
        raise NotAllowed("excluded", clause=rule.clause, title=item.title)
    if order.status not in rule.statuses:
        raise NotAllowed("status", clause=rule.clause, order=order.id, status=order.status)
    if rule.window_days is not None:
        days = _days_since_delivery(state, order)
        if days is None:
            raise NotAllowed("delivery_unknown", clause=rule.clause, person=True)
        if days > rule.window_days:
            raise NotAllowed("too_late", clause=rule.clause, days=days, window=rule.window_days)
    return rule


def _known(rule: R | None) -> R:
    if rule is None:
        raise NotAllowed("no_rule", person=True)
    return rule


def _change_rule(rules: Sequence[ChangeRule], state: State, order: Order) -> ChangeRule:
    rule = _known(rule_for(rules, _order_case(state, order, None)))
    if not rule.allowed or order.status not in rule.statuses:
        raise NotAllowed("change_status", clause=rule.clause, order=order.id, status=order.status)
    return rule


def _did(state: State, *kinds: str) -> bool:
    return any(quote.kind in kinds for quote in state.done)


def _zone(state: State) -> ZoneInfo:
    return ZoneInfo(state.info.timezone)


def _placed_on(state: State, order: Order) -> date:
    """The day of the order where the shop is; today where the source has no date."""
    return (order.placed_at or state.now).astimezone(_zone(state)).date()


def _days_since_delivery(state: State, order: Order) -> int | None:
    if order.delivered_at is None:
        return None
    return (state.now.astimezone(_zone(state)).date() - order.delivered_at.astimezone(_zone(state)).date()).days


def _order_case(state: State, order: Order, reason: Reason | None, opened: bool | None = None) -> Case:
    return Case(
        day=_placed_on(state, order),
        country=order.address.country,
        reason=reason,
        opened=opened,
        days_since_delivery=_days_since_delivery(state, order),
        exchanges_before=sum(quote.kind == "exchange" for quote in state.done),
    )


def _item_case(state: State, order: Order, item: OrderItem, reason: Reason | None, opened: bool | None) -> Case:
    product = state.product(item.product_id)
    return replace(
        _order_case(state, order, reason, opened),
        product_id=item.product_id,
        category=(product.category.en or "") if product else "",
        attributes=frozenset(product.attributes) if product else frozenset(),
    )


def _item(order: Order, variant_id: str) -> OrderItem:
    return next(item for item in order.items if item.variant_id == variant_id)


def _item_line(item: OrderItem, quantity: int) -> Line:
    """So many pieces of an item at the price they were bought for."""
    cents = item.unit_price_cents * quantity
    return Line(kind="item", title=item.title, options=item.options, quantity=quantity, amount_cents=cents)


def _new_variant(product: Callable[[str], Product | None], item: OrderItem, variant_id: str) -> tuple[int, dict[str, str]]:
    """Today's price and the options of a variant of the item's product; the item's own variant costs what it cost.

    Raises NotAllowed where there is none, or no price.
    """
    found = product(item.product_id)
    variant = next((each for each in found.variants if each.id == variant_id), None) if found else None
    if variant is None:
        raise NotAllowed("other_product")
    if variant_id == item.variant_id:
        return item.unit_price_cents, dict(item.options)
    if variant.price_cents is None:
        raise NotAllowed("price_unknown", person=True)
    return variant.price_cents, dict(variant.options)


def _swapped(swaps: Sequence[Swap], state: State, order: Order) -> tuple[list[Line], int]:
    """The lines of the swaps, and what they cost more than before (negative: less). Raises NotAllowed where stock is short."""
    needed: Counter[str] = Counter()
    lines: list[Line] = []
    difference = 0
    for swap in swaps:
        item = _item(order, swap.variant_id)
        price, options = _new_variant(state.product, item, swap.new_variant_id)
        needed[swap.new_variant_id] += swap.quantity
        product = state.product(item.product_id)
        assert product, "its variant was found"
        stock = next(variant.stock for variant in product.variants if variant.id == swap.new_variant_id)
        if stock is not None and stock < needed[swap.new_variant_id]:
            raise NotAllowed("sold_out", clause=None, title=item.title, options=", ".join(options.values()))
        old = _item_line(item, swap.quantity)
        lines.append(old)
        lines.append(
            Line(
                kind="new_item",
                title=product.title,
                options=options,
                quantity=swap.quantity,
                amount_cents=-price * swap.quantity,
            )
        )
        difference += price * swap.quantity - old.amount_cents
    return lines, difference


def _method(state: State, method_id: str) -> PaymentMethod:
    found = next((method for method in state.customer.payment_methods if method.id == method_id), None)
    if found is None:
        raise NotAllowed("not_your_method")
    return found


def _check_balance(method: PaymentMethod, amount: int) -> None:
    if method.kind == "gift_card" and (method.balance_cents or 0) < amount:
        raise NotAllowed("balance_short")


def _within_paid(difference: int, state: State, order: Order) -> int:
    """The difference, but no more to be refunded than was paid. Raises NotAllowed where nobody knows what was."""
    if difference < 0 and order.total_cents and not order.payments:
        raise NotAllowed("payments_unknown", person=True)
    return max(difference, -max(0, sum(_still_paid(state, order).values())))


def _settled(
    difference: int, state: State, order: Order, pay_with: str | None, to: Literal["original", "any"]
) -> tuple[Payment, ...]:
    """How a difference is paid (positive) or comes back (negative).

    Paid by `pay_with`, else by the method used last; back to the methods that paid, or with `to` "any" to `pay_with`.
    """
    paid = _still_paid(state, order)
    used = list(+paid)
    if pay_with is None and not used:
        raise NotAllowed("payments_unknown", person=True)
    if pay_with is not None:
        _method(state, pay_with)
    if difference < 0 and (pay_with is None or pay_with in used or to == "original"):
        return _paid_back(-difference, paid, state, pay_with if pay_with in used else None, {"original"})
    method = _method(state, pay_with or used[-1])
    if difference > 0:
        _check_balance(method, difference)
    if not difference:
        return ()
    return (Payment(kind="payment" if difference > 0 else "refund", amount_cents=abs(difference), payment_method_id=method.id),)


def _places(rules: Sequence[ReturnRule]) -> set[str]:
    return {place for place in ("original", "gift_card") if all(place in rule.refund_to for rule in rules)}


def _paid_back(
    amount: int, paid: Mapping[str, int], state: State, refund_to: str | None, places: set[str]
) -> tuple[Payment, ...]:
    """Where a refund goes: the chosen method, or those that paid, gift cards last, none above what it paid."""
    kinds = {method.id: method.kind for method in state.customer.payment_methods}
    if refund_to is not None:
        chosen = _method(state, refund_to)
        if chosen.kind == "gift_card" and "gift_card" in places:
            return (Payment(kind="refund", amount_cents=amount, payment_method_id=chosen.id),) if amount else ()
        if refund_to not in paid or "original" not in places:
            raise NotAllowed("refund_elsewhere")
    elif "original" not in places:
        gift_card = next((method.id for method in state.customer.payment_methods if method.kind == "gift_card"), None)
        if gift_card is None:
            raise NotAllowed("no_gift_card", person=True)
        return (Payment(kind="refund", amount_cents=amount, payment_method_id=gift_card),) if amount else ()
    first = sorted(
        (method_id for method_id, net in paid.items() if net > 0),
        key=lambda method_id: (method_id != refund_to, kinds.get(method_id) == "gift_card"),
    )
    moves: list[Payment] = []
    for method_id in first:
        part = min(amount, paid[method_id])
        if part:
            moves.append(Payment(kind="refund", amount_cents=part, payment_method_id=method_id))
            amount -= part
    return tuple(moves)


def _refund_rules(moves: Iterable[Payment], state: State, order: Order) -> list[RefundRule]:
    """The rule for each refund, where the policy has one."""
    kinds = {method.id: method.kind for method in state.customer.payment_methods}
    day = _placed_on(state, order)
    refunds = (Case(day=day, method=kinds.get(move.payment_method_id)) for move in moves if move.kind == "refund")
    return [rule for case in refunds if (rule := rule_for(state.policy.refunds, case))]


def _check_caps(quote: Quote, state: State) -> None:
    caps = state.policy.caps
    refund = quote.refund_cents if quote.kind != "payment_change" else 0
    if not refund:
        return
    before = sum(each.refund_cents for each in state.done if each.kind != "payment_change")
    over = (
        (caps.order_cents is not None and before + refund > caps.order_cents)
        or (caps.customer_day_cents is not None and state.refunded_today_cents["customer"] + refund > caps.customer_day_cents)
        or (caps.shop_day_cents is not None and state.refunded_today_cents["shop"] + refund > caps.shop_day_cents)
    )
    if over:
        raise NotAllowed("over_cap", person=True)
