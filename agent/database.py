"""One SQLite file of the data folder: made where it is not there, brought up to date, for many threads and processes at once."""

import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from tools.kit.errors import OperatorError
from tools.kit.transaction import transaction

Migrations = tuple[tuple[str, ...], ...]
"""Step n takes a database from user_version n to n + 1. Steps are only ever appended."""

BUSY_SECONDS = 30.0
"""How long to wait for another writer to end."""


class Database:
    """The file and its tables. `unusable` makes the error of whatever SQLite or the disk reports: every method raises that one."""

    def __init__(self, file: Path, migrations: Migrations, unusable: Callable[[Exception], OperatorError]) -> None:
        self._file, self._migrations, self._unusable = file, migrations, unusable
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with self.connected(make=True) as connection:
                if self._version(connection) < len(migrations):
                    # SQLite does not wait for others where a file becomes a WAL one; it fails.
                    with FileLock(file.with_name(file.name + ".lock"), timeout=BUSY_SECONDS):
                        self._migrate(connection)
        except OSError as error:
            raise unusable(error) from error

    @contextmanager
    def connected(self, *, make: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection of its own: opening one costs less than a millisecond and needs no lock among threads."""
        try:
            with closing(
                sqlite3.connect(
                    f"{self._file.absolute().as_uri()}?mode={'rwc' if make else 'rw'}",
                    uri=True,
                    timeout=BUSY_SECONDS,
                    isolation_level=None,  # transactions begin and end where the caller says so
                )
            ) as connection:
                connection.row_factory = sqlite3.Row
                # What was committed is still so if the power fails the moment after.
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                # What customers said is gone from the file when its row is deleted.
                connection.execute("PRAGMA secure_delete = ON")
                yield connection
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection on which the block's changes are done wholly or not at all."""
        with self.connected() as connection, transaction(connection):
            yield connection

    def empty_log(self) -> None:
        """Bring what was deleted out of the write-ahead log too, as far as nobody reads it at the moment."""
        with self.connected() as connection:
            connection.execute("PRAGMA busy_timeout = 1000")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _version(self, connection: sqlite3.Connection) -> int:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(self._migrations):
            raise sqlite3.DatabaseError(f"written by a newer Storehand (version {version}); update Storehand")
        return int(version)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        for step in self._migrations[self._version(connection) :]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(self._migrations)}")
        connection.execute("COMMIT")


def without_controls(text: str) -> str:
    """Without NUL and other control characters, which cut a text short in SQLite or steer the terminal that shows it."""
    text = text.replace("\r\n", "\n")
    return "".join(each for each in text if each in "\n\t" or unicodedata.category(each) not in ("Cc", "Cs"))


def stored_time(at: datetime) -> str:
    """As text that sorts by time. Raises ValueError without a time zone: it would be guessed."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds")
