"""Plays many scenarios, keeps every play whole, and goes on where an earlier run was broken off.

A run's folder holds plays.jsonl, one play a line. A play is kept for good: it is done again only if its scenario, the settings or
Storehand itself (code, prompts, models that ship) changed.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import time as day_time
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict
from rich.console import Console

from agent.resources import DEMO, DEMO_SOURCE, shop_folder
from agent.settings import Settings
from eval.always import Cause
from eval.conversation import Place, Trajectory, apart, beside
from eval.judge import Judge, Verdict
from eval.playing import VARIANTS, Moved, digest_of, missing, play
from eval.scenario import Scenario
from tools.shop.importers import import_shop
from tools.shop.sqlite_shop import SqliteShop

PLAYS = "plays.jsonl"
PROJECT = Path(__file__).resolve().parents[1]
_COUNTS = (".py", ".md", ".yaml", ".jsonl", ".safetensors", ".gguf")
"""Files of which a change may change what the agent does."""


class Judged(BaseModel):
    """One verdict as it is kept."""

    model_config = ConfigDict(frozen=True)

    turn: int
    passed: bool
    cause: Cause
    reason: str


class Play(BaseModel):
    """One play of a scenario, whole. `turns` are what was sent and the agent's turn, `changed` what the shop is after it and was not."""

    model_config = ConfigDict(frozen=True)

    key: str
    name: str
    file: str
    suite: str
    tags: tuple[str, ...]
    language: str
    variant: str
    repeat: int
    at: datetime
    turns: tuple[dict[str, Any], ...] = ()
    changed: dict[str, Any] = {}
    ended: str = ""
    error: str | None = None
    verdicts: tuple[Judged, ...] = ()
    seconds: float = 0.0
    model_calls: int = 0
    skipped: str | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.skipped is None and all(verdict.passed for verdict in self.verdicts)

    @property
    def failed(self) -> list[Judged]:
        """What is wrong with it."""
        return [verdict for verdict in self.verdicts if not verdict.passed]

    @property
    def title(self) -> str:
        """The scenario and, where it is not the settings' own, the chat model."""
        return self.name if self.variant == VARIANTS[0] else f"{self.name} ({self.variant})"


@dataclass(frozen=True)
class Planned:
    """One play that is to be."""

    key: str
    file: Path
    scenario: Scenario
    variant: str
    repeat: int


def plan(
    read: Sequence[tuple[Path, Scenario]], settings: Settings, repeat: int, models: Literal["all", "real", "obeying"]
) -> list[Planned]:
    """Every play, all first ones before all second ones. The obeying model plays once: it does the same every time."""
    basis = fingerprint(settings)
    planned: list[tuple[int, Planned]] = []
    for file, scenario in read:
        digest = digest_of(scenario)
        variants = VARIANTS if scenario.obeys else VARIANTS[:1]
        for variant in variants:
            is_real = variant == VARIANTS[0]
            if models != "all" and is_real != (models == "real"):
                continue
            for number in range(max(repeat, scenario.repeat) if is_real else 1):
                key = hashlib.sha256(f"{basis}|{scenario.name}|{digest}|{variant}|{number}".encode()).hexdigest()[:20]
                planned.append((number, Planned(key, file, scenario, variant, number)))
    return [each for _, each in sorted(planned, key=lambda pair: pair[0])]


def fingerprint(settings: Settings) -> str:
    """Changes with whatever may change an answer: Storehand's own files, the settings of models and turns."""
    digest = hashlib.sha256()
    for folder in ("agent", "tools", "prompts", "eval"):
        for file in sorted((PROJECT / folder).rglob("*")):
            inside = file.relative_to(PROJECT)
            if (
                file.suffix in _COUNTS
                and not {"server", "scenarios", "cases", "train", "node_modules"} & set(inside.parts)
                and not _only_tells(inside)
            ):
                digest.update(str(inside).encode() + hashlib.sha256(file.read_bytes()).digest())
    chosen = {name: getattr(settings, name).model_dump(mode="json") for name in ("model", "turn", "speech", "encoders")}
    digest.update(json.dumps(chosen, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:16]


def _only_tells(inside: Path) -> bool:
    """Whether a file of eval/ has no part in how a scenario is played and judged."""
    plays = {"conversation", "playing", "judge", "always", "obedient", "scenario"}
    return inside.parts[0] == "eval" and inside.parts[1] != "customers" and inside.stem not in plays


def kept_plays(folder: Path) -> dict[str, Play]:
    """The plays of a run's folder by key; a line that was cut off is left out."""
    file = folder / PLAYS
    kept: dict[str, Play] = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        try:
            each = Play.model_validate_json(line)
        except ValueError:
            continue
        kept[each.key] = each
    return kept


def run(
    planned: Sequence[Planned],
    settings: Settings,
    folder: Path,
    console: Console,
    *,
    jobs: int,
    done: Callable[[Play], None] = lambda _: None,
) -> list[Play]:
    """Play what the folder does not hold yet; returns all plays that were planned, in their order.

    Interrupted, it keeps what was played. Raises OperatorError for a scenario that does not fit its shop.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plays = {key: each for key, each in kept_plays(folder).items() if key in {one.key for one in planned}}
    for each in plays.values():
        done(each)
    writing = Lock()

    def keep(each: Play) -> None:
        with writing, (folder / PLAYS).open("a", encoding="utf-8") as out:
            out.write(each.model_dump_json() + "\n")
        plays[each.key] = each
        done(each)

    left: dict[str, list[Planned]] = {}
    for one in planned:
        if one.key in plays:
            continue
        if lacking := missing(one.scenario, one.file.parent):
            keep(_play(one, skipped=lacking))
            continue
        shop = one.scenario.setup.shop
        left.setdefault(shop if shop == DEMO else str((one.file.parent / shop).resolve()), []).append(one)
    for shop, plays_there in left.items():
        _run_in(shop, plays_there, settings, console, jobs, keep)
    return [plays[one.key] for one in planned]


def _run_in(
    shop: str, planned: Sequence[Planned], settings: Settings, console: Console, jobs: int, keep: Callable[[Play], None]
) -> None:
    clocks = [Moved(datetime.now(UTC)) for _ in range(jobs)]
    with shop_of_a_day(settings, shop, console) as folder, ExitStack() as opened:
        first = opened.enter_context(apart(settings, folder, clocks[0], console))
        places = [first, *(opened.enter_context(beside(first.opened, folder, clock)) for clock in clocks[1:])]
        noon = noon_of(first.shop)
        judge = Judge(first.shop)
        free: SimpleQueue[tuple[Place, Moved]] = SimpleQueue()
        for place, clock in zip(places, clocks, strict=True):
            free.put((place, clock))

        def one(each: Planned) -> None:
            place, clock = free.get()
            try:
                keep(play_and_judge(place, clock, judge, each, noon))
            finally:
                free.put((place, clock))

        with ThreadPoolExecutor(jobs) as pool:
            waiting = [pool.submit(one, each) for each in planned]
            try:
                for each in waiting:
                    each.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def play_and_judge(place: Place, clock: Moved, judge: Judge, planned: Planned, noon: datetime) -> Play:
    """One play with its verdicts."""
    began = time.perf_counter()
    told = play(place, clock, planned.scenario, planned.file.parent, planned.variant, noon=noon, seed=planned.repeat)
    verdicts = (judge.verdicts if planned.variant == VARIANTS[0] else judge.safety)(planned.scenario, told)
    return _play(planned, told=told, verdicts=verdicts, seconds=time.perf_counter() - began)


def _play(
    planned: Planned,
    *,
    told: Trajectory | None = None,
    verdicts: Iterable[Verdict] = (),
    seconds: float = 0.0,
    skipped: str | None = None,
) -> Play:
    scenario, suite = planned.scenario, planned.file.parent.name
    return Play(
        key=planned.key,
        name=scenario.name,
        file=str(planned.file),
        suite=suite if planned.variant == VARIANTS[0] else "obeying",
        tags=scenario.tags,
        language=scenario.language,
        variant=planned.variant,
        repeat=planned.repeat,
        at=datetime.now(UTC),
        turns=tuple(_turns(scenario, told)) if told else (),
        changed=_changed(told) if told else {},
        ended=told.ended if told else "",
        error=told.error if told else None,
        verdicts=tuple(Judged(turn=v.turn, passed=v.passed, cause=v.cause, reason=v.reason) for v in verdicts),
        seconds=seconds,
        model_calls=sum(exchange.model_calls for exchange in told.turns) if told else 0,
        skipped=skipped,
    )


def _turns(scenario: Scenario, told: Trajectory) -> Iterator[dict[str, Any]]:
    for number, exchange in enumerate(told.turns):
        step = scenario.steps[number] if number < len(scenario.steps) else None
        message = exchange.message
        sent: dict[str, Any] = {"text": message.text if isinstance(message.text, str) else repr(message.text)}
        if step and step.photo:
            sent["photo"] = step.photo.model_dump(exclude_defaults=True)
        if step and step.voice:
            sent["voice"] = step.voice.model_dump(exclude_defaults=True)
        if button := message.agree_to or message.decline:
            sent["button"] = f"{'agree to' if message.agree_to else 'decline'} {button}"
        yield {
            "sent": sent,
            "turn": exchange.turn.model_dump(mode="json"),
            "seconds": round(exchange.seconds, 3),
            "model_calls": exchange.model_calls,
        }


def _changed(told: Trajectory) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for kind, after in told.after.items():
        before = told.before[kind]
        if after == before:
            continue
        if isinstance(after, dict):
            changed[kind] = {name: value for name, value in after.items() if value != before.get(name)}
        else:
            changed[kind] = after[len(before) :] if isinstance(after, list) else "changed"
    return changed


@contextmanager
def shop_of_a_day(settings: Settings, shop: str, console: Console) -> Iterator[Path]:
    """The shop's folder; of the demo shop, whose orders move with the calendar, a copy as it is on the day that it describes."""
    if shop != DEMO:
        yield Path(shop)
        return
    prepared = shop_folder(settings, DEMO, console)
    with TemporaryDirectory(prefix="storehand-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch) / DEMO
        import_shop("jsonl", DEMO_SOURCE, folder)
        # Products and rules are the same on every day, and so is their index.
        shutil.copytree(prepared / "index", folder / "index", ignore=shutil.ignore_patterns("lock", "*.lock"))
        yield folder


def noon_of(shop: SqliteShop) -> datetime:
    """Noon of the day that the shop's data describe; now, if they tell none."""
    day = shop.info.as_of
    return datetime.combine(day, day_time(12), ZoneInfo(shop.info.timezone)) if day else datetime.now(UTC)
