"""Vectors computed once and kept: what makes a repeated or interrupted build cheap."""

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
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
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL, used INTEGER)"
        )
        self._connection.execute("UPDATE vectors SET used = 0")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file; if nothing went wrong, forget the vectors that were not asked for."""
        with self._connection:
            if kind is None:
                self._connection.execute("DELETE FROM vectors WHERE used = 0")
        self._connection.close()

    def vectors(
        self, encoder: str, contents: Sequence[bytes], compute: Callable[[list[int]], NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        """The vectors of `contents`; `compute` is called once with the places of those not kept yet, unless all are."""
        keys = [hashlib.sha256(encoder.encode() + b"\0" + content).digest() for content in contents]
        kept = {key: vector for key in keys if (vector := self._kept(key)) is not None}
        missing = list({key: place for place, key in enumerate(keys) if key not in kept}.values())
        with self._connection:
            for place, vector in zip(missing, compute(missing) if missing else (), strict=True):
                kept[keys[place]] = vector
                self._connection.execute("INSERT INTO vectors VALUES (?, ?, 1)", (keys[place], vector.tobytes()))
            self._connection.executemany("UPDATE vectors SET used = 1 WHERE key = ?", [(key,) for key in keys])
        return [kept[key] for key in keys]

    def _kept(self, key: bytes) -> NDArray[np.float32] | None:
        row = self._connection.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        return np.frombuffer(row[0], dtype=np.float32) if row else None
