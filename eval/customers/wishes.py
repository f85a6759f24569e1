"""What a simulated customer wants, exactly, and whether an offer or an answer is that.

A wish names records of the shop, as a customer knows what lies before them; how it is put into words is eval/customers/wording.py's.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from tools.shop.policy import Reason
from tools.shop.quotes import (
    AddressChangeRequest,
    CancellationRequest,
    CustomerAddressRequest,
    ExchangeRequest,
    ItemChangeRequest,
    PaymentChangeRequest,
    Quote,
    ReturnRequest,
)
from tools.shop.types import Address, Order, OrderItem, PaymentMethod, Variant

WishKind = Literal[
    "return",
    "exchange",
    "item_change",
    "cancellation",
    "payment_change",
    "address_change",
    "customer_address",
    "question",
    "person",
]
Difference = Literal["kind", "order", "items", "too_few", "variant", "method", "reason", "address"]
"""What of an offer is not as wished; "too_few": all that it holds is wished, and something is left out."""


@dataclass(frozen=True)
class Wish:
    """One thing to be done or told; of kind "person" what only a person of the shop can do, so that being passed on is right.

    `items` are the pieces meant, one entry a piece; `new` the variants that they should become, in the same order. `asks` is a question
    with its `answers`: what has to be said, in any of these forms.
    """

    kind: WishKind
    order: Order | None = None
    items: tuple[OrderItem, ...] = ()
    new: tuple[Variant, ...] = ()
    method: PaymentMethod | None = None
    reason: Reason | None = None
    address: Address | None = None
    asks: str = ""
    answers: tuple[str, ...] = ()
    ways: tuple[str, ...] = field(default=(), compare=False)
    """Other ways of asking the same."""

    @property
    def swaps(self) -> Counter[tuple[str, str]]:
        """How many pieces of which variant become which."""
        return Counter((old.variant_id, new.id) for old, new in zip(self.items, self.new, strict=True))


def differences(quote: Quote, wish: Wish) -> list[Difference]:
    """What of the offer is not as wished; [] where it is exactly that."""
    request = quote.request
    if request.kind != wish.kind and {request.kind, wish.kind} != {"exchange", "item_change"}:
        return ["kind"]
    found: list[Difference] = []
    if wish.order is not None and request.order_id != wish.order.id:
        return ["order"]
    match request:
        case ReturnRequest(items=units):
            offered = Counter({each.variant_id: each.quantity for each in units})
            found += _of_items(offered, Counter(item.variant_id for item in wish.items))
        case ExchangeRequest(swaps=swaps) | ItemChangeRequest(swaps=swaps):
            pairs: Counter[tuple[str, str]] = Counter()
            for swap in swaps:
                pairs[swap.variant_id, swap.new_variant_id] += swap.quantity
            old = Counter({each.variant_id: 0 for each in swaps})
            for swap in swaps:
                old[swap.variant_id] += swap.quantity
            found += _of_items(old, Counter(item.variant_id for item in wish.items))
            if not found and pairs != wish.swaps:
                found.append("variant")
        case CancellationRequest(reason=reason):
            if wish.reason is not None and reason != wish.reason:
                found.append("reason")
        case AddressChangeRequest(address=address) | CustomerAddressRequest(address=address):
            if wish.address is not None and _plain(address) != _plain(wish.address):
                found.append("address")
        case PaymentChangeRequest():
            pass
    if wish.method is not None and (chosen := method_of(quote)) is not None and chosen != wish.method.id:
        found.append("method")
    return found


def method_of(quote: Quote) -> str | None:
    """The payment method that the offer's money goes by; None where no money moves and none was named."""
    match quote.request:
        case ReturnRequest(refund_to=named) | ExchangeRequest(pay_with=named) | ItemChangeRequest(pay_with=named):
            return named or next((move.payment_method_id for move in quote.moves), None)
        case PaymentChangeRequest(pay_with=named):
            return named
        case _:
            return None


def _of_items(offered: Counter[str], wished: Counter[str]) -> list[Difference]:
    if offered == wished:
        return []
    return ["too_few"] if offered < wished else ["items"]


def _plain(address: Address) -> dict[str, str]:
    """What of an address matters: upper and lower case do not, and who lives in the country need not name it."""
    return {name: str(value).strip().lower() for name, value in address.model_dump(mode="json").items() if name != "country"}
