"""`storehand train chooser`: what it learns from, what it holds out, where the result and its card go."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent import labels, resources
from agent.chooser.chooser import SHIPPED
from agent.examples import Example, all_examples
from agent.train import chooser as training
from agent.train.chooser_report import figure_rows, last_writers
from agent.train.cli import app
from tools.kit.errors import OperatorError

FIGURES = {"accuracy": 0.912, "accuracy_en": 0.9, "accuracy_zh": 0.924, "ece": 0.0321}


def example(writer: str, say: str = "x") -> Example:
    return Example(say=say, tool="track_order", writer=writer)


class Trained:
    """In the place of the training, which takes hours: remembers what it was given."""

    def __call__(
        self,
        encoder: Any,
        examples: Sequence[Example],
        plan: training.Plan,
        out: Path,
        checkpoints: Path,
        tell: Callable[[float, str], None],
    ) -> dict[str, Any]:
        self.examples, self.plan, self.out, self.checkpoints = examples, plan, out, checkpoints
        tell(0.5, "epoch 1 of 4, loss 0.10")
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(b"weights")
        return {
            "labels": ["track_order"],
            "encoder": "text-1",
            "examples": "abc",
            "sentences": len(examples),
            "lora_scale": 2.0,
            "members": 2,
            "tuned_weight": 0.55,
            "temperature": 0.9,
            "figures": {"tuned alone": FIGURES, "linear alone": FIGURES, "joined": FIGURES},
            "plan": {"held_out": plan.held_out, "epochs": plan.epochs, "seed": plan.seed, "noise": plan.noise, "begin": None},
        }


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trained:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STOREHAND_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("STOREHAND_CACHE_DIR", str(tmp_path / "cache"))
    made = Trained()
    monkeypatch.setattr(training, "train_chooser", made)
    monkeypatch.setattr(resources, "prepare", lambda *_: None)
    monkeypatch.setattr(resources, "text_encoder_of", lambda *_: None)
    return made


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["chooser", *arguments])
    assert result.exit_code == 0, result.exception
    return str(result.output)


def test_it_learns_from_the_shops_own_labels_too(trained: Trained, tmp_path: Path) -> None:
    own = example("en-own", "where the heck is it")
    labels.add(tmp_path / "data" / "labels", own)
    printed = run()
    assert list(trained.examples) == [*all_examples(), own]
    assert trained.plan.held_out == ("en-20", "zh-15")
    assert (trained.plan.begin, trained.plan.epochs) == (SHIPPED, 1)
    assert trained.out == tmp_path / "data" / resources.CHOOSER
    assert trained.checkpoints == tmp_path / "cache" / "train"
    assert "91.2%" in printed
    assert "0.032" in printed
    card = (tmp_path / "data" / "MODEL_CARD.md").read_text(encoding="utf-8")
    for part in (
        "| en-own | 1 |",
        "| joined | 91.2% | 90.0% | 92.4% | 0.032 |",
        "en-20 and zh-15",
        "rank 16",
        "25% of the sentences",
    ):
        assert part in card
    assert "$" not in card


def test_anew_it_begins_with_nothing_and_sees_each_sentence_oftener(trained: Trained) -> None:
    run("--fresh")
    assert (trained.plan.begin, trained.plan.epochs) == (None, 4)


def test_another_file_has_its_card_beside_it(trained: Trained, tmp_path: Path) -> None:
    run("--out", str(tmp_path / "tried" / "one.safetensors"), "--epochs", "2")
    assert trained.plan.epochs == 2
    assert {path.name for path in (tmp_path / "tried").iterdir()} == {"one.safetensors", "MODEL_CARD.md"}
    assert not (tmp_path / "data" / resources.CHOOSER).exists()


def test_the_last_writer_of_each_language_is_held_out_and_never_the_shop_itself() -> None:
    writers = ("en-1", "en-2", "en-10", "en-own", "zh-1", "zh-2", "zh-own")
    assert last_writers([example(writer) for writer in writers]) == ("en-10", "zh-2")
    with pytest.raises(OperatorError, match="1 writers of 'zh'"):
        last_writers([example(writer) for writer in ("en-1", "en-2", "zh-1", "zh-own")])


def test_the_figures_are_rows() -> None:
    assert figure_rows({"figures": {"joined": FIGURES}}) == [
        ["", "right", "right, en", "right, zh", "calibration error"],
        ["joined", "91.2%", "90.0%", "92.4%", "0.032"],
    ]
