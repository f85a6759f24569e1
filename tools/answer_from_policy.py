"""Answer a question about the shop's rules and FAQ by quoting the clause that settles it, or say that none does."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from tools.catalog.clause_search import ClauseHit
from tools.kit.facts import Fact, Facts
from tools.kit.tool import Runtime, ToolContext, customer_tool
from tools.search_products import shown_product
from tools.shop.types import Clause, Language

COVERED: dict[Language, float] = {"en": 0.867, "zh": 0.902}
"""The likeness from which a clause written in the question's language answers it."""
COVERED_ACROSS: dict[Language, float] = {"en": 0.839, "zh": 0.820}
"""The same for a question in this language and a clause that is only in the other."""
ASKED_LIKE_THIS: dict[Language, float] = {"en": 0.045, "zh": 0.035}
"""A clause with known questions is nearer to every question, by so much.

All were chosen on the dev questions of eval/cases (121 that the demo shop's clauses cover and 59 that they do not, asked of the
demo shop, of its titles and texts in English alone, and in Chinese alone), so that as large a share of the covered ones lies
above as of the others below. `storehand bench policy --cases` measures them on the test questions.
They are for the vectors of multilingual-e5-small: another encoder needs its own."""
FOUND = 8
"""An exception is looked for among this many of the nearest clauses."""
ALSO_QUOTED = 0.03
"""A second clause of the same topic is quoted if its likeness is this near to the first's."""


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
        (words, hits)
        for words in dict.fromkeys((context.said, question))
        if words and (hits := context.catalog.clauses(words, context.language, today, FOUND))
    ]
    asked, hits = max(found, key=lambda each: certainty(each[1], in_force, context.language), default=("", []))
    if certainty(hits, in_force, context.language) < 0:
        return context.refuse("not_covered", "policy")
    if (about := _with_product(context, asked)) != asked:
        asked, hits = about, context.catalog.clauses(about, context.language, today, FOUND)
    clauses = [in_force[hit.id] for hit in hits]
    first = _exception_first(clauses, asked)
    quoted = [first]
    if (
        clauses[0] is first
        and len(hits) > 1
        and hits[0].margin is None
        and hits[0].likeness - hits[1].likeness < ALSO_QUOTED
        and clauses[1].topic == first.topic
    ):
        quoted.append(clauses[1])
    facts = tuple(Fact(text=clause.text.in_language(context.language), source=f"clause:{clause.id}") for clause in quoted)
    brackets = "（{}）" if context.language == "zh" else " ({})"
    reply = "\n".join(f"{fact.text}{brackets.format(clause.id)}" for fact, clause in zip(facts, quoted, strict=True))
    return Facts(facts=facts, reply=reply)


def certainty(hits: Sequence[ClauseHit], clauses: Mapping[str, Clause], language: Language) -> float:
    """How far the nearest clause is above the line from which it is about the question, and not merely the least unlike it."""
    return max(
        (hit.likeness - _line(clauses[hit.id], language) if hit.margin is None else hit.margin for hit in hits), default=-1.0
    )


def _line(clause: Clause, language: Language) -> float:
    own = getattr(clause.text, language) is not None
    return (COVERED if own else COVERED_ACROSS)[language] + (ASKED_LIKE_THIS[language] if clause.questions else 0.0)


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
        # Of two exceptions to one rule the nearer one stays, if the question has words of it that the other lacks.
        is_kin = bool(rules & set(best.overrides)) and not _names_more(best, clause, asked)
        if (best.id in rules or is_kin) and _names_more(clause, best, asked):
            return clause
    return best


def _names_more(exception: Clause, rule: Clause, asked: str) -> bool:
    """Whether the question uses words of the exception that the rule does not have."""

    def words(clause: Clause) -> set[str]:
        return _words(" ".join((*clause.title.all(), *clause.text.all(), *clause.questions)))

    return bool(_words(asked) & (words(exception) - words(rule)) - _COMMON)


# What any customer does with any product tells of no exception either.
_COMMON = frozenset(
    word.rstrip("s")
    for word in (
        "and any are but can could does for from have how its just not our some that the their them they this was were what when "
        "where which who why will with would you your bought buy buying get got had has like need order ordered purchase purchased "
        "something thing things want"
    ).split()
)


def _words(text: str) -> set[str]:
    """English words and pairs of Chinese characters, lower case."""
    lowered = text.lower()
    pairs = {run[i : i + 2] for run in re.findall(r"[\u4e00-\u9fff]+", lowered) for i in range(len(run) - 1)}
    return pairs | {word.rstrip("s") for word in re.findall(r"[a-z]{3,}", lowered)}
