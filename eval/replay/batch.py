"""Replays many calls: each is read and answered once, and kept, so that a run that was stopped goes on where it was.

A call is done again where anything that it rests on has changed: its file and what stands beside it, the shop's records and
rules, the settings, the code, the prompts, the chooser. What was heard in a recording is kept by itself, so that hearing is not
done again because the agent has changed.
"""

import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ValidationError

from agent.resources import CHOOSER, Opened
from agent.settings import Settings
from eval.replay.call import Call
from eval.replay.readers import read_call
from eval.replay.readers.source import ABOUT
from eval.replay.replay import ReplayedCall, replay_call
from tools.kit.errors import StorehandError
from tools.kit.phrases import PROMPTS

if TYPE_CHECKING:
    from tools.transcribe_speech import Transcriber

Stage = Literal["heard", "replayed", "kept", "failed"]
_CODE = Path(__file__).resolve().parents[2]
_PASSING = ("lookups", "quotes")
"""Tables that a running agent writes to without anything having happened."""


class Failed(BaseModel):
    """A call that could not be replayed, and why."""

    id: str
    why: str


class _Kept(BaseModel):
    """A file of a run: what it rests on, and what came of it."""

    rests_on: str
    call: Call | None = None
    replayed: ReplayedCall | None = None


def replay_all(
    opened: Opened,
    folder: Path,
    files: Sequence[Path],
    out: Path,
    settings: Settings,
    transcriber: "Callable[[], Transcriber]",
    *,
    at_once: int | None = None,
    tell: Callable[[Stage, str], None] = lambda _stage, _id: None,
) -> tuple[list[ReplayedCall], list[Failed]]:
    """Replay the calls of `files` on copies of the shop in `folder`; results are kept in `out`/calls. One that fails does not
    stop the others.

    `at_once` calls are worked on side by side: half of the processors if it is not given, since each answer uses two.
    """
    kept = out / "calls"
    kept.mkdir(parents=True, exist_ok=True)
    base = rests_on(folder, settings)
    names = _names(files)
    hear = cache(transcriber)

    def one(file: Path) -> ReplayedCall:
        name = names[file]
        heard = kept / f"{name}.heard.json"
        key = _digest(
            [file, file.with_name(file.stem + ABOUT), file.with_suffix(".csv"), _CODE / "tools" / "transcribe_speech.py"],
            f"{settings.speech} {_code_of('eval/replay', 'tools/speech')}",
        )
        call = _read(heard, key).call
        if call is None:
            call = read_call(file, hear, name)
            _write(heard, _Kept(rests_on=key, call=call))
        tell("heard", name)
        done = kept / f"{name}.json"
        whole = hashlib.sha256(f"{base} {call.model_dump_json(exclude={'expect'})}".encode()).hexdigest()
        replayed = _read(done, whole).replayed
        if replayed is not None:
            tell("kept", name)
            return replayed.model_copy(update={"call": call})
        opened.load_model()  # not in the time of an answer
        replayed = replay_call(opened, folder, call)
        _write(done, _Kept(rests_on=whole, replayed=replayed))
        tell("replayed", name)
        return replayed

    replayed: dict[Path, ReplayedCall] = {}
    failed: list[Failed] = []
    with ThreadPoolExecutor(at_once or max(1, (os.cpu_count() or 1) // 2)) as pool:
        waiting = {pool.submit(one, file): file for file in files}
        try:
            for future in as_completed(waiting):
                file = waiting[future]
                try:
                    replayed[file] = future.result()
                except (StorehandError, ValueError) as error:
                    failed.append(Failed(id=names[file], why=str(error)))
                    tell("failed", names[file])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [replayed[file] for file in files if file in replayed], sorted(failed, key=lambda each: each.id)


def rests_on(folder: Path, settings: Settings) -> str:
    """A digest of everything but the call that a replay rests on."""
    from agent.chooser.chooser import SHIPPED  # imports torch, which the agent has loaded by then

    digest = hashlib.sha256()
    with closing(sqlite3.connect(folder / "shop.sqlite")) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        for table in tables:
            if table not in _PASSING and not table.startswith("sqlite_"):
                for row in connection.execute(f"SELECT * FROM {table}"):
                    digest.update(repr(row).encode())
    own = settings.data_dir / CHOOSER
    chosen = settings.model_dump_json(include={"model", "turn", "speech", "encoders"})
    digest.update(f"{chosen} {_code_of('agent', 'tools', 'eval/replay')}".encode())
    files = [folder / "policy.yaml", *sorted(PROMPTS.rglob("*.*")), own if own.exists() else SHIPPED]
    return _digest(files, digest.hexdigest())


@cache
def _code_of(*folders: str) -> str:
    return _digest(sorted(file for folder in folders for file in (_CODE / folder).rglob("*.py")), "")


def _digest(files: Iterable[Path], more: str) -> str:
    digest = hashlib.sha256(more.encode())
    for file in files:
        if file.is_file():
            digest.update(f"\n{file.name}\n".encode())
            with file.open("rb") as data:
                digest.update(hashlib.file_digest(data, "sha256").digest())
    return digest.hexdigest()


def _names(files: Sequence[Path]) -> dict[Path, str]:
    """A name for each call: its file's, with the folder's where two have the same."""
    count = Counter(file.stem for file in files)
    return {
        file: file.stem if count[file.stem] == 1 else f"{file.stem}-{hashlib.sha256(str(file).encode()).hexdigest()[:6]}"
        for file in files
    }


def _read(file: Path, key: str) -> _Kept:
    """What was kept, if it rests on the same; else nothing."""
    try:
        kept = _Kept.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return _Kept(rests_on="")
    return kept if kept.rests_on == key else _Kept(rests_on="")


def _write(file: Path, kept: _Kept) -> None:
    part = file.with_suffix(".part")
    part.write_text(kept.model_dump_json(indent=1), encoding="utf-8")
    part.replace(file)
