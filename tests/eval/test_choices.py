"""Tool choice on labelled sentences, with the real default model."""

from pathlib import Path

import pytest

from agent.decide import REPLY, TOOLS
from agent.resources import Opened
from eval.choices import Case, misses, read_cases, run_cases, score

ROOT = Path(__file__).resolve().parents[2]
FILES = {language: ROOT / "eval" / "cases" / f"choices_dev.{language}.jsonl" for language in ("en", "zh")}


@pytest.mark.parametrize("language", FILES)
def test_the_dev_file_holds_at_least_forty_sentences_over_all_tools(language: str) -> None:
    cases = read_cases(FILES[language])
    assert len({case.say for case in cases}) >= 40
    assert {tool for case in cases for tool in case.tools} == {*(tool.name for tool in TOOLS), None}
    assert all(case.language == language for case in cases)
    assert all((ROOT / case.photo).is_file() for case in cases if case.photo)


@pytest.mark.real
def test_most_choices_are_right(demo: Opened) -> None:
    # Every tenth sentence, for the time it takes: the whole files are held to 0.9 by `storehand bench choices`, a part of them
    # leaves room for chance.
    cases: list[Case] = [case for file in FILES.values() for case in read_cases(file)[::10]]
    outcomes = list(run_cases(demo.agent, cases, customer_id="c001", photos=ROOT))
    assert score(outcomes)["accuracy"] >= 0.85, misses(outcomes)


@pytest.mark.real
def test_where_the_evidence_is_strong_it_is_nearly_always_right(demo: Opened) -> None:
    bank = demo.agent_with.keywords["bank"]
    sure = []
    for case in (case for file in FILES.values() for case in read_cases(file) if not case.before and not case.photo):
        _, shares = bank.look_up(case.say, case.language, before=None, photo=False)
        tool, share = next((tool, share) for tool, share in shares.items() if tool != "identify_product")
        if share >= 0.6:
            sure.append((None if tool == REPLY else tool) in case.tools)
    assert len(sure) >= 200
    assert sum(sure) / len(sure) >= 0.97
