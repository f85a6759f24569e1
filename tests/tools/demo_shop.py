"""The demo shop's records in memory, without an import, an index or an encoder; a test may add orders and reviews."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import yaml

from tools.catalog.vocabulary import Vocabulary
from tools.kit.facts import Facts
from tools.kit.tool import ToolContext
from tools.shop.types import Clause, Customer, Language, Order, Product, Review, ShopInfo, SizeChart

DEMO = Path(__file__).resolve().parents[2] / "tools" / "shop" / "demo"


def _lines(name: str) -> list[str]:
    return (DEMO / name).read_text("utf-8").splitlines()


class DemoShop:
    """A Shop over the demo's files."""

    def __init__(self) -> None:
        self.info = ShopInfo.model_validate(yaml.safe_load((DEMO / "shop.yaml").read_text("utf-8")))
        self.stocked = {product.id: product for product in map(Product.model_validate_json, _lines("products.jsonl"))}
        self.charts = [SizeChart.model_validate_json(line) for line in _lines("size_charts.jsonl")]
        self.orders = [Order.model_validate_json(line) for line in _lines("orders.jsonl")]
        self.reviews = [Review.model_validate_json(line) for line in _lines("reviews.jsonl")]

    def products(self) -> Iterator[Product]:
        yield from self.stocked.values()

    def product(self, product_id: str) -> Product | None:
        return self.stocked.get(product_id)

    def option_values(self, name: str) -> frozenset[str]:
        return frozenset(v.options[name] for p in self.stocked.values() for v in p.variants if name in v.options)

    def clauses(self, on: date) -> list[Clause]:
        return []

    def all_clauses(self) -> list[Clause]:
        return []

    def customer(self, customer_id: str) -> Customer | None:
        return None

    def orders_of(self, customer_id: str) -> list[Order]:
        return [order for order in self.orders if order.customer_id == customer_id]

    def size_charts(self) -> list[SizeChart]:
        return self.charts

    def reviews_of(self, product_id: str) -> list[Review]:
        return [review for review in self.reviews if review.product_id == product_id]

    def change(self, product_id: str, **values: object) -> None:
        self.stocked[product_id] = self.stocked[product_id].model_copy(update=values)


class WordCatalog:
    """Search by shared words: enough to find a product that is named."""

    def __init__(self, shop: DemoShop) -> None:
        self._shop = shop

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.of(cast(Any, self._shop))

    def search(self, text: str, language: Language, filters: object, limit: int, photo: object = None) -> list[Any]:
        lowered = text.lower()
        scores = {
            product.id: sum(word in lowered for title in product.title.all() for word in _words(title))
            for product in self._shop.products()
        }
        found = sorted((each for each in scores if scores[each]), key=lambda each: -scores[each])
        return [SimpleNamespace(id=each, score=1.0) for each in found[:limit]]


def _words(title: str) -> list[str]:
    return title.lower().split() if title.isascii() else [title[at : at + 2] for at in range(len(title) - 1)]


def ask(tool: Any, shop: DemoShop, said: str, *, language: Language = "en", **more: Any) -> Facts:
    """What a tool answers; `more` are its arguments and whatever of the context is not the default."""
    context_names = {"customer_id", "earlier", "shown", "rest"}
    context = ToolContext(
        shop=cast(Any, shop),
        catalog=cast(Any, WordCatalog(shop)),
        clock=lambda: datetime(2026, 11, 20, 12, tzinfo=UTC),
        language=language,
        said=said,
        **{"customer_id": None, **{name: value for name, value in more.items() if name in context_names}},
    )
    arguments = {name: value for name, value in more.items() if name not in context_names}
    _, artifact = tool.func(runtime=SimpleNamespace(context=context), **arguments)
    return Facts.model_validate(json.loads(json.dumps(artifact)))
