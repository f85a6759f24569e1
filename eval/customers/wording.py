"""Wishes in a customer's words: things by their names and options, never by the ids of a database; many ways, drawn by a seed.

The sentences are data: words.en.yaml and words.zh.yaml.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from string import Template
from typing import Any

import yaml

from eval.customers.wishes import Wish
from tools.shop.types import Address, Language, Order, OrderItem, PaymentMethod, Variant

_HERE = Path(__file__).parent
_NOTHING = {"no", "none", "not", "without"}
_BARE_IS_UNCLEAR = {
    "high",
    "low",
    "medium",
    "full",
    "half",
    "fixed",
    "light",
    "dark",
    "standard",
    "basic",
    "custom",
    "no",
    "yes",
}
"""Values that nobody says without what they are a value of."""


@cache
def sentences(language: Language) -> dict[str, Any]:
    """All that a customer can say in a language, by what it is for."""
    loaded: dict[str, Any] = yaml.safe_load((_HERE / f"words.{language}.yaml").read_text(encoding="utf-8"))
    return loaded


class Wording:
    """One customer's way of speaking: the same seed says the same."""

    def __init__(
        self, language: Language, seed: int, methods: Sequence[PaymentMethod] = (), names: Mapping[str, str] | None = None
    ) -> None:
        """`names` tells what the customer calls products, by id, and option values, in lower case, where the shop writes them otherwise."""
        self.language: Language = language
        self._names = names or {}
        self.random = Random(seed)
        self._methods = methods
        self._used: dict[str, int] = {}

    def say(self, key: str, **values: str) -> str:
        """One of the sentences for this, filled in; asked again, it says it differently as long as it can."""
        ways: Sequence[str] = sentences(self.language)[key]
        start = self._used.setdefault(key, self.random.randrange(len(ways)))
        self._used[key] = start + 1
        return Template(ways[start % len(ways)]).substitute(values)

    def wish(self, wish: Wish, *, name_order: bool = True, name_method: bool = False) -> str:
        """The wish, whole: what, of which order if `name_order`, and by which payment method if `name_method`."""
        if wish.kind in ("question", "person"):
            ways = (wish.asks, *wish.ways)
            self._used[wish.asks] = self._used.get(wish.asks, -1) + 1
            return ways[self._used[wish.asks] % len(ways)]
        values = {"order": wish.order.id if wish.order else "", **self._values(wish)}
        key: str = wish.kind
        if wish.kind == "return" and wish.order and name_order and _is_whole(wish) and len(wish.items) > 1:
            key = self.random.choice(("return", "return_all"))
        elif not name_order and wish.kind in ("return", "exchange", "item_change", "cancellation"):
            key += "_no_order"
        text = self.say(key, **values)
        if wish.reason and wish.kind == "cancellation" and name_method and values["because"].lower() not in text.lower():
            text = self._join(text, self.say("reason", because=values["because"], Because=values["Because"]))
        elif name_method and wish.method and wish.kind in ("return", "exchange", "item_change"):
            text = self._join(
                text, self.say("refund_to" if wish.kind == "return" else "pay_with", method=self.method(wish.method))
            )
        return text[:1].upper() + text[1:]

    def _join(self, *texts: str) -> str:
        return ("" if self.language == "zh" else " ").join(text for text in texts if text)

    def _values(self, wish: Wish) -> dict[str, str]:
        because = self.because(wish)
        values = {"because": because, "Because": because[:1].upper() + because[1:]}
        if wish.items and wish.order:
            values["items"] = self.items(wish.order, wish.items)
        if wish.new and wish.order:
            values["new"] = self.listed(
                [self.new(old, new, len(wish.new) > 1) for old, new in zip(wish.items, wish.new, strict=True)]
            )
            into = "换成" if self.language == "zh" else " for "
            swaps = [
                self.item(wish.order, old) + into + self.new(old, new, named=False)
                for old, new in zip(wish.items, wish.new, strict=True)
            ]
            values["swap"] = self.listed(swaps)
        if wish.method:
            values["method"] = self.method(wish.method)
        if wish.address:
            values["address"] = self.address(wish.address, wish.order)
        return values

    def because(self, wish: Wish) -> str:
        """Why, for a cancellation or a return."""
        ways: Sequence[str] = sentences(self.language)["because"][wish.reason or "changed_mind"]
        return self.random.choice(ways)

    def items(self, order: Order, items: Sequence[OrderItem]) -> str:
        """Pieces of an order, each as the customer would call it; where there are two of a product, so that it is clear which."""
        pieces = Counter(item.variant_id for item in items)
        named = []
        for item in {item.variant_id: item for item in items}.values():
            had = sum(each.quantity for each in order.items if each.variant_id == item.variant_id)
            name = self.item(order, item)
            if pieces[item.variant_id] < had:
                name = self.say("one_of", item=name, title=self.title(item))
            elif had > 1:
                name = self.say("both", item=name, title=self.title(item))
            named.append(name)
        return self.listed(named)

    def item(self, order: Order, item: OrderItem) -> str:
        """ "the black tablet", "the notebook in size A5" """
        twins = [each for each in order.items if each.product_id == item.product_id and each.variant_id != item.variant_id]
        needed = [name for name in item.options if any(twin.options.get(name) != item.options[name] for twin in twins)]
        more = self.random.choice((0, 0, 0, 1, 2, len(item.options)))
        others = [name for name in item.options if name not in needed]
        self.random.shuffle(others)
        names = [*needed, *others[:more]]
        return self.described(self.title(item), {name: item.options[name] for name in names}, item.options)

    def title(self, item: OrderItem) -> str:
        """What the customer calls the thing."""
        return self._names.get(item.product_id) or item.title.in_language(self.language)

    def new(self, old: OrderItem, new: Variant, named: bool) -> str:
        """The variant wished for: mostly only what is different about it, now and then all of it."""
        if new.id == old.variant_id:
            return str(self.random.choice(sentences(self.language)["same"]))
        changed = {name: value for name, value in new.options.items() if old.options.get(name) != value}
        told = new.options if self.random.random() < 0.3 or not changed else changed
        title = self.title(old)
        if named:
            return self.described(title, told, new.options)
        if self.language == "zh":
            return self.described("的", told, new.options)
        return self.described("one", told, new.options, article="a")

    def described(self, title: str, told: Mapping[str, str], options: Mapping[str, str], article: str = "the") -> str:
        """A thing with those of its options that are told: before its name, after it, or in brackets."""
        if self.language == "zh":
            words = [self._names.get(value.lower(), value) for value in told.values()]
            return "".join(words) + title if title != "的" else "、".join(words) + "的"
        title = title if title.isupper() or re.search(r"[A-Z]{2}|-[A-Z]", title) else title.lower()
        if len(told) > 2 and self.random.random() < 0.3 and title != "one":
            return f"{article} {title} ({', '.join(_with_name(name, value) for name, value in told.items())})"
        before = [name for name, value in told.items() if _stands_alone(value, options)]
        if title == "one" or self.random.random() < 0.3:
            before = before[:1] if self.random.random() < 0.7 else []
        after = [_with_name(name, told[name]) for name in told if name not in before]
        start = " ".join([*(told[name] for name in before), title])
        article = "an" if article == "a" and start[0].lower() in "aeiou" else article
        named = start if start == "one" else f"{article} {start}"
        return named + (f" with {self.listed(after)}" if after else "")

    def listed(self, words: Sequence[str]) -> str:
        """ "a, b and c" """
        if len(words) < 2:
            return "".join(words)
        comma, last = ("、", "和") if self.language == "zh" else (", ", " and ")
        return comma.join(words[:-1]) + last + words[-1]

    def method(self, method: PaymentMethod) -> str:
        """A payment method as its owner calls it; of two cards, by its number."""
        kinds = [each.kind for each in self._methods]
        key = "card_only" if method.kind == "card" and kinds.count("card") == 1 else method.kind
        ways: Sequence[str] = sentences(self.language)["methods"][key]
        values = {"brand": (method.brand or "card").capitalize(), "last_four": method.last_four or "····"}
        return Template(self.random.choice(ways)).substitute(values)

    def address(self, address: Address, order: Order | None = None) -> str:
        """An address on one line, as it is written in the country; in Chinese without the town where the order goes there already."""
        if self.language == "zh":
            same_town = order is not None and (order.address.region, order.address.city) == (address.region, address.city)
            return "".join((*(() if same_town else (address.region, address.city)), address.line1, address.line2))
        parts = [address.line1, address.line2, address.city, f"{address.region} {address.postcode}".strip()]
        return ", ".join(part for part in parts if part) + self.random.choice(
            ("", ", " + address.country if address.country else "")
        )

    def styled(self, text: str, persona: str) -> str:
        """The message as this kind of person writes it: terse people drop full stops and capitals, chatty ones add a sentence."""
        if persona == "terse" and self.language == "en":
            return text[:1].lower() + text[1:].rstrip(".!") if not text.startswith("I ") else text.rstrip(".!")
        if persona == "chatty" and len(text) > 60 and self.random.random() < 0.3:
            return self._join(
                text if text[-1] in ".?!。？！" else text + ("。" if self.language == "zh" else "."), self.say("chat")
            )
        if (
            persona == "polite"
            and self.language == "en"
            and len(text) > 20
            and "please" not in text.lower()
            and "?" not in text
        ):
            return text.rstrip(".") + ", please."
        return text


def _is_whole(wish: Wish) -> bool:
    order = wish.order
    assert order, "a wish with items has an order"
    return sorted(item.variant_id for item in wish.items) == sorted(
        item.variant_id for item in order.items for _ in range(item.quantity)
    )


def _stands_alone(value: str, options: Mapping[str, str]) -> bool:
    """Whether the value says by itself what it is a value of: "black", "512GB SSD", not "high" or "8"."""
    plain = value.lower()
    if plain in _BARE_IS_UNCLEAR or plain.split()[0] in _NOTHING or not re.search(r"[a-z]{2}", plain):
        return False
    return sum(each.lower() == plain for each in options.values()) == 1 and len(plain.split()) < 3


def _with_name(name: str, value: str) -> str:
    """An option with its name, as it is said: "a 10-inch screen size", "no backlight", "size 8", "waterproofing"."""
    plain, lowered = value.lower(), name.lower()
    if plain in ("no", "none"):
        return f"no {name}"
    if plain == "yes":
        return name
    if plain.startswith("not "):
        return value
    if lowered in plain or (len(plain) > 3 and plain.split()[-1].rstrip("s") in lowered.split()[-1]):
        return value
    if re.fullmatch(r"[\d.]+", plain):
        return f"{value} {name}" if name.endswith("s") else f"{name} {value}"
    return f"{value} {name}" if lowered not in ("size",) else f"size {value}"
