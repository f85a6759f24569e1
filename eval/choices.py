"""Does the agent choose the right tool? Labelled sentences in, a score out.

A case is a JSON line: `{"say", "language", "tools": [names or null], "before"?: [earlier messages], "photo"?: path}`; it is right if the
first tool run is in `tools` (null: none). Only the first step is run.
"""

import json
import statistics
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from agent.events import Step, ToolStarted, Turn
from agent.session import Session
from agent.turn import Agent, Message
from tools.shop.types import Language


class Case(BaseModel):
    """One labelled sentence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    say: str
    language: Language
    tools: tuple[str | None, ...]
    before: tuple[str, ...] = ()
    photo: str | None = None


class Outcome(BaseModel):
    """What the agent chose for a case."""

    case: Case
    chosen: str | None
    right: bool
    seconds: float


def read_cases(path: Path) -> list[Case]:
    """Read a file of cases, one JSON object a line."""
    return [Case.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def first_tool(agent: Agent, session: Session, message: Message) -> str | None:
    """The first tool that the agent runs for the message; None if it replies without one."""
    for event in agent.answer(session, message):
        if isinstance(event, ToolStarted | Step):
            return event.tool
        if isinstance(event, Turn):
            return None
    return None


def run_cases(agent: Agent, cases: Iterable[Case], *, customer_id: str | None, photos: Path) -> Iterator[Outcome]:
    """Try each case in a conversation of its own."""
    for number, case in enumerate(cases):
        session = Session(conversation_id=f"choice-{number}-{time.time_ns()}", customer_id=customer_id)
        for earlier in case.before:
            for _ in agent.answer(session, Message(text=earlier)):
                pass
        photo = (photos / case.photo).read_bytes() if case.photo else None
        began = time.perf_counter()
        chosen = first_tool(agent, session, Message(text=case.say, photo=photo))
        yield Outcome(case=case, chosen=chosen, right=chosen in case.tools, seconds=time.perf_counter() - began)


def score(outcomes: list[Outcome]) -> dict[str, Any]:
    """Accuracy in all and by language, and the median time of a choice in seconds."""
    languages = sorted({outcome.case.language for outcome in outcomes})
    return {
        "cases": len(outcomes),
        "accuracy": sum(outcome.right for outcome in outcomes) / len(outcomes),
        "by_language": {
            language: statistics.mean(outcome.right for outcome in outcomes if outcome.case.language == language)
            for language in languages
        },
        "seconds_median": statistics.median(outcome.seconds for outcome in outcomes),
    }


def misses(outcomes: Iterable[Outcome]) -> str:
    """The wrong choices, one JSON line each."""
    return "\n".join(
        json.dumps({"say": outcome.case.say, "chosen": outcome.chosen, "right": list(outcome.case.tools)}, ensure_ascii=False)
        for outcome in outcomes
        if not outcome.right
    )
