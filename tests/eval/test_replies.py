"""Scoring of written replies, and the pairs that they are written for; no model."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field
from typer.testing import CliRunner

from eval import bench
from eval.replies import (
    CRITERIA,
    Case,
    Criterion,
    measure_replies,
    misses,
    read_cases,
    score,
    score_reply,
    spread,
    titles_of,
    words_of,
)
from tools.kit.errors import OperatorError
from tools.kit.facts import Fact
from tools.kit.phrases import PROMPTS

CASES = Path(__file__).resolve().parents[2] / "eval" / "cases"
FILES = {name: CASES / f"replies_{name}.jsonl" for name in ("dev.en", "dev.zh", "test.en", "test.zh")}
DENIALS = {"no", "not", "不", "没"}


def read_all(*names: str) -> list[Case]:
    return [case for name in names or FILES for case in read_cases(FILES[name])]


@pytest.mark.parametrize("name", FILES)
def test_every_file_holds_one_language_and_facts_in_it(name: str) -> None:
    for case in read_all(name):
        assert case.language == name[-2:]
        han = re.compile(r"[\u4e00-\u9fff]")
        assert bool(han.search(" ".join(fact.text for fact in case.facts))) == (case.language == "zh"), case.said


def test_there_are_over_two_hundred_pairs_half_of_them_chinese_and_none_twice() -> None:
    cases = read_all()
    assert len(cases) >= 210
    assert abs(sum(case.language == "en" for case in cases) / len(cases) - 0.5) < 0.02
    assert len({(case.said, case.facts) for case in cases}) == len(cases)
    assert len({case.said for case in cases}) == len(cases)


def test_what_is_tuned_on_and_what_is_tested_on_share_no_question_and_no_product() -> None:
    dev, test = read_all("dev.en", "dev.zh"), read_all("test.en", "test.zh")
    assert not {case.said for case in dev} & {case.said for case in test}
    assert not words_of(dev).titles & words_of(test).titles


def test_whatever_a_reply_must_hold_stands_in_its_facts() -> None:
    for case in read_all():
        told = " ".join(fact.text for fact in case.facts).lower()
        for group in case.must:
            assert set(group) <= DENIALS or any(words.lower() in told for words in group), (case.said, group)
        assert bool(case.must) != case.unknown, case.said


def test_the_pairs_cover_what_goes_wrong() -> None:
    cases = read_all()
    assert sum(case.unknown for case in cases) >= 35
    assert sum(len(titles_of(case.facts)) > 1 for case in cases) >= 10
    assert sum("sold out" in fact.text or "缺货" in fact.text for case in cases for fact in case.facts[:1]) >= 10
    for sign in ("$", "€", "£", "¥", "SEK"):
        assert any(sign in case.facts[0].text for case in cases)


def test_the_replies_to_learn_from_are_about_other_things() -> None:
    asked = {case.said.lower() for case in read_all()}
    for language in ("en", "zh"):
        lines = (PROMPTS / f"replies.{language}.jsonl").read_text(encoding="utf-8").splitlines()
        replies = [json.loads(line) for line in lines]
        assert len({reply["said"] for reply in replies}) == len(replies) >= 100
        assert not {reply["said"].lower() for reply in replies} & asked
        for reply in replies:
            told = set(re.findall(r"\d+(?:\.\d+)?", " ".join(reply["facts"]).replace(",", "")))
            assert set(re.findall(r"\d+(?:\.\d+)?", reply["reply"].replace(",", ""))) <= told, reply["reply"]


LAMP = Case(
    said="How tall is the lamp, and does it dim?",
    language="en",
    facts=(
        Fact(text="Beacon Lamp: $49.00, in stock (Colour: brass, white).", source="product:lamp"),
        Fact(text="Height: 46 cm", source="product:lamp"),
        Fact(text="Dims in three steps.", source="product:lamp"),
    ),
    must=(("46",), ("dim", "three steps")),
    must_not=("by remote",),
    next_step="Which colour would you like?",
)
SHELL = Case(
    said="这盏灯多高？",
    language="zh",
    facts=(
        Fact(text="贝壳灯：¥139.00，有货（颜色：黄铜、白）。", source="product:shell"),
        Fact(text="高度：46 厘米", source="product:shell"),
    ),
    must=(("46",),),
    next_step="您想要哪种颜色？",
)
UNKNOWN = LAMP.model_copy(update={"said": "who made it?", "must": (), "unknown": True, "next_step": None})
WORDS = words_of([LAMP, SHELL])


def missed(case: Case, reply: str) -> set[Criterion]:
    return {criterion for criterion, is_right in score_reply(case, reply, WORDS).right.items() if not is_right}


@pytest.mark.parametrize(
    ("case", "reply"),
    [
        (LAMP, "It is 46 cm tall and dims in three steps. Which colour would you like?"),
        (LAMP, "The Beacon Lamp is 46 cm tall and dims. Let me know which colour you like."),
        (SHELL, "高 46 厘米。您想要哪种颜色？"),
        (UNKNOWN, "I don't know who made it, sorry."),
        (UNKNOWN, "The shop’s data doesn’t say that."),
        (UNKNOWN.model_copy(update={"language": "zh"}), "这一点资料里没有写。"),
    ],
)
def test_a_good_reply_misses_nothing(case: Case, reply: str) -> None:
    assert missed(case, reply) == set()


@pytest.mark.parametrize(
    ("case", "reply", "expected"),
    [
        (LAMP, "It is 46 cm tall, dims, and costs $39. Which colour would you like?", {"faithful"}),
        (LAMP, "It is 46 cm tall and dims by remote. Which colour would you like?", {"faithful"}),
        (LAMP, "It is 46 cm tall. Which colour would you like?", {"complete"}),
        (LAMP, "It is 146 cm tall and dims. Which colour would you like?", {"faithful", "complete"}),
        (UNKNOWN, "A very good maker.", {"complete"}),
        (LAMP, "It is 46 cm tall and dims. 您想要哪种颜色？", {"language"}),
        (SHELL, "It is 46 厘米 tall。您想要哪种颜色？", {"language"}),
        (SHELL, "這盞燈高 46 厘米。您想要哪种颜色？", {"language"}),
        (LAMP, "It is 46 cm tall. It dims. It is in stock. Which colour would you like?", {"short"}),
        (LAMP, "It is 46 cm tall and dims in three steps.", {"next_step"}),
        (LAMP, "Which colour would you like? It is 46 cm tall and dims.", {"next_step"}),
        (LAMP, "It is 46 cm tall and dims. Do you like it? Which colour would you like?", {"next_step"}),
        (LAMP, "", {"complete", "language", "short", "next_step"}),
    ],
)
def test_every_criterion_can_be_missed(case: Case, reply: str, expected: set[Criterion]) -> None:
    assert missed(case, reply) == expected


def test_a_yes_or_no_against_the_facts_is_not_faithful_in_either_language() -> None:
    dark = Case(
        said="咖啡豆是深烘吗？",
        language="zh",
        facts=(
            Fact(text="雾山咖啡豆：¥88.00，有货。", source="product:coffee"),
            Fact(text="烘焙度：深烘", source="product:coffee"),
            Fact(text="不含咖啡因", source="product:coffee"),
        ),
        must=(("深烘",),),
    )
    assert missed(dark, "是的，是深烘。") == set()
    assert "faithful" in missed(dark, "这款咖啡豆不是深烘。")
    assert "faithful" in missed(dark.model_copy(update={"said": "它含咖啡因吗？"}), "是的，它含咖啡因。")
    folds = LAMP.model_copy(update={"said": "Is it foldable?", "must": (("fold",),), "next_step": None})
    folds = folds.model_copy(update={"facts": (*LAMP.facts, Fact(text="Foldable stand", source="product:lamp"))})
    assert missed(folds, "Yes, it is foldable.") == set()
    assert "faithful" in missed(folds, "No, it is not foldable.")


def test_list_lines_are_not_counted_as_sentences() -> None:
    reply = "It is 46 cm tall and dims:\n1. brass.\n2. white.\n3. none.\nWhich colour would you like?"
    assert "short" not in missed(LAMP, reply)


class Says(BaseChatModel):
    """Writes the same reply to everything."""

    reply: str
    asked: list[list[BaseMessage]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "says"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> Iterator[ChatGenerationChunk]:
        self.asked.append(messages)
        for word in re.findall(r"\s*\S+", self.reply):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))


def test_what_is_written_and_what_is_sent_are_scored_apart() -> None:
    model = Says(reply="It is 99 cm tall. Do you like it? Yes? It dims. It is in stock. It costs $49.00.")
    [outcome] = measure_replies(model, "role", [LAMP], WORDS)
    assert not outcome.written.right["faithful"]
    assert not outcome.written.right["short"]
    assert outcome.sent.all_right, outcome.sent.text
    assert outcome.sent.text.endswith("Which colour would you like?")
    assert outcome.why
    result = score([outcome])
    assert result["written"]["all"] == 0
    assert result["sent"]["all"] == 1
    assert set(result["sent"]) == {*CRITERIA, "all"}
    assert result["by_language"]["en"]["sent"]["all"] == 1
    assert result["seconds_median"] >= 0
    assert misses([outcome]) == []


def test_what_no_fact_tells_is_said_without_a_model() -> None:
    model = Says(reply="Yes, two years!")
    case = LAMP.model_copy(update={"said": "is there a warranty?", "must": (), "must_not": (), "unknown": True})
    [outcome] = measure_replies(model, "role", [case], WORDS)
    assert outcome.sent.all_right, outcome.sent.text
    assert not model.asked


def test_a_file_with_a_mistake_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(LAMP.model_dump_json() + '\n{"said": "x"}\n', encoding="utf-8")
    with pytest.raises(OperatorError, match="line 2"):
        read_cases(file)


def test_a_limit_takes_cases_from_all_of_the_list() -> None:
    cases = read_all()
    assert sum(case.language == "zh" for case in spread(cases, 20)) in (9, 10)
    assert spread(cases, None) == cases
    assert spread(cases, 10_000) == cases


class Opening:
    """What the command needs of an opened agent."""

    shop = None

    def __init__(self, model: BaseChatModel) -> None:
        self.model = model

    def load_model(self) -> None:
        pass


def test_the_command_prints_a_table_with_bars_or_one_json_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @contextmanager
    def apart(*_: Any) -> Iterator[Opening]:
        yield Opening(Says(reply="It is 46 cm tall and dims in three steps."))

    monkeypatch.setattr(bench, "_agent_apart", apart)
    monkeypatch.setattr("agent.turn.prefix_of", lambda _: "role")
    files = []
    for case in (LAMP, SHELL):
        files += ["--cases", str(tmp_path / f"{case.language}.jsonl")]
        (tmp_path / f"{case.language}.jsonl").write_text(case.model_dump_json(), encoding="utf-8")

    def printed(*arguments: str) -> str:
        result = CliRunner().invoke(bench.app, ["replies", *files, *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    result = json.loads(printed("--json").splitlines()[-1])
    assert result["cases"] == 2
    assert result["by_language"]["en"]["sent"]["all"] == 1
    assert result["by_language"]["zh"]["written"]["language"] == 0
    assert result["misses"] == []
    assert json.loads(printed("--json", "--limit", "1").splitlines()[-1])["cases"] == 1
    assert "█" in printed()
