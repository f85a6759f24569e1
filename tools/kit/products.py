"""Products as facts: what a customer is told of a product, with today's price and stock from the shop."""

from tools.kit.facts import Fact
from tools.kit.reading import matching_variants
from tools.kit.tool import ToolContext
from tools.shop.types import Product, Variant, format_money


def price_text(context: ToolContext, variants: tuple[Variant, ...]) -> str:
    """One price or a range; says so where the shop has no price."""
    prices = [variant.price_cents for variant in variants if variant.price_cents is not None]
    if not prices:
        return context.phrase("price_unknown")
    currency = context.shop.info.currency
    low, high = format_money(min(prices), currency), format_money(max(prices), currency)
    return low if low == high else context.phrase("price_range", low=low, high=high)


def _values(variants: tuple[Variant, ...], option: str) -> list[str]:
    return list(dict.fromkeys(variant.options[option] for variant in variants if option in variant.options))


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
    return Fact(text=f"{text} {because}".strip(), source=f"product:{product.id}")


def product_details(context: ToolContext, product: Product, asked: str) -> list[Fact]:
    """Everything a shopper may ask of one product; first what holds for the options that `asked` names."""
    source = f"product:{product.id}"
    title = product.title.in_language(context.language)
    named = matching_variants(product, asked, context.shop.info)
    facts = []
    if named != product.variants:
        buyable = tuple(variant for variant in named if variant.in_stock)
        key = "variant_in_stock" if buyable else "variant_sold_out" if named else "variant_not_made"
        facts.append(
            Fact(
                text=context.phrase(
                    key,
                    title=title,
                    options=options_text(context, buyable or named),
                    price=price_text(context, buyable or named or product.variants),
                ),
                source=source,
            )
        )
        if len(buyable) == 1 and buyable[0].stock is not None:
            facts.append(Fact(text=context.phrase("pieces_left", count=buyable[0].stock), source=source))
    facts.append(product_fact(context, product))
    in_stock = sum(variant.in_stock for variant in product.variants)
    facts.append(
        Fact(text=context.phrase("variant_count", title=title, count=len(product.variants), in_stock=in_stock), source=source)
    )
    colon = "：" if context.language == "zh" else ": "
    facts += [
        Fact(
            text=f"{context.shop.info.word(name, context.language)}{colon}{value.in_language(context.language)}", source=source
        )
        for name, value in product.attributes.items()
    ]
    if product.description:
        # A supplier's text may be pages long; its beginning describes, the rest would crowd out the other facts.
        facts.append(Fact(text=product.description.in_language(context.language)[:300], source=source))
    return facts
