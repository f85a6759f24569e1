"""Find products in the catalogue, or tell everything about one of them."""

from typing import Annotated

from pydantic import Field

from tools.catalog.index import Filters
from tools.kit.facts import Fact, Facts
from tools.kit.products import product_details, product_fact, product_list
from tools.kit.reading import matching_variants, mentions, named_values, points_back, price_limits, shown_position
from tools.kit.tool import Runtime, ToolContext, customer_tool
from tools.shop.types import Product, format_money

SHOWN_AT_ONCE = 3
CANDIDATES = 30


@customer_tool
def search_products(
    runtime: Runtime,
    query: Annotated[str, Field(description="what to look for, in the customer's words", max_length=200)],
    product: Annotated[str | None, Field(description="number or name of a product already shown", max_length=100)] = None,
) -> Facts:
    """Find products, or the price, colours, sizes, stock or material of one product."""
    context = runtime.context
    known = shown_product(context, product)
    if known:
        return product_details(context, known, f"{context.said} {query}")
    return _search(context, query)


def shown_product(context: ToolContext, named: str | None = None) -> Product | None:
    """The product of those shown last that the customer means: by position, by name, or by pointing at the only or first one.

    The customer's own words win over `named`, what the chat model took them for.
    """
    position = shown_position(context.said, len(context.shown))
    if (
        position is None
        and named
        and named.strip().lstrip("#").isdigit()
        and 1 <= int(named.strip().lstrip("#")) <= len(context.shown)
    ):
        position = int(named.strip().lstrip("#"))
    if position is not None and context.shown:
        return context.shop.product(context.shown[position - 1])
    products = [found for product_id in context.shown if (found := context.shop.product(product_id))]
    for candidate in products:
        if any(mentions(context.said, title) or (named and mentions(named, title)) for title in candidate.title.all()):
            return candidate
    if named and (by_id := context.shop.product(named)):
        return by_id
    if products and points_back(context.said):
        return products[0]
    return None


def _search(context: ToolContext, query: str) -> Facts:
    """Search by words; price, colour, size and other options that the customer names must hold in one variant that can be bought."""
    asked = context.said if query in context.said else f"{context.said} {query}"
    low, high = price_limits(context.said)
    filters = Filters(price_min_cents=low, price_max_cents=high)
    hits = context.catalog.search(query, context.language, filters, CANDIDATES)
    products = [found for hit in hits if (found := context.shop.product(hit.id))]
    named = [candidate for candidate in products if _is_named(candidate, asked)]
    if len(named) == 1:
        return product_details(context, named[0], asked)
    fitting = [candidate for candidate in products if _fits(context, candidate, asked, low, high)]
    best = (fitting or products)[:SHOWN_AT_ONCE]
    if not best:
        return context.refuse("nothing_found", "catalogue")
    opening = []
    if not fitting:
        opening = [Fact(text=context.phrase("no_exact_match"), source="catalogue")]
    elif low is not None or high is not None:
        opening = [Fact(text=_limits_text(context, low, high), source="catalogue")]
    listed = product_list(
        context, opening, [product_fact(context, candidate) for candidate in best], [candidate.id for candidate in best]
    )
    return listed if fitting else listed.model_copy(update={"outcome": "nothing_found"})


def _limits_text(context: ToolContext, low: int | None, high: int | None) -> str:
    limits = [
        context.phrase(key, price=format_money(cents, context.shop.info.currency))
        for key, cents in (("at_least", low), ("at_most", high))
        if cents is not None
    ]
    return context.phrase("within_price", limits=" ".join(limits))


def _is_named(product: Product, text: str) -> bool:
    """Whether the text calls the product by its whole title."""
    return any(mentions(text, title) for title in product.title.all())


def _fits(context: ToolContext, product: Product, asked: str, low: int | None, high: int | None) -> bool:
    """Whether a variant that can be bought has every option named, at a price within the limits."""
    colors = named_values(asked, context.shop.option_values("color"), context.shop.info)
    return any(
        variant.in_stock
        and (not colors or variant.options.get("color") in colors or _colored(product, colors))
        and (low is None or (variant.price_cents is not None and variant.price_cents >= low))
        and (high is None or (variant.price_cents is not None and variant.price_cents <= high))
        for variant in matching_variants(product, asked, context.shop)
    )


def _colored(product: Product, colors: frozenset[str]) -> bool:
    """A product that comes in no colours to choose from may still be called by its colour."""
    has_colors = any("color" in variant.options for variant in product.variants)
    return not has_colors and any(mentions(title, color) for title in product.title.all() for color in colors)
