"""The staff's routes: sign in, who waits, conversations with their traces, and writing in the agent's place."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.sse import EventSourceResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from agent.decide import ALLOWED
from agent.handover import HandoverDesk, HeldBySomebodyElse, NoHandover, NothingToSay, NotTaken
from agent.server.history import Shape, ShownMessage, with_runs
from agent.server.listing import Analytics, Listed, analytics_of, list_conversations
from agent.server.problems import Problem, responses
from agent.server.scenarios import scenario_of, scenario_yaml
from agent.server.services import Server, Services, address_of, bearer
from agent.server.streams import staff_stream

router = APIRouter(prefix="/v1/staff", tags=["staff"])
_session = HTTPBearer(auto_error=False, scheme_name="staff", description="The session of POST /v1/staff/session.")


def staff_of(server: Server, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_session)]) -> str:
    """The member of staff who asks. Raises Problem 401, also after the account was removed or its password changed."""
    name, account = server.identities.staff(bearer(credentials), server.clock())
    if server.accounts.stands_for(name) != account:
        raise Problem(401, "unauthorized", "Please sign in again.")
    return name


Staff = Annotated[str, Depends(staff_of)]
Id = Annotated[str, Path(max_length=100)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class SignIn(_Body):
    """Name and password, as `storehand staff add` took them."""

    name: Annotated[str, Field(max_length=60)]
    password: Annotated[str, Field(max_length=500)]


class SignedIn(Shape):
    """A session of a member of staff."""

    session: str
    name: str
    expires_at: AwareDatetime


class Waiting(Shape):
    """One who waits for a person or is helped by one."""

    conversation: str
    state: str
    since: AwareDatetime
    why: str
    goal: str
    customer: dict[str, str | None] | None
    staff: str | None
    unanswered: int
    language: str | None


class Inbox(BaseModel):
    """The longest wait first."""

    handovers: list[Waiting]


class Conversations(BaseModel):
    """A page of conversations; `next` is the `before` of the next page."""

    conversations: list[Listed]
    next: str | None


class Traced(ShownMessage):
    """A message; the agent's with how it came about."""

    trace: dict[str, Any] | None = None


class WholeConversation(Shape):
    """A conversation as staff see it, with the notes and the packet of its hand-over."""

    id: str
    state: str
    staff: str | None
    customer: dict[str, str | None] | None
    packet: dict[str, Any] | None
    notes: list[dict[str, Any]]
    messages: list[Traced]


class Take(_Body):
    """`insteadOf` names a colleague who is gone."""

    instead_of: Annotated[str | None, Field(alias="insteadOf", max_length=60)] = None


class Text(_Body):
    """What is written."""

    text: Annotated[str, Field(min_length=1, max_length=8000)]


class GiveBack(_Body):
    """What was agreed; the customer does not read it."""

    note: Annotated[str, Field(max_length=8000)] = ""


@router.post("/session", responses=responses(401, 422, 429))
def sign_in(server: Server, request: Request, body: SignIn) -> SignedIn:
    """Sign in."""
    for who in (f"name:{body.name}", f"address:{address_of(request)}"):
        server.limits.count("sign-in", who, server.settings.sign_ins_a_minute)
    account = server.accounts.sign_in(body.name, body.password)
    if account is None:
        raise Problem(401, "unauthorized", "Name and password do not belong together.")
    token, ends = server.identities.staff_session(body.name, account, server.clock())
    return SignedIn(session=token, name=body.name, expires_at=ends)


@router.get("/inbox", responses=responses(401))
def inbox(server: Server, _: Staff) -> Inbox:
    """Who waits for a person, and who is being helped."""
    waiting = []
    for each in server.desk.open():
        kept = server.store.conversation(each.conversation_id)
        waiting.append(
            Waiting(
                conversation=each.conversation_id,
                state=each.state,
                since=each.waiting_since,
                why=each.why,
                goal=each.goal,
                customer={"id": each.customer_id, "name": each.customer_name} if each.customer_id else None,
                staff=each.staff,
                unanswered=each.unanswered,
                language=kept.language if kept else None,
            )
        )
    return Inbox(handovers=waiting)


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, **responses(401)},
)
def events(server: Server, _: Staff) -> Response:
    """Stays open: "inbox" when that list changed, "message" when something was said in a conversation."""
    return EventSourceResponse(staff_stream(server), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


@router.get("/conversations", responses=responses(401, 422))
def conversations(
    server: Server,
    _: Staff,
    query: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[str | None, Query(max_length=200)] = None,
) -> Conversations:
    """Conversations, the newest first; `query` are words that were said, an order, or a customer's id."""
    listed, following = list_conversations(server, query, before)
    return Conversations(conversations=listed, next=following)


@router.get("/conversations/{conversation}", responses=responses(401, 404))
def conversation(server: Server, _: Staff, conversation: Id) -> WholeConversation:
    """All that was said, and why the agent said what it said."""
    kept = server.store.conversation(conversation)
    handover = next((each for each in server.desk.open() if each.conversation_id == conversation), None)
    packet = _packet(server.desk, conversation)
    if kept is None and packet is None:
        raise Problem(404, "no_such_conversation", "There is no such conversation.")
    turns = server.store.turns(conversation)
    customer_id = (kept.customer_id if kept else None) or (packet["customer_id"] if packet else None)
    return WholeConversation(
        id=conversation,
        state=handover.state if handover else "none",
        staff=handover.staff if handover else None,
        customer=server.named(customer_id),
        packet=packet,
        notes=[
            {"id": f"note-{each.entry}", "text": each.text, "staff": each.staff, "at": each.at.isoformat()}
            for each in server.desk.messages(conversation, notes=True)
            if each.speaker == "note"
        ],
        messages=[
            Traced.model_validate(
                {
                    **shown.model_dump(),
                    "trace": trace_of(turns[run_id]) if shown.role == "agent" and run_id in turns else None,
                }
            )
            for shown, run_id in with_runs(server, conversation)
        ],
    )


def trace_of(turn: dict[str, Any]) -> dict[str, Any]:
    """How an answer came about, of a kept turn."""
    allowed = [line for line in turn["why"] if line.startswith(ALLOWED)]
    return {
        "allowed": allowed[0].removeprefix(ALLOWED).split(", ") if allowed else [],
        "chosen": turn["steps"][0]["tool"] if turn["steps"] else None,
        "share": turn["share"],
        "why": [line for line in turn["why"] if line not in allowed],
        "steps": [{name: step[name] for name in ("tool", "arguments", "facts")} for step in turn["steps"]],
        "promises": turn["promises"],
        "seconds": turn["seconds"],
        "modelCalls": turn["model_calls"],
    }


@router.post("/conversations/{conversation}/take", status_code=204, response_class=Response, responses=responses(401, 404, 409))
def take(server: Server, staff: Staff, conversation: Id, body: Take) -> None:
    """Hold a conversation: from now on you write and the agent is silent."""
    _at_desk(server, lambda: server.desk.take(conversation, staff, server.clock(), instead_of=body.instead_of))


@router.post(
    "/conversations/{conversation}/reply", status_code=204, response_class=Response, responses=responses(401, 404, 409, 422)
)
def reply(server: Server, staff: Staff, conversation: Id, body: Text) -> None:
    """Write to the customer of a conversation that you hold."""
    _at_desk(server, lambda: server.desk.say(conversation, staff, body.text, server.clock()))
    server.watch.said(conversation)


@router.post(
    "/conversations/{conversation}/note", status_code=204, response_class=Response, responses=responses(401, 404, 409, 422)
)
def note(server: Server, staff: Staff, conversation: Id, body: Text) -> None:
    """Write for colleagues and the agent; the customer does not read it."""
    _at_desk(server, lambda: server.desk.note(conversation, staff, body.text, server.clock()))


@router.post(
    "/conversations/{conversation}/giveBack", status_code=204, response_class=Response, responses=responses(401, 404, 409)
)
def give_back(server: Server, staff: Staff, conversation: Id, body: GiveBack) -> None:
    """Let the agent go on."""
    _at_desk(server, lambda: server.desk.give_back(conversation, staff, server.clock(), body.note))


@router.post(
    "/conversations/{conversation}/close", status_code=204, response_class=Response, responses=responses(401, 404, 409)
)
def close(server: Server, staff: Staff, conversation: Id, body: GiveBack) -> None:
    """Nothing is left to do; also for one that nobody took. The agent answers what comes next."""
    _at_desk(server, lambda: server.desk.close(conversation, staff, server.clock(), body.note))


@router.get(
    "/conversations/{conversation}/scenario",
    response_class=Response,
    responses={200: {"content": {"application/yaml": {"schema": {"type": "object"}}}}, **responses(401, 404)},
)
def scenario(server: Server, _: Staff, conversation: Id) -> Response:
    """The conversation as a scenario for `storehand eval`: what was said and which tools it came to."""
    made = scenario_of(server.store, server.shop, conversation)
    if made is None:
        raise Problem(404, "no_such_conversation", "There is no such conversation.")
    return Response(scenario_yaml(made), media_type="application/yaml")


@router.get("/analytics", responses=responses(401, 422))
def analytics(server: Server, _: Staff, days: Annotated[int, Query(ge=1, le=366)] = 30) -> Analytics:
    """What happened in the last days."""
    return analytics_of(server, days, server.clock())


def _packet(desk: HandoverDesk, conversation: str) -> dict[str, Any] | None:
    try:
        return desk.packet(conversation).model_dump(mode="json")
    except NoHandover:
        return None


def _at_desk(server: Services, act: Callable[[], object]) -> None:
    try:
        act()
    except NoHandover as error:
        raise Problem(404, "no_handover", "This customer is not waiting for a person (any more).") from error
    except NotTaken as error:
        raise Problem(409, "not_taken", "Take the conversation first: the agent still answers.") from error
    except HeldBySomebodyElse as error:
        raise Problem(409, "held_by_somebody_else", f"{error.holder} has this conversation.") from error
    except NothingToSay as error:
        raise Problem(422, "nothing_to_say", "There is nothing to read in this message.") from error
    server.watch.signal.notify()
