"""What an index can do: keep vectors with filterable values, give the nearest ones. Knows nothing of encoders and shops.

Two adapters: edge_index.py (in the process, the default) and server_index.py (a Qdrant server).
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Kind = Literal["products", "pictures", "clauses"]
KINDS: tuple[Kind, ...] = ("products", "pictures", "clauses")
WORDS = "words"
"""The name of every point's sparse vector."""

LAYOUT = 4
"""Counted up when what the index holds for the same shop and encoders changes: an older index must be made again."""


@dataclass(frozen=True)
class Filters:
    """What a product must be. Price (minor units, both ends included; None leaves it open) and stock hold for the same variant.

    Whatever else a customer asks is held against the shop's records (tools/kit/wish.py).
    """

    price_min_cents: int | None = None
    price_max_cents: int | None = None
    in_stock: bool = False
    """Whether it must be one that can be bought now."""


NO_FILTERS = Filters()


@dataclass(frozen=True)
class Sparse:
    """A sparse vector: the places that are not zero, and what stands there."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class VariantValues:
    """What filters read of a variant."""

    price_cents: int | None
    in_stock: bool


@dataclass(frozen=True)
class Point:
    """One thing that can be found. `id` is unique in its kind; `owner` is the product or clause that it stands for."""

    id: str
    owner: str
    vectors: Mapping[str, NDArray[np.float32]]
    words: Sparse | None = None
    variants: tuple[VariantValues, ...] = ()
    digest: str = ""
    """Of all that the point was made from: a point whose digest is still the same need not be made again."""

    def payload(self) -> dict[str, Any]:
        """The values that an index stores beside the vectors. Stock is a number: Qdrant Edge 0.9 matches no booleans."""
        return {
            "owner": self.owner,
            "digest": self.digest,
            PRICES: _prices(self.variants),
            PRICES_IN_STOCK: _prices(each for each in self.variants if each.in_stock),
            IN_STOCK: int(any(each.in_stock for each in self.variants)),
        }


def _prices(variants: Iterable[VariantValues]) -> list[int]:
    return sorted({each.price_cents for each in variants if each.price_cents is not None})


PRICES, PRICES_IN_STOCK, IN_STOCK = FILTERED = ("prices", "prices_in_stock", "in_stock")
"""The filterable values, all integers. Two lists of prices, for conditions nested in variants take the engine fifty times as long."""


@dataclass(frozen=True)
class Changes:
    """What an update does to one kind."""

    points: Iterable[Point] = ()
    """New ones, and those that replace the point with the same id; taken as they come."""
    deleted: Sequence[str] = ()
    """By `point_uuid`."""


@dataclass(frozen=True)
class Hit:
    """A product or clause that was found.

    `score` orders the hits of one search (a cosine, a BM25 score or a fused score); `cosine` is the cosine of the nearest
    text vector where one was compared, which says how near it is.
    """

    id: str
    score: float
    cosine: float | None = field(default=None)


class Manifest(BaseModel):
    """What an index holds and what made it: stored beside the vectors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: int
    shop_version: str
    fingerprints: dict[Literal["text", "photo"], str]
    """By encoder; without "photo" where the shop has no pictures."""
    dimensions: dict[Kind, dict[str, int]]
    """By kind: the names of the dense vectors and their lengths."""
    counts: dict[Kind, int] = {}
    """By kind: how many points; counted by the index."""

    def continues(self, older: "Manifest") -> bool:
        """Whether who searched the older index can go on with this one: every encoder of then is still the one."""
        return self.layout == older.layout and older.fingerprints.items() <= self.fingerprints.items()


def in_batches(points: Iterable[Point], size: int = 256) -> Iterator[list[Point]]:
    """The points in lists of at most `size`."""
    rest = iter(points)
    while batch := list(islice(rest, size)):
        yield batch


def point_uuid(point_id: str) -> str:
    """A point's id as Qdrant takes it."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, point_id))


class Index(Protocol):
    """Vectors of products, pictures and clauses.

    Who has asked for the manifest goes on with later versions of the index, but never with one of other encoders: then an
    index in the process keeps the old vectors, and one on a server raises OperatorError.
    """

    def manifest(self) -> Manifest:
        """What the index holds now. Raises IndexMissing if it was never built."""
        ...

    def digests(self, kind: Kind) -> dict[str, str]:
        """The digest of every point by its `point_uuid`. Raises IndexMissing."""
        ...

    def rebuild(self, manifest: Manifest, points: Mapping[Kind, Iterable[Point]]) -> None:
        """Put these points in place of all others, at once and at the end: if it is interrupted, the old ones stay.

        Points are taken as they come, so they may be made on the way, in the order of KINDS. Raises OperatorError.
        """
        ...

    def update(self, manifest: Manifest, changes: Mapping[Kind, Changes]) -> None:
        """Write and delete single points, and the manifest last: if it is interrupted, the old manifest stays.

        `manifest` has the encoders and dimensions that the index has. Raises IndexMissing, OperatorError.
        """
        ...

    def nearest(
        self, kind: Kind, using: str, wanted: NDArray[np.float32] | Sparse, limit: int, filters: Filters = NO_FILTERS
    ) -> list[Hit]:
        """The points nearest to a vector, best first, as hits on their owners (an owner of several points may come twice).

        `using` names the vector to compare with: a dense one by cosine, WORDS by BM25. Raises IndexMissing.
        """
        ...

    def vectors(self, kind: Kind, point_id: str) -> dict[str, NDArray[np.float32]]:
        """The dense vectors of one point by name, unit length; empty if there is no such point. Raises IndexMissing."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
