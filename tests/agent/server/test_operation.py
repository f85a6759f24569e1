"""What whoever runs the server looks at, and what a browser is told."""

import json
import logging
from collections.abc import Callable

import pytest
from counter import QUESTION, Counter
from visits import Visit

from agent.server.observing import JsonLines


def test_it_is_alive_and_ready(counter: Counter) -> None:
    with counter.client() as http:
        assert http.get("/healthz").json() == {"status": "ok"}
        ready = http.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"model": True, "index": True, "databases": True})


def test_counters_count_and_name_nobody(counter: Counter) -> None:
    with Visit(counter, "c001") as visit:
        visit.say(QUESTION)
        visit.http.request("MADEUP", "/v1/history")
        text = visit.http.get("/metrics").text
        assert "MADEUP" not in text
        assert 'storehand_turns_total{language="en",tool="search_products"} 1.0' in text
        assert 'route="/v1/runs"' in text
        assert visit.conversation not in text
        assert "c001" not in text


def test_log_lines_are_json_without_content(counter: Counter, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with Visit(counter, "c001") as visit:
        visit.say("the blue elephant sleeps", "r77")
        visit.http.get("/v1/runs/r77/events")
        lines = [JsonLines().format(record) for record in caplog.records if record.name.startswith("storehand")]
        told = [json.loads(line) for line in lines]
        assert {"method", "route", "status", "ms"} <= set(told[0])
        assert "/v1/runs/{run_id}/events" in {each["route"] for each in told}
        for secret in ("elephant", visit.session, visit.conversation, "r77", "c001"):
            assert not any(secret in line for line in lines)


def test_a_failure_is_logged_by_its_place_not_its_words(counter: Counter) -> None:
    try:
        raise ValueError("the customer's own words")
    except ValueError:
        record = logging.LogRecord("storehand", logging.ERROR, "f", 1, "a run failed", (), __import__("sys").exc_info())
    line = json.loads(JsonLines().format(record))
    assert line["error"] == "ValueError"
    assert "own words" not in json.dumps(line)


def test_every_answer_carries_the_security_headers(counter: Counter) -> None:
    with counter.client() as http:
        for path in ("/", "/healthz", "/v1/history", "/nowhere", "/widget.js", "/console/", "/pictures/none.webp"):
            headers = http.get(path).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert "server" not in headers


def test_every_error_has_the_one_form(counter: Counter) -> None:
    with Visit(counter) as visit:
        for answer in (
            visit.http.get("/nowhere"),
            visit.http.put("/v1/history"),
            visit.http.post("/v1/runs", json={"x": 1}),
            visit.http.post("/v1/runs", content=b"\xff{", headers={"Content-Type": "application/json"}),
            visit.http.get("/v1/clauses/none"),
            visit.http.post("/v1/runs", json={**visit.body("x"), "forwardedProps": {"uploads": "x"}}),
            visit.http.get("/v1/runs/r1/events", headers={"Last-Event-ID": "x"}),
        ):
            assert answer.status_code in (400, 404, 405, 422), answer.text
            error = answer.json()["error"]
            assert set(error) == {"code", "message", "reference"}
            assert error["message"]


def test_the_demo_page_knows_its_customers_and_a_real_shop_has_none(counter: Counter) -> None:
    with counter.client() as http:
        assert "/widget.js" in http.get("/").text
        assert http.get("/demo/demo.js").status_code == 200
        window = http.get("/demo-products").json()
        assert window["shop"] == {"en": "Harbour & Pine", "zh": "港松"}
        assert http.get(window["products"][0]["picture"]).status_code == 200
        customers = http.get("/demo-customers").json()
        opened = http.post("/v1/session", json={"identity": {"jwt": customers[0]["jwt"]}})
        assert opened.json()["signed_in"] is True


def test_files_outside_the_built_ones_are_not_there(counter: Counter) -> None:
    with counter.client() as http:
        for path in (
            "/console/..%2f..%2fapp.py",
            "/console/%2e%2e/%2e%2e/app.py",
            "/pictures/..%2f..%2fpolicy.yaml",
            "/demo/x.js",
        ):
            assert http.get(path).status_code in (404, 422)


def test_a_clause_and_a_picture_are_for_everybody(counter: Counter) -> None:
    product = counter.shop.product("p001")
    assert product is not None
    with counter.client() as http:
        clause = http.get("/v1/clauses/RET-1", params={"language": "zh"}).json()
        assert clause["id"] == "RET-1"
        picture = http.get(f"/pictures/{product.pictures[0]}")
        assert picture.status_code == 200
        assert picture.headers["Content-Type"].startswith("image/")


def test_the_openapi_document_names_every_route_of_the_contract(open_counter: Callable[..., Counter]) -> None:
    with open_counter().client() as http:
        paths = http.get("/openapi.json").json()["paths"]
    for path in (
        "/v1/session",
        "/v1/runs",
        "/v1/runs/{run_id}/events",
        "/v1/uploads",
        "/v1/history",
        "/v1/updates",
        "/v1/feedback",
    ):
        assert path in paths
    assert "/demo-customers" not in paths
