"""Which calls change between two runs, and how: after another model, another prompt or another policy."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from eval.replay.replay import ReplayedCall, ReplayedTurn

Kind = Literal["only in one", "heard", "outcome", "committed", "expected", "tools", "quote", "reply"]


class Change(BaseModel):
    """Something that is otherwise in the second run. `turn` counts from 1, None where it is about the whole call."""

    model_config = ConfigDict(frozen=True)

    call: str
    kind: Kind
    turn: int | None
    before: str
    after: str


def read_run(out: Path) -> dict[str, ReplayedCall]:
    """The replayed calls of a run that was kept in `out`, by id."""
    files = [file for file in sorted((out / "calls").glob("*.json")) if not file.name.endswith(".heard.json")]
    calls = [ReplayedCall.model_validate(json.loads(file.read_text(encoding="utf-8"))["replayed"]) for file in files]
    return {each.call.id: each for each in calls}


def changes(before: Mapping[str, ReplayedCall], after: Mapping[str, ReplayedCall]) -> list[Change]:
    """The changes of every call, in order of its name; a reply with other words counts, its time does not."""
    found: list[Change] = []
    for name in sorted(before.keys() | after.keys()):
        one, two = before.get(name), after.get(name)
        if one is None or two is None:
            there = ("there", "not there") if two is None else ("not there", "there")
            found.append(Change(call=name, kind="only in one", turn=None, before=there[0], after=there[1]))
        else:
            found += _whole(name, one, two)
            if [turn.customer for turn in one.turns] == [turn.customer for turn in two.turns]:
                for number, pair in enumerate(zip(one.turns, two.turns, strict=True), start=1):
                    found += _turn(name, number, *pair)
    return found


def _whole(name: str, one: ReplayedCall, two: ReplayedCall) -> list[Change]:
    told: list[tuple[Kind, str, str]] = [
        ("heard", _customer(one), _customer(two)),
        ("outcome", one.outcome, two.outcome),
        ("committed", _moved(one), _moved(two)),
        ("expected", "; ".join(one.misses()) or "as expected", "; ".join(two.misses()) or "as expected"),
    ]
    return [Change(call=name, kind=kind, turn=None, before=old, after=new) for kind, old, new in told if old != new]


def _turn(name: str, number: int, one: ReplayedTurn, two: ReplayedTurn) -> list[Change]:
    told: list[tuple[Kind, str, str]] = [
        ("tools", ", ".join(one.tools) or "none", ", ".join(two.tools) or "none"),
        ("quote", _quote(one), _quote(two)),
        ("reply", one.agent, two.agent),
    ]
    return [Change(call=name, kind=kind, turn=number, before=old, after=new) for kind, old, new in told if old != new]


def _customer(call: ReplayedCall) -> str:
    return " / ".join(turn.customer for turn in call.turns)


def _moved(call: ReplayedCall) -> str:
    return ", ".join(f"{each.kind} {each.cents} on {each.order}" for each in call.committed) or "nothing"


def _quote(turn: ReplayedTurn) -> str:
    return f"{turn.quote.kind} {turn.quote.total_cents} {turn.quote.currency}" if turn.quote else "none"
