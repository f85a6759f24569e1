"""Shops made of other people's data, as conversations on the real models: answers come from that data."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from places import shared_data
from rich.console import Console

from agent.events import Turn
from agent.resources import Opened, import_and_index, photo_encoder_of, text_encoder_of
from agent.session import Session
from agent.settings import Settings
from agent.turn import Agent, Message
from tools.catalog.catalog import Catalog
from tools.catalog.edge_index import EdgeIndex
from tools.shop.sqlite_shop import SqliteShop
from tools.shop.types import format_money

pytestmark = pytest.mark.real

QUIET = Console(quiet=True)


@contextmanager
def agent_of(folder: Path, settings: Settings, demo: Opened) -> Iterator[Agent]:
    """An agent of another shop, on the models that the demo's has loaded."""
    with SqliteShop.open(folder) as shop:
        index = EdgeIndex(folder / "index")
        try:
            catalog = Catalog.open(shop, index, text_encoder_of(settings), lambda: photo_encoder_of(settings))
            yield Agent(shop, catalog, demo.model, InMemorySaver(), **demo.agent_with.keywords)
        finally:
            index.close()


def ask(agent: Agent, text: str, customer: str | None = None, photo: Path | None = None, conversation: str = "c") -> Turn:
    message = Message(text, photo.read_bytes() if photo else None)
    *_, turn = agent.answer(Session(conversation, customer), message)
    assert isinstance(turn, Turn)
    return turn


def tools(turn: Turn) -> list[str]:
    return [step.tool for step in turn.steps]


@pytest.fixture(scope="module")
def tau(settings: Settings, demo: Opened, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Agent, SqliteShop]]:
    folder = tmp_path_factory.mktemp("tau")
    import_and_index(settings, "tau-retail", shared_data("tau_retail/tau1"), folder, QUIET)
    with agent_of(folder, settings, demo) as agent, SqliteShop.open(folder) as shop:
        yield agent, shop


@pytest.fixture(scope="module")
def grocery(settings: Settings, demo: Opened, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Agent, SqliteShop]]:
    folder = tmp_path_factory.mktemp("grocery")
    import_and_index(settings, "grocery-store", shared_data("grocery_store"), folder, QUIET)
    with agent_of(folder, settings, demo) as agent, SqliteShop.open(folder) as shop:
        yield agent, shop


def test_a_variant_of_an_imported_shop_is_told_with_its_price_and_stock(tau: tuple[Agent, SqliteShop]) -> None:
    agent, shop = tau
    bottle = next(product for product in shop.products() if product.title.en == "Water Bottle")
    for variant in (
        next(each for each in bottle.variants if each.in_stock),
        next(each for each in bottle.variants if not each.in_stock),
    ):
        options = variant.options
        said = f"Do you have the water bottle with {options['capacity']} in {options['material']}, {options['color']}?"
        turn = ask(agent, said, conversation=variant.id)
        assert tools(turn) == ["search_products"]
        assert {fact.source for fact in turn.steps[0].facts} == {f"product:{bottle.id}"}
        assert ("sold out" in turn.reply) != variant.in_stock
        if variant.in_stock and variant.price_cents is not None:
            assert format_money(variant.price_cents, "USD") in turn.reply


def test_how_many_variants_an_imported_product_has_is_a_fact(tau: tuple[Agent, SqliteShop]) -> None:
    agent, shop = tau
    shirt = next(product for product in shop.products() if product.title.en == "T-Shirt")
    turn = ask(agent, "how many kinds of t-shirt do you have right now?", conversation="count")
    assert f"product:{shirt.id}" in {fact.source for step in turn.steps for fact in step.facts}


def test_an_imported_order_is_tracked_for_its_customer_alone(tau: tuple[Agent, SqliteShop]) -> None:
    agent, shop = tau
    (order,) = shop.orders_of("amelia_kim_4338")
    turn = ask(agent, "where is my order?", "amelia_kim_4338", conversation="own")
    assert tools(turn) == ["track_order"]
    assert {fact.source for fact in turn.steps[0].facts} == {f"order:{order.id}"}
    assert all(str(item.title.en) in turn.reply for item in order.items)
    other = ask(agent, f"where is order {order.id}?", "noah_brown_6181", conversation="foreign")
    assert order.id not in " ".join(fact.text for fact in other.steps[0].facts)


def test_an_imported_rule_is_quoted(tau: tuple[Agent, SqliteShop]) -> None:
    turn = ask(tau[0], "can I still cancel an order that was processed already?", conversation="rule")
    assert tools(turn) == ["answer_from_policy"]
    assert any(fact.source.startswith("clause:") for fact in turn.steps[0].facts)


def test_an_imported_order_is_cancelled_after_name_and_postcode_and_a_yes(tau: tuple[Agent, SqliteShop]) -> None:
    agent, shop = tau
    customer = shop.customer("amelia_kim_4338")
    assert customer
    asked = ask(agent, "please cancel my order", conversation="cancel")
    assert tools(asked) == ["quote_cancellation"]
    quoted = ask(agent, f"I'm {customer.name}, {customer.address.postcode}", conversation="cancel")
    assert quoted.quote
    (before,) = shop.orders_of(customer.id)
    assert before.status == "pending"
    assert tools(ask(agent, "yes please", conversation="cancel")) == ["commit_quote"]
    (after,) = shop.orders_of(customer.id)
    assert after.status == "cancelled"
    assert sum(each.amount_cents * (1 if each.kind == "payment" else -1) for each in after.payments) == 0


def test_customers_photos_of_groceries_find_their_product(grocery: tuple[Agent, SqliteShop]) -> None:
    agent, shop = grocery
    folder = shared_data("grocery_store")
    with (folder / "classes.csv").open(encoding="utf-8", newline="") as file:
        names = {row["Class ID (int)"]: row["Class Name (str)"] for row in csv.DictReader(file)}
    listed = (folder / "val.txt").read_text(encoding="utf-8").splitlines()
    found = 0
    for number, line in enumerate(listed[:: len(listed) // 12]):
        path, label, *_ = (part.strip() for part in line.split(","))
        turn = ask(agent, "", photo=folder / path, conversation=f"photo {number}")
        assert tools(turn) == ["identify_product"]
        shown = [fact.source.removeprefix("product:") for fact in turn.steps[0].facts if fact.source.startswith("product:")]
        titles = {str(product.title.en) for each in shown if (product := shop.product(each))}
        found += names[label].replace("-", " ").lower() in {title.replace("-", " ").lower() for title in titles}
    assert found >= 9
