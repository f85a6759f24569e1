"""A kept conversation as a scenario for `storehand eval`: what was said, masked, and what the agent did as what is expected."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from agent.server.store import Store
from tools.shop.shop import Shop


def scenario_of(store: Store, shop: Shop, conversation_id: str) -> dict[str, Any] | None:
    """The conversation in the form of eval/scenario.py, ready to be edited; None if there is none.

    Typed texts were masked when they were stored; here the customer's own name, address and postcode go too. Photos and recordings are
    not kept: where one was sent stands a text that says so.
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
        "setup": {"customer": kept.customer_id},
        "steps": [
            _step(_without(each.text, own), each.more, turns.get(each.run_id)) for each in messages if each.role == "customer"
        ],
    }


def _without(text: str, own: Sequence[str]) -> str:
    for each in own:
        text = re.sub(re.escape(each), "[private]", text, flags=re.IGNORECASE)
    return text


def _step(text: str, more: dict[str, Any], turn: dict[str, Any] | None) -> dict[str, Any]:
    button = more.get("button")
    said: dict[str, Any] = {"press": button} if button else {"say": text or "(a photo)"}
    if turn is None:
        return said
    tools = [step["tool"] for step in turn["steps"] if step["tool"] != "transcribe_speech"]
    expect: dict[str, Any] = {"tools": tools}
    rules = list(dict.fromkeys(_rules(turn)))
    if rules:
        expect["sources"] = rules
    if quote := turn.get("quote"):
        offer = {
            "kind": quote["kind"],
            "order": quote["request"].get("order_id"),
            "refund_cents": quote.get("refund_cents") or None,
        }
        expect["quote"] = {name: value for name, value in offer.items() if value is not None}
    if turn.get("handoff"):
        expect["handoff"] = True
    return {**said, "expect": expect}


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
