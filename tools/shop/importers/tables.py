"""Reads CSV and TSV files row by row and brings the rows of a product together, in bounded memory.

Understood are UTF-8, with or without its mark, and the UTF-16 that Excel writes; comma, semicolon and tab are told apart by the
first line.
"""

import codecs
import csv
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tools.kit.errors import ImportFailed
from tools.shop.importers.source import MAX_LINE_BYTES, Note, Rejected

if TYPE_CHECKING:
    from _csv import Reader as CsvReader


@dataclass(frozen=True)
class Row:
    """One row's cells by column name in small letters, stripped, and where it begins, like "products.csv:17"."""

    where: str
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


def read_tables(
    source: Path, suffixes: tuple[str, ...], required: tuple[str, ...], aliases: Mapping[str, str] | None = None
) -> Iterator[Row | Rejected | Note]:
    """The rows of all files in `source` that end in `suffixes` and have the `required` columns; the other files are noted.

    `aliases` maps other names of columns to the name that rows have them by. Raises ImportFailed where no file has the columns.
    """
    paths = sorted(path for path in source.iterdir() if path.suffix.lower() in suffixes and path.is_file())
    fitting = 0
    for path in paths:
        with _opened(path) as file:
            reader = _reader(path, file)
            names = [name.strip().lower() for name in next(reader, [])]
            columns = [(aliases or {}).get(name, name) for name in names]
            if missing := [column for column in required if column not in columns]:
                yield Note(path.name, f"has no column '{missing[0]}': left out")
                continue
            fitting += 1
            yield from _rows(path, reader, columns)
    if not fitting:
        raise ImportFailed(f"'{source}' has no {' or '.join(suffixes)} file with the columns {', '.join(required)}.")


def _opened(path: Path) -> TextIO:
    with path.open("rb") as file:
        begin = file.read(4)
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return path.open(encoding="utf-16", newline="")
    if begin.startswith(b"PK\x03\x04") or b"\0" in begin:
        raise ImportFailed(f"'{path}' is no text in UTF-8; export it, or save it in Excel, as \"CSV UTF-8\".")
    # Bytes that are not UTF-8 become surrogates, so that only the rows that have them are rejected.
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _reader(path: Path, file: TextIO) -> "CsvReader":
    head = _line(path, file)
    file.seek(0)
    return csv.reader(iter(lambda: _line(path, file), ""), delimiter=max(",;\t", key=head.count))


def _rows(path: Path, reader: "CsvReader", columns: list[str]) -> Iterator[Row | Rejected]:
    while True:
        where = f"{path.name}:{reader.line_num + 1}"
        try:
            cells = next(reader)
            "".join(cells).encode()
        except StopIteration:
            return
        except csv.Error as error:
            yield Rejected(where, f"{error}; is a quotation mark left open?")
            continue
        except UnicodeEncodeError as error:
            byte = ord(error.object[error.start]) & 0xFF
            yield Rejected(where, f'not UTF-8: byte 0x{byte:02x}; save the file as "CSV UTF-8"')
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            yield Rejected(where, f"{len(cells)} cells instead of {len(columns)}")
            continue
        row: dict[str, str] = {}
        for name, cell in zip(columns, cells, strict=True):
            # Where two columns have one name, the first that holds something counts.
            row[name] = row.get(name) or cell.strip()
        yield Row(where, row)


def _line(path: Path, file: TextIO) -> str:
    try:
        line = file.readline(MAX_LINE_BYTES + 1)
    except UnicodeError as error:
        raise ImportFailed(f"'{path}' is damaged UTF-16 ({error}); save it as \"CSV UTF-8\".") from error
    if len(line) > MAX_LINE_BYTES:
        raise ImportFailed(f"'{path}' has a line of more than {MAX_LINE_BYTES:,} characters; is it a table?")
    return line


def grouped(rows: Iterable[Row | Rejected | Note], key: Callable[[Row], str]) -> Iterator[list[Row] | Rejected | Note]:
    """All rows of a key together, wherever they stand, the keys in the order of their first rows; the rest as it comes.

    The rows wait in a temporary file, so memory does not grow with them.
    """
    with closing(sqlite3.connect("", isolation_level=None)) as waiting:
        waiting.execute("CREATE TABLE waiting (number INTEGER PRIMARY KEY, key TEXT, place TEXT, cells TEXT)")
        waiting.execute("BEGIN")
        for row in rows:
            if isinstance(row, Row):
                cells = json.dumps(dict(row.cells))
                waiting.execute("INSERT INTO waiting (key, place, cells) VALUES (?, ?, ?)", (key(row), row.where, cells))
            else:
                yield row
        waiting.execute("CREATE INDEX by_key ON waiting (key, number)")
        begun: list[Row] = []
        last: int | None = None
        for first, where, cells in waiting.execute(
            "SELECT first, place, cells FROM (SELECT key, min(number) AS first FROM waiting GROUP BY key) JOIN waiting USING (key)"
            " ORDER BY first, number"
        ):
            if begun and first != last:
                yield begun
                begun = []
            last = first
            begun.append(Row(where, json.loads(cells)))
        if begun:
            yield begun
