"""Scenario files: what ships is whole, and what is wrong in one is told with its line."""

import json
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
import yaml

from eval.scenario import SCENARIOS, Scenario, read_scenario, read_scenarios, schema
from tools.kit.errors import BadSettings, OperatorError

GOOD = "name: Hello\nlanguage: en\nsteps:\n  - say: hello\n    expect: {tools: []}\n"


@pytest.fixture(scope="module")
def read() -> list[tuple[Path, Scenario]]:
    return read_scenarios([SCENARIOS])


def test_the_suites_that_ship_are_large_enough_and_in_both_languages(read: list[tuple[Path, Scenario]]) -> None:
    suites = Counter(file.parent.name for file, _ in read)
    assert suites["core"] >= 120
    assert suites["redteam"] >= 150
    for suite in suites:
        languages = Counter(each.language for file, each in read if file.parent.name == suite)
        assert min(languages["en"], languages["zh"]) >= suites[suite] / 5
    assert all(each.obeys for file, each in read if file.parent.name == "redteam")


def test_the_published_schema_is_that_of_the_code_and_fits_every_file(read: list[tuple[Path, Scenario]]) -> None:
    published = json.loads((SCENARIOS / "schema.json").read_text("utf-8"))
    assert published == schema()
    checker = jsonschema.Draft202012Validator(published)
    for file, _ in read[::10]:
        checker.validate(yaml.safe_load(file.read_text("utf-8")))


@pytest.mark.parametrize(
    ("wrong", "line", "why"),
    [
        (GOOD.replace("say: hello", "sya: hello"), 4, "sya"),
        (GOOD.replace("tools: []", "tool: []"), 5, "tool"),
        (GOOD.replace("tools: []", "tools: [search_product]"), 5, "there is no tool 'search_product'"),
        (GOOD + "steps: []\n", 6, "twice"),
        (GOOD.replace("language: en", "language: fr"), 2, "language"),
        (GOOD.replace("say: hello", "expect: {}").replace("    expect: {tools: []}\n", ""), 4, "needs 'say'"),
        (GOOD + "goals: {shop_state: {order: {}}}\n", 6, "order"),
        (GOOD.replace("say: hello", "say: hello\n    press: agree"), 4, "not both"),
        ("name: Hello\nlanguage: en\n", 1, "either 'steps' or a 'customer'"),
        (GOOD.replace("say: hello", "photo: {of: p1, file: x.jpg}"), 4, "either 'of' a product or a 'file'"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, wrong: str, line: int, why: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(wrong, "utf-8")
    with pytest.raises(BadSettings) as told:
        read_scenario(file)
    assert f"line {line}" in str(told.value)
    assert why in str(told.value)


def test_two_scenarios_may_not_have_one_name(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(GOOD, "utf-8")
    with pytest.raises(BadSettings, match=r"b\.yaml', line 1: 'Hello' is also the name"):
        read_scenarios([tmp_path])
    (tmp_path / "none").mkdir()
    with pytest.raises(OperatorError, match="no scenario in"):
        read_scenarios([tmp_path / "none"])
