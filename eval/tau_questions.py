"""What a task's outputs are about, found in the shop's records, and the questions by which a customer would come to hear them."""

import re
from collections.abc import Iterator, Sequence
from random import Random
from string import Template
from typing import Any

from eval.customers.wishes import Wish
from eval.customers.wording import Wording, sentences
from tools.shop.shop import Shop
from tools.shop.types import Customer, Product

_MONEY = re.compile(r"\d+(?:\.\d{1,2})?")
_WANTS_TO_KNOW = re.compile(
    r"how (?:much|many)|\btotal\b|\bprice\b|\bwhat\b|\bwhich\b|tracking|\btell you\b|\bknow\b|\bask\b", re.I
)


def says(text: str, output: str) -> bool:
    """Whether the text says the output: as a number or words of their own, however thousands are written."""
    wanted = re.escape(output.lower().replace(",", "").strip())
    return bool(re.search(rf"(?<![\w.]){wanted}(?![\w]|\.\d)", text.lower().replace(",", "")))


def questions_of(
    shop: Shop,
    owner: Customer,
    outputs: Sequence[str],
    instruction: str,
    wishes: Sequence[Wish],
    done: Sequence[dict[str, Any]],
) -> tuple[list[Wish], list[Wish]]:
    """Questions for the outputs: those about the shop and the orders as they are, and those about what was done, to be asked last."""
    first: list[Wish] = []
    last: list[Wish] = []
    wording = Wording("en", 0, owner.payment_methods)
    for output in dict.fromkeys(outputs):
        keys = [*_candidates(shop, owner, output, instruction, wording), *_of_what_is_done(output, done, bool(wishes))]
        own = _own_words(instruction)
        asks = keys[0] if keys else ("", (own, f"Could you look this up for me? {own}"))
        wish = Wish("question", asks=asks[1][0], ways=tuple(asks[1][1:]), answers=(output,))
        (last if asks[0] in ("ask_sum", "ask_difference") or not keys else first).append(wish)
    return first, last


def _asked(key: str, **values: str) -> tuple[str, tuple[str, ...]]:
    ways = [Template(each).substitute(values) for each in sentences("en")[key]]
    Random(str(values)).shuffle(ways)
    return key, tuple(ways)


def _candidates(
    shop: Shop, owner: Customer, output: str, instruction: str, wording: Wording
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What the output may be, the products named in the instruction first."""
    named = [product for product in shop.products() if _names(instruction, product)]
    orders = shop.orders_of(owner.id)
    is_count = output.isdigit() and len(output) < 4
    cents = round(float(output.replace(",", "")) * 100) if _MONEY.fullmatch(output.replace(",", "")) else None
    for product in named:
        title = _plain_title(product)
        if is_count and sum(variant.in_stock for variant in product.variants) == int(output):
            yield _asked("ask_variants", product=title)
        if is_count and len(product.variants) == int(output):
            yield _asked("ask_variants_all", product=title)
    for order in orders:
        for parcel in order.fulfilments:
            if output in parcel.tracking_number:
                yield _asked("ask_tracking", order=order.id)
        if output.lstrip("#").lower() == order.id.lstrip("#").lower():
            yield _asked("ask_order_number", items=wording.items(order, order.items))
    for method in owner.payment_methods:
        if cents is not None and method.balance_cents == cents:
            yield _asked("ask_balance")
    if cents is None or is_count:
        return
    for order in orders:
        if order.total_cents == cents:
            yield _asked("ask_order_total", order=order.id)
        for item in order.items:
            if item.unit_price_cents == cents:
                yield _asked("ask_paid", order=order.id, item=wording.item(order, item))
    for product in named:
        for variant in product.variants:
            if variant.price_cents == cents:
                yield _asked(
                    "ask_price", item=wording.described(product.title.in_language("en"), variant.options, variant.options)
                )


def _of_what_is_done(output: str, done: Sequence[dict[str, Any]], has_wishes: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Sums of what the task's own actions move."""
    if not _MONEY.fullmatch(output.replace(",", "")) or not has_wishes:
        return
    cents = round(float(output.replace(",", "")) * 100)
    totals = [each["total_cents"] for each in done if each.get("accepted")]
    if cents and cents in (abs(sum(totals)), *map(abs, totals), sum(total for total in totals if total > 0)):
        yield _asked("ask_sum" if sum(totals) > 0 else "ask_difference")


def _names(text: str, product: Product) -> bool:
    return any(re.search(rf"\b{re.escape(title.lower().rstrip('s'))}", text.lower()) for title in product.title.all())


def _plain_title(product: Product) -> str:
    title = product.title.in_language("en")
    return title if re.search(r"[A-Z]{2}|-[A-Z]", title) else title.lower()


_FIRST_PERSON = (
    (r"\byou're\b|\byou are\b", "I am"),
    (r"\byou've\b", "I have"),
    (r"\byou'd\b", "I would"),
    (r"\byour\b", "my"),
    (r"\byourself\b", "myself"),
    (r"\byou\b", "I"),
)


def _own_words(instruction: str) -> str:
    """The sentence of the instruction that wants something told, as the customer would say it; a plain question where there is none."""
    wanting = [each for each in re.split(r"(?<=[.!?])\s+", instruction) if _WANTS_TO_KNOW.search(each)]
    if not wanting:
        return "Can you tell me the total?"
    text = wanting[-1]
    for pattern, word in _FIRST_PERSON:
        text = re.sub(pattern, word, text, flags=re.I)
    return text[:1].upper() + text[1:300]
