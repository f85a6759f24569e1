"""The index on a Qdrant server (1.16 or newer), by URL.

Each kind is an alias "<name>-<kind>" of a collection "<name>-<kind>-<generation>"; a rebuild fills new collections, moves all
aliases in one call and deletes the old collections. The manifest is the products collection's metadata. Searches name the
collection, not the alias, so that vectors of other encoders are never searched by mistake.
"""

import contextlib
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException

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


class ServerIndex:
    """Vectors on a Qdrant server; an Index. Any thread may search."""

    def __init__(self, client: QdrantClient, name: str) -> None:
        """`name` tells this shop's collections from others on the same server."""
        self._client = client
        self._name = name
        self._opened: tuple[Manifest, Mapping[Kind, str]] | None = None

    @classmethod
    def connect(cls, url: str, name: str, api_key: str | None = None) -> "ServerIndex":
        """The index of the shop `name` on the server at `url`. Does not call the server yet."""
        return cls(QdrantClient(url=url, api_key=api_key, check_compatibility=False), name)

    def manifest(self) -> Manifest:
        """What the index holds now. Raises IndexMissing if it was never built, OperatorError if the server does not answer."""
        with self._calling():
            aliases = {alias.alias_name: alias.collection_name for alias in self._client.get_aliases().aliases}
            if self._alias("products") not in aliases:
                raise self._missing()
            stored = self._client.get_collection(aliases[self._alias("products")]).config.metadata
        try:
            manifest = Manifest.model_validate(stored)
        except ValidationError as error:
            raise IndexMissing(
                f"the index '{self._name}' on the Qdrant server was not made by this Storehand ({error.error_count()} wrong values "
                'in its manifest); run "storehand index --shop DIR" to make it again.'
            ) from error
        if self._opened is None or manifest.continues(self._opened[0]):
            self._opened = manifest, {kind: aliases[self._alias(kind)] for kind in KINDS}
        return self._opened[0]

    def digests(self, kind: Kind) -> dict[str, str]:
        """The digest of every point by its `point_uuid`. Raises IndexMissing, OperatorError."""
        found: dict[str, str] = {}
        offset = None
        with self._calling():
            while True:
                points, offset = self._client.scroll(
                    self._collection(kind), limit=_SCROLLED, offset=offset, with_payload=["digest"]
                )
                found |= {str(point.id): point.payload["digest"] for point in points if point.payload}
                if offset is None:
                    return found

    def rebuild(self, manifest: Manifest, points: Mapping[Kind, Iterable[Point]]) -> None:
        """Put these points in place of all others. Raises OperatorError if the server does not answer."""
        generation = uuid.uuid4().hex[:8]
        with self._calling():
            old = {alias.alias_name: alias.collection_name for alias in self._client.get_aliases().aliases}
            self._remove_collections(keep=set(old.values()))  # whatever an interrupted rebuild left
            counts: dict[Kind, int] = {}
            for kind in KINDS:
                counts[kind] = self._write(
                    f"{self._alias(kind)}-{generation}", manifest.dimensions.get(kind, {}), points.get(kind, ())
                )
            counted = manifest.model_copy(update={"counts": counts})
            self._client.update_collection(f"{self._alias('products')}-{generation}", metadata=counted.model_dump())
            changes: list[models.AliasOperations] = []
            for kind in KINDS:
                if self._alias(kind) in old:
                    changes.append(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=self._alias(kind))))
                created = models.CreateAlias(collection_name=f"{self._alias(kind)}-{generation}", alias_name=self._alias(kind))
                changes.append(models.CreateAliasOperation(create_alias=created))
            self._client.update_collection_aliases(changes)
            self._remove_collections(keep={f"{self._alias(kind)}-{generation}" for kind in KINDS})
            self._opened = None  # who writes goes on with what it wrote, whatever the encoders

    def update(self, manifest: Manifest, changes: Mapping[Kind, Changes]) -> None:
        """Write and delete single points, seen at once by everybody. Raises IndexMissing, OperatorError."""
        counts = dict(self.manifest().counts)
        with self._calling():
            for kind, change in changes.items():
                collection = self._collection(kind)
                if change.deleted:
                    self._client.delete(collection, models.PointIdsList(points=[*change.deleted]), wait=True)
                self._upsert(collection, change.points)
                counts[kind] = self._client.count(collection).count
            counted = manifest.model_copy(update={"counts": counts})
            self._client.update_collection(self._collection("products"), metadata=counted.model_dump())

    def nearest(
        self, kind: Kind, using: str, wanted: NDArray[np.float32] | Sparse, limit: int, filters: Filters = NO_FILTERS
    ) -> list[Hit]:
        """The points nearest to a vector, best first. Raises IndexMissing, OperatorError if the server does not answer."""
        vector: Any = wanted.tolist() if not isinstance(wanted, Sparse) else _sparse(wanted)
        with self._calling():
            found = self._client.query_points(
                self._collection(kind),
                query=vector,
                using=using,
                query_filter=_server_filter(filters),
                limit=limit,
                with_payload=["owner"],
            )
        return [Hit(point.payload["owner"], point.score) for point in found.points if point.payload]

    def vectors(self, kind: Kind, point_id: str) -> dict[str, NDArray[np.float32]]:
        """The dense vectors of one point by name; empty if there is no such point. Raises IndexMissing, OperatorError."""
        with self._calling():
            found = self._client.retrieve(self._collection(kind), [point_uuid(point_id)], with_payload=False, with_vectors=True)
        named: Any = found[0].vector if found else {}
        return {name: np.asarray(vector, dtype=np.float32) for name, vector in named.items() if name != WORDS}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _alias(self, kind: Kind) -> str:
        return f"{self._name}-{kind}"

    def _collection(self, kind: Kind) -> str:
        if self._opened is None:
            self.manifest()
        assert self._opened is not None
        return self._opened[1][kind]

    def _write(self, collection: str, dimensions: Mapping[str, int], points: Iterable[Point]) -> int:
        """Write points into a new collection; returns how many."""
        self._client.create_collection(
            collection,
            vectors_config={
                name: models.VectorParams(size=size, distance=models.Distance.COSINE) for name, size in dimensions.items()
            },
            sparse_vectors_config={WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
        )
        for name in FILTERED:
            self._client.create_payload_index(collection, name, models.PayloadSchemaType.INTEGER)
        return self._upsert(collection, points)

    def _upsert(self, collection: str, points: Iterable[Point]) -> int:
        count = 0
        for batch in in_batches(points):
            self._client.upsert(collection, [_server_point(point) for point in batch], wait=True)
            count += len(batch)
        return count

    def _remove_collections(self, keep: set[str]) -> None:
        """Delete this index's collections but those to keep."""
        ours = re.compile(f"{re.escape(self._name)}-({'|'.join(KINDS)})-[0-9a-f]{{8}}")
        for collection in self._client.get_collections().collections:
            if ours.fullmatch(collection.name) and collection.name not in keep:
                self._client.delete_collection(collection.name)

    def _missing(self) -> IndexMissing:
        return IndexMissing(f"no product index '{self._name}' on the Qdrant server; run \"storehand index --shop DIR\" first.")

    @contextlib.contextmanager
    def _calling(self) -> Iterator[None]:
        """Turn the client's errors into ours."""
        try:
            yield
        except ApiException as error:
            if getattr(error, "status_code", None) == 404:
                raise IndexMissing(
                    f"the index '{self._name}' on the Qdrant server was made anew or deleted while it was in use; start again, "
                    'after "storehand index --shop DIR" if there is none now.'
                ) from error
            raise OperatorError(
                f"the Qdrant server does not do it: {error}; start it, mend index.qdrant_url, or leave that out to keep the index here."
            ) from error


def _sparse(vector: Sparse) -> models.SparseVector:
    return models.SparseVector(indices=list(vector.indices), values=list(vector.values))


def _server_point(point: Point) -> models.PointStruct:
    vectors: dict[str, Any] = {name: vector.tolist() for name, vector in point.vectors.items()}
    if point.words:
        vectors[WORDS] = _sparse(point.words)
    return models.PointStruct(id=point_uuid(point.id), vector=vectors, payload=point.payload())


def _server_filter(filters: Filters) -> models.Filter | None:
    """The filter in Qdrant's words."""
    low, high = filters.price_min_cents, filters.price_max_cents
    if low is not None or high is not None:
        prices = PRICES_IN_STOCK if filters.in_stock else PRICES
        return models.Filter(must=[models.FieldCondition(key=prices, range=models.Range(gte=low, lte=high))])
    stocked = models.FieldCondition(key=IN_STOCK, match=models.MatchValue(value=1))
    return models.Filter(must=[stocked]) if filters.in_stock else None
