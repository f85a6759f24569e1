"""How well search orders a catalogue whose products people judged, stage by stage: by words, by meaning, both, read once more.

The search measured is the agent's, Catalog.search, over a shop made of the products' names.
"""

import math
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tools.catalog.catalog import CANDIDATES, Catalog
from tools.catalog.index import NO_FILTERS
from tools.catalog.ranking import Ranking
from tools.kit.json_lines import read_json_lines
from tools.shop.types import Language, LocalText, Product, ShopInfo, Variant

STAGES: tuple[Ranking, ...] = ("bm25", "dense", "fused", "reranked")
BEST = 10
SHOP = ShopInfo(name=LocalText(en="Judged products"), currency="USD")


class Named(BaseModel):
    """A product to find: one line of --products."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str

    def as_product(self) -> Product:
        """A product of which nothing but the name is known."""
        # A category is required; the name again adds no word to what is indexed.
        title = LocalText(zh=self.name) if language_of(self.name) == "zh" else LocalText(en=self.name)
        return Product(id=self.id, title=title, category=title, variants=(Variant(id=f"{self.id}-1", price_cents=None),))


class Query(BaseModel):
    """What somebody looks for: one line of --queries."""

    model_config = ConfigDict(frozen=True)

    id: str
    query: str


class Judgement(BaseModel):
    """Whether a product answers a query, "Relevant" or anything else: one line of --judgements."""

    model_config = ConfigDict(frozen=True)

    query_id: str
    product_id: str
    label: str


@dataclass(frozen=True)
class Judged:
    """A query with the products that were judged for it: the relevant and the others."""

    query: str
    relevant: frozenset[str]
    irrelevant: frozenset[str]


def read_judged(queries: Path, judgements: Path) -> list[Judged]:
    """The queries that have a relevant product; of the others no order is better than another. Raises OperatorError."""
    ordered = sorted(read_json_lines(judgements, Judgement), key=attrgetter("query_id"))
    by_query = {query: list(rows) for query, rows in groupby(ordered, key=attrgetter("query_id"))}
    judged = []
    for query in read_json_lines(queries, Query):
        rows = by_query.get(query.id, [])
        relevant = frozenset(row.product_id for row in rows if row.label == "Relevant")
        if relevant:
            judged.append(Judged(query.query, relevant, frozenset(row.product_id for row in rows) - relevant))
    return judged


def measure_quality(catalog: Catalog, judged: Sequence[Judged]) -> Iterator[Mapping[str, Any]]:
    """Search for every query by every stage: one row a stage, {"stage", "ndcg10", "recall10", "ms"}.

    nDCG@10 (Järvelin and Kekäläinen 2002) looks at judged products alone, those not found at the end; recall@10 asks how many of
    the relevant ones are among the first ten of the whole catalogue, where others may be relevant that nobody judged. "ms" is the
    median time of one search, the encoder's included.
    """
    # The shop's words are read once, before the first customer comes.
    catalog.search(judged[0].query, language_of(judged[0].query), NO_FILTERS, 1)
    for stage in STAGES:
        gains, recalls, times = [], [], []
        for each in judged:
            began = time.perf_counter()
            hits = catalog.search(each.query, language_of(each.query), NO_FILTERS, CANDIDATES, ranking=stage)
            times.append(1000 * (time.perf_counter() - began))
            found = [hit.id for hit in hits]
            gains.append(ndcg(found, each))
            recalls.append(len(each.relevant & set(found[:BEST])) / len(each.relevant))
        yield {
            "stage": stage,
            "ndcg10": statistics.mean(gains),
            "recall10": statistics.mean(recalls),
            "ms": statistics.median(times),
        }


def ndcg(found: Iterable[str], judged: Judged) -> float:
    """nDCG@10 of the judged products in this order: 1 where all relevant ones come first, 0 where none is found."""
    order = [each for each in found if each in judged.relevant or each in judged.irrelevant][:BEST]
    gain = sum(1 / math.log2(rank + 2) for rank, each in enumerate(order) if each in judged.relevant)
    return gain / sum(1 / math.log2(rank + 2) for rank in range(min(BEST, len(judged.relevant))))


def language_of(text: str) -> Language:
    """Chinese where the text has a Chinese character."""
    return "zh" if any("\u4e00" <= character <= "\u9fff" for character in text) else "en"
