"""Products and clauses as staff edit them, and what an import would do."""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from counter import Counter
from test_staff import signed_in
from visits import Visit, custom

from agent.resources import DEMO_SOURCE
from tools.shop import sqlite_shop
from tools.shop.policy import load_policy


@pytest.fixture
def staff(counter: Counter) -> Iterator[httpx.Client]:
    with signed_in(counter, "Mia") as http:
        yield http


def product(staff: httpx.Client, product_id: str = "p001") -> dict[str, Any]:
    found: dict[str, Any] = staff.get(f"/v1/staff/products/{product_id}").json()
    return found


def test_an_edited_price_is_told_at_once(counter: Counter, staff: httpx.Client) -> None:
    edited = product(staff)
    for variant in edited["variants"]:
        variant["price_cents"] = 12345
    version = counter.shop.version
    assert staff.put("/v1/staff/products/p001", json=edited).status_code == 200
    assert product(staff) == edited
    assert counter.shop.version != version
    assert counter.indexed == 1
    with Visit(counter) as visit:
        (cards,) = custom(visit.say("show me the Breeze Linen Midi Dress"), "products")
        assert cards[0]["price"] == {"amount": 12345, "currency": "USD", "text": "$123.45"}


def test_a_new_product_and_a_new_clause(counter: Counter, staff: httpx.Client) -> None:
    new = {**product(staff), "id": "p900", "title": {"en": "Moonlight Gown"}}
    new["variants"] = [{"id": "p900-1", "options": {}, "price_cents": 100, "stock": 2}]
    assert staff.put("/v1/staff/products/p900", json=new).status_code == 200
    clause = {"id": "NEW-1", "kind": "faq", "topic": "shipping", "title": {"en": "Drones"}, "text": {"en": "No drones yet."}}
    assert staff.put("/v1/staff/clauses/NEW-1", json=clause).status_code == 200
    assert staff.get("/v1/clauses/NEW-1").json()["text"] == "No drones yet."
    listed = staff.get("/v1/staff/catalog", params={"query": "moonlight"}).json()
    assert [each["id"] for each in listed["products"]] == ["p900"]
    assert [each["id"] for each in staff.get("/v1/staff/catalog?query=drones").json()["clauses"]] == ["NEW-1"]


def test_what_does_not_fit_changes_nothing(counter: Counter, staff: httpx.Client) -> None:
    good = product(staff)
    ordered = next(item.variant_id for order in counter.shop.orders_of("c001") for item in order.items)
    owner = next(each for each in counter.shop.products() if any(v.id == ordered for v in each.variants))
    without = owner.model_dump(mode="json")
    without["variants"] = [{**without["variants"][0], "id": "only-this"}]
    foreign = product(staff, "p002")["variants"]
    version = counter.shop.version
    for product_id, bad in (
        ("p001", {**good, "id": "p002"}),
        ("p001", {**good, "colour": "blue"}),
        ("p001", {**good, "variants": []}),
        ("p001", {**good, "variants": [{**good["variants"][0], "price_cents": -1}]}),
        ("p001", {**good, "variants": [good["variants"][0], good["variants"][0]]}),
        ("p001", {**good, "variants": foreign}),
        ("p001", {**good, "pictures": ["../../policy.yaml"]}),
        (owner.id, without),
    ):
        answer = staff.put(f"/v1/staff/products/{product_id}", json=bad)
        assert answer.status_code == 422, bad
        assert answer.json()["error"]["message"]
    clause = staff.get("/v1/staff/clauses/RET-1").json()
    assert staff.put("/v1/staff/clauses/RET-1", json={**clause, "overrides": ["NONE"]}).status_code == 422
    assert counter.shop.version == version
    assert counter.indexed == 0
    assert staff.get("/v1/staff/products/none").status_code == 404
    assert staff.get("/v1/staff/clauses/none").status_code == 404


def test_an_import_is_shown_before_it_is_done(counter: Counter, staff: httpx.Client) -> None:
    lines = (DEMO_SOURCE / "products.jsonl").read_text("utf-8").splitlines()
    changed = [lines[0].replace("Breeze", "Storm"), *lines[2:], "{broken"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("products.jsonl", "\n".join(changed))
        archive.write(DEMO_SOURCE / "clauses.jsonl", "clauses.jsonl")
        archive.writestr("../outside.txt", "x")
        for picture in (DEMO_SOURCE / "pictures").iterdir():
            archive.write(picture, f"pictures/{picture.name}")
    version = counter.shop.version
    shown = staff.post("/v1/staff/import?format=jsonl&preview=true", files={"file": ("x.zip", packed.getvalue())})
    assert shown.status_code == 200, shown.text
    preview = shown.json()
    assert preview["changes"] == {"added": [], "changed": ["product:p001"], "missing": ["product:p002"]}
    assert preview["rejected"][0]["line"].startswith("products.jsonl")
    assert preview["accepted"]["products"] == len(lines) - 1
    assert preview["is_done"] is False
    assert counter.shop.version == version
    assert staff.post("/v1/staff/import?format=fax", files={"file": ("x", b"x")}).status_code == 422
    assert staff.post("/v1/staff/import?format=shopify", files={"file": ("x.csv", b"x")}).status_code == 422
    assert not Path("/tmp/outside.txt").exists()

    done = staff.post("/v1/staff/import?format=jsonl&preview=false", files={"file": ("x.zip", packed.getvalue())}).json()
    assert (done["changes"], done["is_done"]) == (preview["changes"], True)
    assert counter.indexed == 1
    assert "Storm" in product(staff)["title"]["en"]
    # What the file does not have stays, and so does who bought it.
    assert product(staff, "p002")["id"] == "p002"
    assert counter.shop.orders_of("c001")
    again = staff.post("/v1/staff/import?format=jsonl", files={"file": ("x.zip", packed.getvalue())}).json()
    assert again["changes"]["changed"] == []


def test_a_file_of_answers_is_found_at_once(counter: Counter, staff: httpx.Client) -> None:
    table = b'id,question,answer\nskis,Do you wax skis?,"Yes, for $12."\nempty,Nothing?,\n'
    at = "/v1/staff/import?format=faq"
    preview = staff.post(at, files={"file": ("faq.csv", table)}).json()
    assert preview["changes"]["added"] == ["clause:skis"]
    assert [each["line"].partition(":")[0] for each in preview["rejected"]] == ["faq/faq.csv"]
    assert counter.shop.clause("skis") is None
    assert staff.post(f"{at}&preview=false", files={"file": ("faq.csv", table)}).status_code == 200
    with Visit(counter) as visit:
        assert visit.http.get("/v1/clauses/skis").json()["text"] == "Yes, for $12."
    refused = staff.post(at, files={"file": ("faq.csv", b"colour,size\nred,1\n")})
    assert (refused.status_code, "columns" in refused.json()["error"]["message"]) == (422, True)


def test_rules_are_checked_before_they_are_changed_and_hold_from_the_next_message_on(
    counter: Counter, staff: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_shop, "load_policy", load_policy)
    text = staff.get("/v1/staff/policy").json()["text"]
    broken = staff.put("/v1/staff/policy", json={"text": text + "\nreturns: []\n"})
    assert broken.status_code == 422
    assert re.search(r"policy.yaml', line \d+: 'returns' stands here twice", broken.json()["error"]["message"])
    never = yaml.safe_load(text)
    never["cancellations"] = [{"id": "none", "clause": never["cancellations"][0]["clause"], "allowed": False}]
    changed = yaml.safe_dump(never, allow_unicode=True, sort_keys=False)
    assert staff.put("/v1/staff/policy", json={"text": changed, "preview": True}).status_code == 200
    assert staff.get("/v1/staff/policy").json()["text"] == text
    with Visit(counter, "c001") as visit:
        assert custom(visit.say("please cancel my order 1076"), "quote")
        visit.say("no")
        assert staff.put("/v1/staff/policy", json={"text": changed}).status_code == 200
        assert custom(visit.say("please cancel my order 1076"), "quote") == []
    assert list(counter.shop_folder.glob("policy.*.yaml")) == []
