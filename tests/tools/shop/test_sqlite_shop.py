"""The shop in an SQLite file: it gives back what was written, to many readers at once, and is replaced whole or not at all."""

import sqlite3
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.kit.errors import ShopMissing
from tools.shop.shop import Shop
from tools.shop.sqlite_shop import MIGRATIONS, BadRecord, ShopRecord, ShopWriter, SqliteShop, is_picture_name
from tools.shop.types import (
    Address,
    Basket,
    Clause,
    Customer,
    Fulfilment,
    LocalText,
    Order,
    OrderItem,
    Payment,
    PaymentMethod,
    Product,
    ShopInfo,
    Variant,
)

INFO = ShopInfo(
    name=LocalText(en="Corner shop", zh="街角小店"), currency="USD", words={"blue": LocalText(en="blue", zh="蓝色")}
)
DRESS = Product(
    id="p1",
    title=LocalText(en="Linen dress", zh="亚麻连衣裙"),
    category=LocalText(en="Dresses"),
    variants=(
        Variant(id="p1-blue", options={"color": "blue", "size": "M"}, price_cents=4990, stock=3),
        Variant(id="p1-red", options={"color": "red", "size": "M"}, price_cents=None, stock=None),
    ),
)
HAT = Product(
    id="p2", title=LocalText(en="Hat"), category=LocalText(en="Hats"), variants=(Variant(id="h", price_cents=1500, stock=0),)
)
ANNA = Customer(
    id="c1",
    name="Anna",
    email="anna@example.com",
    address=Address(line1="1 High Street"),
    payment_methods=(PaymentMethod(id="card_1", kind="card", brand="visa", last_four="4242"),),
)
BEN = ANNA.model_copy(update={"id": "c2", "name": "Ben", "payment_methods": ()})


def order(id: str = "#1", customer_id: str = "c1", placed_at: datetime | None = None, variant_id: str = "p1-blue") -> Order:
    item = OrderItem(product_id="p1", variant_id=variant_id, title=DRESS.title, quantity=2, unit_price_cents=4990)
    return Order(
        id=id,
        customer_id=customer_id,
        placed_at=placed_at,
        status="delivered",
        currency="USD",
        items=(item,),
        address=Address(line1="1 High Street"),
        fulfilments=(Fulfilment(carrier="DHL", tracking_number="T1", variant_ids=(variant_id,), shipped_at=placed_at),),
        payments=(Payment(kind="payment", amount_cents=9980, payment_method_id="card_1"),),
    )


def write(folder: Path, *records: ShopRecord, pictures: Mapping[str, Path] | None = None, info: ShopInfo = INFO) -> None:
    with ShopWriter(folder) as writer:
        writer.add(info)
        for record in records:
            writer.add(record, pictures)


def write_until_the_power_fails(folder: Path, record: ShopRecord, pictures: Mapping[str, Path] | None = None) -> None:
    with ShopWriter(folder) as writer:
        writer.add(INFO)
        writer.add(record, pictures)
        raise RuntimeError("power cut")


def test_a_shop_gives_back_what_was_written(tmp_path: Path) -> None:
    placed = datetime(2026, 5, 3, 14, 30, tzinfo=timezone(timedelta(hours=8)))
    clause = Clause(
        id="RET-1", kind="policy", topic="returns", title=LocalText(en="Returns"), text=LocalText(zh="30 天内可退货")
    )
    write(tmp_path, DRESS, HAT, ANNA, order(placed_at=placed), clause)
    with SqliteShop.open(tmp_path) as shop:
        reader: Shop = shop
        assert reader.info == INFO
        assert list(reader.products()) == [DRESS, HAT]
        assert reader.product("p1") == DRESS
        assert reader.product("p9") is None
        assert reader.customer("c1") == ANNA
        assert reader.customer("c9") is None
        assert reader.orders_of("c1") == [order(placed_at=placed)]
        assert reader.orders_of("c1")[0].placed_at.utcoffset() == timedelta(hours=8)  # type: ignore[union-attr]
        assert reader.clauses(date(2026, 1, 1)) == [clause]


def test_option_values_are_those_that_some_variant_has(tmp_path: Path) -> None:
    write(tmp_path, DRESS, HAT)
    with SqliteShop.open(tmp_path) as shop:
        assert shop.option_values("color") == {"blue", "red"}
        assert shop.option_values("ram") == frozenset()
        write(tmp_path, HAT.model_copy(update={"variants": (Variant(id="h", options={"ram": "8"}, price_cents=1),)}))
        assert shop.option_values("color") == frozenset()
        assert shop.option_values("ram") == {"8"}


def test_orders_come_newest_first_and_undated_ones_last(tmp_path: Path) -> None:
    noon = datetime(2026, 5, 3, 12, tzinfo=UTC)
    # 13:00 at +08:00 is 05:00 UTC: earlier, though its clock shows more.
    morning = datetime(2026, 5, 3, 13, tzinfo=timezone(timedelta(hours=8)))
    write(tmp_path, DRESS, ANNA, order("#z"), order("#a"), order("#early", placed_at=morning), order("#late", placed_at=noon))
    with SqliteShop.open(tmp_path) as shop:
        assert [one.id for one in shop.orders_of("c1")] == ["#late", "#early", "#a", "#z"]


def test_orders_of_shows_no_other_customers_order(tmp_path: Path) -> None:
    write(tmp_path, DRESS, ANNA, BEN, order("#anna", "c1"), order("#ben", "c2"))
    with SqliteShop.open(tmp_path) as shop:
        assert [one.id for one in shop.orders_of("c2")] == ["#ben"]
        assert shop.orders_of("c1' OR '1'='1") == []


def test_clauses_hold_from_their_first_to_their_last_day(tmp_path: Path) -> None:
    texts = {"kind": "policy", "topic": "returns", "title": LocalText(en="Returns"), "text": LocalText(en="30 days")}
    spring = Clause(id="b", effective_from=date(2026, 3, 1), effective_to=date(2026, 5, 31), **texts)
    always = Clause(id="a", **texts)
    write(tmp_path, spring, always)
    with SqliteShop.open(tmp_path) as shop:
        in_force = {day: [clause.id for clause in shop.clauses(day)] for day in (date(2026, 2, 28), date(2026, 3, 1))}
        assert in_force == {date(2026, 2, 28): ["a"], date(2026, 3, 1): ["a", "b"]}
        assert [clause.id for clause in shop.clauses(date(2026, 5, 31))] == ["a", "b"]
        assert [clause.id for clause in shop.clauses(date(2026, 6, 1))] == ["a"]


def test_one_customers_baskets_are_read_through_an_index(tmp_path: Path) -> None:
    write(tmp_path, DRESS)
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as connection:
        plan = connection.execute("EXPLAIN QUERY PLAN SELECT id FROM baskets WHERE customer_id = 'c1'").fetchall()
    assert "USING INDEX baskets_of_customer" in plan[0][3]


def test_version_changes_with_products_pictures_and_clauses_only(tmp_path: Path) -> None:
    def version(*records: ShopRecord, pictures: Mapping[str, Path] | None = None) -> str:
        write(tmp_path / "shop", *records, pictures=pictures)
        with SqliteShop.open(tmp_path / "shop") as shop:
            return shop.version

    clause = Clause(id="a", kind="faq", topic="returns", title=LocalText(en="Returns"), text=LocalText(en="30 days"))
    dearer = DRESS.model_copy(update={"variants": (DRESS.variants[0].model_copy(update={"price_cents": 4991}),)})
    pictured = DRESS.model_copy(update={"pictures": ("dress.png",)})
    picture = tmp_path / "dress.png"
    picture.write_bytes(b"one")
    versions = [
        version(DRESS, HAT),
        version(dearer, HAT),
        version(DRESS, HAT, clause),
        version(pictured, pictures={"dress.png": picture}),
    ]
    picture.write_bytes(b"two")
    versions.append(version(pictured, pictures={"dress.png": picture}))
    assert len(set(versions)) == 5
    assert version(HAT, DRESS, ANNA, order()) == versions[0]


def test_an_open_shop_sees_a_new_import(tmp_path: Path) -> None:
    write(tmp_path, DRESS)
    with SqliteShop.open(tmp_path) as shop:
        reading = shop.products()
        next(reading)
        write(tmp_path, HAT)
        assert [product.id for product in shop.products()] == ["p2"]
        assert list(reading) == []


def test_readers_of_all_products_see_one_moment(tmp_path: Path) -> None:
    write(tmp_path, DRESS, HAT)
    with SqliteShop.open(tmp_path) as shop:
        reading = shop.products()
        assert next(reading) == DRESS
        write(tmp_path, DRESS)
        assert list(reading) == [HAT]


def test_an_error_while_writing_leaves_the_old_shop(tmp_path: Path) -> None:
    picture = tmp_path / "new.png"
    picture.write_bytes(b"new")
    write(tmp_path / "shop", DRESS, ANNA)
    new = HAT.model_copy(update={"pictures": ("new.png",)})

    with pytest.raises(RuntimeError, match="power cut"):
        write_until_the_power_fails(tmp_path / "shop", new, pictures={"new.png": picture})
    with SqliteShop.open(tmp_path / "shop") as shop:
        assert list(shop.products()) == [DRESS]
        assert shop.customer("c1") == ANNA
    assert len(list((tmp_path / "shop" / "pictures").iterdir())) == 1


def test_a_picture_is_copied_and_an_old_one_goes_with_its_import(tmp_path: Path) -> None:
    picture = tmp_path / "dress.png"
    picture.write_bytes(b"pixels")
    pictured = DRESS.model_copy(update={"pictures": ("summer/dress.png",)})
    write(tmp_path / "shop", pictured, pictures={"summer/dress.png": picture})
    picture.unlink()
    with SqliteShop.open(tmp_path / "shop") as shop:
        copied = shop.picture("summer/dress.png")
        assert copied.read_bytes() == b"pixels"
        write(tmp_path / "shop", DRESS)
        assert not copied.exists()


@pytest.mark.parametrize("name", ["../../shop.sqlite", "/etc/hostname", "..", "", "a\0b", "missing.png"])
def test_no_picture_outside_the_pictures_folder_can_be_asked_for(tmp_path: Path, name: str) -> None:
    write(tmp_path, DRESS)
    with SqliteShop.open(tmp_path) as shop, pytest.raises(FileNotFoundError):
        shop.picture(name)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (DRESS, "id: 'p1' occurs twice"),
        (HAT.model_copy(update={"variants": DRESS.variants}), "variants: id 'p1-blue' occurs twice"),
        (HAT.model_copy(update={"variants": HAT.variants * 2}), "variants: id 'h' occurs twice"),
        (HAT.model_copy(update={"pictures": ("../h.png",)}), "no file name below the pictures folder"),
        (HAT.model_copy(update={"brand": "Hat\0ters"}), "NUL"),
        (HAT.model_copy(update={"variants": (Variant(id="h", price_cents=2**63),)}), "number is too large"),
        (order(customer_id="c9"), "no customer 'c9'"),
        (order(variant_id="h"), "no variant 'h' of a product 'p1'"),
        (order().model_copy(update={"currency": "EUR"}), "'EUR', but the shop sells in USD"),
        (order().model_copy(update={"fulfilments": (Fulfilment(variant_ids=("p1-red",)),)}), "'p1-red' was not ordered"),
        (Basket(id="b", product_ids=("p1", "p9")), "no product 'p9'"),
        (Basket(id="b", product_ids=("p1",), customer_id="c9"), "no customer 'c9'"),
    ],
)
def test_a_record_that_does_not_fit_is_refused_and_leaves_nothing(tmp_path: Path, record: ShopRecord, reason: str) -> None:
    with ShopWriter(tmp_path) as writer:
        for good in (INFO, DRESS, ANNA):
            writer.add(good)
        with pytest.raises(BadRecord, match=reason):
            writer.add(record)
    with SqliteShop.open(tmp_path) as shop:
        assert list(shop.products()) == [DRESS]
        assert shop.orders_of("c1") == []
        assert shop.baskets() == []


def test_an_id_may_come_again_after_its_bad_record(tmp_path: Path) -> None:
    too_dear = HAT.model_copy(update={"variants": (HAT.variants[0], Variant(id="x", price_cents=2**63))})
    with ShopWriter(tmp_path) as writer:
        writer.add(INFO)
        with pytest.raises(BadRecord):
            writer.add(too_dear)
        writer.add(HAT)
    with SqliteShop.open(tmp_path) as shop:
        assert list(shop.products()) == [HAT]


def test_a_missing_shop_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(ShopMissing, match=r"no shop in '.*nowhere'; run 'storehand import"):
        SqliteShop.open(tmp_path / "nowhere")


def test_a_shop_whose_first_import_failed_is_missing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="power cut"):
        write_until_the_power_fails(tmp_path, DRESS)
    with pytest.raises(ShopMissing, match="never finished; run 'storehand import"):
        SqliteShop.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"these are not the bytes of a database" * 100])
def test_a_file_that_is_no_shop_is_reported_as_missing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "shop.sqlite").write_bytes(content)
    with pytest.raises(ShopMissing, match="run 'storehand import"):
        SqliteShop.open(tmp_path)


def test_a_shop_of_a_newer_storehand_is_not_touched(tmp_path: Path) -> None:
    write(tmp_path, DRESS)
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(ShopMissing, match="newer Storehand"):
        SqliteShop.open(tmp_path)
    with pytest.raises(sqlite3.DatabaseError, match="newer Storehand"):
        write(tmp_path, HAT)


def test_an_older_shop_is_brought_up_to_date_when_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, DRESS)
    newer = (*MIGRATIONS, "CREATE TABLE returns (id TEXT PRIMARY KEY);")
    monkeypatch.setattr("tools.shop.sqlite_shop.MIGRATIONS", newer)
    with SqliteShop.open(tmp_path) as shop:
        assert list(shop.products()) == [DRESS]
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(newer),)
        assert connection.execute("SELECT COUNT(*) FROM returns").fetchone() == (0,)


def test_reading_never_writes(tmp_path: Path) -> None:
    write(tmp_path, DRESS)
    with SqliteShop.open(tmp_path) as shop, pytest.raises(sqlite3.OperationalError, match="readonly"):
        shop._connection.execute("DELETE FROM variants")


def test_many_threads_read_while_the_shop_is_replaced(tmp_path: Path) -> None:
    write(tmp_path, DRESS, HAT, ANNA, order())
    with SqliteShop.open(tmp_path) as shop, ThreadPoolExecutor(8) as pool:

        def look(_: int) -> tuple[object, ...]:
            return (shop.product("p1"), tuple(shop.products()), len(shop.orders_of("c1")), shop.info.currency)

        looks = [pool.submit(look, n) for n in range(100)]
        for _ in range(3):
            write(tmp_path, DRESS, HAT, ANNA, order())
        looks += [pool.submit(look, n) for n in range(100)]
        assert [one.result() for one in looks] == [(DRESS, (DRESS, HAT), 1, "USD")] * 200


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("a.png", True),
        ("summer/裙.png", True),
        ("../a", False),
        ("a/../b", False),
        ("/a", False),
        ("a\\b", False),
        ("C:a", False),
    ],
)
def test_picture_names_stay_below_their_folder(name: str, fits: bool) -> None:
    assert is_picture_name(name) is fits


def written(alphabet: st.SearchStrategy[str], size: int = 12) -> st.SearchStrategy[str]:
    """Texts without blanks around them, which records strip, and without NUL, which the shop refuses."""
    return st.text(alphabet, min_size=1, max_size=size).map(str.strip).filter(bool)


LETTERS = st.characters(codec="utf-8", exclude_characters="\0")
TEXTS = written(LETTERS)
LOCAL = st.builds(LocalText, en=TEXTS, zh=st.none() | TEXTS) | st.builds(LocalText, en=st.none(), zh=TEXTS)
CENTS = st.integers(0, 2**63 - 1)
TIMES = st.datetimes(
    datetime(1990, 1, 1),  # noqa: DTZ001 - hypothesis wants the bounds without a zone
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
PRODUCTS = st.lists(
    st.tuples(
        st.builds(
            Product,
            id=TEXTS,
            title=LOCAL,
            description=st.none() | LOCAL,
            category=LOCAL,
            brand=st.none() | TEXTS,
            attributes=st.dictionaries(TEXTS, LOCAL, max_size=2),
            keywords=st.lists(TEXTS, max_size=2),
            variants=st.just((Variant(id="only", price_cents=0),)),
        ),
        st.lists(
            st.tuples(st.dictionaries(TEXTS, TEXTS, max_size=3), st.none() | CENTS, st.none() | CENTS), min_size=1, max_size=3
        ),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda pair: pair[0].id,
)


@settings(max_examples=25, deadline=None)
@given(PRODUCTS, st.lists(st.none() | TIMES, max_size=3), TEXTS)
def test_any_shop_comes_back_as_it_was_written(
    drawn: list[tuple[Product, list[tuple[dict[str, str], int | None, int | None]]]], times: list[datetime | None], name: str
) -> None:
    products = []
    for number, (product, variants) in enumerate(drawn):
        numbered = tuple(
            Variant(id=f"{number}-{place}", options=options, price_cents=price, stock=stock)
            for place, (options, price, stock) in enumerate(variants)
        )
        products.append(product.model_copy(update={"variants": numbered}))
    customer = ANNA.model_copy(update={"id": name})
    item = OrderItem(product_id=products[0].id, variant_id="0-0", title=products[0].title, unit_price_cents=1)
    orders = [
        order(id=f"#{number}", placed_at=time).model_copy(update={"customer_id": name, "items": (item,), "fulfilments": ()})
        for number, time in enumerate(times)
    ]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), *products, customer, *orders)
        with SqliteShop.open(Path(folder)) as shop:
            assert list(shop.products()) == sorted(products, key=lambda product: product.id)
            assert [shop.product(product.id) for product in products] == products
            assert shop.customer(name) == customer
            assert sorted(shop.orders_of(name), key=lambda one: one.id) == orders


def test_baskets_are_all_or_one_customers_and_an_import_changes_their_id(tmp_path: Path) -> None:
    anns = Basket(id="b2", product_ids=("p2", "p1"), customer_id=ANNA.id, placed_at=datetime(2026, 1, 2, tzinfo=UTC))
    write(tmp_path, DRESS, HAT, ANNA, Basket(id="b1", product_ids=("p1",)), anns)
    with SqliteShop.open(tmp_path) as shop:
        assert [(each.id, each.product_ids) for each in shop.baskets()] == [("b1", ("p1",)), ("b2", ("p1", "p2"))]
        assert [(each.id, each.placed_at) for each in shop.baskets(ANNA.id)] == [("b2", anns.placed_at)]
        before = shop.import_id
        write(tmp_path, DRESS, HAT)
        assert shop.import_id != before
        assert shop.baskets() == []
