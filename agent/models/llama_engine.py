"""llama.cpp in this process, through xllamacpp: one loaded model, several conversations at once, one shared prefix.

Slots. The engine keeps the evaluated text (KV cache) of as many conversations as it has slots. `Engine.warm` puts the static
prefix into all of them, so that no first question pays for it; after that a request goes to the free slot that knows most of
its messages, or, where none knows more than the prefix, to the one that was used longest ago. llama.cpp's own choice would
put every new conversation over the last one, because by length the shared prefix makes them all alike.

xllamacpp also opens llama.cpp's HTTP server on the loopback address, and that cannot be turned off. It is locked with a
random key, because it would show one user of the machine the prompts of another; only states are saved and restored by it.
"""

import hashlib
import itertools
import json
import os
import queue
import re
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import platformdirs
import xllamacpp
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata

from agent.models.control_tokens import control_token_pattern
from agent.models.decision import break_markup
from agent.models.stopping import LOOK_SECONDS, check_stopped
from tools.kit.errors import ModelFailed, WeightsUnavailable

BATCH_TOKENS = 128
"""Prompt tokens evaluated between two looks at the stop button: about 1.5 s on two slow cores."""
KEPT_STATES = 8
"""Prefix states kept on disk, the newest ones; one is about 30 MB for 1,000 tokens of a 1.5B model."""


class LlamaServer(Protocol):
    """What is used of xllamacpp.Server."""

    def handle_chat_completions(self, prompt: dict[str, Any], callback: Callable[[dict[str, Any]], bool]) -> None:
        """Answer `prompt` with chunks; blocks until the answer is whole or `callback` returns True."""


@dataclass
class Slot:
    """Room for one conversation, and which messages it has evaluated."""

    number: int
    messages: list[dict[str, str]] = field(default_factory=list)
    used_at: int = 0
    is_busy: bool = False

    def known(self, messages: Sequence[dict[str, str]]) -> int:
        """How many of `messages`, from the first, are evaluated here."""
        pairs = zip(self.messages, messages, strict=False)
        return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


@dataclass(frozen=True)
class Piece:
    """A part of an answer. The last one has `finish_reason` ("stop" or "length") and `usage`."""

    text: str
    finish_reason: str | None = None
    usage: UsageMetadata | None = None


class Engine:
    """One loaded model, shared by all conversations of the process. Made by `load_engine`."""

    def __init__(
        self, server: LlamaServer, states: "PrefixStates", *, name: str, markup: re.Pattern[str], conversations: int
    ) -> None:
        self.name = name
        self.markup = markup
        self._server = server
        self._states = states
        self._slots = [Slot(number) for number in range(conversations)]
        self._changed = threading.Condition()
        self._waiting: list[object] = []
        self._clock = itertools.count(1)

    def stream(self, messages: list[dict[str, str]], *, timeout_s: float, **request: Any) -> Iterator[Piece]:
        """Answer `messages` piece by piece; `request` holds further fields of llama.cpp's chat endpoint.

        Closing the iterator stops the generation at its next token (during the prompt: after BATCH_TOKENS at most).
        Raises ModelFailed where no piece comes for `timeout_s` seconds, and for what llama.cpp refuses; Stopped (see stopping.py).
        """
        deadline = time.monotonic() + timeout_s
        slot = self._take_slot(messages, timeout_s)
        body = {
            "messages": messages,
            "stream": True,
            "id_slot": slot.number,
            "cache_prompt": True,
            # Progress reports are what gives the stop button a chance while the prompt is evaluated.
            "return_progress": True,
            **request,
        }
        chunks: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()
        stop = threading.Event()

        def take(chunk: dict[str, Any]) -> bool:
            chunks.put(chunk)
            return stop.is_set()

        def work() -> None:
            try:
                self._server.handle_chat_completions(body, take)
                chunks.put(None)
            except (RuntimeError, ValueError) as error:
                chunks.put(error)
            finally:
                self._give_back(slot)

        threading.Thread(target=work, name=f"{self.name} slot {slot.number}").start()
        finish_reason: str | None = None
        try:
            while True:
                check_stopped()
                left = max(0.0, deadline - time.monotonic())
                try:
                    chunk = chunks.get(timeout=min(left, LOOK_SECONDS))
                except queue.Empty:
                    if left > LOOK_SECONDS:
                        continue
                    raise ModelFailed(
                        f"{self.name} wrote nothing for {timeout_s:g} s; raise model.timeout_s, or free the processor."
                    ) from None
                if chunk is None:
                    raise ModelFailed(f"{self.name} broke off in the middle of its answer; ask again.")
                if isinstance(chunk, Exception) or "error" in chunk:
                    raise ModelFailed(f"{self.name} refused the request: {_problem(chunk)}") from None
                choice = next(iter(chunk.get("choices") or [{}]))
                finish_reason = choice.get("finish_reason") or finish_reason
                text = (choice.get("delta") or {}).get("content") or ""
                if text:
                    deadline = time.monotonic() + timeout_s
                    yield Piece(text)
                if finish_reason and "timings" in chunk:
                    yield Piece("", finish_reason, _usage(chunk["timings"]))
                    return
        finally:
            stop.set()

    def warm(self, system_prompt: str) -> UsageMetadata | None:
        """Evaluate `system_prompt` in every slot; call it once, before the first conversation.

        It is computed once and copied. The state is kept in the engine's cache folder, so that the next process reads it
        instead; then nothing is evaluated and None is returned.
        """
        messages = [{"role": "system", "content": break_markup(system_prompt, self.markup)}]
        saved = self._states.find(system_prompt)
        if saved is not None:
            try:
                self._restore(saved, messages)
            except ModelFailed:
                # Whole, yet not readable by this build: it is made again.
                saved.unlink()
            else:
                return None
        pieces = list(self.stream([*messages, {"role": "user", "content": "."}], timeout_s=600, max_tokens=1, temperature=0))
        evaluated = max(self._slots, key=lambda slot: slot.used_at)
        self._restore(self._states.save(system_prompt, evaluated.number), messages)
        return pieces[-1].usage

    def _restore(self, saved: Path, messages: list[dict[str, str]]) -> None:
        for slot in self._slots:
            self._states.restore(saved, slot.number)
            slot.messages = messages

    def _take_slot(self, messages: list[dict[str, str]], timeout_s: float) -> Slot:
        """A free slot, in the order of asking. Raises ModelFailed after `timeout_s` seconds, and Stopped."""
        deadline = time.monotonic() + timeout_s
        mine = object()
        with self._changed:
            self._waiting.append(mine)
            try:
                while self._waiting[0] is not mine or all(slot.is_busy for slot in self._slots):
                    check_stopped()
                    left = deadline - time.monotonic()
                    if left <= 0:
                        raise ModelFailed(
                            f"{self.name}: all {len(self._slots)} conversations were busy for {timeout_s:g} s; "
                            "raise model.conversations."
                        )
                    self._changed.wait(min(left, LOOK_SECONDS))
                free = [slot for slot in self._slots if not slot.is_busy]
                slot = max(free, key=lambda slot: (slot.known(messages), -slot.used_at))
                slot.is_busy, slot.used_at, slot.messages = True, next(self._clock), messages
                return slot
            finally:
                self._waiting.remove(mine)
                self._changed.notify_all()

    def _give_back(self, slot: Slot) -> None:
        with self._changed:
            slot.is_busy = False
            self._changed.notify_all()


class PrefixStates:
    """Evaluated prefixes as files, saved and restored through llama.cpp's own HTTP server."""

    def __init__(self, folder: Path, *, model_id: str, address: str, key: str) -> None:
        self._folder, self._model_id, self._address, self._key = folder, model_id, address, key
        # No proxy of the environment may come between this process and itself.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def find(self, prefix: str) -> Path | None:
        """The file that holds `prefix`; one whose bytes have changed since it was written is deleted."""
        for path in self._folder.glob(f"{self._name(prefix)}-*.kv"):
            if path.stem.endswith(f"-{_digest(path)}"):
                return path
            path.unlink()
        return None

    def save(self, prefix: str, slot: int) -> Path:
        """Write what `slot` has evaluated, under a name that holds the bytes' own checksum."""
        part = self._folder / f"{self._name(prefix)}.{os.getpid()}.part"
        self._post(slot, "save", part.name)
        path = part.replace(self._folder / f"{self._name(prefix)}-{_digest(part)}.kv")
        newest_first = sorted(self._folder.glob("*.kv"), key=lambda each: each.stat().st_mtime, reverse=True)
        for old in newest_first[KEPT_STATES:]:
            old.unlink(missing_ok=True)
        return path

    def restore(self, path: Path, slot: int) -> None:
        """Let `slot` know what `path` holds."""
        self._post(slot, "restore", path.name)

    def _name(self, prefix: str) -> str:
        return hashlib.sha256(f"{self._model_id}\n{prefix}".encode()).hexdigest()[:32]

    def _post(self, slot: int, action: str, filename: str) -> None:
        request = urllib.request.Request(
            f"{self._address}/slots/{slot}?action={action}",
            data=json.dumps({"filename": filename}).encode(),
            headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=60) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise self._failed(action, filename, error.read(500).decode(errors="replace")) from error
        except OSError as error:
            raise self._failed(action, filename, str(error)) from error

    def _failed(self, action: str, filename: str, why: str) -> ModelFailed:
        return ModelFailed(
            f"llama.cpp could not {action} '{self._folder / filename}' ({why}); free space there, or delete the file."
        )


def load_engine(
    path: Path,
    *,
    context_tokens_per_conversation: int = 4096,
    conversations: int = 4,
    threads: int | None = None,
    cache_dir: Path | None = None,
    adapter: Path | None = None,
) -> Engine:
    """Load the GGUF model at `path`; takes seconds, and memory for weights and `conversations` × context.

    `threads` is all cores if None. `cache_dir` keeps evaluated prefixes between processes; prefixes/ in the user's cache if
    None. `adapter` is a LoRA made for this model, as `storehand train chat` writes it. Raises WeightsUnavailable where there
    is no such file and ModelFailed where llama.cpp cannot load it.
    """
    if not path.is_file():
        raise WeightsUnavailable(f"no model file at '{path}'; run \"storehand weights\" to see what is there.")
    if adapter is not None and not adapter.is_file():
        raise WeightsUnavailable(f"no adapter at '{adapter}'; name a .gguf file of \"storehand train chat\" in model.adapter.")
    markup = control_token_pattern(path)
    key = secrets.token_urlsafe(32)
    folder = (cache_dir or platformdirs.user_cache_path("storehand") / "prefixes").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_parallel = conversations
    params.n_ctx = context_tokens_per_conversation * conversations
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    if threads is not None:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    if adapter is not None:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    params.slot_save_path = f"{folder}{os.sep}"
    # The slots hold every conversation; a second cache in main memory would only grow (8 GiB by default).
    params.cache_ram_mib, params.cache_idle_slots = 0, False
    params.api_keys, params.ui = [key], False
    # llama.cpp repacks most weights for this processor; the mapped originals would only add 0.6 GB to the process.
    params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    params.verbosity = 1  # errors only
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        with_adapter = f" with the adapter '{adapter}', which must be made for this model" if adapter else ""
        raise ModelFailed(
            f"llama.cpp could not load '{path}'{with_adapter} ({error}); check the file with \"storehand weights\" and the free memory."
        ) from error
    # What a prefix evaluates to depends on each of these.
    files = [path, *([adapter] if adapter else [])]
    kept_for = [*map(_identity, files), str(params.n_ctx), str(conversations), xllamacpp.__version__]
    states = PrefixStates(folder, model_id=" ".join(kept_for), address=server.listening_address, key=key)
    return Engine(server, states, name=path.stem, markup=markup, conversations=conversations)


def _identity(path: Path) -> str:
    facts = path.stat()
    return f"{path.resolve()} {facts.st_size} {facts.st_mtime_ns}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def _usage(timings: dict[str, Any]) -> UsageMetadata:
    read, evaluated, written = int(timings["cache_n"]), int(timings["prompt_n"]), int(timings["predicted_n"])
    return UsageMetadata(
        input_tokens=read + evaluated,
        output_tokens=written,
        total_tokens=read + evaluated + written,
        input_token_details=InputTokenDetails(cache_read=read),
    )


def _problem(chunk: dict[str, Any] | Exception) -> str:
    if isinstance(chunk, Exception):
        return str(chunk)
    problem = chunk["error"]
    said = problem.get("message", problem) if isinstance(problem, dict) else problem
    if isinstance(problem, dict) and problem.get("type") == "exceed_context_size_error":
        return f"{said}; raise model.context_tokens."
    return f"{said}"
