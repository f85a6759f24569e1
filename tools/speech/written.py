"""Heard words in the form in which a customer would have typed them: order numbers, e-mails, sizes, prices and dates.

"Order double four one seven" becomes "order 4417", "a dot li at example dot com" an address, 「订单幺三五七」 「订单1357」. Only what
was said of a number is written as one: where a word may as well be no number ("one of these", 「一些」, 「十分好」), it stays.
"""

import re
from collections.abc import Callable

from tools.kit.reading import chinese_number
from tools.shop.types import Language


def as_written(text: str, language: Language) -> str:
    """The text as it would have been typed; what has no spoken form in it comes back unchanged."""
    return _chinese(text) if language == "zh" else _english(text)


_DIGITS = {word: str(value) for value, word in enumerate("zero one two three four five six seven eight nine".split())}
_TEENS = {
    word: value
    for value, word in enumerate(
        "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(), start=10
    )
}
_TENS = {
    word: 10 * value for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)
}
_ORDINALS = {
    word: value
    for value, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth "
        "seventeenth eighteenth nineteenth twentieth".split(),
        start=1,
    )
} | {"thirtieth": 30}
_MONTHS = "January February March April May June July August September October November December".split()

_DIGIT = "|".join(_DIGITS)
_BELOW_TEN = "|".join(list(_DIGITS)[1:])
_BELOW_HUNDRED = rf"(?:(?:{'|'.join(_TENS)})(?:[- ](?:{_BELOW_TEN}))?|{'|'.join(_TEENS)}|{_BELOW_TEN})"
_NUMBER = (
    rf"(?:(?:{_BELOW_HUNDRED} thousand(?: and)? )?{_BELOW_HUNDRED} hundred(?:(?: and)? {_BELOW_HUNDRED})?"
    rf"|{_BELOW_HUNDRED} thousand(?:(?: and)? {_BELOW_HUNDRED})?|{_BELOW_HUNDRED})"
)

# One digit or a group of them, as said ("oh", "double four", "forty two") or as the recogniser wrote it ("4217", "42-17", "4,217").
_SAID = rf"(?:(?:double|triple) (?:{_DIGIT}|oh|[0-9])|{_DIGIT}|oh|(?:{'|'.join(_TENS)})(?:[- ](?:{_BELOW_TEN}))?|{'|'.join(_TEENS)})"
_ONE = rf"(?:(?:double|triple) (?:{_DIGIT}|oh|[0-9])|{_DIGIT}|oh|[0-9])"
_RUN = re.compile(rf"(?<![\w.$€£-]){_ONE}(?:(?:, |[- ]){_ONE}){{2,}}(?![\w]|\.\d|[-,]\d| (?:{'|'.join(_TENS)}))", re.I)
_AFTER_ORDER = re.compile(
    r"(?P<name>\b(?:order|tracking|reference|invoice)(?:\s+(?:number|no\.?|id|code))?(?:\s*(?:is|was|:|,))?\s+)"
    rf"(?P<sign>(?:(?:hash|pound|number sign|hashtag) |#)?)(?P<letters>(?:[A-Z][ -]?){{0,2}})"
    rf"(?P<number>(?>(?:{_SAID}|\d+)\b)(?>(?:, ?|[- ])(?:{_SAID}|\d+)\b)*+)(?!\.\d)",
    re.I,
)
_LETTER_BEFORE = re.compile(r"\b([B-HJ-Z])[ -](?=\d{3,}\b)")
_SPELLED = re.compile(r"(?<![\w'’.@-])[A-Z](?:(?:-| |, )[A-Z]){2,}(?![\w'’@-])")
_LEAVES_OPEN = re.compile(r"^(?:one|two|three|four|five|six|seven|eight|nine|ten|\d{1,2})$", re.I)


def _english(text: str) -> str:
    text = _spoken_email(text)
    text = _SPELLED.sub(lambda found: re.sub(r"[-, ]", "", found[0]), text)
    text = _AFTER_ORDER.sub(_order_number, text)
    text = _RUN.sub(_digit_run, text)
    text = _LETTER_BEFORE.sub(r"\1", text)
    for pattern, written in _ENGLISH_FORMS:
        text = pattern.sub(written, text)
    return text


def _order_number(found: re.Match[str]) -> str:
    number, letters = found["number"], re.sub(r"[ -]", "", found["letters"]).upper()
    if not letters and _LEAVES_OPEN.match(number):
        return found[0]  # "order two of them" names no order
    sign = "#" if found["sign"] else ""
    return f"{found['name']}{sign}{letters}{_joined(number)}"


def _digit_run(found: re.Match[str]) -> str:
    pieces = re.split(r", ", found[0])
    # "sizes 8, 9, 10" is a list; a number of an order has more parts.
    return found[0] if 1 < len(pieces) < 4 and all(len(piece) < 6 for piece in pieces) else _joined(found[0])


def _joined(said: str) -> str:
    """The digits of a number read out, in a row: "forty two, double one" is 4211."""
    digits, times, tens = "", 1, 0
    for word in re.findall(r"[a-z]+|\d+", said.lower()):
        if word in ("double", "triple"):
            times = 2 if word == "double" else 3
            continue
        unit = _DIGITS.get(word)
        if tens and not (unit and unit != "0"):
            digits += str(tens)
            tens = 0
        if word in _TENS:
            tens = _TENS[word]
        elif tens and unit:
            digits += str(tens + int(unit))
            tens = 0
        else:
            digits += times * (unit or ("0" if word == "oh" else str(_TEENS.get(word, word))))
        times = 1
    return digits + (str(tens) if tens else "")


def _value(said: str) -> int:
    """The value of a number in words or digits: "two hundred and fifty" is 250."""
    total = below = 0
    for word in re.split(r"[ -]", said.lower()):
        if word.isdigit():
            below += int(word)
        elif word == "hundred":
            below *= 100
        elif word == "thousand":
            total, below = below * 1000, 0
        elif word != "and":
            below += int(_DIGITS.get(word, 0)) or _TEENS.get(word, 0) or _TENS.get(word, 0)
    return total + below


def _day(said: str) -> int:
    """The day of a month: "twenty first" and "21st" are 21."""
    *before, last = re.split(r"[ -]", said.lower())
    digits = re.match(r"\d+", last)
    return int(digits[0]) if digits else (_TENS[before[0]] if before else 0) + _ORDINALS.get(last, 0)


def _year(said: str) -> int:
    words = re.split(r"[ -]", said.lower())
    if words[0].isdigit() or "thousand" in words:
        return _value(said)
    first = "nineteen" if words[0] == "nineteen" else "twenty"
    return _value(first) * 100 + _value(" ".join(words[1:]))


_ORDINAL = rf"(?:(?:(?:twenty|thirty)[- ])?(?:{'|'.join(_ORDINALS)})|\d{{1,2}}(?:st|nd|rd|th))"
_YEAR = rf"(?:(?:nineteen|twenty) {_BELOW_HUNDRED}|two thousand(?:(?: and)? {_BELOW_HUNDRED})?|(?:19|20)\d\d)"
_MONTH = rf"(?:{'|'.join(_MONTHS)})"


def _date(found: re.Match[str]) -> str:
    year = f", {_year(found['year'])}" if found["year"] else ""
    return f"{found['month'].capitalize()} {_day(found['day'])}{year}"


def _money(found: re.Match[str]) -> str:
    sign = {"d": "$", "e": "€", "p": "£"}[found["unit"][0].lower()]
    return f"{sign}{_value(found['whole'])}.{_value(found['cents']):02d}"


def _size(found: re.Match[str]) -> str:
    times = {"": 1, "double": 2, "two": 2, "2": 2, "triple": 3, "three": 3, "3": 3}[(found["times"] or "").strip(" -").lower()]
    return "X" * times + found["base"][0].upper()


_ANY = rf"(?:{_NUMBER}|\d+)"
_ENGLISH_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(rf"\b(?:the )?(?P<day>{_ORDINAL}) of (?P<month>{_MONTH})(?:,? (?P<year>{_YEAR}))?\b", re.I), _date),
    (re.compile(rf"\b(?P<month>{_MONTH}) (?:the )?(?P<day>{_ORDINAL})(?:,? (?P<year>{_YEAR}))?\b", re.I), _date),
    (
        re.compile(
            rf"\b(?P<whole>{_ANY}) (?P<unit>dollars?|euros?|pounds?) (?:and )?(?P<cents>{_BELOW_HUNDRED}|\d\d)(?: cents?| pence)?\b",
            re.I,
        ),
        _money,
    ),
    # "nineteen ninety nine" is a price where money is spoken of, and a year elsewhere.
    (
        re.compile(
            rf"\b(?P<whole>{_BELOW_HUNDRED}) (?P<cents>(?:{'|'.join(_TENS)})(?:[- ](?:{_BELOW_TEN}))?) (?P<unit>dollars?|euros?)\b",
            re.I,
        ),
        _money,
    ),
    (
        re.compile(rf"\bsizes? (?P<whole>{_BELOW_HUNDRED}|\d{{1,2}}) (?:and a half|point five)\b", re.I),
        lambda found: f"{found[0].split()[0]} {_value(found['whole'])}.5",
    ),
    (
        re.compile(rf"\b(?P<before>sizes?(?: eu| us| uk)?) (?P<number>{_BELOW_HUNDRED})\b", re.I),
        lambda found: f"{found['before']} {_value(found['number'])}",
    ),
    (
        re.compile(
            r"\b(?P<times>double[ -]|two[ -]|2|triple[ -]|three[ -]|3)?(?:extra[ -]|X[ -]?)(?P<base>large|small|L|S)\b", re.I
        ),
        _size,
    ),
    (
        re.compile(
            rf"\b(?P<number>{_NUMBER})"
            r"(?= (?:dollars?|euros?|pounds|bucks|quid|percent|centimet(?:er|re)s|inch(?:es)?|days|weeks)\b)",
            re.I,
        ),
        lambda found: str(_value(found["number"])),
    ),
    # From twenty on, a number of two words is nothing but a number.
    (
        re.compile(
            rf"\b(?:{'|'.join(_TENS)})[- ](?:{_BELOW_TEN})\b"
            rf"|\b{_BELOW_HUNDRED} (?:hundred|thousand)(?:(?: and)? {_BELOW_HUNDRED})?\b",
            re.I,
        ),
        lambda found: str(_value(found[0])),
    ),
)

_EMAIL_SIGNS = {"dot": ".", "underscore": "_", "dash": "-", "hyphen": "-", "plus": "+"}
_SIGN = "|".join(_EMAIL_SIGNS)
# Possessive and with single separators: a long text without an address is passed over in one go.
_LOCAL = (
    rf"(?:(?:[A-Za-z0-9]|{_DIGIT})[- ](?!(?:at|{_SIGN})\b|@))*+[A-Za-z0-9][\w.+-]*"
    rf"(?: (?:{_SIGN}) [A-Za-z0-9][\w.+-]*(?: (?:[A-Za-z0-9]|{_DIGIT})\b(?! at\b))*)*"
)
_DOMAIN = r"[A-Za-z0-9][\w-]*(?:(?: (?:dot|dash|hyphen) |\.)[A-Za-z0-9][\w-]*)*(?: dot |\.)(?:com|net|org|co|uk|cn|de|fr|eu|io|edu|example)"
_EMAIL = re.compile(rf"(?<![\w@.])(?P<local>{_LOCAL}) (?:at|@) (?P<domain>{_DOMAIN})\b", re.I)


def _spoken_email(text: str) -> str:
    return _EMAIL.sub(_email, text)


def _email(found: re.Match[str]) -> str:
    words = re.split(r"[ ]|(?<=\b\w)-(?=\w\b)", found["local"].lower())
    local = "".join(_EMAIL_SIGNS.get(word) or _DIGITS.get(word) or word for word in words)
    domain = re.sub(r" (dot|dash|hyphen) ", lambda sign: _EMAIL_SIGNS[sign[1]], found["domain"].lower())
    return f"{local}@{domain}"


_HAN = {**{digit: str(value) for value, digit in enumerate("零一二三四五六七八九")}, "〇": "0", "幺": "1", "两": "2", "洞": "0"}
_HAN_DIGIT = "零〇一二三四五六七八九幺"
_HAN_RUN = re.compile(
    rf"(?<![{_HAN_DIGIT}十百千万亿点第])[{_HAN_DIGIT}两0-9]"
    rf"(?:[ ,，、-]?(?:[两二三四]个[{_HAN_DIGIT}0-9]|[{_HAN_DIGIT}两0-9])){{2,}}(?![十百千万亿点])"
)
_HAN_SAID = re.compile(rf"([两二三四])个([{_HAN_DIGIT}0-9])")
_MEASURE = r"(?:块钱?|元|美元|美金|欧元|英镑|码|号|月|日|天|年|件|双|条|个|套|斤|公斤|克|厘米|公分|寸|度|折|次|单|分钟|小时|点)"
_HAN_NUMBER = r"[零一二两三四五六七八九十百千万]+"
_UNITS = re.compile(r"[十百千万]")


def _chinese(text: str) -> str:
    text = _HAN_EMAIL.sub(_chinese_email, text)
    text = re.sub(r"(?<=[A-Z])[ -](?=[A-Z]\b)(?=[A-Z](?![a-z]))", "", text)
    text = _HAN_RUN.sub(_han_run, text)
    for pattern, written in _CHINESE_FORMS:
        text = pattern.sub(written, text)
    return text


def _han_run(found: re.Match[str]) -> str:
    if found[0].isdigit():
        return found[0]
    said = _HAN_SAID.sub(lambda several: int(_HAN[several[1]]) * several[2], found[0])
    digits = "".join(_HAN.get(character, character) for character in said if character not in " ,，、-")
    counts = digits in ("123", "321") or (len(digits) < 4 and "、" in said)
    return found[0] if counts else digits


def _han_value(text: str) -> str:
    """A Chinese numeral in digits, with what stands behind its point; the text itself where it is none."""
    whole, point, behind = text.partition("点")
    value = chinese_number(whole) if _UNITS.search(whole) or len(whole) == 1 else None
    if value is None:
        value_text = "".join(_HAN.get(character, character) for character in whole)
        if not value_text.isdigit():
            return text
    else:
        value_text = str(value)
    return value_text + ("." + "".join(_HAN[digit] for digit in behind) if point else "")


def _han_price(found: re.Match[str]) -> str:
    tenths = _HAN[found["tenths"]] if found["tenths"] else "0"
    cents = _HAN[found["cents"]] if found["cents"] else ""
    return f"{_han_value(found['whole'])}.{tenths}{cents}{found['unit']}"


_TIMES = {"两个": 2, "双": 2, "2": 2, "三个": 3, "3": 3, None: 1}
_CHINESE_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    # 「九十九块九」, 「三块五毛」, 「一百二十九块九毛九」
    (
        re.compile(
            rf"(?P<whole>{_HAN_NUMBER}|\d+)(?P<unit>块|元)(?P<tenths>[零一二三四五六七八九])毛?(?P<cents>[一二三四五六七八九])?分?(?![{_HAN_DIGIT}十百千万个件条双])"
        ),
        _han_price,
    ),
    (
        re.compile(rf"(?P<whole>{_HAN_NUMBER}|\d+)(?P<unit>码|号)半"),
        lambda found: f"{_han_value(found['whole'])}.5{found['unit']}",
    ),
    (
        re.compile(r"(?P<times>两个|双|三个|[23])?(?:加大|特大|叉)(?P<base>码|号|L)"),
        lambda found: "X" * _TIMES[found["times"]] + ("L" if found["base"] == "L" else "L码"),
    ),
    (
        re.compile(rf"(?P<whole>{_HAN_NUMBER})点(?P<behind>[零一二三四五六七八九]+)(?!十|分|半|钟)"),
        lambda found: _han_value(found[0]),
    ),
    # With a unit word of its own (百, 千, 万, or 十 beside a digit) it is a number wherever it stands, but for sayings.
    (
        re.compile(
            rf"(?<![第个你成]){_HAN_NUMBER}(?={_MEASURE})"
            rf"|(?<![第个你成数几])[一二两三四五六七八九](?:[百千万](?:零?[一二三四五六七八九][十百千]?)+|百|千)(?![{_HAN_DIGIT}万般])"
        ),
        lambda found: _counted(found[0]),
    ),
    (re.compile(r"(?<![第个你成十百千万零])([一二])(?=[月日号])"), lambda found: _HAN[found[0]]),
)


def _counted(said: str) -> str:
    # 「一个」, 「两件」 and 「一次」 are words; a year has four digits.
    if len(said) == 1 and said not in "四五六七八九十三":
        return said
    if set(said) <= set("千万百") or (not _UNITS.search(said) and len(said) > 1 and len(said) != 4):
        return said
    return _han_value(said)


_HAN_AT = r"(?:艾特|爱特|圈a|圈A|at|@)"
_HAN_EMAIL = re.compile(
    r"(?P<local>[A-Za-z0-9](?>[A-Za-z0-9._+-]| ?(?:点|下划线|横杠|减号) ?| (?=[A-Za-z0-9]\b))*)"
    rf" ?{_HAN_AT} ?(?P<domain>[A-Za-z0-9][A-Za-z0-9-]*(?> ?(?:点|\.) ?[A-Za-z0-9-]+)+)"
)
_HAN_SIGNS = {"下划线": "_", "横杠": "-", "减号": "-", "点": "."}


def _chinese_email(found: re.Match[str]) -> str:
    address = f"{found['local']}@{found['domain']}"
    for said, sign in _HAN_SIGNS.items():
        address = address.replace(said, sign)
    return address.replace(" ", "").lower()
