from pathlib import Path

import pytest
from small_shop import CLAUSES, SmallShop
from test_catalog import TODAY, LetterEncoder

from tools.catalog.build import index_shop
from tools.catalog.catalog import Catalog
from tools.catalog.clause_search import LONG, service_words
from tools.catalog.edge_index import EdgeIndex
from tools.catalog.passages import PASSAGE_CHARACTERS, passages, sentences
from tools.shop.types import LocalText


def test_a_usual_clause_is_one_passage_and_a_long_one_is_cut_between_its_parts() -> None:
    assert passages("You can return it. We pay the postage.") == ["You can return it. We pay the postage."]
    parts = [f"## Part {n}\n\n" + "word " * 80 for n in range(5)]
    cut = passages("\n\n".join(parts))
    assert len(cut) == 5
    assert " ".join(cut).split() == "\n\n".join(parts).split()
    assert all(len(piece) <= PASSAGE_CHARACTERS for piece in cut)


def test_sentences_are_those_of_both_languages() -> None:
    assert sentences("It broke. Can I return it?\nThanks") == ["It broke.", "Can I return it?", "Thanks"]
    assert sentences("东西坏了。可以退吗？谢谢") == ["东西坏了。", "可以退吗？", "谢谢"]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    shop = SmallShop(tmp_path)
    filler = "\n\n".join("mmm nnn ooo " * 50 for _ in range(3))
    long = LocalText(en=f"{filler}\n\nEngraved watches cannot be refunded.", zh=f"{filler}\n\n刻字手表不退款。")
    shop.kept_clauses = [*CLAUSES, CLAUSES[2].model_copy(update={"id": "LONG-1", "text": long, "questions": ()})]
    index = EdgeIndex(tmp_path / "index")
    index_shop(shop, index, LetterEncoder(), pytest.fail, tmp_path / "vectors.sqlite")
    return Catalog.open(shop, index, LetterEncoder(), pytest.fail)


def test_a_long_clause_is_found_once_by_any_of_its_passages(catalog: Catalog) -> None:
    hits = [hit.id for hit in catalog.clauses("engraved watches refunded", "en", TODAY, 5)]
    assert hits[0] == "LONG-1"
    assert len(hits) == len(set(hits))
    assert catalog.clauses("刻字手表", "zh", TODAY, 1)[0].id == "LONG-1"


def test_one_sentence_of_a_long_story_finds_its_clause(catalog: Catalog) -> None:
    story = "Kkk jjj www qqq xxx. " * 30
    assert len(story) > LONG
    hits = catalog.clauses(f"{story}Engraved watches cannot be refunded. {story}", "en", TODAY, 5)
    assert hits[0].id == "LONG-1"
    assert hits[0].likeness > 0


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("how much is postage to my office", ["shipping cost", "运费"]),
        ("邮费谁出", ["shipping cost", "运费"]),
        ("tell me a joke", []),
    ],
)
def test_a_question_is_put_in_the_words_of_rules_in_both_languages(said: str, words: list[str]) -> None:
    found = service_words(said)
    assert set(words) <= set(found)
    assert bool(found) == bool(words)


def test_a_chinese_question_finds_a_clause_that_is_only_in_english(tmp_path: Path) -> None:
    shop = SmallShop(tmp_path)
    shop.kept_clauses = [
        clause.model_copy(
            update={"title": LocalText(en=clause.title.en), "text": LocalText(en=clause.text.en), "questions": ()}
        )
        for clause in CLAUSES
    ]
    index = EdgeIndex(tmp_path / "index")
    index_shop(shop, index, LetterEncoder(), pytest.fail, tmp_path / "vectors.sqlite")
    catalog = Catalog.open(shop, index, LetterEncoder(), pytest.fail)
    assert catalog.clauses("东西想退掉", "zh", TODAY, 1)[0].id == "RET-1"
    assert catalog.clauses("微信可以吗", "zh", TODAY, 1)[0].id == "PAY-1"


def test_of_two_questions_with_one_vector_the_one_with_the_clauses_words_is_more_like_it(catalog: Catalog) -> None:
    likeness = {said: catalog.clauses(said, "en", TODAY, 1)[0].likeness for said in ("unused items", "desunu smeti")}
    assert likeness["unused items"] > likeness["desunu smeti"]
