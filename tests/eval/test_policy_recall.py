import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from eval.policy_recall import measure_recall, read_clauses, read_questions, write_clauses
from tools.catalog.index import Hit
from tools.kit.errors import OperatorError
from tools.shop.importers import import_shop
from tools.shop.sqlite_shop import SqliteShop


def lines(file: Path, *rows: dict[str, Any]) -> Path:
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return file


def test_documents_become_the_clauses_of_a_shop(tmp_path: Path) -> None:
    documents = lines(tmp_path / "documents.jsonl", {"id": "doc (a)_1", "title": "Cards", "content": "A card costs nothing."})
    write_clauses(read_clauses(documents, "en"), tmp_path / "source")
    import_shop("jsonl", tmp_path / "source", tmp_path / "shop", today=date(2026, 1, 1))
    with SqliteShop.open(tmp_path / "shop") as shop:
        (clause,) = shop.clauses(date(2026, 1, 1))
    assert (clause.id, clause.title.en, clause.text.en) == ("doc (a)_1", "Cards", "A card costs nothing.")


def test_recall_is_the_share_of_the_documents_found(tmp_path: Path) -> None:
    class Finds:
        def clauses(self, text: str, *_: object) -> list[Hit]:
            return [Hit(each, 1.0) for each in text.split()]

    file = lines(
        tmp_path / "questions.jsonl",
        {"id": "1", "scenario": "a b x", "required_documents": ["a", "b", "c", "d"]},
        {"id": "2", "scenario": "x", "required_documents": ["x"]},
        {"id": "3", "scenario": "asks for nothing", "required_documents": []},
    )
    finds: Any = Finds()
    assert measure_recall(finds, read_questions(file), "en") == {"recall5": 0.75, "most_possible": 1.0, "questions": 2}


def test_files_of_another_form_are_refused(tmp_path: Path) -> None:
    file = lines(tmp_path / "other.jsonl", {"name": "x"})
    with pytest.raises(OperatorError, match="required_documents"):
        read_questions(file)
    with pytest.raises(OperatorError, match="content"):
        read_clauses(file, "en")
