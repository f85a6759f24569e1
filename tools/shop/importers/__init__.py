"""Makes a shop out of somebody's files: one module a format, and `import_shop` over all of them.

To add a format: write a module with `read(source: Path) -> Iterator[Entry]` and name it in FORMATS. Help texts in faq/ and policies/
are read beside every format (faq.py).
"""

import dataclasses
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from tools.kit.errors import BadSettings, ImportFailed
from tools.shop.importers import (
    ecom_bench,
    faq,
    google_merchant,
    grocery_store,
    json_ld,
    jsonl,
    litemall,
    shopify,
    tau_retail,
    woocommerce,
)
from tools.shop.importers.pictures import PictureFetcher, UnusablePicture
from tools.shop.importers.source import Entry, Located, Note, Reader, Rejected
from tools.shop.policy import load_policy
from tools.shop.sqlite_shop import BadRecord, ShopRecord, ShopWriter, table_of
from tools.shop.types import Basket, Clause, Order, Product, ShopInfo

__all__ = ["FORMATS", "ImportReport", "Note", "Rejected", "import_shop"]

FORMATS: dict[str, Reader] = {
    "jsonl": jsonl.read,
    "shopify": shopify.read,
    "woocommerce": woocommerce.read,
    "google-merchant": google_merchant.read,
    "json-ld": json_ld.read,
    "tau-retail": tau_retail.read,
    "litemall": litemall.read,
    "ecom-bench": ecom_bench.read,
    "grocery-store": grocery_store.read,
}
POLICIES = Path(__file__).parent / "policies"
"""Rules as data for formats whose sources tell them in words only: FORMAT.yaml."""
_LISTED = 1_000
_PROGRESS_EVERY = 100


@dataclass(frozen=True)
class ImportReport:
    """What became of a source.

    `accepted` counts "products", "variants", "customers", "orders", "clauses", "baskets", "size_charts" and "reviews".
    `rejected` and `notes` list the first 1,000 each; rejected.jsonl in the shop's folder has all: `{"where", "reason"}` or,
    for a note, `{"where", "text"}`.
    """

    accepted: dict[str, int]
    rejected: tuple[Rejected, ...]
    rejected_count: int
    notes: tuple[Note, ...]


def import_shop(
    format: str,
    source: Path,
    shop_dir: Path,
    *,
    today: date | None = None,
    fetch_pictures: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Make `shop_dir` hold the shop that `source` describes, in the place of the one it held.

    Bad rows are rejected one by one and listed, good ones kept. Where the source says what day it describes (`as_of`), times
    of orders and baskets are moved by whole days so that this day is `today`. Pictures that the source names by web address are
    left out unless `fetch_pictures`. `progress` is told how many rows were read.
    Raises ImportFailed, with the old shop left as it was, if nothing can be sold from the source or it cannot be read, or if
    the folder cannot be written to.
    """
    if format not in FORMATS:
        raise ImportFailed(f"unknown format '{format}'; use one of {', '.join(FORMATS)}.")
    if not source.is_dir():
        raise ImportFailed(f"'{source}' is no folder; name the folder that holds the {format} files.")
    if source.resolve() == shop_dir.resolve():
        raise ImportFailed(f"'{shop_dir}' is the source itself; name another folder for the shop.")
    try:
        with ExitStack() as stack:
            fetcher = None
            if fetch_pictures:
                fetched = Path(stack.enter_context(TemporaryDirectory(prefix="storehand-pictures-")))
                fetcher = stack.enter_context(PictureFetcher(fetched))
            run = _Run(today, fetcher)
            writer = stack.enter_context(ShopWriter(shop_dir))
            listing = stack.enter_context(_replaced(shop_dir / "rejected.jsonl"))
            for number, entry in enumerate(chain(FORMATS[format](source), faq.read(source)), start=1):
                run.take(entry, writer, listing)
                if progress and number % _PROGRESS_EVERY == 0:
                    progress(number)
            run.note_unknown_overrides(listing)
            run.note_left_out_pictures(format, listing)
            _take_policy(format, source, shop_dir, run.clause_ids)
            if not run.accepted["products"]:
                first = f"; the first: {run.rejected[0].where}: {run.rejected[0].reason}" if run.rejected else ""
                raise ImportFailed(
                    f"no product of '{source}' could be imported, {run.rejected_count} rows were rejected{first};"
                    f" mend those listed in '{shop_dir / 'rejected.jsonl'}'."
                )
        if progress:
            progress(number)
    except (OSError, sqlite3.Error) as error:
        busy = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
        next_step = "wait until the other import has ended" if busy else "check files and disk"
        raise ImportFailed(
            f"'{source}' could not be imported into '{shop_dir}' ({error}), which is as it was; {next_step} and run it again."
        ) from error
    return ImportReport(dict(run.accepted), tuple(run.rejected), run.rejected_count, tuple(run.notes))


def _take_policy(format: str, source: Path, shop_dir: Path, clause_ids: set[str]) -> None:
    """The source's own policy.yaml, else the one that ships for its format, unless the shop has one already."""
    own, shipped, kept = source / "policy.yaml", POLICIES / f"{format}.yaml", shop_dir / "policy.yaml"
    taken = own if own.is_file() else shipped
    if not taken.is_file() or (taken == shipped and kept.is_file()):
        return
    try:
        load_policy(taken, clause_ids)
    except BadSettings as error:
        raise ImportFailed(f"{error} The shop in '{shop_dir}' is as it was.") from error
    with _replaced(kept) as file:
        file.write(taken.read_text(encoding="utf-8"))


class _Run:
    """One import: what was accepted, rejected and noted so far."""

    def __init__(self, today: date | None, fetcher: PictureFetcher | None) -> None:
        self.accepted: Counter[str] = Counter()
        self.rejected: list[Rejected] = []
        self.rejected_count = 0
        self.notes: list[Note] = []
        self._today = today
        self._fetcher = fetcher
        self._addresses_left_out = 0
        self._moved_by = timedelta(0)
        self.clause_ids: set[str] = set()
        self._overrides: list[tuple[str, str]] = []

    def take(self, entry: Entry, writer: ShopWriter, listing: TextIO) -> None:
        """Write a record to the shop, or put down why not."""
        if not isinstance(entry, Located):
            self._put_down(entry, listing)
            return
        fetched = self._fetch(entry, listing)
        try:
            record = self._moved(entry.record)
            if isinstance(record, Product) and fetched:
                record = record.model_copy(update={"pictures": (*record.pictures, *fetched)})
            writer.add(record, {**entry.pictures, **fetched})
        except BadRecord as error:
            self._put_down(Rejected(entry.where, str(error)), listing)
        else:
            self._count(entry.where, record)
        finally:
            for file in fetched.values():
                file.unlink()

    def note_unknown_overrides(self, listing: TextIO) -> None:
        """Note the clauses that are exceptions to a clause which the shop does not have: they hold all the same."""
        for where, clause_id in self._overrides:
            if clause_id not in self.clause_ids:
                self._put_down(Note(where, f"overrides '{clause_id}', which is no clause of this shop"), listing)

    def note_left_out_pictures(self, format: str, listing: TextIO) -> None:
        """Note once how many pictures stand at web addresses and were not fetched."""
        if self._addresses_left_out:
            text = f"{self._addresses_left_out:,} pictures at web addresses are left out; --fetch-pictures fetches them"
            self._put_down(Note(format, text), listing)

    def _fetch(self, entry: Located, listing: TextIO) -> dict[str, Path]:
        """The pictures behind a record's addresses as files by name; those that cannot be had are noted."""
        if not self._fetcher:
            self._addresses_left_out += len(entry.picture_urls)
            return {}
        files = {}
        for url in entry.picture_urls:
            try:
                file = self._fetcher.fetch(url)
            except UnusablePicture as error:
                self._put_down(Note(entry.where, f"picture '{url[:200]}' {error}: left out"), listing)
            else:
                files[file.name] = file
        return files

    def _put_down(self, entry: Rejected | Note, listing: TextIO) -> None:
        listing.write(json.dumps(dataclasses.asdict(entry), ensure_ascii=False) + "\n")
        if isinstance(entry, Rejected):
            self.rejected_count += 1
            if len(self.rejected) < _LISTED:
                self.rejected.append(entry)
        elif len(self.notes) < _LISTED:
            self.notes.append(entry)

    def _count(self, where: str, record: ShopRecord) -> None:
        if isinstance(record, ShopInfo):
            return
        self.accepted[table_of(type(record))] += 1
        if isinstance(record, Product):
            self.accepted["variants"] += len(record.variants)
        if isinstance(record, Clause):
            self.clause_ids.add(record.id)
            self._overrides += [(where, other) for other in record.overrides]

    def _moved(self, record: ShopRecord) -> ShopRecord:
        """The record with its times moved as far as `as_of` is from today."""
        if isinstance(record, ShopInfo) and record.as_of and self._today:
            self._moved_by = self._today - record.as_of
            return record.model_copy(update={"as_of": self._today})
        if not self._moved_by or not isinstance(record, Order | Basket):
            return record
        try:
            moved = {"placed_at": self._moved_time(record.placed_at)}
            if isinstance(record, Basket):
                return record.model_copy(update=moved)
            parcels = tuple(
                parcel.model_copy(
                    update={
                        name: self._moved_time(getattr(parcel, name)) for name in ("shipped_at", "expected_at", "delivered_at")
                    }
                )
                for parcel in record.fulfilments
            )
            return record.model_copy(update={**moved, "fulfilments": parcels})
        except OverflowError as error:
            raise BadRecord(f"its times cannot be moved by {self._moved_by.days} days") from error

    def _moved_time(self, time: datetime | None) -> datetime | None:
        return time + self._moved_by if time else None


@contextmanager
def _replaced(path: Path) -> Iterator[TextIO]:
    """A text file that takes the place of `path` when the block ends, well or badly."""
    beside = path.with_name(f"{path.name}.part")
    try:
        with beside.open("w", encoding="utf-8") as file:
            yield file
    finally:
        os.replace(beside, path)
