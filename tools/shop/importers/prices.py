"""Reads a price as people and shops write it into minor units: "12,00 €", "$1,299.99", "1.299,00", "¥199起", "10 – 20 EUR".

What is not certainly a price is refused, never guessed: "1.299" may be a thousand or one and a bit, "from 12 per metre" is no
price of a piece. A sign or code of another currency than the shop's is refused too.
"""

import re
import unicodedata
from datetime import date, datetime, time, tzinfo
from typing import NamedTuple

from tools.shop.types import NO_MINOR_UNIT

_SIGNS = {
    "€": "EUR",
    "£": "GBP",
    "¥": "CNY JPY",
    "元": "CNY TWD HKD",
    "人民币": "CNY",
    "RMB": "CNY",
    "円": "JPY",
    "₩": "KRW",
    "₫": "VND",
    "₹": "INR",
    "$": "USD AUD CAD HKD MXN NZD SGD TWD",
    "US$": "USD",
    "CA$": "CAD",
    "C$": "CAD",
    "AU$": "AUD",
    "A$": "AUD",
    "NZ$": "NZD",
    "HK$": "HKD",
    "S$": "SGD",
    "NT$": "TWD",
    "R$": "BRL",
    "zł": "PLN",
    "Kč": "CZK",
    "kr": "DKK ISK NOK SEK",
    "Fr.": "CHF",
}
"""The currencies that a sign may mean."""
_FROM = ("from", "ab", "起", "+")
_BETWEEN = ("-", "–", "—", "~", "to", "bis", "至", "到")
_WORDS = {word.lower(): word for word in (*_SIGNS, *_FROM, *_BETWEEN)}
_NUMBER = re.compile(r"\d{1,3}(?:[ '’]\d{3})+(?:[.,]\d{1,2})?(?![\d.,])|\d[\d.,]*\d|\d")
_WORD = re.compile("|".join(map(re.escape, sorted(_WORDS, key=len, reverse=True))))
_CODE = re.compile(r"(?<![A-Za-z])[A-Z]{3}(?![A-Za-z])")


class BadValue(ValueError):
    """A cell that cannot be read; the message says which and why."""


class ReadPrice(NamedTuple):
    """A price in minor units; `lowest` says that it is only where a range begins."""

    cents: int
    lowest: bool


def read_price(text: str, currency: str) -> ReadPrice:
    """The price that `text` states, in minor units of `currency`; of a range its lower end. Raises BadValue."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if not plain:
        raise BadValue("the price is missing")
    shown = f"price '{text.strip()[:60]}'"
    # "199,-" has no cents; "-5" is no price.
    plain = re.sub(r"(?<=\d)[.,][-–—]+(?=\D*$)", "", plain)
    numbers = _NUMBER.findall(plain)
    rest = _NUMBER.sub(" | ", plain)
    for code in _CODE.findall(rest):
        if code != "RMB" and code != currency:
            raise BadValue(f"{shown} is in {code}, but the shop sells in {currency}")
    words = _WORD.findall(_CODE.sub(lambda code: "¥" if code[0] == "RMB" else " ", rest).lower())
    left = _WORD.sub(" ", _CODE.sub(" ", rest).lower()).replace("|", " ").strip()
    for sign in (_WORDS[word] for word in words):
        if currency not in _SIGNS.get(sign, currency):
            raise BadValue(f"{shown} is in {_SIGNS[sign].replace(' ', ' or ')}, but the shop sells in {currency}")
    is_range = len(numbers) == 2 and any(word in _BETWEEN for word in words)
    if left or not (len(numbers) == 1 or is_range) or re.match(r"\D*[-–—−]\s*\D*\d", plain):
        raise BadValue(f"{shown} cannot be read")
    prices = [_minor_units(number, currency, shown) for number in numbers]
    return ReadPrice(min(prices), is_range or any(word in _FROM for word in words))


def _minor_units(number: str, currency: str, shown: str) -> int:
    decimals = 0 if currency in NO_MINOR_UNIT else 2
    digits = re.sub("[ '’]", "", number)
    mark = max(digits.rfind("."), digits.rfind(","))
    sign, before, after = digits[mark : mark + 1], digits[: max(mark, 0)], digits[mark + 1 :]
    if mark < 0 or (_is_grouped(digits, sign) and (sign in before or sign == "," or not decimals) and before != "0"):
        whole, part = digits, ""
    elif len(after) == 3 and before.isdecimal() and before != "0":
        raise BadValue(f"{shown} may be {before}{after} or {before} and a part; write it with two decimals")
    elif before.isdecimal() or _is_grouped(before, "." if sign == "," else ","):
        whole, part = before, after.rstrip("0")
    else:
        raise BadValue(f"{shown} cannot be read")
    if len(part) > decimals:
        raise BadValue(f"{shown} has more decimals than {currency}")
    return int(re.sub("[.,]", "", whole) + part.ljust(decimals, "0"))


def _is_grouped(digits: str, sign: str) -> bool:
    """Whether `sign` parts thousands, in India hundreds above them: "1,299,000", "12,99,000"."""
    return bool(re.fullmatch(rf"\d{{1,3}}(?:{re.escape(sign)}\d{{2,3}})*{re.escape(sign)}\d{{3}}", digits))


def on_sale(start: str, end: str, zone: tzinfo) -> bool:
    """Whether a sale price holds now, between two ISO days or times of which either may be blank. Raises BadValue."""
    now = datetime.now(zone)
    return (not start or _moment(start, time.min, zone) <= now) and (not end or now <= _moment(end, time.max, zone))


def _moment(text: str, time_of_day: time, zone: tzinfo) -> datetime:
    try:
        if len(text) <= len("2026-01-31"):
            return datetime.combine(date.fromisoformat(text), time_of_day, zone)
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadValue(f"sale date '{text[:60]}' cannot be read; write it like 2026-01-31") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
