from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

import pytest
from small_shop import CLAUSES, SmallShop
from test_catalog import TODAY, LetterEncoder

from tools.answer_from_policy import certainty
from tools.catalog.build import index_shop
from tools.catalog.catalog import Catalog
from tools.catalog.edge_index import EdgeIndex
from tools.catalog.known_questions import LEAST, MOST, KnownQuestions
from tools.shop.types import Clause, LocalText

ASKED = {
    "WARRANTY": "how long is the warranty of my {}",
    "ASSEMBLY": "who assembles the {} at home",
    "CLEANING": "may I wash a {} in the machine",
    "TRIAL": "can we try one {} for a hundred nights",
    "EMI": "do you offer instalments for this {}",
    "PICKUP": "will somebody collect our old {}",
}
GOODS = ("mattress", "pillow", "bed frame", "quilt", "topper", "bolster", "cover", "sofa", "cushion", "blanket")
QUESTIONS = [(text.format(thing), entry) for thing in GOODS for entry, text in ASKED.items()]


def learnt(pairs: Sequence[tuple[str, str]], encoder: LetterEncoder) -> KnownQuestions | None:
    questions, entries = zip(*pairs, strict=True)
    return KnownQuestions.learnt(questions, entries, encoder.queries)


def margins(known: KnownQuestions, question: str) -> dict[str, float]:
    return known.margins(question, LetterEncoder().queries([question])[0])


def test_a_question_like_an_entrys_own_means_that_entry_and_no_other() -> None:
    known = learnt(QUESTIONS, LetterEncoder())
    assert known is not None
    told = margins(known, "who assembles the wardrobe at home?")
    assert max(told, key=lambda entry: told[entry]) == "ASSEMBLY"
    assert [entry for entry, margin in told.items() if margin >= 0] == ["ASSEMBLY"]


@pytest.mark.parametrize("said", ["xyzzy plugh", "你好", "!"])
def test_a_question_like_none_of_them_means_no_entry(said: str) -> None:
    known = learnt(QUESTIONS, LetterEncoder())
    assert known is not None
    assert max(margins(known, said).values()) < 0


def test_most_of_the_shops_own_questions_are_above_the_line() -> None:
    known = learnt(QUESTIONS, LetterEncoder())
    assert known is not None
    told = [margins(known, question)[entry] >= 0 for question, entry in QUESTIONS]
    assert sum(told) >= 0.9 * len(told)


def test_nothing_is_learnt_or_encoded_where_questions_are_few_or_unlike_each_other() -> None:
    encoder = LetterEncoder()
    assert learnt(QUESTIONS[: LEAST - 1], encoder) is None
    # Each entry has a question of each kind, so that no two of an entry look alike.
    mixed = [(question, f"E{number % 7}") for number, (question, _) in enumerate(QUESTIONS)]
    assert learnt(mixed, encoder) is None
    assert encoder.encoded == []


def test_of_very_many_questions_a_part_is_learnt_that_has_every_entry() -> None:
    many = [
        (f"{question} number {number}", entry)
        for question, entry in sorted(QUESTIONS, key=itemgetter(1))
        for number in range(30)
    ]
    assert len(many) > MOST
    encoder = LetterEncoder()
    known = learnt(many, encoder)
    assert known is not None
    assert len(encoder.encoded) <= MOST
    assert margins(known, "will somebody collect our old wardrobe").keys() == ASKED.keys()


def faq(*questions: tuple[str, str]) -> list[Clause]:
    return [
        Clause(
            id=entry,
            kind="faq",
            topic="faq",
            title=LocalText(en=entry.lower()),
            text=LocalText(en=f"About {entry.lower()}."),
            questions=tuple(question for question, its in questions if its == entry),
        )
        for entry in ASKED
    ]


def opened(shop: SmallShop, folder: Path, encoder: LetterEncoder) -> Catalog:
    index = EdgeIndex(folder / "index")
    index_shop(shop, index, encoder, pytest.fail, folder / "vectors.sqlite")
    return Catalog.open(shop, index, encoder, pytest.fail)


def test_a_shop_answers_by_its_known_questions_and_by_its_clauses_side_by_side(tmp_path: Path) -> None:
    shop = SmallShop(tmp_path)
    shop.kept_clauses = [*(clause.model_copy(update={"questions": ()}) for clause in CLAUSES), *faq(*QUESTIONS)]
    catalog = opened(shop, tmp_path, LetterEncoder())
    in_force = {clause.id: clause for clause in shop.clauses(TODAY)}

    hits = catalog.clauses("may I wash a wardrobe in the machine", "en", TODAY, 3)
    assert hits[0].id == "CLEANING"
    assert certainty(hits, in_force, "en") >= 0

    hits = catalog.clauses("You can return unused items within 30 days", "en", TODAY, 3)
    assert (hits[0].id, hits[0].margin) == ("RET-1", None)
    assert certainty(hits, in_force, "en") >= 0


def test_of_edited_questions_the_new_one_alone_is_encoded(tmp_path: Path) -> None:
    shop, encoder = SmallShop(tmp_path), LetterEncoder()
    shop.kept_clauses = faq(*QUESTIONS)
    catalog = opened(shop, tmp_path, encoder)
    catalog.clauses("hello", "en", TODAY, 1)
    encoder.encoded.clear()
    shop.kept_clauses = faq(*QUESTIONS, ("is there a showroom for the mattress", "PICKUP"))
    shop.version += "+"
    hits = catalog.clauses("is there a showroom for the mattress", "en", TODAY, 1)
    assert (hits[0].id, hits[0].margin is not None and hits[0].margin >= 0) == ("PICKUP", True)
    assert encoder.encoded.count("is there a showroom for the mattress") == 3, (
        "as a known question, and twice as what was asked"
    )
    assert not set(encoder.encoded) & {question for question, _ in QUESTIONS}
