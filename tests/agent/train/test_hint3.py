"""HINT3's sentences as examples: which tools count as right, who wrote them, and what is missing is said."""

from pathlib import Path

import pytest

from agent.train.chooser_report import last_writers
from agent.train.hint3 import hint3_examples, read_hint3
from tests.agent.train.test_chooser_command import example
from tools.kit.errors import OperatorError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = {
        "curekart": "Kindly cancel,CANCEL_ORDER\nwheres my parcel,ORDER_STATUS\nmake my diet plan,CONSULT_START\nstart,START_OVER\n",
        "sofmattress": "bed 6x5 which one,WHAT_SIZE_TO_ORDER\n  ,EMI\n",
    }
    (tmp_path / "v2").mkdir()
    for shop, lines in rows.items():
        (tmp_path / "v2" / f"{shop}_train.csv").write_text("sentence,label\n" + lines, encoding="utf-8")
    return tmp_path


def test_an_intent_of_several_tools_leaves_open_which_one_a_sentence_means(folder: Path) -> None:
    learnt = {each.say: each for each in hint3_examples(folder)}
    assert learnt["wheres my parcel"].tools == ("track_order",)
    assert not learnt["wheres my parcel"].any_of
    assert set(learnt["Kindly cancel"].tools) == {"quote_cancellation", "answer_from_policy"}
    assert learnt["Kindly cancel"].any_of
    assert (learnt["start"].tools, learnt["start"].talk) == (("reply",), "unclear")


def test_what_only_one_bot_offers_and_empty_lines_are_left_out(folder: Path) -> None:
    said = {"Kindly cancel", "wheres my parcel", "start", "bed 6x5 which one"}
    assert {each.say for each in hint3_examples(folder)} == said
    assert {case.say for case in read_hint3(folder)} == said


def test_real_customers_are_always_learnt(folder: Path) -> None:
    learnt = hint3_examples(folder)
    assert {each.writer for each in learnt} == {"en-hint3-curekart", "en-hint3-sofmattress"}
    written = [example(writer) for writer in ("en-1", "en-2", "zh-1", "zh-2")]
    assert last_writers([*written, *learnt]) == ("en-2", "zh-2")


def test_a_folder_without_the_files_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="curekart_train"):
        read_hint3(tmp_path)
