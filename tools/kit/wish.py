"""What a customer wants a product to be, read from the sentence, and how far a product is that.

The words are data: prompts/search.yaml, and the shop's own categories, brands, colours and sizes. Which products are alike in meaning
is for the catalogue to find; here is what must hold of them, asked of the shop's records.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from tools.catalog.vocabulary import Vocabulary, search_words, synonyms_in
from tools.kit.measures import MeasureOf, measures_in
from tools.kit.reading import asked_options, mentions, price_limits, without_prices
from tools.shop.shop import Shop
from tools.shop.types import LocalText, Product, Variant

Aspect = Literal["price", "color", "size", "option", "facet", "brand", "kind", "category", "measure", "stock"]
"""What a wish may be about; "kind" is another sort of thing of the same category, as shoes are to boots."""


@dataclass(frozen=True)
class Asked:
    """One thing that a product must be, or where not `wanted` must not be.

    `words` are all ways to say it in both languages, the customer's first; `also` those of what passes for it and comes after.
    `name` is the facet or option that it is a value of.
    """

    aspect: Aspect
    words: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    name: str = ""
    wanted: bool = True

    def is_told_by(self, text: str) -> bool:
        """Whether the text says it, whole."""
        return any(mentions(text, word) for word in self.words)

    def is_nearly_told_by(self, text: str) -> bool:
        """Whether the text says it or what passes for it."""
        return self.is_told_by(text) or any(mentions(text, word) for word in self.also)


@dataclass(frozen=True)
class Wish:
    """A sentence as search reads it.

    `text` is what to look for by likeness: the sentence without prices and without what is not wanted. Prices are minor units.
    `kinds` are the shop's categories that it may mean, by what the customer called them. `changes` are words read otherwise than
    they were written.
    """

    text: str
    said: str
    low: int | None = None
    high: int | None = None
    asked: tuple[Asked, ...] = ()
    kinds: Mapping[str, frozenset[str]] = field(default_factory=dict)
    heads: frozenset[str] = frozenset()
    """Those of `kinds` that are a sort of what the category holds: boots among the shoes."""
    measures: tuple[MeasureOf, ...] = ()
    my_size: bool = False
    changes: tuple[tuple[str, str], ...] = ()

    @property
    def is_bound(self) -> bool:
        """Whether something must hold of a product beyond being such a thing."""
        return bool(self.asked or self.measures or self.my_size) or self.low is not None or self.high is not None


@dataclass(frozen=True)
class Fit:
    """How far a product is what was wished: `variants` are those that come nearest and can be bought, `unmet` what they are not.

    `met` is what they are, in the shop's words by what was asked; `loosely` counts what only passes for it.
    """

    product: Product
    variants: tuple[Variant, ...]
    unmet: tuple[Asked, ...]
    met: tuple[tuple[Asked, LocalText], ...]
    loosely: int

    @property
    def distance(self) -> int:
        """How much stands between the product and the wish: another kind of thing is farther than another colour or price."""
        return sum(3 if each.aspect in ("category", "stock") else 1 for each in self.unmet)


def read_wish(text: str, vocabulary: Vocabulary, shop: Shop) -> Wish:
    """What the sentence asks a product to be, in either language; misspelled words are read as the shop's own."""
    corrected = vocabulary.corrected(text)
    said = corrected.text
    wanted, unwanted = _split(said, vocabulary, shop)
    low, high = price_limits(said)
    kinds = vocabulary.named_categories(wanted)
    asked = (*_asked(wanted, vocabulary, shop, wanted=True), *_asked(unwanted, vocabulary, shop, wanted=False))
    return Wish(
        text=without_prices(wanted).strip() or said,
        said=said,
        low=low,
        high=high,
        asked=asked,
        kinds=kinds,
        heads=vocabulary.heads & kinds.keys(),
        measures=tuple(measures_in(without_prices(wanted))),
        my_size=any(re.search(pattern, said, re.I) for pattern in search_words()["my_size"]),
        changes=corrected.changes,
    )


def wants_more(text: str) -> bool:
    """Whether the message asks for nothing but the next ones of the list: "more", 「还有吗」."""
    bare = re.sub(r"[\s,.!?;:，。！？；：~～…]+", " ", text.lower()).strip()
    polite = "|".join(sorted(map(re.escape, search_words()["more_politeness"]), key=len, reverse=True))
    bare = re.sub(rf"^(?:(?:{polite})\s*)+(?=.)|(?<=.)(?:\s*(?:{polite}))+$", "", bare).strip()
    return any(re.fullmatch(pattern, bare) for pattern in search_words()["more"])


def fit_of(product: Product, wish: Wish, shop: Shop, my_sizes: Mapping[str, str] | None = None) -> Fit:
    """Hold a product against the wish.

    `my_sizes` are the sizes that the customer wears, by category; where the wish is for them and none suits, the product does not fit.
    """
    unmet: list[Asked] = []
    met: list[tuple[Asked, LocalText]] = []
    loosely = 0
    for asked in wish.asked:
        if asked.aspect in ("facet", "brand"):
            holds, told, exactly = _product_is(product, asked)
            loosely += asked.wanted and holds and not exactly
            if holds and asked.wanted and told:
                met.append((asked, told))
            elif not holds:
                unmet.append(asked)
        elif asked.aspect == "category" and _is_kind(product, asked.words, frozenset(asked.also)):
            unmet.append(asked)
    if wish.is_bound and wish.kinds and (other := _other_kind(product, wish)):
        unmet.append(other)
    own = _measures(product) if wish.measures else []
    for measure in wish.measures:
        same = next((each for each in own if each.is_same(measure)), None)
        asked = Asked("measure", (measure.written,))
        if same:
            met.append((asked, LocalText(en=same.written)))
        else:
            unmet.append(asked)
    variants, missing, fulfilled, shades = _nearest_variants(product, wish, shop, my_sizes or {})
    return Fit(product, variants, (*unmet, *missing), (*met, *fulfilled), loosely + shades)


def _split(text: str, vocabulary: Vocabulary, shop: Shop) -> tuple[str, str]:
    """The text without what is not wanted, and that; words that search knows nothing of stay where they are."""
    unwanted: list[str] = []

    def take(match: re.Match[str]) -> str:
        asked = _asked(match[1], vocabulary, shop, wanted=False)
        if not asked:
            return match[0]
        unwanted.append(match[1])
        if asked[0].aspect == "category":
            return " "
        # "Not leather boots" wants boots all the same.
        return re.sub("|".join(re.escape(word) for each in asked for word in each.words), " ", match[1], flags=re.I)

    for pattern in search_words()["unwanted"]:
        text = re.sub(pattern, take, text, flags=re.I)
    return text, " , ".join(unwanted)


def _asked(text: str, vocabulary: Vocabulary, shop: Shop, *, wanted: bool) -> list[Asked]:
    if not text:
        return []
    found = []
    for name, facet in search_words()["facets"].items():
        named = [value for value in facet["values"].values() if any(mentions(text, word) for word in value["words"])]
        if wanted and named:
            # "Linen or cotton": either will do.
            words = tuple(dict.fromkeys(word for value in named for word in _said_first(text, value["words"])))
            told = tuple(word for value in named for word in value["told"])
            found.append(Asked("facet", words, told, name))
        elif named:
            found += [
                Asked("facet", tuple(_said_first(text, value["words"])), tuple(value["told"]), name, wanted=False)
                for value in named
            ]
    found += _asked_colors(text, shop, wanted=wanted)
    if brands := tuple(sorted(brand for brand in vocabulary.brands if mentions(text, brand))):
        found.append(Asked("brand", brands, wanted=wanted))
    if not wanted and not found:
        found += [
            Asked("category", (name,), tuple(keys), wanted=False) for name, keys in vocabulary.named_categories(text).items()
        ]
    return found


def _asked_colors(text: str, shop: Shop, *, wanted: bool) -> list[Asked]:
    """The colours named: those of prompts/search.yaml, and the shop's own, which mean themselves before anything else."""
    usual = [color for color in search_words()["colors"].values() if any(mentions(text, word) for word in color["words"])]
    usual_words = [word for color in usual for word in _said_first(text, color["words"])]
    spelled = {value: _spellings(value, shop) for value in sorted(shop.option_values("color"))}
    own = [
        word
        for value, words in spelled.items()
        if not {value.lower(), *words} & set(usual_words) and any(mentions(text, word) for word in words)
        for word in _said_first(text, words)
    ]
    if not own and not usual:
        return []
    shades = [word for color in usual for word in color["shades"]]
    if own:
        return [Asked("color", tuple(own), (*usual_words, *shades) if wanted else (), wanted=wanted)]
    # Not red is not burgundy's fault.
    return [Asked("color", tuple(usual_words), tuple(shades) if wanted else (), wanted=wanted)]


def _said_first(text: str, words: Iterable[str]) -> list[str]:
    return sorted(words, key=lambda word: not mentions(text, word))


def _spellings(value: str, shop: Shop) -> tuple[str, ...]:
    known = shop.info.words.get(value.lower())
    return tuple(dict.fromkeys((value, *(known.all() if known else ()))))


def _as_told(value: str, shop: Shop) -> LocalText:
    """An option's value as customers read it."""
    return shop.info.words.get(value.lower()) or LocalText(en=value)


def _product_is(product: Product, asked: Asked) -> tuple[bool, LocalText | None, bool]:
    """Whether the product is as asked (or is not, where that is asked), how it tells so, and whether it says exactly that."""
    if asked.aspect == "brand":
        is_made = bool(product.brand) and asked.is_told_by(product.brand or "")
        return is_made == asked.wanted, LocalText(en=product.brand) if is_made else None, True
    facet = search_words()["facets"][asked.name]
    names = _attribute_names(asked.name)
    values = [value for name, value in product.attributes.items() if name.lower() in names]
    told = " ; ".join(text for value in values for text in value.all())
    titles = " ; ".join((*product.title.all(), *product.keywords))
    if not asked.wanted:
        return not (asked.is_nearly_told_by(told) or asked.is_told_by(" ; ".join(product.title.all()))), None, True
    if told and (asked.is_told_by(told) or _tells(told, asked.also)):
        return True, _value_told(values, asked), True
    if any(mentions(told, word) for word in facet["any"]):
        return True, _value_told(values, asked), False
    if asked.is_told_by(titles) or (
        not told and asked.is_told_by(" ; ".join(product.description.all() if product.description else ()))
    ):
        return True, LocalText(en=asked.words[0]), True
    return not told and bool(facet["unknown"]), None, False


def told_instead(product: Product, facet: str) -> LocalText | None:
    """What the product says of a facet: the material it is of."""
    names = _attribute_names(facet)
    return next((value for name, value in product.attributes.items() if name.lower() in names), None)


def _value_told(values: Sequence[LocalText], asked: Asked) -> LocalText:
    """The attribute's value that tells it."""
    return next((value for value in values if asked.is_nearly_told_by(" ; ".join(value.all()))), values[0])


def _tells(text: str, words: Iterable[str]) -> bool:
    return any(mentions(text, word) for word in words)


@cache
def _attribute_names(facet: str) -> frozenset[str]:
    return frozenset(str(name).lower() for name in search_words()["facets"][facet]["attributes"])


def _is_kind(product: Product, names: Iterable[str], keys: frozenset[str]) -> bool:
    if product.category.all()[0].casefold() in keys:
        return True
    return any(mentions(title, name) for title in product.title.all() for name in names)


def _other_kind(product: Product, wish: Wish) -> Asked | None:
    """That the product is no such thing; None where it is one, by its category or by what its title calls it."""
    names = [*wish.kinds, *synonyms_in(" , ".join(wish.kinds))]
    if _is_kind(product, names, frozenset().union(*(keys for name, keys in wish.kinds.items() if name not in wish.heads))):
        return None
    is_near = _is_kind(product, (), frozenset().union(*wish.kinds.values()))
    return Asked("kind" if is_near else "category", tuple(wish.kinds))


def _measures(product: Product) -> list[MeasureOf]:
    texts = [*product.title.all(), *(product.description.all() if product.description else ())]
    texts += [text for value in product.attributes.values() for text in value.all()]
    texts += [value for variant in product.variants for value in variant.options.values()]
    return [measure for text in texts for measure in measures_in(text)]


def _nearest_variants(
    product: Product, wish: Wish, shop: Shop, my_sizes: Mapping[str, str]
) -> tuple[tuple[Variant, ...], list[Asked], list[tuple[Asked, LocalText]], int]:
    """The variants that can be bought and lack least, what they lack, what they have, and how much of it only passes for it."""
    options = {name: values for name, values in asked_options(product, wish.said, shop).items() if name != "color"}
    buyable = [variant for variant in product.variants if variant.in_stock]
    if not buyable:
        return product.variants, [Asked("stock")], [], 0
    held = [(variant, *_held(product, variant, wish, shop, options, my_sizes)) for variant in buyable]
    least = min((len(unmet), shades) for _, unmet, _, shades in held)
    best = [each for each in held if (len(each[1]), each[3]) == least]
    met = list(
        {(asked.aspect, told.en or told.zh): (asked, told) for _, _, fulfilled, _ in best for asked, told in fulfilled}.values()
    )
    return tuple(variant for variant, *_ in best), best[0][1], met, best[0][3]


def _held(
    product: Product,
    variant: Variant,
    wish: Wish,
    shop: Shop,
    options: Mapping[str, frozenset[str]],
    my_sizes: Mapping[str, str],
) -> tuple[list[Asked], list[tuple[Asked, LocalText]], int]:
    unmet: list[Asked] = []
    met: list[tuple[Asked, LocalText]] = []
    shades = 0
    price = variant.price_cents
    if (wish.low is not None and (price is None or price < wish.low)) or (
        wish.high is not None and (price is None or price > wish.high)
    ):
        unmet.append(Asked("price"))
    for asked in wish.asked:
        if asked.aspect == "color":
            color = variant.options.get("color")
            told = " ; ".join(_spellings(color, shop)) if color else _color_text(product)
            if not asked.wanted:
                if asked.is_told_by(told):
                    unmet.append(asked)
            elif asked.is_nearly_told_by(told):
                met.append((asked, _as_told(color or asked.words[0], shop)))
                shades += not asked.is_told_by(told)
            else:
                unmet.append(asked)
    for name, values in options.items():
        asked = Asked("size" if name == "size" else "option", tuple(sorted(values)), name=name)
        if variant.options.get(name) in values:
            met.append((asked, _as_told(variant.options[name], shop)))
        else:
            unmet.append(asked)
    if wish.my_size and "size" not in options and "size" in variant.options:
        mine = _my_size(product, my_sizes)
        asked = Asked("size", (mine,) if mine else (), name="mine")
        if mine is not None and variant.options["size"] == mine:
            met.append((asked, _as_told(mine, shop)))
        elif my_sizes:
            unmet.append(asked)
    return unmet, met, shades


def _color_text(product: Product) -> str:
    """What a product without colours to choose from says of its colour."""
    attributes = [
        text
        for name, value in product.attributes.items()
        if name.lower() in ("color", "colour", "颜色")
        for text in value.all()
    ]
    return " ; ".join((*product.title.all(), *attributes))


def _my_size(product: Product, my_sizes: Mapping[str, str]) -> str | None:
    """The customer's size for this product: of its category, else one that it comes in at all."""
    key = product.category.all()[0].casefold()
    sizes = {variant.options["size"] for variant in product.variants if "size" in variant.options}
    if key in my_sizes and my_sizes[key] in sizes:
        return my_sizes[key]
    return next((size for size in my_sizes.values() if size in sizes), None)
