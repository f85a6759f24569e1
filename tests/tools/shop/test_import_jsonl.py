"""Importing the canonical form: good rows are kept, each bad one is reported with its line, and no import harms the shop there is."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tools.kit.errors import ImportFailed
from tools.shop.importers import FORMATS, ImportReport, Note, Rejected, import_shop, pictures
from tools.shop.sqlite_shop import ShopWriter, SqliteShop

TITLE = {"en": "Linen dress", "zh": "亚麻连衣裙"}
INFO = {"name": {"en": "Corner shop"}, "currency": "USD"}


def png(color: str) -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 8), color).save(file, "PNG")
    return file.getvalue()


RED, BLUE = png("red"), png("blue")


def product(id: str, **changes: Any) -> dict[str, Any]:
    variants = [{"id": f"{id}-v", "options": {"color": "blue"}, "price_cents": 4990, "stock": 2}]
    return {"id": id, "title": TITLE, "category": {"en": "Dresses"}, "variants": variants, **changes}


def customer(id: str) -> dict[str, Any]:
    return {"id": id, "name": "Anna", "email": "anna@example.com", "address": {"line1": "1 High Street"}}


def order(id: str, customer_id: str = "c1", product_id: str = "p1", **changes: Any) -> dict[str, Any]:
    item = {"product_id": product_id, "variant_id": f"{product_id}-v", "title": TITLE, "unit_price_cents": 4990}
    place = {"line1": "1 High Street"}
    return {
        "id": id,
        "customer_id": customer_id,
        "status": "pending",
        "currency": "USD",
        "items": [item],
        "address": place,
        **changes,
    }


def clause(id: str, **changes: Any) -> dict[str, Any]:
    return {"id": id, "kind": "policy", "topic": "returns", "title": {"en": "Returns"}, "text": {"en": "30 days."}, **changes}


def source(folder: Path, info: Mapping[str, Any] = INFO, **files: Sequence[Mapping[str, Any] | bytes]) -> Path:
    """A folder with shop.yaml and a file for each keyword; a row of bytes is written as it stands."""
    folder.mkdir(exist_ok=True)
    # JSON is YAML too.
    (folder / "shop.yaml").write_text(json.dumps(info), "utf-8")
    for name, rows in files.items():
        lines = [row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in rows]
        (folder / f"{name}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return folder


def run(folder: Path, shop_dir: Path, today: date | None = None) -> ImportReport:
    return import_shop("jsonl", folder, shop_dir, today=today)


def product_ids(shop_dir: Path) -> list[str]:
    with SqliteShop.open(shop_dir) as shop:
        return [product.id for product in shop.products()]


def test_a_whole_shop_is_imported(tmp_path: Path) -> None:
    folder = source(
        tmp_path / "source",
        products=[product("p1"), product("p2", pictures=["p2.png"])],
        customers=[customer("c1")],
        orders=[order("#1")],
        clauses=[clause("RET-1"), clause("RET-2", overrides=["RET-1"])],
        baskets=[{"id": "b1", "product_ids": ["p1", "p2"]}],
    )
    (folder / "pictures").mkdir()
    (folder / "pictures" / "p2.png").write_bytes(RED)
    report = run(folder, tmp_path / "shop")
    counts = {"products": 2, "variants": 2, "customers": 1, "orders": 1, "clauses": 2, "baskets": 1}
    assert report == ImportReport(accepted=counts, rejected=(), rejected_count=0, notes=())
    with SqliteShop.open(tmp_path / "shop") as shop:
        assert shop.info.currency == "USD"
        assert shop.orders_of("c1")[0].total_cents == 4990
        assert [basket.product_ids for basket in shop.baskets()] == [("p1", "p2")]
        assert shop.picture("p2.png").read_bytes() == RED
    assert (tmp_path / "shop" / "rejected.jsonl").read_bytes() == b""


def test_only_shop_info_and_products_are_required(tmp_path: Path) -> None:
    assert run(source(tmp_path / "source", products=[product("p1")]), tmp_path / "shop").accepted == {
        "products": 1,
        "variants": 1,
    }


def bad_price(price: object) -> dict[str, Any]:
    return product("bad", variants=[{"id": "bad-v", "price_cents": price}])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"{not json", "Invalid JSON"),
        (b'"a text"', "Input should be an object"),
        (b"[" * 10_000, "Invalid JSON"),
        (bad_price("12,00"), "variants.0.price_cents: Input should be a valid integer ('12,00')"),
        (bad_price(12.5), "variants.0.price_cents: Input should be a valid integer (12.5)"),
        (bad_price(-1), "variants.0.price_cents: Input should be greater than or equal to 0 (-1)"),
        (bad_price(2**63), "a number is too large"),
        (product("bad", variants=[{"id": "bad-v"}]), "variants.0.price_cents: Field required"),
        (product("bad", variants=[]), "variants: Tuple should have at least 1 item"),
        (product("bad", colour="blue"), "colour: Extra inputs are not permitted ('blue')"),
        (product("bad", title={}), "title: Value error, a text needs 'en' or 'zh'"),
        (product("bad", brand="a\0b"), "a text contains a NUL character"),
        (b'{"id": "b\0d"}', "Invalid JSON"),
        (b'{"id": "\xff\xfe"}', "not UTF-8: byte 0xff at position 9"),
        (b'{"id": "' + b"x" * 1_000_001 + b'"}', "the line is longer than 1,000,000 bytes"),
        (product("p1"), "id: 'p1' occurs twice; the first one is kept"),
        (product("bad", variants=product("p1")["variants"]), "variants: id 'p1-v' occurs twice"),
    ],
    ids=lambda value: value if isinstance(value, str) else "row",
)
def test_a_bad_product_is_reported_with_its_line_and_the_others_are_kept(
    tmp_path: Path, row: dict[str, Any] | bytes, reason: str
) -> None:
    folder = source(tmp_path / "source", products=[product("p1"), b"", row, product("p2")])
    report = run(folder, tmp_path / "shop")
    assert report.accepted == {"products": 2, "variants": 2}
    assert report.rejected_count == 1
    assert report.rejected[0].where == "products.jsonl:3"
    assert report.rejected[0].reason.startswith(reason)
    assert product_ids(tmp_path / "shop") == ["p1", "p2"]
    with SqliteShop.open(tmp_path / "shop") as shop:
        assert shop.product("p1") is not None
    listed = [json.loads(line) for line in (tmp_path / "shop" / "rejected.jsonl").read_text("utf-8").splitlines()]
    assert listed == [{"where": "products.jsonl:3", "reason": report.rejected[0].reason}]


def test_a_backslash_before_u0000_is_no_nul(tmp_path: Path) -> None:
    run(source(tmp_path / "source", products=[product("p1", brand="a\\u0000b")]), tmp_path / "shop")
    with SqliteShop.open(tmp_path / "shop") as shop:
        found = shop.product("p1")
    assert found is not None
    assert found.brand == "a\\u0000b"


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    folder = source(tmp_path / "source", products=[])
    (folder / "products.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps(product("p1")).encode() + b"\r\n")
    assert run(folder, tmp_path / "shop").accepted["products"] == 1


@pytest.mark.parametrize(
    ("files", "where", "reason"),
    [
        ({"orders": [order("#1", customer_id="c9")]}, "orders.jsonl:1", "customer_id: the shop has no customer 'c9'"),
        (
            {"orders": [order("#1", product_id="p9")]},
            "orders.jsonl:1",
            "items: the shop has no variant 'p9-v' of a product 'p9'",
        ),
        ({"orders": [order("#1", currency="EUR")]}, "orders.jsonl:1", "currency: 'EUR', but the shop sells in USD"),
        (
            {"orders": [order("#1", placed_at="2026-05-03T10:00:00")]},
            "orders.jsonl:1",
            "placed_at: Input should have timezone info",
        ),
        ({"orders": [order("#1"), order("#1")]}, "orders.jsonl:2", "id: '#1' occurs twice"),
        ({"customers": [customer("c1"), customer("c1")]}, "customers.jsonl:2", "id: 'c1' occurs twice"),
        ({"clauses": [clause("a"), clause("a")]}, "clauses.jsonl:2", "id: 'a' occurs twice"),
        (
            {"baskets": [{"id": "b", "product_ids": ["p1", "p9"]}]},
            "baskets.jsonl:1",
            "product_ids: the shop has no product 'p9'",
        ),
    ],
)
def test_a_record_that_refers_to_nothing_or_comes_twice_is_rejected_with_its_place(
    tmp_path: Path, files: dict[str, list[dict[str, Any]]], where: str, reason: str
) -> None:
    rows = {"products": [product("p1")], "customers": [customer("c1")]} | files
    folder = source(tmp_path / "source", INFO, **rows)
    report = run(folder, tmp_path / "shop")
    assert [one.where for one in report.rejected] == [where]
    assert report.rejected[0].reason.startswith(reason)


def test_an_order_of_a_rejected_product_is_rejected_too(tmp_path: Path) -> None:
    folder = source(
        tmp_path / "source",
        products=[product("p0"), bad_price("x") | {"id": "p1"}],
        customers=[customer("c1")],
        orders=[order("#1")],
    )
    assert [one.where for one in run(folder, tmp_path / "shop").rejected] == ["products.jsonl:2", "orders.jsonl:1"]


def test_an_exception_to_an_unknown_clause_holds_and_is_noted(tmp_path: Path) -> None:
    folder = source(tmp_path / "source", products=[product("p1")], clauses=[clause("a", overrides=["b", "c"]), clause("b")])
    report = run(folder, tmp_path / "shop")
    assert report.accepted["clauses"] == 2
    assert report.notes == (Note("clauses.jsonl:1", "overrides 'c', which is no clause of this shop"),)


def test_a_picture_that_is_missing_or_elsewhere_is_left_out_and_noted(tmp_path: Path) -> None:
    names = ["there.png", "missing.png", "../shop.yaml", "/etc/hostname", "link.png"]
    folder = source(tmp_path / "source", products=[product("p1", pictures=names)])
    (folder / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "pictures" / "there.png")
    (folder / "pictures" / "link.png").symlink_to(folder / "shop.yaml")
    report = run(folder, tmp_path / "shop")
    assert [note.text.split("'")[1] for note in report.notes] == names[1:]
    with SqliteShop.open(tmp_path / "shop") as shop:
        found = shop.product("p1")
    assert found is not None
    assert found.pictures == ("there.png",)


def test_a_broken_or_giant_picture_is_left_out_and_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["broken.png", "giant.png", "there.png"]
    folder = source(tmp_path / "source", products=[product("p1", pictures=names)])
    (folder / "pictures").mkdir()
    (folder / "pictures" / "broken.png").write_bytes(b"pixels")
    Image.new("1", (40, 40)).save(folder / "pictures" / "giant.png")
    Image.new("RGB", (8, 8)).save(folder / "pictures" / "there.png")
    monkeypatch.setattr(pictures, "MAX_PICTURE_PIXELS", 1_000)
    report = run(folder, tmp_path / "shop")
    assert [note.text for note in report.notes] == [
        "picture 'broken.png' is no JPEG, PNG, WebP or GIF picture, or a broken one: left out",
        "picture 'giant.png' has more than 1,000 pixels: left out",
    ]
    with SqliteShop.open(tmp_path / "shop") as shop:
        found = shop.product("p1")
    assert found is not None
    assert found.pictures == ("there.png",)


def test_times_move_by_whole_days_so_that_as_of_is_today(tmp_path: Path) -> None:
    parcel = {"tracking_number": "T1", "shipped_at": "2026-05-02T09:00:00+08:00", "expected_at": "2026-05-12T09:00:00+08:00"}
    folder = source(
        tmp_path / "source",
        info={**INFO, "as_of": "2026-05-10"},
        products=[product("p1")],
        customers=[customer("c1")],
        orders=[order("#1", placed_at="2026-05-01T23:30:00Z", fulfilments=[parcel]), order("#2")],
    )
    run(folder, tmp_path / "shop", today=date(2026, 6, 9))
    with SqliteShop.open(tmp_path / "shop") as shop:
        moved, undated = shop.orders_of("c1")
        assert shop.info.as_of == date(2026, 6, 9)
    assert moved.placed_at == datetime(2026, 5, 31, 23, 30, tzinfo=UTC)
    assert moved.fulfilments[0].shipped_at == datetime.fromisoformat("2026-06-01T09:00:00+08:00")
    assert moved.fulfilments[0].expected_at == datetime.fromisoformat("2026-06-11T09:00:00+08:00")
    assert moved.fulfilments[0].delivered_at is None
    assert undated.placed_at is None


def test_times_stay_without_as_of_or_today(tmp_path: Path) -> None:
    rows = {
        "products": [product("p1")],
        "customers": [customer("c1")],
        "orders": [order("#1", placed_at="2026-05-01T23:30:00Z")],
    }
    moments: tuple[tuple[Mapping[str, Any], date | None], ...] = (
        ({**INFO, "as_of": "2026-05-10"}, None),
        (INFO, date(2026, 6, 9)),
    )
    for info, today in moments:
        run(source(tmp_path / "source", info=info, **rows), tmp_path / "shop", today=today)
        with SqliteShop.open(tmp_path / "shop") as shop:
            assert shop.orders_of("c1")[0].placed_at == datetime(2026, 5, 1, 23, 30, tzinfo=UTC)


def test_a_time_that_cannot_be_moved_is_rejected(tmp_path: Path) -> None:
    folder = source(
        tmp_path / "source",
        info={**INFO, "as_of": "2026-05-10"},
        products=[product("p1")],
        customers=[customer("c1")],
        orders=[order("#1", placed_at="9999-12-31T00:00:00Z")],
    )
    report = run(folder, tmp_path / "shop", today=date(2026, 6, 9))
    assert report.rejected == (Rejected("orders.jsonl:1", "its times cannot be moved by 30 days"),)


def test_a_second_import_replaces_the_first(tmp_path: Path) -> None:
    run(source(tmp_path / "one", products=[product("p1")], customers=[customer("c1")], orders=[order("#1")]), tmp_path / "shop")
    run(source(tmp_path / "two", products=[product("p2")]), tmp_path / "shop")
    assert product_ids(tmp_path / "shop") == ["p2"]
    with SqliteShop.open(tmp_path / "shop") as shop:
        assert shop.customer("c1") is None
        assert shop.orders_of("c1") == []


@pytest.mark.parametrize("name", ["shop.yaml", "products.jsonl"])
def test_a_missing_file_fails_the_import_and_leaves_the_old_shop(tmp_path: Path, name: str) -> None:
    folder = source(tmp_path / "source", products=[product("p1")])
    run(folder, tmp_path / "shop")
    (folder / name).unlink()
    with pytest.raises(ImportFailed, match=f"has no {name}"):
        run(folder, tmp_path / "shop")
    assert product_ids(tmp_path / "shop") == ["p1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"name: [", "is not valid YAML"),
        (b"\xff\xfe\xfd", "is not valid YAML"),
        (b"", "does not describe a shop"),
        (b"name: {en: Shop}\ncurrency: dollars\n", r"does not describe a shop \(currency: "),
        (b"name: {en: Shop}\ncurrency: USD\ncolour: red\n", r"does not describe a shop \(colour: "),
        (b"x" * 1_000_001, "is larger than"),
    ],
)
def test_a_bad_shop_info_fails_the_import(tmp_path: Path, text: bytes, message: str) -> None:
    folder = source(tmp_path / "source", products=[product("p1")])
    (folder / "shop.yaml").write_bytes(text)
    with pytest.raises(ImportFailed, match=message):
        run(folder, tmp_path / "shop")


def test_without_one_good_product_the_import_fails_and_lists_why(tmp_path: Path) -> None:
    run(source(tmp_path / "good", products=[product("p1")]), tmp_path / "shop")
    with pytest.raises(ImportFailed, match=r"1 rows were rejected; the first: products.jsonl:1: variants.0.price_cents"):
        run(source(tmp_path / "bad", products=[bad_price("x")]), tmp_path / "shop")
    assert "products.jsonl:1" in (tmp_path / "shop" / "rejected.jsonl").read_text("utf-8")
    assert product_ids(tmp_path / "shop") == ["p1"]


def test_many_bad_rows_are_all_listed_in_the_file_and_a_thousand_in_the_report(tmp_path: Path) -> None:
    report = run(source(tmp_path / "source", products=[product("p1"), *[b"{}"] * 1_500]), tmp_path / "shop")
    assert report.rejected_count == 1_500
    assert len(report.rejected) == 1_000
    assert len((tmp_path / "shop" / "rejected.jsonl").read_text("utf-8").splitlines()) == 1_500


def test_unknown_formats_and_sources_are_refused(tmp_path: Path) -> None:
    assert list(FORMATS) == [
        "jsonl",
        "shopify",
        "woocommerce",
        "google-merchant",
        "json-ld",
        "tau-retail",
        "litemall",
        "ecom-bench",
        "grocery-store",
    ]
    with pytest.raises(
        ImportFailed,
        match="unknown format 'xml'; use one of jsonl, shopify, woocommerce, google-merchant, json-ld, "
        "tau-retail, litemall, ecom-bench, grocery-store",
    ):
        import_shop("xml", tmp_path, tmp_path / "shop")
    with pytest.raises(ImportFailed, match="is no folder"):
        run(tmp_path / "nowhere", tmp_path / "shop")
    with pytest.raises(ImportFailed, match="is the source itself"):
        run(source(tmp_path / "source", products=[product("p1")]), tmp_path / "source")


def test_a_folder_that_cannot_be_written_fails_the_import(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("a file where the folder should be")
    with pytest.raises(ImportFailed, match="could not be imported into"):
        run(source(tmp_path / "source", products=[product("p1")]), tmp_path / "shop")


def test_a_second_import_at_the_same_time_is_told_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.shop.sqlite_shop.BUSY_SECONDS", 0)
    folder = source(tmp_path / "source", products=[product("p1")])
    with ShopWriter(tmp_path / "shop") as writer:
        with pytest.raises(ImportFailed, match="wait until the other import has ended"):
            run(folder, tmp_path / "shop")
        for entry in FORMATS["jsonl"](folder):
            assert not isinstance(entry, Rejected | Note)
            writer.add(entry.record, entry.pictures)
    assert product_ids(tmp_path / "shop") == ["p1"]


def test_progress_counts_the_rows_read(tmp_path: Path) -> None:
    seen: list[int] = []
    folder = source(tmp_path / "source", products=[product(f"p{n}") for n in range(250)])
    import_shop("jsonl", folder, tmp_path / "shop", progress=seen.append)
    assert seen == [100, 200, 251]


KILLED_MIDWAY = """
import os, signal, sys
from pathlib import Path
from tools.shop.importers import import_shop

def kill(rows_read):
    os.kill(os.getpid(), signal.SIGKILL)

import_shop("jsonl", Path(sys.argv[1]), Path(sys.argv[2]), progress=kill)
"""


def test_an_import_killed_midway_leaves_the_old_shop_and_can_be_repeated(tmp_path: Path) -> None:
    shop_dir = tmp_path / "shop"
    old = source(tmp_path / "old", products=[product("p1", pictures=["p1.png"])])
    (old / "pictures").mkdir()
    (old / "pictures" / "p1.png").write_bytes(RED)
    run(old, shop_dir)
    new = source(tmp_path / "new", products=[product(f"n{n}", pictures=["p1.png"]) for n in range(150)])
    (new / "pictures").mkdir()
    (new / "pictures" / "p1.png").write_bytes(BLUE)
    killed = subprocess.run([sys.executable, "-c", KILLED_MIDWAY, new, shop_dir], check=False, cwd=Path(__file__).parents[3])
    assert killed.returncode == -signal.SIGKILL
    with SqliteShop.open(shop_dir) as shop:
        assert [product.id for product in shop.products()] == ["p1"]
        assert shop.picture("p1.png").read_bytes() == RED
    assert run(new, shop_dir).accepted["products"] == 150
    with SqliteShop.open(shop_dir) as shop:
        assert shop.picture("p1.png").read_bytes() == BLUE
    assert len(list((shop_dir / "pictures").iterdir())) == 1


FULL_DISK = """
import resource, sys
from pathlib import Path
from tools.kit.errors import ImportFailed
from tools.shop.importers import import_shop

resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    import_shop("jsonl", Path(sys.argv[1]), Path(sys.argv[2]))
except ImportFailed as error:
    sys.exit(str(error))
"""


def test_a_disk_that_runs_full_gives_one_clear_line_and_leaves_the_old_shop(tmp_path: Path) -> None:
    shop_dir = tmp_path / "shop"
    run(source(tmp_path / "old", products=[product("p1")]), shop_dir)
    new = source(tmp_path / "new", products=[product(f"n{n}", description={"en": "long " * 1_000}) for n in range(200)])
    failed = subprocess.run(
        [sys.executable, "-c", FULL_DISK, new, shop_dir],
        check=False,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )
    assert failed.returncode == 1
    assert "could not be imported" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
    assert product_ids(shop_dir) == ["p1"]
    assert len(list((shop_dir / "pictures").iterdir())) == 1
