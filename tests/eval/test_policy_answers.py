import json
from pathlib import Path
from typing import Any

import pytest

from eval import policy_answers
from eval.policy_answers import Case, clauses_in_form, measure_answers, read_cases
from tools.kit.errors import OperatorError

CASES = Path(__file__).resolve().parents[2] / "eval" / "cases"
DEMO = Path(__file__).resolve().parents[2] / "tools" / "shop" / "demo" / "clauses.jsonl"


def test_every_case_names_clauses_of_the_demo_shop_and_stands_in_one_file() -> None:
    known = {json.loads(line)["id"] for line in DEMO.read_text(encoding="utf-8").splitlines()}
    cases = read_cases(sorted(CASES.glob("policy_*.jsonl")))
    assert {each for case in cases for each in case.clauses} <= known
    assert len({case.say for case in cases}) == len(cases)


def test_a_line_of_another_form_is_named(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text('{"say": "hi", "language": "en", "clauses": []}\n{"say": "hi"}\n', encoding="utf-8")
    with pytest.raises(OperatorError, match=r"cases\.jsonl', line 2"):
        read_cases([file])


def test_an_imported_shop_has_titles_and_texts_in_one_language_alone() -> None:
    both, english = clauses_in_form(DEMO, "both")[0], clauses_in_form(DEMO, "en")[0]
    assert both["text"].keys() == {"en", "zh"}
    assert both["questions"]
    assert english["text"] == {"en": both["text"]["en"]}
    assert english["questions"] == []


def test_answers_are_counted_by_whether_a_clause_was_due(monkeypatch: pytest.MonkeyPatch) -> None:
    quoted = {"right": "A", "wrong": "B", "silent": None, "rightly silent": None, "made up": "A"}
    monkeypatch.setattr(policy_answers, "answering_clause", lambda catalog, shop, said, language: quoted[said])
    cases = [Case(say=said, language="en", clauses=frozenset({"A"})) for said in ("right", "wrong", "silent")]
    cases += [Case(say=said, language="en", clauses=frozenset()) for said in ("rightly silent", "made up")]
    nothing: Any = None
    measured = measure_answers(nothing, nothing, cases)["en"]
    assert measured["right"] == measured["silent"] == pytest.approx(1 / 3)
    assert measured["not_covered_recall"] == measured["not_covered_precision"] == 0.5
