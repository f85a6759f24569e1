"""Importing ECom-Bench's shop, from the real files and from broken copies of them."""

import json
import shutil
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tools.kit.errors import ImportFailed
from tools.shop.importers import ImportReport, import_shop
from tools.shop.sqlite_shop import SqliteShop
from tools.shop.types import Order

SOURCE = Path(__file__).parents[4] / "shared/data/ecom_bench_zh"
SHOP = "5de650c946e7c3001814990f"
SALE = date(2025, 6, 10)
"""A day on which the discounts of the source hold."""
pytestmark = pytest.mark.skipif(not SOURCE.is_dir(), reason="the data folder ../shared/data is not here")


def run(source: Path, shop_dir: Path) -> ImportReport:
    return import_shop("ecom-bench", source, shop_dir)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ImportReport]:
    folder = tmp_path_factory.mktemp("shop")
    return folder, run(SOURCE, folder)


@pytest.fixture(scope="module")
def shop_dir(imported: tuple[Path, ImportReport]) -> Path:
    return imported[0]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of the source to spoil."""
    folder = tmp_path / "source"
    (folder / "data").mkdir(parents=True)
    shutil.copyfile(SOURCE / "agent_policy.md", folder / "agent_policy.md")
    for file in (SOURCE / "data").iterdir():
        shutil.copyfile(file, folder / "data" / file.name)
    return folder


def spoil(source: Path, name: str, *keys: str | int, value: object) -> None:
    """Put `value` where the keys lead in a file of data/."""
    path = source / "data" / name
    content = place = json.loads(path.read_bytes())
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(content), "utf-8")


def exact(name: str) -> Any:
    content = json.loads((SOURCE / "data" / name).read_bytes(), parse_float=Decimal)
    return content["jd"][SHOP] if "jd" in content else content


def their_orders() -> dict[str, dict[str, Any]]:
    return {id: order for orders in exact("orders.json").values() for id, order in orders.items()}


def our_orders(shop_dir: Path) -> dict[str, Order]:
    with SqliteShop.open(shop_dir) as shop:
        return {order.id: order for user_id in exact("users_info.json") for order in shop.orders_of(user_id)}


def shanghai(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone(timedelta(hours=8)))  # type: ignore[misc, arg-type]


def test_the_whole_shop_is_taken_over(imported: tuple[Path, ImportReport]) -> None:
    _, report = imported
    assert report.rejected == ()
    assert report.accepted == {"products": 52, "variants": 52, "customers": 28, "orders": 41, "clauses": 328}


def test_every_product_has_its_price_state_description_and_category(shop_dir: Path) -> None:
    theirs = exact("products.json")
    with SqliteShop.open(shop_dir) as shop:
        ours = {product.id: product for product in shop.products()}
    assert set(ours) == set(theirs)
    for id, product in ours.items():
        (variant,) = product.variants
        assert variant.id == id
        assert variant.price_cents == theirs[id]["商品价格"] * 100
        assert variant.in_stock
        assert product.description is not None
        assert product.description.zh == theirs[id]["商品描述"].strip()
    assert ours["100042754736"].variants[0].price_cents == 78006
    assert Counter(product.category.en for product in ours.values()) == {
        "Gas water heaters": 24,
        "Electric water heaters": 18,
        "Under-sink water heaters": 2,
        "Dishwashers": 2,
        "Range hoods": 2,
        "Gas hobs": 1,
        "Water purifiers": 1,
        "Refrigerators": 1,
        "Fans": 1,
    }
    heater, fridge = ours["100112573665"], ours["100063210422"]
    assert {name: text.zh for name, text in heater.attributes.items()} == {
        "litres": "60",
        "power": "3300W",
        "energy grade": "一级",
    }
    assert {name: text.zh for name, text in fridge.attributes.items()} == {"energy grade": "一级"}
    assert (heater.brand, ours["100069341608"].brand) == ("美的（Midea）", "Lasko")


@pytest.mark.parametrize("state", ["缺货", "已下架"])
def test_a_product_that_is_not_on_sale_cannot_be_sold_but_stays(broken: Path, tmp_path: Path, state: str) -> None:
    spoil(broken, "products.json", "jd", SHOP, "100112573665", "商品状态", value=state)
    assert run(broken, tmp_path / "shop").rejected == ()
    with SqliteShop.open(tmp_path / "shop") as shop:
        product = shop.product("100112573665")
    assert product is not None
    assert not product.in_stock


def test_customers_keep_name_phone_address_and_gift_card_balance(shop_dir: Path) -> None:
    users = exact("users_info.json")
    with SqliteShop.open(shop_dir) as shop:
        for user_id, user in users.items():
            customer = shop.customer(user_id)
            assert customer is not None
            assert (customer.name, customer.phone, customer.email) == (user["用户姓名"], user["电话号码"], "")
            (card,) = [method for method in customer.payment_methods if method.kind == "gift_card"]
            assert card.balance_cents == user["电子卡余额"] * 100
        buyer = shop.customer("cnjd喜哥2号")
    assert buyer is not None
    assert [(method.id, method.kind) for method in buyer.payment_methods] == [
        ("cnjd喜哥2号:wechat_pay", "wechat_pay"),
        ("cnjd喜哥2号:gift_card", "gift_card"),
    ]
    address = buyer.address
    assert (address.region, address.city, address.line2, address.line1) == ("广东省", "揭阳市", "饶平县", "中山北路231号")


def test_the_sums_of_all_orders_are_those_of_the_source(shop_dir: Path) -> None:
    ours = our_orders(shop_dir)
    for id, order in their_orders().items():
        items = sum(Decimal(item["单价"]) * item["数量"] for item in order["订单商品列表"])
        assert ours[id].total_cents == items * 100 == Decimal(order["订单总金额"]) * 100
        assert [item.quantity for item in ours[id].items] == [item["数量"] for item in order["订单商品列表"]]
        assert [(one.kind, one.amount_cents) for one in ours[id].payments] == [("payment", ours[id].total_cents)]
    assert ours["313271663680"].total_cents == 329400
    assert ours["313157059869"].total_cents == 167542


def test_an_order_is_paid_by_the_method_of_the_source(shop_dir: Path) -> None:
    kinds = {"微信": "wechat_pay", "支付宝": "alipay", "京东E卡": "gift_card", "银行卡": "card"}
    ours = our_orders(shop_dir)
    with SqliteShop.open(shop_dir) as shop:
        for id, order in their_orders().items():
            customer = shop.customer(order["用户ID"])
            assert customer is not None
            methods = {method.id: method.kind for method in customer.payment_methods}
            assert methods[ours[id].payments[0].payment_method_id] == kinds[order["支付方式"]]


def test_states_become_ours(shop_dir: Path) -> None:
    ours = our_orders(shop_dir)
    theirs = their_orders()
    assert Counter((theirs[id]["订单状态"], order.status) for id, order in ours.items()) == {
        ("已付款", "pending"): 15,
        ("处理中", "processed"): 8,
        ("已发货", "shipped"): 4,
        ("运输中", "shipped"): 1,
        ("已签收", "delivered"): 11,
        ("已送达", "delivered"): 1,
        ("已退货", "returned"): 1,
    }


@pytest.mark.parametrize(("state", "ours"), [("待付款", "pending"), ("已取消", "cancelled")])
def test_an_order_that_may_not_be_paid_has_no_payment(broken: Path, tmp_path: Path, state: str, ours: str) -> None:
    spoil(broken, "orders.json", "jd", SHOP, "cnjd喜哥2号", "313021098954", "订单状态", value=state)
    assert run(broken, tmp_path / "shop").rejected == ()
    order = our_orders(tmp_path / "shop")["313021098954"]
    assert (order.status, order.payments) == (ours, ())


def test_a_parcel_has_its_carrier_number_and_times(shop_dir: Path) -> None:
    order = our_orders(shop_dir)["312693565755"]
    (parcel,) = order.fulfilments
    assert order.placed_at == shanghai(2025, 4, 25, 8, 12, 31)
    assert (parcel.carrier, parcel.variant_ids) == ("京东快递", ("100107985736",))
    assert parcel.tracking_number.startswith("JD")
    assert parcel.shipped_at == shanghai(2025, 4, 25, 8, 35, 2)
    assert parcel.expected_at == shanghai(2025, 4, 26, 12)
    assert order.delivered_at == shanghai(2025, 4, 26, 11, 24, 52)


def test_a_parcel_is_never_further_than_its_order(shop_dir: Path) -> None:
    """Some orders of the source are 已付款 or 处理中 though their parcels are under way: what may be done, the state decides."""
    ours = our_orders(shop_dir)
    assert sum(bool(order.fulfilments) for order in ours.values()) == 36
    for order in ours.values():
        for parcel in order.fulfilments:
            assert parcel.tracking_number
            assert parcel.expected_at
            assert bool(parcel.delivered_at) == (order.status in ("delivered", "returned"))
            assert bool(parcel.shipped_at) == (order.status in ("shipped", "delivered", "returned"))


def test_the_policy_becomes_clauses_without_the_agents_own_steps(shop_dir: Path) -> None:
    with SqliteShop.open(shop_dir) as shop:
        rules = {clause.id: clause for clause in shop.clauses(SALE) if clause.kind == "policy"}
    assert {id: clause.topic for id, clause in rules.items()} == {
        "order-query-1": "orders",
        "order-cancel-1": "cancellations",
        "order-cancel-2": "cancellations",
        "order-change-1": "changes",
        "order-place-1": "orders",
        "return-1": "returns",
        "return-2": "returns",
        "return-3": "returns",
        "exchange-query-1": "exchanges",
        "exchange-swap-1": "exchanges",
        "exchange-swap-2": "exchanges",
        "ecard-pay-1": "payment",
        "ecard-pay-2": "payment",
        "ecard-refund-1": "refunds",
        "ecard-refund-2": "refunds",
        "ecard-refund-3": "refunds",
        "ecard-refund-4": "refunds",
        "cashback-1": "cashback",
        "cashback-2": "cashback",
        "cashback-3": "cashback",
    }
    assert rules["return-1"].text.zh == "仅在订单状态为“已签收”下可提交退货申请。"
    assert rules["order-cancel-1"].text.zh == "仅在“待付款”“已付款”“处理中”状态下可取消订单。"
    assert rules["order-cancel-2"].text.zh == '取消订单后，如果支付方式是"京东E卡"，则将订单金额退还到京东E卡。'
    assert not any("工具" in (clause.text.zh or "") for clause in rules.values())


def test_what_is_told_of_a_product_is_a_clause_that_names_it(shop_dir: Path) -> None:
    theirs = exact("products.json")
    with SqliteShop.open(shop_dir) as shop:
        told = {clause.id: clause for clause in shop.clauses(SALE) if clause.kind == "faq"}
    assert Counter(id.split("-")[0] for id in told) == {
        "installation": 52,
        "repair": 52,
        "gifts": sum(bool(product["赠品信息"]) for product in theirs.values()),
        "parts": sum(bool(product["辅材材料"]) for product in theirs.values()),
        "faults": 52,
        "swaps": 52,
        "discount": 4,
    }
    faults = told["faults-100039032355"]
    assert faults.topic == "product-100039032355"
    assert faults.text.zh is not None
    assert faults.text.zh.startswith(theirs["100039032355"]["商品名称"])
    assert "F002 加热器故障：加热器免费包修8年" in faults.text.zh


def test_discounts_hold_on_their_days_only(shop_dir: Path) -> None:
    def offers(day: date) -> list[str]:
        with SqliteShop.open(shop_dir) as shop:
            return [clause.id for clause in shop.clauses(day) if clause.topic == "discounts"]

    assert offers(date(2025, 5, 23)) == []
    assert offers(date(2025, 5, 24)) == offers(date(2025, 6, 18)) == [f"discount-{number}" for number in range(1, 5)]
    assert offers(date(2025, 6, 19)) == []


def test_what_has_no_place_is_noted_once_a_kind(imported: tuple[Path, ImportReport]) -> None:
    _, report = imported
    notes = [(note.where, note.text) for note in report.notes]
    assert len(notes) == len(set(notes)) == 26
    for where, words in (
        ("invoices.json", "invoices have no place"),
        ("service.json", "booked services have no place"),
        ("register_cashback.json", "cashback for reviews"),
        ("users_info.json", "'性别' has no place"),
        ("users_info.json", "no e-mail address"),
        ("orders.json", "'是否加急' has no place here and is left out (3 times"),
        ("orders.json", "'收货地址.收件人姓名' has no place"),
        ("logistics.json", "'物流轨迹.描述' has no place"),
        ("logistics.json", "parcels of orders that are not there are left out (3 times"),
        ("logistics.json", "a parcel has arrived though its order has not"),
    ):
        assert sum(note[0] == where and words in note[1] for note in notes) == 1, words


ORDER = ("jd", SHOP, "cnjd喜哥2号", "313271663680")
PRODUCT = ("jd", SHOP, "100112573665")


@pytest.mark.parametrize(
    ("name", "keys", "value", "where", "reason"),
    [
        ("orders.json", (*ORDER, "订单状态"), "丢失", "orders.json:313271663680", "订单状态: Input should be '待付款'"),
        (
            "orders.json",
            (*ORDER, "订单总金额"),
            3000,
            "orders.json:313271663680",
            "订单总金额: ¥3,000.00, but its items come to",
        ),
        ("orders.json", (*ORDER, "订单ID"), "1", "orders.json:313271663680", "订单ID: '1', but it stands below '313271663680'"),
        ("orders.json", (*ORDER, "用户ID"), "nobody", "orders.json:313271663680", "用户ID: 'nobody', but it stands below"),
        (
            "orders.json",
            (*ORDER, "订单商品列表"),
            [],
            "orders.json:313271663680",
            "订单商品列表: Tuple should have at least 1 item",
        ),
        (
            "orders.json",
            (*ORDER, "订单商品列表", 0, "商品ID"),
            "404",
            "orders.json:313271663680",
            "items: the shop has no variant '404'",
        ),
        (
            "orders.json",
            (*ORDER, "订单商品列表", 0, "数量"),
            0,
            "orders.json:313271663680",
            "订单商品列表.0.数量: Input should be",
        ),
        ("orders.json", ORDER, "text", "orders.json:313271663680", "Input should be a valid dictionary"),
        ("orders.json", ORDER[:3], [], "orders.json:cnjd喜哥2号", "no JSON object but a list"),
        (
            "products.json",
            (*PRODUCT, "商品价格"),
            12.005,
            "products.json:100112573665",
            "商品价格: Decimal input should have no",
        ),
        ("products.json", (*PRODUCT, "商品价格"), "免费", "products.json:100112573665", "商品价格: Input should be a valid"),
        ("products.json", (*PRODUCT, "商品状态"), "预售", "products.json:100112573665", "商品状态: Input should be '已上架'"),
        ("products.json", (*PRODUCT, "商品名称"), "", "products.json:100112573665", "title: Value error, a text needs"),
        ("products.json", (*PRODUCT, "商品名称"), "T\0", "products.json:100112573665", "a text contains a NUL character"),
        ("products.json", PRODUCT, None, "products.json:100112573665", "Input should be a valid dictionary"),
        (
            "products.json",
            (*PRODUCT, "常见故障", 0, "故障代码"),
            7,
            "products.json:100112573665/常见故障",
            "常见故障.0.故障代码: Input should be a valid string",
        ),
        (
            "users_info.json",
            ("cnjd林韵佩", "电话号码"),
            1,
            "users_info.json:cnjd林韵佩",
            "电话号码: Input should be a valid string",
        ),
        ("users_info.json", ("cnjd林韵佩", "用户ID"), "x", "users_info.json:cnjd林韵佩", "用户ID: 'x', but it stands below"),
        (
            "logistics.json",
            (*ORDER, "预计送达时间"),
            "soon",
            "logistics.json:313271663680",
            "预计送达时间: Input should be a valid",
        ),
        ("discount.json", ("jd", SHOP, "详情"), "x", "discount.json", "详情: Input should be a valid tuple"),
    ],
)
def test_a_bad_row_is_rejected_with_its_key_and_the_rest_is_kept(
    broken: Path, tmp_path: Path, name: str, keys: tuple[str | int, ...], value: object, where: str, reason: str
) -> None:
    spoil(broken, name, *keys, value=value)
    report = run(broken, tmp_path / "shop")
    assert report.rejected[0].where == where
    assert report.rejected[0].reason.startswith(reason)
    assert report.accepted["products"] >= 51
    assert report.accepted["customers"] >= 27
    assert report.accepted["orders"] >= 37


def test_a_bad_parcel_leaves_the_order_without_it(broken: Path, tmp_path: Path) -> None:
    spoil(broken, "logistics.json", *ORDER, "物流轨迹", 0, "时间", value="soon")
    report = run(broken, tmp_path / "shop")
    assert report.accepted["orders"] == 41
    assert our_orders(tmp_path / "shop")["313271663680"].fulfilments == ()


def test_keys_that_are_no_text_are_named_with_escapes(broken: Path, tmp_path: Path) -> None:
    spoil(broken, "orders.json", *ORDER, "\ud800", value=1)
    spoil(broken, "orders.json", "jd", "\ud801", value={})
    spoil(broken, "users_info.json", "\ud802", value={})
    report = run(broken, tmp_path / "shop")
    assert [one.where for one in report.rejected] == ["users_info.json:\\ud802", "orders.json:313271663680"]
    assert any("jd/\\ud801" in note.text for note in report.notes)


def test_another_shops_rows_are_left_out_and_noted(broken: Path, tmp_path: Path) -> None:
    spoil(broken, "orders.json", "jd", "other", value={"cnjd林韵佩": {}})
    report = run(broken, tmp_path / "shop")
    assert report.accepted["orders"] == 41
    assert any("another shop's rows are left out (1 times; the first: jd/other)" in note.text for note in report.notes)


def test_a_period_that_cannot_be_read_keeps_the_discount_without_days(broken: Path, tmp_path: Path) -> None:
    spoil(broken, "discount.json", "jd", SHOP, "有效期", value="长期有效")
    report = run(broken, tmp_path / "shop")
    assert any(note.where == "discount.json" and note.text.startswith("有效期: '长期有效'") for note in report.notes)
    with SqliteShop.open(tmp_path / "shop") as shop:
        assert sum(clause.topic == "discounts" for clause in shop.clauses(date(2030, 1, 1))) == 4


@pytest.mark.parametrize("name", ["invoices.json", "service.json", "register_cashback.json", "discount.json", "logistics.json"])
def test_a_shop_without_a_file_of_extras_is_imported_all_the_same(broken: Path, tmp_path: Path, name: str) -> None:
    (broken / "data" / name).unlink()
    report = run(broken, tmp_path / "shop")
    assert report.rejected == ()
    assert report.accepted["orders"] == 41


@pytest.mark.parametrize("name", ["agent_policy.md", "data/products.json", "data/users_info.json", "data/orders.json"])
def test_a_missing_file_fails_the_import(broken: Path, tmp_path: Path, name: str) -> None:
    (broken / name).unlink()
    with pytest.raises(ImportFailed, match=f"has no {Path(name).name}"):
        run(broken, tmp_path / "shop")


@pytest.mark.parametrize("content", [b'{"jd": ', b"[]", b"{}", b'{"jd": []}', b'{"jd": {}}', b'{"jd": {"s": {}}}'])
def test_products_that_cannot_be_read_fail_the_import(broken: Path, tmp_path: Path, content: bytes) -> None:
    (broken / "data" / "products.json").write_bytes(content)
    with pytest.raises(ImportFailed):
        run(broken, tmp_path / "shop")


def test_importing_twice_gives_the_same_version(shop_dir: Path, tmp_path: Path) -> None:
    run(SOURCE, tmp_path)
    with SqliteShop.open(shop_dir) as one, SqliteShop.open(tmp_path) as two:
        assert one.version == two.version
