"""How often a shop's FAQ answers the right question, and is silent where it has no answer (form of HINT3's files).

A sentence is labelled with its answer; a label that the training sentences do not have stands for "no answer". Each label becomes
an FAQ entry whose known questions are its training sentences; its own words stand for title and text, which the files do not have.
"""

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eval.policy_answers import answering_clause
from tools.catalog.catalog import Catalog
from tools.kit.errors import OperatorError
from tools.shop.shop import Shop


def read_labelled(file: Path) -> list[tuple[str, str]]:
    """The sentences and labels of a CSV file with these columns. Raises OperatorError if it has none."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        if not {"sentence", "label"} <= set(reader.fieldnames or ()):
            raise OperatorError(f"'{file}' has no columns 'sentence' and 'label'; give a CSV file with both.")
        return [(row["sentence"], row["label"]) for row in reader if row["sentence"] and row["label"]]


def faq_entries(train: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Clauses whose ids are the labels."""
    questions: dict[str, list[str]] = {}
    for said, label in train:
        questions.setdefault(label, []).append(said)
    return [
        {"id": label, "kind": "faq", "topic": "faq", "title": {"en": words}, "text": {"en": words}, "questions": asked}
        for label, asked in questions.items()
        for words in [label.replace("_", " ").lower()]
    ]


def measure_faq(catalog: Catalog, shop: Shop, test: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Ask the sentences of `test`, (sentence, label), of a shop with `faq_entries`.

    "in_scope_accuracy": of the sentences whose label the shop has, how many have it as their nearest answer, rejected or not.
    "accuracy": of all, how many get that answer, or none if they have another label. "out_of_scope_recall": of those with
    another label, how many get none; None without such.
    """
    today = datetime.now(UTC).date()
    labels = {clause.id for clause in shop.clauses(today)}
    nearest = [catalog.clauses(said, "en", today, 1) for said, _ in test]
    answers = [answering_clause(catalog, shop, said, "en") for said, _ in test]
    named = sum(bool(hits) and hits[0].id == label for hits, (_, label) in zip(nearest, test, strict=True))
    right = sum(answer == (label if label in labels else None) for answer, (_, label) in zip(answers, test, strict=True))
    outside = [answer for answer, (_, label) in zip(answers, test, strict=True) if label not in labels]
    inside = len(test) - len(outside)
    return {
        "in_scope_accuracy": named / inside if inside else None,
        "accuracy": right / len(test),
        "out_of_scope_recall": outside.count(None) / len(outside) if outside else None,
        "in_scope": inside,
        "out_of_scope": len(outside),
    }
