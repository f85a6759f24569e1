"""What this customer bought, sent back and may like: the recommender with the shop, the session and the language around it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from weakref import WeakKeyDictionary

from tools.catalog.index import NO_FILTERS
from tools.catalog.ranking import worth_by_rank
from tools.catalog.recommender import LIKE_COUNTED, POPULAR_DAYS, Recommender, Suggestion
from tools.kit.aftersales import day_text
from tools.kit.tool import ToolContext
from tools.shop.quotes import kept_units
from tools.shop.shop import Shop
from tools.shop.types import Basket, Order, Product

JUST_BOUGHT = timedelta(days=30)
"""For so long nothing that was bought is suggested again."""
BOUGHT_ONCE = 3.0
"""Whoever bought a product is offered it again only if its buyers are so many times likelier to buy it than others are."""
_OLDEST = datetime.min.replace(tzinfo=UTC)


_learnt: WeakKeyDictionary[Shop, tuple[str, Recommender]] = WeakKeyDictionary()


def recommender_of(shop: Shop) -> Recommender:
    """What the shop's baskets teach; learnt at the first call, and again after an import."""
    now = shop.import_id
    kept = _learnt.get(shop)
    if kept is None or kept[0] != now:
        kept = _learnt[shop] = (now, Recommender(shop.baskets(), (product.id for product in shop.products())))
    return kept[1]


def own_baskets(context: ToolContext) -> list[Basket]:
    """What the customer bought and kept, the latest last; () for a visitor. An order that is a past basket too counts once."""
    if context.customer_id is None:
        return []
    baskets: dict[tuple[object, frozenset[str]], Basket] = {}
    orders = context.shop.orders_of(context.customer_id)
    left = {_purchase(order.placed_at, _ordered(order)) for order in orders if order.status == "cancelled"}
    gone = sent_back(context)
    for basket in context.shop.baskets(context.customer_id):
        baskets[_purchase(basket.placed_at, basket.product_ids)] = basket
    for order in orders:
        bought = Basket(id=order.id, product_ids=_ordered(order), customer_id=order.customer_id, placed_at=order.placed_at)
        baskets[_purchase(order.placed_at, bought.product_ids)] = bought
    kept = [
        basket.model_copy(update={"product_ids": products})
        for purchase, basket in baskets.items()
        if purchase not in left and (products := tuple(each for each in basket.product_ids if each not in gone))
    ]
    return sorted(kept, key=lambda basket: (basket.placed_at or _OLDEST, basket.id))


def sent_back(context: ToolContext) -> frozenset[str]:
    """The products of which this customer returned all of some order, or is about to; an exchange is no return."""
    gone: set[str] = set()
    for order in context.shop.orders_of(context.customer_id) if context.customer_id else ():
        returns = [quote for quote in context.shop.ledger.done(order.id) if quote.kind == "return"]
        if returns:
            kept = kept_units(order, returns)
            gone |= {item.product_id for item in order.items if kept[item.variant_id] <= 0}
        elif order.status in ("returned", "return_requested"):
            gone |= set(_ordered(order))
    return frozenset(gone)


def not_again(context: ToolContext, own: Sequence[Basket]) -> frozenset[str]:
    """What not to suggest: sent back, bought a short while ago, or bought already and of a kind that one buys once."""
    learnt = recommender_of(context.shop)
    since = context.clock() - JUST_BOUGHT
    once = {
        each
        for basket in own
        for each in basket.product_ids
        if (basket.placed_at and basket.placed_at > since) or learnt.again_lift(each) < BOUGHT_ONCE
    }
    return sent_back(context) | once


def suggestions(context: ToolContext, limit: int, *, personal: bool = True) -> list[Suggestion]:
    """What this customer may want next, best first, by what they bought and were shown; not `personal`: what is popular.

    Stock and price are not looked at yet.
    """
    own = own_baskets(context)
    without = not_again(context, own)
    learnt = recommender_of(context.shop)
    if not personal:
        return learnt.suggest((), limit=limit, without=without)
    return learnt.suggest(own, context.shown, limit=limit, without=without, alike=lambda each: alike(context, each))


def ranked_by_history(context: ToolContext, product_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Products that all fit what was asked, best first, ranked anew by what the customer bought: (id, reason or "").

    The order in which they come and the order by the history count the same (fused by rank), so what was bought before decides
    between products that fit alike. For a visitor, and for a customer without purchases, the order stays and no reason is told.
    """
    own = own_baskets(context)
    if not own:
        return [(product_id, "") for product_id in product_ids]
    liked = recommender_of(context.shop).preferences(own, product_ids, lambda each: alike(context, each))
    gone = not_again(context, own)
    liked = [each for each in liked if each.score > 0 and each.product_id not in gone]
    worth = worth_by_rank(product_ids, (each.product_id for each in liked))
    reasons = {each.product_id: because_text(context, each, own) for each in liked if each.why != "popular"}
    return [(each, reasons.get(each, "")) for each in sorted(product_ids, key=lambda each: -worth[each])]


def alike(context: ToolContext, product_id: str) -> list[str]:
    """The products most like one, by text and picture, best first."""
    return [hit.id for hit in context.catalog.like(product_id, NO_FILTERS, LIKE_COUNTED)]


def because_text(context: ToolContext, suggestion: Suggestion, own: Sequence[Basket] = ()) -> str:
    """Why a product is suggested, in the customer's language; `own` tells which products are the customer's."""
    of = context.shop.product(suggestion.of) if suggestion.of else None
    title = of.title.in_language(context.language) if of else ""
    whose = "yours" if any(suggestion.of in basket.product_ids for basket in own) else "seen"
    many = "one" if suggestion.count == 1 else "many"
    match suggestion.why:
        case "popular":
            last = recommender_of(context.shop).last_day
            if not suggestion.count:
                return ""
            if last is None:
                return context.phrase(f"because_sold_{many}", count=suggestion.count)
            day = day_text(context, last)
            return context.phrase(f"because_popular_{many}", count=suggestion.count, days=POPULAR_DAYS, day=day)
        case "again":
            return context.phrase(f"because_again_{many}", count=suggestion.count)
        case "together" | "also":
            return context.phrase(f"because_{suggestion.why}_{whose}_{many}", title=title, count=suggestion.count)
        case "alike":
            return context.phrase(f"because_alike_{whose}", title=title)


def varied(products: Iterable[tuple[Product, str]], limit: int, of_a_kind: int = 2) -> list[tuple[Product, str]]:
    """The first `limit` products of which no more than `of_a_kind` are of one category."""
    chosen: list[tuple[Product, str]] = []
    for product, because in products:
        if len(chosen) == limit:
            break
        if sum(each.category == product.category for each, _ in chosen) < of_a_kind:
            chosen.append((product, because))
    return chosen


def _ordered(order: Order) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.product_id for item in order.items))


def _purchase(placed_at: datetime | None, products: Sequence[str]) -> tuple[object, frozenset[str]]:
    return placed_at.astimezone(UTC).date() if placed_at else None, frozenset(products)
