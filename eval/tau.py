"""tau-bench's retail tasks as conversations: a rule-based customer who knows the task's actions talks with the agent; the shop tells.

A task passes if the shop ends as the task's own write actions leave it, and every one of its outputs was said.
Source of the form: Yao et al. 2024, arXiv:2406.12045.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb
from pathlib import Path
from random import Random
from typing import Any

from eval.actions import REQUESTS, Task, do_actions, tau_state
from eval.conversation import Place, Trajectory, converse
from eval.customers.noise import Noise
from eval.customers.simulated import Facts, Persona, SimulatedCustomer
from eval.customers.wishes import Wish
from eval.tau_questions import questions_of, says
from tools.kit.clock import Clock
from tools.shop.quotes import (
    AddressChangeRequest,
    CancellationRequest,
    CustomerAddressRequest,
    ExchangeRequest,
    ItemChangeRequest,
    PaymentChangeRequest,
    Request,
    ReturnRequest,
)
from tools.shop.shop import Shop
from tools.shop.types import Customer, Language, Order, OrderItem, Variant

PERSONAS: tuple[Persona, ...] = ("plain", "plain", "polite", "terse", "chatty")
TURNS_AT_FIRST, TURNS_A_WISH = 6, 9


@dataclass(frozen=True)
class Run:
    """One task played once: whether it passed and why not, and the conversation."""

    task: int
    repeat: int
    passed: bool
    cause: str
    turns: int
    model_calls: int
    seconds: float
    said: tuple[tuple[str, str], ...]
    """What the customer and the agent said, turn by turn."""
    why: tuple[tuple[str, ...], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The run as one JSON line holds it."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Part:
    """What a customer plays in one run: their wishes in order, what has to be said, and the state that the shop should end in."""

    owner: Customer
    wishes: Sequence[Wish]
    facts: Facts
    outputs: Sequence[str]
    right: dict[str, Any]
    signed_in: bool = False
    language: Language = "en"
    names: Mapping[str, str] = field(default_factory=dict)
    """What the customer calls products, by id, where that is not their title."""


def play(place: Place, task: Task, number: int, repeat: int, clock: Clock, noise: Noise = "none") -> Run:
    """Play one task on the shop as it was copied; whatever is odd about the task is a cause, never an error."""
    place.reset()
    owner = place.shop.customer(task.user_id)
    if owner is None:
        return Run(number, repeat, False, "the task's user is not in the shop", 0, 0, 0.0, ())
    done = do_actions(place.shop, task, clock())
    right = state_of_customer(place, owner.id)
    outputs = [str(each) for each in (task.model_extra or {}).get("outputs") or ()]
    place.reset()
    instruction = str((task.model_extra or {}).get("instruction", ""))
    wishes = wishes_of(place.shop, owner, task)
    first, last = questions_of(place.shop, owner, outputs, instruction, wishes, done)
    facts = Facts(name=owner.name, email=_email(owner, instruction), postcode=_postcode(owner, instruction))
    return perform(place, Part(owner, [*first, *wishes, *last], facts, outputs, right), number, repeat, noise)


def perform(place: Place, part: Part, number: int, repeat: int, noise: Noise = "none") -> Run:
    """Play one part on the shop as it is, and judge how it ended."""
    owner = part.owner
    seed = int.from_bytes(hashlib.sha256(f"{number}/{owner.id}/{repeat}".encode()).digest()[:6])
    customer = SimulatedCustomer(
        part.wishes,
        part.facts,
        owner,
        language=part.language,
        names=part.names,
        persona=Random(seed).choice(PERSONAS),
        noise=noise,
        seed=seed,
    )
    most = TURNS_AT_FIRST + TURNS_A_WISH * max(1, len(part.wishes))
    told = converse(place, place.session(owner.id if part.signed_in else None), customer, max_turns=most)
    state = state_of_customer(place, owner.id)
    # Whatever else of the shop changed is a fault whoever it belongs to.
    others = {each["customer_id"] for each in told.after["done"]} - {owner.id}
    is_right = state == part.right and not others
    unsaid = [each for each in part.outputs if not any(says(exchange.turn.reply, each) for exchange in told.turns)]
    passed_on = not any(wish.kind == "person" for wish in part.wishes) or any(each.turn.handoff for each in told.turns)
    cause = _cause(told, customer, is_right and passed_on, unsaid, _changed(part.right, state))
    return Run(
        number,
        repeat,
        not cause,
        cause,
        len(told.turns),
        sum(exchange.model_calls for exchange in told.turns),
        round(sum(exchange.seconds for exchange in told.turns), 3),
        tuple((str(exchange.message.text), exchange.turn.reply) for exchange in told.turns),
        tuple(exchange.turn.why for exchange in told.turns),
    )


def state_of_customer(place: Place, customer_id: str) -> dict[str, Any]:
    """The customer's own orders and account; by which method an exchange is paid that costs nothing is nobody's concern."""
    customer = place.shop.customer(customer_id)
    state = tau_state(place.shop, [customer] if customer else [])
    for order in state["orders"].values():
        if order.get("exchange_price_difference") == 0:
            del order["exchange_payment_method_id"]
    return state


def _email(owner: Customer, instruction: str) -> str:
    """The e-mail address, where the customer remembers it."""
    told = "@" in instruction or not instruction
    return owner.email if told or owner.address.postcode not in instruction else ""


def _postcode(owner: Customer, instruction: str) -> str:
    return owner.address.postcode if owner.address.postcode in instruction or "@" not in instruction else ""


def wishes_of(shop: Shop, owner: Customer, task: Task) -> list[Wish]:
    """The task's write actions as wishes of their customer; those that name what the shop does not have are left out."""
    orders = {order.id: order for order in shop.orders_of(owner.id)}
    found = []
    for action in task.actions:
        if make := REQUESTS.get(action.name):
            try:
                found.append(_wish(make(action.arguments), orders, owner, shop))
            except (KeyError, TypeError, ValueError, StopIteration):
                continue
    return found


def _wish(request: Request, orders: dict[str, Order], owner: Customer, shop: Shop) -> Wish:
    order = orders[request.order_id] if request.order_id else None
    methods = {method.id: method for method in owner.payment_methods}
    match request:
        case ReturnRequest(items=units, refund_to=method):
            assert order
            return Wish("return", order, _pieces(order, [each.variant_id for each in units]), method=methods.get(method or ""))
        case ExchangeRequest(swaps=swaps, pay_with=method) | ItemChangeRequest(swaps=swaps, pay_with=method):
            assert order
            kind = request.kind
            pairs = [(swap.variant_id, swap.new_variant_id) for swap in swaps]
            old = _pieces(order, [each for each, _ in pairs])
            new = tuple(_variant(shop, item, each) for item, (_, each) in zip(old, pairs, strict=True))
            return Wish(kind, order, old, new, method=methods.get(method or ""))
        case CancellationRequest(reason=reason):
            assert order
            return Wish("cancellation", order, tuple(order.items), reason=reason)
        case PaymentChangeRequest(pay_with=method):
            return Wish("payment_change", order, method=methods[method])
        case AddressChangeRequest(address=address):
            return Wish("address_change", order, address=address)
        case CustomerAddressRequest(address=address):
            return Wish("customer_address", address=address)


def _pieces(order: Order, variant_ids: Sequence[str]) -> tuple[OrderItem, ...]:
    return tuple(next(item for item in order.items if item.variant_id == each) for each in variant_ids)


def _variant(shop: Shop, item: OrderItem, variant_id: str) -> Variant:
    product = shop.product(item.product_id)
    return next(each for each in (product.variants if product else ()) if each.id == variant_id)


def _cause(told: Trajectory, customer: SimulatedCustomer, is_right: bool, unsaid: Sequence[str], changed: Sequence[str]) -> str:
    """Why a run did not pass, in a few words that group; "" where it did."""
    if is_right and not unsaid:
        return ""
    if told.ended == "agent_failed":
        return f"the agent broke off: {told.error}"
    if told.ended == "customer_failed":
        return f"the simulated customer broke off: {told.error}"
    if told.turns and told.turns[-1].turn.handoff is not None:
        return f"handed over to a person ({told.turns[-1].turn.handoff.why})"
    if told.ended == "max_turns":
        return "too many turns"
    if customer.given_up:
        return "not done: " + ", ".join(dict.fromkeys(wish.kind for wish in customer.given_up))
    if not is_right:
        return "another end than the task's: " + ", ".join(changed)
    return f"not said: {', '.join(unsaid)}"


def _changed(right: dict[str, Any], state: dict[str, Any]) -> list[str]:
    """What of orders and users is not as it should be: "status", "items"."""
    return sorted(
        {
            name
            for kind in ("orders", "users")
            for key, record in right[kind].items()
            if record != state[kind].get(key)
            for name in record.keys() | state[kind].get(key, {}).keys()
            if record.get(name) != state[kind].get(key, {}).get(name)
        }
    )


def summed_up(runs: Iterable[Run], repeats: int) -> dict[str, Any]:
    """`{"pass": {"1": …, "k": …}, "tasks": [{task, passed, cause, turns, model_calls, seconds, runs}]}`.

    pass^k is the chance that k runs of a task all pass, from c passes of n as C(c, k) / C(n, k), over all tasks.
    """
    by_task: dict[int, list[Run]] = {}
    for run in runs:
        by_task.setdefault(run.task, []).append(run)
    passes = {}
    for k in range(1, repeats + 1):
        shares = [comb(sum(run.passed for run in each), k) / comb(len(each), k) for each in by_task.values() if len(each) >= k]
        passes[str(k)] = round(sum(shares) / len(shares), 4) if shares else 0.0
    tasks = [
        {
            "task": number,
            "passed": all(run.passed for run in each),
            "passes": sum(run.passed for run in each),
            "runs": len(each),
            "cause": next((run.cause for run in each if run.cause), ""),
            "turns": round(sum(run.turns for run in each) / len(each), 2),
            "model_calls": round(sum(run.model_calls for run in each) / len(each), 2),
            "seconds": round(sum(run.seconds for run in each) / len(each), 3),
        }
        for number, each in sorted(by_task.items())
    ]
    return {"pass": passes, "tasks": tasks}


def kept_runs(file: Path) -> list[Run]:
    """The runs that an earlier call left in its file; a line that was cut off counts as none."""
    if not file.is_file():
        return []
    runs = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            values = json.loads(line)
            runs.append(Run(**{**values, "said": tuple(map(tuple, values["said"])), "why": tuple(map(tuple, values["why"]))}))
        except (ValueError, TypeError, KeyError):
            continue
    return runs
