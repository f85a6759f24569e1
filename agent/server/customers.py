"""The customer's routes: session, runs, uploads, history, updates, feedback, asking for a person."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import uuid4

from ag_ui.core import RunAgentInput, UserMessage
from fastapi import APIRouter, Header, Path, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.intake import mask_private
from agent.server.history import Conversation, conversation_of
from agent.server.identity import Visitor
from agent.server.problems import Problem, responses
from agent.server.services import Customer, Server, Services, address_of
from agent.server.streams import last_event_number, run_stream, updates_stream
from agent.server.uploads import MOST_VOICE_BYTES
from agent.session import Session
from agent.turn import Message
from tools.shop.types import Language, LocalText

router = APIRouter(prefix="/v1", tags=["customer"])

RunId = Annotated[str, Path(max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "AG-UI events; ids count up."}
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProvedIdentity(_Body):
    """The shop's word for who somebody is: a JWT, or the customer's id with its HMAC-SHA256 in hex."""

    jwt: Annotated[str, Field(max_length=4000)] | None = None
    customer: Annotated[str, Field(max_length=100)] | None = None
    hash: Annotated[str, Field(max_length=200)] | None = None


class OpenSession(_Body):
    """`session` is an earlier one, to go on with its conversation."""

    identity: ProvedIdentity | None = None
    session: Annotated[str, Field(max_length=4000)] | None = None
    language: Language | None = None


class ShopShown(BaseModel):
    """The shop as a front end names it."""

    name: LocalText
    currency: str


class OpenedSession(BaseModel):
    """A session; its token goes with every later request."""

    session: str
    conversation: str
    expires_at: datetime
    signed_in: bool
    shop: ShopShown
    voice: bool
    """Replies can be read aloud: POST /v1/speech."""


class Page(BaseModel):
    """What the customer is looking at."""

    product: Annotated[str, Field(max_length=100)] | None = None
    url: Annotated[str, Field(max_length=2000)] | None = None


class Forwarded(BaseModel):
    """What goes with a message: files, a pressed button, the page."""

    model_config = ConfigDict(populate_by_name=True)

    uploads: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=2)] = []
    agree_to: Annotated[str | None, Field(alias="agreeTo", max_length=100)] = None
    decline: Annotated[str | None, Field(max_length=100)] = None
    saw_quote: Annotated[str | None, Field(alias="sawQuote", max_length=100)] = None
    page: Page | None = None


class Uploaded(BaseModel):
    """A file that was taken."""

    id: str
    kind: Literal["photo", "voice"]
    bytes: int


class Feedback(_Body):
    """A thumb for one of the agent's messages."""

    message_id: Annotated[str, Field(alias="messageId", max_length=100)]
    thumb: Literal["up", "down"]
    reason: Annotated[str, Field(max_length=2000)] = ""


@router.post("/session", responses=responses(401, 429))
def open_session(server: Server, request: Request, body: OpenSession) -> OpenedSession:
    """Begin a conversation, or go on with an earlier session's, as a visitor or as the customer whom the shop vouches for."""
    server.limits.count("session", address_of(request), server.settings.sessions_a_minute)
    now = server.clock()
    customer = _proved(server, body.identity, now)
    visitor = Visitor(_goes_on(server, body.session, customer, now) or uuid4().hex, customer)
    server.store.open_conversation(visitor.conversation, customer, now, body.language)
    token, ends = server.identities.session(visitor, now)
    info = server.shop.info
    return OpenedSession(
        session=token,
        conversation=visitor.conversation,
        expires_at=ends,
        signed_in=customer is not None,
        shop=ShopShown(name=info.name, currency=info.currency),
        voice=server.voice.is_there,
    )


def _proved(server: Services, identity: ProvedIdentity | None, now: datetime) -> str | None:
    if identity is None:
        return None
    if identity.jwt is not None:
        customer = server.identities.customer_of_jwt(identity.jwt, now)
    elif identity.customer is not None and identity.hash is not None:
        customer = server.identities.customer_of_hash(identity.customer, identity.hash)
    else:
        raise Problem(401, "unauthorized", "An identity is a jwt, or a customer with its hash.")
    if server.shop.customer(customer) is None:
        raise Problem(401, "unauthorized", "The shop has no such customer.")
    return customer


def _goes_on(server: Services, session: str | None, customer: str | None, now: datetime) -> str | None:
    """The earlier session's conversation; None where it is another's, or over.

    Without an identity a signed-in conversation does not go on: whoever signed out may have left the machine to somebody else.
    """
    if session is None:
        return None
    try:
        before = server.identities.visitor(session, now)
    except Problem:
        return None
    kept = server.store.conversation(before.conversation)
    if kept is None or kept.customer_id != before.customer:
        return None
    proved = before.customer or server.agent.proved(before.conversation)
    if before.customer is None and customer is None:
        return before.conversation
    return before.conversation if proved in (None, customer) else None


@router.post("/runs", response_class=StreamingResponse, responses={**_EVENTS, **responses(401, 403, 404, 422, 429, 503)})
def start_run(server: Server, visitor: Customer, body: RunAgentInput) -> Response:
    """Send a message and follow its answer. The same runId again streams the same run from its beginning."""
    if body.thread_id != visitor.conversation:
        raise Problem(403, "foreign_conversation", "This session is of another conversation.")
    if not _RUN_ID.fullmatch(body.run_id):
        raise Problem(422, "invalid", "runId: 1 to 100 letters, digits, - and _.")
    known = server.runs.find(visitor.conversation, body.run_id)
    if known is not None:
        return run_stream(known)
    server.limits.count("message", visitor.conversation, server.settings.messages_a_minute)
    forwarded = _forwarded(body)
    text = _last_text(body)
    kinds = {upload: server.uploads.kind(visitor.conversation, upload) for upload in forwarded.uploads}
    more: dict[str, Any] = {}
    if kinds:
        upload_id, kind = next(iter(kinds.items()))
        more["upload"] = {"id": upload_id, "kind": kind}
    if forwarded.agree_to or forwarded.decline:
        more["button"] = "agree" if forwarded.agree_to else "decline"
    return run_stream(server.runs.start(visitor, body.run_id, text, _reader(server, text, forwarded, kinds), more))


def _forwarded(body: RunAgentInput) -> Forwarded:
    try:
        return Forwarded.model_validate(body.forwarded_props or {})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5])
        raise Problem(422, "invalid", f"forwardedProps: {wrong}") from error


def _last_text(body: RunAgentInput) -> str:
    last = body.messages[-1] if body.messages else None
    if not isinstance(last, UserMessage):
        raise Problem(422, "invalid", "messages: the last one must be the customer's.")
    if isinstance(last.content, str):
        return last.content
    return " ".join(part.text for part in last.content if part.type == "text")


def _reader(server: Services, text: str, forwarded: Forwarded, kinds: dict[str, Any]) -> Callable[[], Message]:
    def read() -> Message:
        files = {kind: server.uploads.read(upload) for upload, kind in kinds.items()}
        return Message(
            text=text,
            photo=files.get("photo"),
            voice=files.get("voice"),
            agree_to=forwarded.agree_to,
            decline=forwarded.decline,
            saw_quote=forwarded.saw_quote,
            looking_at=forwarded.page.product if forwarded.page else None,
        )

    return read


@router.get("/runs/{run_id}/events", response_class=StreamingResponse, responses={**_EVENTS, **responses(401, 404, 422)})
def follow_run(
    server: Server, visitor: Customer, run_id: RunId, last_event_id: Annotated[str | None, Header(max_length=20)] = None
) -> Response:
    """The events of a run after Last-Event-ID, as they come or as they were kept."""
    found: Any = server.runs.find(visitor.conversation, run_id)
    if found is None:
        raise _no_run()
    return run_stream(found, last_event_number(last_event_id))


@router.post("/runs/{run_id}/stop", status_code=202, response_class=Response, responses=responses(401, 404))
def stop_run(server: Server, visitor: Customer, run_id: RunId) -> None:
    """Stop an answer; what was said stays said."""
    if not server.runs.stop(visitor.conversation, run_id) and server.runs.find(visitor.conversation, run_id) is None:
        raise _no_run()


@router.post("/uploads", responses=responses(401, 413, 415, 422, 429), max_body_size=MOST_VOICE_BYTES + 10_000)
def upload(server: Server, visitor: Customer, file: UploadFile) -> Uploaded:
    """Send a photo (JPEG, PNG, WebP; 10 MB) or a recording (WebM, Ogg, WAV, MP3, M4A; 25 MB) that belongs to the next message."""
    server.limits.count("upload", visitor.conversation, server.settings.messages_a_minute)
    data = file.file.read(MOST_VOICE_BYTES + 1)
    upload_id, kind = server.uploads.take(visitor.conversation, data, server.clock())
    return Uploaded(id=upload_id, kind=kind, bytes=len(data))


@router.get("/history", responses=responses(401))
def history(server: Server, visitor: Customer) -> Conversation:
    """The conversation so far, and what is open in it."""
    return conversation_of(server, visitor.conversation)


@router.get("/updates", response_class=StreamingResponse, responses={**_EVENTS, **responses(401)})
def updates(server: Server, visitor: Customer, last_event_id: Annotated[str | None, Header(max_length=60)] = None) -> Response:
    """What a person writes, and the hand-over's state; stays open. Last-Event-ID goes on after what was seen."""
    return updates_stream(server, visitor, last_event_id)


@router.post("/feedback", status_code=204, response_class=Response, responses=responses(401, 404, 422))
def feedback(server: Server, visitor: Customer, body: Feedback) -> None:
    """A thumb for one of the agent's messages; another one takes its place."""
    reason = mask_private(" ".join(body.reason.split()))
    if not server.store.rate(visitor.conversation, body.message_id, body.thumb, reason):
        raise Problem(404, "no_such_message", "There is no such answer in this conversation.")
    if server.store.messages(visitor.conversation)[-1].id == body.message_id:
        # The review list knows a conversation's last turn only.
        server.agent.rate(Session(visitor.conversation, visitor.customer), body.thumb, reason)


@router.post("/person", status_code=202, response_class=Response, responses=responses(401, 429))
def ask_for_person(server: Server, visitor: Customer) -> None:
    """Ask for a person; the hand-over is told by /v1/updates."""
    server.limits.count("message", visitor.conversation, server.settings.messages_a_minute)
    server.agent.ask_for_person(Session(visitor.conversation, visitor.customer))
    server.watch.said(visitor.conversation)


def _no_run() -> Problem:
    return Problem(404, "no_such_run", "This conversation has no such message.")
