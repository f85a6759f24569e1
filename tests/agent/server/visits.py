"""A customer's side of the contract, over real HTTP."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self
from uuid import uuid4

import httpx
from counter import Counter

Event = dict[str, Any]


class Visit:
    """One session; `customer` is signed in as the demo shop's back end would."""

    def __init__(self, counter: Counter, customer: str | None = None, session: str | None = None) -> None:
        self.counter = counter
        self.http = counter.client()
        identity = None
        if customer:
            identity = {"jwt": counter.app.state.services.identities.jwt_of(customer, counter.app.state.services.clock())}
        answer = self.http.post("/v1/session", json={"identity": identity, "session": session})
        assert answer.status_code == 200, answer.text
        self.opened = answer.json()
        self.session, self.conversation = self.opened["session"], self.opened["conversation"]
        self.http.headers["Authorization"] = f"Bearer {self.session}"

    def body(self, text: str, run_id: str | None = None, **props: Any) -> dict[str, Any]:
        return {
            "threadId": self.conversation,
            "runId": run_id or uuid4().hex,
            "state": {},
            "messages": [{"id": "m", "role": "user", "content": text}],
            "tools": [],
            "context": [],
            "forwardedProps": props,
        }

    def say(self, text: str, run_id: str | None = None, **props: Any) -> list[Event]:
        """All events of the run."""
        with self.follow(text, run_id, **props) as events:
            return [event for _, event in events]

    @contextmanager
    def follow(self, text: str, run_id: str | None = None, **props: Any) -> Iterator[Iterator[tuple[str, Event]]]:
        """(id, event) as they come."""
        with self.http.stream("POST", "/v1/runs", json=self.body(text, run_id, **props)) as answer:
            assert answer.status_code == 200, answer.read()
            yield read_events(answer)

    def again(self, run_id: str, after: int | None = None) -> list[tuple[str, Event]]:
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        with self.http.stream("GET", f"/v1/runs/{run_id}/events", headers=headers) as answer:
            assert answer.status_code == 200, answer.read()
            return list(read_events(answer))

    def history(self) -> dict[str, Any]:
        got: dict[str, Any] = self.http.get("/v1/history").json()
        return got

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()


def read_events(answer: httpx.Response) -> Iterator[tuple[str, Event]]:
    """(id, event) of a stream of server-sent events."""
    number, data = "", ""
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            number = value
        elif name == "data":
            data = value
        elif not line and data:
            yield number, json.loads(data)
            number, data = "", ""


def text_of(events: list[Event]) -> str:
    return "".join(event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT")


def custom(events: list[Event], name: str) -> list[Any]:
    return [event["value"] for event in events if event["type"] == "CUSTOM" and event["name"] == name]


def types(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]


def wait_until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.02)
