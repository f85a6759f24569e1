"""How long search and recommendation take in a large shop, from the tool's call to its facts; and what of it is the index.

The shop is made: variants, prices and attributes of a real shop's products over and over, each title with words of others, so that the
vocabulary grows as catalogues' do; baskets drawn so that few products sell much and some sell together. Texts become vectors by a
random vector for each of their words: texts with the same words are near, and encoding takes no time. The real encoder is left out,
as is the chat model: they take the same time at every size.
"""

import hashlib
import random
import re
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tools.catalog.build import index_shop
from tools.catalog.catalog import Catalog, product_text
from tools.catalog.edge_index import EdgeIndex
from tools.catalog.index import NO_FILTERS, Filters
from tools.kit.tool import ToolContext
from tools.recommend_products import recommend_products
from tools.search_products import search_products
from tools.shop.sqlite_shop import ShopWriter, SqliteShop
from tools.shop.types import LANGUAGES, Address, Basket, Customer, LocalText, Product, ShopInfo, Variant

DIMENSIONS = 384
BEST = 10
NOW = datetime(2026, 6, 1, tzinfo=UTC)
BASKETS_PER_PRODUCT = 2
PER_CUSTOMER = 6
"""Baskets of one customer."""
BOUGHT_MORE = 4
"""Products of a basket at most."""
WAYS = ("catalog_search", "search_tool", "search_tool_under_a_price", "similar", "bought_together", "for_me")
"""What is asked: Catalog.search alone, then the two tools."""
_WORD = re.compile(r"[a-z]+|[\u4e00-\u9fff]")


class WordEncoder:
    """Stands in for the text encoder: a text is the sum of its words' random vectors."""

    fingerprint = "made"
    dimensions = DIMENSIONS

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of the texts: shape (len(texts), DIMENSIONS), unit length."""
        sums = np.stack([sum(map(_vector_of, set(_WORD.findall(text.lower()))), np.full(DIMENSIONS, 1e-3)) for text in texts])
        return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True), dtype=np.float32)

    passages = queries


@cache
def _vector_of(word: str) -> NDArray[Any]:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(DIMENSIONS)


def made_products(real: Sequence[Product], count: int) -> Iterator[Product]:
    """`count` products, the same ones every time; the first of them are the real ones."""
    rng = random.Random(30)
    yield from islice(real, count)
    for number in range(len(real), count):
        like, other = real[number % len(real)], rng.choice(real)
        first = (other.title.en or "").split(" ")[0]
        title = LocalText(en=f"{first} {like.title.en} {number}", zh=f"{(other.title.zh or '')[:2]}{like.title.zh}")
        factor = rng.uniform(0.5, 2)
        variants = tuple(
            Variant(
                id=f"{each.id}-{number}",
                options=each.options,
                price_cents=None if each.price_cents is None else round(each.price_cents * factor),
                stock=each.stock,
            )
            for each in like.variants
        )
        yield like.model_copy(update={"id": f"m{number}", "title": title, "variants": variants, "pictures": ()})


def made_baskets(ids: Sequence[str], count: int) -> Iterator[Basket]:
    """Baskets in which a product and the next ones are often together, and the first ones sell most."""
    rng = random.Random(31)
    for number in range(count):
        places: list[int] = []
        for _ in range(rng.randint(1, BOUGHT_MORE)):
            near = places and rng.random() < 0.5
            places.append(places[0] + rng.randint(0, 3) if near else int(len(ids) * rng.random() ** 3))
        products = tuple(dict.fromkeys(ids[place % len(ids)] for place in places))
        bought = NOW - timedelta(hours=rng.randint(0, 365 * 24))
        yield Basket(id=f"b{number}", product_ids=products, customer_id=f"c{number // PER_CUSTOMER}", placed_at=bought)


def write_shop(folder: Path, info: ShopInfo, real: Sequence[Product], count: int) -> None:
    """Write the made shop as an import would."""
    baskets = count * BASKETS_PER_PRODUCT
    with ShopWriter(folder) as writer:
        writer.add(info)
        ids = []
        for product in made_products(real, count):
            writer.add(product.model_copy(update={"pictures": ()}))
            ids.append(product.id)
        for number in range((baskets - 1) // PER_CUSTOMER + 1):
            customer = Customer(id=f"c{number}", name="A", email=f"c{number}@example.com", address=Address(line1="1"))
            writer.add(customer)
        for basket in made_baskets(ids, baskets):
            writer.add(basket)


def measure_large_shop(folder: Path, info: ShopInfo, real: Sequence[Product], count: int, asks: int) -> dict[str, Any]:
    """Make a shop of `count` products in `folder`, index it, and ask each tool `asks` times; times are medians in milliseconds.

    "dense_over_read_all" compares one search by meaning with reading all vectors of a language from memory once, side by side;
    "overlap_at_10" tells how many of its best ten are those of an exact search, "filtered_overlap_at_10" the same under a highest price.
    The tools' first answers, in which vocabulary and recommender are learnt, stand apart, in seconds.
    """
    write_shop(folder, info, real, count)
    encoder = cast(Any, WordEncoder())
    no_photos: Any = None
    index = EdgeIndex(folder / "index")
    began = time.perf_counter()
    with SqliteShop.open(folder) as shop:
        index_shop(shop, index, encoder, no_photos, folder / "vectors.sqlite")
        result: dict[str, Any] = {"products": count, "indexed_s": time.perf_counter() - began}
        result["index_mib"] = (
            sum(512 * file.stat().st_blocks for file in (folder / "index").rglob("*") if file.is_file()) / 2**20
        )
        products = list(shop.products())
        questions = [product.title for product in random.Random(32).choices(products, k=asks)]
        result |= _index_alone(index, products, shop.info, encoder, [str(each.en) for each in questions])
        del products
        catalog = Catalog.open(shop, index, encoder, no_photos)
        result |= _tools(shop, catalog, questions)
        result["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    index.close()
    return result


def _index_alone(
    index: EdgeIndex, products: Sequence[Product], info: ShopInfo, encoder: WordEncoder, texts: Sequence[str]
) -> dict[str, float]:
    prices = [product.lowest_price_cents for product in products]
    highest = round(statistics.median(price for price in prices if price is not None))
    cheap = np.array([any((each.price_cents or highest + 1) <= highest for each in it.variants) for it in products])
    vectors = encoder.passages([product_text(product, LANGUAGES[0], info) for product in products])
    read_ms: list[float] = []
    dense_ms: list[float] = []
    filtered_ms: list[float] = []
    same = {"overlap_at_10": 0, "filtered_overlap_at_10": 0}
    for vector in encoder.queries(texts):
        began = time.perf_counter()
        cosines = vectors @ vector
        read_ms.append(_ms_since(began))
        for name, filters, kept, times in (
            ("overlap_at_10", NO_FILTERS, cosines, dense_ms),
            ("filtered_overlap_at_10", Filters(price_max_cents=highest), np.where(cheap, cosines, -2), filtered_ms),
        ):
            began = time.perf_counter()
            hits = index.nearest("products", LANGUAGES[0], vector, BEST, filters)
            times.append(_ms_since(began))
            # A product as near as the tenth is as right as it is.
            tenth = np.sort(kept)[-BEST] - 1e-4
            near = {products[int(place)].id for place in np.flatnonzero(kept >= tenth)}
            same[name] += len(near & {hit.id for hit in hits})
    read, dense = statistics.median(read_ms), statistics.median(dense_ms)
    return {
        "read_all_ms": read,
        "dense_ms": dense,
        "dense_filtered_ms": statistics.median(filtered_ms),
        "dense_over_read_all": dense / read,
        **{name: count / (BEST * len(texts)) for name, count in same.items()},
    }


def _tools(shop: SqliteShop, catalog: Catalog, questions: Sequence[LocalText]) -> dict[str, float]:
    """The median time of each way to ask, and that of the first answer of all."""

    def context(said: str, customer: str, shown: Sequence[str] = (), **more: Any) -> ToolContext:
        return ToolContext(shop, catalog, lambda: NOW, "en", customer, said, shown=tuple(shown), **more)

    customers = [each.id for each in islice(shop.customers(), len(questions) + 1)]

    def search(said: str, customer: str) -> None:
        cast(Any, search_products).func(SimpleNamespace(context=context(said, customer)), query=said)

    def recommend(kind: str, said: str, customer: str) -> None:
        start = shop.baskets(customer)[0].product_ids[:1]
        asked = context(said, customer, start if kind != "for_me" else ())
        cast(Any, recommend_products).func(SimpleNamespace(context=asked), kind=kind)

    ways: tuple[Callable[[str, str], object], ...] = (
        lambda said, _: catalog.search(said, "en", NO_FILTERS, BEST),
        search,
        lambda said, customer: search(f"{said} under $50", customer),
        lambda _, customer: recommend("similar", "something like it", customer),
        lambda _, customer: recommend("bought_together", "what goes with it?", customer),
        lambda _, customer: recommend("for_me", "what would you recommend for me?", customer),
    )
    result: dict[str, float] = {}
    for name, way in zip(WAYS, ways, strict=True):
        times = []
        # The first question is asked once more: what it found to be learnt is.
        for number, question in enumerate([questions[0], *questions]):
            said = str(question.en).rstrip("0123456789 ").lower()
            began = time.perf_counter()
            way(said, customers[number % len(customers)])
            times.append(_ms_since(began))
        result[f"{name}_first_s"] = times[0] / 1000
        result[f"{name}_ms"] = statistics.median(times[1:])
    return result


def _ms_since(began: float) -> float:
    return 1000 * (time.perf_counter() - began)
