"""Live speech: the widget's microphone over a WebSocket, partial text back while the customer speaks, the final text at the end.

    → {"session": TOKEN}                                              first, within FIRST_MESSAGE_S; never in the address
    ← {"type": "ready"}
    → bytes: 16-bit little-endian samples, 16 kHz mono                as they are recorded
    ← {"type": "partial", "text": …, "settled": characters}           several
    → {"type": "end"} or {"type": "cancel"}                           a button; a silence ends it too
    ← {"type": "final", "text": …, "language": …, "doubtful": […]}    once, then the socket closes

What was heard is only text for the customer to correct and send: nothing is answered here, and no sound is kept.
"""

import asyncio
import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any, cast

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from agent.server.problems import Problem
from agent.server.services import Services, visitor_of_token

if TYPE_CHECKING:
    from tools.speech.live import Listener, Partial

log = logging.getLogger("storehand.server")
router = APIRouter(prefix="/v1", include_in_schema=False)

FIRST_MESSAGE_S = 5.0
IDLE_S = 5.0
"""A microphone sends all the time."""
LONGEST_S = 60.0
SAMPLES_A_SECOND = 16_000
MOST_FRAME_BYTES = 32_000
"""One second."""
FASTER_BY_S = 3.0
"""How much more sound may come than time has passed: a network that stalled catches up."""

UNAUTHORIZED, INVALID, TOO_OFTEN, TOO_LONG, BUSY = 4401, 4400, 4429, 4413, 4503


class _Closed(Exception):
    """The socket is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    """Listen to one message."""
    server = cast(Services, socket.app.state.services)
    await socket.accept()
    try:
        conversation = await _sign_in(server, socket)
        if server.live.locked():
            raise _Closed(BUSY, "too many are speaking; send a voice message")
        async with server.live:
            listener = await asyncio.to_thread(_listener, server)
            await socket.send_json({"type": "ready"})
            await _listen(server, socket, listener)
    except _Closed as closed:
        log.info("live speech closed", extra={"code": closed.code})
        with contextlib.suppress(RuntimeError):
            await socket.close(closed.code, closed.reason)
    except WebSocketDisconnect:
        return
    else:
        log.info("live speech", extra={"conversation": bool(conversation)})
        if socket.client_state is WebSocketState.CONNECTED:
            await socket.close()


def _listener(server: Services) -> "Listener":
    from tools.speech.live import Listener  # with the model's library: seconds, and few servers hear anybody

    return Listener(*server.agent.ears())


async def _sign_in(server: Services, socket: WebSocket) -> str:
    """The conversation whose session the first message holds."""
    try:
        first = await asyncio.wait_for(socket.receive_text(), FIRST_MESSAGE_S)
        token = json.loads(first)["session"]
        visitor = visitor_of_token(server, str(token))
        server.limits.count("live", visitor.conversation, server.settings.messages_a_minute)
    except TimeoutError as error:
        raise _Closed(UNAUTHORIZED, "no session was sent") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _Closed(INVALID, 'the first message is {"session": TOKEN}') from error
    except Problem as problem:
        raise _Closed(TOO_OFTEN if problem.status == 429 else UNAUTHORIZED, problem.code) from problem
    return visitor.conversation


async def _listen(server: Services, socket: WebSocket, listener: "Listener") -> None:
    """Take sound and give text until the speech, the sound or the time ends."""
    heard = _Heard(socket, listener)
    receiving = asyncio.create_task(heard.receive())
    try:
        while not (heard.is_over or listener.has_ended or server.is_closing):
            heard.came.clear()
            async with server.reading:
                partial = await asyncio.to_thread(listener.read)
            if partial is not None:
                await socket.send_json(_partial(partial))
            else:
                await heard.came.wait()
        heard.check()
        async with server.reading:
            final = await asyncio.to_thread(listener.finish)
        await socket.send_json(
            {"type": "final", "text": final.text, "language": final.language, "doubtful": list(final.doubtful)}
        )
    finally:
        receiving.cancel()
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect):
            await receiving


class _Heard:
    """What comes in beside the reading."""

    def __init__(self, socket: WebSocket, listener: "Listener") -> None:
        self._socket, self._listener = socket, listener
        self._began = time.monotonic()
        self._bytes = 0
        self.came = asyncio.Event()
        self._problem: Exception | None = None
        self.is_over = False

    async def receive(self) -> None:
        """Collect frames until an end, a cancel, or a problem."""
        try:
            while not self.is_over:
                self._one(await asyncio.wait_for(self._socket.receive(), IDLE_S))
                self.came.set()
        except TimeoutError:
            self._problem = _Closed(INVALID, "no sound came any more")
        except (_Closed, WebSocketDisconnect) as problem:
            self._problem = problem
        self.is_over = True
        self.came.set()

    def _one(self, message: Any) -> None:
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code") or 1000)
        frame = message.get("bytes")
        if frame is None:
            self._word(message.get("text") or "")
            return
        self._bytes += len(frame)
        seconds = self._bytes / 2 / SAMPLES_A_SECOND
        if not frame or len(frame) % 2 or len(frame) > MOST_FRAME_BYTES:
            raise _Closed(INVALID, f"a frame is 16-bit samples, at most {MOST_FRAME_BYTES} bytes")
        if seconds > time.monotonic() - self._began + FASTER_BY_S:
            raise _Closed(TOO_OFTEN, "sound comes faster than anybody speaks")
        self._listener.hear(frame)
        # What was said until then is kept.
        self.is_over = seconds >= LONGEST_S

    def _word(self, text: str) -> None:
        try:
            kind = json.loads(text)["type"]
        except (ValueError, KeyError, TypeError):
            kind = None
        if kind == "cancel":
            raise _Closed(1000, "cancelled")
        if kind != "end":
            raise _Closed(INVALID, "unknown message")
        self.is_over = True

    def check(self) -> None:
        """Raises what ended the sound, if it was no end of speech."""
        if self._problem is not None:
            raise self._problem


def _partial(partial: "Partial") -> dict[str, Any]:
    return {"type": "partial", "text": partial.text, "settled": partial.settled}
