"""The agent as an OpenAI-compatible chat model, for programs that speak that protocol.

Only the last message of a request is read: the conversation is the server's, not the caller's. It is the session's, or, with an API
key, the one of the request's `user`.
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Response
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from pydantic import BaseModel, ConfigDict, Field

from agent.server.identity import Visitor
from agent.server.problems import Problem, responses
from agent.server.runs import Run
from agent.server.services import Server, Services, bearer, visitor_of
from agent.server.streams import PING_SECONDS
from agent.turn import Message

router = APIRouter(prefix="/v1", tags=["openai"])
MODEL = "storehand"
_bearer = HTTPBearer(auto_error=False, scheme_name="sessionOrKey", description="A customer's session, or an API key.")


class ChatMessage(BaseModel):
    """One message; what else it carries is not read."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: str | list[dict[str, Any]] | None = None


class ChatRequest(BaseModel):
    """A request of OpenAI's chat completions; what Storehand has no use for is not read."""

    model_config = ConfigDict(extra="allow")

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    stream: bool = False
    user: Annotated[str, Field(max_length=200)] | None = None


@router.post(
    "/chat/completions",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "text/event-stream": {"schema": {"type": "string"}},
            },
            "description": "A completion, or with `stream` its chunks.",
        },
        **responses(401, 422, 429, 500, 503),
    },
)
async def complete(
    server: Server, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)], body: ChatRequest
) -> Response:
    """Answer the last message, which must be the user's."""
    run = await asyncio.to_thread(_start, server, credentials, body)
    if body.stream:
        return EventSourceResponse(_chunks(run), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    text = "".join([delta async for delta in _deltas(run) if delta])
    choice = {"index": 0, "message": {"role": "assistant", "content": text.strip()}, "finish_reason": "stop"}
    return Response(json.dumps({**_head(run, "chat.completion"), "choices": [choice]}), media_type="application/json")


def _start(server: Services, credentials: HTTPAuthorizationCredentials | None, body: ChatRequest) -> Run:
    last = body.messages[-1]
    if last.role != "user":
        raise Problem(422, "invalid", "messages: the last one must be the user's.")
    visitor = _visitor(server, credentials, body.user)
    server.limits.count("message", visitor.conversation, server.settings.messages_a_minute)
    content = last.content or ""
    text = content if isinstance(content, str) else " ".join(str(part.get("text", "")) for part in content)
    run = server.runs.start(visitor, f"chat-{uuid4().hex}", text, lambda: Message(text=text), {})
    assert isinstance(run, Run), "its id is new"
    return run


def _visitor(server: Services, credentials: HTTPAuthorizationCredentials | None, user: str | None) -> Visitor:
    token = bearer(credentials)
    for key in server.settings.api_keys:
        secret = key.get_secret_value()
        if secret and hmac.compare_digest(secret.encode(), token.encode()):
            if not user:
                raise Problem(422, "invalid", "user: with an API key it names the conversation.")
            # Nobody can name another's conversation: neither a session's, nor one of another key.
            conversation = "api-" + hmac.new(secret.encode(), user.encode(), hashlib.sha256).hexdigest()[:32]
            server.store.open_conversation(conversation, None, server.clock())
            return Visitor(conversation, None)
    return visitor_of(server, credentials)


async def _deltas(run: Run) -> AsyncIterator[str | None]:
    """The text as it is written; None where nothing came for a while. Raises Problem 500 if it failed."""
    read = 0
    while True:
        seen, is_over = run.signal.count, run.is_over
        for data in run.events[read:]:
            read += 1
            event = json.loads(data)
            if event["type"] == "TEXT_MESSAGE_CONTENT":
                yield event["delta"]
            elif event["type"] == "RUN_ERROR":
                raise Problem(500, "failed", event["message"])
        if is_over:
            return
        if not await run.signal.wait(seen, PING_SECONDS):
            yield None


async def _chunks(run: Run) -> AsyncIterator[bytes]:
    def chunk(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return format_sse_event(data_str=json.dumps({**_head(run, "chat.completion.chunk"), "choices": [choice]}))

    yield chunk({"role": "assistant", "content": ""})
    try:
        async for delta in _deltas(run):
            yield KEEPALIVE_COMMENT if delta is None else chunk({"content": delta})
    except Problem as problem:
        error = {"message": problem.message, "type": "server_error", "code": problem.code}
        yield format_sse_event(data_str=json.dumps({"error": error}))
    else:
        yield chunk({}, "stop")
    yield format_sse_event(data_str="[DONE]")


def _head(run: Run, kind: str) -> dict[str, Any]:
    return {"id": run.id, "object": kind, "created": int(time.time()), "model": MODEL}
