"""The people behind the counter: sign in, take over, write, give back; and what they see."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from counter import QUESTION, Counter
from visits import Visit, custom, read_events, text_of, types, wait_until

from agent.server.accounts import Accounts
from tools.kit.errors import OperatorError

PASSWORD = "three words apart"


@pytest.fixture
def staff(counter: Counter) -> Iterator[httpx.Client]:
    with signed_in(counter, "Mia") as http:
        yield http


@contextmanager
def signed_in(counter: Counter, name: str) -> Iterator[httpx.Client]:
    counter.app.state.services.accounts.add(name, PASSWORD)
    with counter.client() as http:
        yield sign_in(http, name)


def sign_in(http: httpx.Client, name: str) -> httpx.Client:
    answer = http.post("/v1/staff/session", json={"name": name, "password": PASSWORD})
    assert answer.status_code == 200
    assert answer.json()["name"] == name
    http.headers["Authorization"] = f"Bearer {answer.json()['session']}"
    return http


def inbox(staff: httpx.Client) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = staff.get("/v1/staff/inbox").json()["handovers"]
    return listed


def test_a_hand_over_there_and_back(counter: Counter, staff: httpx.Client) -> None:
    with Visit(counter, "c001") as visit:
        events = visit.say("I want to talk to a person")
        assert custom(events, "handover") == [{"state": "waiting", "staff": None}]
        (waiting,) = inbox(staff)
        assert waiting["conversation"] == visit.conversation
        assert (waiting["state"], waiting["customer"]["id"], waiting["unanswered"]) == ("waiting", "c001", 0)
        at = f"/v1/staff/conversations/{visit.conversation}"
        assert staff.post(f"{at}/reply", json={"text": "Hello"}).status_code == 409
        assert staff.post(f"{at}/take", json={}).status_code == 204
        assert staff.post(f"{at}/note", json={"text": "regular customer"}).status_code == 204

        events = visit.say("are you there?")
        assert text_of(events) == ""
        assert custom(events, "handover") == [{"state": "held", "staff": "Mia"}]
        assert inbox(staff)[0]["unanswered"] == 1
        assert staff.post(f"{at}/reply", json={"text": "Hello, Mia here."}).status_code == 204
        said = [(each["role"], each["text"]) for each in visit.history()["messages"]]
        assert said[-2:] == [("customer", "are you there?"), ("staff", "Hello, Mia here.")]
        assert "regular" not in json.dumps(visit.history())
        assert visit.history()["handover"] == {"state": "held", "staff": "Mia"}

        with signed_in(counter, "Ben") as ben:
            refused = ben.post(f"{at}/take", json={})
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "held_by_somebody_else")
            assert ben.post(f"{at}/take", json={"insteadOf": "Mia"}).status_code == 204
            assert staff.post(f"{at}/reply", json={"text": "me again"}).status_code == 409
            assert ben.post(f"{at}/giveBack", json={"note": "all is well"}).status_code == 204
        assert inbox(staff) == []
        assert visit.history()["handover"] is None
        assert "Hello" in text_of(visit.say("good morning"))
        whole = staff.get(at).json()
        assert [each["text"] for each in whole["notes"]] == ["regular customer", "all is well"]
        assert whole["packet"]["customer_id"] == "c001"
        assert staff.post(f"{at}/close", json={}).status_code == 404


def test_what_a_person_writes_arrives_at_once_and_is_read_on_after_a_break(counter: Counter, staff: httpx.Client) -> None:
    with Visit(counter) as visit, ThreadPoolExecutor(1) as pool:
        at = f"/v1/staff/conversations/{visit.conversation}"

        def told(after: str | None, count: int) -> list[tuple[str, Any]]:
            headers = {"Last-Event-ID": after} if after else {}
            with visit.http.stream("GET", "/v1/updates", headers=headers) as answer:
                events = read_events(answer)
                return [(number, event["value"]) for number, event in (next(events) for _ in range(count))]

        first = pool.submit(told, None, 3)
        wait_until(lambda: len(counter.app.state.services.watch.signal._waiting) > 0)
        assert visit.http.post("/v1/person").status_code == 202
        wait_until(lambda: len(inbox(staff)) == 1)
        staff.post(f"{at}/take", json={})
        # As `storehand desk` does, from another process.
        counter.desk.say(visit.conversation, "Mia", "Hello!", counter.app.state.services.clock())
        seen = first.result(20)
        values = [value for _, value in seen]
        assert {"state": "held", "staff": "Mia"} in values
        assert [value["text"] for value in values if "text" in value] == ["Hello!"]

        staff.post(f"{at}/reply", json={"text": "One more thing."})
        staff.post(f"{at}/giveBack", json={})
        after = [value for _, value in told(seen[-1][0], 2)]
        assert [value.get("text") for value in after] == ["One more thing.", None]
        assert after[-1] == {"state": "givenBack", "staff": None}


def test_staff_are_told_when_somebody_waits(counter: Counter, staff: httpx.Client) -> None:
    with Visit(counter) as visit, staff.stream("GET", "/v1/staff/events") as answer:
        lines = answer.iter_lines()
        next(lines)
        visit.http.post("/v1/person")
        seen = []
        for line in lines:
            seen.append(line)
            if "event: inbox" in seen and any(visit.conversation in each for each in seen):
                break


def test_a_conversation_is_found_and_its_answers_tell_why(counter: Counter, staff: httpx.Client) -> None:
    with Visit(counter, "c001") as visit, Visit(counter) as other:
        events = visit.say(QUESTION)
        other.say("good morning")
        listed = staff.get("/v1/staff/conversations", params={"query": "breeze linen"}).json()
        assert [each["id"] for each in listed["conversations"]] == [visit.conversation]
        assert listed["conversations"][0]["first"] == QUESTION
        assert listed["conversations"][0]["customer"]["id"] == "c001"
        assert len(staff.get("/v1/staff/conversations").json()["conversations"]) == 2
        assert staff.get("/v1/staff/conversations", params={"query": "100%_"}).json()["conversations"] == []
        whole = staff.get(f"/v1/staff/conversations/{visit.conversation}").json()
        trace = whole["messages"][-1]["trace"]
        assert trace["chosen"] == "search_products"
        assert trace["modelCalls"] == 1
        assert trace["steps"][0]["facts"][0]["source"].startswith("product:")
        assert trace["allowed"]
        assert trace["why"]
        assert not any(line.startswith("allowed") for line in trace["why"])
        assert whole["customer"]["id"] == "c001"
        assert whole["messages"][-1]["text"] == text_of(events).strip()
        written = yaml.safe_load(staff.get(f"/v1/staff/conversations/{visit.conversation}/scenario").text)
        assert written["setup"] == {"customer": "c001"}
        assert written["steps"] == [{"say": QUESTION, "expect": {"tools": ["search_products"]}}]
        card = custom(visit.say("please cancel my order 1076"), "quote")[0]
        visit.say("", agreeTo=card["id"])
        written = yaml.safe_load(staff.get(f"/v1/staff/conversations/{visit.conversation}/scenario").text)
        offer, pressed = written["steps"][1:]
        assert offer["expect"]["quote"] == {"kind": "cancellation", "order": "1076", "refund_cents": card["total"]["amount"]}
        assert offer["expect"]["sources"][0].startswith("clause:")
        assert pressed == {"press": "agree", "expect": {"tools": ["commit_quote"]}}
        assert staff.get("/v1/staff/conversations/none").status_code == 404


def test_conversations_come_in_pages(counter: Counter, staff: httpx.Client) -> None:
    visits = [Visit(counter) for _ in range(33)]
    for visit in visits:
        visit.say("")
        visit.http.close()
    first = staff.get("/v1/staff/conversations").json()
    second = staff.get("/v1/staff/conversations", params={"before": first["next"]}).json()
    assert second["next"] is None
    ids = [each["id"] for page in (first, second) for each in page["conversations"]]
    assert ids == [visit.conversation for visit in reversed(visits)]


def test_analytics_count_what_happened(counter: Counter, staff: httpx.Client) -> None:
    with Visit(counter) as visit, Visit(counter) as other:
        message = next(e for e in visit.say(QUESTION) if e["type"] == "RUN_FINISHED")["result"]["messageId"]
        visit.http.post("/v1/feedback", json={"messageId": message, "thumb": "down", "reason": "mail me at a@b.example"})
        other.say("I want a person")
        counted = staff.get("/v1/staff/analytics").json()
    (day,) = counted["volume"]
    assert [day[name] for name in ("conversations", "messages", "handedOver", "up", "down")] == [2, 2, 1, 0, 1]
    assert day["firstWord"]["p50"] > 0
    assert {"tool": "search_products", "count": 1} in counted["topics"]
    assert counted["handedOver"] == [{"why": "asked", "count": 1}]
    assert counted["resolved"] == 1
    assert counted["thumbs"] == {"up": 0, "down": 1}
    assert counted["seconds"]["whole"]["p95"] > 0
    assert staff.get("/v1/staff/analytics", params={"days": 0}).status_code == 422


def test_what_was_asked_for_in_vain_is_ranked_by_how_often(counter: Counter, staff: httpx.Client) -> None:
    with Visit(counter) as visit:
        for words in ("show me zithers", "show me xylophones", "show me zithers", "xylophone rules?"):
            visit.say(words)
    counted = staff.get("/v1/staff/analytics").json()
    assert counted["emptySearches"] == [{"words": "show me zithers", "count": 2}, {"words": "show me xylophones", "count": 1}]
    assert counted["unanswered"] == [{"question": "xylophone rules?", "count": 1}]


def test_staff_routes_are_for_staff(counter: Counter) -> None:
    with Visit(counter, "c001") as customer, counter.client() as nobody:
        for path in ["inbox", "conversations", "conversations/x", "analytics", "events"]:
            for http in (customer.http, nobody):
                assert http.get(f"/v1/staff/{path}").status_code == 401


def test_a_staff_session_is_no_customers(counter: Counter, staff: httpx.Client) -> None:
    assert staff.get("/v1/history").status_code == 401


def test_wrong_passwords_are_refused_and_counted(counter: Counter, staff: httpx.Client) -> None:
    with counter.client() as http:
        tried = [
            http.post("/v1/staff/session", json={"name": name, "password": "guess"}).status_code
            for name in ("Mia", "Nobody", "Mia", "Mia", "Mia")
        ]
        assert tried == [401, 401, 401, 401, 429]


def test_another_password_or_a_removed_account_ends_the_session(counter: Counter, staff: httpx.Client) -> None:
    accounts = counter.app.state.services.accounts
    accounts.add("Mia", "another three words")
    assert staff.get("/v1/staff/inbox").status_code == 401
    with signed_in(counter, "Ben") as ben:
        accounts.remove("Ben")
        assert ben.get("/v1/staff/inbox").status_code == 401


def test_accounts_keep_no_password_and_are_the_owners_alone(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "staff.json")
    accounts.add("Mia", PASSWORD)
    assert PASSWORD not in accounts.file.read_text()
    assert accounts.file.stat().st_mode & 0o777 == 0o600
    assert accounts.sign_in("Mia", PASSWORD)
    assert accounts.sign_in("Mia", PASSWORD + " ") is None
    for name, password in (("", PASSWORD), ("a\nb\x1b", PASSWORD), ("Ben", "short")):
        with pytest.raises(OperatorError):
            accounts.add(name, password)
    with pytest.raises(OperatorError, match="Mia"):
        accounts.remove("Ben")


def test_the_agents_silence_ends_no_run_badly(counter: Counter, staff: httpx.Client) -> None:
    with Visit(counter) as visit:
        visit.http.post("/v1/person")
        staff.post(f"/v1/staff/conversations/{visit.conversation}/take", json={})
        assert types(visit.say("hello?"))[-1] == "RUN_FINISHED"
