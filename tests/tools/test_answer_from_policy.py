from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.resources import Opened
from eval.policy_answers import measure_answers, read_cases
from tools.answer_from_policy import ASKED_LIKE_THIS, COVERED, COVERED_ACROSS, answer_from_policy
from tools.catalog.clause_search import ClauseHit
from tools.kit.facts import Facts
from tools.kit.tool import ToolContext
from tools.shop.types import Clause, Language, LocalText

CASES = Path(__file__).resolve().parents[2] / "eval" / "cases"


def clause(
    name: str, *, topic: str = "returns", overrides: Sequence[str] = (), asked: Sequence[str] = (), **text: str
) -> Clause:
    written = LocalText(**text)
    return Clause(
        id=name, kind="policy", topic=topic, title=written, text=written, questions=tuple(asked), overrides=tuple(overrides)
    )


GENERAL = clause("RET-1", en="Return items within 30 days.", zh="30 天内可以退货。")
UNDERWEAR = clause("RET-4", en="Underwear cannot be returned.", zh="内衣不能退货。", overrides=["RET-1"])
REFUND = clause("REF-1", topic="refunds", en="Refunds take 5 days.", zh="退款需要 5 天。")
ENGLISH = clause("EN-1", topic="shipping", en="We ship to Canada.")
KNOWN = clause("FAQ-1", topic="shipping", en="We ship on weekdays.", zh="工作日发货。", asked=["do you ship on sundays"])
BARGAIN = clause("RET-7", en="Last pieces cannot be returned.", overrides=["RET-1"], asked=["return what I bought on sale"])
RULES = (GENERAL, UNDERWEAR, BARGAIN, REFUND, ENGLISH, KNOWN)


def answered(said: str, language: Language, *likenesses: tuple[Clause, float]) -> Facts:
    """What the tool answers where these clauses are found, each so alike."""

    def found(text: str, asked_in: Language, on: date, limit: int) -> list[ClauseHit]:
        return [ClauseHit(each.id, likeness, likeness) for each, likeness in likenesses][:limit]

    shop = SimpleNamespace(clauses=lambda on: list(RULES), info=SimpleNamespace(timezone="UTC"))
    context = ToolContext(
        shop=cast(Any, shop),
        catalog=cast(Any, SimpleNamespace(clauses=found)),
        clock=lambda: datetime(2026, 11, 20, tzinfo=UTC),
        language=language,
        customer_id=None,
        said=said,
    )
    tool: Any = answer_from_policy
    _, artifact = tool.func(runtime=SimpleNamespace(context=context), question=said)
    return Facts.model_validate(artifact)


def test_the_clause_is_quoted_with_its_id() -> None:
    facts = answered("how long to return", "en", (GENERAL, 0.95), (REFUND, 0.9))
    assert facts.reply == "Return items within 30 days. (RET-1)"
    assert [fact.source for fact in facts.facts] == ["clause:RET-1"]


def test_a_clause_of_the_same_topic_that_is_as_near_is_quoted_too() -> None:
    facts = answered("weekdays or canada", "en", (KNOWN, 0.95), (ENGLISH, 0.94))
    assert [fact.source for fact in facts.facts] == ["clause:FAQ-1", "clause:EN-1"]


def test_an_exception_that_the_question_names_is_quoted_instead_of_its_rule() -> None:
    facts = answered("can I return underwear", "en", (GENERAL, 0.95), (UNDERWEAR, 0.93))
    assert [fact.source for fact in facts.facts] == ["clause:RET-4"]


def test_words_that_every_customer_uses_name_no_exception() -> None:
    near = ((GENERAL, 0.95), (BARGAIN, 0.91))
    assert [fact.source for fact in answered("can this that I bought go back", "en", *near).facts] == ["clause:RET-1"]
    assert [fact.source for fact in answered("I bought it on sale", "en", *near).facts] == ["clause:RET-7"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_question_that_is_near_to_no_clause_is_not_covered_and_offers_a_person(language: Language) -> None:
    facts = answered("do you rent tents", language, (GENERAL, COVERED[language] - 0.001))
    assert facts.outcome == "nothing_found"
    assert {"en": "colleague", "zh": "同事"}[language] in (facts.reply or "")


def test_a_shop_without_clauses_covers_nothing() -> None:
    assert answered("can I return this", "en").outcome == "nothing_found"


def test_a_clause_in_the_other_language_alone_is_quoted_as_it_is() -> None:
    facts = answered("能寄到加拿大吗", "zh", (ENGLISH, COVERED_ACROSS["zh"]))
    assert facts.reply == "We ship to Canada.（EN-1）"
    assert answered("能寄到月球吗", "zh", (ENGLISH, COVERED_ACROSS["zh"] - 0.001)).outcome == "nothing_found"


def test_a_clause_with_known_questions_has_to_be_nearer() -> None:
    assert answered("sundays?", "en", (KNOWN, COVERED["en"])).outcome == "nothing_found"
    assert answered("sundays?", "en", (KNOWN, COVERED["en"] + ASKED_LIKE_THIS["en"])).outcome == "found"


@pytest.mark.real
@pytest.mark.parametrize("language", ["en", "zh"])
def test_customers_questions_get_their_clause_or_an_honest_no(demo: Opened, language: Language) -> None:
    cases = read_cases([CASES / f"policy_test.{language}.jsonl"])
    measured = measure_answers(demo.catalog, demo.shop, cases)[language]
    assert measured["right"] >= 0.8
    assert measured["not_covered_recall"] >= 0.8
    assert measured["not_covered_precision"] >= 0.8
