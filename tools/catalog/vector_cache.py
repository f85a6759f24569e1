"""Vectors computed once and kept: what makes an interrupted build go on, and one with an encoder of before cheap."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray


class VectorCache:
    """A file of vectors by their encoder's fingerprint and what they were made from."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(file)
        self._connection.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)")
        self._in_use: set[bytes] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file; if nothing went wrong, forget the vectors of what is not in use."""
        with self._connection:
            if kind is None:
                self._connection.execute("CREATE TEMP TABLE in_use (key BLOB PRIMARY KEY)")
                self._connection.executemany("INSERT INTO in_use VALUES (?)", ((key,) for key in self._in_use))
                self._connection.execute("DELETE FROM vectors WHERE key NOT IN (SELECT key FROM in_use)")
        self._connection.close()

    def use(self, encoder: str, contents: Iterable[bytes]) -> list[bytes]:
        """Keep the vectors of `contents`, if they are kept; returns a digest for each, which changes with the encoder."""
        keys = [hashlib.sha256(encoder.encode() + b"\0" + content).digest() for content in contents]
        self._in_use.update(keys)
        return keys

    def vectors(
        self, encoder: str, contents: Sequence[bytes], compute: Callable[[list[int]], NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        """The vectors of `contents`; `compute` is called once with the places of those not kept yet, unless all are."""
        keys = self.use(encoder, contents)
        kept = {key: vector for key in keys if (vector := self._kept(key)) is not None}
        missing = list({key: place for place, key in enumerate(keys) if key not in kept}.values())
        with self._connection:
            for place, vector in zip(missing, compute(missing) if missing else (), strict=True):
                kept[keys[place]] = vector
                self._connection.execute("INSERT INTO vectors (key, vector) VALUES (?, ?)", (keys[place], vector.tobytes()))
        return [kept[key] for key in keys]

    def _kept(self, key: bytes) -> NDArray[np.float32] | None:
        row = self._connection.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        return np.frombuffer(row[0], dtype=np.float32) if row else None
