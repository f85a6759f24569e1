"""HINT3's training sentences, typed by real customers of two shops, with our tools for labels."""

import csv
from pathlib import Path

import yaml

from agent.examples import REPLY, Example
from agent.train.lessons import Case
from tools.kit.errors import OperatorError

WRITER = "en-hint3"
"""How the names of the writers begin, one for each shop, beside those of prompts/examples/."""


def read_hint3(folder: Path) -> list[Case]:
    """The sentences (corrected labels) of the folder that holds v2/, labelled by intent with hint3.yaml, as cases.

    Raises OperatorError if they are not there.
    """
    return [case for cases in _by_shop(folder).values() for case in cases]


def _by_shop(folder: Path) -> dict[str, list[Case]]:
    intents = yaml.safe_load(Path(__file__).with_name("hint3.yaml").read_text(encoding="utf-8"))
    by_shop = {}
    for shop, tools in intents.items():
        path = folder / "v2" / f"{shop}_train.csv"
        if not path.is_file():
            raise OperatorError(f"'{path}' is missing; give the folder of HINT3 that holds v2/.")
        with path.open(encoding="utf-8", newline="") as file:
            rows = [(row["sentence"].strip(), row["label"]) for row in csv.DictReader(file)]
        by_shop[shop] = [
            Case(say=said, language="en", tools=tuple(tools[label])) for said, label in rows if said and label in tools
        ]
    return by_shop


def hint3_examples(folder: Path) -> list[Example]:
    """The same as examples to learn from; where an intent has several tools, the other sentences tell which one a sentence means."""
    return [
        Example(
            say=case.say,
            tool=tuple(tool or REPLY for tool in case.tools),
            talk="unclear" if None in case.tools else None,
            any_of=len(case.tools) > 1,
            writer=f"{WRITER}-{shop}",
        )
        for shop, cases in _by_shop(folder).items()
        for case in cases
    ]
