"""Lists and counts over all conversations, for staff."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from statistics import quantiles
from typing import Any

from pydantic import AwareDatetime, BaseModel

from agent.database import stored_time, without_controls
from agent.server.history import Shape
from agent.server.services import Services

PAGE = 30
MOST_QUESTIONS = 20
"""Of the lists of what came to nothing."""


class Listed(Shape):
    """One line of the list of conversations; `first` is what the customer wrote first."""

    id: str
    at: AwareDatetime
    language: str | None
    customer: dict[str, str | None] | None
    first: str
    turns: int
    state: str
    thumbs: dict[str, int]


class Day(Shape):
    """A day (UTC) on which customers wrote; `handed_over` of its conversations needed a person."""

    day: str
    conversations: int
    messages: int
    handed_over: int
    up: int
    down: int
    first_word: dict[str, float | None]


class Analytics(Shape):
    """What happened in the last days. Seconds are null where nothing was answered."""

    volume: list[Day]
    topics: list[dict[str, Any]]
    resolved: int
    handed_over: list[dict[str, Any]]
    thumbs: dict[str, int]
    empty_searches: list[dict[str, Any]]
    unanswered: list[dict[str, Any]]
    seconds: dict[str, dict[str, float | None]]


class _Turn(BaseModel):
    """What is counted of a kept turn."""

    said: str
    steps: list[dict[str, Any]]
    handoff: dict[str, Any] | None
    seconds: dict[str, float]
    held: bool = False


def list_conversations(server: Services, query: str, before: str | None) -> tuple[list[Listed], str | None]:
    """One page of conversations in which something was said, the newest first, and where the next page begins."""
    words = without_controls(query).strip()
    like = "%" + words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    with server.store.database.connected() as connection:
        rows = connection.execute(
            "SELECT c.id, c.at, c.language, c.customer_id,"
            " (SELECT text FROM messages AS m WHERE m.conversation_id = c.id ORDER BY position LIMIT 1) AS first,"
            " (SELECT COUNT(*) FROM messages AS m WHERE m.conversation_id = c.id AND role = 'customer') AS turns,"
            " (SELECT COUNT(*) FROM messages AS m WHERE m.conversation_id = c.id AND thumb = 'up') AS up,"
            " (SELECT COUNT(*) FROM messages AS m WHERE m.conversation_id = c.id AND thumb = 'down') AS down"
            " FROM conversations AS c WHERE EXISTS (SELECT 1 FROM messages AS m WHERE m.conversation_id = c.id)"
            " AND (?1 = '' OR c.customer_id = ?1 OR c.id = ?1 OR EXISTS (SELECT 1 FROM messages AS m WHERE m.conversation_id = c.id"
            "  AND m.text LIKE ?2 ESCAPE '\\'))"
            " AND (?3 IS NULL OR c.at || c.id < ?3) ORDER BY c.at || c.id DESC LIMIT ?4",
            (words, like, before, PAGE + 1),
        ).fetchall()
    standing = {each.conversation_id: each.state for each in server.desk.open()}
    listed = [
        Listed(
            id=row["id"],
            at=row["at"],
            language=row["language"],
            customer=server.named(row["customer_id"]),
            first=row["first"][:200],
            turns=row["turns"],
            state=standing.get(row["id"], "none"),
            thumbs={"up": row["up"], "down": row["down"]},
        )
        for row in rows[:PAGE]
    ]
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    return listed, f"{last['at']}{last['id']}" if last else None


def analytics_of(server: Services, days: int, now: datetime) -> Analytics:
    """Counts over the kept turns of the last `days`."""
    since = stored_time(now - timedelta(days=days))
    with server.store.database.connected() as connection:
        volume = connection.execute(
            "SELECT substr(at, 1, 10) AS day, COUNT(DISTINCT conversation_id) AS conversations, COUNT(*) AS messages"
            " FROM messages WHERE at >= ? AND role = 'customer' GROUP BY day ORDER BY day",
            (since,),
        ).fetchall()
        rated = connection.execute(
            "SELECT substr(at, 1, 10) AS day, thumb, COUNT(*) AS count FROM messages WHERE at >= ? AND thumb IS NOT NULL"
            " GROUP BY day, thumb",
            (since,),
        ).fetchall()
        kept = connection.execute(
            "SELECT conversation_id, substr(at, 1, 10) AS day, turn FROM turns WHERE at >= ? ORDER BY at", (since,)
        ).fetchall()
    turns = [(row["conversation_id"], _Turn.model_validate(json.loads(row["turn"]))) for row in kept]
    by_day: dict[str, list[tuple[str, _Turn]]] = defaultdict(list)
    for row, turn in zip(kept, turns, strict=True):
        by_day[row["day"]].append(turn)
    thumbs: Counter[tuple[str, str]] = Counter({(row["day"], row["thumb"]): row["count"] for row in rated})
    handed = {conversation for conversation, turn in turns if turn.handoff or turn.held}
    answered = [turn for _, turn in turns if not turn.held]
    return Analytics(
        volume=[
            Day(
                **dict(row),
                handed_over=len({name for name, turn in by_day[row["day"]] if turn.handoff or turn.held}),
                up=thumbs[row["day"], "up"],
                down=thumbs[row["day"], "down"],
                first_word=_percentiles(_firsts(turn for _, turn in by_day[row["day"]])),
            )
            for row in volume
        ],
        topics=_counted((step["tool"] for turn in answered for step in turn.steps), "tool"),
        resolved=len({conversation for conversation, _ in turns} - handed),
        handed_over=_counted((turn.handoff["why"] for turn in answered if turn.handoff), "why"),
        thumbs={each: sum(count for (_, thumb), count in thumbs.items() if thumb == each) for each in ("up", "down")},
        empty_searches=_counted((turn.said for turn in answered if _found_nothing(turn, "search_products")), "words"),
        unanswered=_counted((turn.said for turn in answered if _found_nothing(turn, "answer_from_policy")), "question"),
        seconds={
            "firstWord": _percentiles(_firsts(answered)),
            "whole": _percentiles([turn.seconds["total"] for turn in answered]),
        },
    )


def _firsts(turns: Iterable[_Turn]) -> list[float]:
    return [turn.seconds["first_token"] for turn in turns if not turn.held and turn.seconds["first_token"]]


def _found_nothing(turn: _Turn, tool: str) -> bool:
    """Whether the tool ran and told of no record: neither of a product nor of a clause."""
    steps = [step for step in turn.steps if step["tool"] == tool]
    return bool(steps) and not any(fact["source"].startswith(("product:", "clause:")) for s in steps for fact in s["facts"])


def _counted(names: Iterable[str], label: str) -> list[dict[str, Any]]:
    return [{label: name, "count": count} for name, count in Counter(names).most_common(MOST_QUESTIONS)]


def _percentiles(values: list[float]) -> dict[str, float | None]:
    if len(values) < 2:
        only = round(values[0], 3) if values else None
        return {"p50": only, "p95": only}
    cuts = quantiles(values, n=20, method="inclusive")
    return {"p50": round(cuts[9], 3), "p95": round(cuts[18], 3)}
