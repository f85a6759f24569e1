"""What a photo should count beside words: "like this, but in blue".

A question is a photo of one product and a word for something that it is not and another product of its category is. Right are all
products of that category that the word holds for. Two shops are asked:
- the demo, in both languages: its pictures, distorted as a customer's photo is, with a colour, a material or another attribute;
- the Grocery Store Dataset, in English: customers' photos of its validation list, with words of titles that products of other
  categories have too ("vanilla" is a yoghurt and a soyghurt), so that the word alone does not tell the product.
Categories in turn go to one part, on which the weight is chosen, and to the other, on which the figures are told.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from PIL import Image

from agent.train.pictures import Picture, distorted
from eval.photos import read_labelled_photos
from eval.search_quality import Judged, ndcg
from tools.catalog.build import index_shop
from tools.catalog.catalog import CANDIDATES, Catalog
from tools.catalog.edge_index import EdgeIndex
from tools.catalog.index import NO_FILTERS
from tools.shop.importers import import_shop
from tools.shop.shop import Shop
from tools.shop.sqlite_shop import SqliteShop
from tools.shop.types import LANGUAGES, Language, LocalText, Product

WORTHS = (0.0, 0.004, 0.008, 0.012, 0.016, 0.02, 0.03, 0.05)
PER_PHOTO = 3
"""Words asked of one photo at most."""
ASKED: Mapping[Language, tuple[str, ...]] = {
    "en": ("like this, but {}", "do you have this in {}?", "{}"),
    "zh": ("要{}的，别的跟这个一样", "这个有没有{}的？", "{}"),
}


@dataclass(frozen=True)
class Question:
    """A photo with words, and what is right."""

    photo: Path
    text: str
    language: Language
    right: frozenset[str]
    category: str


def questions_by_attribute(shop: Shop, photos: Mapping[str, Path]) -> list[Question]:
    """Questions about attributes and colours, in both languages; `photos` by product."""
    rng = random.Random(40)
    products = list(shop.products())
    told = {product.id: _told(product, shop) for product in products}
    questions = []
    for product in products:
        kin = [each for each in products if each.category == product.category]
        own = {value for _, value in told[product.id]}
        # Another value of something that this product has too: a tent's capacity is asked of tents.
        lacking = {(name, value) for each in kin for name, value in told[each.id] if value not in own}
        values = sorted(value for name, value in lacking if name in {name for name, _ in told[product.id]})
        for value in rng.sample(values, min(PER_PHOTO, len(values))) if product.id in photos else ():
            text = next(text for each in kin for text in _texts(each, shop) if _key(text) == value)
            right = frozenset(each.id for each in kin if value in {kept for _, kept in told[each.id]})
            for language in LANGUAGES:
                asked = rng.choice(ASKED[language]).format(text.in_language(language))
                questions.append(Question(photos[product.id], asked, language, right, _key(product.category)))
    return questions


def questions_by_title(shop: Shop, photos: Iterable[tuple[Path, str]]) -> list[Question]:
    """Questions in words of titles that products of several categories have; `photos` with the product that each shows."""
    rng = random.Random(41)
    products = {product.id: product for product in shop.products()}
    words = {product.id: set(str(product.title.en).lower().split()) for product in products.values()}
    questions = []
    for photo, shown in photos:
        category = products[shown].category
        kin = [each for each in products if products[each].category == category]
        elsewhere = set().union(*(words[each] for each in products if each not in kin))
        asked = sorted(word for word in set().union(*(words[each] for each in kin)) - words[shown] if word in elsewhere)
        for word in rng.sample(asked, min(PER_PHOTO, len(asked))):
            right = frozenset(each for each in kin if word in words[each])
            questions.append(Question(photo, rng.choice(ASKED["en"]).format(word), "en", right, _key(category)))
    return questions


def measure_shop(
    source_format: str, source: Path, folder: Path, texts: Any, pictures: Any, limit: int | None = None
) -> dict[str, Any]:
    """Import a shop into `folder`, index it with the encoders, and measure; see `measure_photo_words`.

    Of the Grocery Store Dataset the photos of val.txt are asked, of any other source distorted copies of its pictures.
    """
    import_shop(source_format, source, folder / "shop")
    index = EdgeIndex(folder / "index")
    try:
        with SqliteShop.open(folder / "shop") as shop:
            index_shop(shop, index, texts, lambda: pictures, folder / "vectors.sqlite")
            if source_format == "grocery-store":
                questions = questions_by_title(shop, read_labelled_photos(source, source / "val.txt"))
            else:
                own = [Picture(shop.picture(each.pictures[0]), each.id, False) for each in shop.products() if each.pictures]
                copies = distorted(own, folder / "photos", seed=0)
                questions = questions_by_attribute(shop, {each.product: each.path for each in copies})
            asked = questions[:: max(1, len(questions) // limit)] if limit else questions
            return measure_photo_words(Catalog.open(shop, index, texts, lambda: pictures), asked)
    finally:
        index.close()


def measure_photo_words(catalog: Catalog, questions: Sequence[Question]) -> dict[str, Any]:
    """nDCG@10 of photo alone, words alone, and both by each weight: {"questions", "photo", "words", "both": {weight: …}}, in two parts.

    The keys are "chosen_on" and "told_on".
    """
    categories = sorted({question.category for question in questions})
    parts = {"chosen_on": set(categories[::2]), "told_on": set(categories[1::2])}
    products = frozenset(product for question in questions for product in question.right)
    result: dict[str, Any] = {}
    for part, its in parts.items():
        asked = [question for question in questions if question.category in its]
        gains: dict[str, list[float]] = {}
        for question in asked:
            with Image.open(question.photo) as photo:
                photo.load()
                orders = {"photo": catalog.identify(photo, CANDIDATES)}
                for worth in WORTHS:
                    orders[f"{worth:g}"] = catalog.search(
                        question.text, question.language, NO_FILTERS, CANDIDATES, photo=photo, photo_worth=worth
                    )
                orders["words"] = catalog.search(question.text, question.language, NO_FILTERS, CANDIDATES)
            for name, hits in orders.items():
                found = [hit.id for hit in hits]
                judged = Judged(question.text, question.right, (products | set(found)) - question.right)
                gains.setdefault(name, []).append(ndcg(found, judged))
        means = {name: mean(each) for name, each in gains.items()}
        result[part] = {
            "questions": len(asked),
            "photo": means["photo"],
            "words": means["words"],
            "both": {f"{worth:g}": means[f"{worth:g}"] for worth in WORTHS},
        }
    return result


def _told(product: Product, shop: Shop) -> set[tuple[str, str]]:
    """What attributes and colours tell of the product, as (name, key)."""
    told = {(name, _key(value)) for name, value in product.attributes.items()}
    return told | {("color", _key(_color(value, shop))) for value in _colors(product)}


def _texts(product: Product, shop: Shop) -> list[LocalText]:
    return [*product.attributes.values(), *(_color(value, shop) for value in _colors(product))]


def _colors(product: Product) -> list[str]:
    return [variant.options["color"] for variant in product.variants if "color" in variant.options]


def _color(value: str, shop: Shop) -> LocalText:
    return shop.info.words.get(value.lower()) or LocalText(en=value)


def _key(text: LocalText) -> str:
    return text.in_language("en").lower()


def best_worth(results: Sequence[Mapping[str, Any]]) -> str:
    """The weight with the highest mean nDCG@10 over the shops, each counting the same, on the parts to choose on."""
    worths = [f"{worth:g}" for worth in WORTHS]
    return max(worths, key=lambda worth: mean(result["chosen_on"]["both"][worth] for result in results))
