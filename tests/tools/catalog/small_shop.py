"""A shop of twelve products in memory, whose prices, stock and clauses a test can change."""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from PIL import Image, ImageDraw

from tools.shop.types import Clause, Customer, LocalText, Order, Product, ShopInfo, Variant

_ROWS = [
    # id, English title, Chinese title, category, season, gender, price in cents, colours, keywords
    (
        "dress-linen",
        "Linen midi dress",
        "亚麻中长连衣裙",
        ("Dresses", "连衣裙"),
        "summer",
        "women",
        6490,
        ("blue", "white"),
        "夏裙",
    ),
    ("dress-wool", "Wool knit dress", "羊毛针织连衣裙", ("Dresses", "连衣裙"), "winter", "women", 8990, ("grey",), ""),
    ("tee-men", "Men's organic T-shirt", "男士有机棉T恤", ("T-shirts", "T恤"), "summer", "men", 1990, ("red", "blue"), "短袖"),
    ("tee-women", "Women's V-neck T-shirt", "女士V领T恤", ("T-shirts", "T恤"), "summer", "women", 1490, ("pink",), ""),
    ("sandals", "Cork sandals", "软木凉鞋", ("Shoes", "鞋"), "summer", "unisex", 6990, ("brown",), "summer shoes"),
    ("boots", "Lined winter boots", "加绒雪地靴", ("Shoes", "鞋"), "winter", "unisex", 12900, ("black",), ""),
    ("coat", "Down parka", "羽绒服", ("Outerwear", "外套"), "winter", "unisex", 19900, ("olive",), ""),
    ("kettle", "Electric kettle", "电热水壶", ("Kitchen", "厨房"), "", "", 3990, (), "1.7 litres"),
    ("kettle-small", "Travel kettle", "旅行电水壶", ("Kitchen", "厨房"), "", "", 2490, (), ""),
    ("lamp", "Desk lamp", "台灯", ("Lighting", "灯具"), "", "", 4590, ("white",), ""),
    ("towel", "Cotton bath towel", "纯棉浴巾", ("Bath", "浴室"), "", "", 1890, ("white",), ""),
    ("tea", "Jasmine tea", "茉莉花茶", ("Tea", "茶"), "", "", 990, (), ""),
]
_WORDS = {
    "summer": LocalText(en="summer", zh="夏季"),
    "winter": LocalText(en="winter", zh="冬季"),
    "men": LocalText(en="men", zh="男士"),
    "women": LocalText(en="women", zh="女士"),
    "unisex": LocalText(en="unisex", zh="男女同款"),
    "blue": LocalText(en="blue", zh="蓝色"),
    "white": LocalText(en="white", zh="白色"),
}
CLAUSES = (
    Clause(
        id="RET-1-2025",
        kind="policy",
        topic="returns",
        title=LocalText(en="Returns", zh="退货"),
        text=LocalText(en="You can return items within 14 days.", zh="签收后 14 天内可以退货。"),
        questions=("how long can I return things", "退货流程"),
        effective_to=date(2025, 12, 31),
    ),
    Clause(
        id="RET-1",
        kind="policy",
        topic="returns",
        title=LocalText(en="Returns", zh="退货"),
        text=LocalText(en="You can return unused items within 30 days.", zh="签收后 30 天内,未使用的商品可以退货。"),
        questions=("how long can I return things", "退货流程"),
        effective_from=date(2026, 1, 1),
    ),
    Clause(
        id="SHIP-1",
        kind="policy",
        topic="shipping",
        title=LocalText(en="Delivery", zh="配送"),
        text=LocalText(en="Parcels arrive within 3 to 5 working days.", zh="包裹 3 至 5 个工作日送达。"),
        questions=("how long does shipping take", "多久能送到"),
    ),
    Clause(
        id="PAY-1",
        kind="faq",
        topic="payment",
        title=LocalText(en="Ways to pay", zh="付款方式"),
        text=LocalText(en="We take cards, PayPal, WeChat Pay and Alipay.", zh="支持银行卡、PayPal、微信支付和支付宝。"),
        questions=("do you take credit cards", "可以用花呗吗"),
    ),
)


class SmallShop:
    """A Shop in memory."""

    def __init__(self, pictures: Path, clauses: Sequence[Clause] = CLAUSES) -> None:
        self.pictures = pictures
        self.version = "v1"
        self.info = ShopInfo(name=LocalText(en="Small shop", zh="小店"), currency="USD", words=_WORDS)
        self.stocked = {row[0]: _product(*row) for row in _ROWS}
        self.kept_clauses = list(clauses)

    def products(self) -> Iterator[Product]:
        yield from self.stocked.values()

    def product(self, product_id: str) -> Product | None:
        return self.stocked.get(product_id)

    def option_values(self, name: str) -> frozenset[str]:
        return frozenset(v.options[name] for p in self.stocked.values() for v in p.variants if name in v.options)

    def clauses(self, on: date) -> list[Clause]:
        return [clause for clause in self.kept_clauses if clause.in_force(on)]

    def all_clauses(self) -> list[Clause]:
        return list(self.kept_clauses)

    def customer(self, customer_id: str) -> Customer | None:
        return None

    def orders_of(self, customer_id: str) -> list[Order]:
        return []

    def picture(self, name: str) -> Path:
        return self.pictures / name

    def with_pictures(self, *product_ids: str) -> None:
        """Draw a picture for these products, each like no other; every second product gets a second one, upside down."""
        for number, product_id in enumerate(product_ids):
            names = [f"{product_id}.png"]
            drawn = drawing(number)
            drawn.save(self.pictures / names[0])
            if number % 2:
                names.append(f"{product_id}-2.png")
                drawn.rotate(180).save(self.pictures / names[1])
            self.change(product_id, pictures=tuple(names))

    def change(self, product_id: str, **values: object) -> None:
        self.stocked[product_id] = self.stocked[product_id].model_copy(update=values)
        self.version += "+"


def drawing(number: int) -> Image.Image:
    drawn = Image.new("RGB", (200, 200), "white")
    draw = ImageDraw.Draw(drawn)
    color = ("teal", "orange", "black", "crimson")[number % 4]
    if number == 0:
        draw.ellipse((40, 40, 160, 160), fill=color)
    elif number == 1:
        for x in range(0, 200, 20):
            draw.line((x, 0, x, 200), fill=color, width=6)
    elif number == 2:
        draw.polygon(((100, 20), (20, 180), (180, 180)), fill=color)
    else:
        draw.rectangle((70, 10, 130, 190), fill=color)
    return drawn


def _product(
    product_id: str,
    en: str,
    zh: str,
    category: tuple[str, str],
    season: str,
    gender: str,
    price_cents: int,
    colors: tuple[str, ...],
    keywords: str,
) -> Product:
    attributes = {name: _WORDS[value] for name, value in (("season", season), ("gender", gender)) if value}
    variants = [
        Variant(id=f"{product_id}-{color}-{size}", options={"color": color, "size": size}, price_cents=price_cents, stock=3)
        for color in colors
        for size in ("S", "M")
    ] or [Variant(id=product_id, price_cents=price_cents, stock=3)]
    return Product(
        id=product_id,
        title=LocalText(en=en, zh=zh),
        category=LocalText(en=category[0], zh=category[1]),
        attributes=attributes,
        keywords=(keywords,) if keywords else (),
        variants=tuple(variants),
    )
