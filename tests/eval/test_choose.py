"""Tool choice on labelled sentences, with the chooser that is shipped."""

import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from agent.decide import TOOLS
from agent.examples import load_examples
from agent.resources import Opened
from eval.choose import Case, Outcome, misses, read_cases, run_cases, score
from tools.kit.errors import OperatorError
from tools.shop.types import Language

ROOT = Path(__file__).resolve().parents[2]
FILES = [ROOT / "eval" / "cases" / f"choose_{part}.{language}.jsonl" for part in ("dev", "test") for language in ("en", "zh")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_of_cases_spreads_over_all_tools_in_one_language(file: Path) -> None:
    cases = read_cases(file)
    counts = Counter(tool for case in cases for tool in case.tools)
    assert set(counts) == {*(tool.name for tool in TOOLS), None}
    assert min(counts.values()) >= 4
    assert len({(case.say, case.before) for case in cases}) == len(cases)
    assert {case.language for case in cases} == {file.stem.rsplit(".")[-1]}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_test_sentence_was_learnt(language: Language) -> None:
    def bare(sentence: str) -> str:
        return "".join(letter for letter in unicodedata.normalize("NFKC", sentence).casefold() if letter.isalnum())

    learnt = {re.sub(r"\d+", "0", bare(example.say)) for example in load_examples(language)}
    tested = {re.sub(r"\d+", "0", bare(case.say)) for case in read_cases(FILES[2 + ("en", "zh").index(language)])}
    assert learnt & tested - {""} == set()  # marks alone are nobody's sentence


def outcome(tools: list[str | None], chosen: str | None, **more: object) -> Outcome:
    case = Case(say="x", language="en", tools=tuple(tools))
    return Outcome.model_validate({"case": case, "chosen": chosen, "seconds": 0.1, **more})


def test_the_score_tells_wrong_from_asked() -> None:
    result = score(
        [
            outcome(["track_order"], "track_order", guess="track_order", share=0.95),
            outcome(["track_order"], "quote_return", guess="quote_return", share=0.95),
            outcome(["quote_return"], None, asked=("quote_return", "quote_exchange"), guess="quote_return", share=0.45),
            outcome([None, "quote_return"], None, asked=("quote_return", "quote_exchange"), guess="quote_return", share=0.45),
            outcome([None], None, guess="reply", share=0.95, model_calls=1),
        ]
    )
    assert result["accuracy"] == pytest.approx(0.6)
    assert result["asked"] == pytest.approx(0.4)
    assert result["asked_rightly"] == pytest.approx(0.4)
    assert result["wrong_and_sure"] == pytest.approx(0.2)
    assert result["model_calls_mean"] == pytest.approx(0.2)
    # Three at 0.95 of which two are right, two at 0.45 of which both are.
    assert result["ece"] == pytest.approx(0.6 * (0.95 - 2 / 3) + 0.4 * 0.55)


def test_carrying_out_what_was_agreed_to_is_no_choice_of_a_tool() -> None:
    assert outcome([None], "commit_quote").right
    assert not outcome(["quote_return"], "commit_quote").right
    assert not outcome([None], "quote_return").right


def test_a_case_that_cannot_be_read_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps({"say": "hi", "language": "en", "tools": [None]}) + '\n{"say": "hi"}\n', encoding="utf-8")
    with pytest.raises(OperatorError, match="line 2"):
        read_cases(file)


@pytest.mark.real
def test_choices_are_right_or_asked_back(demo: Opened) -> None:
    # A part of the dev files, for the time it takes; `storehand bench choose` measures the whole ones.
    cases = [case for file in FILES[:2] for case in read_cases(file)[::4]]
    photo = demo.shop.picture(next(name for product in demo.shop.products() for name in product.pictures))
    outcomes = list(run_cases(demo.agent, cases, customer_id="c001", photos=ROOT, any_photo=photo))
    result = score(outcomes)
    assert result["accuracy"] >= 0.9, misses(outcomes)
    assert result["wrong_and_sure"] <= 0.06, misses(outcomes)
    assert result["asked"] <= 0.1
    assert result["model_calls_mean"] <= 0.2
