"""Recommending: truthful reasons, nothing sent back or just bought, no three of one kind, in the customer's language."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from demo_shop import DEMO, DemoShop

from tools.kit.facts import Facts
from tools.kit.preferences import ranked_by_history, recommender_of
from tools.kit.tool import ToolContext
from tools.recommend_products import recommend_products
from tools.shop.types import Basket, Order

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ANN, BOOTS, SOCKS, POLES = "ann", "p096", "p123", "p130"


class Shop(DemoShop):
    """The demo's products with baskets of the test's, and nothing ever sent back through the ledger."""

    import_id = "1"

    def __init__(self) -> None:
        super().__init__()
        self.sold = [self.basket(n, 100, BOOTS, SOCKS) for n in range(7)] + [self.basket(n, 300, "p010") for n in range(20, 60)]
        self.sold.append(self.basket(99, 1, "p020"))
        self.ledger = SimpleNamespace(done=lambda order_id: [])
        self.orders: list[Order] = []

    @staticmethod
    def basket(number: int, days_ago: int, *product_ids: str, who: str | None = None) -> Basket:
        return Basket(id=f"b{number}", product_ids=product_ids, customer_id=who, placed_at=NOW - timedelta(days=days_ago))

    def baskets(self, customer_id: str | None = None) -> list[Basket]:
        return [each for each in self.sold if customer_id in (None, each.customer_id)]

    def order(self, product_id: str, days_ago: int, status: str = "delivered") -> None:
        line = (DEMO / "orders.jsonl").read_text("utf-8").splitlines()[0]
        order = Order.model_validate_json(line)
        item = order.items[0].model_copy(update={"product_id": product_id, "variant_id": product_id})
        placed = NOW - timedelta(days=days_ago)
        changed = {"customer_id": ANN, "items": (item,), "placed_at": placed, "status": status, "id": f"o{len(self.orders)}"}
        self.orders.append(order.model_copy(update=changed))


@pytest.fixture
def shop() -> Shop:
    return Shop()


def context(shop: Shop, said: str, language: str = "en", who: str | None = ANN, shown: tuple[str, ...] = ()) -> ToolContext:
    catalog = SimpleNamespace(like=lambda product_id, filters, limit: [], search=lambda *_: [])
    return ToolContext(
        shop=cast(Any, shop), catalog=cast(Any, catalog), clock=lambda: NOW, language=cast(Any, language),
        customer_id=who, said=said, shown=shown,
    )  # fmt: skip


def ask(shop: Shop, said: str, kind: str = "similar", **more: Any) -> Facts:
    _, artifact = cast(Any, recommend_products).func(runtime=SimpleNamespace(context=context(shop, said, **more)), kind=kind)
    return Facts.model_validate(artifact)


def test_what_goes_with_a_product_is_told_with_the_true_number_of_orders(shop: Shop) -> None:
    facts = ask(shop, "what goes with it?", "bought_together", shown=(BOOTS,))
    assert facts.product_ids == (SOCKS,)
    assert f"bought together with {shop.stocked[BOOTS].title.en} in 7 orders" in facts.facts[0].text


def test_for_me_starts_from_what_was_bought_in_the_customers_language(shop: Shop) -> None:
    shop.order(BOOTS, days_ago=60)
    found = ask(shop, "给我推荐点东西", language="zh")
    assert SOCKS in found.product_ids
    title = shop.stocked[BOOTS].title.zh
    assert any(f"有 7 个订单把它和您买过的{title}一起买了" in fact.text for fact in found.facts)


def test_a_list_with_something_merely_popular_does_not_claim_to_follow_the_history(shop: Shop) -> None:
    shop.order(BOOTS, days_ago=60)
    mixed = ask(shop, "recommend something for me")
    assert any("popular" in fact.text for fact in mixed.facts)
    assert mixed.facts[0].text == "These may be for you."


def test_what_was_bought_a_short_while_ago_is_not_suggested(shop: Shop) -> None:
    shop.order(BOOTS, days_ago=60)
    shop.order(SOCKS, days_ago=3)
    assert not {BOOTS, SOCKS} & set(ask(shop, "recommend something for me").product_ids)


@pytest.mark.parametrize("status", ["returned", "return_requested"])
def test_what_was_sent_back_is_never_suggested(shop: Shop, status: str) -> None:
    shop.order(BOOTS, days_ago=60)
    shop.order(SOCKS, days_ago=300, status=status)
    assert SOCKS not in ask(shop, "recommend something for me").product_ids
    assert ask(shop, "what goes with it?", "bought_together", shown=(BOOTS,)).outcome == "nothing_found"


def test_what_is_sold_out_is_not_suggested(shop: Shop) -> None:
    sold_out = tuple(variant.model_copy(update={"stock": 0}) for variant in shop.stocked[SOCKS].variants)
    shop.change(SOCKS, variants=sold_out)
    assert ask(shop, "what goes with it?", "bought_together", shown=(BOOTS,)).outcome == "nothing_found"


def test_a_visitor_is_told_what_is_popular_and_no_three_of_one_kind(shop: Shop) -> None:
    one_kind = [each.id for each in shop.stocked.values() if each.category == shop.stocked["p010"].category][:4]
    shop.sold = [shop.basket(n, 2, product) for n, product in enumerate([*one_kind * 3, POLES])]
    facts = ask(shop, "what is popular?", who=None)
    kinds = [shop.stocked[each].category for each in facts.product_ids]
    assert len(kinds) == 3
    assert max(kinds.count(kind) for kind in kinds) == 2
    assert "in 3 orders of the 30 days up to" in facts.facts[1].text


def test_search_results_follow_what_the_customer_bought(shop: Shop) -> None:
    found = ["p001", SOCKS, "p002"]
    assert ranked_by_history(context(shop, "", who=None), found) == [(each, "") for each in found]
    shop.order(BOOTS, days_ago=60)
    ranked = ranked_by_history(context(shop, ""), found)
    assert [each for each, _ in ranked] == [SOCKS, "p001", "p002"]
    assert "which you bought" in ranked[0][1]
    assert ranked[1][1] == ""


def test_a_new_import_is_learnt_from_at_once(shop: Shop) -> None:
    before = recommender_of(cast(Any, shop))
    assert recommender_of(cast(Any, shop)) is before
    shop.sold, shop.import_id = [*shop.sold[7:], *[shop.basket(1, 1, BOOTS, POLES)] * 3], "2"
    assert recommender_of(cast(Any, shop)).bought_with(BOOTS, 1)[0].product_id == POLES
