"""The promise check: nothing is told to a customer that the turn's facts do not say.

It reads one sentence at a time and finds the claims in it: numbers, prices, dates and ids; product names; colours, materials and other
words of the catalogue; rules, with their yes or no; stock; deeds. Every claim must stand in the facts, and, where the sentence
names a product, in the facts of that product. It knows nothing of models, tools or shops beyond the facts and the words handed to it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

import yaml

from agent.comparing import miscompared
from tools.kit.facts import Fact
from tools.kit.phrases import PROMPTS
from tools.kit.reading import chinese_number, mentions
from tools.shop.types import LANGUAGES, Language

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_CODE = re.compile(r"#?\b(?=[A-Za-z0-9-]*\d)(?=[A-Za-z0-9-]*[A-Za-z])[A-Za-z0-9][A-Za-z0-9-]{3,}\b")
_NAME = re.compile(r"(?<![.!?:\n] )(?<!^)\b[A-Z][\w'’-]+(?: (?:[A-Z][\w'’-]+|\d+\w*))+")
_LIST_MARK = re.compile(r"^\s*(?:\d{1,2}[.)、]|[-*•])\s*", re.M)
_LABEL = re.compile(r"^[^:：.。]{1,24}[:：]\s*")
_WORD_NUMBERS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12, "fourteen": 14,
    "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90, "hundred": 100,
}  # fmt: skip
_COUNT = re.compile(
    r"\b(?:two|three|four|five)\b(?!\s+(?:business |working |full )?(?:days?|weeks?|hours?|months?|years?|times|dollars?|percent|hundred))"
    r"|[两二三四五2-5]\s?[款件种双条]",
    re.I,
)
_ZH_NUMBER = re.compile(r"([一二两三四五六七八九十百千万]+)(?=[天日周个月年元块件款种双条折小])")


@cache
def claims() -> dict[str, Any]:
    """The words of prompts/claims.yaml."""
    loaded: dict[str, Any] = yaml.safe_load((PROMPTS / "claims.yaml").read_text(encoding="utf-8"))
    return loaded


@dataclass(frozen=True)
class Unsupported:
    """A sentence that was not sent: what it said and which claim no fact supports."""

    sentence: str
    why: str


class PromiseCheck:
    """Checks the sentences of one reply against the facts of its turn.

    `titles` maps the products that the facts are about, by id, to the names they go by. `catalogue_titles` are all titles of the
    shop in lower case; `vocabulary` its option and attribute values. `said` is the customer's message: products and
    colours may be taken up from it to be denied or asked about; numbers may not.
    """

    def __init__(
        self,
        facts: Sequence[Fact],
        *,
        said: str,
        titles: dict[str, tuple[str, ...]],
        catalogue_titles: frozenset[str] = frozenset(),
        vocabulary: frozenset[str] = frozenset(),
        names: Iterable[str] = (),
    ) -> None:
        self._facts = facts
        self._said = said
        self._titles = titles
        self._catalogue_titles = catalogue_titles
        self._vocabulary = vocabulary
        self._names = tuple(names)
        self.checked = 0
        self.replaced: list[Unsupported] = []
        self._told: set[Fact] = set()

    def pass_or_replace(self, sentence: str) -> str:
        """The sentence if every claim in it is supported, else one composed from a fact not told yet, or "" if all are told."""
        if not sentence.strip():
            return sentence
        self.checked += 1
        why = self.objection(sentence)
        if why is None:
            named = self._products_in(sentence)
            self._told |= {fact for fact in self._facts if _product_of(fact) in named or tells(sentence, fact)}
            return sentence
        self.replaced.append(Unsupported(sentence.strip(), why))
        chosen = self._instead(sentence)
        if chosen is None:
            return ""
        self._told.add(chosen)
        before = sentence[: len(sentence) - len(sentence.lstrip())]
        after = sentence[len(sentence.rstrip()) :]
        return before + chosen.text + after

    @property
    def tellable(self) -> list[Fact]:
        """The facts that may be told word for word: no product's text that promises deeds or leads elsewhere, whoever wrote it."""
        books = self._books()
        return [
            fact
            for fact in self._facts
            if fact.source.startswith(_BOOKS) or not (_deeds(fact.text.lower(), books) or _leads_away(fact.text, books))
        ]

    def _books(self) -> str:
        return " ".join(fact.text for fact in self._facts if fact.source.startswith(_BOOKS))

    @property
    def has_told(self) -> bool:
        """Whether the sentences passed so far tell at least one fact."""
        return bool(self._told)

    def _instead(self, sentence: str) -> Fact | None:
        """The untold fact that the sentence was about: of the product it names, else the one that shares most words with it."""
        untold = [fact for fact in self.tellable if fact not in self._told]
        named = self._products_in(sentence)
        if named:
            return next((fact for fact in untold if _product_of(fact) in named), None)
        shared = [(len(content_words(fact.text) & content_words(sentence)), fact) for fact in untold]
        best = max(shared, key=lambda pair: pair[0], default=(0, None))
        return best[1] if best[0] >= 2 or (best[0] == 1 and len(untold) == 1) else None

    def objection(self, sentence: str) -> str | None:
        """Which claim of the sentence no fact supports, in words for the trace; None if it may be sent."""
        plain = _LIST_MARK.sub("", sentence)
        named = self._products_in(plain)
        backing = [fact for fact in self._facts if _product_of(fact) in named] if named else list(self._facts)
        everything = " ".join(fact.text for fact in backing)
        # A sentence on one product may still use what the turn's other facts (an order, a clause) say.
        if named:
            everything += " " + " ".join(
                fact.text for fact in self._facts if not fact.source.startswith(("product:", "photo:"))
            )
        lowered = plain.lower()
        return (
            self._numbers(plain, everything)
            or self._foreign_names(plain, everything)
            or self._catalogue_words(plain, everything)
            or _refusal(lowered, everything)
            or _deeds(lowered, self._books())
            or _leads_away(plain, self._books())
            or _times(lowered, everything)
            or _rules(lowered, [fact.text.lower() for fact in backing])
            or _stock(lowered, everything.lower())
            or self._comparison(plain)
        )

    def _comparison(self, text: str) -> str | None:
        if is_negative(text.lower()) or text.rstrip().endswith(("?", "？")):
            return None
        return miscompared(text, self._facts, self._titles, claims()["comparisons"])

    def _products_in(self, text: str) -> frozenset[str]:
        return frozenset(product for product, titles in self._titles.items() if any(mentions(text, title) for title in titles))

    def _numbers(self, text: str, everything: str) -> str | None:
        # "These two": counting what is shown needs no fact of its own.
        shown = len({fact.source for fact in self._facts})
        counted = _COUNT.sub(lambda found: "" if max(_numbers_in(found.group()), default=99) <= shown else found.group(), text)
        for number in sorted(_numbers_in(counted) - _numbers_in(everything)):
            return f"the number {number} stands in no fact"
        for code in _CODE.findall(text):
            if code.lower() not in everything.lower():
                return f"'{code}' stands in no fact"
        return None

    def _foreign_names(self, text: str, everything: str) -> str | None:
        lowered = everything.lower()
        for title in _titles_in(text, self._catalogue_titles):
            if title not in lowered and title not in self._said.lower():
                return f"the product '{title}' stands in no fact"
        for name in _NAME.findall(text):
            if name.lower() not in lowered and not any(name.lower() in known.lower() for known in self._names):
                return f"the name '{name}' stands in no fact"
        return None

    def _catalogue_words(self, text: str, everything: str) -> str | None:
        # "We have none in blue": what the customer asked for may be denied or asked about without a fact, never affirmed.
        denied = is_negative(text.lower()) or text.rstrip().endswith(("?", "？"))
        for word in self._vocabulary:
            if mentions(text, word) and word not in everything.lower() and not (denied and word in self._said.lower()):
                return f"'{word}' stands in no fact"
        return None


def _product_of(fact: Fact) -> str:
    kind, _, record = fact.source.partition(":")
    return record if kind in ("product", "photo") else ""


def _numbers_in(text: str) -> set[Decimal]:
    found = {Decimal(number.replace(",", "").rstrip(".")) for number in _NUMBER.findall(text)}
    found |= {Decimal(_WORD_NUMBERS[word]) for word in re.findall(r"[a-z]+", text.lower()) if word in _WORD_NUMBERS}
    for number in _ZH_NUMBER.findall(text):
        value = chinese_number(number)
        if value is not None and value > 1:
            found.add(Decimal(value))
    return found


def _titles_in(text: str, titles: frozenset[str]) -> set[str]:
    """Whole catalogue titles that stand in the text: runs of words up to eight, and runs of Chinese characters."""
    lowered = text.lower()
    if not titles:
        return set()
    words = re.findall(r"[a-z0-9&'’+-]+", lowered)
    runs = {" ".join(words[i:j]) for i in range(len(words)) for j in range(i + 2, min(i + 9, len(words) + 1))}
    chinese = {
        lowered[i:j] for i in range(len(lowered)) for j in range(i + 4, min(i + 25, len(lowered) + 1)) if lowered[i] >= "\u4e00"
    }
    return (runs | chinese) & titles


def _has(text: str, words: Iterable[str]) -> str | None:
    return next(
        (word for word in words if (mentions(text, word) if word.replace("%", "").strip().isascii() else word in text)), None
    )


def _languages(table: dict[Language, list[str]]) -> list[str]:
    return [word for language in LANGUAGES for word in table[language]]


_BOOKS = ("quote:", "order:", "clause:")
"""What can back a deed: the shop's books and rules. A product's text may say anything."""


def _deeds(lowered: str, books: str) -> str | None:
    for pattern in _languages(claims()["deeds"]):
        if (found := re.search(pattern, lowered)) and found.group() not in books.lower():
            return f"'{found.group()}' promises a deed that no code has done"
    return None


_ELSEWHERE = re.compile(
    r"https?://[^\s，。]+|\bwww\.[^\s，。]+|[\w.+-]+@[\w-]+\.[\w.]+|\b[a-z0-9-]+\.[a-z]{2,}/\S+|\b[a-z0-9-]+\.example\b", re.I
)


def _leads_away(text: str, books: str) -> str | None:
    """A web or e-mail address that the shop's books and rules do not name: a product's text may lead a customer anywhere."""
    strange = (found[0].rstrip(".,;!?") for found in _ELSEWHERE.finditer(text))
    return next((f"'{each}' is no address of the shop's" for each in strange if each.lower() not in books.lower()), None)


def _refusal(lowered: str, everything: str) -> str | None:
    """A model that says it cannot help, with the facts before it, is wrong."""
    for words in _languages(claims()["refusals"]):
        if words in lowered and words not in everything.lower():
            return f"'{words}', though there are facts"
    return None


def _times(lowered: str, everything: str) -> str | None:
    told = everything.lower()
    for word in _languages(claims()["times"]):
        if mentions(lowered, word) and word not in told:
            return f"'{word}' stands in no fact"
    return None


def is_negative(text: str) -> bool:
    """Whether the text, in lower case, denies something."""
    words: dict[Language, list[str]] = claims()["negations"]
    return any(re.search(rf"(?<![a-z]){re.escape(word)}(?![a-z])", text) for word in words["en"]) or any(
        word in text for word in words["zh"]
    )


def _rules(lowered: str, facts: list[str]) -> str | None:
    if lowered.rstrip().endswith(("?", "？")):
        # A question about a return promises nothing.
        return None
    table: dict[Language, dict[str, list[str]]] = claims()["rules"]
    for rule in table["en"]:
        words = [*table["en"][rule], *table["zh"][rule]]
        if not _has(lowered, words):
            continue
        clauses = [part for fact in facts for part in re.split(r"[.!?;。！？；]", fact) if _has(part, words)]
        if not clauses:
            return f"no fact speaks of '{rule}'"
        if not any(is_negative(clause) == is_negative(lowered) for clause in clauses):
            return f"the facts say the opposite on '{rule}'"
    return None


def _stock(lowered: str, everything: str) -> str | None:
    table = claims()
    gone, there = _languages(table["sold_out"]), _languages(table["in_stock"])
    if _has(lowered, gone) and not _has(everything, gone):
        return "no fact says that it is sold out"
    without_gone = lowered
    for word in gone:
        without_gone = without_gone.replace(word, "")
    if _has(without_gone, there) and not is_negative(without_gone):
        told = everything
        for word in gone:
            told = told.replace(word, "")
        if not _has(told, there):
            return "no fact says that it is in stock"
    return None


def tells(text: str, fact: Fact) -> bool:
    """Whether the text already tells the fact: it holds the fact's numbers, or half of its words."""
    numbers = _numbers_in(fact.text)
    if numbers:
        return 2 * len(numbers & _numbers_in(text)) >= len(numbers)
    # Who says "it is a light roast" need not say "roast: light".
    words = content_words(_LABEL.sub("", fact.text)) or content_words(fact.text)
    return bool(words) and 2 * len(words & content_words(text)) >= len(words)


def content_words(text: str) -> set[str]:
    """Words of four letters or more, and pairs of Chinese characters."""
    pairs = {run[i : i + 2] for run in re.findall(r"[\u4e00-\u9fff]+", text) for i in range(len(run) - 1)}
    return pairs | set(re.findall(r"[a-z]{4,}", text.lower()))


_BOUNDARY = re.compile(r"(?<=[。！？\n])|(?<=[!?])(?=\s)|(?<=\.)(?=\s)(?<!\bNo\.)(?<!^\d\.)(?<!\n\d\.)")


class Sentences:
    """Cuts a stream of text into sentences as soon as each is whole; "$49.90" is not cut."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> list[str]:
        """The sentences that this piece completes, each with the space that follows it in the next."""
        *whole, self._rest = _BOUNDARY.split(self._rest + text)
        return [sentence for sentence in whole if sentence]

    def end(self) -> str:
        """What is left when the stream is over."""
        rest, self._rest = self._rest, ""
        return rest
