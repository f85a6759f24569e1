"""Importing litemall's catalogue, from the real files and from broken rows."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tools.kit.errors import ImportFailed
from tools.shop.importers import ImportReport, import_shop
from tools.shop.sqlite_shop import SqliteShop

SOURCE = Path(__file__).parents[4] / "shared/data/litemall_zh"
GOODS: dict[str, Any] = {
    "id": "1",
    "name": "纯棉T恤",
    "brief": "透气",
    "category": ["服装", "男装"],
    "brand": None,
    "keywords": "夏季,短袖",
    "attributes": {"材质": "棉", "产地": ""},
    "specifications": {"颜色": ["白", "黑"], "尺码": ["M"]},
    "skus": [{"specs": ["白", "M"], "price": 99.9, "stock": 3}, {"specs": ["黑", "M"], "price": 105, "stock": 0}],
}


def run(source: Path, shop_dir: Path) -> ImportReport:
    return import_shop("litemall", source, shop_dir)


def goods_file(folder: Path, *rows: dict[str, Any] | bytes) -> Path:
    folder.mkdir()
    lines = [row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in rows]
    (folder / "goods.jsonl").write_bytes(b"\n".join(lines))
    return folder


@pytest.mark.skipif(not SOURCE.is_dir(), reason="the data folder ../shared/data is not here")
def test_the_real_catalogue_is_imported_with_its_exact_prices(tmp_path: Path) -> None:
    report = run(SOURCE, tmp_path)
    assert report.rejected == ()
    assert report.accepted == {"products": 239, "variants": 244, "clauses": 4}
    goods = [json.loads(line, parse_float=Decimal) for line in (SOURCE / "goods.jsonl").read_text("utf-8").splitlines()]
    with SqliteShop.open(tmp_path) as shop:
        products = {product.id: product for product in shop.products()}
        clauses = shop.clauses(date(2026, 1, 1))
        assert shop.info.currency == "CNY"
    for row in goods:
        variants = products[row["id"]].variants
        assert [variant.price_cents for variant in variants] == [sku["price"] * 100 for sku in row["skus"]]
        assert [variant.stock for variant in variants] == [sku["stock"] for sku in row["skus"]]
    bed = products["1181000"]
    assert bed.category.zh == "居家 / 被枕"
    assert [variant.options["color"] for variant in bed.variants] == ["浅杏粉", "玛瑙红", "烟白灰"] * 2
    assert bed.variants[5].options["规格"] == "1.8m床垫*1+枕头*2"
    assert products["1006002"].variants[0].options == {}
    assert products["1006002"].attributes["材质"].zh == "100%棉"
    assert [(clause.id, clause.kind, clause.topic) for clause in clauses] == [
        ("FAQ-1", "faq", "shipping"),
        ("FAQ-2", "faq", "shipping"),
        ("FAQ-3", "faq", "returns"),
        ("FAQ-4", "faq", "invoices"),
    ]
    assert clauses[2].text.zh is not None
    assert clauses[2].text.zh.startswith("1.自收到商品之日起30日内")
    assert [note.where for note in report.notes if "cut short" in note.text] == [f"faq.jsonl:{n}" for n in range(1, 5)]


def test_specifications_become_options_and_empty_attributes_are_dropped(tmp_path: Path) -> None:
    assert run(goods_file(tmp_path / "source", GOODS), tmp_path / "shop").rejected == ()
    with SqliteShop.open(tmp_path / "shop") as shop:
        shirt = shop.product("1")
    assert shirt is not None
    assert [variant.options for variant in shirt.variants] == [{"color": "白", "size": "M"}, {"color": "黑", "size": "M"}]
    assert [variant.price_cents for variant in shirt.variants] == [9990, 10500]
    assert shirt.keywords == ("夏季", "短袖")
    assert list(shirt.attributes) == ["材质"]
    assert shirt.pictures == ()


def with_sku(**changes: Any) -> dict[str, Any]:
    return {**GOODS, "id": "2", "skus": [{**GOODS["skus"][0], **changes}]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (with_sku(price="12,00"), "skus.0.price: Input should be a valid decimal ('12,00')"),
        (with_sku(price=12.005), "skus.0.price: Decimal input should have no more than 2 decimal places"),
        (with_sku(price=-1), "skus.0.price: Input should be greater than or equal to 0"),
        (with_sku(stock=-1), "skus.0.stock: Input should be greater than or equal to 0"),
        (with_sku(specs=["白"]), "skus.0.specs: 1 values for 2 specifications"),
        ({**GOODS, "id": "2", "skus": []}, "skus: Tuple should have at least 1 item"),
        ({**GOODS, "id": "2", "name": "T\0恤"}, "a text contains a NUL character"),
        (GOODS, "id: '1' occurs twice"),
        (b"{", "Invalid JSON"),
        (b'{"id": "\xff"}', "not UTF-8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "row",
)
def test_a_bad_row_is_reported_with_its_line(tmp_path: Path, row: dict[str, Any] | bytes, reason: str) -> None:
    report = run(goods_file(tmp_path / "source", GOODS, row), tmp_path / "shop")
    assert report.accepted == {"products": 1, "variants": 2}
    assert [one.where for one in report.rejected] == ["goods.jsonl:2"]
    assert report.rejected[0].reason.startswith(reason)


def test_a_folder_without_goods_fails_the_import(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with pytest.raises(ImportFailed, match=r"has no goods\.jsonl"):
        run(tmp_path / "source", tmp_path / "shop")
