"""The review list: sentences from whose label the chooser would learn most, for a person to label; and the customers' thumbs.

A turn goes on the list when the chooser was not sure, when it had to ask back or hand over, when the next message corrects it, or when
its customer says that it was no good. What customers wrote is kept masked, for as long as the settings say. It does not know the
chooser nor the tools: what a turn was is told by agent/turn.py, what is learnt from labels is agent/train/chooser.py's.
"""

import json
import re
import sqlite3
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict

from agent import labels
from agent.database import Database, Migrations, stored_time, without_controls
from agent.examples import Before, Example
from agent.intake import mask_private
from agent.settings import ReviewSettings
from tools.kit.errors import OperatorError
from tools.shop.types import Language

REVIEW = "review.sqlite"
"""The file's name in the data folder."""

Reason = Literal["unsure", "asked_back", "handed_over", "corrected", "thumbs_down"]
"""Why a sentence is on the list."""
Thumb = Literal["up", "down"]

MOST_CHARACTERS = 500
"""Of a sentence, and of what a customer writes with a thumb; the chooser reads fewer."""
LIKELIEST = 5
"""Tools kept of each sentence's evidence."""
RAISED: Mapping[Reason, float] = {"corrected": 1.0, "thumbs_down": 0.5}
"""Added to the uncertainty. Who corrects us tells that the choice was wrong, which outweighs all that the chooser says of itself; a thumb
down may be about a price as well."""
_ADDRESS_TOOLS = frozenset({"quote_address_change", "quote_order_change"})

MIGRATIONS: Migrations = (
    (
        """
        CREATE TABLE sentences (
            id INTEGER PRIMARY KEY AUTOINCREMENT, language TEXT NOT NULL, bare TEXT NOT NULL, before TEXT NOT NULL,
            photo INTEGER NOT NULL, said TEXT NOT NULL, shares TEXT NOT NULL, talk TEXT NOT NULL, done TEXT NOT NULL,
            reasons TEXT NOT NULL, comment TEXT NOT NULL, times INTEGER NOT NULL, first_at TEXT NOT NULL, last_at TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('open', 'labelled', 'dropped')), label TEXT,
            UNIQUE (language, bare, before, photo)
        )
        """,
        "CREATE INDEX sentences_by_time ON sentences (last_at)",
        # What a correction or a thumb is about: only the last turn of a conversation.
        "CREATE TABLE last_turns (conversation_id TEXT PRIMARY KEY, at TEXT NOT NULL, turn TEXT NOT NULL, listed TEXT NOT NULL)",
        "CREATE INDEX last_turns_by_time ON last_turns (at)",
        """
        CREATE TABLE thumbs (
            conversation_id TEXT NOT NULL, turn_at TEXT NOT NULL, at TEXT NOT NULL, thumb TEXT NOT NULL CHECK (thumb IN ('up', 'down')),
            reason TEXT NOT NULL, language TEXT NOT NULL, done TEXT NOT NULL, share REAL, PRIMARY KEY (conversation_id, turn_at)
        )
        """,
        "CREATE INDEX thumbs_by_time ON thumbs (at)",
    ),
)


class ReviewUnusable(OperatorError):
    """The file of the review list cannot be opened, read or written."""


class NoEntry(OperatorError):
    """No sentence of that number is on the list (any more)."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Wish(_Part):
    """What the chooser was asked about a message, or about one of its sentences where they ask for different things.

    `shares`: each tool's probability, the likeliest first; `talk`: which small talk it would be; `sure`: how sure the chooser was of
    what was done, at most the first share.
    """

    said: str
    shares: dict[str, float]
    talk: str
    sure: float


class Noted(_Part):
    """A turn as the list needs it. `wishes` is empty where code knew what to do without the chooser.

    `before` is what the turn before it was about; `done` the tools that were run; `asked` between which tools the customer was asked.
    `corrects`: the message says that the turn before missed what was wanted; `picked`: the tool that it picks of two that were asked.
    """

    language: Language
    before: Before | None = None
    photo: bool = False
    wishes: tuple[Wish, ...] = ()
    share: float | None = None
    done: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    handed_over: bool = False
    corrects: bool = False
    picked: str | None = None

    def done_in_words(self) -> str:
        """Like "track_order", "asked: track_order or quote_return", "replied"."""
        return f"asked: {' or '.join(self.asked)}" if self.asked else ", ".join(self.done) or "replied"


class Entry(_Part):
    """A sentence on the list, masked; alike in letters, language and situation, it stands there once.

    `shares` are the likeliest tools, as the chooser saw it last; `done` what came of it last; `comment` what a customer wrote with a
    thumb down; `times` how often it came since it is on the list.
    """

    id: int
    said: str
    language: Language
    before: Before | None
    photo: bool
    shares: dict[str, float]
    talk: str
    done: str
    reasons: tuple[Reason, ...]
    comment: str
    times: int
    first_at: AwareDatetime
    last_at: AwareDatetime

    def informativeness(self) -> float:
        """How much its label is worth: what the list is ordered by."""
        return informativeness(self.shares, self.reasons, self.times)


def uncertainty(shares: Mapping[str, float]) -> float:
    """From 0, one tool is certain, to 1, two are equally likely: 1 less the distance of the two likeliest (margin sampling).

    Source: Scheffer et al. 2001, Active Hidden Markov Models for Information Extraction.
    """
    first, second, *_ = [*sorted(shares.values(), reverse=True), 0.0, 0.0]
    return 1 - (first - second)


def informativeness(shares: Mapping[str, float], reasons: Collection[Reason], times: int) -> float:
    """How much a label is worth: uncertainty × frequency. What customers said of the answer is added to the uncertainty, see RAISED."""
    return (uncertainty(shares) + sum(RAISED.get(reason, 0.0) for reason in reasons)) * times


class ReviewList:
    """Sentences, last turns and thumbs in one SQLite file, made if it is not there; for many threads and processes at once.

    Times are aware and come from the caller. Every method raises ReviewUnusable if the file cannot be used. A sentence that nobody
    wrote for `keep_days` is deleted, as is a last turn of that age; a thumb stays to be counted, but its words are deleted.
    """

    def __init__(self, file: Path, settings: ReviewSettings | None = None) -> None:
        self._settings = settings or ReviewSettings()
        self._database = Database(
            file,
            MIGRATIONS,
            lambda error: ReviewUnusable(
                f"the review list in '{file}' cannot be used ({error}); see that the file is there and may be written, "
                "or move it away and start again with an empty one."
            ),
        )

    def note(self, conversation_id: str, turn: Noted, now: datetime) -> None:
        """Take a turn that has just ended: on the list if its label is worth something, and as what a thumb would be about.

        Texts are masked here; a sentence with a number that may ask to change an address is left out: nothing private is kept.
        """
        kept = turn.model_copy(update={"wishes": tuple(_masked(turn.wishes))})
        with self._database.transaction() as connection:
            self._forget_old(connection, now)
            if turn.corrects:
                self._flag_last(connection, conversation_id, "corrected")
            if turn.picked:
                _tell_what_was_picked(connection, conversation_id, turn.picked)
            listed = [_list(connection, kept, wish, self._reasons(kept, wish), now) for wish in kept.wishes]
            connection.execute(
                "INSERT OR REPLACE INTO last_turns (conversation_id, at, turn, listed) VALUES (?, ?, ?, ?)",
                (without_controls(conversation_id), stored_time(now), kept.model_dump_json(), json.dumps(listed)),
            )

    def leave(self, conversation_id: str) -> None:
        """Forget the conversation's last turn: a person has spoken since, and no thumb or correction is about the agent."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM last_turns WHERE conversation_id = ?", (without_controls(conversation_id),))

    def rate(self, conversation_id: str, thumb: Thumb, reason: str, now: datetime) -> bool:
        """Keep a thumb for the conversation's last turn, in the place of an earlier one for the same turn; False if there is none.

        A thumb down puts the turn on the list, and there it stays if the customer changes it later.
        """
        words = mask_private(" ".join(without_controls(reason).split()))[:MOST_CHARACTERS]
        with self._database.transaction() as connection:
            self._forget_old(connection, now)
            row = _last(connection, conversation_id)
            if row is None:
                return False
            turn = Noted.model_validate_json(row["turn"])
            connection.execute(
                "INSERT OR REPLACE INTO thumbs (conversation_id, turn_at, at, thumb, reason, language, done, share)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(row["conversation_id"], row["at"], stored_time(now), thumb, words),
                    *(turn.language, turn.done_in_words(), turn.share),
                ),
            )
            if thumb == "down":
                self._flag_last(connection, conversation_id, "thumbs_down", words)
            return True

    def thumbs(self, since: datetime | None = None) -> dict[Thumb, int]:
        """How many thumbs were given, since a time or ever."""
        with self._database.connected() as connection:
            rows = connection.execute(
                "SELECT thumb, COUNT(*) AS count FROM thumbs WHERE at >= ? GROUP BY thumb",
                (stored_time(since) if since else "",),
            )
            counted = {row["thumb"]: row["count"] for row in rows}
        return {thumb: counted.get(thumb, 0) for thumb in get_args(Thumb)}

    def entries(self, now: datetime) -> list[Entry]:
        """What is left to label, the most informative first; of two alike, the one that came later."""
        with self._database.connected() as connection:
            rows = connection.execute(
                "SELECT * FROM sentences WHERE state = 'open' AND last_at >= ? ORDER BY last_at DESC, id", (self._oldest(now),)
            ).fetchall()
        return sorted(map(_entry, rows), key=lambda each: -each.informativeness())

    def label(self, entry_id: int, tools: Iterable[str], folder: Path) -> Example:
        """Append the sentence with its right tools (see labels.labelled) to its language's file in `folder`, and take it off the list.

        Raises NoEntry, BadLabel, or OperatorError if the file cannot be written; then nothing has changed.
        """
        with self._database.connected() as connection:
            entry = _entry(_open(connection, entry_id))
        # Before the file is locked, for which conversations would wait.
        example = labels.labelled(entry.said, entry.language, list(tools), before=entry.before, photo=entry.photo)
        with self._database.transaction() as connection:
            _open(connection, entry_id)
            _set_state(connection, entry_id, "labelled", example.model_dump_json())
            # Last, so that a label that cannot be written leaves the sentence on the list.
            labels.add(folder, example)
        return example

    def drop(self, entry_id: int) -> None:
        """Take a sentence off the list that is not worth a label. Raises NoEntry."""
        with self._database.transaction() as connection:
            _open(connection, entry_id)
            _set_state(connection, entry_id, "dropped", None)

    def undo(self, entry_id: int, folder: Path) -> None:
        """Put a sentence back on the list, and take its label out of the file. Raises NoEntry where it was forgotten meanwhile."""
        with self._database.transaction() as connection:
            row = _row(connection, entry_id)
            _set_state(connection, entry_id, "open", None)
            if row["label"]:
                example = Example.model_validate_json(row["label"])
                labels.take_back(folder, example.model_copy(update={"writer": f"{row['language']}-{labels.OWN}"}))

    def erase(self, conversation_id: str, said: Collection[str]) -> int:
        """Delete what is kept of a conversation: its last turn, thumbs, and the sentences that stand in one of its messages, `said`.

        Returns how many rows there were. Labels that were written to files stay there: they name nobody.
        """
        bare = [_bare(text) for text in said]
        with self._database.transaction() as connection:
            erased = 0
            for table in ("last_turns", "thumbs"):
                erased += connection.execute(
                    f"DELETE FROM {table} WHERE conversation_id = ?", (without_controls(conversation_id),)
                ).rowcount
            rows = connection.execute("SELECT id, bare FROM sentences").fetchall()
            ours = [row["id"] for row in rows if any(row["bare"] in text for text in bare)]
            connection.executemany("DELETE FROM sentences WHERE id = ?", [(each,) for each in ours])
        self._database.empty_log()
        return erased + len(ours)

    def _reasons(self, turn: Noted, wish: Wish) -> set[Reason]:
        reasons: set[Reason] = set()
        if wish.sure < self._settings.unsure_below:
            reasons.add("unsure")
        if turn.asked:
            reasons.add("asked_back")
        if turn.handed_over:
            reasons.add("handed_over")
        return reasons

    def _flag_last(self, connection: sqlite3.Connection, conversation_id: str, reason: Reason, comment: str = "") -> None:
        """Put the conversation's last turn on the list, counted once however often it is flagged."""
        row = _last(connection, conversation_id)
        if row is None:
            return
        turn, at = Noted.model_validate_json(row["turn"]), datetime.fromisoformat(row["at"])
        listed: list[int | None] = []
        for wish, entry_id in zip(turn.wishes, json.loads(row["listed"]), strict=True):
            if entry_id is None or _find(connection, entry_id) is None:
                listed.append(_list(connection, turn, wish, {reason}, at, comment))
            else:
                _add_reason(connection, entry_id, reason, comment)
                listed.append(entry_id)
        connection.execute(
            "UPDATE last_turns SET listed = ? WHERE conversation_id = ?", (json.dumps(listed), row["conversation_id"])
        )

    def _forget_old(self, connection: sqlite3.Connection, now: datetime) -> None:
        oldest = self._oldest(now)
        connection.execute("DELETE FROM sentences WHERE last_at < ?", (oldest,))
        connection.execute("DELETE FROM last_turns WHERE at < ?", (oldest,))
        connection.execute("UPDATE thumbs SET reason = '' WHERE at < ? AND reason <> ''", (oldest,))

    def _oldest(self, now: datetime) -> str:
        return stored_time(now - timedelta(days=self._settings.keep_days))


def _masked(wishes: Iterable[Wish]) -> Iterable[Wish]:
    for wish in wishes:
        said = " ".join(without_controls(wish.said).split())
        # mask_private knows no addresses: where one is likely, any number may be a house's.
        may_hold_address = _ADDRESS_TOOLS & set(list(wish.shares)[:2]) and re.search(r"\d", said)
        if _bare(said) and not may_hold_address:
            shares = {tool: round(share, 4) for tool, share in list(wish.shares.items())[:LIKELIEST]}
            yield wish.model_copy(update={"said": mask_private(said)[:MOST_CHARACTERS], "shares": shares})


def _bare(said: str) -> str:
    """By which duplicates are known: letters and numbers alone, in one case and width, every number the same."""
    folded = re.sub(r"\d+", "0", unicodedata.normalize("NFKC", said).casefold())
    return "".join(each for each in folded if each.isalnum())


def _list(
    connection: sqlite3.Connection, turn: Noted, wish: Wish, reasons: Collection[Reason], at: datetime, comment: str = ""
) -> int | None:
    """Count the sentence and tell what is new of it; its id, or None where it is neither on the list nor worth it.

    A sentence that was labelled or dropped is counted and not asked for again.
    """
    key = (turn.language, _bare(wish.said), turn.before or "", turn.photo)
    found = connection.execute(
        "SELECT * FROM sentences WHERE language = ? AND bare = ? AND before = ? AND photo = ?", key
    ).fetchone()
    if found is None and not reasons:
        return None
    told: set[Reason] = set(json.loads(found["reasons"])) if found is not None else set()
    row = connection.execute(
        "INSERT INTO sentences (language, bare, before, photo, said, shares, talk, done, reasons, comment, times, first_at, last_at,"
        " state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, 'open')"
        " ON CONFLICT (language, bare, before, photo) DO UPDATE SET said = excluded.said, shares = excluded.shares,"
        " talk = excluded.talk, done = excluded.done, reasons = excluded.reasons, times = times + 1,"
        " last_at = MAX(last_at, excluded.last_at), comment = CASE excluded.comment WHEN '' THEN comment ELSE excluded.comment END"
        " RETURNING id",
        (
            *key,
            *(wish.said, json.dumps(wish.shares), wish.talk, turn.done_in_words(), _in_order(told | set(reasons)), comment),
            *(stored_time(at), stored_time(at)),
        ),
    ).fetchone()
    return int(row["id"])


def _add_reason(connection: sqlite3.Connection, entry_id: int, reason: Reason, comment: str) -> None:
    row = _row(connection, entry_id)
    connection.execute(
        "UPDATE sentences SET reasons = ?, comment = ? WHERE id = ?",
        (_in_order({*json.loads(row["reasons"]), reason}), comment or row["comment"], entry_id),
    )


def _in_order(reasons: Collection[Reason]) -> str:
    return json.dumps([reason for reason in get_args(Reason) if reason in reasons])


def _tell_what_was_picked(connection: sqlite3.Connection, conversation_id: str, tool: str) -> None:
    """Asked which of two they meant, the customer has labelled the sentence: whoever labels it sees that."""
    row = _last(connection, conversation_id)
    for entry_id in json.loads(row["listed"]) if row is not None else ():
        connection.execute("UPDATE sentences SET done = done || ? WHERE id = ?", (f"; the customer chose {tool}", entry_id))


def _last(connection: sqlite3.Connection, conversation_id: str) -> sqlite3.Row | None:
    found: sqlite3.Row | None = connection.execute(
        "SELECT * FROM last_turns WHERE conversation_id = ?", (without_controls(conversation_id),)
    ).fetchone()
    return found


def _find(connection: sqlite3.Connection, entry_id: int) -> sqlite3.Row | None:
    found: sqlite3.Row | None = connection.execute("SELECT * FROM sentences WHERE id = ?", (entry_id,)).fetchone()
    return found


def _row(connection: sqlite3.Connection, entry_id: int) -> sqlite3.Row:
    row = _find(connection, entry_id)
    if row is None:
        raise NoEntry(f"there is no sentence {entry_id}; 'storehand review list' shows those that wait for a label.")
    return row


def _open(connection: sqlite3.Connection, entry_id: int) -> sqlite3.Row:
    row = _row(connection, entry_id)
    if row["state"] != "open":
        raise NoEntry(
            f"sentence {entry_id} was {row['state']} before; 'storehand review list' shows those that wait for a label."
        )
    return row


def _set_state(connection: sqlite3.Connection, entry_id: int, state: str, label: str | None) -> None:
    connection.execute("UPDATE sentences SET state = ?, label = ? WHERE id = ?", (state, label, entry_id))


def _entry(row: sqlite3.Row) -> Entry:
    values = {name: row[name] for name in row.keys() if name in Entry.model_fields}  # noqa: SIM118
    values |= {"before": row["before"] or None, "shares": json.loads(row["shares"]), "reasons": json.loads(row["reasons"])}
    return Entry.model_validate(values)
