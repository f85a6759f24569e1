"""Cards: products, quotes and sources as a front end shows them, made by code from the shop and the turn's facts, never by a model."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote as url_quote
from zoneinfo import ZoneInfo

from agent.events import Step, Turn
from tools.catalog.catalog import Catalog
from tools.kit.clock import Clock
from tools.kit.facts import Fact
from tools.kit.phrases import phrase
from tools.kit.products import price_text, product_fact
from tools.kit.tool import ToolContext
from tools.shop.quotes import Quote
from tools.shop.shop import Shop
from tools.shop.types import Language, Product, format_money

SHOWING = frozenset({"search_products", "identify_product", "recommend_products"})
"""Tools whose products become cards; others speak of products that the customer has."""


class Cards:
    """Makes the cards of one shop."""

    def __init__(self, shop: Shop, catalog: Catalog, clock: Clock, product_url: str) -> None:
        self._shop, self._catalog, self._clock, self._product_url = shop, catalog, clock, product_url

    def products(self, steps: Iterable[Step], language: Language) -> list[dict[str, Any]]:
        """The products that these steps show, in their order, with the price and stock of this moment."""
        facts: dict[str, list[Fact]] = {}
        for step in steps:
            if step.tool in SHOWING:
                for product_id in step.product_ids:
                    facts.setdefault(product_id, []).extend(
                        fact for fact in step.facts if fact.source == f"product:{product_id}"
                    )
        return [
            self.product(product, language, told)
            for product_id, told in facts.items()
            if (product := self._shop.product(product_id))
        ]

    def product(self, product: Product, language: Language, told: Iterable[Fact] = ()) -> dict[str, Any]:
        """One product. `told` are the turn's facts of it: why it is shown stands at the end of the first."""
        context = ToolContext(
            shop=self._shop, catalog=self._catalog, clock=self._clock, language=language, customer_id=None, said=""
        )
        plain = product_fact(context, product).text
        why = next((fact.text.removeprefix(plain).strip() for fact in told if fact.text.startswith(plain)), "")
        buyable = tuple(variant for variant in product.variants if variant.in_stock)
        currency = self._shop.info.currency
        amount = min((each.price_cents for each in buyable or product.variants if each.price_cents is not None), default=None)
        return {
            "id": product.id,
            "title": product.title.in_language(language),
            "price": {"amount": amount, "currency": currency, "text": price_text(context, buyable or product.variants)},
            "picture": f"/pictures/{url_quote(product.pictures[0])}" if product.pictures else None,
            "inStock": bool(buyable),
            "stock": phrase("card_in_stock" if buyable else "card_sold_out", language),
            "why": why or None,
            "url": self._product_url.replace("{id}", url_quote(product.id, safe="")) if self._product_url else None,
        }

    def quote(self, quote: Quote, steps: Iterable[Step], language: Language) -> dict[str, Any]:
        """A quote that waits for a yes; its lines are the facts that tell it."""
        lines = [fact.text for step in steps for fact in step.facts if fact.source == f"quote:{quote.id}"]
        zone = ZoneInfo(self._shop.info.timezone)
        title, *rest = lines or [phrase(f"quote_{quote.kind}", language, order=quote.request.order_id or "")]
        total = {
            "amount": quote.total_cents,
            "currency": quote.currency,
            "text": format_money(abs(quote.total_cents), quote.currency),
        }
        return {
            "id": quote.id,
            "kind": quote.kind,
            "title": title.rstrip(":："),
            "lines": rest,
            "total": total if quote.moves else None,
            "clauses": list(quote.clauses),
            "validUntil": quote.valid_until.isoformat(),
            # As the reply says it, in the shop's time: a card that tells the customer's own time replaces it.
            "validText": phrase("quote_valid", language, until=f"{quote.valid_until.astimezone(zone):%H:%M}"),
        }

    def sources(self, turn: Turn) -> list[dict[str, str]]:
        """What the turn's facts come from, and the rules that its quote rests on."""
        named = dict.fromkeys(fact.source for step in turn.steps for fact in step.facts)
        named.update(dict.fromkeys(f"clause:{clause}" for clause in turn.quote.clauses) if turn.quote else {})
        return [source for each in named if (source := self._source(each, turn.language))]

    def _source(self, name: str, language: Language) -> dict[str, str] | None:
        kind, _, record = name.partition(":")
        if kind == "clause" and (clause := self._shop.clause(record)):
            is_faq = clause.kind == "faq"
            return {"id": record, "kind": "faq" if is_faq else "clause", "title": clause.title.in_language(language)}
        if kind == "product" and (product := self._shop.product(record)):
            return {"id": record, "kind": "product", "title": product.title.in_language(language)}
        if kind == "order" and record:
            return {"id": record, "kind": "order", "title": phrase("card_order", language, order=record)}
        return None
