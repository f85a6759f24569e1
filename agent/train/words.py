"""Teaches the text encoder what a shop's customers mean by their words: queries are drawn to the products that answered them.

Only queries learn; the products' vectors are those of the shop's index. Each query is held against the products of its batch and many
others drawn from the shop; what is known to answer it too does not count against it. Source: van den Oord et al. 2018,
arXiv:1807.03748 (InfoNCE); Karpukhin et al. 2020, arXiv:2004.04906 (negatives of the same batch).
"""

import csv
import hashlib
import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import save_file

from agent.intake import detect_language
from agent.own_queries import query_ids
from agent.train.chooser import lora_tensors, with_lora
from tools.catalog.catalog import Catalog
from tools.catalog.index import NO_FILTERS, Index
from tools.catalog.ranking import Ranking
from tools.catalog.text_encoder import TextEncoder
from tools.kit.errors import OperatorError
from tools.kit.json_lines import read_json_lines
from tools.shop.shop import Shop
from tools.shop.types import Language

RANK, ALPHA = 8, 16
BATCH = 32
OTHERS = 256
"""Products drawn from the whole shop for each batch."""
SHARPNESS = 30.0
"""Inverse temperature of the contrast."""
BEST = 10
KEPT_BY = "whole search, nDCG@10"
"""What must be higher than before on queries that decided nothing, or nothing is kept.

On WANDS, with 47 queries to learn (94 in all), it is not: 0.486 before and 0.469 after; by meaning alone, recall@10 rises from 0.581 to
0.600. So few queries are learnt by heart."""
FEWEST = 20
"""Queries with fewer than so many say nothing about whether training helps."""

Tell = Callable[[float, str], None]


class Pair(BaseModel):
    """A query and a product that answered it: clicked, bought, or judged so."""

    model_config = ConfigDict(frozen=True)

    query: str
    product_id: str


@dataclass(frozen=True)
class Plan:
    """What decides the result, besides the pairs."""

    epochs: int = 20
    learning_rate: float = 3e-4
    patience: int = 4
    """Epochs without a better figure on the queries to stop by, after which training ends."""
    seed: int = 0


@dataclass
class Course:
    """The figures on the queries to stop by before the first epoch and after each; `best` is the epoch kept."""

    looks: list[float] = field(default_factory=list)
    best: int = 0


@dataclass(frozen=True)
class Lessons:
    """Queries with the products that answer them, and the shop's products: `vectors` has the shape (products, dimensions)."""

    products: Sequence[str]
    vectors: NDArray[np.float32]
    answers: Mapping[str, frozenset[str]]
    language: Language


def read_pairs(file: Path) -> list[Pair]:
    """The pairs of a JSON-lines file, or of a CSV file with the columns query and product_id. Raises OperatorError."""
    if file.suffix.lower() != ".csv":
        return read_json_lines(file, Pair)
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return [Pair.model_validate(row) for row in csv.DictReader(lines)]
    except (OSError, UnicodeDecodeError, csv.Error, ValidationError) as error:
        raise OperatorError(
            f"'{file}' cannot be read ({error}); name a CSV file with the columns query and product_id."
        ) from error


def split_queries(answers: Mapping[str, frozenset[str]]) -> tuple[list[str], list[str], list[str]]:
    """The queries to learn from (half), to stop by and to tell the figures on (a quarter each); by hash, the same every time."""
    order = sorted(answers, key=lambda query: hashlib.sha256(query.strip().lower().encode()).digest())
    half, quarter = len(order) // 2, len(order) // 4
    if quarter < FEWEST:
        raise OperatorError(
            f"{len(order)} queries with a product of this shop are too few to learn from; {4 * FEWEST} are the least."
        )
    return order[:half], order[half : half + quarter], order[half + quarter :]


def lessons_of(shop: Shop, index: Index, pairs: Sequence[Pair]) -> Lessons:
    """The pairs with products that the shop has, and its products' vectors as they are indexed, in its customers' main language."""
    answers: dict[str, set[str]] = {}
    known = {product.id for product in shop.products()}
    for pair in pairs:
        if pair.product_id in known and pair.query.strip():
            answers.setdefault(pair.query, set()).add(pair.product_id)
    language = language_of_most(answers)
    found = {each: its[language] for each in sorted(known) if language in (its := index.vectors("products", each))}
    if not found:
        raise OperatorError('no product of the shop is indexed; run "storehand index --shop DIR" first.')
    kept = {query: frozenset(its & found.keys()) for query, its in answers.items() if its & found.keys()}
    return Lessons([*found], np.stack([*found.values()]), kept, language)


def language_of_most(queries: Collection[str]) -> Language:
    """The language of most of the queries."""
    chinese = sum(detect_language(query, None) == "zh" for query in queries)
    return "zh" if 2 * chinese > len(queries) else "en"


def measure_queries(catalog: Catalog, lessons: Lessons, queries: Sequence[str]) -> dict[str, float]:
    """nDCG@10 and recall@10 by meaning alone and of the whole search, where only known answers are right."""
    figures = {}
    stages: dict[str, Ranking] = {"by meaning": "dense", "whole search": "reranked"}
    for name, ranking in stages.items():
        found = [[hit.id for hit in catalog.search(q, lessons.language, NO_FILTERS, BEST, ranking=ranking)] for q in queries]
        right = [set(lessons.answers[query]) for query in queries]
        both = list(zip(found, right, strict=True))
        figures[f"{name}, nDCG@10"] = sum(ndcg(*each) for each in both) / len(queries)
        figures[f"{name}, recall@10"] = sum(len(its & set(ids)) / len(its) for ids, its in both) / len(queries)
    return figures


def train_words(
    encoder: TextEncoder,
    lessons: Lessons,
    learn: Sequence[str],
    stop_by: Sequence[str],
    plan: Plan,
    out: Path,
    kept: Path,
    tell: Tell,
) -> Course:
    """Teach the encoder's queries; writes `out` if that finds more for the queries to stop by.

    Interrupted, it goes on at the last whole epoch in the folder `kept`.
    """
    torch.manual_seed(plan.seed)
    model = with_lora(encoder, RANK, ALPHA)
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=plan.learning_rate, weight_decay=0.01)
    vectors = torch.from_numpy(lessons.vectors)
    number = {product: place for place, product in enumerate(lessons.products)}
    pairs = [(query, number[product]) for query in learn for product in sorted(lessons.answers[query])]
    answers = {query: [number[product] for product in lessons.answers[query]] for query in lessons.answers}
    steps = math.ceil(len(pairs) / BATCH)

    def encode(queries: Sequence[str]) -> torch.Tensor:
        return torch.nn.functional.normalize(encoder.pooled(model, query_ids(encoder, queries)))

    def look() -> float:
        with torch.inference_mode():
            order = (encode(stop_by) @ vectors.T).topk(min(BEST, len(number))).indices.tolist()
        return sum(ndcg(found, set(answers[query])) for query, found in zip(stop_by, order, strict=True)) / len(stop_by)

    key = hashlib.sha256(f"{plan} {encoder.fingerprint} {pairs} {stop_by} {lessons.vectors.sum()}".encode()).hexdigest()[:16]
    checkpoint = kept / f"words-{key}.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"], strict=False)
        optimizer.load_state_dict(state["optimizer"])
        course, best = Course(state["looks"], state["best"]), state["tensors"]
    else:
        course, best = Course([look()]), lora_tensors(model)
    for epoch in range(len(course.looks) - 1, plan.epochs):
        if epoch - course.best >= plan.patience:
            break
        rng = random.Random(f"{plan.seed} {epoch}")
        torch.manual_seed(plan.seed * 1000 + epoch)
        order = rng.sample(pairs, len(pairs))
        model.train()
        for step in range(steps):
            batch = order[step * BATCH : (step + 1) * BATCH]
            shown = list(dict.fromkeys([product for _, product in batch] + rng.choices(range(len(number)), k=OTHERS)))
            scores = SHARPNESS * encode([query for query, _ in batch]) @ vectors[shown].T
            also = torch.tensor([[other in answers[query] and other != product for other in shown] for query, product in batch])
            right = torch.tensor([shown.index(product) for _, product in batch])
            loss = torch.nn.functional.cross_entropy(scores.masked_fill(also, -1e4), right)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(learnt, 1.0)
            optimizer.step()
            tell((epoch + (step + 1) / steps) / plan.epochs, f"epoch {epoch + 1} of {plan.epochs}, loss {loss.item():.2f}")
        model.eval()
        course.looks.append(look())
        if course.looks[-1] > course.looks[course.best]:
            course.best, best = epoch + 1, lora_tensors(model)
        _keep(
            checkpoint,
            {"looks": course.looks, "best": course.best, "tensors": best, "optimizer": optimizer.state_dict()},
            model,
        )
    if course.best:
        _save(out, best, encoder.fingerprint)
    return course


def ndcg(found: Sequence[Any], right: set[Any]) -> float:
    """nDCG@10 of what was found, best first, where what is not known to be right is wrong."""
    gain = sum(1 / math.log2(rank + 2) for rank, each in enumerate(found[:BEST]) if each in right)
    return gain / sum(1 / math.log2(rank + 2) for rank in range(min(BEST, len(right))))


def _keep(checkpoint: Path, state: dict[str, Any], model: torch.nn.Module) -> None:
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    partial = checkpoint.with_suffix(".partial")
    torch.save({**state, "model": {name: its for name, its in model.state_dict().items() if "lora_" in name}}, partial)
    partial.replace(checkpoint)


def _save(out: Path, tensors: Mapping[str, torch.Tensor], encoder: str) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".partial")
    contents = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    save_file(contents, partial, {"encoder": encoder, "scale": str(ALPHA / RANK)})
    partial.chmod(0o644)  # safetensors writes 0600
    partial.replace(out)
