"""The engine's slots, its stop button and its patience, with a stand-in for llama.cpp."""

import hashlib
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.models.control_tokens import control_token_pattern
from agent.models.llama_engine import Engine, PrefixStates, load_engine
from agent.models.stopping import Stopped, stoppable
from tools.kit.errors import ModelFailed, WeightsUnavailable

TIMINGS = {"prompt_n": 7, "cache_n": 900, "predicted_n": 3}
A, B, PREFIX = ({"role": role, "content": text} for role, text in (("user", "a"), ("user", "b"), ("system", "prefix")))


class FakeLlama:
    """Writes `words`, one a chunk; an Exception among them is raised, a dict is a chunk, an Event is waited for."""

    def __init__(self, *words: Any, finish_reason: str | None = "stop") -> None:
        self.words, self.finish_reason = words, finish_reason
        self.requests: list[dict[str, Any]] = []
        self.written = 0

    def handle_chat_completions(self, prompt: dict[str, Any], callback: Callable[[dict[str, Any]], bool]) -> None:
        self.requests.append(prompt)
        for word in self.words:
            if isinstance(word, threading.Event):
                word.wait()
                continue
            if isinstance(word, Exception):
                raise word
            chunk = word if isinstance(word, dict) else {"choices": [{"delta": {"content": word}}]}
            self.written += 1
            if callback(chunk):
                return
        if self.finish_reason:
            callback({"choices": [{"delta": {}, "finish_reason": self.finish_reason}], "timings": TIMINGS})


class LocalStates(PrefixStates):
    """Writes states without llama.cpp."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, model_id="m", address="", key="")
        self.restored: list[int] = []

    def _post(self, slot: int, action: str, filename: str) -> None:
        if action == "save":
            (self._folder / filename).write_bytes(filename.encode())
        else:
            self.restored.append(slot)


def engine_of(server: FakeLlama, tmp_path: Path, conversations: int = 2) -> Engine:
    return Engine(server, LocalStates(tmp_path), name="fake", markup=re.compile(r"<\|im_end\|>"), conversations=conversations)


def say(engine: Engine, *messages: dict[str, str]) -> str:
    return "".join(piece.text for piece in engine.stream(list(messages), timeout_s=5))


def test_answer_comes_piece_by_piece_and_ends_with_its_usage(tmp_path: Path) -> None:
    pieces = list(engine_of(FakeLlama("Hel", "lo"), tmp_path).stream([A], timeout_s=5))
    assert [piece.text for piece in pieces] == ["Hel", "lo", ""]
    assert pieces[-1].finish_reason == "stop"
    assert pieces[-1].usage == {
        "input_tokens": 907,
        "output_tokens": 3,
        "total_tokens": 910,
        "input_token_details": {"cache_read": 900},
    }


def test_a_conversation_goes_on_in_the_slot_that_knows_it(tmp_path: Path) -> None:
    server = FakeLlama("x")
    engine = engine_of(server, tmp_path, conversations=3)
    engine.warm("prefix")
    for messages in ([PREFIX, A], [PREFIX, B], [PREFIX, B, A], [PREFIX, A, B]):
        say(engine, *messages)
    first, second, second_again, first_again = (request["id_slot"] for request in server.requests[1:])
    assert first != second
    assert (second_again, first_again) == (second, first)


def test_new_conversations_take_the_slot_that_rested_longest(tmp_path: Path) -> None:
    server = FakeLlama("x")
    engine = engine_of(server, tmp_path, conversations=2)
    engine.warm("prefix")
    for text in "abc":
        say(engine, PREFIX, {"role": "user", "content": text})
    slots = [request["id_slot"] for request in server.requests[1:]]
    assert slots[0] != slots[1]
    assert slots[2] == slots[0]


def test_without_a_warm_prefix_a_slot_that_knows_it_is_better_than_an_empty_one(tmp_path: Path) -> None:
    server = FakeLlama("x")
    engine = engine_of(server, tmp_path, conversations=2)
    say(engine, PREFIX, A)
    say(engine, PREFIX, B)
    assert server.requests[0]["id_slot"] == server.requests[1]["id_slot"]


def test_warming_evaluates_the_prefix_once_and_copies_it_to_every_slot(tmp_path: Path) -> None:
    server, states = FakeLlama("x"), LocalStates(tmp_path)
    engine = Engine(server, states, name="fake", markup=re.compile(r"(?!)"), conversations=3)
    assert engine.warm("prefix") is not None
    assert (len(server.requests), states.restored) == (1, [0, 1, 2])


def test_a_prefix_that_another_process_warmed_is_not_evaluated_again(tmp_path: Path) -> None:
    engine_of(FakeLlama("x"), tmp_path).warm("prefix")
    server = FakeLlama("x")
    assert engine_of(server, tmp_path).warm("prefix") is None
    assert server.requests == []


def test_a_state_that_llama_cannot_read_is_made_again(tmp_path: Path) -> None:
    class OtherBuild(LocalStates):
        def restore(self, path: Path, slot: int) -> None:
            if path.read_bytes() == b"from another build":
                raise ModelFailed("version mismatch")

    states = OtherBuild(tmp_path)
    saved = states.save("prefix", 0)
    saved.write_bytes(b"from another build")
    digest = hashlib.sha256(b"from another build").hexdigest()[:32]
    saved.rename(saved.with_name(f"{states._name('prefix')}-{digest}.kv"))
    server = FakeLlama("x")
    engine = Engine(server, states, name="fake", markup=re.compile(r"(?!)"), conversations=1)
    assert engine.warm("prefix") is not None
    assert len(server.requests) == 1


def test_more_conversations_than_slots_wait_for_one_another(tmp_path: Path) -> None:
    gate = threading.Event()
    server = FakeLlama(gate, "x")
    engine = engine_of(server, tmp_path, conversations=1)
    answers: list[str] = []
    talkers = [threading.Thread(target=lambda: answers.append(say(engine, A))) for _ in range(3)]
    for talker in talkers:
        talker.start()
    gate.set()
    for talker in talkers:
        talker.join()
    assert answers == ["x", "x", "x"]


def test_all_slots_busy_for_too_long_names_the_setting(tmp_path: Path) -> None:
    gate = threading.Event()
    engine = engine_of(FakeLlama("x", gate), tmp_path, conversations=1)
    running = engine.stream([A], timeout_s=5)
    next(running)
    with pytest.raises(ModelFailed, match=r"model\.conversations"):
        next(engine.stream([B], timeout_s=0.05))
    gate.set()


def test_slots_are_given_in_the_order_of_asking(tmp_path: Path) -> None:
    gate = threading.Event()
    server = FakeLlama(gate, "x")
    engine = engine_of(server, tmp_path, conversations=1)
    talkers = []
    for number in range(5):
        talkers.append(threading.Thread(target=say, args=(engine, {"role": "user", "content": str(number)})))
        talkers[-1].start()
        while len(server.requests) + len(engine._waiting) <= number:
            time.sleep(0.005)
    gate.set()
    for talker in talkers:
        talker.join()
    assert [each["messages"][0]["content"] for each in server.requests] == ["0", "1", "2", "3", "4"]


def test_the_stop_button_ends_an_answer_that_has_not_begun_and_the_wait_for_a_slot(tmp_path: Path) -> None:
    gate = threading.Event()
    server = FakeLlama(gate, *["more"] * 1000)
    engine = engine_of(server, tmp_path, conversations=1)
    ended: list[str] = []

    def talk(button: threading.Event) -> None:
        with stoppable(button), pytest.raises(Stopped):
            say(engine, A)
        ended.append("stopped")

    buttons = [threading.Event(), threading.Event()]
    talkers = [threading.Thread(target=talk, args=(button,)) for button in buttons]
    for talker in talkers:
        talker.start()
    began = time.monotonic()
    for button in buttons:
        button.set()
    for talker in talkers:
        talker.join()
    assert ended == ["stopped", "stopped"]
    assert time.monotonic() - began < 3
    gate.set()
    server.words = ("again",)
    assert say(engine, B) == "again"
    assert server.written <= 3


def test_closing_the_stream_stops_the_model_and_frees_its_slot(tmp_path: Path) -> None:
    gate = threading.Event()
    server = FakeLlama("one", gate, *["more"] * 1000)
    engine = engine_of(server, tmp_path, conversations=1)
    pieces = engine.stream([A], timeout_s=5)
    assert next(pieces).text == "one"
    pieces.close()  # type: ignore[attr-defined]  # it is a generator
    gate.set()
    server.words = ("again",)
    assert say(engine, B) == "again"
    assert server.written <= 3


def test_closing_the_stream_while_the_prompt_is_read_stops_the_model(tmp_path: Path) -> None:
    progress = {"choices": [], "prompt_progress": {"processed": 128}}
    gate = threading.Event()
    server = FakeLlama(progress, gate, *[progress] * 1000)
    engine = engine_of(server, tmp_path, conversations=1)
    with pytest.raises(ModelFailed, match="wrote nothing"):
        next(engine.stream([A], timeout_s=0.05))
    gate.set()
    server.words = ("again",)
    assert say(engine, B) == "again"
    assert server.written <= 3


def test_a_model_that_does_not_answer_fails_after_its_time(tmp_path: Path) -> None:
    gate = threading.Event()
    engine = engine_of(FakeLlama(gate), tmp_path)
    with pytest.raises(ModelFailed, match=r"nothing for 0\.05 s; raise model\.timeout_s"):
        list(engine.stream([A], timeout_s=0.05))
    gate.set()


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (RuntimeError("bad grammar"), "bad grammar"),
        (ValueError("not a message"), "not a message"),
        ({"error": {"code": 400, "message": "too long", "type": "exceed_context_size_error"}}, "raise model.context_tokens"),
    ],
)
def test_what_llama_refuses_is_told(tmp_path: Path, word: Any, said: str) -> None:
    with pytest.raises(ModelFailed, match=said):
        say(engine_of(FakeLlama(word), tmp_path), A)


def test_an_answer_without_an_end_fails(tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match="broke off"):
        say(engine_of(FakeLlama("half", finish_reason=None), tmp_path), A)


def test_a_slot_is_free_again_after_a_failure(tmp_path: Path) -> None:
    server = FakeLlama(RuntimeError("no"))
    engine = engine_of(server, tmp_path, conversations=1)
    for _ in range(3):
        with pytest.raises(ModelFailed):
            say(engine, A)
    server.words = ("yes",)
    assert say(engine, A) == "yes"


def test_a_state_whose_bytes_changed_is_not_used(tmp_path: Path) -> None:
    states = LocalStates(tmp_path)
    path = states.save("prefix", 0)
    assert states.find("prefix") == path
    assert states.find("another prefix") is None
    path.write_bytes(b"stale")
    assert states.find("prefix") is None
    assert not path.exists()


def test_states_of_other_prefixes_do_not_pile_up(tmp_path: Path) -> None:
    states = LocalStates(tmp_path)
    for number in range(20):
        states.save(f"prefix {number}", 0)
    assert states.find("prefix 19") is not None
    assert len(list(tmp_path.iterdir())) <= 8


def test_a_missing_model_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=r"absent\.gguf"):
        load_engine(tmp_path / "absent.gguf")


@pytest.mark.parametrize("content", [b"", b"GG", b"<html>404</html>" * 100, b"GGUF\x03\0\0\0" + b"\xff" * 64])
def test_a_file_that_is_no_model_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelFailed, match=r"broken\.gguf"):
        control_token_pattern(path)
    with pytest.raises(ModelFailed, match=r"broken\.gguf"):
        load_engine(path)
