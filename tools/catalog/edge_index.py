"""The index in the process: Qdrant Edge, kept in a folder. One process at a time.

The folder holds manifest.json and one folder a generation, with a shard for each kind. A rebuild writes the next generation
and then replaces manifest.json, which names it.
"""

import json
import os
import shutil
import threading
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from pydantic import ValidationError

from tools.catalog.index import (
    KINDS,
    NO_FILTERS,
    PAYLOAD_INDEXES,
    WORDS,
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

_SCHEMAS = {"keyword": edge.PayloadSchemaType.Keyword, "integer": edge.PayloadSchemaType.Integer}


class EdgeIndex:
    """Vectors in a folder; an Index. Any thread may search."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / "lock", timeout=0, thread_local=False)
        self._opening = threading.Lock()
        self._opened: tuple[Manifest, dict[Kind, edge.EdgeShard]] | None = None

    def manifest(self) -> Manifest:
        """What the index holds. Raises IndexMissing if it was never built, OperatorError if another process has it open."""
        return self._open()[0]

    def rebuild(self, manifest: Manifest, points: Mapping[Kind, Iterable[Point]]) -> None:
        """Put these points in place of all others. Raises OperatorError if another process has the index open."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._opening:
            self._take_lock()
            # Whatever an interrupted rebuild left.
            current = self._stored()["generation"] if self._manifest_file.exists() else None
            self._remove_generations(keep=current)
            generation = f"generation-{uuid.uuid4().hex[:8]}"
            counts: dict[Kind, int] = {
                kind: _write_shard(self._folder / generation / kind, manifest.dimensions.get(kind, {}), points.get(kind, ()))
                for kind in KINDS
            }
            counted = manifest.model_copy(update={"counts": counts})
            draft = self._folder / "manifest.json.new"
            draft.write_text(
                json.dumps({"generation": generation, "manifest": counted.model_dump()}, indent=2), encoding="utf-8"
            )
            self._close_shards()
            os.replace(draft, self._manifest_file)
            self._remove_generations(keep=generation)

    def nearest(
        self, kind: Kind, using: str, wanted: NDArray[np.float32] | Sparse, limit: int, filters: Filters = NO_FILTERS
    ) -> list[Hit]:
        """The points nearest to a vector, best first. Raises IndexMissing."""
        vector: Any = (
            edge.SparseVector(list(wanted.indices), list(wanted.values)) if isinstance(wanted, Sparse) else wanted.tolist()
        )
        found = self._open()[1][kind].query(
            edge.QueryRequest(
                limit=limit,
                query=edge.Query.Nearest(vector, using=using),
                filter=_edge_filter(filters),
                with_payload=["owner"],
            )
        )
        return [Hit(point.payload["owner"], point.score) for point in found if point.payload]

    def vectors(self, kind: Kind, point_id: str) -> dict[str, NDArray[np.float32]]:
        """The dense vectors of one point by name; empty if there is no such point. Raises IndexMissing."""
        found = self._open()[1][kind].retrieve([point_uuid(point_id)], with_payload=False, with_vector=True)
        named: Any = found[0].vector if found else {}
        return {name: np.asarray(vector, dtype=np.float32) for name, vector in named.items() if name != WORDS}

    def close(self) -> None:
        """Close the shards and let another process open the index."""
        with self._opening:
            self._close_shards()
            self._lock.release()

    @property
    def _manifest_file(self) -> Path:
        return self._folder / "manifest.json"

    def _open(self) -> tuple[Manifest, dict[Kind, edge.EdgeShard]]:
        with self._opening:
            if self._opened is None:
                if not self._manifest_file.exists():
                    raise IndexMissing(f"no product index in '{self._folder}'; run \"storehand index --shop DIR\" first.")
                self._take_lock()
                stored = self._stored()
                self._opened = (
                    Manifest.model_validate(stored["manifest"]),
                    {kind: _load_shard(self._folder / stored["generation"] / kind) for kind in KINDS},
                )
            return self._opened

    def _stored(self) -> dict[str, Any]:
        try:
            stored: dict[str, Any] = json.loads(self._manifest_file.read_text(encoding="utf-8"))
            Manifest.model_validate(stored["manifest"])
            Path(stored["generation"])
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValidationError) as error:
            raise _broken(self._folder, error) from error
        return stored

    def _take_lock(self) -> None:
        if self._lock.is_locked:
            return
        try:
            self._lock.acquire()
        except Timeout:
            raise OperatorError(
                f"the index in '{self._folder}' is open in another process, and only one can have it; "
                'stop the other "storehand", or keep the index on a Qdrant server (setting index.qdrant_url).'
            ) from None

    def _close_shards(self) -> None:
        if self._opened:
            for shard in self._opened[1].values():
                shard.close()
            self._opened = None

    def _remove_generations(self, keep: str | None) -> None:
        for folder in self._folder.glob("generation-*"):
            if folder.name != keep:
                shutil.rmtree(folder)


def _write_shard(folder: Path, dimensions: Mapping[str, int], points: Iterable[Point]) -> int:
    """Write points into a new shard; returns how many."""
    folder.mkdir(parents=True)
    config = edge.EdgeConfig(
        vectors={name: edge.EdgeVectorParams(size, edge.Distance.Cosine) for name, size in dimensions.items()},
        sparse_vectors={WORDS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        # A rebuild that is interrupted is thrown away, so a log to recover it from would only take room.
        wal_enabled=False,
    )
    shard = edge.EdgeShard.create(str(folder), config)
    count = 0
    try:
        for name, schema in PAYLOAD_INDEXES.items():
            shard.update(edge.UpdateOperation.create_field_index(name, _SCHEMAS[schema]))
        for batch in in_batches(points):
            shard.update(edge.UpdateOperation.upsert_points([_edge_point(point) for point in batch]))
            count += len(batch)
        shard.optimize()
        shard.flush()
    finally:
        shard.close()
    return count


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
    """The filter in Qdrant Edge's words: the category, and what one variant must be."""
    variant: list[Any] = []
    if filters.price_min_cents is not None or filters.price_max_cents is not None:
        variant.append(
            edge.FieldCondition("price_cents", range=edge.RangeFloat(gte=filters.price_min_cents, lte=filters.price_max_cents))
        )
    if filters.color is not None:
        variant.append(edge.FieldCondition("color", match=edge.MatchValue(filters.color.casefold())))
    if filters.size is not None:
        variant.append(edge.FieldCondition("size", match=edge.MatchValue(filters.size.casefold())))
    if filters.in_stock is not None:
        variant.append(edge.FieldCondition("in_stock", match=edge.MatchValue(int(filters.in_stock))))
    must: list[Any] = []
    if filters.category is not None:
        must.append(edge.FieldCondition("category", match=edge.MatchValue(filters.category.casefold())))
    if variant:
        must.append(edge.NestedCondition("variants", edge.Filter(must=variant)))
    return edge.Filter(must=must) if must else None
