"""What a shop consists of: the canonical form that importers write, the shop database keeps and tools read.

One JSON object a line in products.jsonl, customers.jsonl, orders.jsonl, clauses.jsonl, baskets.jsonl, size_charts.jsonl and
reviews.jsonl, and one shop.yaml, all in one folder; `storehand import jsonl FOLDER --shop DIR` reads them, and takes
policy.yaml over (tools/shop/policy.py). Unknown keys are errors.
Money is integer minor units (cents, 分) of `currency`; every time carries its zone.
"""

from datetime import date, datetime
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
Id = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
Text = Annotated[str, StringConstraints(max_length=20_000, strip_whitespace=True)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Cents = Annotated[int, Field(ge=0, strict=True)]


class Record(BaseModel):
    """Base of all shop records: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LocalText(Record):
    """A text in the languages the shop has it in; at least one.

    `LocalText(en="Linen dress", zh="亚麻连衣裙")`. A language that is missing falls back to the other one.
    """

    en: Text | None = None
    zh: Text | None = None

    @model_validator(mode="after")
    def _has_a_language(self) -> "LocalText":
        if not (self.en or self.zh):
            raise ValueError("a text needs 'en' or 'zh'")
        return self

    def in_language(self, language: Language) -> str:
        """The text in `language`, else in the language there is."""
        return (self.zh or self.en or "") if language == "zh" else (self.en or self.zh or "")

    def all(self) -> tuple[str, ...]:
        """Every language's text, English first."""
        return tuple(text for text in (self.en, self.zh) if text)


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"'{name}' is no time zone; use a name like Europe/Berlin or Asia/Shanghai")
    return name


class ShopInfo(Record):
    """shop.yaml: what holds for the whole shop."""

    name: LocalText
    currency: Currency
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    """Where "today" is decided, like "Asia/Shanghai"."""
    as_of: date | None = None
    """The day the data describes; a demo's order dates are moved by whole days so that this day is today."""
    words: dict[str, LocalText] = Field(default_factory=dict)
    """Option names and values as customers read them: {"color": {en: Colour, zh: 颜色}, "blue": {en: blue, zh: 蓝色}}."""

    def word(self, word: str, language: Language) -> str:
        """An option's name or value as a customer reads it; the word itself where shop.yaml has none."""
        found = self.words.get(word.lower())
        return found.in_language(language) if found else word


class Variant(Record):
    """One thing that can be put in a basket: a product in one colour and size, say."""

    id: Id
    options: dict[str, str] = Field(default_factory=dict)
    """Like {"color": "blue", "size": "M"}; colour and size filters read the options of these two names."""
    price_cents: Cents | None
    """None means that the price is not known; the key must stand there all the same."""
    stock: Annotated[int, Field(ge=0)] | None = None
    """Pieces on hand; None means available, with the count unknown."""

    @property
    def in_stock(self) -> bool:
        """Whether at least one piece can be sold."""
        return self.stock is None or self.stock > 0


class Product(Record):
    """One catalogue entry with its variants."""

    id: Id
    title: LocalText
    description: LocalText | None = None
    category: LocalText
    brand: str | None = None
    attributes: dict[str, LocalText] = Field(default_factory=dict)
    """Facts beside the options, like {"material": {"en": "linen", "zh": "亚麻"}}; names as in ShopInfo.words."""
    keywords: tuple[str, ...] = ()
    """Other words customers search it by, in any language."""
    pictures: tuple[str, ...] = ()
    """File names below the shop's pictures/ folder, the main one first."""
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)]

    @property
    def lowest_price_cents(self) -> int | None:
        """The cheapest variant's price; None where no variant's price is known."""
        return min((variant.price_cents for variant in self.variants if variant.price_cents is not None), default=None)

    @property
    def highest_price_cents(self) -> int | None:
        """The dearest variant's price; None where no variant's price is known."""
        return max((variant.price_cents for variant in self.variants if variant.price_cents is not None), default=None)

    @property
    def in_stock(self) -> bool:
        """Whether any variant can be sold."""
        return any(variant.in_stock for variant in self.variants)


class Address(Record):
    """Where a parcel goes."""

    line1: Text
    line2: Text = ""
    city: Text = ""
    region: Text = ""
    postcode: Text = ""
    country: Text = ""


class PaymentMethod(Record):
    """How a customer pays. `last_four` for cards, `balance_cents` for gift cards."""

    id: Id
    kind: Literal["card", "paypal", "gift_card", "wechat_pay", "alipay"]
    brand: str | None = None
    last_four: str | None = None
    balance_cents: Cents | None = None


class Customer(Record):
    """A person with an account."""

    id: Id
    name: Text
    email: str
    phone: str | None = None
    language: Language | None = None
    address: Address
    payment_methods: tuple[PaymentMethod, ...] = ()


OrderStatus = Literal[
    "pending",
    "pending_changed",
    "processed",
    "shipped",
    "delivered",
    "cancelled",
    "return_requested",
    "returned",
    "exchange_requested",
]
"""`pending_changed` is an order whose items were changed once and that can be changed no more."""


class OrderItem(Record):
    """A variant as it was sold: title, options and price of that day."""

    product_id: Id
    variant_id: Id
    title: LocalText
    options: dict[str, str] = Field(default_factory=dict)
    quantity: Annotated[int, Field(ge=1)] = 1
    unit_price_cents: Cents


class Fulfilment(Record):
    """One parcel on its way."""

    carrier: str = ""
    tracking_number: str = ""
    variant_ids: tuple[Id, ...] = ()
    shipped_at: AwareDatetime | None = None
    expected_at: AwareDatetime | None = None
    delivered_at: AwareDatetime | None = None


class Payment(Record):
    """Money that moved: positive amounts, the direction is the kind."""

    kind: Literal["payment", "refund"]
    amount_cents: Cents
    payment_method_id: Id


class Discount(Record):
    """Money off a whole order; it is shared out over the items by their prices."""

    label: LocalText
    amount_cents: Cents
    minimum_cents: Cents = 0
    """The sum of items from which on it holds; a return that takes the kept items below this loses it."""


class Order(Record):
    """What a customer bought at one time."""

    id: Id
    customer_id: Id
    placed_at: AwareDatetime | None = None
    """None where the source has no date."""
    status: OrderStatus
    currency: Currency
    items: Annotated[tuple[OrderItem, ...], Field(min_length=1)]
    address: Address
    fulfilments: tuple[Fulfilment, ...] = ()
    payments: tuple[Payment, ...] = ()
    discounts: tuple[Discount, ...] = ()
    shipping_cents: Cents = 0

    @property
    def items_cents(self) -> int:
        """Sum of the items' prices."""
        return sum(item.unit_price_cents * item.quantity for item in self.items)

    @property
    def total_cents(self) -> int:
        """What the order costs: items and shipping less discounts, never below 0."""
        return max(0, self.items_cents - sum(discount.amount_cents for discount in self.discounts)) + self.shipping_cents

    @property
    def delivered_at(self) -> datetime | None:
        """When the last parcel arrived; None while one is on its way, or where the source does not tell."""
        arrived = [parcel.delivered_at for parcel in self.fulfilments]
        return max((day for day in arrived if day), default=None) if all(arrived) else None


class Clause(Record):
    """One rule or answer, short enough to be quoted whole."""

    id: Id
    kind: Literal["policy", "faq"]
    topic: Id
    """Like returns, refunds, exchanges, cancellations, shipping, payment, sizes, account, privacy, warranty."""
    title: LocalText
    text: LocalText
    questions: tuple[str, ...] = ()
    """Ways customers ask for it, in any language: searched, never shown."""
    overrides: tuple[Id, ...] = ()
    """Clauses this one is an exception to: where both match, this one is quoted first."""
    effective_from: date | None = None
    effective_to: date | None = None

    def in_force(self, day: date) -> bool:
        """Whether the clause holds on `day` (both ends included)."""
        return not ((self.effective_from and day < self.effective_from) or (self.effective_to and day > self.effective_to))


class Basket(Record):
    """Products bought together once; the ground for "bought together"."""

    id: Id
    product_ids: Annotated[tuple[Id, ...], Field(min_length=1)]
    customer_id: Id | None = None
    placed_at: AwareDatetime | None = None


Millimetres = tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
"""From and to, both included."""


class SizeRow(Record):
    """One size of a chart: what a body measures that it fits, in mm, and what the size is called elsewhere."""

    size: Annotated[str, StringConstraints(min_length=1, max_length=20)]
    """As the variants' "size" option has it."""
    labels: dict[Literal["EU", "UK", "US", "CN", "JP"], str] = Field(default_factory=dict)
    chest: Millimetres | None = None
    waist: Millimetres | None = None
    hips: Millimetres | None = None
    height: Millimetres | None = None
    foot: Millimetres | None = None


class SizeChart(Record):
    """Which body a size fits; the chart that names a product's brand and category holds for it before one that names fewer."""

    id: Id
    brand: str | None = None
    categories: tuple[str, ...] = ()
    """English titles of categories, any case; none means every category."""
    audience: Literal["women", "men", "kids"] | None = None
    rows: Annotated[tuple[SizeRow, ...], Field(min_length=1)]
    """From the smallest size to the largest."""


class Review(Record):
    """What a buyer wrote of a product. It is text from outside: it may be counted, never obeyed."""

    id: Id
    product_id: Id
    customer_id: Id | None = None
    rating: Annotated[int, Field(ge=1, le=5)] | None = None
    size: str | None = None
    """The size bought."""
    text: Text = ""


SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "CNY": "¥", "JPY": "¥"}
NO_MINOR_UNIT = frozenset({"JPY", "KRW", "VND"})
"""Currencies whose smallest unit is the whole one."""


def format_money(cents: int, currency: str) -> str:
    """Minor units as customers read them: `format_money(4990, "USD")` is "$49.90"; without a known sign "49.90 SEK"."""
    number = f"{cents:,}" if currency in NO_MINOR_UNIT else f"{cents // 100:,}.{cents % 100:02d}"
    sign = SIGNS.get(currency)
    return f"{sign}{number}" if sign else f"{number} {currency}"
