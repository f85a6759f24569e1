"""Whether a message answers what a tool asked back, and who it proves its writer to be. No chat model has a say in either."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from agent.examples import REPLY
from agent.intake import mask_private
from agent.session import Choice, Past
from tools.kit.answers import (
    EMAIL,
    calls_it_off,
    is_angry,
    is_no,
    is_yes,
    likeness,
    names_method,
    names_person,
    read_address,
    read_count,
    read_items,
    read_opened,
    read_order,
    read_postcodes,
    read_reason,
    spellings,
    wants,
    wants_person,
)
from tools.kit.facts import Asked
from tools.kit.phrases import phrase
from tools.kit.reading import calls_an_order, mentions, shown_position
from tools.shop.shop import Shop
from tools.shop.types import Address, Customer, Language, Order

_QUESTION = re.compile(
    r"[?？]\s*$|有没有|[吗么]\s*[。!！?？]*\s*$|^(?:how|what|when|where|why|who|which|can|could|do|does|is|are)\b", re.I
)
CLEAR = 0.5
"""Share of the evidence from which an answer in the customer's own words picks one of what was offered."""
_STEP = re.compile(r"\b(?:bigger|larger|smaller|size up|size down)\b|[大小][一点]", re.I)


def answer_to(past: Past, said: str, shop: Shop, customer_id: str | None) -> str | None:
    """The message as an answer to what was asked last, in words that the tool reads; None if it is about something else."""
    asked = past.asked
    if asked is None or not said or _is_another_wish(asked, said):
        return None
    number = said.strip(" .#。")
    if number.isascii() and number.isdigit() and 0 < int(number) <= len(asked.listed or asked.choices):
        if asked.listed:
            return asked.listed[int(number) - 1]
        said = asked.choices[int(number) - 1]
    kept = mask_private(said)
    is_question = bool(_QUESTION.search(said.strip()))
    orders = shop.orders_of(customer_id) if customer_id else []
    match asked.slot:
        case "who":
            return kept if EMAIL.search(said) or read_postcodes(said) else None
        case "order":
            if position := shown_position(said, len(asked.listed)):
                return asked.listed[position - 1]
            named = read_order(said, orders) or calls_an_order(said) or read_reason(said)
            return kept if named or (not is_question and _names_item(said, orders, shop)) else None
        case "items":
            if position := shown_position(said, len(asked.listed)):
                return asked.listed[position - 1]
            chosen = any(
                read_items(said, order, {item.variant_id: item.quantity for item in order.items}, shop) for order in orders
            )
            return kept if (chosen or read_order(said, orders) or read_reason(said)) and not is_question else None
        case "reason":
            if read_reason(said):
                return kept
            # Whatever else is told is no fault of the shop's.
            return None if is_question or is_yes(said) else f"{kept} (changed my mind)"
        case "opened":
            if read_opened(said) is not None:
                return kept
            return "unopened" if is_yes(said) else "opened" if is_no(said) else None
        case "variant":
            if position := shown_position(said, len(asked.listed)):
                return asked.listed[position - 1]
            return kept if not is_question and _names_option(said, orders, shop) else None
        case "method":
            return kept if names_method(said) else None
        case "address":
            return kept if read_address(said, Address(line1="")) else None
        case "change":
            if is_question:
                return None
            return kept if names_method(said) or _names_item(said, orders, shop) or _names_option(said, orders, shop) else None
        case "amend":
            if is_question or len(said) > 200 or is_yes(said) or is_no(said):
                return None
            if past.quote and (other := read_order(said, orders)) and other.id != past.quote.request.order_id:
                # A wish of its own: reason and items of this one are not that one's.
                return None
            amends = names_method(said) or read_count(said) is not None or read_address(said, Address(line1=""))
            return kept if amends or _names_item(said, orders, shop) or _names_option(said, orders, shop) else None


def choice_made(
    choice: Choice | None, said: str, language: Language, shares: Callable[[str], dict[str, float]]
) -> tuple[str, str] | None:
    """The tool that an answer to "this or that?" picks, and the wish in words for it; None if the message is about something else.

    `shares` tells what a message asks for, the likeliest tool first.
    """
    if choice is None or not said:
        return None
    bare = _bare(said)
    for number, tool in enumerate(choice.tools, start=1):
        if bare in (_bare(wish_label(tool, language)), str(number)):
            return tool, choice.wish
    if position := shown_position(said, len(choice.tools)):
        return choice.tools[position - 1], choice.wish
    if choice.tools[1] == REPLY and is_yes(said):
        return choice.tools[0], choice.wish
    named = wants(said, choice.tools)
    likeliest, share = next(iter(shares(said).items()))
    if len(named) == 1:
        return next(iter(named)), f"{choice.wish} {said}"
    return (likeliest, f"{choice.wish} {said}") if likeliest in choice.tools and share >= CLEAR and likeliest != REPLY else None


def wish_label(tool: str, language: Language) -> str:
    """What a customer may want from `tool`, as a quick reply says it: "Cancel an order"."""
    label = phrase(f"wish_{tool}", language)
    return label[:1].upper() + label[1:]


def _bare(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _names_item(said: str, orders: Sequence[Order], shop: Shop) -> bool:
    return any(likeness(said, item, shop) >= 1 for order in orders for item in order.items)


def _names_option(said: str, orders: Sequence[Order], shop: Shop) -> bool:
    """Whether a colour, size or other option is named that something bought comes in."""
    if _STEP.search(said):
        return True
    bought = {item.product_id for order in orders for item in order.items}
    values = {
        value
        for product_id in bought
        if (product := shop.product(product_id))
        for variant in product.variants
        for value in variant.options.values()
    }
    bare = said.strip(" .。!").lower()
    return any(mentions(said, word) or bare == word.lower() for value in values for word in spellings(shop, value))


_WISHES = ("quote_return", "quote_exchange", "quote_cancellation")


def _is_another_wish(asked: Asked, said: str) -> bool:
    """Whether the message leaves what was asked: it is called off, a person is asked for, or money back instead of another size."""
    if calls_it_off(said) or wants_person(said):
        return True
    if asked.slot == "reason" and read_reason(said):
        return False
    if is_angry(said):
        return True
    named = wants(said, _WISHES)
    return asked.slot != "who" and asked.tool in _WISHES and bool(named) and asked.tool not in named and not names_method(said)


@dataclass(frozen=True)
class Identity:
    """What a message proves about its writer: `customer`, or the phrase that says why nothing."""

    customer: Customer | None = None
    key: str | None = None


def identify(shop: Shop, past: Past, said: str, conversation_id: str, now: datetime) -> Identity | None:
    """Find the account by e-mail, or, where we asked for it, by name and postcode; None if the message offers neither.

    Tries are limited for a conversation and for each e-mail address and postcode, across conversations.
    """
    asked = past.asked is not None and past.asked.slot == "who"
    email = EMAIL.search(said)
    postcodes = read_postcodes(said) if asked and not email else []
    if not email and not postcodes:
        return None
    subjects = [f"conversation:{conversation_id}", *([f"email:{email[0].lower()}"] if email else [])]
    subjects += [f"postcode:{postcode.upper()}" for postcode in postcodes]
    if not shop.ledger.may_try(subjects, now):
        return Identity(key="who_too_often")
    if email:
        found = shop.customers_by_email(email[0])
    else:
        found = [
            each for postcode in postcodes for each in shop.customers_by_postcode(postcode) if names_person(said, each.name)
        ]
    only = found[0] if len(found) == 1 else None
    shop.ledger.tried(subjects, now, succeeded=only is not None)
    return Identity(customer=only) if only else Identity(key="who_not_found")
