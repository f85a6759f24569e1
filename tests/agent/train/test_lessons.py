"""What is learnt: decisions as the grammar forces them, replies from files, the same selection every time."""

import json
from collections import Counter
from pathlib import Path

import pytest

from agent.examples import Example
from agent.train import lessons as module
from agent.train.lessons import (
    Lesson,
    choose,
    decision_text,
    described_tools,
    hold_out,
    load_decisions,
    load_replies,
    read_cases,
)
from agent.train.messages import decision_messages, grounded_messages
from tools.kit.errors import BadSettings, ModelFailed, OperatorError


@pytest.fixture(scope="module")
def decisions() -> list[Lesson]:
    return load_decisions()


def test_every_tool_is_learnt_in_both_languages(decisions: list[Lesson]) -> None:
    names = {tool["function"]["name"] for tool in described_tools()} | {"reply"}
    for language in ("en", "zh"):
        assert {lesson.topic for lesson in decisions if lesson.language == language} == names


def test_a_decision_is_written_in_the_grammars_order() -> None:
    tools = described_tools()
    written = decision_text("search_products", {"product": "2", "query": "tent"}, tools)
    assert written == '{"tool": "search_products", "arguments": {"query": "tent", "product": "2"}}'
    assert decision_text("reply", {"anything": 1}, tools) == '{"tool": "reply"}'
    with pytest.raises(ModelFailed, match="query"):
        decision_text("search_products", {}, tools)


def test_what_is_right_with_several_tools_is_not_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, open_to_two = (
        Example.model_validate({"say": "size?", "tool": tool}) for tool in ("advise_size", ("advise_size", "search_products"))
    )
    incomplete = Example(say="a tent", tool="search_products")
    monkeypatch.setattr(module, "load_examples", lambda _language: [plain, open_to_two, incomplete])
    assert [lesson.topic for lesson in load_decisions()] == ["advise_size", "advise_size"]


def test_a_prompt_holds_what_was_said_and_what_was_before() -> None:
    system, user = decision_messages("the second one", before="shown", photo=True)
    assert len(system.text) < 160
    assert user.text == "Before: products were shown.\nA photo is attached.\nthe second one"
    assert decision_messages("hi")[1].text == "hi"
    assert (
        grounded_messages("price?", ["It costs €5.", "It is in stock."])[1].text
        == "price?\n\nFacts:\n- It costs €5.\n- It is in stock."
    )


def test_replies_are_read_and_may_be_missing(tmp_path: Path) -> None:
    assert load_replies(tmp_path) == []
    line = {"said": "多少钱？", "facts": ["售价 ¥20。"], "reply": "一共 ¥20。"}
    (tmp_path / "replies.zh.jsonl").write_text(json.dumps(line, ensure_ascii=False) + "\n", encoding="utf-8")
    (lesson,) = load_replies(tmp_path)
    assert (lesson.kind, lesson.language, lesson.completion) == ("reply", "zh", "一共 ¥20。")


def test_a_bad_reply_is_named_by_file_and_line(tmp_path: Path) -> None:
    good = '{"said": "a", "facts": ["b"], "reply": "c"}'
    (tmp_path / "replies.en.jsonl").write_text(f'{good}\n{{"said": "a", "facts": [], "reply": "c"}}\n', encoding="utf-8")
    with pytest.raises(BadSettings, match=r"replies\.en\.jsonl', line 2: facts"):
        load_replies(tmp_path)


def test_cases_that_need_an_earlier_turn_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    case = {"say": "hi", "language": "en", "tools": [None], "note": "further keys are for others"}
    path.write_text(
        "\n".join(json.dumps(each) for each in (case, {**case, "before": ["a"]}, {**case, "say": ""})), encoding="utf-8"
    )
    assert [each.say for each in read_cases([path])] == ["hi"]
    path.write_text('{"say": "hi"}', encoding="utf-8")
    with pytest.raises(OperatorError, match=r"cases\.jsonl', line 1: language"):
        read_cases([path])


def test_a_selection_is_balanced_and_always_the_same(decisions: list[Lesson]) -> None:
    chosen = choose(decisions, 130, seed=3)
    assert set(Counter((lesson.language, lesson.topic) for lesson in chosen).values()) == {5}
    assert chosen == choose(decisions, 130, seed=3)
    assert chosen != choose(decisions, 130, seed=4)
    assert len(choose(decisions, None, seed=0)) == len(decisions)


def test_lessons_held_out_are_not_learnt(decisions: list[Lesson]) -> None:
    learnt, held = hold_out(choose(decisions, 200, seed=0), seed=0)
    assert (len(learnt), len(held)) == (188, 12)
    assert {id(lesson) for lesson in learnt}.isdisjoint(id(lesson) for lesson in held)
