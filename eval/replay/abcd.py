"""Makes a shop and its calls out of ABCD, so that its chats can be replayed against the policy that their agents had.

    python -m eval.replay.abcd ../shared/data/abcd FOLDER
    storehand import jsonl FOLDER/source --shop FOLDER/shop
    storehand index --shop FOLDER/shop
    storehand replay FOLDER/calls --shop FOLDER/shop --out FOLDER/report

The guidelines become clauses, a rule each; what tells the agent what to press, to ask or to tell is left out. Customers, orders and
products are those of the chats' scenarios. The data has no dates of the chats: they are set to a spring day of 2020, after the
purchases of the November before that their customers speak of. Source: Chen et al. 2021, arXiv:2104.00783.
"""

import ast
import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from eval.replay.judging import claims_in

AT = "2020-03-10T10:00:00-05:00"
_SHOP = {"name": {"en": "AcmeBrands"}, "currency": "USD", "timezone": "America/New_York"}
_BUTTONS = re.compile(r"\b(?:click|enter|fill|select|submit|input box|form|oracle|button)\b|[\[(]", re.I)
_ASKING = re.compile(r"(?:(?<=^)|(?<=<or> ))Ask (?:for|if)[^,<]*, ")
_TOLD_TO_STAFF = re.compile(
    r"^(?:ask|get|tell|find out|check|confirm|determine|gather|generate|explain|type|send|go to|start|respond|pick)\b|subflow|both flows",
    re.I,
)
_POLICY = """# Of the members' windows only one can be told by the order alone: the bronze members'.
returns:
  - {{id: bronze, clause: {clause}, statuses: [delivered], window_days: 90}}
"""


def convert(data: Path, folder: Path) -> None:
    """Write FOLDER/source (a shop in the canonical form) and FOLDER/calls (the chats in the call form)."""
    source, calls = folder / "source", folder / "calls"
    source.mkdir(parents=True, exist_ok=True)
    calls.mkdir(exist_ok=True)
    chats = json.loads((data / "abcd_sample.json").read_text(encoding="utf-8"))
    clauses = list(_clauses(json.loads((data / "guidelines.json").read_text(encoding="utf-8"))))
    (source / "shop.yaml").write_text(yaml.safe_dump(_SHOP), encoding="utf-8")
    (source / "policy.yaml").write_text(
        _POLICY.format(clause=next(each["id"] for each in clauses if "Bronze" in each["text"]["en"])), encoding="utf-8"
    )
    _write(source / "clauses.jsonl", clauses)
    scenarios = [chat["scenario"] for chat in chats]
    products = {name: cents for each in scenarios for name, cents in _products(each)}
    _write(source / "products.jsonl", [_product(name, cents) for name, cents in products.items()])
    _write(source / "customers.jsonl", [_customer(each) for each in scenarios if "email" in each["personal"]])
    _write(source / "orders.jsonl", [_order(each) for each in scenarios if "order_id" in each["order"]])
    for chat in chats:
        speakers = {"action": "system"}
        said = [{"speaker": speakers.get(speaker, speaker), "text": text} for speaker, text in chat["original"]]
        call = {"at": AT, "utterances": said}
        (calls / f"abcd-{chat['convo_id']}.json").write_text(json.dumps(call, indent=1) + "\n", encoding="utf-8")


def _clauses(guidelines: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each rule once: a step's lines that name a period, a sum, a share or who gets what, under the name of what it is about."""
    told: set[str] = set()
    for flow, inside in guidelines.items():
        for name, subflow in inside["subflows"].items():
            for number, step in enumerate(subflow["actions"], start=1):
                # "> " begins a line below another one, "<or>" an alternative.
                lines = [part for line in (step["text"], *step["subtext"]) for part in re.split(r" > |^> ", line)]
                rules = [
                    _ASKING.sub("", line.strip()).replace(" <or> ", "; or: ")
                    for line in lines
                    if not _BUTTONS.search(line) and not _TOLD_TO_STAFF.search(_ASKING.sub("", line.strip()))
                ]
                text = ". ".join(rule.rstrip(".:") for rule in rules if rule) + "."
                if text not in told and (claims_in(text) or re.search(r"\bmembers?\b", text)):
                    told.add(text)
                    yield {
                        "id": re.sub(r"[^a-z]+", "-", f"{flow} {name}".lower()).strip("-") + f"-{number}",
                        "kind": "policy",
                        "topic": re.sub(r"[^a-z]+", "-", flow.lower()),
                        "title": {"en": name},
                        "text": {"en": text},
                    }


def _products(scenario: dict[str, Any]) -> list[tuple[str, int]]:
    listed = ast.literal_eval(scenario["order"].get("products", "[]"))
    return [(_title(each), 100 * each["amount"]) for each in listed]


def _title(product: dict[str, Any]) -> str:
    return f"{product['brand']} {product['product_type']}".replace("_", " ").title()


def _id(title: str) -> str:
    return title.lower().replace(" ", "-")


def _product(title: str, cents: int) -> dict[str, Any]:
    kind = title.split()[-1]
    return {
        "id": _id(title),
        "title": {"en": title},
        "category": {"en": kind},
        "variants": [{"id": f"{_id(title)}-1", "price_cents": cents}],
    }


def _address(scenario: dict[str, Any]) -> dict[str, Any]:
    order = scenario["order"]
    return {
        "line1": order["street_address"].title(),
        "city": order["city"].title(),
        "region": order["state"].upper(),
        "postcode": order["zip_code"],
        "country": "United States",
    }


def _customer(scenario: dict[str, Any]) -> dict[str, Any]:
    person = scenario["personal"]
    return {
        "id": person["username"],
        "name": person["customer_name"].title(),
        "email": person["email"],
        "language": "en",
        "address": _address(scenario),
        "payment_methods": [{"id": f"{person['username']}-card", "kind": "card", "brand": "Visa", "last_four": "0000"}],
    }


def _order(scenario: dict[str, Any]) -> dict[str, Any]:
    order, who = scenario["order"], scenario["personal"]["username"]
    placed = f"{date.fromisoformat(order['purchase_date'])}T12:00:00-05:00"
    products = _products(scenario)
    return {
        "id": order["order_id"],
        "customer_id": who,
        "placed_at": placed,
        "status": "delivered",
        "currency": "USD",
        "items": [
            {
                "product_id": _id(title),
                "variant_id": f"{_id(title)}-1",
                "title": {"en": title},
                "options": {},
                "quantity": 1,
                "unit_price_cents": cents,
            }
            for title, cents in products
        ],
        "address": _address(scenario),
        "fulfilments": [
            {
                "carrier": "mail",
                "variant_ids": [f"{_id(title)}-1" for title, _ in products],
                "shipped_at": placed,
                "delivered_at": placed,
            }
        ],
        "payments": [
            {"kind": "payment", "amount_cents": sum(cents for _, cents in products), "payment_method_id": f"{who}-card"}
        ],
    }


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def main(data: Annotated[Path, typer.Argument(exists=True, file_okay=False)], folder: Path) -> None:
    """Make a shop and its calls of ABCD."""
    convert(data, folder)


if __name__ == "__main__":
    typer.run(main)
