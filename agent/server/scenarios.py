"""A conversation as a scenario for `storehand eval run`: what the customer did, and what came of it as what is expected."""

from typing import Any

from agent.decide import CODE_TOOLS, TOOLS
from agent.events import Turn
from agent.server.services import Services
from agent.server.store import Conversation, Shown

_TOOLS = frozenset(tool.name for tool in (*TOOLS, *CODE_TOOLS))


def scenario_of(server: Services, conversation: Conversation) -> dict[str, Any]:
    """The scenario. Photos are not kept with it: put each beside it, under the name that its step gives."""
    turns = server.store.turns(conversation.id)
    messages = server.store.messages(conversation.id)
    answers = {each.run_id: each for each in messages if each.role == "agent"}
    steps = [
        {**did, "expect": _expected(turns.get(each.run_id), answers.get(each.run_id))}
        for number, each in enumerate(messages)
        if each.role == "customer" and (did := _did(each, number))
    ]
    return {
        "name": f"Conversation {conversation.id[:8]}",
        "language": conversation.language or "en",
        **({"setup": {"customer": conversation.customer_id}} if conversation.customer_id else {}),
        "steps": steps,
    }


def _did(message: Shown, number: int) -> dict[str, Any]:
    """What the customer did; empty for an empty message. A recording is told by what was heard."""
    if button := message.more.get("button"):
        return {"press": button}
    is_photo = (message.more.get("upload") or {}).get("kind") == "photo"
    return {
        **({"say": message.text} if message.text else {}),
        **({"photo": {"file": f"photo-{number}.jpg"}} if is_photo else {}),
    }


def _expected(kept: dict[str, Any] | None, answer: Shown | None) -> dict[str, Any]:
    if kept is None:
        return {}
    turn = Turn.model_validate(kept)
    expected: dict[str, Any] = {"tools": [step.tool for step in turn.steps if step.tool in _TOOLS]}
    cited = [
        f"clause:{each['id']}"
        for each in (answer.more.get("sources") or () if answer else ())
        if each["kind"] in ("clause", "faq")
    ]
    if cited:
        expected["sources"] = cited
    if quote := turn.quote:
        offer = {"kind": quote.kind, "order": quote.request.order_id, "refund_cents": quote.refund_cents or None}
        expected["quote"] = {name: value for name, value in offer.items() if value is not None}
    return expected
