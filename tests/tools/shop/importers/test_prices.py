"""Prices as people write them become minor units, or are refused."""

from zoneinfo import ZoneInfo

import pytest

from tools.shop.importers.prices import BadValue, on_sale, read_price

UTC = ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("text", "currency", "cents"),
    [
        ("12,00 €", "EUR", 1200),
        ("12.00 EUR", "EUR", 1200),
        ("1.299,00", "EUR", 129900),
        ("1 299,00 €", "EUR", 129900),
        ("1'299.00 CHF", "CHF", 129900),
        ("$1,299.99", "USD", 129999),
        ("1,299", "USD", 129900),
        ("1.234.567", "EUR", 123456700),
        ("12,99,000", "INR", 129900000),
        ("12.5000", "EUR", 1250),
        ("0.500", "EUR", 50),
        ("199,-", "SEK", 19900),
        ("￥１９９", "CNY", 19900),
        ("RMB 99", "CNY", 9900),
        ("¥1,299", "JPY", 1299),
        ("199.00", "JPY", 199),
        ("0", "EUR", 0),
    ],
)
def test_a_price_is_read_to_the_cent(text: str, currency: str, cents: int) -> None:
    assert read_price(text, currency) == (cents, False)


@pytest.mark.parametrize(
    ("text", "currency", "cents"),
    [
        ("¥199起", "CNY", 19900),
        ("199至299元", "CNY", 19900),
        ("10 – 20 EUR", "EUR", 1000),
        ("$10.00 - $20.00", "USD", 1000),
        ("from $5.00", "USD", 500),
        ("ab 5 €", "EUR", 500),
    ],
)
def test_of_a_range_the_lowest_price_is_read_and_told_as_such(text: str, currency: str, cents: int) -> None:
    assert read_price(text, currency) == (cents, True)


@pytest.mark.parametrize(
    "text",
    ["", "call us", "-5", "$-5.00", "12 13", "12.00 / m", "1,299,00", "12.345", "1.299", "10%", "1e5", "12,5,0", "5 or 6"],
)
def test_what_is_not_certainly_a_price_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="price"):
        read_price(text, "USD")


@pytest.mark.parametrize(
    ("text", "currency"), [("12 EUR", "USD"), ("€12", "USD"), ("US$12", "CAD"), ("£3", "EUR"), ("12.50", "JPY")]
)
def test_another_currency_is_refused(text: str, currency: str) -> None:
    with pytest.raises(BadValue, match=currency):
        read_price(text, currency)


def test_a_sale_holds_from_its_first_day_to_the_end_of_its_last() -> None:
    assert on_sale("", "", UTC)
    assert on_sale("2020-01-01", "2999-01-01T00:00+0100", UTC)
    assert not on_sale("2999-01-01", "", UTC)
    assert not on_sale("", "2020-01-01 00:00:00", UTC)
    with pytest.raises(BadValue, match="next week"):
        on_sale("next week", "", UTC)
