"""Replayed calls made by hand."""

from typing import Any

from eval.replay.call import Call, Expected, Utterance
from eval.replay.judging import Statement
from eval.replay.replay import ReplayedCall, ReplayedTurn, ToolRun
from tools.kit.facts import Fact


def turn(
    customer: str = "hello", human: str = "hi", agent: str = "hello", tools: tuple[str, ...] = (), **more: Any
) -> ReplayedTurn:
    steps = tuple(ToolRun(tool=tool, arguments={}, facts=(Fact(text="…", source="clause:RET-1"),)) for tool in tools)
    return ReplayedTurn(
        **{"customer": customer, "human": human, "agent": agent, "language": "en", "steps": steps, "seconds": 0.5, **more}
    )


def call(name: str, *turns: ReplayedTurn, expect: Expected | None = None, **more: Any) -> ReplayedCall:
    said = (
        Utterance(speaker="customer", text="hello", start_ms=0, end_ms=1000),
        Utterance(speaker="agent", text="hi", start_ms=1200, end_ms=60_000),
    )
    recorded = Call(id=name, format="text", utterances=said, expect=expect)
    return ReplayedCall(
        **{"call": recorded, "turns": turns, "goal": None, "topic": None, "outcome": "open", "currency": "USD", **more}
    )


UNSUPPORTED = Statement(text="We never do that.", verdict="unsupported", why="no clause speaks of it")
