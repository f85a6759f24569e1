from pathlib import Path

import pytest
from places import shared_data

from agent.resources import text_encoder_of
from agent.settings import Settings
from eval.faq import measure_faq, read_labelled
from tools.kit.errors import OperatorError


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text("text,intent\nhello,GREET\n", encoding="utf-8")
    with pytest.raises(OperatorError, match="'sentence' and 'label'"):
        read_labelled(file)


ABOUT_ITS_GOODS = {
    "curekart": ("IMMUNITY", "SIDE_EFFECT", "EXPIRY_DATE", "CONSULT_START", "USER_GOAL_FORM", "REFER_EARN", "WORK_FROM_HOME"),
    "sofmattress": ("PILLOWS", "ORTHO_FEATURES", "ERGO_FEATURES", "WHAT_SIZE_TO_ORDER", "COMPARISON", "100_NIGHT_TRIAL_OFFER"),
}


@pytest.mark.real
@pytest.mark.parametrize(("shop", "other"), [("curekart", "sofmattress"), ("sofmattress", "curekart")])
def test_a_shops_faq_is_learnt_from_real_sentences(settings: Settings, shop: str, other: str) -> None:
    """Every fourth sentence is held out; what customers ask of the other shop's goods has no answer here."""
    folder = shared_data("hint3") / "v2"
    said = read_labelled(folder / f"{shop}_train.csv")
    elsewhere = [pair for pair in read_labelled(folder / f"{other}_train.csv") if pair[1] in ABOUT_ITS_GOODS[other]]
    result = measure_faq(text_encoder_of(settings), [p for n, p in enumerate(said) if n % 4], said[::4] + elsewhere)
    assert result["in_scope_accuracy"] >= 0.85
    assert result["accuracy"] >= 0.76
    assert result["out_of_scope_recall"] >= 0.7
