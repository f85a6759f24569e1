"""Whether a message answers what a tool asked back, and who it proves its writer to be. No chat model has a say in either."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from agent.examples import REPLY
from agent.intake import mask_private
from agent.session import Choice, Doubt, Past
from tools.kit.answers import (
    EMAIL,
    calls_it_off,
    corrects,
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
    wants,
    wants_person,
    wants_same_again,
)
from tools.kit.facts import Asked
from tools.kit.naming import PICKED, named_options, parts_about
from tools.kit.phrases import phrase
from tools.kit.reading import calls_an_order, shown_position
from tools.shop.shop import Shop
from tools.shop.types import Address, Customer, Language, Order

_QUESTION = re.compile(
    r"[?？]\s*$|有没有|[吗么]\s*[。!！?？]*\s*$|^(?:how|what|when|where|why|who|which|can|could|do|does|is|are)\b", re.I
)
_INSTEAD = re.compile(r"\b(?:instead|rather)\b|退到|退回到|改成|改用|换成", re.I)
SHORT_ANSWER = 60
"""Characters up to which a message that names a payment method, or corrects a number, is about nothing else."""
CLEAR = 0.5
"""Share of the evidence from which an answer in the customer's own words picks one of what was offered."""
_STEP = re.compile(r"\b(?:bigger|larger|smaller|size up|size down)\b|[大小][一点]", re.I)


def is_question(said: str) -> bool:
    """Whether the message asks something: by its mark, its first word, or a Chinese particle."""
    return bool(_QUESTION.search(said.strip()))


def answer_to(past: Past, said: str, shop: Shop, customer_id: str | None) -> str | None:
    """The message as an answer to what was asked last, in words that the tool reads; None if it is about something else."""
    asked = past.asked
    if asked is None or not said or _is_another_wish(asked, said):
        return None
    number = said.strip(" .#。")
    if number.isascii() and number.isdigit() and 0 < int(number) <= len(asked.listed or asked.choices):
        if asked.listed:
            return _picked(asked, int(number))
        said = asked.choices[int(number) - 1]
    kept = mask_private(said)
    asks = is_question(said)
    orders = shop.orders_of(customer_id) if customer_id else []
    if asked.slot not in ("who", "order") and (other := read_order(said, orders)):
        known = [order.id for text in asked.heard if (order := read_order(text, orders))]
        if past.quote is not None:
            known.append(past.quote.request.order_id or "")
        if asked.slot == "amend" and asked.tool != "quote_cancellation" and corrects(said):
            return kept
        if known and other.id not in known:
            # A wish of its own: reason and items of this one are not that one's.
            return None
    match asked.slot:
        case "who":
            return kept if EMAIL.search(said) or read_postcodes(said) else None
        case "order":
            if position := shown_position(said, len(asked.listed)):
                return _picked(asked, position)
            named = read_order(said, orders) or calls_an_order(said) or read_reason(said)
            return kept if named or (not asks and _names_item(said, orders, shop)) else None
        case "items":
            if position := shown_position(said, len(asked.listed)):
                return _picked(asked, position)
            chosen = any(
                read_items(said, order, {item.variant_id: item.quantity for item in order.items}, shop) for order in orders
            )
            return kept if (chosen or read_order(said, orders) or read_reason(said)) and not asks else None
        case "reason":
            if read_reason(said):
                return kept
            # Whatever else is told is no fault of the shop's.
            return None if asks or is_yes(said) else f"{kept} (changed my mind)"
        case "opened":
            if read_opened(said) is not None:
                return kept
            return "unopened" if is_yes(said) else "opened" if is_no(said) else None
        case "variant":
            if position := shown_position(said, len(asked.listed)):
                return _picked(asked, position)
            if asks or not (_names_option(said, orders, shop) or wants_same_again(said)):
                return None
            is_named = asked.about is None or any(parts_about(said, order.items, shop) for order in orders)
            # Of several things the one that was asked about is meant.
            return kept if is_named else f"{PICKED}{asked.about} {kept}"
        case "method":
            return kept if names_method(said) else None
        case "address":
            return kept if read_address(said, Address(line1="")) else None
        case "change":
            if asks:
                return None
            return kept if names_method(said) or _names_item(said, orders, shop) or _names_option(said, orders, shop) else None
        case "amend":
            # "Can it go to my gift card instead?" is no question about rules.
            about_rules = asks and not (names_method(said) and _INSTEAD.search(said))
            if about_rules or len(said) > 200 or is_yes(said) or is_no(said):
                return None
            is_reason = read_reason(said) is not None and asked.tool in _WISHES
            if asked.tool == "quote_cancellation":
                # An order is cancelled whole: what names a part of it is another wish.
                return kept if is_reason else None
            amends = is_reason or names_method(said) or read_count(said) is not None or read_address(said, Address(line1=""))
            return kept if amends or _names_item(said, orders, shop) or _names_option(said, orders, shop) else None


def _picked(asked: Asked, position: int) -> str:
    """What was listed at this place, in words that a tool reads: an order by its number, a thing by its id."""
    chosen = asked.listed[position - 1]
    if asked.slot == "variant" and asked.about:
        return f"{PICKED}{asked.about} {PICKED}{chosen}"
    return chosen if asked.slot == "order" else f"{PICKED}{chosen}"


def doubtful_order(said: str, doubtful: Sequence[str], orders: Sequence[Order]) -> str | None:
    """A spoken order number that may have been misheard and is none of the customer's; None where nothing depends on one."""
    own = {"".join(re.findall(r"\d", order.id)) for order in orders}
    number = next((each for each in doubtful if each in said and each not in own), None)
    is_bare = number is not None and "".join(character for character in said if character.isalnum()) == number
    return number if number is not None and (is_bare or calls_an_order(said)) else None


def settled(doubt: Doubt | None, said: str) -> str:
    """The message, or what it stands for as an answer to "I heard 4217, is that right?": with the number confirmed or corrected."""
    if doubt is None:
        return said
    if is_yes(said):
        return doubt.said
    other = re.sub(r"(?<=\d)[ -](?=\d)", "", said)
    numbers = [number for number in re.findall(r"\d{3,}", other) if number != doubt.number]
    return doubt.said.replace(doubt.number, numbers[-1]) if numbers and len(said) < SHORT_ANSWER else said


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
    products = [product for product_id in bought if (product := shop.product(product_id))]
    bare = said.strip(" .。!").lower()
    values = {value.lower() for product in products for variant in product.variants for value in variant.options.values()}
    return bare in values or any(named_options(said, product.variants, shop) for product in products)


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
    if asked.slot == "who" or not named or asked.tool in named:
        return False
    if asked.tool == "quote_order_change":
        return bool(named & {"quote_return", "quote_cancellation"}) and len(said) > SHORT_ANSWER
    # "Refund the difference to my card" is about the money of what was asked.
    return asked.tool in _WISHES and not (names_method(said) and len(said) < SHORT_ANSWER)


_INTRODUCES = re.compile(r"\b(?:my name is|i am|i'm|this is|zip|post ?code|postal code)\b|我叫|姓名|邮编", re.I)


@dataclass(frozen=True)
class Identity:
    """What a message proves about its writer: `customer`, or the phrase that says why nothing."""

    customer: Customer | None = None
    key: str | None = None


def identify(shop: Shop, past: Past, said: str, conversation_id: str, now: datetime) -> Identity | None:
    """Find the account by e-mail, or by name and postcode, where we asked for it or the customer introduces themselves; None if neither.

    Tries are limited for a conversation and for each e-mail address and postcode, across conversations.
    """
    asked = past.asked is not None and past.asked.slot == "who"
    email = EMAIL.search(said)
    postcodes = read_postcodes(said) if (asked or _INTRODUCES.search(said)) and not email else []
    if not email and not postcodes:
        return None
    subjects = [f"conversation:{conversation_id}", *([f"email:{email[0].lower()}"] if email else [])]
    subjects += [f"postcode:{postcode.upper()}" for postcode in postcodes]
    # "I'm looking for a 2000 ml kettle" is no introduction that failed: who did not answer our question is not refused.
    is_answer = asked or email is not None
    if not shop.ledger.may_try(subjects, now):
        return Identity(key="who_too_often") if is_answer else None
    if email:
        found = shop.customers_by_email(email[0])
    else:
        found = [
            each for postcode in postcodes for each in shop.customers_by_postcode(postcode) if names_person(said, each.name)
        ]
    only = found[0] if len(found) == 1 else None
    shop.ledger.tried(subjects, now, succeeded=only is not None)
    if only:
        return Identity(customer=only)
    return Identity(key="who_not_found") if is_answer else None
