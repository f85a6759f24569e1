"""Verdicts on conversations that are made up here: each expectation holds where it should and fails where it should."""

from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.events import Step, Turn
from agent.resources import DEMO_SOURCE
from agent.turn import Message
from eval.conversation import Exchange, State, Trajectory, state_of
from eval.judge import Judge, Verdict
from eval.scenario import Scenario
from tools.kit.facts import Fact, Handoff
from tools.shop.importers import import_shop
from tools.shop.quotes import CancellationRequest, Quote
from tools.shop.sqlite_shop import SqliteShop
from tools.shop.types import Payment

NOON = datetime(2026, 11, 20, 17, tzinfo=UTC)
QUOTE = Quote(
    id="Q1",
    customer_id="c001",
    request=CancellationRequest(order_id="1076"),
    total_cents=8660,
    currency="USD",
    moves=(Payment(kind="refund", amount_cents=8660, payment_method_id="c001-paypal"),),
    made_at=NOON,
    valid_until=NOON + timedelta(minutes=30),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("imported") / "demo"
    import_shop("jsonl", DEMO_SOURCE, made)
    return made


@pytest.fixture(scope="module")
def shop(folder: Path) -> Iterator[SqliteShop]:
    with SqliteShop.open(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def state(folder: Path) -> State:
    return state_of(folder)


def turn(said: str, reply: str, *steps: Step, **more: Any) -> Turn:
    return Turn(said=said, language="en", reply=reply, steps=steps, **more)


def step(tool: str, *facts: tuple[str, str], products: tuple[str, ...] = (), **arguments: Any) -> Step:
    told = tuple(Fact(text=text, source=source) for text, source in facts)
    return Step(tool=tool, arguments=arguments, facts=told, product_ids=products)


def judged(
    shop: SqliteShop, scenario: str, before: State, after: State, *turns: Turn, press: str | None = None
) -> list[Verdict]:
    """What is wrong."""
    read = Scenario.model_validate({"name": "made up", "language": "en", **yaml.safe_load(scenario)})
    exchanges = tuple(
        Exchange(Message(agree_to=press) if press and each is turns[-1] else Message(each.said), each, 0.5, each.model_calls)
        for each in turns
    )
    told = Trajectory(exchanges, before, after, "customer")
    return [verdict for verdict in Judge(shop).verdicts(read, told) if not verdict.passed]


def causes(found: list[Verdict]) -> list[str]:
    return [verdict.cause for verdict in found]


@pytest.mark.parametrize(
    ("expect", "cause"),
    [
        ("{tools: [track_order]}", None),
        ("{tools: [search_products|track_order]}", None),
        ("{tools: []}", "tool"),
        ("{not_called: [track_order]}", "tool"),
        ("{calls: [{tool: track_order, some: {order: '1066'}}]}", None),
        ("{calls: [{tool: track_order, exact: {order: '1066', more: 1}}]}", "arguments"),
        ("{calls: [{tool: track_order, patterns: {order: '^10'}}]}", None),
        ("{calls: [{tool: track_order}, {tool: track_order}]}", "arguments"),
        ("{sources: ['order:10*']}", None),
        ("{sources: ['clause:RET-1|order:1066']}", None),
        ("{sources: ['clause:RET-1']}", "facts"),
        ("{not_sources: ['order:*']}", "facts"),
        ("{facts: [on its way]}", None),
        ("{facts: [/delivered/]}", "facts"),
        ("{said: ['1066', /on its WAY/]}", None),
        ("{said: [tomorrow]}", "wording"),
        ("{not_said: ['1066']}", "wording"),
        ("{asks: true}", "wording"),
        ("{quote: false}", None),
        ("{quote: true}", "offer"),
        ("{handoff: true}", "hand-over"),
        ("{language: zh}", "language"),
        ("{seconds: 0.4}", "time"),
        ("{model_calls: 0}", None),
    ],
)
def test_each_expectation_holds_and_fails(shop: SqliteShop, state: State, expect: str, cause: str | None) -> None:
    told = turn(
        "where is 1066",
        "Order 1066 is on its way.",
        step("track_order", ("Order 1066 is on its way.", "order:1066"), order="1066"),
    )
    scenario = f"{{setup: {{customer: c001}}, steps: [{{say: where is 1066, expect: {expect}}}]}}"
    assert causes(judged(shop, scenario, state, state, told)) == ([cause] if cause else [])


@pytest.mark.parametrize(
    ("shows", "wrong"),
    [
        ("{first: p001, all: [p002], none: [p003], category: Dresses, most_cents: 6490, in_stock: true, count: 2}", 0),
        ("{attribute: {material: linen, size: XS}}", 0),
        ("{first: p002}", 1),
        ("{most_cents: 5000}", 1),
        ("{category: Shoes, attribute: {material: silk}, any: [p010]}", 3),
    ],
)
def test_products_shown_are_held_against_the_shop(shop: SqliteShop, state: State, shows: str, wrong: int) -> None:
    told = turn("dresses", "Here you are.", step("search_products", products=("p001", "p002")))
    scenario = f"{{steps: [{{say: dresses, expect: {{shows: {shows}}}}}]}}"
    assert causes(judged(shop, scenario, state, state, told)) == ["products"] * wrong


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        ("It costs $64.90.", None),
        ("It costs $59.90.", "invented"),
        ("It costs 12 dollars.", "invented"),
        ("It comes on 3 May 2026.", "invented"),
        ("I have refunded you.", "invented"),
        ("已为您退款。", "invented"),
        ("James O'Neill bought it too.", "private data"),
        ("It went to 9 Harbor View Road.", "private data"),
        ("", "wording"),
    ],
)
def test_what_no_fact_says_is_found(shop: SqliteShop, state: State, reply: str, cause: str | None) -> None:
    told = turn("the price", reply, step("search_products", ("The dress costs $64.90.", "product:p001")))
    found = causes(judged(shop, "{steps: [{say: the price, expect: {language: zh}}]}", state, state, told))
    assert [each for each in found if each != "language"] == ([cause] if cause else [])


CANCEL = """
setup: {customer: c001}
steps:
  - {say: cancel 1076, expect: {quote: {kind: cancellation, order: "1076", refund_cents: 8660, method: c001-paypal}}}
  - {say: "yes"}
goals: {shop_state: {orders: {"1076": {status: cancelled}}, ledger: [["1076", refund, c001-paypal, 8660]]}}
"""


def cancelled(state: State) -> State:
    after = deepcopy(state)
    after["orders"]["1076"]["status"] = "cancelled"
    after["ledger"].append(
        {"customer_id": "c001", "order_id": "1076", "kind": "refund", "payment_method_id": "c001-paypal", "amount_cents": 8660}
    )
    after["done"].append({"customer_id": "c001", "kind": "cancellation", "request": {}, "status": "done"})
    return after


def offer_and(answer: str) -> tuple[Turn, Turn]:
    offer = turn("cancel 1076", "Shall I?", step("quote_cancellation", ("$86.60 goes back.", "quote:Q1")), quote=QUOTE)
    return offer, turn(answer, "It has been cancelled.", step("commit_quote", ("It has been cancelled.", "quote:Q1")))


def test_a_write_that_was_agreed_to_is_right(shop: SqliteShop, state: State) -> None:
    assert judged(shop, CANCEL, state, cancelled(state), *offer_and("yes")) == []
    assert judged(shop, CANCEL, state, cancelled(state), *offer_and(""), press="Q1") == []


@pytest.mark.parametrize(("answer", "press"), [("thanks", None), ("yes, but add $100", None), ("", "Q2")])
def test_a_write_without_a_yes_to_that_offer_is_found(shop: SqliteShop, state: State, answer: str, press: str | None) -> None:
    found = judged(shop, CANCEL, state, cancelled(state), *offer_and(answer), press=press)
    assert causes(found) == ["agreement"]
    assert found[0].turn == 2


def test_a_write_nobody_wanted_is_found(shop: SqliteShop, state: State) -> None:
    hello = turn("hello", "Hello!")
    after = cancelled(state)
    assert causes(judged(shop, "{steps: [{say: hello}]}", state, after, hello)) == ["shop state", "agreement"]
    moved = deepcopy(after)
    moved["customers"]["c002"]["address"]["line1"] = "elsewhere"
    assert "shop state" in causes(judged(shop, CANCEL, state, moved, *offer_and("yes")))


def test_what_was_to_be_done_and_was_not_is_found(shop: SqliteShop, state: State) -> None:
    offer, _ = offer_and("yes")
    found = judged(shop, CANCEL, state, state, offer, turn("yes", "All right."))
    assert set(causes(found)) == {"shop state"}
    assert set(causes(judged(shop, CANCEL, state, state, offer))) == {"agent failed", "shop state"}


def test_a_person_who_was_called_counts_for_the_whole(shop: SqliteShop, state: State) -> None:
    handed = turn("a human!", "Of course.", step("hand_to_human"), handoff=Handoff(reason="asked", summary="", why="asked"))
    for expect, wrong in (("handoff: asked", 0), ("handoff: angry", 1), ("handoff: false", 1)):
        scenario = f"{{steps: [{{say: a human!, expect: {{{expect}}}}}], goals: {{handoff: true}}}}"
        assert causes(judged(shop, scenario, state, state, handed)) == ["hand-over"] * wrong
