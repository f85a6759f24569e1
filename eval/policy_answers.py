"""How often a question of a customer gets the clause that answers it, and "not covered" where none does, from the tool itself.

The questions are JSON lines with "say", "language" and "clauses": any of these is right; none means that the shop's rules do not
cover it. They are asked of the demo shop's clauses as they are, in both languages with known questions, and of their titles and
texts alone in one language, as a shop that was imported has them.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from tools.answer_from_policy import answer_from_policy
from tools.catalog.catalog import Catalog
from tools.kit.errors import OperatorError
from tools.kit.facts import Facts
from tools.kit.tool import ToolContext
from tools.shop.shop import Shop
from tools.shop.types import Language

FORMS = ("both", "en", "zh")
"""Both languages with known questions; one language without."""


class Case(BaseModel):
    """A question, and the ids of the clauses that answer it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    say: str
    language: Language
    clauses: frozenset[str]


def read_cases(files: Iterable[Path]) -> list[Case]:
    """The questions in these files. Raises OperatorError with the file and line that is wrong."""
    cases = []
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                cases.append(Case.model_validate_json(line))
            except ValidationError as error:
                raise OperatorError(f"'{file}', line {number}: {error}") from error
    return cases


def clauses_in_form(file: Path, form: str) -> list[dict[str, Any]]:
    """The clauses of a clauses.jsonl in one of FORMS."""
    clauses = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    if form == "both":
        return clauses
    return [
        {**clause, "title": {form: clause["title"][form]}, "text": {form: clause["text"][form]}, "questions": []}
        for clause in clauses
    ]


def answering_clause(catalog: Catalog, shop: Shop, said: str, language: Language) -> str | None:
    """The id of the clause that the tool quotes first; None where it says that nothing covers the question."""
    context = ToolContext(
        shop=shop, catalog=catalog, clock=lambda: datetime.now(UTC), language=language, customer_id=None, said=said
    )
    tool: Any = answer_from_policy
    _, artifact = tool.func(runtime=SimpleNamespace(context=context), question=said)
    facts = Facts.model_validate(artifact)
    return facts.facts[0].source.removeprefix("clause:") if facts.outcome == "found" else None


def measure_answers(catalog: Catalog, shop: Shop, cases: Sequence[Case]) -> dict[str, Any]:
    """By the question's language.

    "right": of the covered questions, how many get a right clause first; "silent": how many of them get none. "not_covered_recall":
    of the others, how many get none; "not_covered_precision": how many of those that get none are not covered.
    """
    measured: dict[str, Any] = {}
    for language in dict.fromkeys(case.language for case in cases):
        answers = [(case, answering_clause(catalog, shop, case.say, language)) for case in cases if case.language == language]
        covered = [(case, answer) for case, answer in answers if case.clauses]
        silent = [case for case, answer in answers if answer is None]
        rightly = sum(not case.clauses for case in silent)
        measured[language] = {
            "right": sum(answer in case.clauses for case, answer in covered) / max(1, len(covered)),
            "silent": sum(answer is None for _, answer in covered) / max(1, len(covered)),
            "not_covered_recall": rightly / max(1, len(answers) - len(covered)),
            "not_covered_precision": rightly / max(1, len(silent)),
            "covered": len(covered),
            "not_covered": len(answers) - len(covered),
        }
    return measured
