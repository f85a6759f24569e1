"""The shop's own words, told to the recogniser before it listens: names that no dictionary has are heard as something else."""

import re
from collections import Counter
from collections.abc import Mapping

from tools.shop.shop import Shop

Hints = Mapping[str, str]
"""Words that may be heard, by Whisper's code of the language."""
NO_HINTS: Hints = {}
MOST_WORDS = 24
"""The model reads them again for every window, and many make it hear them where nobody says them."""


def hints_of(shop: Shop) -> Hints:
    """Brands and the names of the shop's products: words in capitals that stand in few of its titles."""
    brands: Counter[str] = Counter()
    names: Counter[str] = Counter()
    for product in shop.products():
        if product.brand:
            brands[product.brand] += 1
        for word in set(re.findall(r"\b[A-Z][a-z]{3,}\b", product.title.in_language("en"))):
            names[word] += 1
    chosen = [brand for brand, _ in brands.most_common(MOST_WORDS)]
    return {"en": ", ".join(chosen), "zh": "、".join(chosen)} if chosen else {}
