"""How long a search takes, and whether it finds what an exact one would, by catalogue size and index.

The products are made: the titles, prices and stock of a real shop's products over and over, each with a vector of its own
near one of many centres, as embeddings lie. The encoder is left out: it takes the same time at every size.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.catalog.bm25 import Bm25
from tools.catalog.catalog import CANDIDATES, fits, variant_values
from tools.catalog.index import LAYOUT, NO_FILTERS, WORDS, Filters, Index, Manifest, Point
from tools.shop.types import LANGUAGES, Product

DIMENSIONS = 384
PER_CLUSTER = 20
SPREAD = 0.6
"""Length of the noise around a centre of length 1: two products of a cluster have a cosine of about 0.74."""
BEST = 10


@dataclass(frozen=True)
class MadeCatalogue:
    """`vectors` has the shape (products, DIMENSIONS), unit length; row n is product n."""

    products: Sequence[Product]
    vectors: NDArray[np.float32]

    def points(self) -> list[Point]:
        """The products as an index takes them."""
        bm25 = Bm25()
        words = {product.id: bm25.document(" ".join(product.title.all())) for product in self.products}
        return [
            Point(
                id=f"{place}",
                owner=f"{place}",
                vectors=dict.fromkeys(LANGUAGES, vector),
                words=words[product.id],
                variants=variant_values(product),
            )
            for place, vector in enumerate(self.vectors)
            for product in (self.product(place),)
        ]

    def product(self, place: int) -> Product:
        """The real product that number `place` has its title, prices and stock from."""
        return self.products[place % len(self.products)]

    def exactly_nearest(self, wanted: NDArray[np.float32], filters: Filters = NO_FILTERS) -> set[str]:
        """The ids of the BEST nearest products that fit, by comparing with all."""
        order = np.argsort(-(self.vectors @ wanted), kind="stable").tolist()
        return {f"{place}" for place in islice((each for each in order if fits(self.product(each), filters)), BEST)}


def made_catalogue(products: Sequence[Product], count: int) -> MadeCatalogue:
    """`count` products in clusters; the same ones every time."""
    random = np.random.default_rng(20)
    centres = _unit(random.standard_normal((max(1, count // PER_CLUSTER), DIMENSIONS)))
    near = centres[random.integers(len(centres), size=count)]
    return MadeCatalogue(products, _near(near, random))


def measure_search(index: Index, made: MadeCatalogue, queries: int) -> dict[str, Any]:
    """Fill the index and search it `queries` times; times are medians.

    "search_ms" is what one search asks of the index (by meaning and by words, CANDIDATES each), "filtered_ms" the same with a
    highest price and stock; "dense_over_read_all" compares the search by meaning with reading all vectors once. The overlaps
    tell how many of the best ten by meaning are also the exact ones.
    """
    began = time.perf_counter()
    dimensions = dict.fromkeys(LANGUAGES, DIMENSIONS)
    manifest = Manifest(layout=LAYOUT, shop_version="made", fingerprints={"text": "made"}, dimensions={"products": dimensions})
    index.rebuild(manifest, {"products": made.points()})
    written_s = time.perf_counter() - began
    random = np.random.default_rng(21)
    places = random.integers(len(made.vectors), size=queries)
    wanted = _near(made.vectors[places], random)
    bm25 = Bm25()
    words = [bm25.query(made.product(int(place)).title.in_language(LANGUAGES[n % 2])) for n, place in enumerate(places)]
    prices = [price for product in made.products if (price := product.lowest_price_cents) is not None]
    filters = Filters(price_max_cents=round(statistics.median(prices)) if prices else None, in_stock=True)
    dense_ms, search_ms, filtered_ms, read_ms = [], [], [], []
    same, same_filtered = 0, 0
    exact = filtered_exact = 0
    for place in range(queries):
        vector = wanted[place]
        began = time.perf_counter()
        _ = made.vectors @ vector
        read_ms.append(_ms_since(began))
        began = time.perf_counter()
        hits = index.nearest("products", LANGUAGES[0], vector, CANDIDATES)
        dense_ms.append(_ms_since(began))
        index.nearest("products", WORDS, words[place], CANDIDATES)
        search_ms.append(_ms_since(began))
        began = time.perf_counter()
        filtered = index.nearest("products", LANGUAGES[0], vector, CANDIDATES, filters)
        index.nearest("products", WORDS, words[place], CANDIDATES, filters)
        filtered_ms.append(_ms_since(began))
        right, filtered_right = made.exactly_nearest(vector), made.exactly_nearest(vector, filters)
        exact, filtered_exact = exact + len(right), filtered_exact + len(filtered_right)
        same += len(right & {hit.id for hit in hits[:BEST]})
        same_filtered += len(filtered_right & {hit.id for hit in filtered[:BEST]})
    return {
        "search_ms": statistics.median(search_ms),
        "filtered_ms": statistics.median(filtered_ms),
        "dense_ms": statistics.median(dense_ms),
        "read_all_ms": statistics.median(read_ms),
        "dense_over_read_all": statistics.median(dense_ms) / statistics.median(read_ms),
        "overlap_at_10": same / exact,
        "filtered_overlap_at_10": same_filtered / max(1, filtered_exact),
        "written_s": written_s,
        "queries": queries,
    }


def _near(centres: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """A vector of unit length near each centre."""
    return _unit(centres + SPREAD * _unit(random.standard_normal(centres.shape)))


def _unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths, dtype=np.float32)


def _ms_since(began: float) -> float:
    return 1000 * (time.perf_counter() - began)
