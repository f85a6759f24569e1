"""What the server keeps beside the agent's own memory: conversations, runs with their events, messages as shown, traces, uploads.

One SQLite file. Texts that customers typed come here masked. It does not know what an event or a card means.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from agent.database import Database, Migrations, stored_time, without_controls
from tools.kit.errors import OperatorError
from tools.shop.types import Language

STORE = "server.sqlite"
"""The file's name in the data folder."""

Role = Literal["customer", "agent"]
RunState = Literal["open", "finished", "stopped", "failed"]

MIGRATIONS: Migrations = (
    (
        """
        CREATE TABLE conversations (
            id TEXT PRIMARY KEY, customer_id TEXT, language TEXT, made_at TEXT NOT NULL, at TEXT NOT NULL, quote TEXT
        )
        """,
        "CREATE INDEX conversations_by_time ON conversations (at)",
        "CREATE INDEX conversations_of_customer ON conversations (customer_id)",
        """
        CREATE TABLE runs (
            conversation_id TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE, id TEXT NOT NULL, state TEXT NOT NULL,
            at TEXT NOT NULL, PRIMARY KEY (conversation_id, id)
        )
        """,
        "CREATE INDEX open_runs ON runs (state) WHERE state = 'open'",
        """
        CREATE TABLE events (
            conversation_id TEXT NOT NULL, run_id TEXT NOT NULL, number INTEGER NOT NULL, data TEXT NOT NULL,
            PRIMARY KEY (conversation_id, run_id, number),
            FOREIGN KEY (conversation_id, run_id) REFERENCES runs ON DELETE CASCADE
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE messages (
            position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
            conversation_id TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE, run_id TEXT NOT NULL, role TEXT NOT NULL,
            text TEXT NOT NULL, at TEXT NOT NULL, more TEXT NOT NULL, thumb TEXT, reason TEXT NOT NULL DEFAULT ''
        )
        """,
        "CREATE INDEX messages_of ON messages (conversation_id, position)",
        """
        CREATE TABLE turns (
            conversation_id TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE, run_id TEXT NOT NULL, at TEXT NOT NULL,
            turn TEXT NOT NULL, PRIMARY KEY (conversation_id, run_id)
        )
        """,
        "CREATE INDEX turns_by_time ON turns (at)",
        """
        CREATE TABLE uploads (
            id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE, kind TEXT NOT NULL,
            at TEXT NOT NULL
        )
        """,
    ),
    (
        # Whom a visitor's own words proved them to be, for export and erasure; a session's customer is another matter.
        "ALTER TABLE conversations ADD COLUMN proved TEXT",
        "CREATE INDEX conversations_of_proved ON conversations (proved)",
    ),
)


@dataclass(frozen=True)
class Conversation:
    """One customer's conversation. `quote` is the card that waits for a yes or no."""

    id: str
    customer_id: str | None
    language: Language | None
    quote: dict[str, Any] | None


@dataclass(frozen=True)
class Shown:
    """A message as the conversation shows it; `more` are cards, sources and quick replies."""

    id: str
    run_id: str
    role: Role
    text: str
    at: datetime
    more: dict[str, Any]
    thumb: str | None = None


class StoreUnusable(OperatorError):
    """The file cannot be opened, read or written."""


class Store:
    """For many threads at once; every method raises StoreUnusable if the file cannot be used. Times are aware."""

    def __init__(self, file: Path) -> None:
        self.database = Database(
            file,
            MIGRATIONS,
            lambda error: StoreUnusable(
                f"the conversations in '{file}' cannot be used ({error}); see that the file is there and may be written."
            ),
        )
        # With the last open connection SQLite folds its log into the file, which takes longer than all that is done here for an event.
        self._held = ExitStack()
        self._held.enter_context(self.database.connected())

    def close(self) -> None:
        """Let go of the file, in the thread that opened it."""
        self._held.close()

    def open_conversation(
        self, conversation_id: str, customer_id: str | None, now: datetime, language: Language | None = None
    ) -> None:
        """Begin a conversation, or note who its visitor turned out to be. `language` holds until the customer has written."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO conversations (id, customer_id, language, made_at, at) VALUES (?1, ?2, ?3, ?4, ?4)"
                " ON CONFLICT (id) DO UPDATE SET customer_id = excluded.customer_id",
                (conversation_id, customer_id, language, stored_time(now)),
            )

    def conversation(self, conversation_id: str) -> Conversation | None:
        """The conversation with this id."""
        with self.database.connected() as connection:
            row = connection.execute("SELECT * FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
        if row is None:
            return None
        quote = json.loads(row["quote"]) if row["quote"] else None
        return Conversation(row["id"], row["customer_id"], row["language"], quote)

    def set_quote(self, conversation_id: str, quote: dict[str, Any] | None) -> None:
        """Keep the card that waits for an answer; None when it was answered."""
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE conversations SET quote = ? WHERE id = ?", (json.dumps(quote) if quote else None, conversation_id)
            )

    def begin_run(self, conversation_id: str, run_id: str, message: Shown) -> None:
        """Keep a run that is about to be, and the customer's message."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO runs (conversation_id, id, state, at) VALUES (?, ?, 'open', ?)",
                (conversation_id, run_id, stored_time(message.at)),
            )
            _add(connection, conversation_id, message)

    def add_event(self, conversation_id: str, run_id: str, number: int, data: str) -> None:
        """Keep one event of a run; numbers count up from 1."""
        with self.database.transaction() as connection:
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (conversation_id, run_id, number, data))

    def end_run(
        self,
        conversation_id: str,
        run_id: str,
        state: RunState,
        last_event: tuple[int, str],
        *,
        heard: str | None = None,
        language: Language | None = None,
        answer: Shown | None = None,
        turn: str | None = None,
        proved: str | None = None,
        at: datetime,
    ) -> None:
        """Keep what a run came to, all or nothing: its last event, the agent's message if it wrote one, the whole turn as JSON.

        `heard` is what was said in the recording, `proved` the customer whom a visitor's words proved them to be.
        """
        with self.database.transaction() as connection:
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (conversation_id, run_id, *last_event))
            connection.execute(
                "UPDATE runs SET state = ? WHERE conversation_id = ? AND id = ?", (state, conversation_id, run_id)
            )
            connection.execute(
                "UPDATE conversations SET at = ?, language = COALESCE(?, language), proved = COALESCE(?, proved) WHERE id = ?",
                (stored_time(at), language, proved, conversation_id),
            )
            if heard:
                connection.execute(
                    "UPDATE messages SET text = ? WHERE conversation_id = ? AND run_id = ? AND role = 'customer'",
                    (without_controls(heard), conversation_id, run_id),
                )
            if answer:
                _add(connection, conversation_id, answer)
            if turn:
                connection.execute(
                    "INSERT INTO turns (conversation_id, run_id, at, turn) VALUES (?, ?, ?, ?)",
                    (conversation_id, run_id, stored_time(at), turn),
                )

    def run_state(self, conversation_id: str, run_id: str) -> RunState | None:
        """What became of a run; None if the conversation has none of this id."""
        with self.database.connected() as connection:
            row = connection.execute(
                "SELECT state FROM runs WHERE conversation_id = ? AND id = ?", (conversation_id, run_id)
            ).fetchone()
        return row["state"] if row else None

    def events(self, conversation_id: str, run_id: str) -> list[str]:
        """The events of a run, in order."""
        with self.database.connected() as connection:
            rows = connection.execute(
                "SELECT data FROM events WHERE conversation_id = ? AND run_id = ? ORDER BY number", (conversation_id, run_id)
            ).fetchall()
        return [row["data"] for row in rows]

    def open_runs(self) -> list[tuple[str, str]]:
        """(conversation, run) of every run that has not ended: after a start, those that the last process left."""
        with self.database.connected() as connection:
            return [tuple(row) for row in connection.execute("SELECT conversation_id, id FROM runs WHERE state = 'open'")]

    def messages(self, conversation_id: str) -> list[Shown]:
        """The conversation as shown, oldest first."""
        with self.database.connected() as connection:
            rows = connection.execute(
                "SELECT * FROM messages WHERE conversation_id = ? ORDER BY position", (conversation_id,)
            ).fetchall()
        return [
            Shown(
                id=row["id"],
                run_id=row["run_id"],
                role=row["role"],
                text=row["text"],
                at=datetime.fromisoformat(row["at"]),
                more=json.loads(row["more"]),
                thumb=row["thumb"],
            )
            for row in rows
        ]

    def turns(self, conversation_id: str) -> dict[str, dict[str, Any]]:
        """The conversation's turns by their run."""
        with self.database.connected() as connection:
            rows = connection.execute("SELECT run_id, turn FROM turns WHERE conversation_id = ?", (conversation_id,)).fetchall()
        return {row["run_id"]: json.loads(row["turn"]) for row in rows}

    def rate(self, conversation_id: str, message_id: str, thumb: str, reason: str) -> bool:
        """Keep a thumb for one of the agent's messages; False if the conversation has no such message."""
        with self.database.transaction() as connection:
            done = connection.execute(
                "UPDATE messages SET thumb = ?, reason = ? WHERE conversation_id = ? AND id = ? AND role = 'agent'",
                (thumb, without_controls(reason), conversation_id, message_id),
            )
            return done.rowcount > 0

    def conversation_ids(self) -> list[str]:
        """Every conversation, oldest first."""
        with self.database.connected() as connection:
            return [row["id"] for row in connection.execute("SELECT id FROM conversations ORDER BY made_at")]

    def conversations_of(self, customer_id: str) -> list[str]:
        """The conversations of a customer, oldest first: signed in, or as whom a visitor proved themselves to be."""
        with self.database.connected() as connection:
            rows = connection.execute(
                "SELECT id FROM conversations WHERE customer_id = ?1 OR proved = ?1 ORDER BY made_at", (customer_id,)
            ).fetchall()
        return [row["id"] for row in rows]

    def idle_since(self, before: datetime, most: int) -> list[str]:
        """Conversations in which nothing happened since a time, the oldest first."""
        with self.database.connected() as connection:
            rows = connection.execute(
                "SELECT id FROM conversations WHERE at < ? ORDER BY at LIMIT ?", (stored_time(before), most)
            ).fetchall()
        return [row["id"] for row in rows]

    def uploads_of(self, conversation_id: str) -> list[tuple[str, str, datetime]]:
        """(id, kind, time) of the files that a conversation's customer sent and that are still kept."""
        with self.database.connected() as connection:
            rows = connection.execute(
                "SELECT id, kind, at FROM uploads WHERE conversation_id = ? ORDER BY at", (conversation_id,)
            ).fetchall()
        return [(row["id"], row["kind"], datetime.fromisoformat(row["at"])) for row in rows]

    def erase(self, conversation_ids: Sequence[str]) -> tuple[dict[str, int], list[str]]:
        """Delete these conversations and all that is kept of them: how many rows of what, and the uploads' ids."""
        counts: dict[str, int] = {"conversations": 0, "messages": 0, "events": 0, "traces": 0, "uploads": 0}
        uploads: list[str] = []
        with self.database.transaction() as connection:
            for conversation_id in conversation_ids:
                for name, table in (("messages", "messages"), ("events", "events"), ("traces", "turns")):
                    done = connection.execute(f"DELETE FROM {table} WHERE conversation_id = ?", (conversation_id,))
                    counts[name] += done.rowcount
                gone = connection.execute("DELETE FROM uploads WHERE conversation_id = ? RETURNING id", (conversation_id,))
                uploads += [row["id"] for row in gone.fetchall()]
                counts["conversations"] += connection.execute(
                    "DELETE FROM conversations WHERE id = ?", (conversation_id,)
                ).rowcount
        counts["uploads"] = len(uploads)
        self.database.empty_log()
        return counts, uploads

    def add_upload(self, upload_id: str, conversation_id: str, kind: str, now: datetime) -> None:
        """Note a file that was taken."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO uploads (id, conversation_id, kind, at) VALUES (?, ?, ?, ?)",
                (upload_id, conversation_id, kind, stored_time(now)),
            )

    def upload_kind(self, upload_id: str, conversation_id: str) -> str | None:
        """What this conversation's upload is; None for any other id."""
        with self.database.connected() as connection:
            row = connection.execute(
                "SELECT kind FROM uploads WHERE id = ? AND conversation_id = ?", (upload_id, conversation_id)
            ).fetchone()
        return row["kind"] if row else None

    def forget_uploads(self, before: datetime) -> Sequence[str]:
        """Forget the uploads that came before a time; their ids."""
        with self.database.transaction() as connection:
            rows = connection.execute("DELETE FROM uploads WHERE at < ? RETURNING id", (stored_time(before),)).fetchall()
        return [row["id"] for row in rows]


def _add(connection: Any, conversation_id: str, message: Shown) -> None:
    connection.execute(
        "INSERT INTO messages (id, conversation_id, run_id, role, text, at, more) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            *(message.id, conversation_id, message.run_id, message.role, without_controls(message.text)),
            *(stored_time(message.at), json.dumps(message.more)),
        ),
    )
