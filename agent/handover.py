"""The desk between the agent and the shop's staff: who waits for a person, what that person has to know, who writes now.

A hand-over is `waiting` (the agent still answers), then `held` by one member of staff (the agent is silent), then `given_back` or
`closed` (the agent answers again). All of it is in one SQLite file, so that it outlives a restart and every process sees the
same. It does not know when a hand-over is due, nor what the agent makes of what staff wrote; that is agent/turn.py.
"""

import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from agent.database import Database, Migrations, stored_time, without_controls
from tools.kit.errors import OperatorError
from tools.kit.facts import Fact, Why

HANDOVERS = "handovers.sqlite"
"""The file's name in the data folder."""

State = Literal["none", "waiting", "held"]

MIGRATIONS: Migrations = (
    (
        """
        CREATE TABLE handovers (
            conversation_id TEXT PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('waiting', 'held', 'given_back', 'closed')),
            packet TEXT NOT NULL, at TEXT NOT NULL, staff TEXT, updated_at TEXT NOT NULL,
            CHECK (state <> 'held' OR staff IS NOT NULL)
        )
        """,
        "CREATE INDEX handovers_by_state ON handovers (state, at)",
        # AUTOINCREMENT: an entry's number is never given twice, so that whoever reads on from one misses nothing.
        """
        CREATE TABLE handover_messages (
            entry INTEGER PRIMARY KEY AUTOINCREMENT, conversation_id TEXT NOT NULL REFERENCES handovers, at TEXT NOT NULL,
            speaker TEXT NOT NULL CHECK (speaker IN ('customer', 'staff', 'note')), staff TEXT, text TEXT NOT NULL
        )
        """,
        "CREATE INDEX messages_of_conversation ON handover_messages (conversation_id, entry)",
    ),
)


class NoHandover(OperatorError):
    """The conversation was never passed to a person, or no longer is."""


class NotTaken(OperatorError):
    """Nobody holds the conversation yet: whoever writes takes it first."""


class HeldBySomebodyElse(OperatorError):
    """Another member of staff holds the conversation; `holder` is the name."""

    def __init__(self, conversation_id: str, holder: str) -> None:
        super().__init__(
            f"conversation '{conversation_id}' is held by '{holder}'; leave it to {holder}, or, if {holder} is gone, take it over: "
            f"storehand desk take {shlex.quote(conversation_id)} --staff YOU --instead-of {shlex.quote(holder)}."
        )
        self.holder = holder


class NothingToSay(OperatorError):
    """A message or a name without a visible character."""


class DeskUnusable(OperatorError):
    """The file of hand-overs cannot be opened, read or written."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Tried(_Part):
    """One step that the agent took: the tool, what it was called with, what came of it in words, and whether it was a quote that the
    customer declined."""

    tool: str
    arguments: dict[str, Any]
    outcome: str
    declined: bool = False


class Spoken(_Part):
    """One thing said in the conversation."""

    speaker: Literal["customer", "agent", "staff"]
    text: str


class Packet(_Part):
    """What a person has to know to go on with a conversation.

    `customer_id` is the identity that the session verified, None for a visitor, whatever they say who they are.
    `pending_quote` is the quote that was shown and not answered yet, as JSON.
    """

    conversation_id: str
    at: AwareDatetime
    why: Why
    goal: str
    customer_id: str | None = None
    customer_name: str | None = None
    steps: tuple[Tried, ...] = ()
    facts: tuple[Fact, ...] = ()
    pending_quote: dict[str, Any] | None = None
    transcript: tuple[Spoken, ...] = ()


class Handover(_Part):
    """One line of the desk's list.

    `waiting_since` is when the customer began to wait for a person, however often the packet was refreshed since; `unanswered`
    counts the customer's messages that the holder has not answered.
    """

    conversation_id: str
    state: Literal["waiting", "held"]
    waiting_since: AwareDatetime
    why: Why
    goal: str
    customer_id: str | None
    customer_name: str | None
    staff: str | None
    unanswered: int


class DeskMessage(_Part):
    """What was said while a person held the conversation. A `note` is for the agent and for colleagues, not for the customer."""

    entry: int
    at: AwareDatetime
    speaker: Literal["customer", "staff", "note"]
    staff: str | None
    text: str


class HandoverDesk:
    """Hand-overs and their messages in one SQLite file, made if it is not there; for many threads and processes at once.

    Times are aware and come from the caller. All texts lose their control characters. Every method raises DeskUnusable if the
    file cannot be used.
    """

    def __init__(self, file: Path) -> None:
        self._database = Database(
            file,
            MIGRATIONS,
            lambda error: DeskUnusable(
                f"the hand-overs in '{file}' cannot be used ({error}); see that the file is there and may be written, "
                "or move it away and start again with an empty one."
            ),
        )

    def request(self, packet: Packet) -> Literal["waiting", "held"]:
        """Ask for a person, or tell the one who is asked already what is new; the state after it.

        While the hand-over waits or is held the new packet takes the old one's place and nothing else changes.
        """
        kept = Packet.model_validate(_clean_values(packet.model_dump(fallback=str)))
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO handovers (conversation_id, state, packet, at, updated_at) VALUES (:id, 'waiting', :packet, :at, :at)"
                " ON CONFLICT (conversation_id) DO UPDATE SET packet = excluded.packet, updated_at = excluded.updated_at,"
                " at = CASE WHEN state IN ('waiting', 'held') THEN at ELSE excluded.at END,"
                " staff = CASE WHEN state = 'held' THEN staff END,"
                " state = CASE WHEN state = 'held' THEN 'held' ELSE 'waiting' END",
                {"id": kept.conversation_id, "packet": kept.model_dump_json(fallback=str), "at": stored_time(kept.at)},
            )
            return "held" if _row(connection, kept.conversation_id)["state"] == "held" else "waiting"

    def state(self, conversation_id: str) -> State:
        """Whether the conversation waits for a person or is held by one; given back and closed are "none"."""
        with self._database.connected() as connection:
            row = _find(connection, conversation_id)
        return row["state"] if row is not None and row["state"] in ("waiting", "held") else "none"

    def waiting(self) -> list[Handover]:
        """Those whom nobody has taken yet, the longest wait first."""
        return [each for each in self.open() if each.state == "waiting"]

    def open(self) -> list[Handover]:
        """All that wait or are held, the longest wait first."""
        with self._database.connected() as connection:
            rows = connection.execute(
                "SELECT conversation_id, state, packet, at, staff, (SELECT COUNT(*) FROM handover_messages AS heard"
                "  WHERE heard.conversation_id = handovers.conversation_id AND heard.speaker = 'customer' AND heard.at >= handovers.at"
                "  AND heard.entry > COALESCE((SELECT MAX(entry) FROM handover_messages AS answer"
                "   WHERE answer.conversation_id = handovers.conversation_id AND answer.speaker = 'staff'), 0)) AS unanswered"
                " FROM handovers WHERE state IN ('waiting', 'held') ORDER BY at, rowid"
            ).fetchall()
        listed = []
        for row in rows:
            packet = Packet.model_validate_json(row["packet"])
            listed.append(
                Handover(
                    conversation_id=row["conversation_id"],
                    state=row["state"],
                    waiting_since=row["at"],
                    why=packet.why,
                    goal=packet.goal,
                    customer_id=packet.customer_id,
                    customer_name=packet.customer_name,
                    staff=row["staff"],
                    unanswered=row["unanswered"],
                )
            )
        return listed

    def packet(self, conversation_id: str) -> Packet:
        """The newest packet, also of a hand-over that has ended. Raises NoHandover if there never was one."""
        with self._database.connected() as connection:
            return Packet.model_validate_json(_row(connection, conversation_id)["packet"])

    def messages(self, conversation_id: str, after_entry: int = 0, *, notes: bool = False) -> list[DeskMessage]:
        """What customer and staff said through the desk after that entry, in order; with `notes` also what only the shop reads.

        Empty for a conversation that was never handed over.
        """
        with self._database.connected() as connection:
            rows = connection.execute(
                "SELECT entry, at, speaker, staff, text FROM handover_messages"
                " WHERE conversation_id = ? AND entry > ? AND (? OR speaker <> 'note') ORDER BY entry",
                (without_controls(conversation_id), after_entry, notes),
            ).fetchall()
        return [DeskMessage.model_validate(dict(row)) for row in rows]

    @contextmanager
    def changes(self) -> Iterator[Callable[[], int]]:
        """Gives a number that is another one whenever somebody, in whatever process, has changed the desk since it was asked last."""
        with self._database.connected() as connection:
            yield lambda: int(connection.execute("PRAGMA data_version").fetchone()[0])

    def take(self, conversation_id: str, staff: str, now: datetime, *, instead_of: str | None = None) -> Packet:
        """Hold the conversation: from now on `staff` writes and the agent does not. Taking what one holds already changes nothing.

        Of several who try at the same time one gets it, the others HeldBySomebodyElse. `instead_of` names a holder who is
        gone and from whom it is taken over. Raises NoHandover if the customer is not waiting (any more).
        """
        name = _name(staff)
        with self._database.transaction() as connection:
            row = _open_row(connection, conversation_id)
            if row["state"] == "held" and row["staff"] not in (name, instead_of and _clean_line(instead_of)):
                raise HeldBySomebodyElse(conversation_id, row["staff"])
            if (row["state"], row["staff"]) != ("held", name):
                _set_state(connection, conversation_id, "held", name, now)
            return Packet.model_validate_json(row["packet"])

    def say(self, conversation_id: str, staff: str, text: str, now: datetime) -> DeskMessage:
        """Write to the customer as the person who holds the conversation.

        Raises NothingToSay, NoHandover, NotTaken or HeldBySomebodyElse, and then nothing was said.
        """
        name, said = _name(staff), without_controls(text).strip()
        if not said:
            raise NothingToSay("there is no text in this message; write what the customer shall read.")
        with self._database.transaction() as connection:
            _held_by(connection, conversation_id, name)
            return _add(connection, conversation_id, "staff", name, said, now)

    def note(self, conversation_id: str, staff: str, text: str, now: datetime) -> DeskMessage:
        """Write for colleagues and the agent in a conversation that waits or is held; the customer does not read it.

        Raises NothingToSay or NoHandover.
        """
        name, said = _name(staff), without_controls(text).strip()
        if not said:
            raise NothingToSay("there is no text in this note; write what colleagues shall know.")
        with self._database.transaction() as connection:
            _open_row(connection, conversation_id)
            return _add(connection, conversation_id, "note", name, said, now)

    def hear(self, conversation_id: str, text: str, now: datetime) -> DeskMessage | None:
        """Keep the customer's message for the person who holds the conversation; None if nobody does and the agent answers.

        `text` is kept as it comes: mask what is private first.
        """
        with self._database.transaction() as connection:
            row = _find(connection, conversation_id)
            if row is None or row["state"] != "held":
                return None
            return _add(connection, conversation_id, "customer", None, without_controls(text).strip(), now)

    def give_back(self, conversation_id: str, staff: str, now: datetime, note: str = "") -> None:
        """Let the agent go on; `note` tells it and colleagues what was agreed, the customer does not read it.

        Raises NoHandover, NotTaken or HeldBySomebodyElse.
        """
        name = _name(staff)
        with self._database.transaction() as connection:
            _held_by(connection, conversation_id, name)
            self._end(connection, conversation_id, "given_back", name, now, note)

    def close(self, conversation_id: str, staff: str, now: datetime, note: str = "") -> None:
        """End the hand-over because nothing is left to do; also one that nobody took. The agent answers what comes next.

        Raises NoHandover or HeldBySomebodyElse.
        """
        name = _name(staff)
        with self._database.transaction() as connection:
            row = _open_row(connection, conversation_id)
            if row["state"] == "held" and row["staff"] != name:
                raise HeldBySomebodyElse(conversation_id, row["staff"])
            self._end(connection, conversation_id, "closed", name, now, note)

    def conversations_of(self, customer_id: str) -> list[str]:
        """The conversations that were handed over with this verified customer."""
        with self._database.connected() as connection:
            rows = connection.execute(
                "SELECT conversation_id FROM handovers WHERE json_extract(packet, '$.customer_id') = ?", (customer_id,)
            ).fetchall()
        return [row["conversation_id"] for row in rows]

    def erase(self, conversation_id: str) -> int:
        """Delete a hand-over with its packet and messages; how many rows there were."""
        with self._database.transaction() as connection:
            erased = 0
            for table in ("handover_messages", "handovers"):
                erased += connection.execute(f"DELETE FROM {table} WHERE conversation_id = ?", (conversation_id,)).rowcount
        self._database.empty_log()
        return erased

    @staticmethod
    def _end(connection: sqlite3.Connection, conversation_id: str, state: str, staff: str, now: datetime, note: str) -> None:
        if kept := without_controls(note).strip():
            _add(connection, conversation_id, "note", staff, kept, now)
        _set_state(connection, conversation_id, state, staff, now)


def _find(connection: sqlite3.Connection, conversation_id: str) -> sqlite3.Row | None:
    found: sqlite3.Row | None = connection.execute(
        "SELECT * FROM handovers WHERE conversation_id = ?", (without_controls(conversation_id),)
    ).fetchone()
    return found


def _row(connection: sqlite3.Connection, conversation_id: str) -> sqlite3.Row:
    row = _find(connection, conversation_id)
    if row is None:
        raise NoHandover(
            f"conversation '{conversation_id}' was never passed to a person; 'storehand desk list' shows which ones were."
        )
    return row


def _open_row(connection: sqlite3.Connection, conversation_id: str) -> sqlite3.Row:
    row = _row(connection, conversation_id)
    if row["state"] not in ("waiting", "held"):
        ended = "given back to the agent" if row["state"] == "given_back" else "closed"
        raise NoHandover(
            f"conversation '{conversation_id}' was {ended} by '{row['staff']}'; 'storehand desk list' shows who waits now."
        )
    return row


def _held_by(connection: sqlite3.Connection, conversation_id: str, staff: str) -> None:
    row = _open_row(connection, conversation_id)
    if row["state"] == "waiting":
        raise NotTaken(
            f"nobody holds conversation '{conversation_id}' yet, so the agent still answers; take it first: "
            f"storehand desk take {shlex.quote(conversation_id)} --staff {shlex.quote(staff)}."
        )
    if row["staff"] != staff:
        raise HeldBySomebodyElse(conversation_id, row["staff"])


def _set_state(connection: sqlite3.Connection, conversation_id: str, state: str, staff: str, now: datetime) -> None:
    connection.execute(
        "UPDATE handovers SET state = ?, staff = ?, updated_at = ? WHERE conversation_id = ?",
        (state, staff, stored_time(now), without_controls(conversation_id)),
    )


def _add(
    connection: sqlite3.Connection,
    conversation_id: str,
    speaker: Literal["customer", "staff", "note"],
    staff: str | None,
    text: str,
    now: datetime,
) -> DeskMessage:
    entry = connection.execute(
        "INSERT INTO handover_messages (conversation_id, at, speaker, staff, text) VALUES (?, ?, ?, ?, ?)",
        (without_controls(conversation_id), stored_time(now), speaker, staff, text),
    ).lastrowid
    assert entry is not None, "an INSERT has a row id"
    return DeskMessage(entry=entry, at=now, speaker=speaker, staff=staff, text=text)


def _name(staff: str) -> str:
    name = _clean_line(staff)
    if not name:
        raise NothingToSay("the name of the member of staff is empty; name who it is with --staff NAME.")
    return name


def _clean_line(text: str) -> str:
    return " ".join(without_controls(text).split())


def _clean_values(value: Any) -> Any:
    if isinstance(value, str):
        return without_controls(value)
    if isinstance(value, dict):
        return {_clean_values(key): _clean_values(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean_values(each) for each in value]
    return value
