"""How often a shop's FAQ answers the right question, and is silent where it has no answer (form of HINT3's files).

A sentence is labelled with its answer; a label that the training sentences do not have stands for "no answer".
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.catalog.faq import Faq
from tools.kit.errors import OperatorError

if TYPE_CHECKING:
    from tools.catalog.text_encoder import TextEncoder


def read_labelled(file: Path) -> list[tuple[str, str]]:
    """The sentences and labels of a CSV file with these columns. Raises OperatorError if it has none."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        if not {"sentence", "label"} <= set(reader.fieldnames or ()):
            raise OperatorError(f"'{file}' has no columns 'sentence' and 'label'; give a CSV file with both.")
        return [(row["sentence"], row["label"]) for row in reader if row["sentence"] and row["label"]]


def measure_faq(encoder: "TextEncoder", train: Sequence[tuple[str, str]], test: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Learn from `train`, sort `test`; both are (sentence, label).

    "in_scope_accuracy": of the sentences with a label in `train`, how many have it as their nearest answer, rejected or not.
    "accuracy": of all, how many get that answer, or none if they have another label. "out_of_scope_recall": of those with
    another label, how many get none; None without such.
    """
    faq = Faq([said for said, _ in train], [label for _, label in train], encoder.queries([said for said, _ in train]))
    vectors = encoder.queries([said for said, _ in test])
    matched = [(label, faq.match(said, vector)) for (said, label), vector in zip(test, vectors, strict=True)]
    inside = [(label, match) for label, match in matched if label in faq.labels]
    outside = [match for label, match in matched if label not in faq.labels]
    named = sum(match.label == label for label, match in inside)
    answered = sum(match.answers and match.label == label for label, match in inside)
    silent = sum(not match.answers for match in outside)
    return {
        "in_scope_accuracy": named / len(inside) if inside else None,
        "accuracy": (answered + silent) / len(matched),
        "out_of_scope_recall": silent / len(outside) if outside else None,
        "in_scope": len(inside),
        "out_of_scope": len(outside),
    }
