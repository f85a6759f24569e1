"""What a customer may want next, learnt from a shop's past baskets, each with the reason that weighed most.

It knows baskets and nothing else: not what is in stock, what things cost, or any language. What products are alike it is told
by `Alike`. Learning takes seconds and is done once; an answer takes milliseconds.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tools.shop.types import Basket

Alike = Callable[[str], Sequence[str]]
"""The products most like one, best first, by what they are."""
Floats = NDArray[np.float32]

POPULAR_HALF_LIFE_DAYS = 30.0
"""After so many days a basket counts half for what is popular."""
POPULAR_DAYS = 30
"""What is told to be popular now is counted over so many days."""
SEASON_PRIOR = 2.0
"""So many baskets are added to what was bought lately and to what is usual, so that a single one makes no season."""
NEIGHBOURS = 200
"""How many products are remembered as bought with one."""
SHRINKAGE = {"customers": 5.0, "baskets": 20.0}
"""A pair seen so often counts half: two products bought together once are no pattern."""
AGAIN_PRIOR = 20.0
"""So many later baskets of buyers are added that hold a product again as often as is usual in the shop."""
LIKE_COUNTED = 50
"""How many of the products most like one count as like it."""
RECENT_PURCHASES = 3
"""For so many of the things bought last, what is like them is looked up: each costs a search."""
BLOCK = 1000
"""Rows of the similarity matrix that are in memory whole at one time."""


class Weights(NamedTuple):
    """What each piece of evidence counts.

    `again`: bought often by this customer, and of a kind that is bought again. `rate`: in what share of the customer's baskets it was.
    `customers`, `baskets`: bought by the same customers, in the same baskets, as what this customer bought or looks at.
    `alike`: like it by text and photo. `popular`: bought much lately.
    `season`: bought more, or less, lately than before.
    """

    again: float
    rate: float
    customers: float
    baskets: float
    alike: float
    popular: float
    season: float


WEIGHTS = Weights(again=128.0, rate=0.25, customers=4.5, baskets=1.35, alike=0.375, popular=0.8, season=0.04)
"""Fitted on UCI's Online Retail (eval/recommend.py, fit_weights): learnt up to May 2011, fitted to 150 known and 150 new customers
of June and July; rounded."""


@dataclass(frozen=True)
class Suggestion:
    """A product and why it is suggested.

    `why` "again": this customer bought it in `count` baskets. "together": `count` baskets hold it and `of`. "also": `count`
    customers bought both it and `of`. "alike": it is like `of`. "popular": `count` baskets of the last POPULAR_DAYS days hold it.
    """

    product_id: str
    score: float
    why: Literal["again", "together", "also", "alike", "popular"]
    count: int = 0
    of: str | None = None


class Recommender:
    """Suggests products. Any thread may ask it."""

    def __init__(self, baskets: Iterable[Basket], products: Iterable[str] = (), weights: Weights = WEIGHTS) -> None:
        """Learn from the baskets; `products` may name some that nobody bought yet.

        Popularity is that of the days up to `last_day`, the last basket's. Baskets without a day count as old as the oldest.
        """
        known = [basket for basket in baskets if basket.product_ids]
        self.weights = weights
        self.ids = tuple(sorted({product_id for basket in known for product_id in basket.product_ids} | set(products)))
        self._number = {product_id: number for number, product_id in enumerate(self.ids)}
        self._in_basket = self._matrix(enumerate(basket.product_ids for basket in known), len(known))
        customers = {name: row for row, name in enumerate(sorted({each.customer_id for each in known if each.customer_id}))}
        times = self._matrix(
            ((customers[basket.customer_id], basket.product_ids) for basket in known if basket.customer_id), len(customers)
        )
        self._by_customer = times.sign()
        self._basket_columns, self._customer_columns = self._in_basket.tocsc(), self._by_customer.tocsc()
        usual_share = _sums(self._in_basket) / np.float32(max(1, len(known)))
        self._again = self._bought_again(known, usual_share)
        self._again_lift = self._again / np.maximum(usual_share, 1e-9)
        ages = _ages(known)
        self.last_day = max((basket.placed_at for basket in known if basket.placed_at), default=None)
        fresh = sparse.diags_array(np.exp2(-ages / POPULAR_HALF_LIFE_DAYS).astype(np.float32)) @ self._in_basket
        self._popular = _sums(fresh) / max(1e-9, float(_sums(fresh).max(initial=0.0)))
        usual = _sums(self._in_basket) * (_sums(fresh).sum() / max(1.0, float(self._in_basket.sum())))
        self._season = np.log((_sums(fresh) + SEASON_PRIOR) / (usual + SEASON_PRIOR))
        self._lately = _sums(self._in_basket[np.flatnonzero(ages < POPULAR_DAYS)])
        self._near = {
            "customers": _neighbours(self._by_customer, SHRINKAGE["customers"]),
            "baskets": _neighbours(self._in_basket, SHRINKAGE["baskets"]),
        }

    def suggest(
        self,
        history: Iterable[Basket],
        looking_at: Sequence[str] = (),
        *,
        limit: int,
        without: Collection[str] = (),
        alike: Alike | None = None,
    ) -> list[Suggestion]:
        """The products likeliest to be in this customer's next basket, best first.

        `history` are the customer's own baskets, () where there are none; `looking_at` the products seen or asked about now,
        which are not suggested themselves, and no more is any of `without`. With neither, it is what is popular.
        """
        evidence = self._evidence(list(history), looking_at, alike)
        scores = np.array(self.weights, dtype=np.float32) @ evidence.parts
        scores[[self._number[product_id] for product_id in {*looking_at, *without} & self._number.keys()]] = -np.inf
        order = np.argsort(-scores, kind="stable")[:limit]
        return [self._told(int(number), float(scores[number]), evidence) for number in order if np.isfinite(scores[number])]

    def preferences(self, history: Iterable[Basket], products: Sequence[str], alike: Alike | None = None) -> list[Suggestion]:
        """The given products, the likeliest for a customer with this history first; what is popular does not count.

        A product for which the history says nothing has the score 0 and keeps its place among such.
        """
        evidence = self._evidence(list(history), (), alike)
        scores = np.array(self.weights._replace(popular=0.0, season=0.0), dtype=np.float32) @ evidence.parts
        told = [
            self._told(number, float(scores[number]), evidence)
            if (number := self._number.get(product_id)) is not None
            else Suggestion(product_id, 0.0, "popular")
            for product_id in products
        ]
        return sorted(told, key=lambda each: -each.score)

    def bought_with(self, product_id: str, limit: int) -> list[Suggestion]:
        """Products bought in the same baskets as this one, best first: more often than by chance, and often enough to tell."""
        number = self._number.get(product_id)
        if number is None:
            return []
        row = self._near["baskets"][[number]].tocsr()
        order = np.argsort(-row.data, kind="stable")[:limit]
        return [
            Suggestion(self.ids[other], float(row.data[place]), "together", self._together(number, other), product_id)
            for place in order
            for other in [int(row.indices[place])]
        ]

    def again_lift(self, product_id: str) -> float:
        """How many times likelier than others its buyers are to have the product in a later basket; about 1 for what one buys once."""
        number = self._number.get(product_id)
        return float(self._again_lift[number]) if number is not None else 0.0

    def _bought_again(self, baskets: Sequence[Basket], usual_share: Floats) -> Floats:
        """The share of its buyers' later baskets that hold each product, drawn towards the shop's mean where there are few."""
        by_customer: dict[str, list[Basket]] = {}
        for basket in baskets:
            if basket.customer_id:
                by_customer.setdefault(basket.customer_id, []).append(basket)
        again, later = np.zeros((2, len(self.ids)))
        for own in by_customer.values():
            had: set[int] = set()
            for basket in sorted(own, key=lambda each: (each.placed_at.timestamp() if each.placed_at else 0.0, each.id)):
                now = {self._number[product_id] for product_id in basket.product_ids}
                later[list(had)] += 1
                again[list(had & now)] += 1
                had |= now
        usual = float((usual_share * later).sum())
        mean_lift = again.sum() / usual if usual else 1.0
        expected = mean_lift * usual_share
        return np.asarray((again + AGAIN_PRIOR * expected) / (later + AGAIN_PRIOR), dtype=np.float32)

    def evidence(self, history: Sequence[Basket], looking_at: Sequence[str] = (), alike: Alike | None = None) -> Floats:
        """What each piece of evidence says of every product of `ids`: shape (weights, products), in the order of Weights."""
        return self._evidence(history, looking_at, alike).parts

    def _evidence(self, history: Sequence[Basket], looking_at: Sequence[str], alike: Alike | None) -> "_Evidence":
        counts = Counter(
            self._number[product_id]
            for basket in history
            for product_id in set(basket.product_ids)
            if product_id in self._number
        )
        seen = [self._number[product_id] for product_id in dict.fromkeys(looking_at) if product_id in self._number]
        # What is looked at now tells as much as all that was bought before.
        start = np.zeros(len(self.ids), dtype=np.float32)
        start[list(counts)] = np.array(list(counts.values()), dtype=np.float32) / max(1, counts.total())
        start[seen] += np.float32(1 / max(1, len(seen)))
        start /= max(1e-9, float(start.sum()))
        again, rate, like = np.zeros((3, len(self.ids)), dtype=np.float32)
        for product, times in counts.items():
            again[product] = np.log1p(times) * self._again[product]
            rate[product] = times / len(history)
        near_to: dict[str, dict[int, float]] = {}
        newest = dict.fromkeys(product_id for basket in reversed(history) for product_id in basket.product_ids)
        for product_id in [*dict.fromkeys(looking_at), *list(newest)[:RECENT_PURCHASES]] if alike else ():
            found = alike(product_id)[:LIKE_COUNTED] if alike else ()
            near_to[product_id] = {
                self._number[other]: 1 - rank / LIKE_COUNTED for rank, other in enumerate(found) if other in self._number
            }
        for near in near_to.values():
            like[list(near)] += np.array(list(near.values()), dtype=np.float32) / len(near_to)
        from_customers, from_baskets = (self._near[name].T @ start for name in ("customers", "baskets"))
        parts = np.stack([again, rate, from_customers, from_baskets, like, self._popular, self._season]).astype(np.float32)
        return _Evidence(parts, counts, start, near_to)

    def _told(self, product: int, score: float, evidence: "_Evidence") -> Suggestion:
        """The product with the piece of evidence that weighed most of those that can be told."""
        worth = Weights(*(float(each) for each in np.array(self.weights) * evidence.parts[:, product]))
        id = self.ids[product]
        lately = int(self._lately[product])
        # What nobody bought lately is called popular only where nothing else can be said.
        told = [(worth.popular + worth.season if lately else -np.inf, Suggestion(id, score, "popular", lately))]
        if times := evidence.bought.get(product):
            told.append((worth.again + worth.rate, Suggestion(id, score, "again", times)))
        if worth.customers + worth.baskets:
            worth_of = evidence.start * self._nearness(product)
            told.append((worth.customers + worth.baskets, self._bought_both(product, int(worth_of.argmax()), score)))
        if worth.alike:
            near_to = evidence.near_to
            nearest = max(near_to, key=lambda each: near_to[each].get(product, 0.0))
            told.append((worth.alike, Suggestion(id, score, "alike", of=nearest)))
        return max(told, key=lambda each: each[0])[1]

    def _nearness(self, product: int) -> Floats:
        """What each other product bought counts for this one: shape (products,)."""
        nearness = np.zeros(len(self.ids), dtype=np.float32)
        for name, near in self._near.items():
            column = slice(near.indptr[product], near.indptr[product + 1])
            nearness[near.indices[column]] += getattr(self.weights, name) * near.data[column]
        return nearness

    def _bought_both(self, product: int, other: int, score: float) -> Suggestion:
        if together := self._together(product, other):
            return Suggestion(self.ids[product], score, "together", together, self.ids[other])
        both = _common(self._customer_columns, product, other)
        return Suggestion(self.ids[product], score, "also", both, self.ids[other])

    def _together(self, product: int, other: int) -> int:
        return _common(self._basket_columns, product, other)

    def _matrix(self, rows: Iterable[tuple[int, Sequence[str]]], count: int) -> Any:
        """How often each row has each product: shape (count, products)."""
        places = [(row, self._number[product_id]) for row, product_ids in rows for product_id in dict.fromkeys(product_ids)]
        at = np.array(places, dtype=np.int64).reshape(-1, 2)
        matrix = sparse.csr_array((np.ones(len(at), dtype=np.float32), (at[:, 0], at[:, 1])), shape=(count, len(self.ids)))
        matrix.sum_duplicates()
        return matrix


@dataclass(frozen=True)
class _Evidence:
    """What is known of one customer. Products are numbers here, but for `near_to`, which may name some that are not known.

    `parts` as Recommender.evidence gives them; `bought` how often, `start` each product's share in what counts as seen;
    `near_to` what is like the products looked up, from 1 down to 0.
    """

    parts: Floats
    bought: Mapping[int, int]
    start: Floats
    near_to: Mapping[str, Mapping[int, float]]


def _sums(matrix: Any) -> Floats:
    return np.asarray(matrix.sum(axis=0), dtype=np.float32).ravel()


def _ages(baskets: Sequence[Basket]) -> Floats:
    """Days from each basket to the last one; those without a day are as old as the oldest."""
    days = [basket.placed_at for basket in baskets]
    last = max((day for day in days if day), default=None)
    ages = [(last - day).total_seconds() / 86_400 if last and day else np.nan for day in days]
    oldest = max((age for age in ages if not np.isnan(age)), default=0.0)
    return np.array([oldest if np.isnan(age) else age for age in ages], dtype=np.float32)


def _neighbours(bought: Any, shrinkage: float) -> Any:
    """Which products go together: the cosine of two columns of `bought`, less what chance alone would give, × n / (n + shrinkage).

    n are the rows that have both. Where few customers buy much, any two things have many buyers in common by chance.
    Only the NEIGHBOURS nearest of each are kept, in its row; shape (products, products).
    Source: Sarwar et al. 2001, doi:10.1145/371920.372071; the shrinkage is that of Bell and Koren 2007, doi:10.1109/ICDM.2007.90.
    """
    columns = bought.T.tocsr()
    buyers = _sums(bought)
    lengths = np.sqrt(np.maximum(1.0, buyers))
    kept = []
    for start in range(0, columns.shape[0], BLOCK):
        both = (columns[start : start + BLOCK] @ bought).tocsr()
        for row in range(both.shape[0]):
            part = slice(both.indptr[row], both.indptr[row + 1])
            others, count = both.indices[part], both.data[part]
            by_chance = buyers[start + row] * buyers[others] / max(1, bought.shape[0])
            near = (count - by_chance) * count / (count + shrinkage) / (lengths[start + row] * lengths[others])
            near[others == start + row] = 0.0
            best = np.argsort(-near, kind="stable")[:NEIGHBOURS]
            best = best[near[best] > 0]
            kept.append((others[best], near[best]))
    rows = np.repeat(np.arange(len(kept)), [len(others) for others, _ in kept])
    others = np.concatenate([others for others, _ in kept]) if kept else np.empty(0, dtype=np.int64)
    near = np.concatenate([near for _, near in kept]) if kept else np.empty(0, dtype=np.float32)
    return sparse.csc_array((near.astype(np.float32), (rows, others)), shape=(len(kept), len(kept)))


def _common(columns: Any, product: int, other: int) -> int:
    """How many rows have both products."""
    first, second = (columns.indices[columns.indptr[each] : columns.indptr[each + 1]] for each in (product, other))
    return len(np.intersect1d(first, second, assume_unique=True))
