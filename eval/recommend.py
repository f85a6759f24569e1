"""Score recommendations on real baskets: what the tool's recommender learns from the past, against what was bought next.

The files are invoices line by line, in the form of UCI's Online Retail: InvoiceNo, StockCode, Description, Quantity, InvoiceDate,
UnitPrice, CustomerID, Country. Cancellations (numbers that begin with C, or pieces below 1), lines without a price and codes
that are no goods (postage, bank charges) are left out.

One basket of each customer is foretold: the first in the test files, from the train files alone.
- `known` customers have baskets in the train files; those are known, and of the basket foretold nothing.
- `new` customers have none. What is known is the first line of their basket, as the product they look at; the rest is foretold.
- `unknown` are the same new customers of whom not even that is known: all that one can tell is what is popular.
Baskets without a customer are learnt from, and not foretold. recall10 is the share of the basket's products among the ten
suggested (so a basket of forty has at most 0.25), ndcg10 the normalised discounted cumulative gain of Järvelin and
Kekäläinen 2002, doi:10.1145/582415.582418, with a gain of 1 for a product of the basket. Products that the train files do
not have count as missed.
"""

import csv
import gzip
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tools.catalog.recommender import LIKE_COUNTED, WEIGHTS, Alike, Recommender, Weights
from tools.kit.errors import OperatorError
from tools.shop.types import Basket

TOP = 10
_GAINS = 1 / np.log2(np.arange(2, TOP + 2))
_GOODS = re.compile(r"\d{4}")
STEPS = (0.0, 0.25, 0.5, 0.75, 1.5, 2.0, 4.0)
"""What a weight is multiplied by to see whether that is better."""
Encode = Callable[[Sequence[str]], NDArray[np.float32]]
Suggest = Callable[["Case"], list[str]]


@dataclass(frozen=True)
class Case:
    """A basket to foretell: what is known of the customer, and what was bought."""

    history: tuple[Basket, ...]
    looking_at: tuple[str, ...]
    bought: frozenset[str]


def read_baskets(files: Iterable[Path]) -> tuple[list[Basket], dict[str, str]]:
    """The baskets of all files, oldest first, and each product's name. Raises OperatorError for a file of another form."""
    baskets: dict[str, tuple[str, datetime, dict[str, None]]] = {}
    names: dict[str, str] = {}
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8", errors="replace", newline="") as lines:
            try:
                for row in csv.DictReader(lines):
                    code = row["StockCode"].strip().upper()
                    sold = not row["InvoiceNo"].startswith("C") and float(row["Quantity"]) > 0 and float(row["UnitPrice"]) > 0
                    if not sold or not _GOODS.search(code):
                        continue
                    customer = row["CustomerID"].strip().removesuffix(".0")
                    day = datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=UTC)
                    baskets.setdefault(row["InvoiceNo"], (customer, day, {}))[2][code] = None
                    names.setdefault(code, row["Description"].strip())
            except (KeyError, TypeError, ValueError, OSError) as error:
                raise OperatorError(
                    f"'{file}' is no gzipped CSV of invoice lines ({error!r}); give files like those of UCI's Online Retail."
                ) from error
    read = [
        Basket(id=invoice, product_ids=tuple(codes), customer_id=customer or None, placed_at=day)
        for invoice, (customer, day, codes) in baskets.items()
    ]
    return sorted(read, key=lambda basket: (basket.placed_at is not None and basket.placed_at, basket.id)), names


def cases_of(train: Sequence[Basket], test: Sequence[Basket]) -> dict[str, list[Case]]:
    """The baskets to foretell: "known", "new" and "unknown", as the module's docstring says."""
    history: dict[str, list[Basket]] = {}
    for basket in train:
        if basket.customer_id:
            history.setdefault(basket.customer_id, []).append(basket)
    nexts: dict[str, Basket] = {}
    for basket in test:
        if basket.customer_id:
            nexts.setdefault(basket.customer_id, basket)
    cases: dict[str, list[Case]] = {"known": [], "new": [], "unknown": []}
    for customer, basket in nexts.items():
        first, rest = basket.product_ids[:1], frozenset(basket.product_ids[1:])
        if customer in history:
            cases["known"].append(Case(tuple(history[customer]), (), frozenset(basket.product_ids)))
        elif rest:
            cases["new"].append(Case((), first, rest))
            cases["unknown"].append(Case((), (), rest))
    return cases


def measure_recommendations(
    train: Sequence[Basket], test: Sequence[Basket], names: Mapping[str, str], encode: Encode, limit: int | None = None
) -> dict[str, Any]:
    """recall10 and ndcg10 of popularity, item-to-item, and the tool's recommender, for each kind of customer.

    `encode` makes vectors of product names, for what is like a product; `limit` takes so many cases of each kind at random.
    """
    cases = {kind: _some(each, limit) for kind, each in cases_of(train, test).items()}
    if not cases["known"] or not cases["new"]:
        raise OperatorError("there is nothing to foretell: the test files need customers with and without a basket before.")
    ours = Recommender(train)
    alike = alike_by_name(ours.ids, names, encode)
    steps = ladder(ours, train, alike)
    result: dict[str, Any] = {
        name: {kind: score([suggest(case) for case in each], each) for kind, each in cases.items()}
        for name, suggest in steps.items()
    }
    result["cases"] = {kind: len(each) for kind, each in cases.items()}
    result["train_baskets"] = len(train)
    return result


def ladder(ours: Recommender, train: Sequence[Basket], alike: Alike) -> dict[str, Suggest]:
    """The ways to suggest that are compared, the baselines first and "ours", exactly what the tool asks, last."""
    counts: dict[str, int] = {}
    for basket in train:
        for product_id in basket.product_ids:
            counts[product_id] = counts.get(product_id, 0) + 1
    popular = sorted(counts, key=lambda each: (-counts[each], each))

    def only(**kept: float) -> Suggest:
        weights = Weights(*(0.0,) * len(WEIGHTS))._replace(**kept)

        def suggest(case: Case) -> list[str]:
            parts = ours.evidence(case.history, case.looking_at, alike if weights.alike else None)
            scores = np.array(weights) @ parts
            order = [ours.ids[number] for number in np.argsort(-scores, kind="stable")[: TOP + len(case.looking_at)]]
            return [product_id for product_id in order if product_id not in case.looking_at][:TOP]

        return suggest

    tie = 1e-6  # what is popular decides where nothing else does
    return {
        "popularity": lambda case: [each for each in popular[: TOP + 1] if each not in case.looking_at][:TOP],
        "item_to_item": item_to_item(train),
        "baskets_beyond_chance": only(baskets=1.0, popular=tie),
        "popular_lately": only(popular=1.0),
        "customer_to_customer": only(customers=1.0, popular=tie),
        "content": only(alike=1.0, popular=tie),
        "own_purchases": only(again=WEIGHTS.again, rate=WEIGHTS.rate, popular=tie),
        "without_season": only(**WEIGHTS._replace(season=0.0)._asdict()),
        "without_content": only(**WEIGHTS._replace(alike=0.0)._asdict()),
        "ours": lambda case: [each.product_id for each in ours.suggest(case.history, case.looking_at, limit=TOP, alike=alike)],
    }


def item_to_item(train: Sequence[Basket]) -> Suggest:
    """The baseline of Sarwar et al. 2001: the cosine of what was bought or is looked at with every product, summed."""
    ids = sorted({product_id for basket in train for product_id in basket.product_ids})
    number = {product_id: place for place, product_id in enumerate(ids)}
    rows = [(row, number[each]) for row, basket in enumerate(train) for each in basket.product_ids]
    places = np.array(rows).T
    bought = sparse.csr_array((np.ones(len(rows), dtype=np.float32), (places[0], places[1])), shape=(len(train), len(ids)))
    lengths = np.sqrt(bought.sum(axis=0))
    both = (bought.T @ bought).tocsr()
    both.setdiag(0)

    def suggest(case: Case) -> list[str]:
        start = np.zeros(len(ids), dtype=np.float32)
        for product_id in (*case.looking_at, *(each for basket in case.history for each in basket.product_ids)):
            if product_id in number:
                start[number[product_id]] += 1
        # What is popular decides where nothing else does.
        scores = (both @ (start / lengths)) / lengths + 1e-9 * lengths
        order = np.argsort(-scores, kind="stable")[: TOP + len(case.looking_at)]
        return [ids[place] for place in order if ids[place] not in case.looking_at][:TOP]

    return suggest


def score(suggested: Sequence[Sequence[str]], cases: Sequence[Case]) -> dict[str, float]:
    """Mean recall10 and ndcg10 of suggestions for cases."""
    recalls, gains = [], []
    for products, case in zip(suggested, cases, strict=True):
        hits = np.array([product_id in case.bought for product_id in products[:TOP]], dtype=float)
        recalls.append(hits.sum() / len(case.bought))
        gains.append((hits * _GAINS[: len(hits)]).sum() / _GAINS[: len(case.bought)].sum())
    return {"recall10": float(np.mean(recalls)), "ndcg10": float(np.mean(gains))}


def alike_by_name(ids: Sequence[str], names: Mapping[str, str], encode: Encode) -> Alike:
    """What is like a product by the meaning of its name; looked up as the tool looks up its catalogue."""
    vectors = encode([names[product_id] for product_id in ids])
    number = {product_id: place for place, product_id in enumerate(ids)}
    kept: dict[str, list[str]] = {}

    def alike(product_id: str) -> Sequence[str]:
        if product_id not in number:
            return ()
        if product_id not in kept:
            nearness = vectors @ vectors[number[product_id]]
            order = np.argsort(-nearness, kind="stable")[: LIKE_COUNTED + 1]
            kept[product_id] = [ids[other] for other in order if ids[other] != product_id][:LIKE_COUNTED]
        return kept[product_id]

    return alike


def fit_weights(
    train: Sequence[Basket], test: Sequence[Basket], names: Mapping[str, str], encode: Encode, limit: int | None = None
) -> tuple[Weights, float]:
    """The weights with the best mean ndcg10 over known and new customers, climbed to one weight at a time, and that mean."""
    learnt = Recommender(train)
    alike = alike_by_name(learnt.ids, names, encode)
    cases = cases_of(train, test)
    data = []
    for kind in ("known", "new"):
        some = _some(cases[kind], limit)
        data.append((some, [learnt.evidence(case.history, case.looking_at, alike) for case in some]))

    def worth(weights: Weights) -> float:
        means = []
        for some, parts in data:
            gains = []
            for case, each in zip(some, parts, strict=True):
                scores = np.array(weights, dtype=np.float32) @ each
                order = np.argpartition(-scores, min(TOP + 1, len(scores) - 1))[: TOP + 2]
                order = order[np.argsort(-scores[order], kind="stable")]
                gains.append([learnt.ids[number] for number in order if learnt.ids[number] not in case.looking_at])
            means.append(score(gains, some)["ndcg10"])
        return float(np.mean(means))

    best, reached = WEIGHTS, worth(WEIGHTS)
    for _ in range(3):
        before = reached
        for name, value in best._asdict().items():
            for step in STEPS:
                tried = best._replace(**{name: (value or 0.1) * step})
                if (gained := worth(tried)) > reached:
                    best, reached = tried, gained
        if reached - before < 1e-4:
            break
    return best, reached


def _some(cases: list[Case], limit: int | None) -> list[Case]:
    return cases if limit is None or limit >= len(cases) else random.Random(0).sample(cases, limit)


WIDTH, ROW, LEFT = 760, 26, 190
_COLORS = {"known": "#1f6f8b", "new": "#c86b1f", "unknown": "#8a8a8a"}


def draw_ladder(result: Mapping[str, Any]) -> str:
    """nDCG@10 of each way to suggest, for each kind of customer, as an SVG picture of bars."""
    kinds = list(result["cases"])
    ways = [name for name, row in result.items() if name != "cases" and isinstance(row, dict)]
    most = max(result[way][kind]["ndcg10"] for way in ways for kind in kinds) or 1.0
    height = 60 + ROW * len(ways) * len(kinds) + 12 * len(ways)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="26" font-size="15">nDCG@10 of the next basket, by what suggests it</text>',
    ]
    y = 48
    for way in ways:
        parts.append(
            f'<text x="{LEFT - 12}" y="{y + ROW * len(kinds) / 2 + 5:.0f}" text-anchor="end">{way.replace("_", " ")}</text>'
        )
        for kind in kinds:
            value = result[way][kind]["ndcg10"]
            width = (WIDTH - LEFT - 150) * value / most
            parts.append(f'<rect x="{LEFT}" y="{y + 3}" width="{width:.1f}" height="{ROW - 6}" fill="{_COLORS[kind]}"/>')
            parts.append(f'<text x="{LEFT + width + 8:.1f}" y="{y + ROW - 8}">{value:.3f} {kind}</text>')
            y += ROW
        y += 12
    return "\n".join([*parts, "</svg>", ""])
