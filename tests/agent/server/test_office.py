"""Labels, and what is kept of a customer: all of it told, all of it erased."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from counter import QUESTION, Counter
from test_staff import signed_in
from test_uploads import picture, send
from visits import Visit

from agent.server.privacy import forget_old


@pytest.fixture
def staff(counter: Counter) -> Iterator[httpx.Client]:
    with signed_in(counter, "Mia") as http:
        yield http


def test_a_thumb_down_is_listed_labelled_and_gone(counter: Counter, staff: httpx.Client, tmp_path: Path) -> None:
    with Visit(counter) as visit:
        message = next(e for e in visit.say(QUESTION) if e["type"] == "RUN_FINISHED")["result"]["messageId"]
        visit.http.post("/v1/feedback", json={"messageId": message, "thumb": "down"})
    (entry,) = staff.get("/v1/staff/review").json()
    assert entry["said"] == QUESTION
    assert staff.post("/v1/staff/review", json={"id": entry["id"], "label": "fly"}).status_code == 422
    assert staff.post("/v1/staff/review", json={"id": entry["id"], "label": "search_products"}).status_code == 204
    assert staff.get("/v1/staff/review").json() == []
    assert staff.post("/v1/staff/review", json={"id": entry["id"], "label": "drop"}).status_code == 404
    assert QUESTION in (tmp_path / "data" / "labels" / "en-own.jsonl").read_text()


def test_an_export_holds_all_of_one_customer_and_nothing_of_another(counter: Counter, staff: httpx.Client) -> None:
    with Visit(counter, "c001") as mine, Visit(counter, "c002") as other:
        mine.say("show me the purple elephant dress")
        send(mine, picture("JPEG"))
        other.say("show me the yellow tiger dress")
    exported = staff.get("/v1/staff/customers/c001/export").json()
    (kept,) = exported["conversations"][0]["uploads"]
    assert base64.b64decode(kept["base64"]).startswith(b"\xff\xd8\xff")
    told = json.dumps(exported)
    assert "purple elephant" in told
    assert "yellow tiger" not in told
    assert staff.get("/v1/staff/customers/c999/export").status_code == 404


def test_a_conversation_in_which_nobody_wrote_for_long_is_forgotten(
    open_counter: Callable[..., Counter], tmp_path: Path
) -> None:
    later = timedelta(0)
    counter = open_counter(clock=lambda: datetime.now(UTC) + later, conversation_days=30, session_hours=24 * 90)
    services = counter.app.state.services
    with Visit(counter, "c001") as old, Visit(counter, "c001") as new:
        old.say("show me the purplish elephant dress")
        later = timedelta(days=20)
        new.say("show me the yellowish tiger dress")
        forget_old(services)
        assert old.history()["messages"]
        later = timedelta(days=31)
        forget_old(services)
        assert old.http.get("/v1/history").status_code == 401
        assert new.history()["messages"]
    counter.close()
    kept = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert b"yellowish tiger" in kept
    assert b"purplish" not in kept


def test_erasure_leaves_nothing_in_any_file(open_counter: Callable[..., Counter], shop: Path, tmp_path: Path) -> None:
    counter = open_counter()
    with (
        signed_in(counter, "Mia") as staff,
        Visit(counter, "c001") as visit,
        Visit(counter) as proved,
        Visit(counter, "c002") as other,
    ):
        customer = counter.shop.customer("c001")
        assert customer is not None
        visit.say("show me the purplish elephant dress")
        send(visit, picture("JPEG"))
        visit.say("I want a person about my greenish giraffe")
        staff.post(f"/v1/staff/conversations/{visit.conversation}/take", json={})
        visit.say("my bluish hippo")
        staff.post(f"/v1/staff/conversations/{visit.conversation}/reply", json={"text": "your reddish zebra"})
        proved.say("please cancel my order")
        proved.say(customer.email)
        proved.say("show me the whitish whale dress")
        other.say("show me the yellowish tiger dress")
        receipt = staff.delete("/v1/staff/customers/c001")
        assert receipt.status_code == 200, receipt.text
        erased: dict[str, Any] = receipt.json()["erased"]
        assert erased["conversations"] == 2
        assert erased["uploads"] == 1
        assert all(erased[name] > 0 for name in ("messages", "events", "traces", "checkpoints", "handovers", "sign-in tries"))
        assert visit.http.get("/v1/history").status_code == 401
        assert other.history()["messages"][0]["text"] == "show me the yellowish tiger dress"
        assert staff.delete("/v1/staff/customers/c001").status_code == 404
    counter.close()
    assert list((tmp_path / "data" / "uploads").iterdir()) == []
    kept = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert b"yellowish tiger" in kept
    for word in (b"purplish", b"greenish", b"bluish", b"reddish", b"whitish", visit.conversation.encode()):
        assert word not in kept, word
    assert receipt.json()["receipt"].encode() in kept
