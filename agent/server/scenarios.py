"""A kept conversation as a scenario for `storehand eval`: what was said, masked, and what the agent did as what is expected."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from agent.server.store import Shown, Store
from tools.shop.shop import Shop


def scenario_of(store: Store, shop: Shop, conversation_id: str) -> dict[str, Any] | None:
    """The conversation in the form of eval/scenario.py, ready to be edited; None if there is none.

    Typed texts were masked when they were stored; here the customer's own name, address and postcode go too. Photos are not kept with it:
    put each beside it, under the name that its step gives. A recording is told by what was heard.
    """
    kept = store.conversation(conversation_id)
    if kept is None:
        return None
    owner = shop.customer(kept.customer_id) if kept.customer_id else None
    own = [each for each in (owner.name, owner.address.line1, owner.address.postcode) if each] if owner else []
    turns, messages = store.turns(conversation_id), store.messages(conversation_id)
    return {
        "name": f"conversation {conversation_id[:8]}",
        "language": kept.language or "en",
        "tags": ["kept", *(["thumbs-down"] if any(each.thumb == "down" for each in messages) else [])],
        **({"setup": {"customer": kept.customer_id}} if kept.customer_id else {}),
        "steps": [
            {**did, **_expected(turns.get(each.run_id))}
            for number, each in enumerate(messages)
            if each.role == "customer" and (did := _did(each, _without(each.text, own), number))
        ],
    }


def _without(text: str, own: Sequence[str]) -> str:
    for each in own:
        text = re.sub(re.escape(each), "[private]", text, flags=re.IGNORECASE)
    return text


def _did(message: Shown, text: str, number: int) -> dict[str, Any]:
    """What the customer did; empty for an empty message."""
    if button := message.more.get("button"):
        return {"press": button}
    is_photo = (message.more.get("upload") or {}).get("kind") == "photo"
    return {**({"say": text} if text else {}), **({"photo": {"file": f"photo-{number}.jpg"}} if is_photo else {})}


def _expected(turn: dict[str, Any] | None) -> dict[str, Any]:
    if turn is None:
        return {}
    expected: dict[str, Any] = {"tools": [step["tool"] for step in turn["steps"] if step["tool"] != "transcribe_speech"]}
    if rules := list(dict.fromkeys(_rules(turn))):
        expected["sources"] = rules
    if quote := turn.get("quote"):
        offer = {"kind": quote["request"]["kind"], "order": quote["request"]["order_id"], "refund_cents": quote["total_cents"]}
        expected["quote"] = {name: value for name, value in offer.items() if value is not None}
    if turn.get("handoff"):
        expected["handoff"] = True
    return {"expect": expected}


def _rules(turn: dict[str, Any]) -> Iterator[str]:
    for step in turn["steps"]:
        for fact in step["facts"]:
            if fact["source"].startswith("clause:"):
                yield fact["source"]


def disliked(store: Store) -> list[str]:
    """The conversations in which a customer gave a thumb down, oldest first."""
    return [each for each in store.conversation_ids() if any(message.thumb == "down" for message in store.messages(each))]


def scenario_yaml(scenario: dict[str, Any]) -> str:
    """The file's text."""
    head = (
        "# Made of a kept conversation: `expect` is what the agent did, not what would have been right. Set it right, and look for\n"
        "# names and addresses of others. Not told here: the shop's state then; give `setup` and `goals` what matters of it.\n"
    )
    return head + yaml.safe_dump(scenario, allow_unicode=True, sort_keys=False, width=120)
