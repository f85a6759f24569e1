import csv
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from places import shared_data
from typer.testing import CliRunner

from eval import bench
from eval.faq import faq_entries, read_labelled
from tools.kit.errors import OperatorError


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text("text,intent\nhello,GREET\n", encoding="utf-8")
    with pytest.raises(OperatorError, match="'sentence' and 'label'"):
        read_labelled(file)


def test_each_label_becomes_an_entry_with_its_sentences_as_known_questions() -> None:
    (entry,) = faq_entries([("pay by card?", "MODES_OF_PAYMENT"), ("cash ok?", "MODES_OF_PAYMENT")])
    assert (entry["id"], entry["text"], entry["questions"]) == (
        "MODES_OF_PAYMENT",
        {"en": "modes of payment"},
        ["pay by card?", "cash ok?"],
    )


def written(file: Path, pairs: Iterable[tuple[str, str]]) -> str:
    with file.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows([("sentence", "label"), *pairs])
    return str(file)


ABOUT_ITS_GOODS = {
    "curekart": ("IMMUNITY", "SIDE_EFFECT", "EXPIRY_DATE", "CONSULT_START", "USER_GOAL_FORM", "REFER_EARN", "WORK_FROM_HOME"),
    "sofmattress": ("PILLOWS", "ORTHO_FEATURES", "ERGO_FEATURES", "WHAT_SIZE_TO_ORDER", "COMPARISON", "100_NIGHT_TRIAL_OFFER"),
}


@pytest.mark.real
@pytest.mark.parametrize(("shop", "other"), [("curekart", "sofmattress"), ("sofmattress", "curekart")])
def test_a_shops_faq_answers_real_sentences(tmp_path: Path, shop: str, other: str) -> None:
    """Every fourth sentence is held out; what customers ask of the other shop's goods has no answer here."""
    folder = shared_data("hint3") / "v2"
    said = read_labelled(folder / f"{shop}_train.csv")
    elsewhere = [pair for pair in read_labelled(folder / f"{other}_train.csv") if pair[1] in ABOUT_ITS_GOODS[other]]
    train = written(tmp_path / "train.csv", (pair for n, pair in enumerate(said) if n % 4))
    test = written(tmp_path / "test.csv", said[::4] + elsewhere)
    printed = CliRunner().invoke(bench.app, ["faq", "--train", train, "--test", test, "--json"])
    result = json.loads(printed.stdout.splitlines()[-1])
    assert result["in_scope_accuracy"] >= 0.85
    assert result["accuracy"] >= 0.76
    assert result["out_of_scope_recall"] >= 0.7
