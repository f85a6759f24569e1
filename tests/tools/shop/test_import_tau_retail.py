"""Importing tau-bench's retail shop, from the real files and from broken copies of them."""

import json
import shutil
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tools.kit.errors import ImportFailed
from tools.shop.importers import ImportReport, import_shop
from tools.shop.sqlite_shop import SqliteShop

SOURCE = Path(__file__).parents[4] / "shared/data/tau_retail/tau1"
FILES = ("products.json", "users.json", "orders.json", "policy.md")
pytestmark = pytest.mark.skipif(not SOURCE.is_dir(), reason="the data folder ../shared/data is not here")


def run(source: Path, shop_dir: Path) -> ImportReport:
    return import_shop("tau-retail", source, shop_dir)


@pytest.fixture(scope="module")
def shop_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    report = run(SOURCE, folder)
    assert report.rejected == ()
    assert report.accepted == {"products": 50, "variants": 591, "customers": 500, "orders": 1000, "clauses": 25}
    return folder


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of the source to spoil, with its first 40 orders only."""
    folder = tmp_path / "source"
    folder.mkdir()
    orders = dict(list(json.loads((SOURCE / "orders.json").read_bytes()).items())[:40])
    buyers = {order["user_id"] for order in orders.values()}
    users = {id: user for id, user in json.loads((SOURCE / "users.json").read_bytes()).items() if id in buyers}
    (folder / "orders.json").write_text(json.dumps(orders), "utf-8")
    (folder / "users.json").write_text(json.dumps(users), "utf-8")
    for name in ("products.json", "policy.md"):
        shutil.copyfile(SOURCE / name, folder / name)
    return folder


def spoil(path: Path, *keys: str, value: object) -> None:
    """Put `value` where the keys lead in a JSON file."""
    content = place = json.loads(path.read_bytes())
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(content), "utf-8")


def exact(name: str) -> Any:
    return json.loads((SOURCE / name).read_bytes(), parse_float=Decimal)


def test_every_variant_has_its_price_stock_and_options(shop_dir: Path) -> None:
    products = exact("products.json")
    with SqliteShop.open(shop_dir) as shop:
        for product in shop.products():
            theirs = products[product.id]["variants"]
            assert {variant.id for variant in product.variants} == set(theirs)
            for variant in product.variants:
                assert variant.price_cents == theirs[variant.id]["price"] * 100
                assert variant.stock == (None if theirs[variant.id]["available"] else 0)
                assert variant.options == theirs[variant.id]["options"]
        shirt = shop.product("9523456873")
    assert shirt is not None
    assert shirt.title.en == shirt.category.en == "T-Shirt"
    assert shirt.variants[0].options == {"color": "blue", "size": "M", "material": "cotton", "style": "crew neck"}


def test_sums_and_states_of_all_orders_are_those_of_the_source(shop_dir: Path) -> None:
    orders, users = exact("orders.json"), exact("users.json")
    states: Counter[str] = Counter()
    cents = paid = refunded = 0
    with SqliteShop.open(shop_dir) as shop:
        for user_id in users:
            for order in shop.orders_of(user_id):
                assert orders[order.id]["user_id"] == user_id
                assert order.placed_at is None
                states[order.status] += 1
                cents += order.total_cents
                paid += sum(payment.amount_cents for payment in order.payments if payment.kind == "payment")
                refunded += sum(payment.amount_cents for payment in order.payments if payment.kind == "refund")
    assert states == Counter(order["status"] for order in orders.values())
    assert cents == sum(item["price"] for order in orders.values() for item in order["items"]) * 100
    sums = {
        kind: sum(
            entry["amount"]
            for order in orders.values()
            for entry in order["payment_history"]
            if entry["transaction_type"] == kind
        )
        for kind in ("payment", "refund")
    }
    assert (paid, refunded) == (sums["payment"] * 100, sums["refund"] * 100)


def test_an_order_keeps_its_id_items_parcel_and_payment(shop_dir: Path) -> None:
    with SqliteShop.open(shop_dir) as shop:
        (order,) = [order for order in shop.orders_of("james_li_5688") if order.id == "#W2611340"]
    assert order.status == "processed"
    assert order.total_cents == 53665
    assert [(item.title.en, item.variant_id, item.unit_price_cents) for item in order.items] == [
        ("Water Bottle", "6469567736", 4784),
        ("Office Chair", "8426249116", 48881),
    ]
    assert order.fulfilments[0].tracking_number == "357962501027"
    assert order.fulfilments[0].variant_ids == ("6469567736", "8426249116")
    assert [(one.kind, one.amount_cents, one.payment_method_id) for one in order.payments] == [
        ("payment", 53665, "gift_card_1725971")
    ]
    assert (order.address.line1, order.address.postcode, order.address.region) == ("215 River Road", "10083", "NY")


def test_customers_keep_their_payment_methods_and_balances(shop_dir: Path) -> None:
    users = exact("users.json")
    balances = kinds = 0
    with SqliteShop.open(shop_dir) as shop:
        for user_id, user in users.items():
            customer = shop.customer(user_id)
            assert customer is not None
            assert customer.name == f"{user['name']['first_name']} {user['name']['last_name']}"
            assert [method.id for method in customer.payment_methods] == list(user["payment_methods"])
            balances += sum(method.balance_cents or 0 for method in customer.payment_methods)
            kinds += sum(method.kind == "card" for method in customer.payment_methods)
    assert kinds == 239
    assert (
        balances
        == sum(method.get("balance", 0) for user in users.values() for method in user["payment_methods"].values()) * 100
    )


def test_the_policy_becomes_clauses_without_the_agents_own_instructions(shop_dir: Path) -> None:
    with SqliteShop.open(shop_dir) as shop:
        clauses = {clause.id: clause for clause in shop.clauses(date(2026, 1, 1))}
    assert Counter(clause.topic for clause in clauses.values()) == {
        "general": 6,
        "cancellations": 3,
        "payment": 3,
        "changes": 5,
        "returns": 4,
        "exchanges": 4,
    }
    refund = clauses["return-delivered-order-3"]
    assert refund.text.en == "The refund must either go to the original payment method, or an existing gift card."
    assert refund.title.en == "Return delivered order"
    assert not any("one tool call at a time" in (clause.text.en or "") for clause in clauses.values())


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        ("pending (item modified)", "pending_changed"),
        ("return requested", "return_requested"),
        ("exchange requested", "exchange_requested"),
    ],
)
def test_later_states_of_an_order_are_understood(broken: Path, tmp_path: Path, status: str, ours: str) -> None:
    spoil(broken / "orders.json", "#W2611340", "status", value=status)
    assert run(broken, tmp_path / "shop").rejected == ()
    with SqliteShop.open(tmp_path / "shop") as shop:
        assert {order.id: order.status for order in shop.orders_of("james_li_5688")}["#W2611340"] == ours


@pytest.mark.parametrize("price", ["12,00", "free", None, True, -1, 1.005, float("nan"), float("inf"), 1e300])
def test_a_bad_price_rejects_its_product_and_the_orders_of_it(broken: Path, tmp_path: Path, price: object) -> None:
    orders = json.loads((broken / "orders.json").read_bytes()).values()
    ordered = sum(any(item["product_id"] == "8310926033" for item in order["items"]) for order in orders)
    assert ordered
    spoil(broken / "products.json", "8310926033", "variants", "6469567736", "price", value=price)
    report = run(broken, tmp_path / "shop")
    assert report.accepted["products"] == 49
    assert report.accepted["orders"] == 40 - ordered
    assert report.rejected_count == 1 + ordered
    assert report.rejected[0].where == "products.json:8310926033"
    assert report.rejected[0].reason.startswith("variants.6469567736.price: ")


@pytest.mark.parametrize(
    ("name", "keys", "value", "where", "reason"),
    [
        ("orders.json", ("#W2611340", "status"), "lost", "orders.json:#W2611340", "status: Input should be 'pending'"),
        (
            "orders.json",
            ("#W2611340", "user_id"),
            "nobody",
            "orders.json:#W2611340",
            "customer_id: the shop has no customer 'nobody'",
        ),
        ("orders.json", ("#W2611340", "order_id"), "#W4817420", "orders.json:#W4817420", "id: '#W4817420' occurs twice"),
        ("orders.json", ("#W2611340",), "text", "orders.json:#W2611340", "Input should be a valid dictionary"),
        ("products.json", ("9523456873", "name"), "", "products.json:9523456873", "title: Value error, a text needs"),
        ("products.json", ("9523456873", "name"), "T\0", "products.json:9523456873", "a text contains a NUL character"),
        ("products.json", ("9523456873", "name"), "\ud800", "products.json:9523456873", "name: Input should be a valid string"),
        (
            "products.json",
            ("9523456873", "variants"),
            {},
            "products.json:9523456873",
            "variants: Tuple should have at least 1 item",
        ),
    ],
)
def test_a_bad_record_is_rejected_with_its_key(
    broken: Path, tmp_path: Path, name: str, keys: tuple[str, ...], value: object, where: str, reason: str
) -> None:
    spoil(broken / name, *keys, value=value)
    report = run(broken, tmp_path / "shop")
    assert report.rejected[0].where.startswith(where)
    assert report.rejected[0].reason.startswith(reason)
    assert report.accepted["products"] >= 49


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_fails_the_import(broken: Path, tmp_path: Path, name: str) -> None:
    (broken / name).unlink()
    with pytest.raises(ImportFailed, match=f"has no {name}"):
        run(broken, tmp_path / "shop")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": ', "is not valid JSON"),
        (b'{"a": "\xff"}', "is not valid JSON"),
        (b"", "is not valid JSON"),
        (b"[" * 200_000, "is not valid JSON"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "is not valid JSON"),
        (b"[1, 2]", "holds no JSON object but a list"),
        (b"{}", "no product of"),
    ],
    ids=["cut", "no UTF-8", "empty", "deep", "huge number", "list", "no products"],
)
def test_an_unreadable_file_fails_the_import_and_leaves_the_old_shop(
    broken: Path, tmp_path: Path, content: bytes, message: str
) -> None:
    run(broken, tmp_path / "shop")
    (broken / "products.json").write_bytes(content)
    with pytest.raises(ImportFailed, match=message):
        run(broken, tmp_path / "shop")
    with SqliteShop.open(tmp_path / "shop") as shop:
        assert sum(len(product.variants) for product in shop.products()) == 591


def test_a_policy_line_that_is_no_text_is_rejected_with_its_number(broken: Path, tmp_path: Path) -> None:
    lines = (broken / "policy.md").read_bytes().split(b"\n")
    (broken / "policy.md").write_bytes(b"\n".join([b"## Returns", b"- \xff", *lines]))
    report = run(broken, tmp_path / "shop")
    assert [(one.where, one.reason) for one in report.rejected] == [("policy.md:2", "not UTF-8: byte 0xff at position 3")]
    assert report.accepted["clauses"] == 25


def test_importing_twice_gives_the_same_version(shop_dir: Path, tmp_path: Path) -> None:
    run(SOURCE, tmp_path)
    with SqliteShop.open(shop_dir) as one, SqliteShop.open(tmp_path) as two:
        assert one.version == two.version
