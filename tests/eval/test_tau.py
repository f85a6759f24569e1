"""Tasks of tau-bench's form as conversations: on the real agent the shop ends as the task's own actions leave it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agent.resources import import_and_index
from agent.settings import Settings
from eval.actions import Task
from eval.conversation import Place, apart
from eval.tau import Run, kept_runs, play, summed_up
from tests.places import shared_data
from tools.kit.clock import system_clock

QUIET = Console(stderr=True, quiet=True)
TAU = shared_data("tau_retail/tau1")


def read(name: str) -> Any:
    return json.loads((TAU / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def place(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One customer of tau-bench's shop with their orders, so that it is indexed in a moment."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("shop")
    users = {"mohamed_khan_3010": read("users.json")["mohamed_khan_3010"]}
    orders = {key: order for key, order in read("orders.json").items() if order["user_id"] in users}
    bought = {item["product_id"] for order in orders.values() for item in order["items"]}
    products = {key: product for key, product in read("products.json").items() if key in bought}
    for name, records in (("users", users), ("orders", orders), ("products", products)):
        (source / f"{name}.json").write_text(json.dumps(records), encoding="utf-8")
    (source / "policy.md").write_text((TAU / "policy.md").read_text(encoding="utf-8"), encoding="utf-8")
    import_and_index(settings, "tau-retail", source, folder, QUIET)
    with apart(settings, folder, system_clock, QUIET) as made:
        yield made


@pytest.mark.real
def test_a_customer_gets_done_what_the_task_wants(place: Place) -> None:
    returned = {
        "name": "return_delivered_order_items",
        "kwargs": {"order_id": "#W4887592", "item_ids": ["4447749792", "2343503231"], "payment_method_id": "paypal_1249653"},
    }
    task = Task.model_validate(
        {"user_id": "mohamed_khan_3010", "actions": [returned], "outputs": ["336.66"], "instruction": "You live in 60651."}
    )
    run = play(place, task, 0, 0, system_clock)
    assert (run.passed, run.cause) == (True, ""), run.said
    assert run.turns >= 3
    # The copy is as it was for whoever comes next.
    place.reset()
    assert next(each for each in place.shop.orders_of("mohamed_khan_3010") if each.id == "#W4887592").status == "delivered"


@pytest.mark.real
@pytest.mark.parametrize(
    "odd",
    [
        {"user_id": "nobody", "actions": []},
        {"user_id": "mohamed_khan_3010", "actions": [{"name": "cancel_pending_order", "kwargs": {}}], "outputs": [7]},
        {"user_id": "mohamed_khan_3010", "actions": [{"name": "think", "kwargs": {"thought": "?"}}], "instruction": ""},
    ],
)
def test_an_odd_task_is_a_cause_and_no_error(place: Place, odd: dict[str, Any]) -> None:
    run = play(place, Task.model_validate(odd), 0, 0, system_clock)
    assert isinstance(run.cause, str)
    assert not run.cause.startswith("the agent broke off")


def made(task: int, repeat: int, passed: bool) -> Run:
    return Run(task, repeat, passed, "" if passed else "too many turns", 4, 1, 2.0, (("hi", "Hello!"),), (("why",),))


def test_pass_at_k_counts_tasks_that_pass_every_time() -> None:
    runs = [made(0, 0, True), made(0, 1, True), made(1, 0, True), made(1, 1, False)]
    told = summed_up(runs, 2)
    assert told["pass"] == {"1": 0.75, "2": 0.5}
    assert [(each["task"], each["passed"], each["passes"], each["cause"]) for each in told["tasks"]] == [
        (0, True, 2, ""),
        (1, False, 1, "too many turns"),
    ]
    assert told["tasks"][0]["seconds"] == 2.0


def test_kept_runs_are_read_back_and_a_line_cut_off_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    whole = json.dumps(made(3, 1, True).as_json())
    file.write_text(f"{whole}\n{whole[:40]}", encoding="utf-8")
    assert kept_runs(file) == [made(3, 1, True)]
    assert kept_runs(tmp_path / "none.jsonl") == []
