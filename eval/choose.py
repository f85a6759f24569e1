"""Does the agent choose the right tool? Labelled sentences in, a score out.

A case is a JSON line, `{"say", "language", "tools": [names or null], "before"?: [earlier messages], "photo"?: true or a path, "slots"?}`;
it is right if the first tool run is in `tools` (null: none). Carrying out the quote that the customer has just agreed to is code's doing,
not a choice, and counts as none. Only the first step is run, but earlier messages are answered in full.
"""

import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from agent.chooser.evidence import calibration_error
from agent.decide import CODE_TOOLS
from agent.events import Decided, ToolStarted, Turn
from agent.examples import REPLY, Slots
from agent.session import Session
from agent.train.lessons import Case as LabelledSentence
from agent.turn import Agent, Message
from tools.kit.json_lines import read_json_lines

_NOT_CHOSEN = frozenset(tool.name for tool in CODE_TOOLS)


class Case(LabelledSentence):
    """One labelled sentence, with what its words hold for a tool's arguments."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    slots: Slots = Slots()


class Outcome(BaseModel):
    """What the agent did with a case: the first tool it ran, or None, and then between which tools it asked.

    `guess` is what the chooser thought likeliest ("reply" for no tool) and `share` how sure it was; None where code knew without it.
    """

    case: Case
    chosen: str | None
    asked: tuple[str, ...] = ()
    guess: str | None = None
    share: float | None = None
    model_calls: int = 0
    seconds: float

    @property
    def right(self) -> bool:
        """Whether the first tool run is one of the right ones."""
        return self.chosen in self.case.tools or (self.chosen in _NOT_CHOSEN and None in self.case.tools)


def read_cases(path: Path) -> list[Case]:
    """Read a file of cases, one JSON object a line. Raises OperatorError with file and line."""
    return read_json_lines(path, Case)


def run_cases(
    agent: Agent, cases: Iterable[Case], *, customer_id: str | None, photos: Path, any_photo: Path | None
) -> Iterator[Outcome]:
    """Try each case in a conversation of its own; `any_photo` is what a customer without a certain photo sends."""
    for number, case in enumerate(cases):
        session = Session(conversation_id=f"choice-{number}-{time.time_ns()}", customer_id=customer_id)
        for earlier in case.before:
            for _ in agent.answer(session, Message(text=earlier)):
                pass
        path = photos / case.photo if isinstance(case.photo, str) else any_photo if case.photo else None
        message = Message(text=case.say, photo=path.read_bytes() if path else None)
        began = time.perf_counter()
        decided = first_decision(agent, session, message)
        yield Outcome(
            case=case,
            chosen=decided.tool,
            asked=decided.asked,
            guess=decided.likeliest,
            share=decided.share,
            model_calls=decided.model_calls,
            seconds=time.perf_counter() - began,
        )


def first_decision(agent: Agent, session: Session, message: Message) -> Decided:
    """What the agent decides to do with the message; nothing is done."""
    for event in agent.answer(session, message):
        if isinstance(event, Decided):
            return event
        if isinstance(event, ToolStarted):
            return Decided(tool=event.tool)
        if isinstance(event, Turn):
            break
    return Decided(tool=None)


def score(outcomes: list[Outcome]) -> dict[str, Any]:
    """The shares of cases that are right, asked back, and wrong without having asked; calibration and cost.

    `asked_rightly` is the share of all cases in which the question offers a right tool, or none was right. `ece` is the expected
    calibration error of the chooser's likeliest tool over the cases it was asked for. Seconds are of one choice.
    """
    languages = sorted({outcome.case.language for outcome in outcomes})
    judged = [outcome for outcome in outcomes if outcome.share is not None]
    guessed = [(None if outcome.guess == REPLY else outcome.guess) in outcome.case.tools for outcome in judged]
    return {
        "cases": len(outcomes),
        "accuracy": _share(outcome.right for outcome in outcomes),
        "by_language": {
            language: _share(outcome.right for outcome in outcomes if outcome.case.language == language)
            for language in languages
        },
        "asked": _share(bool(outcome.asked) for outcome in outcomes),
        "asked_rightly": _share(
            bool(outcome.asked) and (outcome.right or bool(set(outcome.asked) & set(outcome.case.tools)))
            for outcome in outcomes
        ),
        "wrong_and_sure": _share(not outcome.asked and not outcome.right for outcome in outcomes),
        "ece": calibration_error([outcome.share or 0.0 for outcome in judged], guessed) if judged else None,
        "seconds_median": statistics.median(outcome.seconds for outcome in outcomes),
        "model_calls_mean": statistics.mean(outcome.model_calls for outcome in outcomes),
        "by_tool": _by_tool(outcomes),
    }


def _by_tool(outcomes: Iterable[Outcome]) -> Mapping[str, dict[str, float]]:
    tools: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        tools.setdefault(outcome.case.tools[0] or "no tool", []).append(outcome)
    return {
        tool: {"cases": len(each), "right": _share(one.right for one in each), "asked": _share(bool(one.asked) for one in each)}
        for tool, each in sorted(tools.items())
    }


def _share(values: Iterable[bool]) -> float:
    return statistics.mean(float(value) for value in values)


def misses(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """The cases that were not right: what was said, chosen or asked, and what is right."""
    return [
        {
            "say": outcome.case.say,
            "chosen": outcome.chosen,
            "asked": list(outcome.asked),
            "share": outcome.share,
            "right": list(outcome.case.tools),
        }
        for outcome in outcomes
        if not outcome.right
    ]
