"""Around every request: security headers on the answer, a count, and one JSON line in the log without content."""

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.server.services import Services

access = logging.getLogger("storehand.access")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
API_CSP = "default-src 'none'; frame-ancestors 'none'"
PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": API_CSP,
}


class Watchful:
    """ASGI middleware: security headers on every answer, a line and a count for every request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in _HEADERS.items() if k.lower().encode() not in given),
                ]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            # The route, not the path: no id gets into a log or a counter.
            route = getattr(scope.get("route"), "path", "-")
            services: Services = scope["app"].state.services
            # Nobody may make up new counters, a method for each.
            method = scope["method"] if scope["method"] in METHODS else "other"
            services.metrics.requests.labels(method, route, status).inc()
            took = round((time.perf_counter() - began) * 1000)
            reference = scope.get("state", {}).get("reference")
            access.info(
                "request",
                extra={"method": method, "route": route, "status": status, "ms": took, "reference": reference},
            )


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, message, and what was given beside it."""

    _PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in record.__dict__.items() if name not in self._PLAIN and value is not None},
        }
        if record.exc_info:
            # The frames, not the error's own text, in which a customer's words may stand.
            kind, _, trace = record.exc_info
            line["error"] = kind.__name__ if kind else ""
            frames = []
            while trace is not None:
                frames.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
                trace = trace.tb_next
            line["trace"] = frames[-8:]
        return json.dumps(line, ensure_ascii=False, default=str)
