"""Whether a sentence that sets one product against another says what their numbers say: "the first is lighter", 「A 比 B 便宜」.

The words are data, prompts/claims.yaml; the numbers are the facts'. Where a number is missing or the units differ nothing is objected to.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from tools.kit.facts import Fact
from tools.kit.reading import mentions

_VALUE = re.compile(r"[:：]\s*([\d,]+(?:\.\d+)?)\s*([^\d\s,.;，。；/]{1,12})")
_PRICE = re.compile(r"(?P<sign>[$€£¥]|\bSEK)\s?(?P<number>[\d,]+(?:\.\d+)?)")
_SET_AGAINST = re.compile(r"相比|比起|对比|compared (?:to|with)", re.I)


def miscompared(
    sentence: str,
    facts: Sequence[Fact],
    titles: Mapping[str, tuple[str, ...]],
    comparisons: Mapping[str, Mapping[str, Sequence[str]]],
) -> str | None:
    """The comparing word that the numbers of the facts belie, in words for the trace; None where they bear it out or do not tell.

    `titles` are the names of the products by their id; `comparisons` has for each measure its `label`s and the words for `less` and `more`.
    """
    lowered = sentence.lower()
    placed = [
        (at, product)
        for product, names in titles.items()
        for name in names
        for at in [found.start() for found in re.finditer(re.escape(name.lower()), lowered)]
    ]
    for measure in comparisons.values():
        values = _values(facts, titles, measure["label"])
        for is_less, words in ((True, measure["less"]), (False, measure["more"])):
            word = next((word for word in words if mentions(lowered, word)), None)
            if word is None:
                continue
            subject, others = _sides(lowered, word, placed, list(values))
            if subject in values and others and not _bears_out(values, subject, others, is_less=is_less):
                return f"'{word}', though the numbers say otherwise"
    return None


def _sides(lowered: str, word: str, placed: Sequence[tuple[int, str]], known: Sequence[str]) -> tuple[str | None, list[str]]:
    """The product that the comparing word is said of, and those that it is set against: those named, else all others known."""
    end = lowered.find(word)
    against = None if _SET_AGAINST.search(lowered) else re.search("比(?!较)", lowered[:end])
    before = [(at, product) for at, product in placed if at < (against.start() if against else end)]
    if not before:
        return None, []
    subject = max(before)[1]
    named = {product for at, product in placed if product != subject and (against is None or at > against.start())}
    return subject, list(named) or [product for product in known if product != subject]


def _bears_out(values: Mapping[str, tuple[Decimal, str]], subject: str, others: Sequence[str], *, is_less: bool) -> bool:
    own, unit = values[subject]
    known = [values[other] for other in others if other in values]
    if len(known) < len(others) or any(its_unit != unit for _, its_unit in known):
        return True
    return all(own < value if is_less else own > value for value, _ in known)


def _values(
    facts: Sequence[Fact], titles: Mapping[str, tuple[str, ...]], labels: Sequence[str]
) -> dict[str, tuple[Decimal, str]]:
    """Each product's number under one of the labels and its unit; the price stands in a product's first line."""
    values: dict[str, tuple[Decimal, str]] = {}
    for fact in facts:
        kind, _, product = fact.source.partition(":")
        if kind != "product" or product not in titles or product in values:
            continue
        label = re.split("[:：]", fact.text, maxsplit=1)[0].strip().lower()
        if label in labels and (found := _VALUE.search(fact.text)):
            values[product] = (Decimal(found[1].replace(",", "")), found[2])
        prices = {(price["number"], price["sign"]) for price in _PRICE.finditer(fact.text)} if "price" in labels else set()
        if len(prices) == 1:
            [(number, sign)] = prices
            values[product] = (Decimal(number.replace(",", "")), sign)
    return values
