"""Tell which product a customer's photo shows."""

import math
from collections.abc import Sequence
from typing import Literal

from tools.kit.facts import Fact, Facts
from tools.kit.products import product_details, product_fact, product_list
from tools.kit.tool import Runtime, customer_tool

SHOWN = 3
"""Products asked between at most."""
SURE = 0.80
"""Cosine from which the nearest catalogue picture is the same picture, or nearly."""
LIKELY = 0.35
"""Cosine below which nothing in the catalogue is near enough to be offered as the thing in the photo."""
CLEAR_LEAD = 0.08
"""How much nearer the best must be than the second to be named alone."""

Verdict = Literal["not_ours", "this", "one_of_these"]


def verdict(cosines: Sequence[float]) -> Verdict:
    """What the cosines of the photo with the nearest products' pictures tell, best first: which it is, or that it is none."""
    if not cosines or cosines[0] < LIKELY:
        return "not_ours"
    lead = cosines[0] - cosines[1] if len(cosines) > 1 else math.inf
    return "this" if lead >= CLEAR_LEAD or (cosines[0] >= SURE and lead > 0) else "one_of_these"


@customer_tool
def identify_product(runtime: Runtime) -> Facts:
    """The customer sent a photo and asks what it is, what it costs or whether it is in stock."""
    context = runtime.context
    if context.photo is None:
        return context.refuse("photo_missing", "photo")
    found = context.catalog.identify(context.photo, SHOWN)
    told = verdict([hit.score for hit in found])
    products = [product for hit in found if hit.score >= LIKELY and (product := context.shop.product(hit.id))]
    if told == "not_ours" or not products:
        return context.refuse("photo_unknown", "photo")
    if told == "this":
        product = products[0]
        title = product.title.in_language(context.language)
        match = Fact(text=context.phrase("photo_match", title=title), source=f"photo:{product.id}")
        details = product_details(context, product, context.said)
        reply = f"{match.text} {details.reply}" if details.reply else None
        return Facts(facts=(match, *details.facts), product_ids=details.product_ids, reply=reply)
    return product_list(
        context,
        [Fact(text=context.phrase("photo_candidates"), source="photo")],
        [product_fact(context, candidate) for candidate in products],
        [candidate.id for candidate in products],
    )
