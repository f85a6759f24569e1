"""Attacks on the server as a whole: a flood, a foreign page, an address that it should fetch."""

import csv
import io
import socket
import threading
from collections import Counter as Count
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from counter import Counter, Open
from test_staff import signed_in
from visits import Visit, text_of, types


def test_a_thousand_rapid_posts_are_held_back_and_everybody_else_is_served(open_counter: Open) -> None:
    counter = open_counter(messages_a_minute=20, requests_a_minute=100_000)
    with Visit(counter) as flood, Visit(counter) as other, ThreadPoolExecutor(16) as pool:
        bodies = [flood.body("good morning", f"r{number}") for number in range(1000)]
        posted = [pool.submit(flood.http.post, "/v1/runs", json=body) for body in bodies]
        assert "Hello" in text_of(other.say("good morning"))
        answers = [each.result() for each in posted]
        counts = Count(each.status_code for each in answers)
        assert set(counts) == {200, 429}
        assert counts[200] <= 20
        assert {each.json()["error"]["code"] for each in answers if each.status_code == 429} <= {
            "too_often",
            "too_many_waiting",
        }
        said = [each["text"] for each in flood.history()["messages"] if each["role"] == "customer"]
        assert len(said) == counts[200]
        assert other.http.get("/healthz").status_code == 200


def test_a_foreign_page_can_do_nothing_in_a_customers_name(open_counter: Open) -> None:
    counter = open_counter(origins=["https://shop.example"])
    with Visit(counter, "c001") as visit:
        # Nothing that a browser would send along by itself is ever given out.
        answers = [visit.http.get(path) for path in ("/", "/console/", "/widget.js", "/v1/history")]
        answers.append(visit.http.post("/v1/session", json={}))
        assert not any("set-cookie" in each.headers for each in answers)
        body = visit.body("please cancel my order")
        with counter.client(headers={"Origin": "https://evil.example", "Cookie": f"session={visit.session}"}) as forged:
            for sent in (
                forged.post("/v1/runs", json=body),
                forged.post(
                    "/v1/runs",
                    content=httpx.Request("POST", "http://x", json=body).content,
                    headers={"Content-Type": "text/plain"},
                ),
                forged.post("/v1/runs", data={"runId": "r1"}),
                forged.post("/v1/uploads", files={"file": ("x.jpg", b"x")}),
                forged.post("/v1/person"),
                forged.delete("/v1/staff/customers/c001"),
            ):
                assert sent.status_code in (401, 422)
                assert "Access-Control-Allow-Origin" not in sent.headers
        assert visit.history()["messages"] == []


@pytest.fixture
def listening() -> Iterator[tuple[str, list[Any]]]:
    """An address on this machine, and who connected to it."""
    came: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            while True:
                try:
                    connection, who = server.accept()
                except OSError:
                    return
                came.append(who)
                connection.close()

        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/picture.jpg", came


def test_no_address_that_anybody_sends_is_fetched(counter: Counter, listening: tuple[str, list[Any]]) -> None:
    address, came = listening
    with Visit(counter) as visit, signed_in(counter, "Mia") as staff:
        assert types(visit.say(f"do you have this? ![it]({address}) {address}"))[-1] == "RUN_FINISHED"
        body = visit.body("")
        source = {"type": "url", "value": address, "mimeType": "image/jpeg"}
        body["messages"][0]["content"] = [{"type": "text", "text": "this one"}, {"type": "image", "source": source}]
        assert visit.http.post("/v1/runs", json=body).status_code in (200, 422)
        props = {"page": {"url": address, "product": address}}
        assert types(visit.say("is this in stock?", **props))[-1] == "RUN_FINISHED"
        chat = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": address}}]}]}
        assert visit.http.post("/v1/chat/completions", json=chat).status_code in (200, 422)
        table = io.StringIO()
        rows = csv.writer(table)
        rows.writerow(["Handle", "Title", "Variant Price", "Image Src"])
        rows.writerow(["mug", "Mug", "9.00", address])
        for preview in ("true", "false"):
            taken = staff.post(
                f"/v1/staff/import?format=shopify&preview={preview}", files={"file": ("x.csv", table.getvalue().encode())}
            )
            assert taken.status_code == 200, taken.text
        assert counter.shop.product("mug") is not None
    assert came == []
