"""The shop's own words, told to the recogniser before it listens: names that no dictionary has are heard as something else."""

from collections import Counter
from collections.abc import Mapping

from tools.shop.shop import Shop

Hints = Mapping[str, str]
"""Words that may be heard, by Whisper's code of the language."""
NO_HINTS: Hints = {}
MOST_WORDS = 24
"""The model reads them again for every window, and many make it hear them where nobody says them."""


def hints_of(shop: Shop) -> Hints:
    """The shop's brands, those of most products first."""
    brands = Counter(product.brand for product in shop.products() if product.brand)
    chosen = [brand for brand, _ in brands.most_common(MOST_WORDS)]
    return {"en": ", ".join(chosen), "zh": "、".join(chosen)} if chosen else {}
