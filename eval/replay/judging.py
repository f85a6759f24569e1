"""What can be told of a person's answer by code: what it claims, where it parts from the agent's, and which rules it states.

Both answers are only compared where they speak of the same thing: two sums, two periods, a yes and a no to the same rule. What
the person says of the shop's rules is held against the clauses that were in force on the day of the call, by the promise check
that holds the agent's own replies.
"""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from agent.promises import PromiseCheck, Sentences, claims, content_words, is_negative
from tools.answer_from_policy import certainty
from tools.catalog.catalog import Catalog
from tools.kit.facts import Fact
from tools.kit.reading import chinese_number, mentions
from tools.shop.shop import Shop
from tools.shop.types import Language

Departure = Literal["contradicts", "does not know", "hands over", "goes on", "asks first", "answers at once"]
"""How the agent's answer parts from the person's: its facts say otherwise; no clause tells it; it passes on what the person
settled; it answers what the person passed on; it asks where the person answered; it answers where the person asked."""

_NEAR = -0.02
"""A clause so near to a statement speaks of the same thing: the line from which one answers a question, and a little below."""
_SUPPORTING = 3
_SHARED = 3
_ALIKE = 0.4
"""Two parts of sentences speak of the same thing where they share so many words, and such a share of the shorter one's."""
_MONEY = re.compile(
    r"(?:[$€£¥￥]|\bUSD ?|\bRMB ?)(\d[\d,]*(?:\.\d{1,2})?)|(\d[\d,]*(?:\.\d{1,2})?) ?(?:dollars?|bucks|euros?|pounds?|yuan|元|块|美元)",
    re.I,
)
_PERIOD = re.compile(
    r"(\d+|[一二两三四五六七八九十百]+|\b(?:two|three|four|five|six|seven|ten|fourteen|fifteen|twenty|thirty|sixty|ninety)\b)"
    r"(?:[ -]?(?:to|–|-|到|至) ?\d+)?"
    r"[ -]?(business days?|working days?|个?工作日|days?|天|日(?!期)|weeks?|周|个?星期|months?|个月|years?|年)",
    re.I,
)
_DATE = re.compile(
    r"\d{4} ?年(?: ?\d{1,2} ?月)?(?: ?\d{1,2} ?[日号])?|\d{1,2} ?月 ?\d{1,2} ?[日号]|[这那][两几]天|\d{4}-\d\d-\d\d"
)
"""Not a period, though it has its words."""
_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?(?:%|percent|per cent)|百分之(\d+|[一二三四五六七八九十]+)", re.I)
_WORDS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "ten": 10, "fourteen": 14, "fifteen": 15, "twenty": 20, "thirty": 30,
    "sixty": 60, "ninety": 90,
}  # fmt: skip
_DAYS = {"w": 7, "周": 7, "星": 7, "m": 30, "月": 30, "y": 365, "年": 365}


Verdict = Literal["supported", "contradicted", "unsupported"]


class Statement(BaseModel):
    """A rule as the person stated it, and what the shop's clauses make of it.

    `clause` is the nearest clause that speaks of it, None where none does; `why` what in the statement it does not support.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    verdict: Verdict
    clause: str | None = None
    why: str = ""


def claims_in(text: str) -> dict[str, frozenset[Decimal]]:
    """The sums, periods (in days; working days by themselves) and percentages that a text names."""
    found: dict[str, set[Decimal]] = {}
    for match in _MONEY.finditer(text):
        found.setdefault("money", set()).add(Decimal((match[1] or match[2]).replace(",", "")))
    for match in _PERCENT.finditer(text):
        if (number := _number(match[1] or match[2])) is not None:
            found.setdefault("percent", set()).add(number)
    for match in _PERIOD.finditer(_DATE.sub(" ", text)):
        number, unit = _number(match[1]), match[2].lower().removeprefix("个")
        if number is not None:
            is_working = unit[0] in "b工" or unit.startswith("working")
            factor = 1 if is_working else _DAYS.get(unit[0], 1)
            found.setdefault("working days" if is_working else "days", set()).add(number * factor)
    return {kind: frozenset(values) for kind, values in found.items()}


def _number(text: str) -> Decimal | None:
    if text.lower() in _WORDS:
        return Decimal(_WORDS[text.lower()])
    try:
        return Decimal(text)
    except ArithmeticError:
        value = chinese_number(text)
        return Decimal(value) if value is not None else None


def contradiction(human: str, told: str) -> str | None:
    """Where what the person said and what the agent told cannot both be true, in words; None where nothing tells."""
    for theirs in sentences_of(human):
        for ours in sentences_of(told):
            if why := _numbers_apart(theirs, ours, "the agent"):
                return why
            if opposes(theirs, ours):
                return f"a yes and a no: the person said {theirs.strip()!r}"
    check = PromiseCheck([Fact(text=told, source="clause:reply")], said="", titles={})
    for theirs in sentences_of(human):
        objection = check.objection(theirs)
        if objection and "the opposite" in objection:
            return f"{objection.removeprefix('the facts say ')}: {theirs.strip()!r}"
    return None


def _numbers_apart(theirs: str, ours: str, by: str) -> str | None:
    """Two sums, periods or shares of which none is the same, in sentences on one rule."""
    if not _rules_in(theirs) & _rules_in(ours):
        return None
    said, told = claims_in(theirs), claims_in(ours)
    for kind in said.keys() & told.keys():
        if not said[kind] & told[kind]:
            both = (", ".join(f"{value:f}" for value in sorted(values)) for values in (said[kind], told[kind]))
            return f"{kind}: the person said {next(both)}, {by} {next(both)}"
    return None


def _rules_in(text: str) -> frozenset[str]:
    """The rules of prompts/claims.yaml that a text speaks of."""
    lowered = text.lower()
    return frozenset(
        name
        for table in claims()["rules"].values()
        for name, words in table.items()
        if name not in ("money", "orders")
        and any(mentions(lowered, word) if word.isascii() else word in lowered for word in words)
    )


def opposes(one: str, other: str) -> bool:
    """Whether a part of one text denies what a part of the other affirms: in mostly the same words, one of them with a
    negation."""
    for here in _parts(one):
        for there in _parts(other):
            mine, its = content_words(here), content_words(there)
            shared = len(mine & its)
            if shared >= _SHARED and shared >= _ALIKE * min(len(mine), len(its)):
                return is_negative(here.lower()) != is_negative(there.lower())
    return False


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[.!?;。！？；，]+", text) if part.strip()]


def departure(human: str, agent: str, *, asks: bool, unknown: bool, handed_over: bool) -> tuple[Departure, str] | None:
    """How the agent's answer parts from the person's, and where; None where it does not, or where the person said nothing on
    the matter.

    `asks`, `unknown` and `handed_over` tell what the agent did: asked back, knew no clause for it, passed the customer on.
    """
    if not human or is_small_talk(human):
        return None
    person_passes_on, person_asks = passes_on(human), bool(_has("asks", human))
    if not handed_over and not unknown and (why := contradiction(human, agent)):
        return "contradicts", why
    if handed_over:
        return None if person_passes_on else ("hands over", "the person went on without a colleague")
    if person_passes_on:
        return "goes on", "the person passed the customer on"
    if unknown:
        return None if person_asks else ("does not know", "no clause answers what the person answered")
    if asks != person_asks:
        return (
            ("asks first", "the person answered without a question") if asks else ("answers at once", "the person asked first")
        )
    return None


def asks_for_facts(human: str) -> bool:
    """Whether the person asks for something to be told, not for a yes to what they propose."""
    return bool(_has("asks", human)) and not _has("proposes", human)


def passes_on(human: str) -> bool:
    """Whether the person passes the customer on to somebody else."""
    return bool(_has("hands_over", human))


def is_small_talk(text: str) -> bool:
    """Whether all of it is greetings, thanks and waiting."""
    return bool(_has("small_talk", text.strip()))


def statements(
    human: str, language: Language, day: date, shop: Shop, catalog: Catalog, facts: Sequence[Fact]
) -> list[Statement]:
    """The rules that the person stated, each held against the clauses in force on that day and what is known in the call
    (`facts`)."""
    in_force = {clause.id: clause for clause in shop.clauses(day)}
    found: list[Statement] = []
    for sentence in filter(_states_a_rule, map(str.strip, sentences_of(human))):
        hits = [hit for hit in catalog.clauses(sentence, language, day, _SUPPORTING) if hit.id in in_force]
        near = bool(hits) and certainty(hits, in_force, language) >= _NEAR
        backing = [Fact(text=in_force[hit.id].text.in_language(language), source=f"clause:{hit.id}") for hit in hits if near]
        if not backing:
            found.append(Statement(text=sentence, verdict="unsupported", why="no clause speaks of it"))
            continue
        check = PromiseCheck([*backing, *facts], said="", titles={}, names=shop.info.name.all())
        # "We" and "you" of a person are no promise that code has not kept: only what the rule says is held against the clause.
        objection = check.objection(re.sub(r"^(?:yes|no|well|so|sure|okay|ok)\b[,. ]*", "", sentence, flags=re.I))
        is_backed = objection is None or "promises a deed" in objection
        against = _against(sentence, backing[0].text, objection or "")
        verdict: Verdict = "contradicted" if against else "supported" if is_backed else "unsupported"
        why = against or ("" if is_backed else objection or "")
        found.append(Statement(text=sentence, verdict=verdict, clause=hits[0].id, why=why))
    return found


def _against(sentence: str, clause: str, objection: str) -> str | None:
    """How the nearest clause says otherwise than a statement; numbers and a yes count only where no near clause backs them."""
    if opposes(sentence, clause):
        return "the clause says the opposite"
    if "the opposite" in objection:
        return objection
    numbers = (_numbers_apart(sentence, told, "the clause") for told in sentences_of(clause))
    return next(filter(None, numbers), None) if objection.startswith("the number") else None


def _states_a_rule(sentence: str) -> bool:
    if sentence.endswith(("?", "？")) or _has("done", sentence):
        return False
    numbers = claims_in(sentence)
    return bool(
        (_rules_in(sentence) and (numbers or _has("permits", sentence)))
        or (numbers.keys() - {"money"} and _has("permits", sentence))
    )


def sentences_of(text: str) -> list[str]:
    """The text cut into sentences."""
    cut = Sentences()
    return [sentence for sentence in (*cut.feed(text), cut.end()) if sentence.strip()]


def _has(name: str, text: str) -> re.Match[str] | None:
    return next((found for pattern in _words()[name] if (found := pattern.search(text))), None)


@cache
def _words() -> dict[str, list[re.Pattern[str]]]:
    loaded = yaml.safe_load((Path(__file__).parent / "words.yaml").read_text(encoding="utf-8"))
    return {name: [re.compile(pattern, re.I) for pattern in patterns] for name, patterns in loaded.items()}
