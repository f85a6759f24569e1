"""Reads the home-appliance shop of ECom-Bench: agent_policy.md and data/*.json, all in Chinese.

Sums are yuan, times are Shanghai's, customers have no e-mail address, and a product is its one variant. What the source tells of
installing, repairing, gifts, parts, fault codes and exchanges of a product becomes one clause each. Category and attributes
are read off a product's title, and how a customer can pay off the orders. Invoices, booked services and review cashback belong
to one customer each, so they are no clauses, and an order has no place for them: they are left out.
Source: github.com/XiaoduoAILab/ECom-Bench.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field

from tools.shop.importers.source import (
    Entry,
    Located,
    Note,
    Price,
    Rejected,
    cents,
    check,
    read_json_object,
    read_lines,
    required_file,
)
from tools.shop.types import Clause, Customer, Id, LocalText, Order, OrderStatus, Product, ShopInfo, Text, format_money

_ZONE = ZoneInfo("Asia/Shanghai")
_WORDS = {
    "litres": LocalText(en="litres", zh="升数"),
    "power": LocalText(en="power", zh="功率"),
    "energy grade": LocalText(en="energy grade", zh="能效等级"),
    "gas": LocalText(en="gas", zh="气源"),
}
_CATEGORIES = (
    ("小厨宝", "Under-sink water heaters", "小厨宝"),
    ("电热水器", "Electric water heaters", "电热水器"),
    ("燃气热水器|煤气热水器", "Gas water heaters", "燃气热水器"),
    ("洗碗机", "Dishwashers", "洗碗机"),
    ("油烟机|排烟机", "Range hoods", "油烟机"),
    ("灶", "Gas hobs", "燃气灶"),
    ("净水器|饮水机", "Water purifiers", "净水器"),
    ("冰箱", "Refrigerators", "冰箱"),
    ("扇", "Fans", "电风扇"),
    ("", "Home appliances", "家用电器"),
)
"""The first one that the title has a word of, most particular first: a 小厨宝 is called 电热水器 too."""
_ATTRIBUTES = {
    "litres": r"\d+(?:\.\d+)?(?=升|L)",
    "power": r"(?<![-\d])\d{3,4}W(?![A-Z])",
    "energy grade": r"超?[一二]级(?=能效|节能)",
    "gas": "天然气|液化气",
}
_STATUSES: dict[str, OrderStatus] = {
    "待付款": "pending",
    "已付款": "pending",
    "处理中": "processed",
    "已发货": "shipped",
    "运输中": "shipped",
    "已签收": "delivered",
    "已送达": "delivered",
    "已取消": "cancelled",
    "已退货": "returned",
}
_UNPAID = ("待付款", "已取消")
_SHIPPED = ("shipped", "delivered", "returned")
_ARRIVED = ("delivered", "returned")
_UNDERWAY = ("已揽收", "运输中", "已到达", "派送中")
_METHODS = {"微信": "wechat_pay", "支付宝": "alipay", "京东E卡": "gift_card", "银行卡": "card"}


def _in_shanghai(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=_ZONE)


Time = Annotated[datetime, AfterValidator(_in_shanghai)]


class _Row(BaseModel):
    """What is read of a row; keys that are not read are noted once each (`_unread`)."""

    model_config = ConfigDict(frozen=True, extra="allow")


R = TypeVar("R", bound=_Row)


class _Product(_Row):
    id: Id = Field(alias="商品ID")
    title: Text = Field(alias="商品名称")
    state: Literal["已上架", "缺货", "已下架"] = Field(alias="商品状态")
    price: Price = Field(alias="商品价格")
    description: Text = Field("", alias="商品描述")


class _About(_Row):
    """Something told of a product beside its description; `told` is empty where there is nothing to tell."""

    key: ClassVar[str]
    slug: ClassVar[str]

    def told(self) -> str:
        raise NotImplementedError


class _Installation(_About):
    key, slug = "安装说明", "installation"
    text: Text = Field("", alias="安装说明")

    def told(self) -> str:
        return self.text


class _Repair(_About):
    key, slug = "维修说明", "repair"
    text: Text = Field("", alias="维修说明")

    def told(self) -> str:
        return self.text


class _Gift(_Row):
    name: Text = Field(alias="赠品名称")
    description: Text = Field("", alias="赠品描述")


class _Gifts(_About):
    key, slug = "赠品信息", "gifts"
    entries: tuple[_Gift, ...] = Field((), alias="赠品信息")

    def told(self) -> str:
        return _listed(f"{gift.name}：{gift.description}" for gift in self.entries)


class _Part(_Row):
    name: Text = Field(validation_alias=AliasChoices("辅材名称", "name"))
    description: Text = Field("", validation_alias=AliasChoices("辅材描述", "description"))


class _Parts(_About):
    key, slug = "辅材材料", "parts"
    entries: tuple[_Part, ...] = Field((), alias="辅材材料")

    def told(self) -> str:
        return _listed(f"{part.name}：{part.description}" for part in self.entries)


class _Fault(_Row):
    code: Text = Field(alias="故障代码")
    name: Text = Field(alias="故障名称")
    remedy: Text = Field(alias="故障解决方案")


class _Faults(_About):
    key, slug = "常见故障", "faults"
    entries: tuple[_Fault, ...] = Field((), alias="常见故障")

    def told(self) -> str:
        return _listed(f"{fault.code} {fault.name}：{fault.remedy}" for fault in self.entries)


class _Swap(_Row):
    id: Id = Field(alias="商品ID")
    description: Text = Field("", alias="商品描述")
    state: Text = Field(alias="商品状态")


class _Swaps(_About):
    key, slug = "可换货商品", "swaps"
    entries: tuple[_Swap, ...] = Field((), alias="可换货商品")

    def told(self) -> str:
        return _listed(f"{swap.id} {swap.description}（{swap.state}）" for swap in self.entries)


_ABOUT: tuple[type[_About], ...] = (_Installation, _Repair, _Gifts, _Parts, _Faults, _Swaps)


class _Address(_Row):
    country: Text = Field("", alias="国家")
    region: Text = Field("", alias="省份")
    city: Text = Field("", alias="城市")
    district: Text = Field("", alias="区县")
    line: Text = Field(alias="详细地址")


class _User(_Row):
    id: Id = Field(alias="用户ID")
    phone: Text = Field(alias="电话号码")
    name: Text = Field(alias="用户姓名")
    card_balance: Price = Field(Decimal(0), alias="电子卡余额")
    address: _Address = Field(alias="地址信息")


class _Item(_Row):
    product_id: Id = Field(alias="商品ID")
    price: Price = Field(alias="单价")
    quantity: int = Field(alias="数量", ge=1)


class _Order(_Row):
    id: Id = Field(alias="订单ID")
    user_id: Id = Field(alias="用户ID")
    status: Literal["待付款", "已付款", "处理中", "已发货", "运输中", "已签收", "已送达", "已取消", "已退货"] = Field(
        alias="订单状态"
    )
    total: Price = Field(alias="订单总金额")
    items: tuple[_Item, ...] = Field(alias="订单商品列表", min_length=1)
    address: _Address = Field(alias="收货地址")
    method: Text = Field(alias="支付方式", min_length=1)


class _Event(_Row):
    time: Time = Field(alias="时间")
    state: Text = Field(validation_alias=AliasChoices("状态", "status"))


class _Parcel(_Row):
    number: Text = Field("", alias="物流单号")
    carrier: Text = Field("", alias="物流公司")
    expected_at: Time | None = Field(None, alias="预计送达时间")
    delivered_at: Time | None = Field(None, alias="实际送达时间")
    events: tuple[_Event, ...] = Field((), alias="物流轨迹")

    def first(self, *states: str) -> datetime | None:
        """When the parcel was first in one of these states."""
        return min((event.time for event in self.events if event.state in states), default=None)


class _Offer(_Row):
    kind: Text = Field(alias="类型")
    description: Text = Field(alias="描述")
    example: Text = Field("", alias="示例")
    remark: Text = Field("", alias="备注")


class _Offers(_Row):
    name: Text = Field(alias="政策名称")
    valid: Text = Field("", alias="有效期")
    entries: tuple[_Offer, ...] = Field(alias="详情")


_Place = tuple[str, tuple[str, ...], object]
"""Where a row stands, the keys that lead to it, and the row."""


def read(source: Path) -> Iterator[Entry]:
    """Read a folder with agent_policy.md and data/: products.json, users_info.json, orders.json, perhaps more."""
    policy = required_file(source, "agent_policy.md")
    data = source / "data"
    products_file, users_file, orders_file = (
        required_file(data, name) for name in ("products.json", "users_info.json", "orders.json")
    )
    info = ShopInfo(
        name=LocalText(en="ECom-Bench home appliances", zh="ECom-Bench 家电店"),
        currency="CNY",
        timezone="Asia/Shanghai",
        words=_WORDS,
    )
    yield Located("products.json", info)
    reader = _Reader(data, read_json_object(products_file))
    yield from reader.products()
    orders = list(reader.rows(orders_file, levels=2))
    yield from reader.customers(users_file, orders)
    yield from reader.orders(orders)
    yield from reader.clauses
    yield from reader.offers()
    yield from _read_policy(policy)
    yield from reader.left_out()


class _Reader:
    """One import: the shop that is read, the titles of its products, and what was left out."""

    def __init__(self, data: Path, products: dict[str, Any]) -> None:
        self._data = data
        self._products = products
        shops = [(platform, shop) for platform, shops in products.items() if isinstance(shops, dict) for shop in shops]
        self._shop = shops[0] if shops else ("", "")
        self._titles: dict[str, str] = {}
        self._lost: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.clauses: list[Entry] = []

    def rows(self, path: Path, levels: int) -> Iterator[_Place | Rejected]:
        """The rows of this shop in a file: {platform: {shop: row}}, with `levels` of keys between shop and row."""
        content = self._products if path.name == "products.json" else read_json_object(path)
        for platform, shops in content.items():
            if not isinstance(shops, dict):
                yield Rejected(_where(path, platform), "the platform holds no object of shops")
                continue
            for shop, rows in shops.items():
                if (platform, shop) == self._shop:
                    yield from self._below(path, (), rows, levels)
                else:
                    self._lose(path.name, "another shop's rows are left out", f"{platform}/{shop}")

    def _below(self, path: Path, keys: tuple[str, ...], rows: object, levels: int) -> Iterator[_Place | Rejected]:
        if not levels:
            yield _where(path, *keys[-1:]), keys, rows
        elif not isinstance(rows, dict):
            yield Rejected(_where(path, *keys), f"no JSON object but a {type(rows).__name__}")
        else:
            for key, values in rows.items():
                yield from self._below(path, (*keys, key), values, levels - 1)

    def products(self) -> Iterator[Entry]:
        """Every product; what is told of it beside goes to `clauses`."""
        for row in self.rows(self._data / "products.json", levels=1):
            if isinstance(row, Rejected):
                yield row
                continue
            where, (key,), values = row
            about = {model.key for model in _ABOUT}
            of_itself = (
                {name: value for name, value in values.items() if name not in about} if isinstance(values, dict) else values
            )
            product = self._checked(where, _Product, of_itself, key, "商品ID")
            if isinstance(product, Rejected):
                yield product
                continue
            record = check(where, Product, _product(product))
            if isinstance(record, Rejected):
                yield record
                continue
            yield Located(where, record)
            self._titles[product.id] = product.title
            self.clauses += self._about(where, product, values if isinstance(values, dict) else {})

    def _about(self, where: str, product: _Product, values: Mapping[str, object]) -> Iterator[Entry]:
        for model in _ABOUT:
            told = self._checked(f"{where}/{model.key}", model, {model.key: values[model.key]} if model.key in values else {})
            if isinstance(told, Rejected):
                yield told
            elif text := told.told():
                # The text names the product itself: titles are not quoted, and another product's text must not pass for this one's.
                record = {
                    "id": f"{model.slug}-{product.id}",
                    "kind": "faq",
                    "topic": f"product-{product.id}",
                    "title": {"zh": f"{product.title} {model.key}"},
                    "text": {"zh": f"{product.title}的{model.key}：{text}"},
                }
                yield _located(f"{where}/{model.key}", check(where, Clause, record))

    def customers(self, path: Path, orders: list[_Place | Rejected]) -> Iterator[Entry]:
        """Every customer, with the gift card and the methods that their orders were paid with."""
        methods: dict[str, dict[str, None]] = defaultdict(dict)
        for row in orders:
            if not isinstance(row, Rejected) and isinstance(row[2], dict) and isinstance(row[2].get("支付方式"), str):
                methods[row[1][0]][_method(row[2]["支付方式"])] = None
        for key, values in read_json_object(path).items():
            where = _where(path, key)
            user = self._checked(where, _User, values, key, "用户ID")
            if isinstance(user, Rejected):
                yield user
                continue
            card = {
                "id": f"{user.id}:gift_card",
                "kind": "gift_card",
                "brand": "京东E卡",
                "balance_cents": cents(user.card_balance),
            }
            others = [{"id": f"{user.id}:{kind}", "kind": kind} for kind in methods[user.id] if kind != "gift_card"]
            person = {
                "id": user.id,
                "name": user.name,
                "email": "",
                "phone": user.phone,
                "language": "zh",
                "address": _address(user.address),
                "payment_methods": [*others, card],
            }
            yield _located(where, check(where, Customer, person))
            self._lose(path.name, "customers have no e-mail address, so nobody can be found by one", where)

    def orders(self, rows: list[_Place | Rejected]) -> Iterator[Entry]:
        """Every order with its parcel."""
        parcels: dict[tuple[str, ...], _Parcel] = {}
        for place in self._optional("logistics.json", levels=2):
            if isinstance(place, Rejected):
                yield place
                continue
            parcel = self._checked(place[0], _Parcel, place[2])
            if isinstance(parcel, Rejected):
                yield parcel
            else:
                parcels[place[1]] = parcel
        for row in rows:
            if isinstance(row, Rejected):
                yield row
                continue
            where, keys, values = row
            order = self._checked(where, _Order, values, keys[1], "订单ID")
            if isinstance(order, Rejected):
                yield order
            elif order.user_id != keys[0]:
                yield Rejected(where, f"用户ID: {order.user_id!r:.60}, but it stands below {keys[0]!r:.60}")
            elif (items := sum(item.price * item.quantity for item in order.items)) != order.total:
                yield Rejected(where, f"订单总金额: {_yuan(order.total)}, but its items come to {_yuan(Decimal(items))}")
            else:
                yield _located(where, check(where, Order, self._order(where, order, parcels.pop(keys, None))))
        for user_id, order_id in parcels:
            self._lose("logistics.json", "parcels of orders that are not there are left out", f"{user_id}/{order_id}")

    def _order(self, where: str, order: _Order, parcel: _Parcel | None) -> dict[str, object]:
        status = _STATUSES[order.status]
        payment = {
            "kind": "payment",
            "amount_cents": cents(order.total),
            "payment_method_id": f"{order.user_id}:{_method(order.method)}",
        }
        if status == "returned":
            self._lose("orders.json", "the refund of an order that was returned stands nowhere; none is made up", where)
        return {
            "id": order.id,
            "customer_id": order.user_id,
            "placed_at": parcel.first("已创建") if parcel else None,
            "status": status,
            "currency": "CNY",
            "items": [
                {
                    "product_id": item.product_id,
                    "variant_id": item.product_id,
                    # A product that was rejected leaves its order without a title; the order is rejected for it, and says so.
                    "title": {"zh": self._titles.get(item.product_id, item.product_id)},
                    "quantity": item.quantity,
                    "unit_price_cents": cents(item.price),
                }
                for item in order.items
            ],
            "address": _address(order.address),
            "fulfilments": [self._fulfilment(where, order, status, parcel)] if parcel else [],
            "payments": [] if order.status in _UNPAID else [payment],
        }

    def _fulfilment(self, where: str, order: _Order, status: OrderStatus, parcel: _Parcel) -> dict[str, object]:
        """The parcel, with no time of something that has not happened by the order's state: the state decides what is allowed."""
        shipped_at = parcel.first(*_UNDERWAY)
        delivered_at = parcel.delivered_at or parcel.first("已签收", "已送达")
        if shipped_at and status not in _SHIPPED:
            self._lose("logistics.json", "a parcel is on its way though its order is not sent: that time is left out", where)
        if delivered_at and status not in _ARRIVED:
            self._lose("logistics.json", "a parcel has arrived though its order has not: that time is left out", where)
        return {
            "carrier": parcel.carrier,
            "tracking_number": parcel.number,
            "variant_ids": list(dict.fromkeys(item.product_id for item in order.items)),
            "shipped_at": shipped_at if status in _SHIPPED else None,
            "expected_at": parcel.expected_at,
            "delivered_at": delivered_at if status in _ARRIVED else None,
        }

    def offers(self) -> Iterator[Entry]:
        """A clause for each part of the shop's discounts, in force on the days that the source names."""
        for row in self._optional("discount.json", levels=0):
            if isinstance(row, Rejected):
                yield row
                continue
            where = row[0]
            offers = self._checked(where, _Offers, row[2])
            if isinstance(offers, Rejected):
                yield offers
                continue
            days = _days(offers.valid)
            if days is None:
                yield Note(
                    where, f"有效期: {offers.valid!r:.60} is no period that can be read; its text says it, no day ends it"
                )
            for number, offer in enumerate(offers.entries, start=1):
                text = f"{offers.name}（有效期：{offers.valid or '未注明'}）{offer.kind}：{offer.description}。"
                text += f"示例：{offer.example}。" if offer.example else ""
                text += f"备注：{offer.remark}。" if offer.remark else ""
                record = {
                    "id": f"discount-{number}",
                    "kind": "faq",
                    "topic": "discounts",
                    "title": {"zh": f"优惠政策：{offer.kind}"},
                    "text": {"zh": text},
                    "effective_from": days[0] if days else None,
                    "effective_to": days[1] if days else None,
                }
                yield _located(f"{where}/{number}", check(f"{where}/{number}", Clause, record))

    def left_out(self) -> Iterator[Note]:
        """One note for each kind of thing that has no place in a shop of ours."""
        for name, what in (
            ("invoices.json", "invoices"),
            ("service.json", "booked services"),
            ("register_cashback.json", "records of cashback for reviews"),
        ):
            if (self._data / name).is_file():
                yield Note(name, f"{what} have no place in an order, and are one customer's each, so no clauses: left out")
        for (name, text), places in self._lost.items():
            yield Note(name, f"{text} ({len(places)} times; the first: {places[0]})")

    def _lose(self, name: str, text: str, where: str) -> None:
        """Remember one more thing of a kind that is left out of the file `name`."""
        self._lost[name, _printable(text)].append(_printable(where.split(":", 1)[-1]))

    def _optional(self, name: str, levels: int) -> Iterator[_Place | Rejected]:
        path = self._data / name
        return self.rows(path, levels) if path.is_file() else iter(())

    def _checked(self, where: str, model: type[R], values: object, key: str | None = None, id_name: str = "") -> R | Rejected:
        """The row, if it is right and stands below its own id; what is not read of it is remembered for a note."""
        row = check(where, model, values)
        if isinstance(row, Rejected):
            return row
        own = getattr(row, "id", None)
        if key is not None and own != key:
            return Rejected(where, f"{id_name}: {own!r:.60}, but it stands below {key!r:.60}")
        for name in dict.fromkeys(_unread(row)):
            self._lose(where.split(":")[0], f"'{name}' has no place here and is left out", where)
        return row


def _unread(row: _Row) -> Iterator[str]:
    """Names of the keys that hold something and are not read, like "收货地址.电话号码"."""
    for name, value in (row.model_extra or {}).items():
        if value not in (None, "", False, [], {}):
            yield name
    for name, field in type(row).model_fields.items():
        value = getattr(row, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, _Row):
                yield from (f"{field.alias}.{below}" for below in _unread(part))


def _product(product: _Product) -> dict[str, object]:
    title = product.title
    english, chinese = next((en, zh) for words, en, zh in _CATEGORIES if re.search(words, title))
    brand = re.match(r"[^（\s]+（[A-Za-z]+）|[A-Za-z]+(?=\s)", title)
    found = {name: re.search(pattern, title) for name, pattern in _ATTRIBUTES.items()}
    return {
        "id": product.id,
        "title": {"zh": title},
        "description": {"zh": product.description} if product.description else None,
        "category": {"en": english, "zh": chinese},
        "brand": brand[0] if brand else None,
        "attributes": {name: {"zh": match[0]} for name, match in found.items() if match},
        "variants": [
            {
                "id": product.id,
                "price_cents": cents(product.price),
                "stock": None if product.state == "已上架" else 0,
            }
        ],
    }


def _address(address: _Address) -> dict[str, str]:
    return {
        "line1": address.line,
        "line2": address.district,
        "city": address.city,
        "region": address.region,
        "country": address.country,
    }


def _method(name: str) -> str:
    return _METHODS.get(name, "card")


def _yuan(price: Decimal) -> str:
    return format_money(cents(price), "CNY")


def _days(period: str) -> tuple[date, date] | None:
    """The first and last day of a period like "2025年5月24日-6月18日"; None if it is written in another way."""
    found = re.fullmatch(r"(\d{4})年(\d{1,2})月(\d{1,2})日\s*[-—~至]\s*(?:(\d{4})年)?(\d{1,2})月(\d{1,2})日", period)
    if not found:
        return None
    year, month, day, last_year, last_month, last_day = (int(number) if number else 0 for number in found.groups())
    try:
        return date(year, month, day), date(last_year or year, last_month, last_day)
    except ValueError:
        return None


def _listed(entries: Iterator[str]) -> str:
    return "；".join(entry.rstrip("。；：") for entry in entries)


def _where(path: Path, *keys: str) -> str:
    return f"{path.name}:{_printable('/'.join(keys)):.100}" if keys else path.name


def _printable(text: str) -> str:
    """The text with half characters, which JSON can hold and a file cannot, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _located(where: str, record: Product | Customer | Order | Clause | Rejected) -> Located | Rejected:
    return record if isinstance(record, Rejected) else Located(where, record)


_SECTIONS = {"order": "订单", "return": "退货", "exchange": "换货", "ecard": "京东E卡", "cashback": "晒单返现"}
_TOPICS = {"order": "orders", "return": "returns", "exchange": "exchanges", "ecard": "payment", "cashback": "cashback"}
_OPERATIONS = {
    "查询": "query",
    "取消": "cancel",
    "修改": "change",
    "增加": "place",
    "换货": "swap",
    "余额使用": "pay",
    "退款": "refund",
}
_OPERATION_TOPICS = {"cancel": "cancellations", "change": "changes", "refund": "refunds"}
_RULE = re.compile("仅|只有|均可|允许|退")
_RULE_IN_PROCEDURE = re.compile("退还|用户提供|截图的内容|才可以触发")
"""Of the agent's procedures only where money goes and what a customer must show is for customers."""


def _read_policy(path: Path) -> Iterator[Entry]:
    """A clause a rule of a `- manage_…` section, called after section and operation: "order-cancel-1".

    Rules are the sentences below 支持操作, and those below 操作逻辑 that tell a customer where money goes or what to show; the
    rest tells the agent how to work and is noted once a block.
    """
    section = operation = label = ""
    in_procedure = False
    block = path.name
    left: list[tuple[str, str]] = []
    numbers: Counter[str] = Counter()
    for where, line in read_lines(path):
        if isinstance(line, Rejected):
            yield line
            continue
        text = re.sub(r"^(?:[-*]\s*)?(?:\d+\.\s*)?", "", line)
        if line.startswith("#"):
            section, block = "", line.lstrip("# ")
            continue
        if name := re.fullmatch(r"(?:manage|register)_([a-z]+)\w*", text):
            section, block, operation, label = name[1], text, "", ""
            continue
        if text.startswith(("支持操作", "操作逻辑")):
            in_procedure, operation, label = text.startswith("操作逻辑"), "", ""
            continue
        if section and (found := re.match(r"(\w{2,4})(?:（[^）]*）)?：", text)):
            label, text = found[1], text[found.end() :]
            operation = _OPERATIONS.get(label, "")
        if not text:
            continue
        if not section or not _is_rule(text, in_procedure=in_procedure):
            left.append((block, where))
            continue
        stem = f"{section}-{operation}" if operation else section
        numbers[stem] += 1
        title = _SECTIONS.get(section, section)
        record = {
            "id": f"{stem}-{numbers[stem]}",
            "kind": "policy",
            "topic": _OPERATION_TOPICS.get(operation, _TOPICS.get(section, "general")),
            "title": {"zh": f"{title}：{label}" if label and label != title else title},
            "text": {"zh": _for_customers(text)},
        }
        yield _located(where, check(where, Clause, record))
    for block, lines in groupby(left, key=lambda pair: pair[0]):
        places = [where for _, where in lines]
        yield Note(places[0], f"what '{block}' tells the agent to do is no rule for customers: left out (lines: {len(places)})")


def _is_rule(text: str, *, in_procedure: bool) -> bool:
    if in_procedure:
        return bool(_RULE_IN_PROCEDURE.search(text)) and not text.startswith("你")
    return text.endswith("。") and bool(_RULE.search(text))


def _for_customers(text: str) -> str:
    """The rule without the agent's own steps: "则必须调用manage_ecard工具进行将金额退还" is "则将金额退还" to a customer."""
    steps = r"(?:需要|必须)?调用(?:该|\w+?)工具|用于给顾客下单，|(?:必须先查询|检查)[^，]*，"
    return re.sub(steps, "", text).replace("进行将", "将").rstrip("。") + "。"
