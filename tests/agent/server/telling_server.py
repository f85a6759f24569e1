"""A server for the widget's tests that tells what a test wants told, over the same HTTP interface as the real one.

What the real server cannot be made to do at will is played here: a connection that breaks in mid-answer, a reply that waits until
the page was loaded again, and hostile text in every field.
"""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from places import PICTURES

STATIC = Path(__file__).resolve().parents[3] / "agent" / "server" / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; media-src blob:"
)
PAGE = """<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>A shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="/pictures/p001.webp">
</head><body><main><h1>A shop</h1><a href="/?again">Home</a></main><script src="/widget.js"{data}></script></body></html>"""

Event = dict[str, Any]


@dataclass
class Run:
    """One run's events so far; `breaks` holds after how many events its connection is cut, once each."""

    events: list[Event] = field(default_factory=list)
    done: bool = False
    stopped: bool = False
    breaks: list[int] = field(default_factory=list)


Script = Callable[[dict[str, Any], "TellingServer"], Iterator[Event]]


def text(words: str, message: str, pieces: int = 4) -> list[Event]:
    """A reply as the server streams it: a start, pieces of the words, an end."""
    size = max(1, -(-len(words) // pieces))
    parts = [words[at : at + size] for at in range(0, len(words), size)]
    return [
        {"type": "TEXT_MESSAGE_START", "messageId": message, "role": "assistant"},
        *({"type": "TEXT_MESSAGE_CONTENT", "messageId": message, "delta": part} for part in parts),
        {"type": "TEXT_MESSAGE_END", "messageId": message},
    ]


def custom(name: str, value: Any) -> Event:
    """One of the events that AG-UI leaves to the application."""
    return {"type": "CUSTOM", "name": name, "value": value}


class TellingServer:
    """`script` turns what the customer said into the events of the run; everything asked of the server is in `asked`, and whose session
    began each run in `bearers`."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.history: dict[str, Any] = {"messages": [], "pendingQuote": None, "handover": None, "activeRun": None}
        self.runs: dict[str, Run] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.bearers: list[str] = []
        self.breaks: list[int] = []
        self.refusals: dict[str, str] = {}
        self.updates: list[Event] = []
        self.changed = threading.Condition()
        self.go_on = threading.Event()
        self.page_language = "en"
        self.page_data = ""
        self.staff: dict[str, Any] = {}
        server = self

        class Handler(_Handler):
            told = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self.go_on.set()
        self._http.shutdown()
        self._http.server_close()

    def tell(self, event: Event) -> None:
        """Send an event to whoever listens outside of runs."""
        with self.changed:
            self.updates.append(event)
            self.changed.notify_all()

    def begin(self, body: dict[str, Any]) -> Run:
        """The run of that id, begun if there is none."""
        run_id = body["runId"]
        with self.changed:
            if run_id in self.runs:
                return self.runs[run_id]
            run = self.runs[run_id] = Run(breaks=self.breaks)
            self.breaks = []
        said = body["messages"][-1]["content"]
        if said:
            self.history["messages"].append(
                {"id": f"said-{run_id}", "role": "customer", "text": said, "at": "2026-11-24T03:00:00Z"}
            )
        self.history["activeRun"] = run_id
        threading.Thread(target=self._play, args=(run_id, run, body), daemon=True).start()
        return run

    def _play(self, run_id: str, run: Run, body: dict[str, Any]) -> None:
        message = f"m-{uuid.uuid4().hex[:6]}"
        self._add(run, {"type": "RUN_STARTED", "threadId": body["threadId"], "runId": run_id})
        kept: dict[str, Any] = {"id": message, "role": "agent", "text": "", "at": "2026-11-24T03:00:01Z"}
        for event in self.script({**body, "message": message}, self):
            if run.stopped:
                break
            if event["type"] == "RUN_ERROR":
                self._add(run, event, last=True)
                return
            self._add(run, event)
            kept["text"] += event.get("delta", "")
            if event.get("name") in ("products", "quote", "sources", "quickReplies"):
                kept[event["name"]] = event["value"]
        if kept["text"]:
            self.history["messages"].append(kept)
        self.history["activeRun"] = None
        self._add(run, {"type": "RUN_FINISHED", "result": {"messageId": message, "language": "en"}}, last=True)

    def _add(self, run: Run, event: Event, *, last: bool = False) -> None:
        with self.changed:
            run.events.append(event)
            run.done = run.done or last
            self.changed.notify_all()


class _Handler(BaseHTTPRequestHandler):
    told: TellingServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        told = self.told
        told.asked.append(("GET", self.path, None))
        if path == "/":
            page = PAGE.format(language=told.page_language, data=told.page_data).encode()
            self._send(200, page, "text/html; charset=utf-8")
        elif path == "/widget.js":
            self._send(200, (STATIC / "widget.js").read_bytes(), "text/javascript")
        elif path.startswith("/console/"):
            file = STATIC / "console" / (path.removeprefix("/console/") or "index.html")
            kinds = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css"}
            self._send(200, file.read_bytes(), kinds.get(file.suffix, "application/octet-stream"))
        elif path.startswith("/pictures/") and (PICTURES / Path(path).name).is_file():
            self._send(200, (PICTURES / Path(path).name).read_bytes(), "image/webp")
        elif path == "/v1/history" and "Authorization" not in self.headers:
            self._json(401, {"error": {"code": "unauthorized", "message": "Who are you?", "reference": "r3"}})
        elif path == "/v1/history":
            self._json(200, told.history)
        elif path in ("/v1/updates", "/v1/staff/events"):
            self._stream(told.updates, lambda: False)
        elif path.startswith("/v1/clauses/"):
            name = path.rpartition("/")[2]
            rule = "You can return most items within **30 days** of delivery, as long as they are unused and still have their tags."
            self._json(200, {"id": name, "title": "Return window", "text": rule, "from": "2026-01-01"})
        elif path.startswith("/v1/runs/"):
            run = told.runs.get(path.split("/")[3])
            if run is None:
                self._json(404, {"error": {"code": "no_run", "message": "There is no such run.", "reference": "r1"}})
            else:
                self._stream(run.events, lambda: run.done, run)
        elif path.startswith("/v1/staff/") and path in told.staff:
            self._json(200, told.staff[path])
        else:
            self._json(404, {"error": {"code": "not_found", "message": "There is nothing here.", "reference": "r0"}})

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        told = self.told
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.loads(raw) if self.headers.get("Content-Type", "").startswith("application/json") else raw
        told.asked.append(("POST", path, body))
        if path == "/v1/session":
            shop = {"name": {"en": "Harbour & Pine", "zh": "港松"}, "currency": "USD"}
            session = {
                "session": (body["identity"] or {}).get("jwt", "token"),
                "conversation": "c-1",
                "expires_at": "2030-01-01T00:00:00Z",
                "signed_in": False,
                "shop": shop,
            }
            self._json(200, session)
        elif path == "/v1/runs":
            told.bearers.append(self.headers["Authorization"])
            run = told.begin(body)
            self._stream(run.events, lambda: run.done, run)
        elif path.endswith("/stop"):
            told.runs[path.split("/")[3]].stopped = True
            told.go_on.set()
            self._json(202, {})
        elif path in self.told.refusals:
            self._json(413, {"error": {"code": "refused", "message": self.told.refusals[path], "reference": "r2"}})
        elif path == "/v1/uploads":
            voice = b'filename="voice' in raw
            self._json(200, {"id": "u-1", "kind": "voice" if voice else "photo", "bytes": len(raw)})
        elif path == "/v1/person":
            self._json(202, {})
            told.tell(custom("handover", {"state": "waiting", "staff": None}))
        elif path.startswith("/v1/staff/") and path in told.staff:
            self._json(200, told.staff[path])
        else:
            self._send(204, b"", "text/plain")

    do_PUT = do_POST
    do_DELETE = do_POST

    def _json(self, status: int, value: Any) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, events: list[Event], done: Callable[[], bool], run: Run | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        at = int(self.headers.get("Last-Event-ID", 0))
        try:
            while True:
                with self.told.changed:
                    self.told.changed.wait_for(lambda seen=at: len(events) > seen or done(), timeout=1)
                    new = events[at:]
                    finished = done() and at + len(new) == len(events)
                for event in new:
                    at += 1
                    self.wfile.write(f"id: {at}\ndata: {json.dumps(event)}\n\n".encode())
                    self.wfile.flush()
                    if run and run.breaks and at >= run.breaks[0]:
                        run.breaks.pop(0)
                        self.close_connection = True
                        return
                if finished:
                    break
                self.wfile.write(b": still here\n\n")
                self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.close_connection = True
