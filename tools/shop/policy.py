"""The shop's rules for returns, exchanges, cancellations and changes: policy.yaml, checked when it is loaded.

A file of sections, each a list of rules read from top to bottom: the first rule that was in force on the order's day and fits
the item decides. What a rule says in words stands in the clause it names; that clause is what the customer reads.

    returns:
      - id: hygiene
        clause: RET-4                         # quoted to the customer
        for: {attributes: [hygiene], opened: true, reasons: [changed_mind, does_not_fit]}
        allowed: false
      - id: window
        clause: RET-1
        from: 2026-01-01                      # for orders placed from this day on; `to` is the last day
        window_days: 30                       # after delivery

Every section that is there ends with rules for everything (no `for`), and these leave no day without a rule.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import ConfigDict, Field

from tools.kit.checked_yaml import line_of, read_yaml
from tools.kit.errors import BadSettings
from tools.shop.types import Cents, Id, LocalText, OrderStatus, Record

Reason = Literal["changed_mind", "does_not_fit", "faulty", "wrong_item", "by_mistake"]
"""Why a customer wants it; `faulty` covers damage and missing parts."""
MethodKind = Literal["card", "paypal", "gift_card", "wechat_pay", "alipay"]
Condition = Literal["unused", "unwashed", "with_tags", "complete", "unopened", "own_box"]
Question = Literal["reason", "opened"]
"""What only the customer knows."""


class Scope(Record):
    """What a rule is for; what is left out does not matter to it."""

    products: tuple[Id, ...] = ()
    categories: tuple[str, ...] = ()
    """English titles of product categories, any case."""
    attributes: tuple[str, ...] = ()
    """Names of product attributes of which one must be there, like "hygiene"."""
    countries: tuple[str, ...] = ()
    """Countries that the order was sent to, as addresses spell them, any case."""
    reasons: tuple[Reason, ...] = ()
    opened: bool | None = None
    """Whether pack or seal were opened."""
    methods: tuple[MethodKind, ...] = ()
    """How it was paid, or how the money goes back."""
    within_days: Annotated[int, Field(ge=0)] | None = None
    """At most so many days after delivery."""
    exchanges_before: Annotated[int, Field(ge=0)] | None = None
    """At most so many exchanges of the order before this one: 0 is its first."""


class Rule(Record):
    """One rule. `allowed: false` forbids; `clause` is the clause that says so in words."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    id: Id
    clause: Id
    effective_from: Annotated[date | None, Field(alias="from")] = None
    effective_to: Annotated[date | None, Field(alias="to")] = None
    scope: Annotated[Scope, Field(alias="for")] = Scope()

    def in_force(self, day: date) -> bool:
        """Whether the rule holds for an order of `day`, both ends included."""
        return (self.effective_from or day) <= day <= (self.effective_to or day)


class ReturnRule(Rule):
    """When an item may come back, and what is paid back."""

    allowed: bool = True
    statuses: tuple[OrderStatus, ...] = ("delivered",)
    window_days: Annotated[int, Field(ge=0)] | None = None
    """After delivery; None is no limit."""
    conditions: tuple[Condition, ...] = ()
    restocking_fee_percent: Annotated[int, Field(ge=0, le=100)] = 0
    refund_to: Annotated[tuple[Literal["original", "gift_card"], ...], Field(min_length=1)] = ("original",)
    refund_shipping: bool = False
    """Whether the shipping that was paid is refunded too, once nothing of the order is kept."""
    paid: Literal["at_once", "on_receipt"] = "on_receipt"
    once_per_order: bool = False


class ExchangeRule(Rule):
    """When an item may be swapped for another variant of the same product."""

    allowed: bool = True
    statuses: tuple[OrderStatus, ...] = ("delivered",)
    window_days: Annotated[int, Field(ge=0)] | None = None
    conditions: tuple[Condition, ...] = ()
    paid: Literal["at_once", "on_receipt"] = "at_once"
    """When a difference in price is charged or refunded."""
    difference_to: Literal["original", "any"] = "original"
    """Where a difference goes that comes back: to what paid for the order, or to any method of the customer's own."""
    once_per_order: bool = False


class CancellationRule(Rule):
    """When a whole order may be cancelled."""

    allowed: bool = True
    statuses: tuple[OrderStatus, ...] = ("pending",)


class ChangeRule(Rule):
    """When an order that was not sent yet may be changed."""

    allowed: bool = True
    statuses: tuple[OrderStatus, ...] = ("pending",)
    difference_to: Literal["original", "any"] = "original"
    """Where a difference goes that comes back: to what paid for the order, or to any method of the customer's own."""
    same_country: bool = False
    """Whether a new address must lie in the same country."""
    locks: bool = False
    """Whether the order can be changed no more afterwards."""


class PostageRule(Rule):
    """Who pays for sending an item back."""

    paid_by: Literal["shop", "deducted", "customer"]
    """`deducted`: the shop's label, taken off the refund; `customer`: the customer chooses the carrier and pays it."""
    amount_cents: Cents = 0


class ShippingRule(Rule):
    """What shipping costs an order that is made smaller, so that it no longer ships free."""

    free_from_cents: Cents
    """Sum of items from which on shipping is free."""
    fee_cents: Cents


class RefundRule(Rule):
    """How long money takes, by the method it goes back to (`for: {methods: […]}`)."""

    arrives: LocalText
    """Like {en: "within 5 to 7 business days", zh: "5 至 7 个工作日内"}."""


class Caps(Record):
    """What is refunded without a person, in minor units; above it a person decides. None is no cap."""

    order_cents: Cents | None = None
    """For one order, all its refunds together."""
    customer_day_cents: Cents | None = None
    """For one customer within 24 hours."""
    shop_day_cents: Cents | None = None
    """For the whole shop within 24 hours."""


class Policy(Record):
    """All rules of a shop; a section that is missing allows nothing, and a person decides."""

    returns: tuple[ReturnRule, ...] = ()
    exchanges: tuple[ExchangeRule, ...] = ()
    cancellations: tuple[CancellationRule, ...] = ()
    item_changes: tuple[ChangeRule, ...] = ()
    address_changes: tuple[ChangeRule, ...] = ()
    payment_changes: tuple[ChangeRule, ...] = ()
    postage: tuple[PostageRule, ...] = ()
    exchange_postage: tuple[PostageRule, ...] = ()
    shipping: tuple[ShippingRule, ...] = ()
    refunds: tuple[RefundRule, ...] = ()
    caps: Caps = Caps()


SECTIONS = tuple(name for name in Policy.model_fields if name != "caps")


@dataclass(frozen=True)
class Case:
    """What is known of one item, or of an order, when a rule is looked for; None is unknown."""

    day: date
    """When the order was placed, in the shop's time zone."""
    product_id: str = ""
    category: str = ""
    attributes: frozenset[str] = frozenset()
    country: str = ""
    reason: Reason | None = None
    opened: bool | None = None
    method: MethodKind | None = None
    days_since_delivery: int | None = None
    exchanges_before: int = 0


class Unknown(Exception):
    """A rule turns on something that only the customer can tell: `question`."""

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.question = question


R = TypeVar("R", bound=Rule)


def rule_for(rules: Sequence[R], case: Case) -> R | None:
    """The first rule in force that fits; None if the section is empty. Raises Unknown where that turns on an unknown fact."""
    for rule in rules:
        if rule.in_force(case.day) and _fits(rule.scope, case):
            return rule
    return None


def _fits(scope: Scope, case: Case) -> bool:
    if scope.products and case.product_id not in scope.products:
        return False
    if scope.categories and case.category.lower() not in {category.lower() for category in scope.categories}:
        return False
    if scope.attributes and not case.attributes & set(scope.attributes):
        return False
    if scope.countries and case.country.lower() not in {country.lower() for country in scope.countries}:
        return False
    if scope.methods and case.method not in scope.methods:
        return False
    if scope.within_days is not None and (case.days_since_delivery is None or case.days_since_delivery > scope.within_days):
        return False
    if scope.exchanges_before is not None and case.exchanges_before > scope.exchanges_before:
        return False
    if scope.reasons:
        if case.reason is None:
            raise Unknown("reason")
        if case.reason not in scope.reasons:
            return False
    if scope.opened is not None:
        if case.opened is None:
            raise Unknown("opened")
        return case.opened == scope.opened
    return True


def load_policy(path: Path, clause_ids: Iterable[str] | None = None) -> Policy:
    """Read and check policy.yaml; an empty policy if there is no such file.

    Raises BadSettings naming the line for a key, clause or value that is not known, a key that stands twice, a rule that can
    never apply, two rules for the same case on the same day, and days for which there is no rule.
    """
    if not path.is_file():
        return Policy()
    policy, node = read_yaml(path, Policy)
    known = None if clause_ids is None else set(clause_ids)
    for section in SECTIONS:
        for number, problem in _problems(getattr(policy, section), known):
            raise BadSettings(f"'{path}', line {line_of(node, (section, number))}: {section}: {problem}.")
    return policy


def _problems(rules: Sequence[Rule], clause_ids: set[str] | None) -> Iterable[tuple[int, str]]:
    """(number of the rule, what is wrong) for one section."""
    for number, rule in enumerate(rules):
        if clause_ids is not None and rule.clause not in clause_ids:
            yield number, f"rule '{rule.id}' quotes clause '{rule.clause}', which the shop does not have; add the clause"
        if rule.effective_from and rule.effective_to and rule.effective_from > rule.effective_to:
            yield number, f"rule '{rule.id}' ends on {rule.effective_to}, before it begins; mend its days"
        for other in rules[:number]:
            if other.id == rule.id:
                yield number, f"two rules are called '{rule.id}'; rename one"
            if other.scope == rule.scope and _overlap(other, rule):
                yield (
                    number,
                    f"rules '{other.id}' and '{rule.id}' hold for the same case on the same days; end one before the other",
                )
            if other.scope != rule.scope and _takes_all(other.scope, rule.scope) and _covers(other, rule):
                yield number, f"rule '{rule.id}' can never apply: '{other.id}' above it takes every case; move it up"
    if rules:
        yield from _gaps(rules)


def _gaps(rules: Sequence[Rule]) -> Iterable[tuple[int, str]]:
    general = sorted(
        ((number, rule) for number, rule in enumerate(rules) if rule.scope == Scope()),
        key=lambda each: each[1].effective_from or date.min,
    )
    if not general:
        yield len(rules) - 1, "no rule is for everything else; end the section with one that has no 'for'"
        return
    first_number, first = general[0]
    if first.effective_from:
        yield first_number, f"orders before {first.effective_from} have no rule; leave out 'from' in the oldest one"
    for (_, earlier), (number, later) in pairwise(general):
        if earlier.effective_to and later.effective_from and later.effective_from > earlier.effective_to + timedelta(days=1):
            yield (
                number,
                f"there is no rule from {earlier.effective_to + timedelta(days=1)}"
                f" to {later.effective_from - timedelta(days=1)}; close the gap",
            )
    last_number, last = general[-1]
    if last.effective_to:
        yield last_number, f"orders after {last.effective_to} have no rule; add one, or leave out 'to'"


def _overlap(one: Rule, other: Rule) -> bool:
    return max(one.effective_from or date.min, other.effective_from or date.min) <= min(
        one.effective_to or date.max, other.effective_to or date.max
    )


def _takes_all(one: Scope, other: Scope) -> bool:
    """Whether every case that fits `other` fits `one`."""
    for name in ("products", "categories", "attributes", "countries", "reasons", "methods"):
        any_case = name in ("categories", "countries")
        taken, cases = ({value.lower() if any_case else value for value in getattr(scope, name)} for scope in (one, other))
        if taken and not (cases and cases <= taken):
            return False
    for name in ("within_days", "exchanges_before"):
        most, others = getattr(one, name), getattr(other, name)
        if most is not None and (others is None or others > most):
            return False
    return one.opened is None or one.opened == other.opened


def _covers(one: Rule, other: Rule) -> bool:
    """Whether `one` holds on every day on which `other` does."""
    return (one.effective_from or date.min) <= (other.effective_from or date.min) and (one.effective_to or date.max) >= (
        other.effective_to or date.max
    )
