"""Reads a catalogue in litemall's form: goods.jsonl and, where there is one, faq.jsonl.

Sums are yuan. Pictures are addresses on another's server and customers' comments are no record of ours: both are left out, and
so are coupons. Answers that the source cut short are taken over as they are, with a note.
Source: github.com/linlinjava/litemall, litemall-db/sql.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, Field

from tools.shop.importers.source import (
    Entry,
    Located,
    Note,
    Price,
    Rejected,
    cents,
    check,
    check_json,
    read_lines,
    required_file,
)
from tools.shop.types import Clause, Id, LocalText, Product, ShopInfo, Text

_OUR_NAMES = {"颜色": "color", "尺码": "size", "尺寸": "size"}
_PLACEHOLDER = ["标准"]
_TOPICS = (("运费", "shipping"), ("快递", "shipping"), ("退货", "returns"), ("退款", "refunds"), ("发票", "invoices"))


class _Sku(BaseModel):
    specs: tuple[str, ...]
    price: Price
    stock: int = Field(ge=0)


class _Goods(BaseModel):
    id: Id
    name: Text
    brief: Text = ""
    category: tuple[str, ...] = Field(min_length=1)
    brand: str | None = None
    keywords: str = ""
    attributes: dict[str, Text] = {}
    specifications: dict[str, list[str]] = {}
    skus: tuple[_Sku, ...] = Field(min_length=1)


class _Faq(BaseModel):
    id: Id
    question: Text
    answer: Text


def read(source: Path) -> Iterator[Entry]:
    """Read a folder with goods.jsonl and perhaps faq.jsonl."""
    goods_file = required_file(source, "goods.jsonl")
    info = ShopInfo(
        name=LocalText(zh="litemall 家居", en="litemall home goods"),
        currency="CNY",
        timezone="Asia/Shanghai",
        words={"color": LocalText(en="color", zh="颜色"), "size": LocalText(en="size", zh="尺寸")},
    )
    yield Located("goods.jsonl", info)
    yield Note("goods.jsonl", "picture addresses and customers' comments are left out")
    for where, line in read_lines(goods_file):
        goods = line if isinstance(line, Rejected) else check_json(where, _Goods, line)
        product = goods if isinstance(goods, Rejected) else _product(where, goods)
        yield product if isinstance(product, Rejected) else Located(where, product)
    if (source / "faq.jsonl").is_file():
        for where, line in read_lines(source / "faq.jsonl"):
            faq = line if isinstance(line, Rejected) else check_json(where, _Faq, line)
            clause = faq if isinstance(faq, Rejected) else _clause(where, faq)
            yield clause if isinstance(clause, Rejected) else Located(where, clause)
            if isinstance(faq, _Faq) and not faq.answer.endswith(("。", "！", "？", ".", "!", "?")):
                yield Note(where, "the answer is cut short in the source")
    if (source / "coupons.jsonl").is_file():
        yield Note("coupons.jsonl", "coupons are left out")


def _product(where: str, goods: _Goods) -> Product | Rejected:
    names = [_OUR_NAMES.get(name, name) for name in goods.specifications]
    # A single "标准" (standard) only says that there is nothing to choose.
    choices = [values != _PLACEHOLDER for values in goods.specifications.values()]
    variants = []
    for number, sku in enumerate(goods.skus, start=1):
        if len(sku.specs) != len(names):
            return Rejected(where, f"skus.{number - 1}.specs: {len(sku.specs)} values for {len(names)} specifications")
        options = {name: value for name, value, chosen in zip(names, sku.specs, choices, strict=True) if chosen}
        variants.append({"id": f"{goods.id}-{number}", "options": options, "price_cents": cents(sku.price), "stock": sku.stock})
    record = {
        "id": goods.id,
        "title": {"zh": goods.name},
        "description": {"zh": goods.brief} if goods.brief else None,
        "category": {"zh": " / ".join(goods.category)},
        "brand": goods.brand,
        "attributes": {name: {"zh": value} for name, value in goods.attributes.items() if value},
        "keywords": [word for word in re.split(r"[,，、\s]+", goods.keywords) if word],
        "variants": variants,
    }
    return check(where, Product, record)


def _clause(where: str, faq: _Faq) -> Clause | Rejected:
    record = {
        "id": f"FAQ-{faq.id}",
        "kind": "faq",
        "topic": next((topic for word, topic in _TOPICS if word in faq.question), "general"),
        "title": {"zh": faq.question},
        "text": {"zh": faq.answer},
        "questions": [faq.question],
    }
    return check(where, Clause, record)
