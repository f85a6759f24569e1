"""The `storehand` command as a newcomer and a program use it, on a small shop made from the demo's first lines."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from places import PICTURES
from typer.testing import CliRunner

from agent.cli import _in_order, add_packages_commands, app
from agent.resources import DEMO_SOURCE
from agent.settings import load_settings
from tools.kit.errors import BadSettings

ROOT = Path(__file__).resolve().parents[1]
STOREHAND = Path(sys.executable).with_name("storehand")


def run(*arguments: str, home: Path, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(STOREHAND), *arguments],
        input=stdin,
        capture_output=True,
        cwd=home,
        env={**os.environ, "STOREHAND_DATA_DIR": str(home / "data"), **environment},
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with path/to/my-shop in it: five products, three clauses, all customers, the orders that fit."""
    home = tmp_path_factory.mktemp("home")
    source = home / "path" / "to" / "my-shop"
    (source / "pictures").mkdir(parents=True)
    for name, lines in {"products": 5, "clauses": 3, "customers": 30, "orders": 80}.items():
        text = (DEMO_SOURCE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[:lines]
        (source / f"{name}.jsonl").write_text("\n".join(text) + "\n", encoding="utf-8")
    (source / "shop.yaml").write_bytes((DEMO_SOURCE / "shop.yaml").read_bytes())
    for picture in sorted(PICTURES.glob("p00[1-5].webp")):
        (source / "pictures" / picture.name).write_bytes(picture.read_bytes())
    return home


def readme_commands(about: str) -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith(f"storehand {about}")]


@pytest.mark.real
def test_the_readmes_commands_for_ones_own_shop_run(home: Path) -> None:
    imported = run(*readme_commands("import")[0], home=home)
    assert imported.returncode == 0, imported.stderr.decode()
    assert "5 products" in imported.stdout.decode()
    # Orders of products that this small shop does not have are reported, the others kept.
    assert "rejected" in imported.stdout.decode()
    chat = next(command for command in readme_commands("chat") if "shops/mine" in command)
    answered = run(*chat, "--json", home=home, stdin="is shipping free?\n包邮吗\n".encode())
    assert answered.returncode == 0, answered.stderr.decode()
    turns = [json.loads(line) for line in answered.stdout.splitlines()]
    assert [turn["language"] for turn in turns] == ["en", "zh"]
    check_form(turns[0])


def check_form(turn: dict[str, Any]) -> None:
    assert set(turn) == {
        *(
            "said",
            "language",
            "steps",
            "reply",
            "promises",
            "quote",
            "quick_replies",
            "share",
            "handoff",
            "model_calls",
            "tokens",
            "seconds",
        ),
    }
    assert set(turn["promises"]) == {"checked", "replaced"}
    assert set(turn["tokens"]) == {"prompt", "cached", "completion"}
    assert set(turn["seconds"]) == {"intake", "decide", "act", "first_token", "total"}
    for step in turn["steps"]:
        assert set(step) == {"tool", "arguments", "facts"}
        assert all(set(fact) == {"text", "source"} for fact in step["facts"])


def test_every_command_of_the_readme_exists() -> None:
    add_packages_commands()
    for command in readme_commands(""):
        names = [word for word in command if not word.startswith("-")]
        # `storehand replay CALLS…` is short for `storehand replay calls CALLS…`.
        group = ["replay", "calls"] if names[0] == "replay" else names[:2] if names[0] in ("desk", "eval") else names[:1]
        result = CliRunner().invoke(app, [*group, "--help"])
        assert result.exit_code == 0, command
        for option in (word for word in command if word.startswith("--")):
            assert option in result.output or names[0] == "bench", f"{command}: {option}"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("chat", "--shop", "no/such/shop", "--say", "hi"), "no/such/shop"),
        (("import", "jsonl", ".", "--shop", "shops/empty"), "shop.yaml"),
        (("import", "csv", ".", "--shop", "shops/empty"), "jsonl"),
    ],
)
@pytest.mark.real
def test_an_operators_mistake_is_one_clear_line(home: Path, arguments: tuple[str, ...], says: str) -> None:
    failed = run(*arguments, home=home)
    assert failed.returncode == 1
    assert says in failed.stderr.decode()
    assert "Traceback" not in failed.stderr.decode()
    assert failed.stdout == b""


@pytest.mark.real
def test_an_unknown_customer_is_one_clear_line(home: Path) -> None:
    run("import", "jsonl", "path/to/my-shop", "--shop", "shops/other", home=home)
    failed = run("chat", "--shop", "shops/other", "--customer", "nobody", "--say", "hi", home=home)
    assert failed.returncode == 1
    assert "no customer 'nobody'" in failed.stderr.decode()


def test_a_photo_belongs_to_the_message_that_follows_it() -> None:
    order = ["shop", "say", "photo", "say", "voice", "photo", "photo"]
    values: dict[str, list[Any]] = {"say": ["a", "b"], "photo": ["p", "q", "r"], "voice": ["v"]}
    assert _in_order(list(order), values) == [
        {"say": "a"},
        {"photo": "p", "say": "b"},
        {"voice": "v", "photo": "q"},
        {"photo": "r"},
    ]


def test_a_wrong_setting_names_its_key_and_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOREHAND_MODEL__CONVERSATIONS", "many")
    with pytest.raises(BadSettings, match=r"model\.conversations.*many"):
        load_settings()


def test_a_settings_file_is_read_and_unknown_keys_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("storehand.toml").write_text('[model]\nkind = "openai_compatible"\nbase_url = "http://localhost:8000/v1"\n')
    assert load_settings().model.base_url == "http://localhost:8000/v1"
    Path("storehand.toml").write_text("[model]\ncolour = 1\n")
    with pytest.raises(BadSettings, match=r"model\.colour"):
        load_settings()
