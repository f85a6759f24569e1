"""A kept conversation becomes a scenario that can be played: private data masked, what was done as what is expected."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from agent.resources import DEMO_SOURCE
from agent.server.scenarios import disliked, scenario_of, scenario_yaml
from agent.server.store import STORE, Shown, Store
from eval.scenario import Scenario
from tools.shop.importers import import_shop
from tools.shop.sqlite_shop import SqliteShop

NOW = datetime(2026, 11, 20, tzinfo=UTC)
TURN = (
    '{"steps": [{"tool": "quote_return", "facts": [{"text": "…", "source": "clause:RET-1"}, {"text": "…", "source": "quote:Q1"}]}],'
    ' "handoff": null}'
)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[SqliteShop]:
    import_shop("jsonl", DEMO_SOURCE, tmp_path / "demo")
    with SqliteShop.open(tmp_path / "demo") as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / STORE)
    for conversation, customer in (("a1", "c001"), ("b2", None)):
        made.open_conversation(conversation, customer, NOW, "en")
    said = "Emma Carter here, 42 birch lane: the jacket is too small"
    made.begin_run("a1", "r1", Shown("m1", "r1", "customer", said, NOW, {}))
    answer = Shown("m2", "r1", "agent", "Shall I?", NOW, {})
    made.end_run("a1", "r1", "finished", (1, "{}"), language="en", answer=answer, turn=TURN, at=NOW)
    made.begin_run("a1", "r2", Shown("m3", "r2", "customer", "(a button pressed)", NOW, {"button": "agree"}))
    made.begin_run("b2", "r3", Shown("m4", "r3", "customer", "hello", NOW, {}))
    return made


def test_a_conversation_is_scrubbed_and_can_be_played(store: Store, shop: SqliteShop) -> None:
    made = scenario_of(store, shop, "a1")
    assert made is not None
    read = Scenario.model_validate(yaml.safe_load(scenario_yaml(made)))
    assert read.setup.customer == "c001"
    assert read.steps[0].say == "[private] here, [private]: the jacket is too small"
    assert read.steps[0].expect.tools == ("quote_return",)
    assert read.steps[0].expect.sources == ("clause:RET-1",)
    assert read.steps[1].press == "agree"
    assert scenario_of(store, shop, "none") is None


def test_a_thumb_down_names_the_conversations_worth_a_scenario(store: Store, shop: SqliteShop) -> None:
    assert disliked(store) == []
    store.rate("a1", "m2", "down", "that was not my question")
    assert disliked(store) == ["a1"]
    made = scenario_of(store, shop, "a1")
    assert made
    assert "thumbs-down" in made["tags"]
