"""Who may do what: only what a token of ours, made from a word of the shop's, says."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from counter import Counter
from pydantic import ValidationError
from visits import Visit, text_of

from agent.settings import ServerSettings, load_settings
from tools.kit.errors import OperatorError

SECRET = "a-secret-of-the-shop-that-is-long-enough-for-every-hash-of-the-family"
ORDERS = "where is my order?"


@pytest.fixture
def shop_counter(open_counter: Callable[..., Counter]) -> Counter:
    return open_counter(identity_secret=SECRET)


def signed(secret: str = SECRET, algorithm: str = "HS256", headers: Any = None, **changed: Any) -> str:
    soon = datetime.now(UTC) + timedelta(minutes=5)
    claims = {"sub": "c001", "aud": "storehand", "exp": soon, **changed}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, algorithm, headers=headers)


def opened(counter: Counter, identity: Any, session: str | None = None) -> Any:
    with counter.client() as http:
        return http.post("/v1/session", json={"identity": identity, "session": session})


def unsigned(algorithm: str) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"sub": "c001", "aud": "storehand", "exp": int(datetime.now(UTC).timestamp()) + 300}
    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}."


def test_a_customer_of_the_shops_word_sees_their_orders_and_a_visitor_is_asked_who_they_are(counter: Counter) -> None:
    with Visit(counter, "c001") as customer, Visit(counter) as visitor:
        assert customer.opened["signed_in"] is True
        assert visitor.opened["signed_in"] is False
        assert "order" in text_of(customer.say(ORDERS)).lower()
        assert "who you are" in text_of(visitor.say(ORDERS))


def test_the_easy_way_is_an_hmac_of_the_customers_id(shop_counter: Counter) -> None:
    digest = hmac.new(SECRET.encode(), b"c001", hashlib.sha256).hexdigest()
    assert opened(shop_counter, {"customer": "c001", "hash": digest}).json()["signed_in"] is True
    assert opened(shop_counter, {"customer": "c002", "hash": digest}).status_code == 401
    assert opened(shop_counter, {"customer": "c001", "hash": "é" * 64}).status_code == 401


def test_identities_that_are_forged_expired_foreign_or_incomplete_are_refused(shop_counter: Counter) -> None:
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    public_key = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----"
    for token in (
        signed("another-secret-that-is-long-enough-too"),
        signed(exp=long_ago),
        signed(exp=None),
        signed(exp=datetime.now(UTC) + timedelta(days=30)),
        signed(aud="another-service"),
        signed(aud=None),
        signed(sub=None),
        signed(sub="c999"),
        signed(nbf=datetime.now(UTC) + timedelta(minutes=4)),
        signed(algorithm="HS512"),
        unsigned("none"),
        unsigned("None"),
        unsigned("RS256"),
        unsigned("HS256"),
        signed()[:-3],
        "a.b.c",
        "",
        public_key,
    ):
        answer = opened(shop_counter, {"jwt": token})
        assert answer.status_code == 401, token
        assert answer.json()["error"]["code"] == "unauthorized"
    assert opened(shop_counter, {}).status_code == 401
    assert opened(shop_counter, {"jwt": signed()}).status_code == 200
    # Two clocks may differ a little.
    assert opened(shop_counter, {"jwt": signed(exp=datetime.now(UTC) - timedelta(seconds=10))}).status_code == 200


def test_the_shops_secret_signs_no_session_and_a_session_is_no_identity(shop_counter: Counter) -> None:
    session = opened(shop_counter, {"jwt": signed()}).json()["session"]
    assert opened(shop_counter, {"jwt": session}).status_code == 401
    claims = {"cid": "x", "customer": "c001", "sub": "x", "aud": "storehand:customer"}
    forged = jwt.encode({**claims, "exp": datetime.now(UTC) + timedelta(hours=1)}, SECRET, "HS256")
    for token in (forged, signed(), session[:-2], unsigned("none"), "x"):
        with shop_counter.client(headers={"Authorization": f"Bearer {token}"}) as http:
            assert http.get("/v1/history").status_code == 401
    with shop_counter.client() as http:
        assert http.get("/v1/history").status_code == 401
        assert http.get("/v1/history", headers={"Authorization": f"Basic {session}"}).status_code == 401


def test_a_session_ends(open_counter: Callable[..., Counter]) -> None:
    later = timedelta(0)
    counter = open_counter(clock=lambda: datetime.now(UTC) + later, session_hours=1)
    with Visit(counter) as visit:
        assert visit.http.get("/v1/history").status_code == 200
        later = timedelta(hours=2)
        assert visit.http.get("/v1/history").status_code == 401


def test_an_earlier_session_goes_on_unless_it_is_anothers(counter: Counter) -> None:
    with Visit(counter) as visitor:
        visitor.say("good morning")
        with Visit(counter, session=visitor.session) as again:
            assert again.conversation == visitor.conversation
            assert again.history()["messages"]
        with Visit(counter, "c001", visitor.session) as signed_in:
            assert signed_in.conversation == visitor.conversation
            # What is said from now on is the customer's: the visitor's token is of no use any more.
            assert visitor.http.get("/v1/history").status_code == 401
        for customer in ("c002", None):
            with Visit(counter, customer, signed_in.session) as other:
                assert other.conversation != visitor.conversation
                assert other.history()["messages"] == []
        with Visit(counter, "c001", signed_in.session) as owner:
            assert owner.conversation == visitor.conversation
        with Visit(counter, session="nonsense") as fresh:
            assert fresh.conversation != visitor.conversation


def test_another_conversation_is_out_of_reach(counter: Counter) -> None:
    with Visit(counter, "c001") as mine, Visit(counter, "c002") as other:
        mine.say("good morning", "r1")
        body = {**other.body("hello"), "threadId": mine.conversation}
        assert other.http.post("/v1/runs", json=body).status_code == 403
        assert other.http.get("/v1/runs/r1/events").status_code == 404
        assert other.http.post("/v1/runs/r1/stop").status_code == 404
        message = mine.history()["messages"][-1]["id"]
        assert other.http.post("/v1/feedback", json={"messageId": message, "thumb": "up"}).status_code == 404
        assert mine.http.post("/v1/feedback", json={"messageId": message, "thumb": "up"}).status_code == 204
        # The same run id in two conversations are two runs.
        other.say("good evening", "r1")
        assert other.history()["messages"][0]["text"] == "good evening"
        assert mine.history()["messages"][0]["text"] == "good morning"


def test_only_the_shops_own_pages_may_ask_from_a_browser(open_counter: Callable[..., Counter]) -> None:
    counter = open_counter(origins=["https://shop.example"])
    with counter.client() as http:
        preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
        for origin, is_ours in (
            ("https://shop.example", True),
            ("https://shop.example.evil.example", False),
            ("http://shop.example", False),
            ("https://shop.example:8443", False),
            ("null", False),
        ):
            asked = http.options("/v1/runs", headers={"Origin": origin, **preflight})
            assert (asked.status_code == 200) is is_ours
            given = http.post("/v1/session", json={}, headers={"Origin": origin})
            assert given.headers.get("Access-Control-Allow-Origin") == (origin if is_ours else None)
            assert "Access-Control-Allow-Credentials" not in given.headers


@pytest.mark.parametrize("origin", ["*", "https://*.shop.example", "https://shop.example/", "shop.example", "null"])
def test_origins_are_named_exactly(origin: str) -> None:
    with pytest.raises(ValidationError):
        ServerSettings(origins=(origin,))


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(OperatorError, match="32 bytes"):
        load_settings(server={"identity_secret": "hunter2"})


def test_secrets_are_made_once_and_only_the_owner_reads_them(open_counter: Callable[..., Counter], tmp_path: Path) -> None:
    with Visit(open_counter()) as visit:
        files = sorted((tmp_path / "data" / "secrets").iterdir())
        assert [file.name for file in files] == ["identity.key", "session.key"]
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
        assert files[0].read_text() != files[1].read_text()
        visit.counter.close()
        again = open_counter()
        with again.client(headers=visit.http.headers) as http:
            assert http.get("/v1/history").status_code == 200


def test_limits_by_conversation_address_and_new_sessions(open_counter: Callable[..., Counter]) -> None:
    counter = open_counter(messages_a_minute=2, sessions_a_minute=2)
    with Visit(counter) as one, Visit(counter) as two:
        one.say("good morning")
        one.say("good morning")
        refused = one.http.post("/v1/runs", json=one.body("good morning"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_often")
        assert refused.headers["Retry-After"] == "60"
        two.say("good morning")
        assert opened(counter, None).status_code == 429


def test_one_address_may_not_ask_for_ever(open_counter: Callable[..., Counter]) -> None:
    counter = open_counter(requests_a_minute=5)
    with counter.client() as http:
        answers = [http.get("/v1/clauses/RET-1", headers={"X-Forwarded-For": f"10.0.0.{n}"}).status_code for n in range(7)]
        assert answers == [200] * 5 + [429] * 2
        assert http.get("/healthz").status_code == 200
