"""The index in the process: Qdrant Edge, kept in a folder. One process at a time writes it; any number search it.

The folder holds manifest.json and one folder a generation, with a shard for each kind. No generation is ever changed: a
rebuild writes the next one, an update a changed copy (a second for 20,000 products), and then manifest.json, which names it,
is replaced. Who searches sees that and opens the next generation; until then the files of the old one, deleted or not, stay
open to it.
"""

import json
import os
import shutil
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from pydantic import ValidationError

from tools.catalog.index import (
    FILTERED,
    IN_STOCK,
    KINDS,
    NO_FILTERS,
    PRICES,
    PRICES_IN_STOCK,
    WORDS,
    Changes,
    Filters,
    Hit,
    Kind,
    Manifest,
    Point,
    Sparse,
    in_batches,
    point_uuid,
)
from tools.kit.errors import IndexMissing, OperatorError

_SCROLLED = 10_000
"""Points read at once."""


EXACT = edge.HnswIndexConfig(m=0, ef_construct=0, full_scan_threshold=0)
"""No graph: every vector is compared. Among 50,000 products that takes about as long as reading them from memory once, misses nothing
whatever the filter, and the index is written fifteen times faster; for millions there is the Qdrant server."""


class EdgeIndex:
    """Vectors in a folder; an Index. Any thread may search."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writing = FileLock(folder / "lock", timeout=0)
        # Held by readers while they open files and by the writer while it deletes them.
        self._turning = FileLock(folder / "turning.lock")
        self._opening = threading.Lock()
        self._opened: _Opened | None = None

    def manifest(self) -> Manifest:
        """What the index holds now. Raises IndexMissing if it was never built."""
        return self._open().manifest

    def digests(self, kind: Kind) -> dict[str, str]:
        """The digest of every point by its `point_uuid`. Raises IndexMissing."""
        shard = self._open().shards[kind]
        found: dict[str, str] = {}
        offset = None
        while True:
            records, offset = shard.scroll(edge.ScrollRequest(offset=offset, limit=_SCROLLED, with_payload=["digest"]))
            found |= {str(record.id): record.payload["digest"] for record in records if record.payload}
            if offset is None:
                return found

    def rebuild(self, manifest: Manifest, points: Mapping[Kind, Iterable[Point]]) -> None:
        """Put these points in place of all others. Raises OperatorError if another process writes the index."""
        with self._next_generation() as folder:
            counts = {
                kind: _write_shard(_new_shard(folder / kind, manifest.dimensions.get(kind, {})), Changes(points.get(kind, ())))
                for kind in KINDS
            }
            self._turn_to(folder, manifest.model_copy(update={"counts": counts}))

    def update(self, manifest: Manifest, changes: Mapping[Kind, Changes]) -> None:
        """Write and delete single points. Raises IndexMissing, OperatorError if another process writes the index."""
        opened = self._open()
        with self._next_generation() as folder:
            if self._stored()["generation"] != opened.generation:
                raise OperatorError(f"the index in '{self._folder}' was changed by another process meanwhile; try again.")
            old = self._folder / opened.generation
            if changes:
                shutil.copytree(old, folder)
            counts = {kind: _write_shard(_load_shard(folder / kind), change) for kind, change in changes.items()}
            counted = manifest.model_copy(update={"counts": opened.manifest.counts | counts})
            self._turn_to(folder if changes else old, counted)

    def nearest(
        self, kind: Kind, using: str, wanted: NDArray[np.float32] | Sparse, limit: int, filters: Filters = NO_FILTERS
    ) -> list[Hit]:
        """The points nearest to a vector, best first. Raises IndexMissing."""
        vector: Any = (
            edge.SparseVector(list(wanted.indices), list(wanted.values)) if isinstance(wanted, Sparse) else wanted.tolist()
        )
        found = (
            self._open()
            .shards[kind]
            .query(
                edge.QueryRequest(
                    limit=limit,
                    query=edge.Query.Nearest(vector, using=using),
                    filter=_edge_filter(filters),
                    with_payload=["owner"],
                )
            )
        )
        return [Hit(point.payload["owner"], point.score) for point in found if point.payload]

    def vectors(self, kind: Kind, point_id: str) -> dict[str, NDArray[np.float32]]:
        """The dense vectors of one point by name; empty if there is no such point. Raises IndexMissing."""
        found = self._open().shards[kind].retrieve([point_uuid(point_id)], with_payload=False, with_vector=True)
        named: Any = found[0].vector if found else {}
        return {name: np.asarray(vector, dtype=np.float32) for name, vector in named.items() if name != WORDS}

    def close(self) -> None:
        """Close the shards."""
        with self._opening:
            self._close_shards()

    @property
    def _manifest_file(self) -> Path:
        return self._folder / "manifest.json"

    def _open(self) -> "_Opened":
        """The newest generation that continues what was opened before."""
        with self._opening:
            try:
                file = self._manifest_file.stat()
            except FileNotFoundError:
                raise IndexMissing(f"no product index in '{self._folder}'; run \"storehand index --shop DIR\" first.") from None
            seen = (file.st_ino, file.st_mtime_ns)
            if self._opened is None or self._opened.seen != seen:
                self._opened = self._reopened(seen)
            return self._opened

    def _reopened(self, seen: tuple[int, int]) -> "_Opened":
        with self._turning:
            stored = self._stored()
            manifest = Manifest.model_validate(stored["manifest"])
            if self._opened is not None and not manifest.continues(self._opened.manifest):
                return replace(self._opened, seen=seen)
            # The shards opened before are left to those who still search in them; the last one closes them.
            generation = stored["generation"]
            shards: dict[Kind, edge.EdgeShard] = {kind: _load_shard(self._folder / generation / kind) for kind in KINDS}
            return _Opened(seen, generation, manifest, shards)

    def _stored(self) -> dict[str, Any]:
        try:
            stored: dict[str, Any] = json.loads(self._manifest_file.read_text(encoding="utf-8"))
            Manifest.model_validate(stored["manifest"])
            Path(stored["generation"])
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValidationError) as error:
            raise _broken(self._folder, error) from error
        return stored

    @contextmanager
    def _next_generation(self) -> Iterator[Path]:
        """A folder to write, for the one process that may write."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._writing.acquire()
        except Timeout:
            raise OperatorError(
                f"the index in '{self._folder}' is being made by another process; wait until that one is done, and try again."
            ) from None
        try:
            try:
                current = self._stored()["generation"]
            except (FileNotFoundError, IndexMissing):
                current = None
            # Whatever an interrupted one left.
            self._remove_generations(keep=current)
            yield self._folder / f"generation-{uuid.uuid4().hex[:8]}"
        finally:
            self._writing.release()

    def _turn_to(self, generation: Path, manifest: Manifest) -> None:
        draft = self._folder / "manifest.json.new"
        content = {"generation": generation.name, "manifest": manifest.model_dump()}
        draft.write_text(json.dumps(content, indent=2), encoding="utf-8")
        os.replace(draft, self._manifest_file)
        with self._opening:
            self._opened = None  # who writes goes on with what it wrote, whatever the encoders
        self._remove_generations(keep=generation.name)

    def _close_shards(self) -> None:
        if self._opened:
            for shard in self._opened.shards.values():
                shard.close()
            self._opened = None

    def _remove_generations(self, keep: str | None) -> None:
        with self._opening, self._turning:
            for folder in self._folder.glob("generation-*"):
                if folder.name != keep:
                    # Where files that somebody has open cannot be deleted, the next one to write deletes them.
                    shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class _Opened:
    """A generation that is searched; `seen` tells the manifest's file that was read last from those written since."""

    seen: tuple[int, int]
    generation: str
    manifest: Manifest
    shards: Mapping[Kind, edge.EdgeShard]


def _new_shard(folder: Path, dimensions: Mapping[str, int]) -> edge.EdgeShard:
    folder.mkdir(parents=True)
    config = edge.EdgeConfig(
        # Half the memory of float32, at the same speed and with the same ten found first (50,000 products).
        vectors={
            name: edge.EdgeVectorParams(size, edge.Distance.Cosine, datatype=edge.VectorStorageDatatype.Float16)
            for name, size in dimensions.items()
        },
        sparse_vectors={WORDS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        hnsw_config=EXACT,
        # A generation that is not finished is thrown away, so a log to recover it from would only take room.
        wal_enabled=False,
    )
    shard = edge.EdgeShard.create(str(folder), config)
    for name in FILTERED:
        shard.update(edge.UpdateOperation.create_field_index(name, edge.PayloadSchemaType.Integer))
    return shard


def _write_shard(shard: edge.EdgeShard, changes: Changes) -> int:
    """Change a shard and close it; returns how many points it has then."""
    try:
        if changes.deleted:
            shard.update(edge.UpdateOperation.delete_points([*changes.deleted]))
        for batch in in_batches(changes.points):
            shard.update(edge.UpdateOperation.upsert_points([_edge_point(point) for point in batch]))
        shard.optimize()
        shard.flush()
        return shard.count(edge.CountRequest())
    finally:
        shard.close()


def _load_shard(folder: Path) -> edge.EdgeShard:
    try:
        return edge.EdgeShard.load(str(folder))
    except Exception as error:  # the engine raises nothing narrower
        raise _broken(folder, error) from error


def _broken(folder: Path, error: Exception) -> OperatorError:
    return IndexMissing(
        f"the index in '{folder}' cannot be read: {error}; run \"storehand index --shop DIR\" to make it again."
    )


def _edge_point(point: Point) -> edge.Point:
    vectors: dict[str, Any] = {name: vector.tolist() for name, vector in point.vectors.items()}
    if point.words:
        vectors[WORDS] = edge.SparseVector(list(point.words.indices), list(point.words.values))
    return edge.Point(point_uuid(point.id), vectors, point.payload())


def _edge_filter(filters: Filters) -> edge.Filter | None:
    """The filter in Qdrant Edge's words."""
    low, high = filters.price_min_cents, filters.price_max_cents
    if low is not None or high is not None:
        prices = PRICES_IN_STOCK if filters.in_stock else PRICES
        return edge.Filter(must=[edge.FieldCondition(prices, range=edge.RangeFloat(gte=low, lte=high))])
    return edge.Filter(must=[edge.FieldCondition(IN_STOCK, match=edge.MatchValue(1))]) if filters.in_stock else None
