"""The demo shop's policy, customers, orders and baskets hold together, as the words about them promise."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar, get_args

import pytest

from tools.shop.types import Basket, Clause, Customer, Order, OrderStatus, Payment, PaymentMethod, Product, Record

DEMO = Path(__file__).parents[3] / "tools" / "shop" / "demo"
AS_OF = date(2026, 11, 20)
CHINESE = re.compile(r"[\u4e00-\u9fff]")
R = TypeVar("R", bound=Record)


def read(name: str, kind: type[R]) -> dict[str, R]:
    """The records of one file by id; fails on an invalid line and on an id that stands there twice."""
    records = [kind.model_validate_json(line) for line in (DEMO / name).read_text("utf-8").splitlines()]
    by_id = {str(getattr(record, "id")): record for record in records}  # noqa: B009
    assert len(by_id) == len(records)
    return by_id


PRODUCTS = read("products.jsonl", Product)
CLAUSES = read("clauses.jsonl", Clause)
CUSTOMERS = read("customers.jsonl", Customer)
ORDERS = read("orders.jsonl", Order)
BASKETS = read("baskets.jsonl", Basket)
every_order = pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
every_clause = pytest.mark.parametrize("clause", CLAUSES.values(), ids=CLAUSES)


def figures(text: str) -> Counter[str]:
    """Every number in a text, as written, with how often it stands there."""
    return Counter(re.findall(r"\d+(?:[.:,]\d+)*", text))


def paid(order: Order, kind: str) -> Counter[str]:
    """Cents by payment method."""
    sums: Counter[str] = Counter()
    for payment in order.payments:
        if payment.kind == kind:
            sums[payment.payment_method_id] += payment.amount_cents
    return sums


def replaced_clauses() -> Iterator[tuple[Clause, Clause]]:
    """(old, new) for each clause that was replaced: RET-1-2025 by RET-1."""
    for clause in CLAUSES.values():
        if old := re.fullmatch(r"(\w+-\d+)-\d{4}", clause.id):
            yield clause, CLAUSES[old[1]]


def test_the_demo_shop_has_the_records_that_the_readers_are_promised() -> None:
    assert len([c for c in CLAUSES.values() if c.kind == "policy"]) >= 35
    assert len([c for c in CLAUSES.values() if c.kind == "faq"]) >= 20
    assert list(CUSTOMERS) == [f"c{number:03d}" for number in range(1, 31)]
    assert list(ORDERS) == [str(number) for number in range(1001, 1081)]
    assert list(BASKETS) == [f"b{number:04d}" for number in range(1, 3001)]


@every_clause
def test_a_clause_says_the_same_numbers_in_both_languages(clause: Clause) -> None:
    for text in (clause.title, clause.text):
        assert text.en
        assert text.zh
        assert CHINESE.search(text.zh)
        assert not CHINESE.search(text.en)
        assert figures(text.en) == figures(text.zh)


@every_clause
def test_a_clause_can_be_asked_for_in_both_languages(clause: Clause) -> None:
    chinese = [question for question in clause.questions if CHINESE.search(question)]
    assert len(chinese) >= 2
    assert len(clause.questions) - len(chinese) >= 2


@every_clause
def test_an_exception_names_clauses_that_exist(clause: Clause) -> None:
    assert clause.id not in clause.overrides
    assert set(clause.overrides) <= set(CLAUSES)


@pytest.mark.parametrize(
    ("topic", "clause_id"),
    [
        ("underwear", "RET-4"),
        ("socks", "RET-4"),
        ("swimwear", "RET-4"),
        ("earrings", "RET-5"),
        ("food", "RET-6"),
        ("final sale", "RET-7"),
        ("personalised", "RET-8"),
        ("gift cards", "GFT-2"),
    ],
)
def test_what_cannot_be_returned_is_named_first_and_overrides_the_return_window(topic: str, clause_id: str) -> None:
    clause = CLAUSES[clause_id]
    before, _, _ = (clause.text.en or "").partition("cannot be returned")
    assert topic in before.lower()
    assert "." not in before
    assert {"RET-1", "RET-1-2025", "RET-10", "EXC-1"} <= set(clause.overrides)


def test_a_replaced_clause_ends_before_its_successor_begins_and_had_other_numbers() -> None:
    replaced = list(replaced_clauses())
    assert len(replaced) == 2
    for old, new in replaced:
        assert old.effective_to is not None
        assert new.effective_from == old.effective_to + timedelta(days=1)
        assert not old.in_force(AS_OF)
        assert new.in_force(AS_OF)
        assert figures(old.text.en or "") != figures(new.text.en or "")


def test_customers_write_in_two_languages_and_pay_in_every_way() -> None:
    assert {customer.language for customer in CUSTOMERS.values()} == {"en", "zh"}
    kinds = {method.kind for customer in CUSTOMERS.values() for method in customer.payment_methods}
    assert kinds == set(get_args(PaymentMethod.model_fields["kind"].annotation))
    assert {payment_kind(payment) for order in ORDERS.values() for payment in order.payments} == kinds
    assert len({customer.address.country for customer in CUSTOMERS.values()}) >= 5


def payment_kind(payment: Payment) -> str:
    """Card, PayPal or whatever moved the money."""
    methods = [method for customer in CUSTOMERS.values() for method in customer.payment_methods]
    return {method.id: method.kind for method in methods}[payment.payment_method_id]


def test_customers_cannot_be_anybody_real() -> None:
    for customer in CUSTOMERS.values():
        assert customer.email.endswith("@example.com")
        assert re.search(r"555-01\d\d$", customer.phone or "")
        for method in customer.payment_methods:
            assert (method.last_four is not None) == (method.kind == "card")
            assert (method.balance_cents is not None) == (method.kind == "gift_card")


def test_orders_stand_in_every_state() -> None:
    assert {order.status for order in ORDERS.values()} == set(get_args(OrderStatus)) - {"pending_changed"}


def test_some_customers_have_many_orders_and_two_have_none() -> None:
    orders = Counter(order.customer_id for order in ORDERS.values())
    assert max(orders.values()) >= 5
    assert 1 in orders.values()
    assert len(set(CUSTOMERS) - set(orders)) == 2


@every_order
def test_an_order_holds_variants_of_the_catalogue_at_its_prices(order: Order) -> None:
    for item in order.items:
        product = PRODUCTS[item.product_id]
        variant = {variant.id: variant for variant in product.variants}[item.variant_id]
        assert item.title == product.title
        assert item.options == variant.options
        assert item.unit_price_cents == variant.price_cents


@every_order
def test_an_order_is_paid_by_its_customer_and_paid_back_when_it_came_to_nothing(order: Order) -> None:
    customer = CUSTOMERS[order.customer_id]
    assert {payment.payment_method_id for payment in order.payments} <= {method.id for method in customer.payment_methods}
    payments, refunds = paid(order, "payment"), paid(order, "refund")
    assert payments.total() == order.total_cents
    assert refunds == (payments if order.status in ("cancelled", "returned") else Counter())
    assert order.address == customer.address


@every_order
def test_the_parcels_of_an_order_are_where_its_state_says(order: Order) -> None:
    end_of_demo = datetime(AS_OF.year, AS_OF.month, AS_OF.day, 23, 59, tzinfo=UTC)
    assert order.placed_at is not None
    assert date(2026, 7, 1) <= order.placed_at.date() <= AS_OF
    for parcel in order.fulfilments:
        times = [order.placed_at, parcel.shipped_at, parcel.delivered_at]
        known = [time for time in times if time]
        assert known == sorted(known)
        assert known[-1] <= end_of_demo
        assert bool(parcel.tracking_number) == bool(parcel.shipped_at and parcel.carrier != "e-mail")
    parcels = order.fulfilments
    packed = Counter(variant for parcel in parcels for variant in parcel.variant_ids)
    if order.status in ("pending", "cancelled"):
        assert not parcels
        return
    assert packed == Counter(item.variant_id for item in order.items)
    if order.status == "processed":
        assert not any(parcel.shipped_at for parcel in parcels)
    elif order.status == "shipped":
        assert any(parcel.shipped_at for parcel in parcels)
        assert not all(parcel.delivered_at for parcel in parcels)
    else:
        assert all(parcel.delivered_at for parcel in parcels)


def test_one_parcel_is_late_one_is_lost_and_one_order_left_only_in_part() -> None:
    on_their_way = [(o, p) for o in ORDERS.values() if o.status == "shipped" for p in o.fulfilments if not p.delivered_at]
    overdue = sorted(
        (AS_OF - p.expected_at.date()).days for _, p in on_their_way if p.expected_at and p.expected_at.date() < AS_OF
    )
    assert len(overdue) == 2
    assert overdue[0] < 14 < overdue[1]
    assert len({o.id for o, p in on_their_way if not p.shipped_at}) == 1


def test_the_first_customer_waits_for_a_parcel_and_has_a_jacket_and_underwear_at_home() -> None:
    orders = [order for order in ORDERS.values() if order.customer_id == "c001"]
    assert Counter(order.status for order in orders) == {"delivered": 2, "cancelled": 1, "shipped": 1, "pending": 1}
    last_delivered = [order for order in orders if order.status == "delivered"][-1]
    delivered_at = last_delivered.fulfilments[0].delivered_at
    assert delivered_at is not None
    assert (AS_OF - delivered_at.date()).days == 7
    categories = [PRODUCTS[item.product_id].category.en for item in last_delivered.items]
    assert categories == ["Jackets & coats", "Underwear & socks"]


def test_baskets_hold_known_products_of_the_past_year() -> None:
    for basket in BASKETS.values():
        assert set(basket.product_ids) <= set(PRODUCTS)
        assert 1 <= len(set(basket.product_ids)) == len(basket.product_ids) <= 6
        assert basket.customer_id is None or basket.customer_id in CUSTOMERS
        assert basket.placed_at is not None
        assert AS_OF - timedelta(days=366) < basket.placed_at.date() <= AS_OF


def test_what_is_bought_together_makes_sense() -> None:
    def together(left: str, right: str) -> float:
        """How much more often the two share a basket than chance would have it."""
        counts = [
            sum(wanted <= set(basket.product_ids) for basket in BASKETS.values()) for wanted in ({left, right}, {left}, {right})
        ]
        return counts[0] * len(BASKETS) / (counts[1] * counts[2])

    ids = {product.title.en: product.id for product in PRODUCTS.values()}
    for left, right in (
        ("Ridge Hiking Boots", "Merino Hiking Socks"),
        ("Dome Tent for Two", "Three-Season Sleeping Bag"),
        ("Harbour Breakfast Black Tea", "Hand-Glazed Stoneware Mug"),
        ("Men's Oxford Shirt", "Men's Chino Trousers"),
        ("Breeze Linen Midi Dress", "Wide-Brim Straw Hat"),
    ):
        assert together(ids[left], ids[right]) > 3


def test_every_product_was_bought_and_a_few_are_bought_most() -> None:
    bought = Counter(product for basket in BASKETS.values() for product in basket.product_ids)
    assert set(bought) == set(PRODUCTS)
    most_popular_fifth = bought.most_common(len(PRODUCTS) // 5)
    assert sum(count for _, count in most_popular_fifth) > 0.35 * bought.total()


def test_no_clause_lists_the_very_sentences_it_is_tested_with() -> None:
    asked = {question.lower().strip("?\uff1f ") for clause in CLAUSES.values() for question in clause.questions}
    assert not asked & {"退货流程", "如何申请退款", "can i return underwear"}
