"""Tell which product a customer's photo shows."""

from tools.kit.facts import Fact, Facts
from tools.kit.products import product_details, product_fact, product_list
from tools.kit.tool import Runtime, customer_tool

SURE = 0.80
"""Cosine from which the nearest catalogue picture is the same picture, or nearly."""
LIKELY = 0.35
"""Cosine below which nothing in the catalogue is near enough to be offered as the thing in the photo."""
CLEAR_LEAD = 0.08
"""How much nearer the best must be than the second to be named alone: on grocery_store's val photos it is then right in 91 %."""


@customer_tool
def identify_product(runtime: Runtime) -> Facts:
    """The customer sent a photo and asks what it is, what it costs or whether it is in stock."""
    context = runtime.context
    if context.photo is None:
        return context.refuse("photo_missing", "photo")
    hits = [hit for hit in context.catalog.identify(context.photo, 3) if hit.score >= LIKELY]
    products = [(hit, product) for hit in hits if (product := context.shop.product(hit.id))]
    if not products:
        return context.refuse("photo_unknown", "photo")
    best, product = products[0]
    lead = best.score - products[1][0].score if len(products) > 1 else best.score - LIKELY
    if lead >= CLEAR_LEAD or (best.score >= SURE and lead > 0):
        title = product.title.in_language(context.language)
        match = Fact(text=context.phrase("photo_match", title=title), source=f"photo:{product.id}")
        details = product_details(context, product, context.said)
        reply = f"{match.text} {details.reply}" if details.reply else None
        return Facts(facts=(match, *details.facts), product_ids=details.product_ids, reply=reply)
    candidates = [product for _, product in products]
    return product_list(
        context,
        [Fact(text=context.phrase("photo_candidates"), source="photo")],
        [product_fact(context, candidate) for candidate in candidates],
        [candidate.id for candidate in candidates],
    )
