"""Importing the Grocery Store Dataset, from the real files and from broken copies."""

import csv
from pathlib import Path

import pytest

from tools.kit.errors import ImportFailed
from tools.shop.importers import ImportReport, import_shop
from tools.shop.sqlite_shop import SqliteShop

SOURCE = Path(__file__).parents[4] / "shared/data/grocery_store"
HEADER = (
    "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),"
    "Iconic Image Path (str),Product Description Path (str)"
)
KIWI = "Kiwi,7,Kiwi,3,/iconic/Fruit/Kiwi/Kiwi_Iconic.jpg,/iconic/Fruit/Kiwi/Kiwi_Description.txt"


def run(source: Path, shop_dir: Path) -> ImportReport:
    return import_shop("grocery-store", source, shop_dir)


@pytest.fixture
def kiwis(tmp_path: Path) -> Path:
    """A data set of one class."""
    folder = tmp_path / "source" / "iconic" / "Fruit" / "Kiwi"
    folder.mkdir(parents=True)
    (folder / "Kiwi_Iconic.jpg").write_bytes(b"pixels")
    (folder / "Kiwi_Description.txt").write_text("Green and sour.\n", "utf-8")
    (tmp_path / "source" / "classes.csv").write_text(f"{HEADER}\n{KIWI}\n", "utf-8")
    return tmp_path / "source"


@pytest.mark.skipif(not SOURCE.is_dir(), reason="the data folder ../shared/data is not here")
def test_every_class_becomes_a_product_with_its_picture_and_text(tmp_path: Path) -> None:
    report = run(SOURCE, tmp_path)
    assert report == ImportReport(accepted={"products": 81, "variants": 81}, rejected=(), rejected_count=0, notes=())
    with (SOURCE / "classes.csv").open(newline="", encoding="utf-8") as file:
        classes = {row["Class Name (str)"]: row for row in csv.DictReader(file)}
    with SqliteShop.open(tmp_path) as shop:
        products = {product.id: product for product in shop.products()}
        assert set(products) == set(classes)
        assert shop.info.currency == "SEK"
        for id, product in products.items():
            (picture,) = product.pictures
            original = SOURCE / classes[id]["Iconic Image Path (str)"].lstrip("/")
            assert shop.picture(picture).read_bytes() == original.read_bytes()
            assert product.category.en == classes[id]["Coarse Class Name (str)"].replace("-", " ")
            assert product.description is not None
    apple = products["Golden-Delicious"]
    assert (apple.title.en, apple.category.en, apple.keywords) == ("Golden Delicious", "Apple", ("Fruit",))


def test_prices_and_stock_stay_unknown(kiwis: Path, tmp_path: Path) -> None:
    run(kiwis, tmp_path / "shop")
    with SqliteShop.open(tmp_path / "shop") as shop:
        kiwi = shop.product("Kiwi")
    assert kiwi is not None
    assert kiwi.lowest_price_cents is None
    assert kiwi.highest_price_cents is None
    assert kiwi.variants[0].stock is None
    assert kiwi.in_stock


def test_a_product_without_picture_or_text_is_kept_and_noted(kiwis: Path, tmp_path: Path) -> None:
    (kiwis / "iconic/Fruit/Kiwi/Kiwi_Iconic.jpg").unlink()
    (kiwis / "iconic/Fruit/Kiwi/Kiwi_Description.txt").write_bytes(b"\xff")
    report = run(kiwis, tmp_path / "shop")
    assert report.accepted["products"] == 1
    assert [note.where for note in report.notes] == ["classes.csv:2"] * 2
    with SqliteShop.open(tmp_path / "shop") as shop:
        kiwi = shop.product("Kiwi")
    assert kiwi is not None
    assert kiwi.pictures == ()
    assert kiwi.description is None


def test_no_file_outside_the_source_becomes_a_picture(kiwis: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (kiwis / "classes.csv").write_text(f"{HEADER}\nKiwi,7,Kiwi,3,/../secret.jpg,/../secret.jpg\n", "utf-8")
    run(kiwis, tmp_path / "shop")
    with SqliteShop.open(tmp_path / "shop") as shop:
        kiwi = shop.product("Kiwi")
    assert kiwi is not None
    assert kiwi.pictures == ()
    assert kiwi.description is None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"Lime,9,Lime", "3 cells instead of 6"),
        (b",9,Lime,5,a.jpg,a.txt", "id: String should have at least 1 character"),
        (KIWI.encode(), "id: 'Kiwi' occurs twice"),
        (KIWI.replace("Kiwi,7", "../Kiwi,7").encode(), "pictures: '../Kiwi.jpg' is no file name"),
        (b"Li\0me,9,Lime,5,a.jpg,a.txt", "a text contains a NUL character"),
        (b"L\xffme,9,Lime,5,a.jpg,a.txt", "not UTF-8"),
        (b"a" * 200_000, "field larger than field limit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "row",
)
def test_a_bad_row_is_reported_with_its_line(kiwis: Path, tmp_path: Path, row: bytes, reason: str) -> None:
    (kiwis / "classes.csv").write_bytes(f"{HEADER}\n{KIWI}\n".encode() + row)
    report = run(kiwis, tmp_path / "shop")
    assert report.accepted["products"] == 1
    assert [one.where for one in report.rejected] == ["classes.csv:3"]
    assert report.rejected[0].reason.startswith(reason)


def test_a_missing_or_foreign_classes_file_fails_the_import(kiwis: Path, tmp_path: Path) -> None:
    (kiwis / "classes.csv").write_text("name,price\nKiwi,3\n", "utf-8")
    with pytest.raises(ImportFailed, match=r"has no column 'Class Name \(str\)'"):
        run(kiwis, tmp_path / "shop")
    (kiwis / "classes.csv").unlink()
    with pytest.raises(ImportFailed, match=r"has no classes\.csv"):
        run(kiwis, tmp_path / "shop")
