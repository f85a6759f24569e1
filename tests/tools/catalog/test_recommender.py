"""The recommender learns from baskets: what goes together, what is bought again, what is popular, and says truly why."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tools.catalog.recommender import Recommender
from tools.shop.types import Basket

START = datetime(2026, 1, 1, tzinfo=UTC)


def baskets(*rows: tuple[str | None, int, str]) -> list[Basket]:
    """Baskets of (customer, day, products in one word each)."""
    return [
        Basket(id=f"b{number}", customer_id=who, placed_at=START + timedelta(days=day), product_ids=tuple(what.split()))
        for number, (who, day, what) in enumerate(rows)
    ]


# Everybody buys bread; tea and cups go together; whoever bought coffee buys it again.
PAST = baskets(
    *((f"t{n}", n, "tea cup bread") for n in range(12)),
    *((f"l{n}", n, "lamp bread") for n in range(12)),
    *((f"l{n}", 20 + n + day, "towel bread") for n in range(12) for day in range(6)),
    *((f"c{n}", day, "coffee") for n in range(6) for day in (1, 8, 15, 22)),
    *((None, n, "bread") for n in range(60)),
    (None, 400, "scarf"),
    (None, 401, "scarf"),
)


def ids(found: Sequence[object]) -> list[str]:
    return [each.product_id for each in found]  # type: ignore[attr-defined]


def test_what_goes_with_a_product_is_more_than_what_everybody_buys() -> None:
    first = Recommender(PAST).bought_with("tea", 5)[0]
    assert (first.product_id, first.why, first.count, first.of) == ("cup", "together", 12, "tea")


def test_what_is_looked_at_leads_to_what_goes_with_it_with_a_count_that_is_true() -> None:
    first = Recommender(PAST).suggest((), ["cup"], limit=3)[0]
    assert (first.product_id, first.why, first.count, first.of) == ("tea", "together", 12, "cup")


def test_what_is_looked_at_or_left_out_is_not_suggested() -> None:
    assert {"cup", "tea"}.isdisjoint(ids(Recommender(PAST).suggest((), ["cup"], limit=9, without=["tea"])))


def test_without_any_knowledge_it_is_what_is_popular_lately() -> None:
    first = Recommender(PAST).suggest((), limit=1)[0]
    assert (first.product_id, first.why, first.count) == ("scarf", "popular", 2)


def test_consumables_come_again_and_lamps_do_not() -> None:
    learnt = Recommender(PAST)
    assert learnt.again_lift("coffee") > 3 > learnt.again_lift("lamp")
    mine = baskets(("me", 30, "coffee lamp"), ("me", 40, "coffee"))
    first = learnt.suggest(mine, limit=1)[0]
    assert (first.product_id, first.why, first.count) == ("coffee", "again", 2)


def test_a_product_nobody_bought_is_found_by_what_it_is_like() -> None:
    learnt = Recommender(PAST, ["herbal"])
    found = learnt.suggest((), ["lamp"], limit=9, alike=lambda each: ["herbal"] if each == "lamp" else [])
    herbal = next(each for each in found if each.product_id == "herbal")
    assert (herbal.why, herbal.of) == ("alike", "lamp")


def test_preferences_follow_the_history_and_leave_the_rest_in_its_order() -> None:
    mine = baskets(("me", 30, "tea"))
    found = Recommender(PAST).preferences(mine, ["unheard", "lamp", "cup", "coffee"])
    assert ids(found)[0] == "cup"
    assert found[-1].score <= found[0].score
    assert ids(Recommender(PAST).preferences((), ["lamp", "unheard", "cup"])) == ["lamp", "unheard", "cup"]


def test_a_shop_without_baskets_has_nothing_to_tell() -> None:
    learnt = Recommender((), ["tea"])
    assert learnt.bought_with("tea", 3) == []
    assert [each.count for each in learnt.suggest((), limit=3)] == [0]
    assert Recommender(()).suggest((), limit=3) == []


def test_baskets_without_days_and_customers_are_learnt_from_too() -> None:
    plain = [Basket(id=f"b{n}", product_ids=("tea", "cup") if n % 3 else ("lamp",)) for n in range(9)]
    assert Recommender(plain).bought_with("tea", 1)[0].count == 6
    assert Recommender(plain).last_day is None
