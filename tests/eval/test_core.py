"""A part of the core suite on the real default models, and that what it tells of them can be relied on: kept, resumed, reported.

All of it: `make eval`.
"""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from agent.resources import DEMO_SOURCE, Opened
from agent.settings import Settings
from eval.conversation import Place
from eval.judge import Judge
from eval.playing import Moved
from eval.policy_diff import changes_between
from eval.running import PLAYS, Play, kept_plays, noon_of, plan, play_and_judge
from eval.scenario import SCENARIOS, read_scenarios
from eval.scenario_report import html_report, junit_report
from eval.summary import comparison_of, summary_of

pytestmark = pytest.mark.real

PART = (
    *("return-jacket-too-small", "return-opened-briefs", "return-coat-china", "exchange-sold-out", "exchange-coat-zh"),
    *("cancel-simple", "cancel-zh", "change-address-of-order", "change-payment-zh", "account-address", "visitor-name-postcode"),
    *("track-by-number", "track-zh", "search-price-cap", "search-price-zh", "photo-exact", "recommend-for-me"),
    *("size-dress-measures", "size-shoes-zh", "policy-free-shipping", "policy-fapiao-zh", "human-asked", "several-two-returns"),
    *("mind-zh", "agree-conditional", "scope-code", "budget-fast-answer"),
)


@pytest.fixture(scope="module")
def plays(place: Place, clock: Moved, settings: Settings) -> list[Play]:
    planned = plan(read_scenarios([SCENARIOS / "core" / f"{name}.yaml" for name in PART]), settings, 1, "real")
    judge, noon = Judge(place.shop), noon_of(place.shop)
    return [play_and_judge(place, clock, judge, each, noon) for each in planned]


def test_nine_in_ten_of_a_part_of_the_core_suite_go_right(plays: list[Play]) -> None:
    wrong = {play.name: [verdict.reason for verdict in play.failed] for play in plays if not play.passed}
    assert len(wrong) <= len(plays) // 10, wrong


def test_a_play_leaves_the_shop_as_it_found_it(place: Place, plays: list[Play]) -> None:
    assert any(play.changed for play in plays)
    assert place.shop.ledger.entries() == []


def test_reports_hold_every_conversation_and_its_verdicts(plays: list[Play]) -> None:
    summary = summary_of(plays)
    assert summary["plays"] == summary["pass"]["1"]["scenarios"] == len(PART)
    assert summary["by_tag"]["core"] == summary["pass"]
    page = html_report(plays, summary, "Scenarios")
    assert "<svg" in page
    assert "A rain jacket that is too small goes back" in page
    assert "$83.00" in page
    report = ElementTree.fromstring(junit_report(plays))
    assert len(report.findall(".//testcase")) == len(PART)
    assert len(report.findall(".//failure")) == sum(not play.passed for play in plays)


def test_a_play_that_was_kept_is_not_played_again(plays: list[Play], settings: Settings, tmp_path: Path) -> None:
    with (tmp_path / PLAYS).open("w", encoding="utf-8") as out:
        out.writelines(play.model_dump_json() + "\n" for play in plays)
        out.write('{"key": "cut off')
    kept = kept_plays(tmp_path)
    read = read_scenarios([SCENARIOS / "core" / f"{name}.yaml" for name in PART])
    assert {each.key for each in plan(read, settings, 1, "real")} == set(kept)
    other = settings.model_copy(update={"model": settings.model.model_copy(update={"name": "another"})})
    assert not {each.key for each in plan(read, other, 1, "real")} & set(kept)
    twice = {each.key for each in plan(read, settings, 2, "real")}
    assert set(kept) < twice
    assert len(twice) == 2 * len(kept)


def test_two_runs_are_compared_scenario_by_scenario(plays: list[Play]) -> None:
    right = [play for play in plays if play.passed][:6]
    wrong = [play.model_copy(update={"verdicts": (play.verdicts[0].model_copy(update={"passed": False}),)}) for play in right]
    found = comparison_of(right, wrong)
    assert (found["scenarios"], found["lost"], found["won"], found["both"]) == (6, 6, 0, 0)
    assert found["p"] == pytest.approx(0.03125)
    assert json.dumps(found)
    assert comparison_of(right, right)["changed"] == []


def test_an_answer_with_another_reference_is_the_same_answer(plays: list[Play]) -> None:
    def with_id(play: Play, reference: str, reply: str) -> Play:
        turn = play.turns[0]["turn"] | {
            "steps": [{"tool": "commit_quote", "facts": [{"text": "", "source": f"quote:{reference}"}]}],
            "reply": reply.format(reference),
        }
        return play.model_copy(update={"turns": ({**play.turns[0], "turn": turn},)})

    done = with_id(plays[0], "q-one", "Done: {}.")
    assert comparison_of([done], [with_id(plays[0], "q-two", "Done: {}.")])["other_answers"] == []
    assert comparison_of([done], [with_id(plays[0], "q-two", "Not done: {}.")])["other_answers"] == [plays[0].title]


def test_other_rules_are_told_by_the_answers_that_they_change(demo: Opened, clock: Moved, place: Place, tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    text = (DEMO_SOURCE / "policy.yaml").read_text("utf-8")
    # Returned within 5 days in the place of 30: the jacket came 7 days ago.
    head, tail = text.split("  - id: window\n", 1)
    changed = f"{head}  - id: window\n{tail.replace('window_days: 30', 'window_days: 5', 1)}"
    assert changed != text
    old.write_text(text, "utf-8")
    new.write_text(changed, "utf-8")
    said = read_scenarios([SCENARIOS / "core" / f"{name}.yaml" for name in ("return-jacket-too-small", "cancel-simple")])
    found = list(changes_between(demo, place.folder, clock, old, new, said))
    assert [(change.name, change.turn) for change in found] == [("A rain jacket that is too small goes back", 1)]
    assert "offer" in found[0].kinds
    assert "$83.00" in found[0].before
    assert "$83.00" not in found[0].after
    assert list(changes_between(demo, place.folder, clock, old, old, said)) == []
