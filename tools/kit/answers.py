"""What a customer's answer to a question of ours means: yes, no, which order, which item, why, which money.

Code reads these, because they decide about money. The words are data: prompts/words.yaml.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from tools.kit.naming import PICKED, left_out, options_wanted, parts_about, pieces_about, spelled, told_apart, variants_with
from tools.kit.phrases import prompt_data
from tools.kit.reading import LETTER_SIZES, mentions
from tools.shop.policy import MethodKind, Reason
from tools.shop.quotes import Units
from tools.shop.shop import Shop
from tools.shop.types import Address, Order, OrderItem, PaymentMethod, Product, Variant

_CHINESE = re.compile(r"[\u4e00-\u9fff]")


@cache
def _pattern(*path: str) -> re.Pattern[str]:
    """One pattern over the words that `path` leads to, the longest first."""
    words: Any = prompt_data("words.yaml")
    for name in path:
        words = words[name]
    spelled = [
        re.escape(word) if _CHINESE.search(word) else rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])"
        for word in sorted(map(str, words), key=len, reverse=True)
    ]
    return re.compile("|".join(spelled), re.I)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\u2019", "'")).strip()


def _consists_of(text: str, *names: str) -> bool:
    """Whether nothing but the words of `names` and punctuation is in the text, and at least one word of the first."""
    rest = _plain(text)
    if not _pattern(names[0]).search(rest):
        return False
    for name in names:
        rest = _pattern(name).sub(" ", rest)
    return not re.sub(r"[\s,.!~，。！、…👍🙏😊🙂👌✅]+", "", rest)


def is_yes(text: str) -> bool:
    """Whether the message agrees, and says nothing else: "yes please" does, "yes, but to my card" and "yes?" do not."""
    return _consists_of(text, "agree", "politeness") and not is_no(text)


_PAYS = (
    r"\b(?:i'?ll |i will )?(?:pay|charge|bill|take)(?: me| my card)?(?: for)? (?:it|the difference|the rest|the extra)\b"
    r"|我?(?:补|付|出)差价吧?"
)
_DEEDS = {
    "return": re.compile(r"退(?:货|款)?(?:了)?吧?|\b(?:return|refund) (?:it|them)|\bsend (?:it|them) back", re.I),
    "exchange": re.compile(rf"换(?:货)?(?:了)?吧?|\b(?:exchange|swap) (?:it|them)|{_PAYS}", re.I),
    "item_change": re.compile(_PAYS, re.I),
    "cancellation": re.compile(r"取消(?:了)?吧?|\bcancel (?:it|the order)", re.I),
}


def agrees_to(text: str, kind: str) -> bool:
    """Whether the message agrees to an offer of this kind, which it may name: "yes, send it back", 「好的，退吧」."""
    deed = _DEEDS.get(kind)
    return is_yes(text) or (deed is not None and is_yes(deed.sub(" ", text)))


def is_no(text: str) -> bool:
    """Whether the message declines, and says nothing else."""
    return _consists_of(text, "decline", "politeness")


_NOT_CANCEL = re.compile(r"\b(?:don't|do not|not)\s+(?:want to\s+|wish to\s+)?cancel\b|(?:不|别|先不)(?:要|想|用)?取消", re.I)


def keeps_order(text: str) -> bool:
    """Whether the message says that an order shall not be cancelled (any more)."""
    return bool(_NOT_CANCEL.search(_plain(text)))


def only_asks_for_help(text: str) -> bool:
    """Whether the message asks for help and says nothing of what it is about: "Hi, I have a question about my order"."""
    return _consists_of(re.sub(r"[?？。]", " ", text), "opening", "greetings", "politeness")


def calls_it_off(text: str) -> bool:
    """Whether the message says, and nothing else, that what was begun shall be left: "never mind", 「算了」."""
    return _consists_of(text, "call_off", "politeness")


def wants_person(text: str) -> bool:
    """Whether the text asks for a person."""
    return bool(_pattern("person").search(_plain(text)))


_NOT_WANTED = re.compile(
    r"(?:\b(?:don'?t|do not|not|no)\b(?: want| need)?(?: to)?(?: a| my| the| any)?|(?:不要|不想|不用|别|没说)(?:给我)?)\s*$",
    re.I,
)


def says_wants(text: str, tools: Iterable[str]) -> frozenset[str]:
    """Those of `tools` that the text says it wants, in so many words: "I'd like to return it" does, "about returning it" does not."""
    plain = _plain(text)
    return frozenset(
        tool
        for tool in wants(text, tools)
        if any(_SAYS_WANTS.search(plain[: found.start()]) for found in _pattern("wants", tool).finditer(plain))
    )


_SAYS_WANTS = re.compile(
    r"(?:\bi(?:'d| would)?(?: just| really)? (?:want|need|like|wish) to|我(?:就|只)?(?:想要|需要|想|要))\s*$", re.I
)


def wants_cheaper(text: str) -> bool:
    """Whether the text asks for something cheaper."""
    return bool(_pattern("cheaper").search(_plain(text)))


def wants_to_go_with(text: str) -> bool:
    """Whether the text asks for what goes with a product, not for one like it."""
    return bool(_pattern("goes_with").search(_plain(text)))


def wants_like_it(text: str) -> bool:
    """Whether the text asks for what is like a product."""
    return bool(_pattern("like_it").search(_plain(text)))


def wants_for_me(text: str) -> bool:
    """Whether the text asks for anything that suits the customer, whatever product that is."""
    return bool(_pattern("for_me").search(_plain(text)))


def wants(text: str, tools: Iterable[str]) -> frozenset[str]:
    """Those of `tools` whose own words the text uses: "send it back" is quote_return's; "I don't want my money back" is not."""
    plain = _plain(text)
    return frozenset(
        tool
        for tool in tools
        if tool in prompt_data("words.yaml")["wants"]
        and any(not _NOT_WANTED.search(plain[: found.start()]) for found in _pattern("wants", tool).finditer(plain))
    )


def names_no_thing(text: str) -> bool:
    """Whether the text leaves open what thing it wants: "something for my dog", 「送长辈的」."""
    return bool(_pattern("no_thing").search(_plain(text)))


def wants_popular(text: str) -> bool:
    """Whether the text asks for what many buy."""
    return bool(_pattern("popular").search(_plain(text)))


def asks_more(sentence: str) -> bool:
    """Whether a sentence that follows a wish puts another one: as a question, or with "also", 「顺便」."""
    return sentence.rstrip().endswith(("?", "？", "吗", "吗。")) or bool(_pattern("also").search(_plain(sentence)[:40]))


def asks_total(text: str) -> bool:
    """Whether the text asks what all that was done comes to."""
    return bool(_pattern("totals").search(_plain(text)))


def asks_price(text: str) -> bool:
    """Whether the text asks what something costs or has cost."""
    return bool(_pattern("prices").search(_plain(text)))


def asks_balance(text: str) -> bool:
    """Whether the text asks what is left on a gift card."""
    plain = _plain(text)
    asks = re.search(r"\b(?:what|how|check|tell|know|show|see)\b|\?|多少|查|吗|？", plain, re.I)
    return bool(asks and _pattern("balance").search(plain) and _pattern("methods", "gift_card").search(plain))


def would_rather_have(text: str) -> bool:
    """Whether the text says that the customer has something and would rather have another: "I got the red one, but I'd prefer blue"."""
    plain = _plain(text)
    return bool(_pattern("had").search(plain) and _pattern("rather").search(plain))


def wants_same_again(text: str) -> bool:
    """Whether the text asks for another piece of the very same kind."""
    return bool(_pattern("same_again").search(_plain(text)))


def is_angry(text: str) -> bool:
    """Whether the customer has had enough."""
    return bool(_pattern("angry").search(_plain(text)))


def corrects(text: str) -> bool:
    """Whether the customer says that the answer before missed what they wanted: "no, I meant …", 「不是，我是说…」."""
    plain = _plain(re.sub(r"[,;.!，；。！、…]+", " ", text))
    return bool(_pattern("correction").search(_pattern("no_correction").sub(" ", plain)))


_ORDER_OF_READING: tuple[Reason, ...] = ("wrong_item", "faulty", "does_not_fit", "by_mistake", "changed_mind")


def read_reason(text: str) -> Reason | None:
    """Why something goes back; the shop's fault is heard first."""
    plain = _plain(text)
    return next((reason for reason in _ORDER_OF_READING if _pattern("reasons", reason).search(plain)), None)


def read_opened(text: str) -> bool | None:
    """Whether the pack was opened."""
    plain = _plain(text)
    if _pattern("unopened").search(plain):
        return False
    return True if _pattern("opened").search(plain) else None


def read_order(text: str, orders: Sequence[Order]) -> Order | None:
    """The order that is named by its number."""
    by_id = {order.id.lstrip("#").lower(): order for order in orders}
    for word in re.findall(r"[A-Za-z0-9]+", text.lower()):
        if word in by_id:
            return by_id[word]
    return None


_PIECES = {
    "one": 1,
    "a": 1,
    "single": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "一": 1,
    "两": 2,
    "二": 2,
    "三": 3,
    "四": 4,
    "五": 5,
}
_COUNTED = re.compile(
    r"\b(one|single|two|three|four|five|\d{1,2})\s+(?:of|x|pieces?|pairs?)\b|"
    r"\b(?:just|only)\s+(one|two|three|four|five|\d{1,2})\b|"
    r"(?:只|就)?(?:退|换|取消)?([一两二三四五]|\d{1,2})\s*[件个双条只套盒包瓶](?!码)",
    re.I,
)


def read_items(text: str, order: Order, kept: Mapping[str, int], shop: Shop) -> tuple[Units, ...]:
    """The items of an order that the customer means, with how many pieces; () if that is not clear.

    An item is meant by its title, by what it is ("the jacket"), by its colour or size where that tells it from the others, by
    its variant's id, or with "everything". `kept` are the pieces that can still be meant.
    """
    items = [item for item in order.items if kept.get(item.variant_id, 0) > 0]
    if not items:
        return ()
    without = left_out(text, items, shop)
    parts = parts_about(text, items, shop)
    everything = _pattern("everything").search(_plain(text))
    # "Both of the lamps" are the lamps; "the whole order with the lamp" is the whole order.
    if everything and (not parts or not everything[0].lower().startswith(("both", "两"))):
        return _all_of([item for item in items if item.variant_id not in without], kept)
    words = text.split()
    if by_id := [item for item in items if item.variant_id in words or PICKED + item.variant_id in words]:
        return _all_of(by_id, kept)
    if parts:
        meant = [item for item in items if item.variant_id in parts]
        same = Counter(item.product_id for item in {item.variant_id: item for item in meant}.values())
        if any(count > 1 for count in same.values()) and not _speaks_of_several(text):
            # The same product twice: colour or size must tell which.
            told = told_apart(text, items, shop)
            meant = [item for item in meant if item.variant_id in told]
        pieces = pieces_about(text, items, shop)
        chosen = (so_many((each,), pieces.get(each.variant_id)) for each in _all_of(meant, kept))
        return so_many(tuple(units for each in chosen for units in each), read_count(text))
    scores = {item.variant_id: likeness(text, item, shop) for item in items if item.variant_id not in without}
    best = max(scores.values(), default=0.0)
    if best <= 0:
        return ()
    meant = [item for item in items if scores.get(item.variant_id, 0.0) >= max(best * 0.75, 1.0)]
    if not meant:
        meant = [item for item in items if scores.get(item.variant_id) == best]
        if len(meant) > 1:
            return ()
    if len(meant) > 1 and len({item.product_id for item in meant}) < len(meant):
        options = [item for item in meant if _names_options(text, item, shop)]
        meant = options or meant
        if not options and len({item.product_id for item in meant}) == 1:
            return ()
    return so_many(_all_of(meant, kept), read_count(text))


def _speaks_of_several(text: str) -> bool:
    return bool(_pattern("several").search(_plain(text)))


def replaces_items(text: str) -> bool:
    """Whether the things that a later message names take the place of those named before: "no, only the lamp"; "also the lamp" does not."""
    plain = _plain(text)
    return bool(_pattern("replaces").search(plain)) and not _pattern("adds").search(plain)


def likeness(text: str, item: OrderItem, shop: Shop) -> float:
    """How clearly a text names an item: 3 for its title, about 1 for the word for what it is, less for parts of words."""
    product = shop.product(item.product_id)
    titles = {*item.title.all(), *(product.title.all() if product else ())}
    if any(mentions(text, title) for title in titles):
        return 3.0
    score = 0.0
    lowered = text.lower()
    for title in titles:
        if _CHINESE.search(title):
            score = max(score, _shared_characters(lowered, title))
        else:
            # "Cotton Briefs, 3-Pack" are briefs.
            words = [word for word in re.findall(r"[a-z0-9']+", re.split(r"[,(]", title.lower())[0]) if len(word) > 2]
            said = set(re.findall(r"[a-z0-9']+", lowered))
            shared = [
                word
                for word in words
                if said & {word, f"{word}s", f"{word}es", word.removesuffix("s"), word.removesuffix("es")}
            ]
            # The last word of an English title says what the thing is.
            score = max(score, 0.5 * len(shared) + (1.0 if words and words[-1] in shared else 0.0))
    if product:
        kinds = [word for title in product.category.all() for word in re.split(r"[&,/、与和\s]+", title) if len(word) > 1]
        known = [*kinds, *(word for word in product.keywords if 1 < len(word) <= 20)]
        if any(mentions(text, word.removesuffix("s")) or mentions(text, word) for word in known):
            score = max(score, 1.0)
    return score + (0.4 if score and _names_options(text, item, shop) else 0.0)


def _shared_characters(text: str, title: str) -> float:
    """How much of a Chinese title's end, which says what the thing is, stands in the text: 1 for its last two characters."""
    ending = 0
    for size in range(2, min(len(title), 8) + 1):
        if title[-size:] in text:
            ending = size
    pairs = {title[i : i + 2] for i in range(len(title) - 1)}
    shared = sum(pair in text for pair in pairs)
    return (0.8 * ending if ending else 0.0) + (0.3 * shared if not ending else 0.1 * shared)


def _names_options(text: str, item: OrderItem, shop: Shop) -> bool:
    words = [word for value in item.options.values() for word in spelled(shop, value)]
    return any(mentions(text, word) for word in words)


def _all_of(items: Sequence[OrderItem], kept: Mapping[str, int]) -> tuple[Units, ...]:
    return tuple(
        Units(variant_id=variant_id, quantity=kept[variant_id]) for variant_id in dict.fromkeys(i.variant_id for i in items)
    )


def read_count(text: str) -> int | None:
    """How many pieces a text speaks of: "just one of them", 「只退一件」."""
    found = _COUNTED.search(text)
    said = next((group for group in found.groups() if group), None) if found else None
    if said is None:
        return None
    return int(said) if said.isdigit() else _PIECES[said.lower()]


def so_many(units: tuple[Units, ...], pieces: int | None) -> tuple[Units, ...]:
    """As many pieces as were said, where that is one item of at least so many; else all of them."""
    if pieces and len(units) == 1 and pieces < units[0].quantity:
        return (units[0].model_copy(update={"quantity": pieces}),)
    return units


def read_variant(text: str, item: OrderItem, shop: Shop) -> tuple[Variant, ...]:
    """The variants of the item's product that a text asks for, like "the blue one in M"; () if it names none.

    What is not said stays as it was: "in M" is the same colour in M.
    """
    product = shop.product(item.product_id)
    if product is None:
        return ()
    words = text.split()
    if by_id := tuple(each for each in product.variants if each.id in words or PICKED + each.id in words):
        return by_id
    named = read_options(text, item, shop)
    if not named:
        return (_own_variant(product, item) if wants_same_again(text) else ()) or ()
    return variants_for(named, text, item, shop)


def read_options(text: str, item: OrderItem, shop: Shop) -> dict[str, str]:
    """The options that a text asks for in the item's place: {"color": "blue"}; {} if it names none but the item's own."""
    product = shop.product(item.product_id)
    if product is None:
        return {}
    named = options_wanted(text, item, product, shop)
    own = item.options.get("size")
    if own is not None and named.get("size", own) == own and (_STEP_UP.search(text) or _STEP_DOWN.search(text)):
        sizes = {variant.options["size"] for variant in product.variants if "size" in variant.options}
        if beside := _neighbour(own, sizes, up=bool(_STEP_UP.search(text))):
            named["size"] = beside
    return named if any(item.options.get(name) != value for name, value in named.items()) else {}


def variants_for(named: Mapping[str, str], text: str, item: OrderItem, shop: Shop) -> tuple[Variant, ...]:
    """The variants with these options; what is not said stays as it was, where there is such a variant. The cheapest, if asked for."""
    product = shop.product(item.product_id)
    if product is None:
        return ()
    found = variants_with(product, {**item.options, **named}) or tuple(
        each for each in variants_with(product, named) if each.id != item.variant_id
    )
    priced = [each for each in found if each.in_stock and each.price_cents is not None]
    if len(found) > 1 and priced and _pattern("cheaper").search(_plain(text)):
        return (min(priced, key=lambda each: each.price_cents or 0),)
    return found


def _own_variant(product: Product, item: OrderItem) -> tuple[Variant, ...]:
    return tuple(each for each in product.variants if each.id == item.variant_id)


_STEP_UP = re.compile(r"\b(?:a |one |the next )?size (?:up|bigger|larger)|\bbigger|\blarger|大一[码号]|大一点|大点", re.I)
_STEP_DOWN = re.compile(r"\b(?:a |one |the next )?size (?:down|smaller)|\bsmaller|小一[码号]|小一点|小点", re.I)


def _neighbour(own: str, values: Iterable[str], *, up: bool) -> str | None:
    def rank(value: str) -> float | None:
        if value.upper() in LETTER_SIZES:
            return LETTER_SIZES.index(value.upper())
        number = re.fullmatch(r"\d+(?:\.\d+)?", value)
        return float(value) if number else None

    mine = rank(own)
    if mine is None:
        return None
    ranked = [(other, value) for value in values if (other := rank(value)) is not None]
    beyond = [(other, value) for other, value in ranked if (other > mine if up else other < mine)]
    return (min(beyond)[1] if up else max(beyond)[1]) if beyond else None


_METHODS: tuple[MethodKind, ...] = ("gift_card", "paypal", "wechat_pay", "alipay", "card")
"""The order in which they are looked for: a gift card is a card too."""


def read_method(text: str, methods: Sequence[PaymentMethod], used: Sequence[str] = ()) -> PaymentMethod | None:
    """The payment method that is meant: by its kind, its last four digits, or as the one that was `used`."""
    plain = _plain(text)
    for method in methods:
        if method.last_four and method.last_four in re.findall(r"\d{4}", plain):
            return method
    for kind in _METHODS:
        if _pattern("methods", kind).search(plain):
            of_kind = [method for method in methods if method.kind == kind]
            branded = [method for method in of_kind if method.brand and mentions(plain, method.brand)]
            chosen = branded or of_kind
            return next((method for method in chosen if method.id in used), chosen[0]) if chosen else None
    if used and _pattern("original").search(plain):
        return next((method for method in methods if method.id == used[0]), None)
    return None


def names_method(text: str) -> bool:
    """Whether a text names some kind of payment, had or not."""
    plain = _plain(text)
    return any(_pattern("methods", kind).search(plain) for kind in _METHODS)


EMAIL = re.compile(r"[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.IGNORECASE)
_POSTCODE = re.compile(
    # No \b: between 「邮编」 and a digit there is none.
    r"(?<![A-Za-z0-9])(?:[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}|[A-Z]\d[A-Z]\s?\d[A-Z]\d|\d{3}-\d{4}|\d{4,6}(?:-\d{4})?)(?![A-Za-z0-9])",
    re.I,
)


def read_postcodes(text: str) -> list[str]:
    """Everything in a text that may be a postcode, and is no order's number, in its order."""
    return list(dict.fromkeys(found[0] for found in _POSTCODE.finditer(_ORDER_NUMBER.sub(" ", text))))


def names_person(text: str, name: str) -> bool:
    """Whether all parts of a person's name stand in the text, in any order and case."""
    if _CHINESE.search(name):
        return name.replace(" ", "") in text.replace(" ", "")
    said = Counter(re.findall(r"[^\W\d_]+", text.lower()))
    return not Counter(re.findall(r"[^\W\d_]+", name.lower())) - said


def read_address(text: str, current: Address) -> Address | None:
    """A new address in a message; parts that are not said stay as in `current`. None where no street and number is found.

    English: "12 Oak Street, Apt 4, Portland, ME 04101"; Chinese: 「上海市浦东新区张杨路 500 号 8 号楼」.
    """
    # An order's number is no house's.
    body = _ADDRESS_LEAD.sub("", _ORDER_NUMBER.sub(" ", _plain(text))).strip(" .。")
    if _CHINESE.search(body):
        return _chinese_address(body, current)
    body = _AFTER_ADDRESS.sub("", body).strip(" ,.")
    # "Order 1042 should go elsewhere: 12 Oak Street, …"
    if re.search(r"[:?!]", body.split(",")[0]) and (street := _STREET.search(body)):
        body = body[street.start() :]
    parts = [part.strip() for part in body.split(",") if part.strip()]
    if not parts or not re.search(r"\d", parts[0]) or not re.search(r"[A-Za-z]{3}", parts[0]):
        return None
    values: dict[str, str] = {"line1": parts[0], "line2": ""}
    rest = parts[1:]
    if rest and re.match(r"(?:apt|apartment|suite|unit|flat|floor|fl|room|#)\b|#", rest[0], re.I):
        values["line2"] = rest.pop(0)
    if rest and not re.search(r"\d", rest[-1]) and len(rest) > 1 and len(rest[-1]) > 2:
        values["country"] = rest.pop()
    if rest:
        found = re.search(
            r"(?:^|\s)(\d{4,6}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}|[A-Z]\d[A-Z]\s?\d[A-Z]\d)$", rest[-1], re.I
        )
        if found:
            values["postcode"] = found[1]
            before = rest.pop()[: found.start()].strip()
            if rest or re.fullmatch(r"[A-Z]{2,3}", before):
                values |= {"region": before} if before else {}
            elif town := re.fullmatch(r"(.+?)(?:\s+([A-Z]{2,3}))?", before):
                # "Leeds LS1 4AB", "Portland ME 04101": the town stands before the postcode.
                values |= {"city": town[1], **({"region": town[2]} if town[2] else {})}
        elif town := re.fullmatch(r"(\d{4,6})\s+(\D+)", rest[-1]):
            # "10969 Berlin"
            rest.pop()
            values |= {"postcode": town[1], "city": town[2]}
    if rest:
        values["city"] = rest.pop(0)
    if rest:
        values["region"] = rest[0]
    if "city" in values and values["city"].lower() != current.city.lower():
        if "postcode" not in values:
            # A new town with the old postcode would go astray.
            return None
        values = {"region": "", **values}
    return current.model_copy(update=values)


_STREET = re.compile(r"(?<![#\w-])\d{1,6}[A-Za-z]?\s+[A-Za-z][\w.' -]*,")
_AFTER_ADDRESS = re.compile(
    r"(?:,?\s*(?:please|instead|thanks|thank you))+[.!]*$"
    r"|(?<=[\w)])[.!?]\s+(?:I|I'm|I've|My|We|Thanks|Thank|Please|Sorry|Can|Could|And|It)\b.*$",
    re.I,
)
_ORDER_NUMBER = re.compile(r"\border\s*(?:number|no\.?)?\s*#?\s*w?\d+|订单号?[:：#]?\s*\d+", re.I)
_ADDRESS_LEAD = re.compile(
    r"^.*?(?:\b(?:address (?:is|to|should be)|(?:send|ship|deliver)(?: it| them| that)?(?: instead)? to|change it to|to this address|"
    r"it's|it is|to)\b:?|(?:改成|改为|改到|换成|换到|寄到|送到|地址是|地址为|新地址|收货地址)[：:是为]?"
    r"(?:改成|改为|改到|换成|换到|是|为)?[：:]?)\s*(?=\S*\s?\d|[\u4e00-\u9fff])",
    re.I,
)


def _chinese_address(body: str, current: Address) -> Address | None:
    if not re.search(r"(?:路|街|巷|道|弄|村|小区|大厦|号)", body) or not re.search(r"\d|[一二三四五六七八九十]", body):
        return None
    values: dict[str, str] = {"line2": ""}
    rest = body.replace(" ", "")
    if found := re.match(r"(中国)?([^省市区县]{2,8}?(?:省|自治区))", rest):
        values["region"] = found[2]
        rest = rest[found.end() :]
    if found := re.match(r"([^省市区县路街]{2,8}?市)", rest):
        values["city"] = found[1]
        rest = rest[found.end() :]
    if found := re.search(r"[，,]?(?:邮编|邮政编码)?[：:]?(\d{6})$", rest):
        values["postcode"] = found[1]
        rest = rest[: found.start()]
    values["line1"] = rest.strip("，,")
    if values.get("city", current.city) != current.city:
        # Another town: region and postcode of the old one would lead astray.
        values = {"region": "", "postcode": "", **values}
    return current.model_copy(update=values) if values["line1"] else None
