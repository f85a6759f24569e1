"""Tables and feeds are read in bounded memory, however many rows they have."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from imported import SHOP_YAML

from tools.kit.errors import ImportFailed
from tools.shop.importers import FORMATS, tables
from tools.shop.importers.source import Note, Rejected
from tools.shop.importers.tables import Row, grouped, read_tables

WORDS = "word " * 40


def shopify(rows: int) -> Iterator[str]:
    yield "Handle,Title,Body (HTML),Option1 Value,Variant SKU,Variant Price\n"
    for number in range(rows):
        yield f"h{number // 3},Product,<p>{WORDS}</p>,{number % 3},sku{number},5.00\n"


def google_merchant(rows: int) -> Iterator[str]:
    yield "<rss><channel>"
    for number in range(rows):
        yield f"<item><id>{number}</id><title>Product</title><description>{WORDS}</description><price>5 EUR</price></item>\n"
    yield "</channel></rss>"


def peak(folder: Path, source_format: str, name: str, lines: Iterator[str]) -> int:
    """The most bytes that reading this feed holds."""
    folder.mkdir()
    (folder / "shop.yaml").write_text(SHOP_YAML)
    with (folder / name).open("w") as file:
        file.writelines(lines)
    gc.collect()
    tracemalloc.start()
    try:
        assert not any(isinstance(entry, Rejected | Note) for entry in FORMATS[source_format](folder))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("source_format", "name", "feed"), [("shopify", "a.csv", shopify), ("google-merchant", "a.xml", google_merchant)]
)
def test_ten_times_the_rows_need_no_more_memory(
    tmp_path: Path, source_format: str, name: str, feed: Callable[[int], Iterator[str]]
) -> None:
    few = peak(tmp_path / "few", source_format, name, feed(300))
    many = peak(tmp_path / "many", source_format, name, feed(3_000))
    # The 2,700 more rows are 0.7 MB in the file and 3 MB as rows; what awaits garbage collection may be 0.2 MB.
    assert many < few + 500_000


def test_rows_of_a_key_come_together_in_the_order_of_the_first(tmp_path: Path) -> None:
    rows = [Row(str(number), {"key": key}) for number, key in enumerate("bacab")]
    bad = Rejected("9", "bad")
    found = list(grouped([rows[0], bad, *rows[1:]], lambda row: row["key"]))
    assert found[0] == bad
    assert [[row.where for row in group] for group in found[1:] if isinstance(group, list)] == [["0", "4"], ["1", "3"], ["2"]]


def test_an_open_quotation_mark_costs_its_rows_only(tmp_path: Path) -> None:
    long = "x" * 140_000
    (tmp_path / "a.csv").write_text(f'id,text\n1,"open {long}\n2,fine\n')
    found = list(read_tables(tmp_path, (".csv",), ("id",)))
    assert [type(entry) for entry in found] == [Rejected, Row]
    assert isinstance(found[0], Rejected)
    assert "quotation mark" in found[0].reason


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_LINE_BYTES", 100)
    (tmp_path / "a.csv").write_text("id,text\n1," + "x" * 200)
    with pytest.raises(ImportFailed, match="more than 100 characters"):
        list(read_tables(tmp_path, (".csv",), ("id",)))


def test_a_table_without_the_columns_is_noted_beside_one_that_has_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name\nAnna\n")
    (tmp_path / "b.csv").write_text("ID;Text\n1;one, two\n\n")
    assert list(read_tables(tmp_path, (".csv",), ("id",))) == [
        Note("a.csv", "has no column 'id': left out"),
        Row("b.csv:2", {"id": "1", "text": "one, two"}),
    ]
