"""The shop's own labelled sentences: <language>-own.jsonl in a folder of the data folder, in the form of prompts/examples/."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from filelock import FileLock

from agent.examples import REPLY, Before, Example, Talk, read_examples
from tools.kit.errors import OperatorError
from tools.shop.types import Language

LABELS = "labels"
"""The folder's name in the data folder."""
OWN = "own"
"""The writer of these sentences: "en-own", "zh-own". Never held out when a chooser is trained."""
_BUSY_SECONDS = 30.0


class BadLabel(OperatorError):
    """No tool of that name, or a reply without its kind."""


def labelled(say: str, language: Language, tools: Sequence[str], *, before: Before | None, photo: bool) -> Example:
    """A sentence with its right tools, the likeliest first; a reply names its kind: "reply:thanks".

    Raises BadLabel with what is allowed.
    """
    from agent.decide import TOOLS  # takes a second, and a program that reads labels does not need it

    names = [tool.name for tool in TOOLS]
    talks: list[Talk] = []
    chosen: list[str] = []
    for tool in tools:
        name, _, kind = tool.strip().partition(":")
        talk = next((each for each in get_args(Talk) if each == kind), None)
        if name == REPLY and talk:
            talks.append(talk)
        elif name not in names or kind:
            kinds = ", ".join(f"{REPLY}:{each}" for each in get_args(Talk))
            raise BadLabel(f"'{tool}' is no label; name one of {', '.join(names)}, {kinds}.")
        chosen.append(name)
    if not chosen or len(set(chosen)) < len(chosen):
        raise BadLabel(
            f"'{','.join(tools)}' names no tool, or one twice; name one, or those between which nobody could decide."
        )
    return Example(
        say=say,
        tool=chosen[0] if len(chosen) == 1 else tuple(chosen),
        before=before,
        photo=photo,
        talk=talks[0] if talks else None,
        writer=f"{language}-{OWN}",
    )


def own_examples(folder: Path) -> list[Example]:
    """All sentences labelled so far; none where the folder is missing. Raises BadSettings with the line that is wrong."""
    return [example for path in sorted(folder.glob(f"*-{OWN}.jsonl")) for example in read_examples(path)]


def add(folder: Path, example: Example) -> None:
    """Append the example to its language's file."""
    _rewrite(folder, example, lambda lines: [*lines, _line(example)])


def take_back(folder: Path, example: Example) -> None:
    """Remove the last line that says the same; nothing happens if there is none any more."""

    def without(lines: list[str]) -> list[str]:
        last = max((number for number, line in enumerate(lines) if line == _line(example)), default=None)
        return [line for number, line in enumerate(lines) if number != last]

    _rewrite(folder, example, without)


def _line(example: Example) -> str:
    return json.dumps(example.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False)


def _rewrite(folder: Path, example: Example, change: Callable[[list[str]], list[str]]) -> None:
    """Put the changed file in the old one's place: whoever reads meanwhile, or after a crash, finds one of the two."""
    file = folder / f"{example.writer}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{file.name}.lock", timeout=_BUSY_SECONDS):
            lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
            partial = file.with_suffix(".partial")
            with partial.open("w", encoding="utf-8") as writing:
                writing.writelines(f"{line}\n" for line in change(lines))
                writing.flush()
                os.fsync(writing.fileno())
            partial.replace(file)
    except OSError as error:
        raise OperatorError(
            f"the labels in '{file}' cannot be written ({error}); see that the folder may be written."
        ) from error
