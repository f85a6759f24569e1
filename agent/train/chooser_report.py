"""What is told of a trained chooser: its figures as rows, and its model card."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from agent.examples import Example
from agent.labels import OWN
from agent.train.hint3 import WRITER as HINT3
from tools.kit.errors import OperatorError
from tools.shop.types import LANGUAGES

MODEL_CARD = "MODEL_CARD.md"
"""The card's name, beside the chooser."""
_COLUMNS = {"accuracy": "right", "accuracy_en": "right, en", "accuracy_zh": "right, zh", "ece": "calibration error"}


def last_writers(examples: Sequence[Example]) -> tuple[str, ...]:
    """The last writer of each language, by the number in the file's name; never the shop's own labels or HINT3.

    Raises OperatorError where a language has fewer than two writers: nothing would be left to learn from, or to measure on.
    """
    held_out = []
    for language in LANGUAGES:
        writers = {
            example.writer
            for example in examples
            if example.writer.startswith(f"{language}-") and not example.writer.startswith((f"{language}-{OWN}", HINT3))
        }
        if len(writers) < 2:
            raise OperatorError(
                f"prompts/examples/ has {len(writers)} writers of '{language}'; it takes two files, one to learn from, one to measure on."
            )
        held_out.append(max(writers, key=lambda writer: (len(writer), writer)))
    return tuple(held_out)


def listed(writers: Sequence[str]) -> str:
    """The names as a sentence has them: "en-2, zh-2 and en-own"."""
    *others, last = writers
    return f"{', '.join(others)} and {last}" if others else last


def figure_rows(card: Mapping[str, Any]) -> list[list[str]]:
    """The card's figures as a table, its head first."""
    return [
        ["", *_COLUMNS.values()],
        *(
            [name, *(f"{figures[key]:.3f}" if key == "ece" else f"{figures[key]:.1%}" for key in _COLUMNS)]
            for name, figures in card["figures"].items()
        ),
    ]


def write_card(out: Path, card: Mapping[str, Any], examples: Sequence[Example], command: str, **settings: Any) -> Path:
    """Write the model card beside the chooser `out`; `settings` are the blanks of the template that the card does not fill."""
    counts = Counter(example.writer for example in examples)
    figures = figure_rows(card)
    blanks = {
        "name": out.stem,
        "file": out.name,
        "labels": len(card["labels"]),
        "encoder": card["encoder"],
        "examples": card["examples"],
        "sentences": f"{card['sentences']:,}",
        "writers": _markdown([["writer", "sentences"], *([writer, f"{counts[writer]:,}"] for writer in sorted(counts))]),
        "members": card["members"],
        "lora_scale": f"{card['lora_scale']:g}",
        "tuned_weight": f"{card['tuned_weight']:.2f}",
        "linear_weight": f"{1 - card['tuned_weight']:.2f}",
        "temperature": f"{card['temperature']:.2f}",
        "epochs": card["plan"]["epochs"],
        "begun": "on from the one before" if card["plan"]["begin"] else "anew",
        "seed": card["plan"]["seed"],
        "noise": f"{card['plan']['noise']:.0%}",
        "held_out": listed(card["plan"]["held_out"]),
        "figures": _markdown(figures),
        "command": command,
        **settings,
    }
    template = Template(Path(__file__).with_name("chooser_card.md").read_text(encoding="utf-8"))
    file = out.with_name(MODEL_CARD)
    file.write_text(template.substitute(blanks), encoding="utf-8")
    return file


def _markdown(rows: list[list[str]]) -> str:
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *body))
