"""The write actions of tau-bench's tasks, through our quotes, end where the benchmark's own rules demand."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from tau_engine import TauEngine

from eval.actions import Action, Task, run_tasks, tau_state
from tests.places import shared_data
from tools.kit.clock import system_clock
from tools.shop.importers import import_shop
from tools.shop.sqlite_shop import SqliteShop

TAU = shared_data("tau_retail/tau1")


def read(name: str) -> Any:
    return json.loads((TAU / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tau_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tau")
    import_shop("tau-retail", TAU, folder)
    return folder


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    return TypeAdapter(list[Task]).validate_python([*read("tasks_dev.json"), *read("tasks_train.json")])


def with_sorted_orders(users: dict[str, Any]) -> dict[str, Any]:
    return {name: {**user, "orders": sorted(user["orders"])} for name, user in users.items()}


def test_an_untouched_shop_is_told_as_the_benchmark_has_it(tau_shop: Path) -> None:
    with SqliteShop.open(tau_shop) as shop:
        state = tau_state(shop)
    assert state["orders"] == read("orders.json")
    assert state["users"] == with_sorted_orders(read("users.json"))


def changes_nothing(action: Action) -> bool:
    """Items swapped for themselves: the policy wants another option, the benchmark's tool does not look."""
    return action.name == "modify_pending_order_items" and action.arguments["item_ids"] == action.arguments["new_item_ids"]


def test_all_tasks_in_a_row_leave_every_order_and_user_as_the_benchmark_does(tau_shop: Path, tasks: list[Task]) -> None:
    meant = [
        task.model_copy(update={"actions": tuple(each for each in task.actions if not changes_nothing(each))}) for task in tasks
    ]
    verdicts, state = run_tasks(tau_shop, meant, system_clock, in_a_row=True)
    engine = TauEngine(read("orders.json"), read("users.json"), read("products.json"))
    for task, verdict in zip(meant, verdicts, strict=True):
        theirs = [engine.call(action.name, action.arguments) for action in task.actions]
        assert [each["accepted"] for each in verdict["actions"]] == theirs, verdict
    assert sum(len(verdict["actions"]) for verdict in verdicts) > 750
    assert {key for key, order in engine.orders.items() if order != state["orders"][key]} == set()
    assert with_sorted_orders(engine.users) == state["users"]


def test_each_task_finds_the_shop_as_it_was(tau_shop: Path, tasks: list[Task]) -> None:
    before = (tau_shop / "shop.sqlite").read_bytes()
    first = tasks[0]
    verdicts, _ = run_tasks(tau_shop, [first, first], system_clock, in_a_row=False)
    assert [verdict["accepted"] for verdict in verdicts] == [True, True]
    verdicts, _ = run_tasks(tau_shop, [first, first], system_clock, in_a_row=True)
    assert [verdict["accepted"] for verdict in verdicts] == [True, False]
    assert (tau_shop / "shop.sqlite").read_bytes() == before
