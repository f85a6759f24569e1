"""What a return, exchange, cancellation or change would do and cost, worked out before anybody agrees to it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools.shop.small_shop import ANNA, HOME, INFO, NOW, PRICES, PRODUCTS, off, order, policy
from tools.shop.policy import Policy, Unknown
from tools.shop.quotes import (
    AddressChangeRequest,
    CancellationRequest,
    CustomerAddressRequest,
    ExchangeRequest,
    ItemChangeRequest,
    NotAllowed,
    PaymentChangeRequest,
    Quote,
    Request,
    ReturnRequest,
    State,
    Swap,
    Units,
    changed_items,
    kept_units,
    price_after_discounts,
    work_out,
)
from tools.shop.types import Address, Discount, Order, OrderStatus

BERLIN = ZoneInfo("Europe/Berlin")


def state(bought: Order | None, rules: Policy | None = None, **more: Any) -> State:
    """Everything a quote is worked out from, as it is at NOW; `more` replaces parts."""
    values: dict[str, Any] = {
        "info": INFO,
        "policy": rules or policy(),
        "customer": ANNA,
        "order": bought,
        "done": (),
        "received": frozenset(),
        "product": {each.id: each for each in PRODUCTS}.get,
        "refunded_today_cents": {"customer": 0, "shop": 0},
        "now": NOW,
    }
    return State(**{**values, **more})


def units(pieces: Mapping[str, int] | str) -> tuple[Units, ...]:
    """`units("shirt-m socks-a")`, or `units({"shirt-m": 2})`."""
    counted = Counter(pieces.split()) if isinstance(pieces, str) else pieces
    return tuple(Units(variant_id=name, quantity=quantity) for name, quantity in counted.items())


def give_back(pieces: Mapping[str, int] | str, **more: Any) -> ReturnRequest:
    return ReturnRequest(order_id="#1", items=units(pieces), **more)


def swap(old: str, new: str, quantity: int = 1, **more: Any) -> ExchangeRequest:
    return ExchangeRequest(order_id="#1", swaps=(Swap(variant_id=old, new_variant_id=new, quantity=quantity),), **more)


def change(*swaps: tuple[str, str], without: str = "", **more: Any) -> ItemChangeRequest:
    return ItemChangeRequest(
        order_id="#1",
        swaps=tuple(Swap(variant_id=old, new_variant_id=new) for old, new in swaps),
        without=units(without),
        **more,
    )


def moved(quote: Quote) -> list[tuple[str, str, int]]:
    return [(move.kind, move.payment_method_id, move.amount_cents) for move in quote.moves]


def lines(quote: Quote) -> list[tuple[str, int]]:
    return [(line.kind, line.amount_cents) for line in quote.lines]


def refusal(request: Request, of: State) -> NotAllowed:
    with pytest.raises(NotAllowed) as caught:
        work_out(request, of)
    return caught.value


def agreed(before: State, request: Request) -> State:
    """The state after the quote for this request was committed, as far as orders and money go."""
    quote = work_out(request, before).model_copy(update={"id": f"Q{len(before.done)}"})
    assert before.order
    payments = (*before.order.payments, *(quote.moves if quote.paid == "at_once" else ()))
    changes: dict[str, Any] = {"payments": payments}
    if isinstance(request, ItemChangeRequest):
        changes["items"] = changed_items(before.order, request, before.product)
    return replace(before, order=before.order.model_copy(update=changes), done=(*before.done, quote))


# Returns: how much


def test_a_return_refunds_the_price_to_the_method_that_paid() -> None:
    quote = work_out(give_back("shirt-m"), state(order()))
    assert quote.total_cents == 4000
    assert moved(quote) == [("refund", "card", 4000)]
    assert lines(quote) == [("item", 4000)]
    assert quote.clauses == ("RET",)
    assert quote.valid_until - quote.made_at == timedelta(minutes=30)


def test_a_return_of_a_part_refunds_its_share_of_a_discount() -> None:
    quote = work_out(give_back("shirt-m"), state(order(pieces={"shirt-m": 2, "socks-b": 6}, discounts=[off(1000)])))
    # 1000 off 8000 + 2004: one shirt carries 399.84 of it.
    assert lines(quote) == [("item", 4000), ("discount", -400)]
    assert quote.total_cents == 3600


def test_shares_of_a_discount_add_up_to_it_to_the_cent() -> None:
    bought = order(pieces={"socks-a": 3}, discounts=[off(100)])
    before = state(bought)
    refunds = []
    for _ in range(3):
        refunds.append(work_out(give_back("socks-a"), before).total_cents)
        before = agreed(before, give_back("socks-a"))
    # 33⅓ cents a piece, and one of the three carries the odd cent.
    assert sorted(refunds) == [299, 300, 300]
    assert sum(refunds) == bought.total_cents


def test_a_return_below_the_minimum_of_a_discount_loses_it() -> None:
    bought = order(pieces={"shirt-m": 2, "socks-b": 6}, discounts=[off(1000, minimum_cents=8000)])
    quote = work_out(give_back("shirt-m"), state(bought))
    # The kept 6004 cost their full price: 9004 paid less 6004.
    assert quote.total_cents == 3000
    assert lines(quote) == [("item", 4000), ("discount", -1000)]


def test_a_return_that_keeps_the_minimum_keeps_the_discount() -> None:
    bought = order(pieces={"shirt-m": 2, "socks-b": 6}, discounts=[off(1000, minimum_cents=8000)])
    assert work_out(give_back("socks-b"), state(bought)).total_cents == 334 - 33


def test_a_lost_discount_that_is_larger_than_the_piece_refunds_nothing() -> None:
    bought = order(pieces={"shirt-m": 1, "socks-a": 1}, discounts=[off(1000, minimum_cents=4100)])
    quote = work_out(give_back("socks-a"), state(bought))
    assert quote.total_cents == 0
    assert quote.moves == ()
    assert sum(cents for _, cents in lines(quote)) == 0


def test_splitting_a_return_does_not_keep_a_discount_that_is_lost() -> None:
    bought = order(pieces={"shirt-m": 1, "socks-a": 1, "brush-1": 1}, discounts=[off(1000, minimum_cents=5500)])
    at_once = work_out(give_back("socks-a brush-1"), state(bought)).total_cents
    after_first = agreed(state(bought), give_back("socks-a"))
    assert after_first.done[0].total_cents == 0
    assert work_out(give_back("brush-1"), after_first).total_cents == at_once == 4533 - 4000


def test_a_restocking_fee_is_a_share_of_the_price() -> None:
    quote = work_out(give_back("lamp-1"), state(order(pieces={"lamp-1": 1}), policy(returns={"restocking_fee_percent": 15})))
    assert lines(quote) == [("item", 9999), ("restocking_fee", -1500)]
    assert quote.total_cents == 8499


POSTAGE = [
    {"id": "fault", "clause": "FAULT", "for": {"reasons": ["faulty", "wrong_item"]}, "paid_by": "shop"},
    {"id": "label", "clause": "POST", "for": {"countries": ["germany"]}, "paid_by": "deducted", "amount_cents": 490},
    {"id": "own", "clause": "POST", "paid_by": "customer"},
]
ABROAD = HOME.model_copy(update={"country": "France"})


@pytest.mark.parametrize(
    ("reason", "address", "paid_by", "refund"),
    [
        ("changed_mind", HOME, "deducted", 3510),
        ("changed_mind", ABROAD, "customer", 4000),
        ("faulty", HOME, "shop", 4000),
        ("wrong_item", ABROAD, "shop", 4000),
    ],
)
def test_postage_is_deducted_by_country_and_reason(reason: Any, address: Address, paid_by: str, refund: int) -> None:
    quote = work_out(give_back("shirt-m", reason=reason), state(order(address=address), policy(postage=POSTAGE)))
    assert (quote.postage_by, quote.total_cents) == (paid_by, refund)
    assert quote.clauses == ("RET", "FAULT" if paid_by == "shop" else "POST")


def test_postage_dearer_than_the_item_refunds_nothing_and_is_not_owed_later() -> None:
    before = state(order(), policy(postage=POSTAGE))
    socks = work_out(give_back("socks-a", reason="changed_mind"), before)
    assert (socks.total_cents, socks.moves) == (0, ())
    after = agreed(before, give_back("socks-a", reason="changed_mind"))
    assert work_out(give_back("shirt-m", reason="changed_mind"), after).total_cents == 4000 - 490


FAULT_REFUNDS_SHIPPING = [
    {"id": "fault", "clause": "FAULT", "for": {"reasons": ["faulty"]}, "refund_shipping": True, "paid": "at_once"},
    {"id": "r", "clause": "RET", "paid": "at_once"},
]


@pytest.mark.parametrize(
    ("pieces", "reason", "shipping"),
    [
        ("shirt-m socks-a", "faulty", 590),
        ("shirt-m", "faulty", 0),
        ("shirt-m socks-a", "changed_mind", 0),
    ],
)
def test_shipping_is_refunded_when_the_shop_is_at_fault_and_nothing_is_kept(pieces: str, reason: Any, shipping: int) -> None:
    before = state(order(shipping_cents=590), policy(returns=FAULT_REFUNDS_SHIPPING))
    quote = work_out(give_back(pieces, reason=reason), before)
    assert quote.total_cents == sum(PRICES[name] for name in pieces.split()) + shipping


def test_shipping_is_refunded_with_the_last_piece_and_once() -> None:
    before = state(order(shipping_cents=590), policy(returns=FAULT_REFUNDS_SHIPPING))
    after = agreed(before, give_back("socks-a", reason="changed_mind"))
    assert work_out(give_back("shirt-m", reason="faulty"), after).total_cents == 4590
    last = agreed(after, give_back("shirt-m", reason="faulty"))
    assert refusal(give_back("shirt-m", reason="faulty"), last).why == "already_back"


def test_shipping_is_kept_while_an_exchanged_piece_is_kept() -> None:
    before = agreed(state(order(shipping_cents=590), policy(returns=FAULT_REFUNDS_SHIPPING)), swap("shirt-m", "shirt-l"))
    assert work_out(give_back("socks-a", reason="faulty"), before).total_cents == 333


def test_an_exchanged_piece_still_counts_for_the_minimum_of_a_discount() -> None:
    bought = order(pieces={"shirt-m": 1, "brush-1": 1}, discounts=[off(1000, minimum_cents=4500)])
    after = agreed(state(bought), swap("shirt-m", "shirt-l"))
    assert work_out(give_back("brush-1"), after).total_cents == work_out(give_back("brush-1"), state(bought)).total_cents == 200


# Returns: of what


def test_a_piece_goes_back_once() -> None:
    before = state(order(pieces={"shirt-m": 2}))
    after = agreed(before, give_back("shirt-m"))
    assert refusal(give_back({"shirt-m": 2}), after).why == "already_back"
    assert refusal(give_back("shirt-m"), agreed(after, give_back("shirt-m"))).why == "already_back"


def test_pieces_that_are_named_one_by_one_all_count() -> None:
    one_by_one = ReturnRequest(order_id="#1", items=(Units(variant_id="shirt-m"), Units(variant_id="shirt-m")))
    before = state(order(pieces={"shirt-m": 2, "lamp-1": 1}))
    assert work_out(one_by_one, before).total_cents == 8000
    after = agreed(before, one_by_one)
    assert after.order
    assert kept_units(after.order, after.done)["shirt-m"] == 0
    assert refusal(give_back("shirt-m"), after).why == "already_back"


def test_what_was_not_bought_cannot_go_back() -> None:
    assert refusal(give_back({"shirt-m": 2}), state(order())).why == "not_in_order"
    assert refusal(give_back("lamp-1"), state(order())).why == "not_in_order"


def test_an_exchanged_piece_cannot_go_back_too() -> None:
    assert refusal(give_back("shirt-m"), agreed(state(order()), swap("shirt-m", "shirt-l"))).why == "already_back"


def test_an_order_that_is_not_there_is_not_found() -> None:
    for request in (give_back("shirt-m"), swap("shirt-m", "shirt-l"), CancellationRequest(order_id="#1")):
        assert refusal(request, state(None)).why == "order_not_found"


def test_once_per_order_counts_returns_and_exchanges() -> None:
    rules = policy(returns={"once_per_order": True}, exchanges={"once_per_order": True})
    for first in (give_back("shirt-m"), swap("shirt-m", "shirt-l")):
        after = agreed(state(order(pieces={"shirt-m": 2}), rules), first)
        assert refusal(give_back("shirt-m"), after).why == "once_only"
        assert refusal(swap("shirt-m", "shirt-l"), after).why == "once_only"


def test_conditions_and_clauses_come_from_every_rule_that_decides() -> None:
    rules = policy(
        returns=[
            {"id": "box", "clause": "FEE", "for": {"products": ["lamp"]}, "conditions": ["complete", "own_box"]},
            {"id": "r", "clause": "RET", "conditions": ["unused", "complete"]},
        ],
        postage=POSTAGE,
        refunds=[{"id": "any", "clause": "REF", "arrives": {"en": "soon"}}],
    )
    quote = work_out(
        give_back("lamp-1 shirt-m", reason="changed_mind"), state(order(pieces={"lamp-1": 1, "shirt-m": 1}), rules)
    )
    assert quote.conditions == ("complete", "own_box", "unused")
    assert quote.clauses == ("FEE", "RET", "POST", "REF")
    assert [each.en for each in quote.arrives] == ["soon"]
    assert quote.paid == "on_receipt"


# Returns: until when


def arrived(day: datetime) -> Order:
    return order(placed_at=day - timedelta(days=3), delivered_at=day)


@pytest.mark.parametrize(
    ("delivered", "last"),
    [
        # Shortly before midnight in Berlin, which is the day before in UTC terms of the deadline.
        (datetime(2026, 4, 20, 23, 59, tzinfo=BERLIN), datetime(2026, 5, 20, 23, 59, 59, tzinfo=BERLIN)),
        (datetime(2026, 4, 20, 0, 0, tzinfo=BERLIN), datetime(2026, 5, 20, 23, 59, 59, tzinfo=BERLIN)),
        # Clocks go forward on 29 March and back on 25 October.
        (datetime(2026, 3, 10, 12, tzinfo=BERLIN), datetime(2026, 4, 9, 23, 59, 59, tzinfo=BERLIN)),
        (datetime(2026, 10, 10, 0, 30, tzinfo=BERLIN), datetime(2026, 11, 9, 23, 59, 59, tzinfo=BERLIN)),
        (datetime(2026, 9, 25, 23, 30, tzinfo=BERLIN), datetime(2026, 10, 25, 23, 59, 59, tzinfo=BERLIN)),
    ],
)
def test_the_window_ends_with_day_30_where_the_shop_is(delivered: datetime, last: datetime) -> None:
    rules = policy(returns={"window_days": 30})
    bought = arrived(delivered.astimezone(UTC))
    work_out(give_back("shirt-m"), state(bought, rules, now=last.astimezone(UTC)))
    late = refusal(give_back("shirt-m"), state(bought, rules, now=last.astimezone(UTC) + timedelta(seconds=1)))
    assert (late.why, late.clause) == ("too_late", "RET")
    assert late.values == {"days": 31, "window": 30}


def test_without_a_day_of_delivery_a_person_decides_on_a_window() -> None:
    refused = refusal(give_back("shirt-m"), state(order(delivered_at=None), policy(returns={"window_days": 30})))
    assert (refused.why, refused.person) == ("delivery_unknown", True)
    assert work_out(give_back("shirt-m"), state(order(delivered_at=None))).total_cents == 4000


def test_an_order_has_the_rule_of_the_day_on_which_it_was_placed_where_the_shop_is() -> None:
    rules = policy(
        returns=[
            {"id": "old", "clause": "RET-OLD", "to": "2026-04-30"},
            {"id": "r", "clause": "RET", "from": "2026-05-01"},
        ]
    )
    # 22:30 in UTC is half past midnight on 1 May in Berlin.
    for minute, clause in ((0, "RET-OLD"), (30, "RET")):
        placed = datetime(2026, 4, 30, 21 if not minute else 22, minute, tzinfo=UTC)
        assert work_out(give_back("shirt-m"), state(order(placed_at=placed), rules)).clauses == (clause,)
    assert work_out(give_back("shirt-m"), state(order(placed_at=None), rules)).clauses == ("RET",)


def test_a_rule_for_other_statuses_refuses_with_its_clause() -> None:
    refused = refusal(give_back("shirt-m"), state(order(status="shipped")))
    assert (refused.why, refused.clause, refused.values["status"]) == ("status", "RET", "shipped")


def test_a_rule_that_forbids_is_quoted() -> None:
    rules = policy(returns=[{"id": "h", "clause": "HYG", "for": {"attributes": ["hygiene"]}, "allowed": False}, *RETURNS])
    refused = refusal(give_back("shirt-m brush-1"), state(order(pieces={"shirt-m": 1, "brush-1": 1}), rules))
    assert (refused.why, refused.clause, "title" in refused.values) == ("excluded", "HYG", True)


RETURNS = [{"id": "r", "clause": "RET", "paid": "at_once"}]


def test_without_a_rule_a_person_decides() -> None:
    empty = Policy()
    for request in (
        give_back("shirt-m"),
        swap("shirt-m", "shirt-l"),
        CancellationRequest(order_id="#1"),
        change(("shirt-m", "shirt-l")),
        PaymentChangeRequest(order_id="#1", pay_with="paypal"),
        AddressChangeRequest(order_id="#1", address=ABROAD),
    ):
        refused = refusal(request, state(order(), empty))
        assert (refused.why, refused.person) == ("no_rule", True)


# Returns: what only the customer knows

HYGIENE = policy(
    returns=[
        {
            "id": "h",
            "clause": "HYG",
            "for": {"attributes": ["hygiene"], "opened": True, "reasons": ["changed_mind", "does_not_fit"]},
            "allowed": False,
        },
        *RETURNS,
    ]
)


def test_a_question_is_asked_only_where_the_answer_matters() -> None:
    bought = state(order(pieces={"shirt-m": 1, "brush-1": 1}), HYGIENE)
    assert work_out(give_back("shirt-m"), bought).total_cents == 4000
    with pytest.raises(Unknown) as first:
        work_out(give_back("brush-1"), bought)
    assert first.value.question == "reason"
    with pytest.raises(Unknown) as second:
        work_out(give_back("brush-1", reason="changed_mind"), bought)
    assert second.value.question == "opened"
    assert work_out(give_back("brush-1", reason="faulty"), bought).total_cents == 1200
    assert work_out(give_back("brush-1", reason="changed_mind", opened=False), bought).total_cents == 1200
    assert refusal(give_back("brush-1", reason="changed_mind", opened=True), bought).clause == "HYG"


# Returns: where the money goes

TWO_WAYS = {"gift": 1000, "card": 3333}


@pytest.mark.parametrize(
    ("pieces", "refund_to", "expected"),
    [
        ("socks-a", None, [("refund", "card", 333)]),
        ("shirt-m", None, [("refund", "card", 3333), ("refund", "gift", 667)]),
        ("shirt-m socks-a", None, [("refund", "card", 3333), ("refund", "gift", 1000)]),
        ("shirt-m", "gift", [("refund", "gift", 1000), ("refund", "card", 3000)]),
        ("shirt-m", "card", [("refund", "card", 3333), ("refund", "gift", 667)]),
    ],
)
def test_a_refund_goes_to_other_methods_first_and_to_gift_cards_last(
    pieces: str, refund_to: str | None, expected: list[tuple[str, str, int]]
) -> None:
    assert moved(work_out(give_back(pieces, refund_to=refund_to), state(order(paid=TWO_WAYS)))) == expected


def test_no_method_gets_back_more_than_it_paid_over_several_returns() -> None:
    before = state(order(pieces={"shirt-m": 1, "socks-b": 1}, paid={"gift": 1000, "card": 3334}))
    after = agreed(before, give_back("shirt-m"))
    assert moved(work_out(give_back("socks-b"), after)) == [("refund", "gift", 334)]


def test_what_is_promised_already_is_not_promised_again() -> None:
    before = state(order(paid={"gift": 1000, "card": 3333}), policy(returns={"paid": "on_receipt"}))
    after = agreed(before, give_back("shirt-m"))
    assert after.done[0].paid == "on_receipt"
    assert moved(work_out(give_back("socks-a"), after)) == [("refund", "gift", 333)]


def test_a_refund_may_go_to_any_own_gift_card_where_the_rule_says_so() -> None:
    both = policy(returns={"refund_to": ["original", "gift_card"]})
    assert moved(work_out(give_back("shirt-m", refund_to="empty-gift"), state(order(), both))) == [
        ("refund", "empty-gift", 4000)
    ]
    assert refusal(give_back("shirt-m", refund_to="empty-gift"), state(order())).why == "refund_elsewhere"
    assert refusal(give_back("shirt-m", refund_to="paypal"), state(order(), both)).why == "refund_elsewhere"


def test_a_refund_that_went_to_another_gift_card_is_not_made_again() -> None:
    both = policy(returns={"refund_to": ["original", "gift_card"]})
    after = agreed(state(order(), both), give_back("shirt-m", refund_to="empty-gift"))
    assert moved(work_out(give_back("socks-a"), after)) == [("refund", "card", 333)]


def test_a_rule_may_refund_to_gift_cards_only() -> None:
    only = policy(returns={"refund_to": ["gift_card"]})
    assert moved(work_out(give_back("shirt-m"), state(order(), only))) == [("refund", "gift", 4000)]
    assert refusal(give_back("shirt-m", refund_to="card"), state(order(), only)).why == "refund_elsewhere"
    without = ANNA.model_copy(update={"payment_methods": ANNA.payment_methods[:2]})
    refused = refusal(give_back("shirt-m"), state(order(), only, customer=without))
    assert (refused.why, refused.person) == ("no_gift_card", True)


@pytest.mark.parametrize("method", ["bens-card", "nothing"])
def test_money_goes_to_no_method_of_somebody_else(method: str) -> None:
    pending = state(order(status="pending"))
    requests = (
        (give_back("shirt-m", refund_to=method), state(order())),
        (swap("shirt-m", "shirt-s", pay_with=method), state(order())),
        (change(("shirt-m", "shirt-s"), pay_with=method), pending),
        (PaymentChangeRequest(order_id="#1", pay_with=method), pending),
    )
    for request, of in requests:
        assert refusal(request, of).why == "not_your_method"


def test_without_known_payments_a_person_refunds() -> None:
    requests: tuple[tuple[Request, OrderStatus], ...] = (
        (give_back("shirt-m"), "delivered"),
        (swap("shirt-m", "shirt-s"), "delivered"),
        (swap("shirt-m", "shirt-s", pay_with="paypal"), "delivered"),
        (change(("shirt-m", "shirt-s"), pay_with="paypal"), "pending"),
    )
    for request, status in requests:
        refused = refusal(request, state(order(paid={}, status=status)))
        assert (refused.why, refused.person) == ("payments_unknown", True)


# Exchanges


@pytest.mark.parametrize(
    ("new", "expected"),
    [("shirt-l", []), ("shirt-xl", [("payment", "card", 500)]), ("shirt-s", [("refund", "card", 500)])],
)
def test_an_exchange_charges_or_refunds_the_difference(new: str, expected: list[tuple[str, str, int]]) -> None:
    quote = work_out(swap("shirt-m", new), state(order()))
    assert moved(quote) == expected
    assert quote.total_cents == PRICES["shirt-m"] - PRICES[new]
    assert lines(quote) == [("item", 4000), ("new_item", -PRICES[new])]


def test_an_exchange_for_the_same_variant_costs_what_it_cost() -> None:
    dearer = tuple(
        each.model_copy(update={"variants": tuple(v.model_copy(update={"price_cents": 9000}) for v in each.variants)})
        for each in PRODUCTS
    )
    quote = work_out(swap("shirt-m", "shirt-m"), state(order(), product={each.id: each for each in dearer}.get))
    assert (quote.total_cents, quote.moves) == (0, ())


def test_an_exchange_deducts_postage_where_the_rule_says_so() -> None:
    rules = policy(exchange_postage=[{"id": "label", "clause": "POST", "paid_by": "deducted", "amount_cents": 490}])
    assert moved(work_out(swap("shirt-m", "shirt-l"), state(order(), rules))) == [("payment", "card", 490)]
    assert moved(work_out(swap("shirt-m", "shirt-s"), state(order(), rules))) == [("refund", "card", 10)]


@pytest.mark.parametrize(
    ("new", "why"),
    [("shirt-xxl", "sold_out"), ("socks-a", "other_product"), ("nothing", "other_product"), ("shirt-old", "price_unknown")],
)
def test_an_exchange_needs_a_variant_of_the_same_product_in_stock_at_a_known_price(new: str, why: str) -> None:
    refused = refusal(swap("shirt-m", new), state(order()))
    assert (refused.why, refused.person) == (why, why == "price_unknown")


def test_an_exchange_needs_enough_stock_for_all_its_swaps_together() -> None:
    bought = state(order(pieces={"shirt-m": 2, "shirt-s": 1}))
    work_out(swap("shirt-m", "shirt-l", 2), bought)
    swaps = (
        Swap(variant_id="shirt-m", new_variant_id="shirt-l", quantity=2),
        Swap(variant_id="shirt-s", new_variant_id="shirt-l"),
    )
    assert refusal(ExchangeRequest(order_id="#1", swaps=swaps), bought).why == "sold_out"


def test_a_variant_without_a_count_is_never_sold_out() -> None:
    quote = work_out(swap("socks-b", "socks-a", 99), state(order(pieces={"socks-b": 99})))
    assert quote.total_cents == 99


def test_a_gift_card_pays_no_more_than_its_balance() -> None:
    assert moved(work_out(swap("shirt-m", "shirt-xl", pay_with="gift"), state(order()))) == [("payment", "gift", 500)]
    assert refusal(swap("shirt-m", "shirt-xl", pay_with="empty-gift"), state(order())).why == "balance_short"


def test_a_difference_goes_back_to_other_methods_first_and_to_none_more_than_it_paid() -> None:
    before = state(order(pieces={"shirt-xl": 1}, paid={"gift": 4000, "card": 500}))
    assert moved(work_out(swap("shirt-xl", "shirt-s"), before)) == [("refund", "card", 500), ("refund", "gift", 500)]


def test_an_exchange_refunds_no_more_than_was_paid() -> None:
    before = state(order(pieces={"shirt-xl": 1}, discounts=[off(4400)]))
    quote = work_out(swap("shirt-xl", "shirt-s"), before)
    assert quote.total_cents == 100
    assert moved(quote) == [("refund", "card", 100)]
    assert sum(cents for _, cents in lines(quote)) == 100


def test_what_an_exchange_promises_is_not_refunded_again() -> None:
    rules = policy(exchanges={"paid": "on_receipt"}, cancellations={"statuses": ["delivered"]})
    after = agreed(state(order(pieces={"shirt-m": 1}), rules), swap("shirt-m", "shirt-s"))
    assert after.done[0].refund_cents == 500
    assert work_out(CancellationRequest(order_id="#1"), after).total_cents == 3500


# Cancellations


@pytest.mark.parametrize("status", ["pending_changed", "processed", "shipped", "delivered", "cancelled", "returned"])
def test_only_a_pending_order_is_cancelled(status: OrderStatus) -> None:
    refused = refusal(CancellationRequest(order_id="#1"), state(order(status=status)))
    assert (refused.why, refused.clause, refused.values["status"]) == ("cancel_status", "CAN", status)


def test_a_cancellation_refunds_everything_to_the_methods_that_paid() -> None:
    bought = order(status="pending", paid={"gift": 1000, "card": 2923}, discounts=[off(1000)], shipping_cents=590)
    quote = work_out(CancellationRequest(order_id="#1"), state(bought))
    assert moved(quote) == [("refund", "card", 2923), ("refund", "gift", 1000)]
    assert quote.total_cents == 3923 == sum(cents for _, cents in lines(quote))


def test_a_cancellation_after_a_change_refunds_what_is_still_paid() -> None:
    after = agreed(state(order(status="pending")), change(("shirt-m", "shirt-s"), pay_with="gift"))
    assert moved(work_out(CancellationRequest(order_id="#1"), after)) == [("refund", "card", 3833)]


def test_an_order_is_cancelled_once_even_if_an_import_brings_it_back() -> None:
    bought = order(status="pending")
    cancelled = agreed(state(bought), CancellationRequest(order_id="#1"))
    refused = refusal(CancellationRequest(order_id="#1"), replace(cancelled, order=bought))
    assert (refused.why, refused.values["status"]) == ("cancel_status", "cancelled")


# Changes


def test_an_item_change_settles_the_difference() -> None:
    pending = state(order(status="pending"))
    dearer = work_out(change(("shirt-m", "shirt-xl")), pending)
    assert (moved(dearer), dearer.total_cents) == ([("payment", "card", 500)], -500)
    cheaper = work_out(change(("shirt-m", "shirt-s")), pending)
    assert (moved(cheaper), cheaper.total_cents) == ([("refund", "card", 500)], 500)


def test_an_item_may_be_left_out_of_an_order() -> None:
    quote = work_out(change(without="socks-a"), state(order(status="pending", shipping_cents=590)))
    assert moved(quote) == [("refund", "card", 333)]


def test_leaving_everything_out_is_a_cancellation() -> None:
    assert refusal(change(without="shirt-m socks-a"), state(order(status="pending"))).why == "cancel_instead"


def test_items_left_out_one_by_one_all_count() -> None:
    request = ItemChangeRequest(order_id="#1", without=(Units(variant_id="socks-b"), Units(variant_id="socks-b")))
    bought = order(pieces={"shirt-m": 1, "socks-b": 3}, status="pending")
    assert work_out(request, state(bought)).total_cents == 668
    after = agreed(state(bought), request)
    assert after.order
    assert [(item.variant_id, item.quantity) for item in after.order.items] == [("shirt-m", 1), ("socks-b", 1)]


def test_an_item_change_loses_a_discount_below_its_minimum() -> None:
    bought = order(pieces={"shirt-m": 1, "brush-1": 1}, status="pending", discounts=[off(1000, minimum_cents=4500)])
    quote = work_out(change(without="brush-1"), state(bought))
    assert quote.total_cents == 200
    assert lines(quote) == [("item", 1200), ("discount", -1000)]


def test_an_item_change_needs_a_change() -> None:
    assert refusal(change(("shirt-m", "shirt-m")), state(order(status="pending"))).why == "nothing_to_change"


def test_an_item_that_is_swapped_for_itself_keeps_its_price() -> None:
    bought = order(pieces={"shirt-m": 1, "shirt-s": 1}, status="pending")
    cheap = tuple(
        each.model_copy(update={"price_cents": 100}) if each.id == "shirt-m" else each for each in PRODUCTS[0].variants
    )
    today = PRODUCTS[0].model_copy(update={"variants": cheap})
    before = state(bought, product={"shirt": today}.get)
    assert work_out(change(("shirt-m", "shirt-m"), ("shirt-s", "shirt-l")), before).total_cents == -500


@pytest.mark.parametrize("status", ["processed", "shipped", "delivered", "cancelled", "pending_changed"])
def test_only_a_pending_order_is_changed(status: OrderStatus) -> None:
    of = state(order(status=status))
    for request, clause in (
        (change(("shirt-m", "shirt-l")), "ITEM"),
        (PaymentChangeRequest(order_id="#1", pay_with="paypal"), "PAY"),
        (AddressChangeRequest(order_id="#1", address=ABROAD), "ADDR"),
    ):
        refused = refusal(request, of)
        assert (refused.why, refused.clause) == ("change_status", clause)


def test_a_change_that_locks_is_the_last_one_even_if_an_import_brings_the_order_back() -> None:
    bought = order(status="pending")
    before = state(bought, policy(item_changes={"locks": True}))
    assert work_out(change(("shirt-m", "shirt-s")), before).locks
    after = agreed(before, change(("shirt-m", "shirt-s")))
    refused = refusal(change(("shirt-m", "shirt-s")), replace(after, order=bought))
    assert (refused.why, refused.values["status"]) == ("change_status", "pending_changed")


def test_a_payment_change_moves_the_whole_sum() -> None:
    quote = work_out(PaymentChangeRequest(order_id="#1", pay_with="paypal"), state(order(status="pending")))
    assert moved(quote) == [("payment", "paypal", 4333), ("refund", "card", 4333)]
    assert quote.total_cents == 0


@pytest.mark.parametrize(
    ("pay_with", "paid", "why"),
    [
        ("card", {"card": 4333}, "same_payment"),
        ("empty-gift", {"card": 4333}, "balance_short"),
        ("paypal", {"card": 333, "gift": 4000}, "payment_split"),
    ],
)
def test_a_payment_change_is_refused(pay_with: str, paid: dict[str, int], why: str) -> None:
    of = state(order(status="pending", paid=paid))
    assert refusal(PaymentChangeRequest(order_id="#1", pay_with=pay_with), of).why == why


def test_an_address_change_may_have_to_stay_in_the_country() -> None:
    within = HOME.model_copy(update={"line1": "2 High Street", "country": "GERMANY"})
    of = state(order(status="pending"), policy(address_changes={"same_country": True}))
    assert work_out(AddressChangeRequest(order_id="#1", address=within), of).moves == ()
    assert refusal(AddressChangeRequest(order_id="#1", address=ABROAD), of).why == "other_country"
    assert refusal(AddressChangeRequest(order_id="#1", address=HOME), of).why == "same_address"
    assert work_out(AddressChangeRequest(order_id="#1", address=ABROAD), state(order(status="pending"))).clauses == ("ADDR",)


def test_the_address_of_an_account_is_the_customers_to_change() -> None:
    assert work_out(CustomerAddressRequest(address=ABROAD), state(None)).clauses == ()
    assert refusal(CustomerAddressRequest(address=HOME), state(None)).why == "same_address"


# Caps


@pytest.mark.parametrize(
    ("caps", "today", "over"),
    [
        ({"order_cents": 4333}, {}, False),
        ({"order_cents": 4332}, {}, True),
        ({"customer_day_cents": 5333}, {"customer": 1000}, False),
        ({"customer_day_cents": 5332}, {"customer": 1000}, True),
        ({"shop_day_cents": 9333}, {"customer": 1000, "shop": 5000}, False),
        ({"shop_day_cents": 9332}, {"customer": 1000, "shop": 5000}, True),
    ],
)
def test_above_a_cap_a_person_decides(caps: dict[str, int], today: dict[str, int], over: bool) -> None:
    of = state(order(), policy(caps=caps), refunded_today_cents={"customer": 0, "shop": 0, **today})
    if over:
        refused = refusal(give_back("shirt-m socks-a"), of)
        assert (refused.why, refused.person) == ("over_cap", True)
    else:
        assert work_out(give_back("shirt-m socks-a"), of).total_cents == 4333


def test_the_cap_of_an_order_counts_all_its_refunds() -> None:
    before = state(order(), policy(caps={"order_cents": 4000}))
    assert refusal(give_back("socks-a"), agreed(before, give_back("shirt-m"))).why == "over_cap"


def test_a_payment_change_is_no_refund_to_a_cap() -> None:
    before = state(order(status="pending"), policy(caps={"order_cents": 0, "customer_day_cents": 0, "shop_day_cents": 0}))
    assert work_out(PaymentChangeRequest(order_id="#1", pay_with="paypal"), before).refund_cents == 4333


# Any order, returned in any parts


@dataclass(frozen=True)
class Parts:
    bought: Order
    returns: tuple[ReturnRequest, ...]


@st.composite
def orders_in_parts(draw: st.DrawFn) -> Parts:
    """An order paid in full in up to two ways, and its pieces in random groups in random order."""
    pieces = draw(
        st.dictionaries(
            st.sampled_from(sorted(name for name, price in PRICES.items() if price)), st.integers(1, 3), min_size=1, max_size=4
        )
    )
    value = sum(PRICES[name] * quantity for name, quantity in pieces.items())
    discounts: list[Discount] = draw(st.lists(st.builds(off, st.integers(1, value + 500), st.integers(0, value)), max_size=2))
    bought = order(pieces=pieces, discounts=discounts, shipping_cents=draw(st.sampled_from([0, 590])))
    by_gift_card = draw(st.integers(0, bought.total_cents))
    paid = {name: cents for name, cents in (("gift", by_gift_card), ("card", bought.total_cents - by_gift_card)) if cents}
    single = draw(st.permutations([name for name, quantity in pieces.items() for _ in range(quantity)]))
    cuts = sorted(draw(st.sets(st.integers(1, len(single)), max_size=3)) | {0, len(single)})
    groups = [single[start:end] for start, end in pairwise(cuts)]
    return Parts(
        order(pieces=pieces, discounts=discounts, shipping_cents=bought.shipping_cents, paid=paid),
        tuple(give_back(" ".join(group)) for group in groups),
    )


def refunds_of(parts: Parts, rules: Policy | None = None) -> tuple[list[State], list[Quote]]:
    """The states before, between and after the returns, and their quotes."""
    states = [state(parts.bought, rules)]
    for request in parts.returns:
        assert states[-1].order
        if sum(cents_left(states[-1]).values()) <= 0:
            break
        states.append(agreed(states[-1], request))
    return states, list(states[-1].done)


def cents_left(of: State) -> Counter[str]:
    """What each method paid and did not get back, promises counted as kept."""
    assert of.order
    left: Counter[str] = Counter()
    for payment in of.order.payments:
        left[payment.payment_method_id] += payment.amount_cents if payment.kind == "payment" else -payment.amount_cents
    for quote in of.done:
        if quote.paid == "on_receipt":
            for move in quote.moves:
                left[move.payment_method_id] -= move.amount_cents
    return left


@settings(max_examples=150, deadline=None)
@given(orders_in_parts(), st.sampled_from(["at_once", "on_receipt"]))
def test_what_is_still_paid_is_what_the_kept_pieces_cost(parts: Parts, paid: str) -> None:
    states, quotes = refunds_of(parts, policy(returns={"paid": paid}))
    bought = parts.bought
    lowest = bought.total_cents - bought.shipping_cents
    for after, quote in zip(states[1:], quotes, strict=True):
        assert min(cents_left(after).values()) >= 0
        assert quote.total_cents == quote.refund_cents == sum(line.amount_cents for line in quote.lines)
        kept = price_after_discounts(bought, kept_units(bought, after.done)) + bought.shipping_cents
        still_paid = sum(cents_left(after).values())
        lowest = min(lowest, kept - bought.shipping_cents)
        # A return takes nothing off the customer, so after a lost discount kept pieces may have been paid below their price.
        assert still_paid == lowest + bought.shipping_cents <= kept


@settings(max_examples=150, deadline=None)
@given(orders_in_parts())
def test_all_pieces_returned_in_any_parts_refund_what_was_paid_for_them(parts: Parts) -> None:
    _, quotes = refunds_of(parts)
    assert sum(quote.total_cents for quote in quotes) == parts.bought.total_cents - parts.bought.shipping_cents


@settings(max_examples=100, deadline=None)
@given(orders_in_parts(), st.integers(0, 100), st.integers(0, 2000))
def test_fees_stay_with_the_shop_and_refunds_are_never_negative(parts: Parts, percent: int, label: int) -> None:
    rules = policy(
        returns={"restocking_fee_percent": percent},
        postage=[{"id": "label", "clause": "POST", "paid_by": "deducted", "amount_cents": label}],
    )
    states, quotes = refunds_of(parts, rules)
    fees = 0
    for after, quote in zip(states[1:], quotes, strict=True):
        assert quote.total_cents >= 0
        assert quote.total_cents == max(0, sum(line.amount_cents for line in quote.lines))
        fees -= sum(line.amount_cents for line in quote.lines if line.kind in ("restocking_fee", "postage"))
        kept = price_after_discounts(parts.bought, kept_units(parts.bought, after.done))
        assert sum(cents_left(after).values()) <= kept + parts.bought.shipping_cents + fees
        assert min(cents_left(after).values()) >= 0


def test_leaving_something_out_costs_the_shipping_that_was_free() -> None:
    total = PRICES["shirt-m"] + PRICES["socks-a"]
    rules = policy(shipping=[{"id": "free", "clause": "POST", "free_from_cents": total, "fee_cents": 300}])
    pending = order(status="pending")
    quote = work_out(change(without="socks-a"), state(pending, rules))
    assert ("shipping_fee", -300) in lines(quote)
    assert quote.total_cents == PRICES["socks-a"] - 300
    assert "POST" in quote.clauses
    # What never shipped free, or still does, costs nothing more.
    for free_from in (total + 1, PRICES["shirt-m"]):
        other = policy(shipping=[{"id": "free", "clause": "POST", "free_from_cents": free_from, "fee_cents": 300}])
        assert work_out(change(without="socks-a"), state(pending, other)).total_cents == PRICES["socks-a"]
    charged = order(status="pending", shipping_cents=300)
    assert work_out(change(without="socks-a"), state(charged, rules)).total_cents == PRICES["socks-a"]
