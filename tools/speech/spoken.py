"""Written replies as a person reads them aloud: prices, order numbers, dates, e-mails and sizes in words, without marks of layout."""

import re
from collections.abc import Callable, Iterator

from tools.shop.types import Language

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_HAN = "零一二三四五六七八九"
_ONE_BY_ONE = "零幺二三四五六七八九"
"""On the telephone 1 is said 幺, which nobody takes for 7."""

_CURRENCIES: dict[str, tuple[tuple[str, str], tuple[str, str], str, str]] = {
    "$": (("dollar", "dollars"), ("cent", "cents"), "美元", "美分"),
    "€": (("euro", "euros"), ("cent", "cents"), "欧元", "欧分"),
    "£": (("pound", "pounds"), ("penny", "pence"), "英镑", "便士"),
    "¥": (("yuan", "yuan"), ("fen", "fen"), "元", "分"),
}
_SIZES: dict[Language, dict[str, str]] = {
    "en": {"XS": "extra small", "XL": "extra large", "XXL": "double extra large", "XXXL": "triple extra large"},
    "zh": {"XS": "加小号", "XL": "加大号", "XXL": "双加大号", "XXXL": "三加大号", "S": "小号", "M": "中号", "L": "大号"},
}

_LAYOUT = re.compile(r"\*\*|__|`|^#{1,6}\s+|^\s*[-*•]\s+|\[(?=[^\]]+\]\()|\]\([^)]*\)", re.M)
_ADDRESS = re.compile(r"[A-Za-z0-9][\w.+-]*@[\w-]+(?:\.[\w-]+)+", re.ASCII)
_LINK = re.compile(r"https?://\S+")
_PRICE = re.compile(r"(?P<sign>[$€£¥])(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<cents>\d\d))?(?!\d)")
# A number that names a thing is read digit by digit: after a word that says so, with letters in it, or too long for a count.
_NAMED = re.compile(
    r"(?P<word>\b(?:orders?|numbers?|tracking|reference|code|ending in)\s+|(?:订单号?|单号|编号|运单号|尾号|验证码)\s*(?:为|是)?\s*)"
    r"#?(?P<after>[A-Za-z]{0,3}-?\d[\dA-Za-z-]*)|#(?P<hash>[A-Za-z]{0,3}-?\d[\dA-Za-z-]*)"
    r"|(?<![\w.,$€£¥-])(?P<alone>[A-Za-z]{1,3}-?\d{4,}|\d{7,})(?![\w-])",
    re.I | re.ASCII,
)
_SIZE = re.compile(r"(?<![A-Za-z0-9'’])(?:X{1,3}L|XS|[SML](?=[码号]))(?![A-Za-z0-9'’])", re.ASCII)
_RANGE = re.compile(r"(?<=\d)\s*[-–—~]\s*(?=\d)")
_ISO_DATE = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")
_MONTHS = "January February March April May June July August September October November December".split()
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)|(?<=[。！？；])|\n+")


def spoken(text: str, language: Language) -> str:
    """The text as it is read aloud: "$19.99" is "nineteen dollars and ninety-nine cents", "order 1042" "order one, zero, four, two"."""
    text = _LINK.sub("", _LAYOUT.sub("", text))
    text = _ADDRESS.sub(lambda found: _said_address(found[0], language), text)
    text = _ISO_DATE.sub(lambda found: _date(found, language), text)
    text = _PRICE.sub(lambda found: _price(found, language), text)
    text = _NAMED.sub(lambda found: _named(found, language), text)
    text = _SIZE.sub(lambda found: _SIZES[language].get(found[0].upper(), found[0]), text)
    for pattern, written in _FORMS[language]:
        text = pattern.sub(written, text)
    return re.sub(r"[ \t]{2,}", " ", text).strip()


def sentences(pieces: Iterator[str]) -> Iterator[str]:
    """The sentences of a text that comes in pieces, each as soon as it is complete."""
    waiting = ""
    for piece in pieces:
        waiting += piece
        *complete, waiting = _SENTENCE_END.split(waiting)
        yield from (sentence.strip() for sentence in complete if sentence.strip())
    if waiting.strip():
        yield waiting.strip()


def english_number(value: int) -> str:
    """A count in words, up to millions: 1250 is "one thousand two hundred and fifty"."""
    if value < 20:
        return _ONES[value]
    if value < 100:
        return _TENS[value // 10] + (f"-{_ONES[value % 10]}" if value % 10 else "")
    if value < 1000:
        rest = f" and {english_number(value % 100)}" if value % 100 else ""
        return f"{_ONES[value // 100]} hundred{rest}"
    name, size = ("million", 1_000_000) if value >= 1_000_000 else ("thousand", 1000)
    below = value % size
    joint = " and " if 0 < below < 100 else " "
    return f"{english_number(value // size)} {name}" + (f"{joint}{english_number(below)}" if below else "")


def chinese_numeral(value: int) -> str:
    """A count in Chinese numerals, up to 亿: 250 is 二百五十, 12 十二, 2003 二千零三."""
    if value < 10:
        return _HAN[value]
    if value < 20:
        return "十" + (_HAN[value % 10] if value % 10 else "")
    for size, unit in ((10**8, "亿"), (10**4, "万"), (1000, "千"), (100, "百"), (10, "十")):
        if value >= size:
            rest = value % size
            gap = "零" if 0 < rest < size // 10 else ""
            # 「二百一十」, but 「十二」 by itself.
            tail = ("一" if 10 <= rest < 20 else "") + chinese_numeral(rest) if rest else ""
            return chinese_numeral(value // size) + unit + gap + tail
    raise AssertionError(value)


def _price(found: re.Match[str], language: Language) -> str:
    units, cents_names, unit_zh, cents_zh = _CURRENCIES[found["sign"]]
    whole, cents = int(found["whole"].replace(",", "")), int(found["cents"] or 0)
    if language == "zh":
        if found["sign"] == "¥" and cents:
            # 「九十九块九」, 「三块零五分」
            tenths, fen = divmod(cents, 10)
            return f"{chinese_numeral(whole)}块{_HAN[tenths]}{(_HAN[fen] + '分') if not tenths else (_HAN[fen] if fen else '')}"
        amount = f"二{unit_zh}" if whole == 2 else f"{chinese_numeral(whole)}{unit_zh}"
        return (
            amount.replace("二", "两", 1) if whole == 2 else amount + (f"{chinese_numeral(cents)}{cents_zh}" if cents else "")
        )
    amount = f"{english_number(whole)} {units[whole != 1]}"
    if not cents:
        return amount
    small = f"{english_number(cents)} {cents_names[cents != 1]}"
    return small if not whole else f"{amount} and {small}"


def _named(found: re.Match[str], language: Language) -> str:
    return (found["word"] or "") + _one_by_one(found["after"] or found["hash"] or found["alone"], language)


def _one_by_one(name: str, language: Language) -> str:
    signs = [character.upper() for character in name if character.isalnum()]
    if language == "zh":
        return " ".join(_ONE_BY_ONE[int(sign)] if sign.isdigit() else sign for sign in signs)
    return ", ".join(_ONES[int(sign)] if sign.isdigit() else sign for sign in signs)


def _said_address(address: str, language: Language) -> str:
    signs = {".": " dot ", "@": " at ", "_": " underscore ", "-": " dash ", "+": " plus "}
    if language == "zh":
        signs = {".": " 点 ", "@": " 艾特 ", "_": " 下划线 ", "-": " 横杠 ", "+": " 加 "}
    return re.sub(r" +", " ", "".join(signs.get(character, character) for character in address))


def _date(found: re.Match[str], language: Language) -> str:
    year, month, day = (int(part) for part in found.groups())
    if not 1 <= month <= 12:
        return found[0]
    return f"{year}年{month}月{day}日" if language == "zh" else f"{day} {_MONTHS[month - 1]} {year}"


def _year(year: str) -> str:
    if year[1] == "0" and year[2] == "0":
        return english_number(int(year))
    return (
        english_number(int(year[:2])) + " " + (english_number(int(year[2:])) if year[2] != "0" else f"oh {_ONES[int(year[3])]}")
    )


_ORDINALS = {
    1: "first",
    2: "second",
    3: "third",
    5: "fifth",
    8: "eighth",
    9: "ninth",
    12: "twelfth",
    20: "twentieth",
    30: "thirtieth",
}


def _ordinal(day: int) -> str:
    if day in _ORDINALS:
        return _ORDINALS[day]
    return f"{_TENS[day // 10]}-{_ordinal(day % 10)}" if day > 20 else english_number(day) + "th"


def _long_number(found: re.Match[str]) -> str:
    return english_number(int(found[0].replace(",", "")))


_Forms = tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]
_FORMS: dict[Language, _Forms] = {
    "en": (
        (
            re.compile(rf"\b(\d{{1,2}}) ({'|'.join(_MONTHS)})(?: (\d{{4}}))?\b"),
            lambda found: f"the {_ordinal(int(found[1]))} of {found[2]}" + (f" {_year(found[3])}" if found[3] else ""),
        ),
        (_RANGE, lambda _: " to "),
        (re.compile(r"(\d)\s?%"), lambda found: f"{found[1]} percent"),
        (re.compile(r"\b(\d+) × "), lambda found: f"{found[1]} of "),
        (re.compile(r"\b(\d+(?:\.\d+)?)\s?cm\b"), lambda found: f"{found[1]} centimetres"),
        (re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d.])|(?<![\w.,])\d{1,6}(?![\w]|[.,]\d)"), _long_number),
    ),
    "zh": (
        (
            re.compile(r"(\d{4})年"),
            lambda found: "".join(_HAN[int(digit)] for digit in found[1]) + "年",
        ),
        (_RANGE, lambda _: "到"),
        (re.compile(r"(\d+)\s?%"), lambda found: f"百分之{chinese_numeral(int(found[1]))}"),
        (re.compile(r"(\d+) × "), lambda found: f"{chinese_numeral(int(found[1]))}件"),
        (re.compile(r"(\d+)\s?(?:cm|CM)"), lambda found: f"{chinese_numeral(int(found[1]))}厘米"),
        (re.compile(r"(\d+)\.(\d+)"), lambda found: f"{chinese_numeral(int(found[1]))}点{''.join(_HAN[int(digit)] for digit in found[2])}"),
        (re.compile(r"(?<![A-Za-z\d.])2(?=[个件条双套款天])"), lambda _: "两"),
        (re.compile(r"(?<![A-Za-z\d.])\d{1,6}(?![A-Za-z\d.])"), lambda found: chinese_numeral(int(found[0]))),
    ),
}  # fmt: skip
