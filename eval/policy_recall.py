"""How many of the documents that a task needs are among the first five that its scenario finds, by the product's own search.

The documents become a shop's clauses, are indexed and searched as such. They are JSON lines with "id", "title" and "content",
or "law", "article" and "text"; the questions with "id", "scenario" and "required_documents", or "facts" and "cited_articles".
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from tools.catalog.catalog import Catalog
from tools.kit.errors import OperatorError
from tools.shop.types import Language

BEST = 5
_PRODUCT = {
    "id": "none",
    "title": {"en": "Nothing"},
    "category": {"en": "None"},
    "variants": [{"id": "none", "price_cents": None}],
}
"""A shop sells something."""


@dataclass(frozen=True)
class Question:
    """What is asked, and the ids of the documents that answer it."""

    text: str
    documents: frozenset[str]


def read_questions(file: Path) -> list[Question]:
    """The questions that need a document. Raises OperatorError if the file has other fields."""
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        read = [
            Question(row["scenario"], frozenset(row["required_documents"]))
            if "scenario" in row
            else Question(row["facts"], frozenset(row["cited_articles"]))
            for row in rows
        ]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise OperatorError(
            f"'{file}' is not of the form expected ({error!r}): JSON lines with 'scenario' and 'required_documents'."
        ) from error
    return [question for question in read if question.documents]


def read_clauses(documents: Path, language: Language) -> list[dict[str, Any]]:
    """The documents as clauses in the canonical form. Raises OperatorError if the file has other fields."""
    try:
        rows = [json.loads(line) for line in documents.read_text(encoding="utf-8").splitlines() if line.strip()]
        return [_clause(row, language) for row in rows]
    except (KeyError, json.JSONDecodeError) as error:
        raise OperatorError(
            f"'{documents}' is not of the form expected ({error!r}): JSON lines with 'id', 'title' and 'content'."
        ) from error


def write_clauses(clauses: Iterable[dict[str, Any]], folder: Path) -> None:
    """Write a shop in the canonical form that has these clauses and little else."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shop.yaml").write_text("name: {en: Documents}\ncurrency: USD\n", encoding="utf-8")
    (folder / "products.jsonl").write_text(json.dumps(_PRODUCT), encoding="utf-8")
    lines = (json.dumps(clause, ensure_ascii=False) for clause in clauses)
    (folder / "clauses.jsonl").write_text("\n".join(lines), encoding="utf-8")


def _clause(row: dict[str, Any], language: Language) -> dict[str, Any]:
    title, text = (row["title"], row["content"]) if "content" in row else (f"{row['law']} {row['article']}", row["text"])
    return {"id": row["id"], "kind": "policy", "topic": "policy", "title": {language: title}, "text": {language: text}}


def measure_recall(catalog: Catalog, questions: Sequence[Question], language: Language) -> dict[str, Any]:
    """ "recall5": the mean share of a question's documents among its BEST hits; "most_possible": what a perfect search gets."""
    shares, most = [], []
    for question in questions:
        hits = catalog.clauses(question.text, language, date.today(), BEST)  # noqa: DTZ011
        shares.append(len(question.documents & {hit.id for hit in hits}) / len(question.documents))
        most.append(min(BEST, len(question.documents)) / len(question.documents))
    count = max(1, len(questions))
    return {"recall5": sum(shares) / count, "most_possible": sum(most) / count, "questions": len(questions)}
