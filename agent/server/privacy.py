"""What is kept of a customer: all of it for whoever asks, and its erasure with a receipt."""

import base64
import json
import logging
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from agent.intake import mask_private
from agent.server.history import shown_messages
from agent.server.problems import Problem
from agent.server.services import Services

log = logging.getLogger("storehand.server")
MOST_AT_ONCE = 200
"""Conversations forgotten in one sweep."""
RECEIPTS = "erasures.jsonl"
"""In the data folder: what was erased when and by whom; not whose it was."""
HOLD_NOTHING = ("vectors", "caches", "logs")
"""Named in receipts: vectors are of products and rules, caches of the shop's own texts, and logs tell routes and times."""


def export_of(server: Services, customer_id: str) -> dict[str, Any]:
    """All that is kept of a customer, and the shop's own record of them. Raises Problem 404 if there is neither."""
    customer = server.shop.customer(customer_id)
    conversations = _conversations(server, customer_id)
    if customer is None and not conversations:
        raise Problem(404, "no_such_customer", "Nothing is kept of such a customer.")
    return {
        "customer": customer.model_dump(mode="json") if customer else None,
        "orders": [order.model_dump(mode="json") for order in server.shop.orders_of(customer_id)],
        "conversations": [
            {
                "id": conversation,
                "messages": [each.model_dump(mode="json", exclude_none=True) for each in shown_messages(server, conversation)],
                "turns": list(server.store.turns(conversation).values()),
                "uploads": [
                    {
                        "id": name,
                        "kind": kind,
                        "at": at.isoformat(),
                        "base64": base64.b64encode(server.uploads.read(name)).decode(),
                    }
                    for name, kind, at in server.store.uploads_of(conversation)
                ],
                "desk": [each.model_dump(mode="json") for each in server.desk.messages(conversation, notes=True)],
            }
            for conversation in conversations
        ],
    }


def erase(server: Services, customer_id: str, staff: str) -> dict[str, Any]:
    """Delete all conversations of a customer, wherever something of them is kept, and give a receipt.

    What was bought, agreed to and refunded is the shop's and stays. Raises Problem: 404 if nothing is kept, 409 while one is answered.
    """
    conversations = _conversations(server, customer_id)
    if not conversations:
        raise Problem(404, "no_such_customer", "Nothing is kept of such a customer.")
    if any(server.runs.active(each) for each in conversations):
        raise Problem(409, "being_answered", "A message of this customer is being answered; try again in a moment.")
    erased = _forget(server, conversations)
    customer = server.shop.customer(customer_id)
    tries = [f"conversation:{each}" for each in conversations] + ([f"email:{customer.email.lower()}"] if customer else [])
    erased["sign-in tries"] = server.shop.ledger.forget_tries(tries)
    receipt = {
        "receipt": f"E{secrets.token_hex(8)}",
        "at": server.clock().isoformat(),
        "erased": erased,
        "holdNothing": list(HOLD_NOTHING),
    }
    with (server.backing.settings.data_dir / RECEIPTS).open("a", encoding="utf-8") as file:
        file.write(json.dumps({**receipt, "by": staff}, ensure_ascii=False) + "\n")
    return receipt


def forget_old(server: Services) -> None:
    """Erase the conversations in which nobody wrote for as long as the settings allow."""
    before = server.clock() - timedelta(days=server.settings.conversation_days)
    old = [each for each in server.store.idle_since(before, MOST_AT_ONCE) if not server.runs.active(each)]
    if old:
        _forget(server, old)
        log.info("forgot old conversations", extra={"count": len(old)})


def _forget(server: Services, conversations: Sequence[str]) -> dict[str, int]:
    """Delete all that is kept of these conversations: how many of what."""
    erased: dict[str, int] = {"checkpoints": 0, "handovers": 0, "review": 0}
    for conversation in conversations:
        said = [mask_private(each.text) for each in server.store.messages(conversation) if each.role == "customer"]
        for name, count in server.agent.forget(conversation, said).items():
            erased[name] += count
    rows, uploads = server.store.erase(conversations)
    server.uploads.delete(uploads)
    return {**rows, **erased}


def _conversations(server: Services, customer_id: str) -> list[str]:
    return list(dict.fromkeys([*server.store.conversations_of(customer_id), *server.desk.conversations_of(customer_id)]))
