"""Products as facts: what a customer is told of a product, with today's price and stock from the shop."""

import re
from collections.abc import Sequence

from tools.catalog.passages import sentences
from tools.kit.facts import Fact, Facts, Rest
from tools.kit.reading import LETTER_SIZES, asked_options, matching_variants
from tools.kit.tool import ToolContext
from tools.shop.types import Product, Variant, format_money

_PRICE = re.compile(r"[$¥€£]\s?\d|\d\s?(?:美元|元|dollars?\b|USD\b)", re.I)


def price_text(context: ToolContext, variants: tuple[Variant, ...]) -> str:
    """One price or a range; says so where the shop has no price."""
    prices = [variant.price_cents for variant in variants if variant.price_cents is not None]
    if not prices:
        return context.phrase("price_unknown")
    currency = context.shop.info.currency
    low, high = format_money(min(prices), currency), format_money(max(prices), currency)
    return low if low == high else context.phrase("price_range", low=low, high=high)


def _values(variants: tuple[Variant, ...], option: str) -> list[str]:
    values = list(dict.fromkeys(variant.options[option] for variant in variants if option in variant.options))
    # Numbers and letter sizes have an order of their own; anything else stays as the shop lists it.
    if all(value.isdigit() for value in values):
        return sorted(values, key=int)
    return sorted(values, key=LETTER_SIZES.index) if all(value in LETTER_SIZES for value in values) else values


def _listed(context: ToolContext, words: list[str]) -> str:
    shown = [context.shop.info.word(word, context.language) for word in words]
    return ("、" if context.language == "zh" else ", ").join(shown)


def options_text(context: ToolContext, variants: tuple[Variant, ...]) -> str:
    """The colours, sizes and other options of these variants: "Colour: blue, white; Size: S, M"."""
    names = list(dict.fromkeys(name for variant in variants for name in variant.options))
    colon, semicolon = ("：", "；") if context.language == "zh" else (": ", "; ")
    return semicolon.join(
        f"{context.shop.info.word(name, context.language)}{colon}{_listed(context, _values(variants, name))}" for name in names
    )


def product_fact(context: ToolContext, product: Product, because: str = "") -> Fact:
    """One line of a product: title, price, what is in stock, and why it is shown if `because` says so."""
    buyable = tuple(variant for variant in product.variants if variant.in_stock)
    options = options_text(context, buyable)
    text = context.phrase(
        "product_in_stock" if buyable else "product_sold_out",
        title=product.title.in_language(context.language),
        price=price_text(context, buyable or product.variants),
        options=f" ({options})" if options and context.language == "en" else f"（{options}）" if options else "",
    )
    space = "" if context.language == "zh" else " "
    return Fact(text=f"{text}{space}{because}".strip(), source=f"product:{product.id}")


def product_list(
    context: ToolContext,
    opening: Sequence[Fact],
    products: Sequence[Fact],
    product_ids: Sequence[str],
    rest: Rest | None = None,
) -> Facts:
    """Products side by side, numbered as the customer may name them, told word for word: every line of it is a fact.

    `opening` says what these are, in sentences of its own; `rest` is what "more" goes on with.
    """
    intro = opening or (Fact(text=context.phrase("list_found"), source="catalogue"),)
    space = "" if context.language == "zh" else " "
    lines = [space.join(fact.text for fact in intro)]
    lines += [f"{number}. {fact.text}" for number, fact in enumerate(products, start=1)]
    question = context.phrase("list_question" if len(products) > 1 else "one_question")
    lines.append(f"{question}{space}{context.phrase('list_goes_on')}" if rest and rest.product_ids else question)
    return Facts(facts=(*opening, *products), product_ids=tuple(product_ids), reply="\n".join(lines), rest=rest)


def product_details(context: ToolContext, product: Product, asked: str) -> Facts:
    """Everything a shopper may ask of one product.

    Where `asked` names a colour, size or other option, whether exactly that can be bought is answered here, word for word:
    of all that can be said of a product it is what must not be got wrong.
    """
    source = f"product:{product.id}"
    title = product.title.in_language(context.language)
    general = [product_fact(context, product), *_further_facts(context, product)]
    options = asked_options(product, asked, context.shop)
    if not options:
        return Facts(facts=tuple(general), product_ids=(product.id,), next_step=_which_options(context, product))
    named = matching_variants(product, asked, context.shop)
    buyable = tuple(variant for variant in named if variant.in_stock)
    wanted = _listed(context, [value for values in options.values() for value in sorted(values)])
    key = "variant_in_stock" if buyable else "variant_sold_out" if named else "variant_not_made"
    answer = [context.phrase(key, title=title, wanted=wanted, price=price_text(context, buyable or named or product.variants))]
    if len(buyable) == 1 and buyable[0].stock is not None:
        answer.append(context.phrase("pieces_left", count=buyable[0].stock))
    elif len(buyable) > 1:
        answer.append(context.phrase("variant_choices", options=options_text(context, buyable)))
    elif not buyable:
        answer.append(general[0].text)
    separator = "" if context.language == "zh" else " "
    facts = [Fact(text=text, source=source) for text in answer]
    return Facts(facts=tuple(dict.fromkeys([*facts, *general])), product_ids=(product.id,), reply=separator.join(answer))


def _which_options(context: ToolContext, product: Product) -> str | None:
    """The question which colour, size or other option it shall be; None where there is at most one that can be bought."""
    buyable = tuple(variant for variant in product.variants if variant.in_stock)
    names = dict.fromkeys(name for variant in buyable for name in variant.options)
    open_names = [context.shop.info.word(name, context.language) for name in names if len(_values(buyable, name)) > 1]
    if not open_names:
        return None
    *most, last = [name.lower() for name in open_names]
    comma, joint = ("、", "和") if context.language == "zh" else (", ", " and ")
    return context.phrase("next_options", options=f"{comma.join(most)}{joint}{last}" if most else last)


def _further_facts(context: ToolContext, product: Product) -> list[Fact]:
    source = f"product:{product.id}"
    in_stock = sum(variant.in_stock for variant in product.variants)
    count = context.phrase(
        "variant_count", title=product.title.in_language(context.language), count=len(product.variants), in_stock=in_stock
    )
    colon = "：" if context.language == "zh" else ": "
    texts = [count] + [
        f"{context.shop.info.word(name, context.language)}{colon}{value.in_language(context.language)}"
        for name, value in product.attributes.items()
    ]
    if product.description:
        # A supplier's text may be pages long; its beginning describes, the rest would crowd out the other facts. What a product costs is
        # told by its variants, never by a text.
        said = sentences(product.description.in_language(context.language))
        described = ("" if context.language == "zh" else " ").join(each for each in said if not _PRICE.search(each))[:300]
        texts += [described] if described else []
    return [Fact(text=text, source=source) for text in texts]
