"""Answer a question about the shop's rules by quoting the clause that settles it."""

import re
from collections.abc import Sequence
from statistics import mean
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from tools.catalog.index import Hit
from tools.kit.facts import Fact, Facts
from tools.kit.tool import Runtime, ToolContext, customer_tool
from tools.search_products import shown_product
from tools.shop.types import Clause, Language

CANDIDATES = 60
STANDS_OUT: dict[Language, float] = {"en": 0.029, "zh": 0.019}
"""By how much the nearest clause's cosine must exceed the mean of its CANDIDATES to answer the question. On the demo shop's dev
sentences small talk and the weather reach 0.029 in English and 0.023 in Chinese; of the questions that the rules cover, one of
twenty and two of twenty-two lie below these lines and are passed on to a person."""
FEW = 15
NEAR_ENOUGH = 0.84
"""The least cosine in a shop with fewer than FEW clauses, where the mean says nothing."""
QUOTABLE = 8
"""An exception is looked for among this many of the nearest clauses."""
ALSO_QUOTED = 0.03
"""A second clause of the same topic is quoted if its cosine is this near to the first's."""


@customer_tool
def answer_from_policy(
    runtime: Runtime,
    question: Annotated[str, Field(description="the question in full, in the customer's language", max_length=300)],
) -> Facts:
    """Rules and service: returns, refunds, exchanges, cancelling, shipping, payment, warranty, sizes, accounts, opening hours."""
    context = runtime.context
    today = context.clock().astimezone(ZoneInfo(context.shop.info.timezone)).date()
    in_force = {clause.id: clause for clause in context.shop.clauses(today)}
    # A follow-up ("and for exchanges?") is nearer in the model's wording, a plain question in the customer's own.
    found = [
        (asked, context.catalog.clauses(asked, context.language, today, CANDIDATES))
        for asked in dict.fromkeys(_with_product(context, words) for words in (context.said, question))
        if asked
    ]
    asked, hits = max(found, key=lambda pair: _stands_out(pair[1]))
    if not _covered(hits, context.language):
        return context.refuse("not_covered", "policy")
    clauses = [in_force[hit.id] for hit in hits[:QUOTABLE]]
    first = _exception_first(clauses, asked)
    quoted = [first]
    if (
        clauses[0] is first
        and len(hits) > 1
        and (hits[0].cosine or 0) - (hits[1].cosine or 0) < ALSO_QUOTED
        and clauses[1].topic == first.topic
    ):
        quoted.append(clauses[1])
    facts = tuple(Fact(text=clause.text.in_language(context.language), source=f"clause:{clause.id}") for clause in quoted)
    brackets = "（{}）" if context.language == "zh" else " ({})"
    reply = "\n".join(f"{fact.text}{brackets.format(clause.id)}" for fact, clause in zip(facts, quoted, strict=True))
    return Facts(facts=facts, reply=reply)


def _stands_out(hits: Sequence[Hit]) -> float:
    """How much nearer the nearest clause is than clauses are on average, in cosine."""
    cosines = [hit.cosine for hit in hits if hit.cosine is not None]
    return max(cosines) - mean(cosines) if cosines else 0.0


def _covered(hits: Sequence[Hit], language: Language) -> bool:
    """Whether the nearest clause is about the question, and not merely the least unlike it."""
    if len(hits) < FEW:
        return max((hit.cosine or 0.0 for hit in hits), default=0.0) >= NEAR_ENOUGH
    return _stands_out(hits) >= STANDS_OUT[language]


def _with_product(context: ToolContext, question: str) -> str:
    """The question with the title and category of the product it points at: whether "it" can be returned depends on what it is."""
    product = shown_product(context)
    if product is None:
        return question
    return f"{question} {product.title.in_language(context.language)} {product.category.in_language(context.language)}"


def _exception_first(clauses: list[Clause], asked: str) -> Clause:
    """The clause to quote: the best match, or a found exception to it (or to its rule) that the question speaks of.

    "Can I return underwear?" is nearest to the general rule; the exclusion of underwear names what the question names.
    """
    best = clauses[0]
    for clause in clauses[1:]:
        rules = set(clause.overrides)
        if (best.id in rules or rules & set(best.overrides)) and _names_more(clause, best, asked):
            return clause
    return best


def _names_more(exception: Clause, rule: Clause, asked: str) -> bool:
    """Whether the question uses words of the exception that the rule does not have."""

    def words(clause: Clause) -> set[str]:
        return _words(" ".join((*clause.title.all(), *clause.text.all(), *clause.questions)))

    return bool(_words(asked) & (words(exception) - words(rule)) - _COMMON)


_COMMON = frozenset(
    "and any are but can could does for from have how its just not our some that the their them they this was were what when "
    "where which who why will with would you your".split()
)


def _words(text: str) -> set[str]:
    """English words and pairs of Chinese characters, lower case."""
    lowered = text.lower()
    pairs = {run[i : i + 2] for run in re.findall(r"[\u4e00-\u9fff]+", lowered) for i in range(len(run) - 1)}
    return pairs | {word.rstrip("s") for word in re.findall(r"[a-z]{3,}", lowered)}
