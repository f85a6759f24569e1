"""Which thing of an order each part of a sentence is about, and which options of it are named there.

"Swap the black mouse for a white one and the shelf for a glass one in 5 ft" speaks of the mouse in its first half and of the shelf in
its second; only there do "white" and "glass" count for it. What was meant by it is for tools/kit/answers.py.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from tools.shop.shop import Shop
from tools.shop.types import OrderItem, Product, Variant

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
PICKED = "v_"
"""Before a variant's id in an answer by its number: such a word is no customer's, and looks like no order number."""
_DETERMINED = re.compile(r"(?:^|\b(?:the|my|a|an|this|that|these|those|one|both|other)\b)(?:\s+[\w.%+/&'-]+){0,6}\s*$", re.I)
_BEFORE_A_NAME = re.compile(
    r"[,;:?!(]|\.(?!\d)|\b(?:and|or|for|to|into|of|than|the|an?|my|your|this|that|these|those|change|swap|exchange|return|replace|"
    r"switch|modify|get|got|have|want|is|are|also|but|from|as|be|cancel)\b|[，。；：、]|里的|我的|[这那]个|买的|[和把要想将]|[换改]成",
    re.I,
)
_INTO = re.compile(r"\b(?:for|to|into|be|prefer|rather have|rather|want|like)\b(?=\s)|[换改]成|要", re.I)
_RATHER_THAN = re.compile(r"\binstead of\b|\brather than\b|而不是", re.I)
_NOT_THIS = re.compile(
    r"(?:\bnot|\bexcept(?:\s+for)?|\bbut\s+not|\b(?:everything|all|items)\s+but|\bkeep(?:ing)?|\bleave|\bwithout|\bapart\s+from|\bother\s+than|\bbesides)"
    r"(?:\s+(?:the|my|this|that|a|an))?\s*$|(?:除了|不包括|留下|保留|不退|不换|不要)(?:[那这]个)?$",
    re.I,
)


def spelled(shop: Shop, value: str) -> tuple[str, ...]:
    """An option's value as a customer may write it: as it is stored, and in every language."""
    found = shop.info.words.get(value.lower())
    return (value, *(found.all() if found else ()))


def parts_about(text: str, items: Sequence[OrderItem], shop: Shop) -> dict[str, str]:
    """The parts of the text that are about each item, by variant id; items that it does not name are left out.

    Where one thing is named, all of the text is about it. An item that is named only as what is not meant ("not the lamp") is left out.
    """
    words = text.split()
    if picked := [item.variant_id for item in items if PICKED + item.variant_id in words]:
        return dict.fromkeys(picked, text)
    found = _found(text, items, shop)
    meant = [each for each in found if not each.excluded]
    names = {each.variant_id for each in meant}
    if len(names) == 1:
        return {next(iter(names)): text}
    parts: dict[str, str] = {}
    for each in meant:
        parts[each.variant_id] = f"{parts.get(each.variant_id, '')} {each.part}".strip()
    return parts


def left_out(text: str, items: Sequence[OrderItem], shop: Shop) -> frozenset[str]:
    """The variant ids of what the text names as not meant: "everything except the lamp"."""
    found = _found(text, items, shop)
    return frozenset(each.variant_id for each in found if each.excluded) - {e.variant_id for e in found if not e.excluded}


class _Found:
    """A place where an item is named: `part` is the text from there to the next such place, `before` what stands before it."""

    def __init__(self, variant_id: str, part: str, before: str, *, excluded: bool, only: bool) -> None:
        self.variant_id, self.part, self.before, self.excluded, self.only = variant_id, part, before, excluded, only


def _found(text: str, items: Sequence[OrderItem], shop: Shop) -> list[_Found]:
    by_product: dict[str, list[OrderItem]] = {}
    for item in items:
        by_product.setdefault(item.product_id, []).append(item)
    places: list[tuple[int, int, str]] = []
    for product_id, own in by_product.items():
        product = shop.product(product_id)
        titles = {*own[0].title.all(), *(product.title.all() if product else ())}
        named = [place for title in titles for place in _places(text, title)]
        if not named and product:
            named = [place for word in _other_names(product) for place in _places(text, word)]
        places += [(start, end, product_id) for start, end in named]
    # "Electric kettle" is no place of the tea kettle's, though both are kettles.
    places = [a for a in places if not any(b is not a and _is_inside(a, b) for b in places)]
    places = [each for each in places if not _is_option(text, each, by_product, shop)]
    places.sort()
    starts = [_name_start(text, start) for start, _, _ in places]
    found: list[_Found] = []
    for number, (start, _, product_id) in enumerate(places):
        end = starts[number + 1] if number + 1 < len(places) else len(text)
        part = text[starts[number] : max(end, start)]
        excluded = bool(_NOT_THIS.search(text[: starts[number]]))
        own = by_product[product_id]
        told = own if len(own) == 1 else _told_apart(part, own, shop)
        before = text[: starts[number]]
        found += [_Found(item.variant_id, part, before, excluded=excluded, only=len(told) == 1) for item in told]
    return found


def _other_names(product: Product) -> list[str]:
    """What a thing is called besides its title: its category and the words that the shop gave it."""
    kinds = [word.strip() for title in product.category.all() for word in re.split(r"[&,/、与和]+", title)]
    return [word for word in (*kinds, *product.keywords) if 1 < len(word) <= 20]


def _is_option(text: str, place: tuple[int, int, str], by_product: Mapping[str, Sequence[OrderItem]], shop: Shop) -> bool:
    """Whether the words are another thing's option there: a "laptop compartment" of a backpack, or a "laptop backpack", is no laptop."""
    start, end, product_id = place
    word, after = text[start:end].lower(), text[end : end + 30].lower()
    for other in by_product:
        product = shop.product(other) if other != product_id else None
        for variant in product.variants if product else ():
            for name, value in variant.options.items():
                if value.lower() == word and product:
                    title = re.findall(r"[a-z]+", product.title.all()[0].lower())[-1:]
                    if re.match(rf"\s+(?:{'|'.join(map(re.escape, [name.lower(), *title]))})", after):
                        return True
    return False


def told_apart(text: str, items: Sequence[OrderItem], shop: Shop) -> frozenset[str]:
    """The variant ids of the items that the text names so that no other item of the same product can be meant in that place."""
    return frozenset(each.variant_id for each in _found(text, items, shop) if each.only)


def pieces_about(text: str, items: Sequence[OrderItem], shop: Shop) -> dict[str, int]:
    """How many pieces the text speaks of, for each item of which it tells: "one of the two bottles"."""
    pieces: dict[str, int] = {}
    for each in _found(text, items, shop):
        if found := _COUNT_BEFORE.search(each.before):
            pieces[each.variant_id] = 1 if found[1] else 2
    return pieces


_COUNT_BEFORE = re.compile(
    r"(?:\b(one|single|just one|only one)(?:\s+of(?:\s+(?:the|my))?(?:\s+(?:two|three|four|\d))?|\s+of)?"
    r"|\b(two|both)(?:\s+of)?(?:\s+(?:the|my))?)\s*$",
    re.I,
)


def _is_inside(inner: tuple[int, int, str], outer: tuple[int, int, str]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1] and (outer[1] - outer[0]) > (inner[1] - inner[0])


def _places(text: str, title: str) -> list[tuple[int, int]]:
    """Where a title stands in the text, whole or as its end: "security camera" is an indoor security camera."""
    if _CHINESE.search(title):
        for size in range(len(title), 1, -1):
            if found := [(m.start(), m.end()) for m in re.finditer(re.escape(title[-size:]), text)]:
                return found
        return []
    words = re.findall(r"[a-z0-9']+", re.split(r"[,(]", title.lower())[0])
    places: list[tuple[int, int]] = []
    for first in range(len(words)):
        ending = words[first:]
        if len(ending) == 1 and len(ending[0]) < 3:
            continue
        last = ending[-1].removesuffix("s")
        pattern = r"(?<![a-z0-9])" + r"[\s-]?".join([*map(re.escape, ending[:-1]), re.escape(last)]) + r"(?:e?s)?(?![a-z0-9])"
        for place in re.finditer(pattern, text.lower()):
            is_part = any(start <= place.start() and place.end() <= end for start, end in places)
            # "Please set up …" names no luggage set.
            is_named = not first or len(ending) > 1 or len(text) <= 20 or _DETERMINED.search(text[: place.start()])
            if is_named and not is_part:
                places.append((place.start(), place.end()))
    return places


def _name_start(text: str, start: int) -> int:
    """Where the words before a name that belong to it begin: "the |black 8GB tablet"."""
    found = list(_BEFORE_A_NAME.finditer(text, max(0, start - 80), start))
    return found[-1].end() if found else max(0, start - 80) if start > 80 else 0


def _told_apart(part: str, twins: Sequence[OrderItem], shop: Shop) -> list[OrderItem]:
    """Of several items of one product those that the part names by their options; all of them where it does not tell."""
    old = _RATHER_THAN.split(part)[-1] if _RATHER_THAN.search(part) else _INTO.split(part, maxsplit=1)[0]
    product = shop.product(twins[0].product_id)
    options = product.variants if product else ()
    for text in (old, part):
        named = named_options(text, options, shop)
        scores = [sum(twin.options.get(name) in [value for _, value in said] for name, said in named.items()) for twin in twins]
        against = [
            sum(twin.options.get(name) not in [value for _, value in said] for name, said in named.items()) for twin in twins
        ]
        ranks = [score - other for score, other in zip(scores, against, strict=True)]
        best = [twin for twin, rank in zip(twins, ranks, strict=True) if rank == max(ranks)]
        if len(best) < len(twins):
            return best
    return list(twins)


def wanted_part(part: str) -> str:
    """What of a part says what the thing shall become: after "for" or "to", before "instead of"; "" where it has no such word."""
    if found := _RATHER_THAN.search(part):
        return part[: found.start()]
    found = _INTO.search(part)
    return part[found.end() :] if found else ""


def named_options(text: str, variants: Iterable[Variant], shop: Shop) -> dict[str, list[tuple[int, str]]]:
    """The option values of a product that the text names, with where they stand: {"color": [(12, "white")]}.

    A value that belongs to two options ("black" frame, "black" lenses) counts for the one whose name stands nearest.
    """
    values: dict[str, tuple[str, ...]] = {}
    for variant in variants:
        for name, value in variant.options.items():
            if value not in values.get(name, ()):
                values[name] = (*values.get(name, ()), value)
    plain = plain_measures(text)
    places: list[tuple[int, int, str, str]] = []
    for name, own in values.items():
        for value in own:
            spellings = tuple(dict.fromkeys(plain_measures(word) for word in spelled(shop, value)))
            places += [(start, end, name, value) for start, end in _value_places(plain, name, value, spellings)]
    places = [a for a in places if not any(b[0] <= a[0] and a[1] <= b[1] and b[1] - b[0] > a[1] - a[0] for b in places)]
    named: dict[str, list[tuple[int, str]]] = {}
    for start, end, name, value in sorted(places):
        rivals = {other for s, e, other, _ in places if (s, e) == (start, end)}
        if len(rivals) > 1 and _nearest_name(plain, start, end, rivals) != name:
            continue
        named.setdefault(name, []).append((start, value))
    return named


_UNITS = {
    "liters": "l", "liter": "l", "litres": "l", "litre": "l", "inches": "inch", "feet": "ft", "foot": "ft", "hours": "hour", "hrs": "hour",
    "hr": "hour", "cups": "cup", "degree": "degrees", "pounds": "lbs", "lb": "lbs", "bars": "bar", "pieces": "piece", "gb": "gb",
}  # fmt: skip


@lru_cache(maxsize=2000)
def plain_measures(text: str) -> str:
    """The text in lower case with every measure written one way: "1.5 liters", "1.5-liter" and "1.5L" are "1.5l"."""
    lowered = text.lower().replace("’", "'")
    lowered = re.sub(r"(\d)\s*(?:\"|''|″)", r"\1inch", lowered)

    def unit(found: re.Match[str]) -> str:
        return f"{found[1]}{_UNITS.get(found[2], found[2])}"

    joined = "|".join(
        sorted({*_UNITS, *_UNITS.values(), "mah", "ml", "mm", "cm", "mp", "tb", "kg", "hour"}, key=len, reverse=True)
    )
    return re.sub(rf"(\d)[\s-]?({joined})(?![a-z])", unit, lowered)


_NO_WORDS = r"(?:no|non|not|without|isn't|never|zero)"
_IDIOMS = re.compile(r"^\s+(?:refund|price|amount|order|sum|credit|day|time)\b")


def _value_places(plain: str, name: str, value: str, spellings: Sequence[str]) -> list[tuple[int, int]]:
    lowered = value.lower()
    if lowered in ("yes", "no", "none", "true", "false"):
        return _switch_places(plain, name, lowered in ("yes", "true"))
    if re.fullmatch(r"[\d.]+", lowered):
        return _number_places(plain, name, lowered)
    places: list[tuple[int, int]] = []
    for word in spellings:
        if _CHINESE.search(word):
            places += [(found.start(), found.end()) for found in re.finditer(re.escape(word), plain)]
        elif word.isalpha() and (len(word) <= 2 or word in ("xxl", "xxxl")):
            # A letter is a size where it stands for one: "in M", "size m", "the L one" (letter case is gone here).
            pattern = rf"(?<![a-z0-9'.-]){re.escape(word)}(?![a-z0-9'])"
            places += [(m.start(), m.end()) for m in re.finditer(pattern, plain)] if mentions_code(plain, word) else []
        else:
            flexible = re.escape(word).replace(r"\ ", r"[\s-]").replace(r"\-", r"[\s-]?")
            for found in re.finditer(rf"(?<![a-z0-9]){flexible}(?:e?s)?(?![a-z0-9])", plain):
                if not _IDIOMS.match(plain[found.end() :]):
                    places.append((found.start(), found.end()))
    return places


def mentions_code(plain: str, word: str) -> bool:
    """Whether a one- or two-letter size stands in the text as one: beside "size", "in", a bracket or a comma, or alone."""
    letter = re.escape(word)
    if len(word) > 1 and re.search(rf"(?<![a-z0-9'.-]){letter}(?![a-z0-9'])", plain):
        # "xl" and "xs" are nothing else; of a single letter there are many in a sentence.
        return True
    before = r"\b(?:size|sizes|in|an?|the|to|for|it|then|need|want|take|wear)"
    return bool(
        re.search(rf"{before}\s+{letter}(?![a-z0-9'])|(?<![a-z0-9']){letter}\s+(?:size|one)\b", plain)
        or re.search(
            rf"[(,]\s*{letter}\s*[),]|^\W*{letter}\W*(?:(?:please|then|instead)\W*)*$|(?<![a-z0-9]){letter}\s?[码号的]", plain
        )
        or re.search(rf"[换要改选穿成]\s?{letter}(?![a-z0-9'])", plain)
    )


def _name_words(name: str) -> str:
    """A pattern for an option's name: all of it, or its words but for the most general ones."""
    words = [word for word in re.findall(r"[a-z]+", name.lower()) if len(word) > 2]
    stems = [re.escape(word[: max(4, len(word) - 3)]) + r"[a-z]*" for word in words]
    return r"[\s-]".join(stems) if stems else re.escape(name.lower())


def _switch_places(plain: str, name: str, is_on: bool) -> list[tuple[int, int]]:
    """Where the text says that the thing has, or has not, what the option is about: "waterproof", "without backlight"."""
    pattern = _name_words(name)
    off = [
        (found.start(), found.end())
        for found in re.finditer(
            rf"\b{_NO_WORDS}[\s-]+(?:a |an |any |the |be )?(?:extra |special )?{pattern}\b|{pattern}(?:\s+(?:is|of|be))?[:\s]+(?:no|none)\b"
            rf"|{pattern}['\"]?\s*[:=]\s*['\"]?(?:no|none)\b",
            plain,
        )
    ]
    if not is_on:
        return off
    on = [(found.start(), found.end()) for found in re.finditer(rf"\b{pattern}\b(?:\s*[:=]\s*yes)?", plain)]
    return [each for each in on if not any(start <= each[0] and each[1] <= end for start, end in off)]


def _number_places(plain: str, name: str, value: str) -> list[tuple[int, int]]:
    """Where a bare number stands as this option's: "size 9", "1000 pieces", or as all of an answer."""
    number = re.escape(value)
    words = _name_words(name).removesuffix("[a-z]*") + r"[a-z]*"
    unit = _UNITS.get(name.lower(), name.lower().removesuffix("s"))
    pattern = (
        rf"\b{words}\s*(?:of|is|in|to|:|eu|us|uk)?\s*{number}(?![\d.]*\d)|(?<![\d.]){number}[\s-]?(?:{words}|{re.escape(unit)}s?)\b"
        rf"|^\W*{number}\W*(?:please\W*)?$|\b(?:in|an?|the|to|it|then|need|want|take|wear)\s+{number}(?![\d.]*\d|%|\s*(?:day|week|time|item|order|of))(?=\s*(?:[,.!?]|$|and|instead|please|one))"
    )
    return [(found.start(), found.end()) for found in re.finditer(pattern, plain)]


def _nearest_name(plain: str, start: int, end: int, names: Iterable[str]) -> str | None:
    """Of options that share a value the one whose own words stand nearest to it, after it before before it; None if none does."""
    shared = [set(re.findall(r"[a-z]+", name.lower())) for name in names]
    common = set.intersection(*shared) if len(shared) > 1 else set()
    best: tuple[int, str] | None = None
    for name in names:
        for word in set(re.findall(r"[a-z]+", name.lower())) - common:
            for found in re.finditer(rf"\b{re.escape(word[: max(4, len(word) - 2)])}", plain):
                distance = found.start() - end if found.start() >= end else 2 * (start - found.end()) + 1
                if 0 <= distance < 40 and (best is None or distance < best[0]):
                    best = (distance, name)
    return best[1] if best else None


def options_wanted(part: str, item: OrderItem, product: Product, shop: Shop) -> dict[str, str]:
    """The options that a part of a message asks for in an item's place; its own values count where no other is named."""
    named = named_options(part, product.variants, shop)
    split = plain_measures(part)
    into = len(split) - len(plain_measures(wanted_part(part))) if wanted_part(part) and not _RATHER_THAN.search(part) else 0
    before = plain_measures(part).find(match[0].lower()) if (match := _RATHER_THAN.search(part)) else len(split)
    wanted: dict[str, str] = {}
    for name, said in named.items():
        own = item.options.get(name)
        new = [value for place, value in said if into <= place < before]
        others = [value for value in new if value != own] or ([value for _, value in said if value != own] if not new else [])
        if others:
            wanted[name] = others[-1]
        elif own is not None:
            wanted[name] = own
    return wanted


def variants_with(product: Product, options: Mapping[str, str]) -> tuple[Variant, ...]:
    """The product's variants that have all of these options."""
    return tuple(each for each in product.variants if all(each.options.get(name) == value for name, value in options.items()))
