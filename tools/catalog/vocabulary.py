"""The words of one shop: what its products are called, and what a misspelled word was meant to be."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from itertools import pairwise
from typing import Any

from pypinyin import lazy_pinyin
from symspellpy import SymSpell, Verbosity

from tools.kit.errors import BadSettings
from tools.kit.phrases import PROMPTS, prompt_data
from tools.kit.reading import mentions
from tools.shop.shop import Shop
from tools.shop.types import Product, ShopInfo

_ENGLISH = re.compile(r"[a-z]+(?:['’-][a-z]+)*")
_CHINESE = re.compile("[\u4e00-\u9fff]{2,}")
_PARTS = re.compile(r"\s*[&,/、与和]\s*|\s+and\s+")
SHORTEST, LONG = 4, 7
"""Letters of a word that may be corrected at all, and from which two slips are taken for one word: a shorter word is too near others."""
LONGEST_PHRASE = 4
"""Characters of a Chinese word that is looked for by its sound."""
_NO_SLIPS = frozenset("的了是有没不要以我你您他她它在和与这那吗呢吧么就都也还给用买想看个件条双款")
"""Characters that hold a sentence together: where one stands it is meant."""

_PARTS_OF_FILE = {"facets", "colors", "synonyms", "unwanted", "my_size", "more", "more_politeness"}


@cache
def search_words() -> Mapping[str, Any]:
    """prompts/search.yaml as it stands. Raises BadSettings if it cannot be read or lacks a part."""
    loaded = prompt_data("search.yaml")
    if not loaded.keys() >= _PARTS_OF_FILE:
        raise BadSettings(
            f"'{PROMPTS / 'search.yaml'}' must have {', '.join(sorted(_PARTS_OF_FILE))}; see the file as shipped."
        )
    return loaded


@dataclass(frozen=True)
class Corrected:
    """A text with its misspelled words as they were meant; `changes` are (as written, as meant)."""

    text: str
    changes: tuple[tuple[str, str], ...] = ()


@dataclass
class Vocabulary:
    """What a shop's products are called: categories, brands, and all words of their texts."""

    categories: dict[str, frozenset[str]] = field(default_factory=dict)
    """By what customers call it, lower case: the categories it may mean, by their first name in lower case."""
    heads: frozenset[str] = frozenset()
    """Those of them that are no category's own name but what titles call a thing: a boot is a shoe, and not every shoe is one."""
    brands: frozenset[str] = frozenset()
    english: Counter[str] = field(default_factory=Counter)
    """Words of titles, categories, brands, keywords and options: what a misspelled word is corrected to."""
    chinese: set[str] = field(default_factory=set)
    """The same for Chinese words."""
    pairs: set[str] = field(default_factory=set)
    """Two Chinese characters that stand together somewhere in the shop's texts."""
    other: set[str] = field(default_factory=set)
    """English words of descriptions and attributes: no mistakes, but nothing to correct to."""

    @classmethod
    def of(cls, shop: Shop) -> "Vocabulary":
        """Read all products of the shop."""
        made = cls()
        brands: set[str] = set()
        names: dict[str, set[str]] = {}
        heads: dict[str, set[str]] = {}
        for product in shop.products():
            made._read(product)
            for head in map(_head, product.title.all()):
                heads.setdefault(head, set()).add(product.category.all()[0].casefold())
            if product.brand:
                brands.add(product.brand)
            for title in product.category.all():
                for name in category_parts(title):
                    names.setdefault(name, set()).add(product.category.all()[0].casefold())
        own = set(names)
        # A sneaker is a shoe where all that the shop calls so are shoes.
        for head, keys in heads.items():
            if head and len(keys) == 1:
                names.setdefault(head, set(keys))
        made._learn(_shop_words(shop.info))
        groups = [[str(word).lower() for word in group] for group in search_words()["synonyms"]]
        for group in groups:
            made._learn(group)
            meant = {key for word in group for key in names.get(_singular(word), ())}
            if not own.isdisjoint(map(_singular, group)):
                own.update(map(_singular, group))
            if meant:
                for word in group:
                    names.setdefault(_singular(word), set()).update(meant)
        made.categories = {name: frozenset(keys) for name, keys in names.items()}
        made.heads = frozenset(names.keys() - own)
        made.brands = frozenset(brands)
        return made

    def _read(self, product: Product) -> None:
        named = [*product.title.all(), *product.category.all(), product.brand or "", *product.keywords]
        self._learn(named)
        self._learn({value for variant in product.variants for value in variant.options.values()})
        told = [value for text in product.attributes.values() for value in text.all()]
        told += product.description.all() if product.description else ()
        for text in told:
            self.other.update(_ENGLISH.findall(text.lower()))
            self.pairs.update(_pairs(text))
        self.chinese.update(part for text in (*product.keywords, *told) for part in _short_runs(text))

    def _learn(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.english.update(_ENGLISH.findall(text.lower()))
            self.pairs.update(_pairs(text))
            self.chinese.update(_short_runs(text))

    def named_categories(self, text: str) -> dict[str, frozenset[str]]:
        """What the text calls a category, and which categories it may mean; of words inside one another the longest."""
        lowered = text.lower()
        found = [name for name in self.categories if mentions(lowered, name)]
        return {name: self.categories[name] for name in found if not any(name != other and name in other for other in found)}

    def corrected(self, text: str) -> Corrected:
        """The text with words that neither English nor the shop knows turned into the shop's nearest, and Chinese ones by sound.

        What is written in digits, or in capitals like a code, stays. Source of the search: Garbe 2012, github.com/wolfgarbe/SymSpell.
        """
        changes: dict[str, str] = {}
        for match in re.finditer(r"(?<![\w-])[A-Za-z]+(?![\w-])", text, re.A):
            word = match[0]
            if len(word) >= SHORTEST and not (word.isupper() and len(text) > len(word)) and not self._is_known(word.lower()):
                near = self._speller.lookup(word.lower(), Verbosity.CLOSEST, 2 if len(word) >= LONG else 1)
                if near:
                    changes[word] = near[0].term
        for run in _CHINESE.findall(text):
            changes |= self._by_sound(run)
        for written, meant in changes.items():
            text = re.sub(rf"(?<![A-Za-z]){re.escape(written)}(?![A-Za-z])", meant, text)
        return Corrected(text, tuple(changes.items()))

    def _is_known(self, word: str) -> bool:
        return word in self.english or word in self.other or word in _dictionary() or _singular(word) in _dictionary()

    def _by_sound(self, run: str) -> dict[str, str]:
        """Pieces of a Chinese run that sound like a word of the shop and are none: 「连衣群」 was meant as 「连衣裙」."""
        changes: dict[str, str] = {}
        pieces = [
            (place, length) for length in range(min(LONGEST_PHRASE, len(run)), 1, -1) for place in range(len(run) - length + 1)
        ]
        taken: set[int] = set()
        for place, length in pieces:
            if run[place : place + length] in self.chinese:
                taken.update(range(place, place + length))
        for place, length in pieces:
            piece, places = run[place : place + length], set(range(place, place + length))
            if places & taken or _NO_SLIPS & set(piece) or all(pair in self.pairs for pair in _pairs(piece)):
                continue
            # With no character in common it is more likely another word than a slip of the input method.
            like = [
                word
                for word in self._sounds.get("".join(lazy_pinyin(piece)), ())
                if len(word) == length and sum(map(str.__eq__, word, piece)) * 2 >= length
            ]
            if like:
                changes[piece] = like[0]
                taken |= places
        return changes

    @cached_property
    def _speller(self) -> SymSpell:
        speller = SymSpell(max_dictionary_edit_distance=2)
        for word, count in self.english.items():
            if len(word) >= SHORTEST:
                speller.create_dictionary_entry(word, count)
        return speller

    @cached_property
    def _sounds(self) -> dict[str, list[str]]:
        sounds: dict[str, list[str]] = {}
        for word in sorted(word for word in self.chinese if not _NO_SLIPS & set(word)):
            sounds.setdefault("".join(lazy_pinyin(word)), []).append(word)
        return sounds


def category_parts(title: str) -> list[str]:
    """What a category's title names, singular: "Hats & accessories" names "hat" and "accessory"."""
    lowered = title.lower()
    return list(dict.fromkeys([_singular(part) for part in _PARTS.split(lowered) if part] or [lowered]))


def synonyms_in(text: str) -> list[str]:
    """Other words for what the text names, of prompts/search.yaml."""
    found: dict[str, None] = {}
    for group in search_words()["synonyms"]:
        if any(mentions(text, word) for word in group):
            found |= dict.fromkeys(word for word in group if not mentions(text, word))
    return list(found)


@cache
def _dictionary() -> frozenset[str]:
    """English words that are no mistakes, whatever the shop sells."""
    lines = (files("symspellpy") / "frequency_dictionary_en_82_765.txt").read_text(encoding="utf-8-sig").splitlines()
    return frozenset(line.split(" ", 1)[0] for line in lines)


def _shop_words(info: ShopInfo) -> Iterator[str]:
    words = search_words()
    for text in info.words.values():
        yield from text.all()
    for color in words["colors"].values():
        yield from color["words"]
    for facet in words["facets"].values():
        for value in facet["values"].values():
            yield from value["words"]


def _head(title: str) -> str:
    """What a title calls the thing: its last word, singular, or its last two Chinese characters; "" where that is no word."""
    found = re.search(r"([a-z]{3,})\W*$|([\u4e00-\u9fff]{2})$", title.lower())
    return _singular(found[1]) if found and found[1] else found[2] if found else ""


def _singular(word: str) -> str:
    """The word without the plural's ending, well enough to compare: "dresses", "accessories", "shoes"."""
    if not word.isascii() or len(word) < 4 or word.endswith("ss"):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word.removesuffix("s")


def _pairs(text: str) -> Iterator[str]:
    for run in _CHINESE.findall(text):
        yield from map("".join, pairwise(run))


def _short_runs(text: str) -> list[str]:
    return [run for run in _CHINESE.findall(text) if len(run) <= LONGEST_PHRASE]
