"""What a customer's words say literally: which one of those shown, prices, option values.

Code reads these because a wrong digit costs money; what the customer *wants* is for the chat model to read.
"""

import re
from collections.abc import Iterable

from tools.shop.shop import Shop
from tools.shop.types import Product, ShopInfo, Variant

_ORDINALS = {
    "first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "fifth": 5, "5th": 5,
    "一": 1, "二": 2, "三": 3, "四": 4, "五": 5, "1": 1, "2": 2, "3": 3, "4": 4, "5": 5,
}  # fmt: skip
_MEASURE = "[个件款双条种把套瓶只顶样号]"
_ORDINAL_EN = re.compile(
    r"\b(first|second|third|fourth|fifth|1st|2nd|3rd|4th|5th)\b(?!\s+(?:time|order|class|floor|day|week))"
    r"|\b(?:number|option|no\.?|#)\s?([1-5])\b",
    re.I,
)
_ORDINAL_ZH = re.compile(f"第([一二三四五1-5]){_MEASURE}?")
_LAST = re.compile(rf"\blast (?:one|item|option)\b|最后(?:那|一)?{_MEASURE}", re.I)
_POINTING = re.compile(
    rf"\b(?:it|this|that|this one|that one|the one|those|them|these|same one)\b|[这那]{_MEASURE}|[这那]一?{_MEASURE}|它|同款|刚才|上面",
    re.I,
)


def shown_position(text: str, count: int) -> int | None:
    """Which of `count` things just shown is meant, from 1: "the second one" is 2, 「最后一款」 is `count`.

    None if the text names no position, or one that was not shown.
    """
    if _LAST.search(text):
        return count or None
    found = _ORDINAL_EN.search(text) or _ORDINAL_ZH.search(text)
    if not found:
        return None
    position = _ORDINALS[next(group for group in found.groups() if group).lower()]
    return position if position <= count else None


_CALLED_AN_ORDER = re.compile(
    r"(?:\b(?:orde?r|oder)|订单|单号|#)\s*(?:no\.?|number|ref(?:erence)?|编?号|是)?\s*[:：#]?\s*[A-Za-z]{0,3}-?\d{3,}"
    # Without the word: only in forms that nothing else has in a shop; a mobile number of eleven digits and a Japanese postcode are none.
    r"|(?<![\w$€£¥.-])(?!1[3-9]\d{9}(?!\d)|\d{3}-\d{4}(?!\d))(?:\d{1,4}-\d{4,8}|[A-Za-z]{1,2}-\d{4,8}|\d{7,14})(?![\w-]|\.\d)",
    re.I,
)


def calls_an_order(text: str) -> bool:
    """Whether the text names something as an order's number, be there such an order or not."""
    return bool(_CALLED_AN_ORDER.search(text))


def points_back(text: str) -> bool:
    """Whether the text leans on something mentioned before: "is it warm?", 「那这个呢」."""
    return bool(_POINTING.search(text))


_DIGITS = {"零": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10_000}
_NUMBER = r"((?:\d[\d,]*(?:\.\d{1,2})?)|[一二两三四五六七八九十百千万零]{1,8})"
_UNIT_EN = r"(?:\s?(?:usd|dollars?|bucks|euros?|quid|pounds?|yuan|rmb))"
_UNIT = r"(?:\s?(?:usd|dollars?|bucks|euros?|quid|pounds?|yuan|rmb|元|块钱|块|刀|蚊|美元|美金))?"
_UNIT_ZH = r"(?:\s?(?:usd|rmb|元|块钱|块|刀|蚊|美元|美金))"
_HUNDREDS = r"([1-9]\d{2,4}|[一二两三四五六七八九]百[一二三四五六七八九十]{0,3})"
_NO_MEASURE = r"(?!\d|\s*(?:cm|mm|ml|mah|kg|g|w|l|k|厘米|公分|毫米|毫升|瓦|斤|公斤|克|码|度|升|寸|支|片|个|张|人|岁|的?身高))"


def chinese_number(text: str) -> int | None:
    """「三百五」 is 350, 「两百」 200, 「一百二十」 120; None for what is no number."""
    total = 0
    digit: int | None = None
    unit = 0
    for character in text:
        if character in _UNITS:
            unit = _UNITS[character]
            total = (total + (digit or 0)) * unit if unit == 10_000 else total + (1 if digit is None else digit) * unit
            digit = None
        elif character == "零":
            unit, digit = 0, None
        elif character in _DIGITS:
            digit = _DIGITS[character]
        else:
            return None
    if digit is not None:
        # 「三百五」 means 350: a bare digit after a unit counts in the next smaller unit.
        total += digit * (unit // 10 if unit > 10 else 1)
    return total if text else None


def _cents(number: str) -> int | None:
    if number[0].isdigit():
        whole, _, fraction = number.replace(",", "").partition(".")
        return int(whole) * 100 + int(fraction.ljust(2, "0") or 0)
    value = chinese_number(number)
    return value * 100 if value is not None else None


_BETWEEN = re.compile(
    rf"(?:between|from)\s*[$€£¥]?\s?{_NUMBER}{_UNIT}\s*(?:and|to|-)\s*[$€£¥]?\s?{_NUMBER}"
    rf"|[$€£¥]\s?{_NUMBER}\s*(?:-|to|–)\s*[$€£¥]?\s?{_NUMBER}"
    rf"|{_NUMBER}\s*(?:-|to|–)\s*{_NUMBER}\s*{_UNIT_EN}"
    rf"|{_NUMBER}\s*{_UNIT}\s*(?:到|至|-|~|—)\s*{_NUMBER}\s*{_UNIT_ZH}"
    rf"|(?<![高长宽重量率\d]){_HUNDREDS}\s*(?:到|至)\s*{_HUNDREDS}{_NO_MEASURE}",
    re.I,
)
_AT_MOST = re.compile(
    rf"(?:under|below|less than|up to|at most|max(?:imum)?(?: of)?|cheaper than|no more than|not more than|within|tops|budget(?: of| is)?)"
    rf"\s*(?:about\s*)?[$€£¥]?\s?{_NUMBER}(?![\d.]*\d|\s*(?:days?|weeks?|hours?|months?|cm|kg|ml|l\b|%))"
    rf"|(?:(?:不要?|别|唔好|莫|勿)超过?|不高于|低于|少于|不到|预算)\s*[$€£¥]?{_NUMBER}"
    rf"|[$€£¥]?{_NUMBER}{_UNIT_ZH}?\s*(?:以下|以内|之内|内的|封顶|往下)"
    rf"|(?:[$€£¥]\s?{_NUMBER}|{_NUMBER}{_UNIT_EN})\s*(?:or less|max|tops|or under)",
    re.I,
)
_AT_LEAST = re.compile(
    rf"(?:over|above|more than|at least|starting at|minimum(?: of)?)\s*[$€£¥]\s?{_NUMBER}"
    rf"|(?:超过|高于|不低于|至少)\s*[$€£¥]?{_NUMBER}{_UNIT_ZH}"
    rf"|[$€£¥]?{_NUMBER}{_UNIT_ZH}\s*(?:以上|起步)",
    re.I,
)
_ABOUT = re.compile(
    rf"(?:around|about|roughly)\s*[$€£¥]\s?{_NUMBER}|{_NUMBER}{_UNIT_ZH}\s*(?:左右|上下)|差不多\s*{_NUMBER}{_UNIT_ZH}", re.I
)


def price_limits(text: str) -> tuple[int | None, int | None]:
    """The price range a text asks for, in minor units of two decimals: "under $80" is (None, 8000), 「两百到三百元」 (20000, 30000).

    "About" means a fifth either way. (None, None) if the text names no price.
    """
    if found := _BETWEEN.search(text):
        low, high = (_cents(group) for group in found.groups() if group)
        return (low, high) if low is None or high is None or low <= high else (high, low)
    if found := _ABOUT.search(text):
        middle = _cents(next(group for group in found.groups() if group))
        return (None, None) if middle is None else (middle * 8 // 10, middle * 12 // 10)
    least = _AT_LEAST.search(text)
    # 「不超过」 holds 「超过」: an upper limit wins over the lower one read inside it.
    most = _AT_MOST.search(text)
    if most and least and least.start() <= most.end() and most.start() <= least.end():
        least = None
    low = _cents(next(group for group in least.groups() if group)) if least else None
    high = _cents(next(group for group in most.groups() if group)) if most else None
    return low, high


def without_prices(text: str) -> str:
    """The text without the price range that it asks for."""
    for pattern in (_BETWEEN, _ABOUT, _AT_MOST, _AT_LEAST):
        text = pattern.sub(" ", text)
    return text


LETTER_SIZES = ("XXS", "XS", "S", "M", "L", "XL", "XXL", "XXXL")
"""From the smallest to the largest."""
_LETTER_SIZE = {*(size.lower() for size in LETTER_SIZES), "2xl", "3xl"}


def mentions(text: str, word: str) -> bool:
    """Whether `word` stands in the text as a word of its own: "red" not in "bored", "M" only as a size, 「蓝色」 anywhere."""
    lowered = word.lower()
    if not lowered.isascii():
        return lowered in text.lower() or (len(lowered) == 2 and lowered.endswith("色") and f"{lowered[0]}的" in text)
    if lowered not in text.lower():
        # Most words asked for are not there, and a pattern for each of them takes a hundred times as long to tell.
        return False
    if lowered in _LETTER_SIZE and len(lowered) <= 2:
        # "i'm" and "it's" are full of m and s: a letter is a size in capitals, or beside the word that says so.
        letter = re.escape(lowered)
        return bool(
            re.search(rf"(?<![A-Za-z0-9'’&.-]){letter.upper()}(?![A-Za-z0-9'’&])", text)
            or re.search(rf"\bsizes?\s+{letter}\b|\bin an? {letter}\b(?!\s*\w)|(?<![a-z0-9]){letter}\s?[码号]", text, re.I)
        )
    if lowered.isdigit():
        # A bare number is a size only where the text speaks of sizes or stock, never inside a price.
        return bool(
            re.search(rf"\bsize\s?(?:eu|us|uk)?\s*{lowered}\b|\b(?:eu|us|uk)\s*{lowered}\b|\b(?:in|a)\s+(?:an?\s+)?{lowered}\b(?![.,]?\d|\s*%)"
                      rf"|(?<!\d){lowered}\s?[码号]", text, re.I)
        )  # fmt: skip
    return bool(re.search(rf"(?<![a-z0-9]){re.escape(lowered)}(?:e?s)?(?![a-z0-9])", text.lower()))


def named_values(text: str, values: Iterable[str], info: ShopInfo) -> frozenset[str]:
    """Those option values that the text names, in either language: "navy or 白色" with {"navy", "white"} names both.

    Where none is named whole, values that contain a named word count ("blue" means "light blue" too).
    """
    words = {value: {value, *(info.words[value.lower()].all() if value.lower() in info.words else ())} for value in values}
    whole = {value for value, names in words.items() if any(mentions(text, name) for name in names)}
    if whole:
        return frozenset(whole)
    return frozenset(
        value
        for value, names in words.items()
        if any(
            part.isalpha() and len(part) > 2 and mentions(text, part)
            for name in names
            for part in name.split()
            if part.isascii()
        )
        and len(value.split()) > 1
    )


def asked_options(product: Product, text: str, shop: Shop) -> dict[str, frozenset[str]]:
    """The option values that the text names, by option: "in blue, size M" is {"color": {"blue"}, "size": {"M"}}.

    Colours and sizes count that any product of the shop has, so that one this product does not come in is noticed; of other
    options ("material", "capacity") only the product's own values, which mean something else elsewhere.
    """
    asked = {}
    for name in {option for variant in product.variants for option in variant.options}:
        own = {variant.options[name] for variant in product.variants if name in variant.options}
        known = own | shop.option_values(name) if name in ("color", "size") else own
        if named := named_values(text, known - _NO_VALUES, shop.info):
            # "blue" is both a colour of other products and a part of this one's "light blue": then this one's is meant.
            asked[name] = (named & own) or named_values(text, own, shop.info) or named
    return asked


_NO_VALUES = {"yes", "no", "none", "true", "false"}


def matching_variants(product: Product, text: str, shop: Shop) -> tuple[Variant, ...]:
    """The variants that have every option value the text names; all of them if it names none; () if no variant has all."""
    asked = asked_options(product, text, shop)
    return tuple(
        variant for variant in product.variants if all(variant.options.get(name) in values for name, values in asked.items())
    )
