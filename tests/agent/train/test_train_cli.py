"""`storehand train chat` as an operator uses it, on the tiny model."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli import app
from agent.resources import _adapter
from agent.train import cli
from tools.kit.errors import OperatorError, WeightsUnavailable


def invoke(*arguments: str) -> None:
    CliRunner().invoke(app, ["train", "chat", *arguments], catch_exceptions=False)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    path = tmp_path / "cases.jsonl"
    rows = [
        {"say": "where is it", "language": "en", "tools": ["track_order"]},
        {"say": "你好", "language": "zh", "tools": [None]},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_a_run_leaves_an_adapter_its_figures_and_its_card(tiny_gguf: Path, tmp_path: Path, cases: Path) -> None:
    out = tmp_path / "out"
    arguments = ["--base", str(tiny_gguf), "--limit", "40", "--epochs", "1", "--rank", "2", "--layers", "1", "--out", str(out)]
    invoke(*arguments, "--cases", str(cases))
    assert (out / "tiny-chat.gguf").read_bytes()[:4] == b"GGUF"
    assert (out / "peft" / "adapter_config.json").exists()
    measured = json.loads((out / "measured.json").read_text(encoding="utf-8"))
    assert set(measured["tried"]) == {cli.BEFORE_FULL, cli.BEFORE, cli.AFTER}
    assert set(measured["tried"][cli.AFTER]["by_language"]) == {"en", "zh"}
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "last 1 of 3 layers" in card
    assert "2 sentences (cases.jsonl)" in card
    assert "$" not in card.replace("`$", "")


def test_a_missing_extra_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda package: None if package == "peft" else object())
    with pytest.raises(OperatorError, match=r"needs peft; run: pip install 'storehand\[train\]'"):
        invoke()


def test_a_base_that_is_no_chat_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"no model file at 'absent\.gguf'"):
        invoke("--base", "absent.gguf")


def test_an_adapter_is_a_path_or_a_shipped_name(tiny_gguf: Path) -> None:
    assert _adapter("") is None
    assert _adapter(str(tiny_gguf)) == tiny_gguf
    with pytest.raises(WeightsUnavailable, match=r"'nowhere'.*storehand train chat"):
        _adapter("nowhere")
