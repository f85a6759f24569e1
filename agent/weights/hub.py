"""Fetches files from the model hub through huggingface_hub, whose settings (HF_ENDPOINT, HF_HUB_OFFLINE, tokens) hold.

Does not know checksums or where files are kept (store.py).
"""

import os
from collections.abc import Callable, Collection
from errno import ENOSPC
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from huggingface_hub import DryRunFileInfo, constants, hf_hub_download
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # httpx's or httpx2's, as the release has it
from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

from agent.weights.table import HubSource, SourceFailed, WeightFile

ANSWER_S = 4.0


def fetch_from_hub(source: HubSource, files: Collection[WeightFile], into: Path, advance: Callable[[int], None]) -> None:
    """Download `files` to `into`/FILE; an interrupted download goes on where it stopped.

    Raises SourceFailed within about four seconds where no hub answers, and where the hub's file has another size or the
    download breaks; OSError (disk).
    """
    if constants.is_offline_mode():
        raise SourceFailed("HF_HUB_OFFLINE is set")
    for file in files:
        size = _size_on_hub(source, source.paths[file.name])
        if size != file.bytes:
            raise SourceFailed(f"'{source.paths[file.name]}' in {source.repo} has {size} bytes instead of {file.bytes}")
    try:
        for file in files:
            fetched = hf_hub_download(
                source.repo,
                source.paths[file.name],
                revision=source.revision,
                local_dir=into / "hub",
                tqdm_class=_bar(advance),
            )
            os.replace(fetched, into / file.name)
    except (HTTPError, OSError, RuntimeError) as error:  # RuntimeError: the hub's own transfer library
        if isinstance(error, OSError) and error.errno == ENOSPC:
            raise
        raise SourceFailed(f"the download from {source.repo} broke off ({_reason(error)})") from error


def _size_on_hub(source: HubSource, path: str) -> int | None:
    """Ask for the file's size, and take no answer for a no.

    In a thread with one deadline: the client's own timeout counts for each address and leaves the name look-up out.
    """
    answers: SimpleQueue[int | Exception | None] = SimpleQueue()

    def ask() -> None:
        try:
            # force_download: without it the client repeats a failed question for half a minute.
            info = hf_hub_download(
                source.repo, path, revision=source.revision, dry_run=True, force_download=True, etag_timeout=ANSWER_S
            )
        except (HTTPError, OSError, ValueError) as error:
            answers.put(error)
        else:
            answers.put(info.file_size if isinstance(info, DryRunFileInfo) else None)

    Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=ANSWER_S)
    except Empty:
        raise SourceFailed(f"{constants.ENDPOINT} did not answer within {ANSWER_S:g} s") from None
    if isinstance(answer, Exception):
        raise SourceFailed(f"{constants.ENDPOINT} gave no {source.repo} ({_reason(answer)})") from answer
    return answer


def _reason(error: Exception) -> str:
    """The first line of the error at the root: the client wraps it in advice that does not fit here."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return (str(error).splitlines() or [type(error).__name__])[0]


def _bar(advance: Callable[[int], None]) -> type[tqdm]:
    """A progress bar for the client that draws nothing and passes the bytes on."""

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **(kwargs | {"disable": True}))  # type: ignore[no-untyped-call]
            advance(int(kwargs.get("initial") or 0))

        def update(self, n: float | None = 1) -> None:
            advance(int(n or 0))

    return Bar
