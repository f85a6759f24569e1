"""What a restart leaves: nothing is lost that was said, and the conversation goes on."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from counter import QUESTION, Counter, Reciter
from visits import Visit, read_events, text_of, types, wait_until

HERE = Path(__file__).resolve()


def test_after_kill_9_in_mid_turn_the_next_message_goes_on(shop: Path, tmp_path: Path) -> None:
    first = Process(shop, tmp_path, pause_s=0.2)
    opened = first.http.post("/v1/session", json={}).json()
    auth = {"Authorization": f"Bearer {opened['session']}"}
    with first.http.stream("POST", "/v1/runs", json=body(opened, QUESTION, "r1"), headers=auth) as answer:
        seen = []
        for _, event in read_events(answer):
            seen.append(event)
            if event["type"] == "TEXT_MESSAGE_CONTENT":
                break
        first.process.kill()
    first.close(signal.SIGKILL)

    second = Process(shop, tmp_path, pause_s=0)
    history = second.http.get("/v1/history", headers=auth).json()
    assert [each["text"] for each in history["messages"]] == [QUESTION]
    assert history["activeRun"] is None
    with second.http.stream("GET", "/v1/runs/r1/events", headers=auth) as answer:
        kept = [event for _, event in read_events(answer)]
    assert kept[: len(seen)] == seen
    assert types(kept)[-1] == "RUN_ERROR"
    with second.http.stream(
        "POST", "/v1/runs", json=body(opened, "what is it made of? the dress", "r2"), headers=auth
    ) as answer:
        again = [event for _, event in read_events(answer)]
    assert types(again)[-1] == "RUN_FINISHED"
    assert text_of(again)
    assert second.close(signal.SIGTERM) in (0, -signal.SIGTERM)


def test_a_stop_of_the_server_lets_answers_end(open_counter: Callable[..., Counter]) -> None:
    counter = open_counter(Reciter(pause_s=0.05))
    with Visit(counter) as visit, visit.follow(QUESTION) as events:
        told = [next(events)[1], next(events)[1]]
        counter.server.should_exit = True
        told += [event for _, event in events]
    assert types(told)[-1] == "RUN_FINISHED"
    assert "outcome" not in told[-1]
    counter.close()


def test_a_stop_of_the_server_cuts_long_answers_off_and_keeps_what_was_said(open_counter: Callable[..., Counter]) -> None:
    counter = open_counter(Reciter(text="Have a look at it. " * 500, pause_s=0.05), shutdown_seconds=1)
    with Visit(counter) as visit:
        with visit.follow(QUESTION) as events:
            told = [next(events)[1]]
            wait_until(lambda: visit.history()["activeRun"] is not None)
            counter.server.should_exit = True
            told += [event for _, event in events]
        assert told[-1]["outcome"] == {"type": "cancelled"}
        counter.close()
        kept = counter.app.state.services.store.messages(visit.conversation)
        assert kept[0].role == "customer"
        assert "".join(each.text for each in kept[1:]) == text_of(told).strip()


def test_a_stop_of_the_server_ends_what_waits_too(open_counter: Callable[..., Counter]) -> None:
    counter = open_counter(Reciter(text="Have a look at it. " * 500, pause_s=0.05), shutdown_seconds=0)
    with Visit(counter) as visit, ThreadPoolExecutor(2) as pool:
        first = pool.submit(visit.say, QUESTION, "r1")
        wait_until(lambda: visit.history()["activeRun"] == "r1")
        second = pool.submit(visit.say, "good morning", "r2")
        wait_until(lambda: visit.history()["activeRun"] == "r2")
        counter.server.should_exit = True
        assert [types(each.result(30))[-1] for each in (first, second)] == ["RUN_FINISHED", "RUN_FINISHED"]
    counter.close()


class Process:
    """A server in a process of its own."""

    def __init__(self, shop: Path, folder: Path, pause_s: float) -> None:
        port_file = folder / f"port-{time.monotonic_ns()}"
        self.process = subprocess.Popen(
            [sys.executable, str(HERE.with_name("counter.py")), str(shop), str(folder / "data"), str(port_file), str(pause_s)],
            env={"PYTHONPATH": f"{HERE.parents[3]}:{HERE.parent}", "PATH": "/usr/bin", "LANGGRAPH_STRICT_MSGPACK": "true"},
        )
        wait_until(lambda: port_file.exists() and port_file.read_text() != "", 60)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port_file.read_text()}", timeout=20, trust_env=False)
        wait_until(self._answers)

    def close(self, with_signal: signal.Signals) -> int:
        self.http.close()
        self.process.send_signal(with_signal)
        return self.process.wait(20)

    def _answers(self) -> bool:
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False


def body(opened: dict[str, str], text: str, run_id: str) -> dict[str, object]:
    message = {"id": "m", "role": "user", "content": text}
    return {"threadId": opened["conversation"], "runId": run_id, "messages": [message]}
