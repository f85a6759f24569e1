"""The `storehand replay` command."""

import json
from pathlib import Path

import pytest
from replayed import call, turn
from typer.testing import CliRunner

from eval.replay.command import app
from eval.replay.replay import ReplayedCall
from tools.kit.errors import OperatorError

runner = CliRunner()


def kept(folder: Path, *calls: ReplayedCall) -> Path:
    """The folder of a run with these calls in it."""
    (folder / "calls").mkdir(parents=True)
    for each in calls:
        content = {"rests_on": "", "replayed": each.model_dump(mode="json")}
        (folder / "calls" / f"{each.call.id}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_two_runs_are_compared_in_the_terminal_and_on_a_page(tmp_path: Path) -> None:
    before = kept(tmp_path / "a", call("one", turn()), call("two", turn(tools=("track_order",))))
    after = kept(tmp_path / "b", call("one", turn()), call("two", turn(tools=("search_products",)), outcome="resolved"))
    page = tmp_path / "changes.html"
    done = runner.invoke(app, ["compare", str(before), str(after), "--html", str(page)])
    assert done.exit_code == 0, done.output
    assert "1 of 2 calls change." in done.output
    assert "search_products" in page.read_text(encoding="utf-8")


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    done = runner.invoke(app, ["compare", str(tmp_path), str(tmp_path)])
    assert isinstance(done.exception, OperatorError)


@pytest.mark.parametrize("arguments", [["no-such-file"], ["calls", "no-such-file"], ["--shop", "demo", "no-such-file"]])
def test_what_is_no_command_is_a_call(tmp_path: Path, arguments: list[str]) -> None:
    done = runner.invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, OperatorError)
    assert "'no-such-file' does not exist" in str(done.exception)
    assert not (tmp_path / "out").exists()
