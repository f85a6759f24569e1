"""Find products in the catalogue, or tell everything about one of them."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from tools.catalog.index import Filters, Hit
from tools.kit.answers import names_no_thing
from tools.kit.facts import Fact, Facts, Rest
from tools.kit.preferences import ranked_by_history
from tools.kit.products import price_text, product_details, product_fact, product_list
from tools.kit.reading import mentions, points_back, shown_position
from tools.kit.tool import Runtime, ToolContext, customer_tool
from tools.kit.wish import Asked, Fit, Wish, fit_of, read_wish, told_instead, wants_more
from tools.shop.types import Language, Product, format_money
from tools.sizes.reading import read_body

SHOWN_AT_ONCE = 3
CANDIDATES = 50
NAMED_AMONG = 10
"""So many of those nearest to a message are held against it for their titles."""
BY_HISTORY = 12
"""So many of the list, four pages, are ranked by what the customer bought before."""
FAR: dict[Language, float] = {"en": 0.90, "zh": 0.94}
"""The score of the best product below which the shop has nothing of the kind: so with two thirds of the names of things that the demo
shop does not sell ("toothpaste", 「电饭煲」). Of wishes that name no thing ("a present for my mother") it tells nothing."""


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

    The customer's own words win over `named`, what the chat model took them for; what points in a message that calls another product by
    its title points at that one.
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
        return named_product(context) or products[0]
    return None


def named_product(context: ToolContext) -> Product | None:
    """The product that the customer calls by its whole title, shown before or not; None where it is none, or more than one."""
    hits = context.catalog.search(context.said, context.language, Filters(), NAMED_AMONG)
    named = [candidate for candidate in _products(context, hits) if _is_named(candidate, context.said)]
    return named[0] if len(named) == 1 else None


def _search(context: ToolContext, query: str) -> Facts:
    """Search by words, and by the photo where there is one; whatever else the sentence asks must hold in one variant that can be bought."""
    if wants_more(context.said) and context.rest is not None:
        return _next_page(context, context.rest)
    # A list is kept with the conversation: of the message only what is masked.
    kept = " ".join(context.heard) or query
    asked = context.said if query in context.said else f"{context.said} {query}"
    wish = read_wish(asked, context.catalog.vocabulary, context.shop)
    looked_for = wish.text if query in context.said else read_wish(query, context.catalog.vocabulary, context.shop).text
    hits = context.catalog.search(
        looked_for,
        context.language,
        Filters(price_min_cents=wish.low, price_max_cents=wish.high),
        CANDIDATES,
        photo=context.photo,
    )
    products = _products(context, hits)
    named = [candidate for candidate in products if _is_named(candidate, asked)]
    if len(named) == 1:
        return product_details(context, named[0], asked)
    if _is_far(context, asked, wish, hits):
        # Something is always nearest, also to a thing that the shop does not sell.
        return context.refuse("nothing_found", "catalogue")
    fits = _held_against(context, wish, products)
    opening = _read_otherwise(context, wish)
    if fitting := _in_order([fit for fit in fits if not fit.unmet]):
        if wish.low is not None or wish.high is not None:
            opening.append(Fact(text=_limits_text(context, wish.low, wish.high), source="catalogue"))
        return _page(context, kept, opening, *_by_history(context, wish, fitting))
    if wish.low is not None or wish.high is not None:
        # What costs too much is still the nearest, told with its price.
        hits = context.catalog.search(looked_for, context.language, Filters(), CANDIDATES, photo=context.photo)
        fits = _held_against(context, wish, _products(context, hits))
    if not fits:
        return context.refuse("nothing_found", "catalogue")
    opening.append(_nothing_text(context, wish))
    return _page(context, kept, opening, _in_order(fits)).model_copy(update={"outcome": "nothing_found"})


def _products(context: ToolContext, hits: Sequence[Hit]) -> list[Product]:
    return [found for hit in hits if (found := context.shop.product(hit.id))]


def _is_far(context: ToolContext, asked: str, wish: Wish, hits: Sequence[Hit]) -> bool:
    """Whether the wish names a thing, none that the shop has, and even the nearest product is far from it."""
    if wish.kinds or context.photo is not None or names_no_thing(asked):
        return False
    return bool(hits) and hits[0].score < FAR[context.language]


def _held_against(context: ToolContext, wish: Wish, products: Sequence[Product]) -> list[Fit]:
    my_sizes = sizes_worn(context) if wish.my_size else {}
    return [fit_of(product, wish, context.shop, my_sizes) for product in products]


def _in_order(fits: Sequence[Fit]) -> list[Fit]:
    """What lacks least first, and what is exactly as asked before what passes for it; else as search found them."""
    return sorted(fits, key=lambda fit: (fit.distance, fit.loosely))


def _by_history(context: ToolContext, wish: Wish, fits: list[Fit]) -> tuple[list[Fit], Mapping[str, str]]:
    """The first of the list ranked anew by what the customer bought, with the reasons by product.

    Only where a season or who is to wear it is named: such things are a matter of taste, and all that fits is what was asked for.
    """
    if context.photo is not None or not any(each.name in ("gender", "season") for each in wish.asked):
        return fits, {}
    among = {fit.product.id: fit for fit in fits[:BY_HISTORY]}
    ranked = ranked_by_history(context, list(among))
    first = sorted((among[product_id] for product_id, _ in ranked), key=lambda fit: fit.loosely)
    return [*first, *fits[BY_HISTORY:]], dict(ranked)


def _page(
    context: ToolContext, asked: str, opening: Sequence[Fact], fits: Sequence[Fit], reasons: Mapping[str, str] | None = None
) -> Facts:
    shown = fits[:SHOWN_AT_ONCE]
    space = "" if context.language == "zh" else " "
    because = [space.join(filter(None, (fit_text(context, fit), (reasons or {}).get(fit.product.id)))) for fit in shown]
    return product_list(
        context,
        opening,
        [product_fact(context, fit.product, why) for fit, why in zip(shown, because, strict=True)],
        [fit.product.id for fit in shown],
        # The nearest of what does not fit is worth telling; the next but those is not.
        Rest(asked=asked, product_ids=tuple(fit.product.id for fit in fits[SHOWN_AT_ONCE:] if not fit.unmet)),
    )


def _next_page(context: ToolContext, rest: Rest) -> Facts:
    """The next of the list, as the shop has them now; what is sold out since, or costs more, is left out."""
    wish = read_wish(rest.asked, context.catalog.vocabulary, context.shop)
    products = [found for each in rest.product_ids if (found := context.shop.product(each))]
    fits = [fit for fit in _held_against(context, wish, products) if not fit.unmet]
    if not fits:
        return context.refuse("list_ends", "catalogue")
    return _page(context, rest.asked, [Fact(text=context.phrase("list_next"), source="catalogue")], fits)


def sizes_worn(context: ToolContext) -> dict[str, str]:
    """The sizes that the customer wears, by category: said in this conversation, else bought here and kept, the latest first."""
    said = [size.size for text in (context.said, *reversed(context.earlier)) for size in read_body(text).worn]
    worn: dict[str, str] = {f"said:{size}": size for size in dict.fromkeys(said)}
    for order in context.shop.orders_of(context.customer_id) if context.customer_id else ():
        for item in order.items if order.status == "delivered" else ():
            bought = context.shop.product(item.product_id)
            if bought and "size" in item.options:
                worn.setdefault(bought.category.all()[0].casefold(), item.options["size"])
    return worn


def _read_otherwise(context: ToolContext, wish: Wish) -> list[Fact]:
    if not wish.changes:
        return []
    meant = _comma(context).join(meant for _, meant in wish.changes)
    return [Fact(text=context.phrase("looked_for", words=meant), source="catalogue")]


def _nothing_text(context: ToolContext, wish: Wish) -> Fact:
    """That nothing is all that was asked, and what that was."""
    if not wish.is_bound:
        return Fact(text=context.phrase("no_exact_match"), source="catalogue")
    parts = [_word(context, Asked("kind", tuple(wish.kinds)))] if wish.kinds else []
    parts += [asked_text(context, asked) for asked in wish.asked]
    parts += [measure.written for measure in wish.measures]
    if wish.my_size:
        parts.append(context.phrase("wanted_my_size"))
    if wish.low is not None or wish.high is not None:
        parts.append(_limits(context, wish.low, wish.high))
    return Fact(text=context.phrase("nothing_is_all", asked=_comma(context).join(parts)), source="catalogue")


def _comma(context: ToolContext) -> str:
    return "、" if context.language == "zh" else ", "


def _limits(context: ToolContext, low: int | None, high: int | None) -> str:
    limits = [
        context.phrase(key, price=format_money(cents, context.shop.info.currency))
        for key, cents in (("at_least", low), ("at_most", high))
        if cents is not None
    ]
    return " ".join(limits)


def _limits_text(context: ToolContext, low: int | None, high: int | None) -> str:
    return context.phrase("within_price", limits=_limits(context, low, high))


def _is_named(product: Product, text: str) -> bool:
    """Whether the text calls the product by its whole title."""
    return any(mentions(text, title) for title in product.title.all())


def asked_text(context: ToolContext, asked: Asked) -> str:
    """What was asked, as the customer reads it back: "red", "not leather", 「不要皮质」."""
    word = _word(context, asked)
    if asked.aspect == "size" and asked.name != "mine":
        word = context.phrase("wanted_size", size=word)
    return word if asked.wanted else context.phrase("not_wanted", what=word)


def _word(context: ToolContext, asked: Asked) -> str:
    """A word for it in the customer's language, the one they said where they said one."""
    own = [word for word in asked.words if word.isascii() == (context.language == "en")]
    return context.shop.info.word((own or asked.words)[0], context.language) if asked.words else ""


def fit_text(context: ToolContext, fit: Fit) -> str:
    """What a product is and is not of what was asked: "Suits you: cotton, red, in your size M."; "" where nothing was."""
    told = [_met_text(context, asked, value.in_language(context.language)) for asked, value in fit.met]
    lacks = [_unmet_text(context, asked, fit) for asked in fit.unmet]
    texts = []
    if told:
        texts.append(context.phrase("suits", reasons=_comma(context).join(dict.fromkeys(told))))
    if lacks:
        texts.append(
            context.phrase("differs", differences=("；" if context.language == "zh" else "; ").join(dict.fromkeys(lacks)))
        )
    return ("" if context.language == "zh" else " ").join(texts)


def _met_text(context: ToolContext, asked: Asked, value: str) -> str:
    if asked.aspect == "size":
        return context.phrase("in_your_size" if asked.name == "mine" else "in_size", size=value)
    return context.phrase("made_for", who=value) if asked.name == "gender" else value


def _unmet_text(context: ToolContext, asked: Asked, fit: Fit) -> str:
    variants, shop = fit.variants, context.shop
    if asked.aspect == "price":
        return context.phrase("costs", price=price_text(context, variants))
    if asked.aspect == "stock":
        return context.phrase("sold_out_now")
    if asked.aspect == "color" and asked.wanted:
        colors = dict.fromkeys(
            each.options["color"] for each in fit.product.variants if each.in_stock and "color" in each.options
        )
        if colors:
            return context.phrase(
                "comes_in", colors=_comma(context).join(shop.info.word(color, context.language) for color in colors)
            )
    if asked.aspect == "size" and asked.name == "mine":
        return context.phrase("not_my_size")
    if asked.aspect == "size":
        return context.phrase(
            "not_in_size", size=_comma(context).join(shop.info.word(size, context.language) for size in asked.words)
        )
    if asked.aspect == "facet" and asked.wanted and (instead := told_instead(fit.product, asked.name)):
        return context.phrase("is_instead", what=instead.in_language(context.language))
    if asked.aspect in ("kind", "category") and asked.wanted:
        return context.phrase("other_kind", what=_word(context, asked))
    return context.phrase("is_not" if asked.wanted else "is_unwanted", what=_word(context, asked))
