"""Recommend products: like one the customer saw, what goes with it, or what this customer may want next; each with its reason."""

from itertools import islice
from typing import Annotated, Literal

from pydantic import Field

from tools.catalog.index import Filters
from tools.catalog.recommender import Suggestion
from tools.kit.answers import wants_cheaper, wants_for_me, wants_like_it, wants_popular, wants_to_go_with
from tools.kit.facts import Fact, Facts
from tools.kit.preferences import alike, because_text, own_baskets, recommender_of, sent_back, suggestions, varied
from tools.kit.products import product_fact, product_list
from tools.kit.reading import matching_variants, price_limits
from tools.kit.tool import Runtime, ToolContext, customer_tool
from tools.search_products import named_product, shown_product
from tools.shop.types import Product, format_money

SHOWN_AT_ONCE = 3
CANDIDATES = 40
LIKE_IT = 3
"""Of so many products most like one that nobody bought yet it is told what they were bought with."""


@customer_tool
def recommend_products(
    runtime: Runtime,
    kind: Annotated[
        Literal["similar", "bought_together", "for_me"],
        Field(description="like the product, what goes with it, or anything this customer may want"),
    ] = "similar",
    product: Annotated[
        str | None, Field(description="number or name of the product it should go with or be like", max_length=100)
    ] = None,
    cheaper: Annotated[bool, Field(description="only cheaper ones")] = False,
) -> Facts:
    """Suggest products like one seen before (similar, cheaper), what goes with it, or what suits this customer or is popular."""
    context = runtime.context
    if kind != "bought_together" and _is_for_me(context, asked=kind == "for_me"):
        return _for_me(context)
    start, why = _starting_point(context, product)
    if start is None:
        return context.refuse("recommend_what", "catalogue")
    if kind == "bought_together":
        found = _bought_together(context, start)
        if not found:
            return context.refuse("bought_alone", f"product:{start.id}", title=start.title.in_language(context.language))
    else:
        found = _similar(context, start, cheaper=cheaper)
        if not found:
            key = "nothing_cheaper" if cheaper else "nothing_similar"
            return context.refuse(key, f"product:{start.id}", title=start.title.in_language(context.language))
    facts = [product_fact(context, candidate, because) for candidate, because in found]
    return product_list(context, why, facts, [candidate.id for candidate, _ in found])


def _is_for_me(context: ToolContext, *, asked: bool) -> bool:
    """Whether no product is meant to start from: the customer asks for anything that suits them, or that is popular."""
    said = context.said
    if context.photo is not None or wants_like_it(said) or wants_cheaper(said) or wants_to_go_with(said):
        return False
    return asked or wants_popular(said) or wants_for_me(said)


def _for_me(context: ToolContext) -> Facts:
    """What this customer may want next, or what is popular where that is asked or nothing is known of them."""
    personal = not wants_popular(context.said)
    own = own_baskets(context) if personal else []
    suggested = suggestions(context, CANDIDATES, personal=personal)
    found = (
        (candidate, because)
        for each in suggested
        if (candidate := _buyable(context, each.product_id)) and (because := because_text(context, each, own))
    )
    chosen = varied(found, SHOWN_AT_ONCE)
    if not chosen:
        return context.refuse("recommend_what", "catalogue")
    popular = {each.product_id for each in suggested if each.why == "popular"}
    # "Going by what you bought" must be true of every product in the list.
    by_history = bool(own) and not any(candidate.id in popular for candidate, _ in chosen)
    opening = [Fact(text=context.phrase("for_you" if by_history else "for_anybody"), source="catalogue")]
    facts = [product_fact(context, candidate, because) for candidate, because in chosen]
    return product_list(context, opening, facts, [candidate.id for candidate, _ in chosen])


def _buyable(context: ToolContext, product_id: str) -> Product | None:
    """The product, if a variant as the message asks can be bought now."""
    product = context.shop.product(product_id)
    return product if product and _is_buyable(context, product) else None


def _is_buyable(context: ToolContext, product: Product) -> bool:
    """Whether a variant as the message asks (colour, size, price) can be bought now."""
    low, high = price_limits(context.said)
    for variant in matching_variants(product, context.said, context.shop):
        price = variant.price_cents
        within = (low is None or (price is not None and price >= low)) and (
            high is None or (price is not None and price <= high)
        )
        if variant.in_stock and within:
            return True
    return False


def _starting_point(context: ToolContext, named: str | None) -> tuple[Product | None, tuple[Fact, ...]]:
    """Start from the one in the photo, meant or named, the first shown, the nearest to the words, or the last one bought."""
    if context.photo is not None and (hits := context.catalog.identify(context.photo, 1)):
        return context.shop.product(hits[0].id), ()
    if meant := shown_product(context, named):
        return meant, ()
    if context.shown and (called := named_product(context)):
        return called, ()
    if context.shown and (not named or named.strip().lstrip("#").isdigit()):
        return context.shop.product(context.shown[0]), ()
    if named and (hits := context.catalog.search(named, context.language, Filters(), 1)):
        return context.shop.product(hits[0].id), ()
    if context.shown:
        return context.shop.product(context.shown[0]), ()
    for order in context.shop.orders_of(context.customer_id) if context.customer_id else ():
        if bought := context.shop.product(order.items[0].product_id):
            title = bought.title.in_language(context.language)
            return bought, (Fact(text=context.phrase("because_you_bought", title=title), source=f"order:{order.id}"),)
    return None, ()


def _similar(context: ToolContext, start: Product, *, cheaper: bool) -> list[tuple[Product, str]]:
    low, high = price_limits(context.said)
    price = start.lowest_price_cents
    if cheaper and price is not None:
        high = min(price - 1, high) if high is not None else price - 1
    filters = Filters(price_min_cents=low, price_max_cents=high, in_stock=True)
    gone = sent_back(context)
    near = [
        candidate
        for hit in context.catalog.like(start.id, filters, CANDIDATES)
        # The index may be older than the shop: price and stock are asked of the shop again.
        if (candidate := context.shop.product(hit.id)) and candidate.id != start.id and candidate.id not in gone
        if candidate.in_stock and (high is None or _costs_at_most(candidate, high))
    ]
    # The same kind of thing first, the nearest of it first: a lantern is near a tent, and no tent.
    near.sort(key=lambda candidate: candidate.category != start.category)
    asked = (
        candidate
        for candidate in near
        if any(variant.in_stock for variant in matching_variants(candidate, context.said, context.shop))
    )
    return [(candidate, _how_alike(context, start, candidate)) for candidate in islice(asked, SHOWN_AT_ONCE)]


def _costs_at_most(product: Product, high: int) -> bool:
    cost = product.lowest_price_cents
    return cost is not None and cost <= high


def _how_alike(context: ToolContext, start: Product, candidate: Product) -> str:
    """What the two share, and how much cheaper the candidate is, as far as it is true."""
    shared = [
        context.phrase("same_category", category=candidate.category.in_language(context.language))
    ] if candidate.category == start.category else []  # fmt: skip
    shared += [
        f"{context.shop.info.word(name, context.language)}: {value.in_language(context.language)}"
        for name, value in candidate.attributes.items()
        if start.attributes.get(name) == value
    ][:2]
    before, after = start.lowest_price_cents, candidate.lowest_price_cents
    if before is not None and after is not None and after < before:
        shared.append(context.phrase("cheaper_by", difference=format_money(before - after, context.shop.info.currency)))
    if not shared:
        return context.phrase("similar_description")
    return context.phrase("shares", shared=("；" if context.language == "zh" else "; ").join(shared))


def _bought_together(context: ToolContext, start: Product) -> list[tuple[Product, str]]:
    """What goes with it: of another kind first, for what is of its own kind would do in its place."""
    learnt = recommender_of(context.shop)
    found: list[Suggestion] = learnt.bought_with(start.id, CANDIDATES)
    if not found:
        # Nobody bought it yet: what goes with those most like it goes with it too, and is told to.
        found = [each for like in alike(context, start.id)[:LIKE_IT] for each in learnt.bought_with(like, CANDIDATES)]
    gone = sent_back(context) | {start.id}
    by_product = {each.product_id: each for each in found if each.product_id not in gone}
    products = [(candidate, each) for each in by_product.values() if (candidate := context.shop.product(each.product_id))]
    products.sort(key=lambda each: each[0].category == start.category)
    buyable = ((candidate, because_text(context, each)) for candidate, each in products if _is_buyable(context, candidate))
    return varied(buyable, SHOWN_AT_ONCE)
