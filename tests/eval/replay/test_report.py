"""What a run of replayed calls comes to, and what is written of it."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree as xml

import numpy as np
from replayed import UNSUPPORTED, call, turn

from eval.replay.batch import Failed
from eval.replay.call import Expected, Moved
from eval.replay.compared import changes
from eval.replay.overall import overall
from eval.replay.report import write_report

HOSTILE = "<script>alert(1)</script>"


class Vectors:
    """Two questions are one where they begin alike."""

    def queries(self, texts: list[str]) -> np.ndarray:
        return np.array([[1.0, 0.0] if text.startswith("Can I bring") else [0.0, 1.0] for text in texts])


def no_encoder() -> NoReturn:
    raise AssertionError("there is nothing to tell apart")


def test_the_outcome_is_held_against_the_expected_one() -> None:
    moved = Moved(order="1", kind="refund", cents=100)
    right = call(
        "a", turn(tools=("commit_quote",)), expect=Expected(tools=("commit_quote",), committed=(moved,)), committed=(moved,)
    )
    assert right.misses() == []
    wrong = call("b", turn(), expect=Expected(outcome="resolved", sources=("clause:RET-2",), says=("30",), committed=(moved,)))
    assert len(wrong.misses()) == 4
    assert call("c", turn()).misses() == []


def test_time_is_saved_only_on_calls_that_were_resolved() -> None:
    resolved, left_open = call("a", turn(), outcome="resolved"), call("b", turn())
    summed = overall([resolved, left_open], 0, no_encoder)
    assert summed.call_seconds == 120
    assert summed.agent_seconds == 1
    assert summed.saved_seconds == 59.5


def test_missing_knowledge_is_ranked_and_drafted_without_private_data() -> None:
    dog = turn("Can I bring my dog?", "Sure. Dogs are welcome, write to mia@example.com. Anything else?", unknown=True)
    cat = turn("Can I bring my cat and my dog into the shop?", "Yes.", unknown=True)
    repair = turn("Do you repair?", "One moment please.", unknown=True)
    summed = overall([call("a", repair), call("b", dog), call("c", cat)], 0, lambda: Vectors())  # type: ignore[arg-type,return-value]
    first, second = summed.missing
    assert (first.question, first.calls) == ("Can I bring my dog?", ("b", "c"))
    assert "Dogs are welcome" in first.draft
    assert "@" not in first.draft
    assert "else?" not in first.draft
    assert second.draft == ""
    assert first.as_clause(1)["questions"] == ["Can I bring my dog?", "Can I bring my cat and my dog into the shop?"]


def test_the_report_stands_by_itself_and_escapes_what_was_said(tmp_path: Path) -> None:
    against = turn(HOSTILE, HOSTILE, HOSTILE, tools=("answer_from_policy",), departs="contradicts", statements=(UNSUPPORTED,))
    calls = [call(HOSTILE, against, expect=Expected(outcome="resolved")), call("b", turn())]
    failed = [Failed(id="broken", why=f"no sound\x00 {HOSTILE}")]
    html = write_report(tmp_path, "Harbour", calls, failed, overall(calls, 1, no_encoder), datetime(2026, 11, 30, tzinfo=UTC))
    text = html.read_text(encoding="utf-8")
    assert "<script" not in text
    assert not re.search(r"(?:src|href)=|https?://", text)
    assert "<svg" in text
    suite = xml.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    whole = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert whole["calls"][0]["misses"] == ["ended open, not resolved"]
    assert whole["overall"]["contradictions"] == 1


def test_two_runs_are_compared_by_what_they_did_and_not_by_their_time() -> None:
    before = {"a": call("a", turn(tools=("track_order",))), "b": call("b", turn()), "gone": call("gone", turn())}
    after = {
        "a": call("a", turn(agent="other words", tools=("search_products",), seconds=9.0), outcome="resolved"),
        "b": call("b", turn(seconds=9.0)),
    }
    found = changes(before, after)
    assert [(each.call, each.kind, each.turn) for each in found] == [
        ("a", "outcome", None),
        ("a", "tools", 1),
        ("a", "reply", 1),
        ("gone", "only in one", None),
    ]
