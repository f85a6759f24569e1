"""Answer a question about the shop's rules by quoting the clause that settles it."""

import re
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from tools.kit.facts import Fact, Facts
from tools.kit.tool import Runtime, ToolContext, customer_tool
from tools.search_products import shown_product
from tools.shop.types import Clause

CANDIDATES = 8
COVERED = 0.80
"""Cosine below which no clause is near enough to be quoted (multilingual-e5-small puts unrelated sentences at 0.70 to 0.78)."""
ALSO_QUOTED = 0.03
"""A second clause is quoted if it is this near to the first."""


@customer_tool
def answer_from_policy(
    runtime: Runtime,
    question: Annotated[str, Field(description="the question in full, in the customer's language", max_length=300)],
) -> Facts:
    """Rules and service: returns, refunds, exchanges, cancelling, shipping, payment, warranty, sizes, accounts, opening hours."""
    context = runtime.context
    asked = _with_product(context, question)
    today = context.clock().astimezone(ZoneInfo(context.shop.info.timezone)).date()
    in_force = {clause.id: clause for clause in context.shop.clauses(today)}
    hits = [hit for hit in context.catalog.clauses(asked, context.language, today, CANDIDATES) if hit.id in in_force]
    if not hits or max(hit.cosine or 0.0 for hit in hits) < COVERED:
        return context.refuse("not_covered", "policy")
    clauses = [in_force[hit.id] for hit in hits]
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


def _with_product(context: ToolContext, question: str) -> str:
    """The question with the title and category of the product it points at: whether "it" can be returned depends on what it is."""
    asked = question if context.said in question else f"{context.said} {question}"
    product = shown_product(context)
    if product is None:
        return asked
    return f"{asked} {product.title.in_language(context.language)} {product.category.in_language(context.language)}"


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
