"""Products, answers and rules as files: what a file would change, and then that change.

A file adds and changes; nothing is taken away. The whole shop, with its orders and customers, is imported by `storehand import`.
"""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import yaml
from fastapi import APIRouter, Query, UploadFile
from pydantic import BaseModel

from agent.server.catalog_routes import reindex
from agent.server.problems import Problem, responses
from agent.server.services import Server, Services
from agent.server.staff_routes import Staff
from tools.kit.errors import ImportFailed
from tools.shop.importers import FORMATS, Rejected, faq, import_shop
from tools.shop.importers.source import Located
from tools.shop.sqlite_shop import BadRecord, SqliteShop
from tools.shop.types import Clause, Product

router = APIRouter(prefix="/v1/staff", tags=["catalogue"])
MOST_IMPORT_BYTES = 50_000_000
MOST_UNPACKED_BYTES = 500_000_000
TEXTS = {"faq": "faq", "policies": "policies"}
"""Formats of files that hold answers or rules only, and the folder in which an import looks for these."""
_FILE_NAMES = {
    "jsonl": "products.jsonl",
    "google-merchant": "feed.tsv",
    "json-ld": "products.json",
    "faq": "faq.csv",
    "policies": "policies.md",
}
"""How a file that comes alone is called in an import's folder; "products.csv" otherwise. Only its ending is taken from the upload."""
_ENDINGS = (".xml", ".txt", ".tsv", ".csv", ".html", ".json", ".md")


class RejectedRow(BaseModel):
    """A row that could not be read, and why."""

    line: str
    why: str


class Changes(BaseModel):
    """Ids of products and clauses, as "product:p001" and "clause:RET-1". `missing`: those of the shop that the file
    does not have; they stay."""

    added: list[str]
    changed: list[str]
    missing: list[str]


class Import(BaseModel):
    """What a file holds, and what it changes or, with a preview, would change."""

    accepted: dict[str, int]
    rejected: list[RejectedRow]
    changes: Changes
    is_done: bool


@dataclass
class _Read:
    """A file's products and clauses by their names, and where its pictures lie."""

    records: dict[str, Product | Clause] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    accepted: Mapping[str, int] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)


@router.post("/import", responses=responses(401, 409, 413, 415, 422), max_body_size=MOST_IMPORT_BYTES)
def import_file(
    server: Server,
    _: Staff,
    file: UploadFile,
    format: Annotated[str, Query(max_length=30)],
    preview: Literal["true", "false"] = "true",
) -> Import:
    """Add and change products and clauses by a file, or by a ZIP of a folder; with `preview` only tell what that would be.

    `format` is one of `storehand import`, or "faq" or "policies" for a file of questions and answers, or of rules in words.
    """
    if format not in FORMATS and format not in TEXTS:
        raise Problem(422, "unknown_format", f"format: one of {', '.join([*FORMATS, *TEXTS])}.")
    with tempfile.TemporaryDirectory(prefix="storehand-import-") as name:
        source = Path(name) / "source"
        source.mkdir()
        _unpack(file, format, source)
        try:
            read = _texts(source) if format in TEXTS else _shop(server, source, Path(name) / "shop", format)
        except ImportFailed as error:
            # Staff know their file, not where it lay meanwhile.
            raise Problem(422, "import_failed", str(error).replace(f"{source}/", "").replace(name, "")) from error
        changes = _compare(server.shop, read.records)
        is_done = preview == "false"
        if is_done:
            read.rejected += _put(server, [read.records[each] for each in (*changes.added, *changes.changed)], read.pictures)
    rejected = [RejectedRow(line=each.where.replace(name, ""), why=each.reason) for each in read.rejected]
    return Import(accepted=dict(read.accepted), rejected=rejected, changes=changes, is_done=is_done)


def _shop(server: Services, source: Path, target: Path, format: str) -> _Read:
    """A shop made of the file, apart from the one that is served."""
    if not (source / "shop.yaml").exists():
        info = server.shop.info.model_dump(mode="json", exclude_none=True)
        (source / "shop.yaml").write_text(yaml.safe_dump(info, allow_unicode=True), "utf-8")
    report = import_shop(format, source, target)
    read = _Read(accepted=report.accepted, rejected=list(report.rejected))
    with SqliteShop.open(target) as made:
        read.records = dict(_named(made))
        for record in read.records.values():
            if isinstance(record, Product):
                read.pictures.update({name: made.picture(name) for name in record.pictures})
    return read


def _texts(source: Path) -> _Read:
    read = _Read()
    for entry in faq.read(source):
        if isinstance(entry, Located) and isinstance(entry.record, Clause):
            read.records[f"clause:{entry.record.id}"] = entry.record
        elif isinstance(entry, Rejected):
            read.rejected.append(entry)
    if not read.records:
        first = f" The first: {read.rejected[0].where}: {read.rejected[0].reason}." if read.rejected else ""
        raise ImportFailed(f"No text could be read: a CSV has the columns question and answer, Markdown has headings.{first}")
    read.accepted = {"clauses": len(read.records)}
    return read


def _put(server: Services, records: list[Product | Clause], pictures: Mapping[str, Path]) -> list[Rejected]:
    """Write the records, exceptions after what they are exceptions to; those that do not fit."""
    refused = []
    for record in sorted(records, key=lambda each: len(each.overrides) if isinstance(each, Clause) else 0):
        try:
            if isinstance(record, Product):
                for name in record.pictures:
                    server.shop.add_picture(name, pictures[name])
            server.shop.put(record)
        except BadRecord as error:
            refused.append(Rejected(record.id, str(error)))
    if len(refused) < len(records):
        reindex(server)
    return refused


def _unpack(file: UploadFile, format: str, folder: Path) -> None:
    if not zipfile.is_zipfile(file.file):
        file.file.seek(0)
        inside = folder / TEXTS.get(format, ".")
        inside.mkdir(exist_ok=True)
        target = inside / _FILE_NAMES.get(format, "products.csv")
        ending = PurePosixPath(file.filename or "").suffix.lower()
        with target.with_suffix(ending if ending in _ENDINGS else target.suffix).open("wb") as copied:
            shutil.copyfileobj(file.file, copied)
        return
    file.file.seek(0)
    with zipfile.ZipFile(file.file) as packed:
        if sum(each.file_size for each in packed.infolist()) > MOST_UNPACKED_BYTES or len(packed.infolist()) > 100_000:
            raise Problem(413, "too_large", "The archive is too large when it is unpacked.")
        # zipfile keeps every name inside the folder, and stops at the size that an entry announces.
        packed.extractall(folder)


def _named(shop: SqliteShop) -> Iterator[tuple[str, Product | Clause]]:
    for product in shop.products():
        yield f"product:{product.id}", product
    for clause in shop.all_clauses():
        yield f"clause:{clause.id}", clause


def _compare(shop: SqliteShop, new: Mapping[str, Product | Clause]) -> Changes:
    before = dict(_named(shop))
    kinds = {name.partition(":")[0] for name in new}
    return Changes(
        added=[name for name in new if name not in before],
        changed=[name for name in new if name in before and before[name] != new[name]],
        missing=[name for name in before if name not in new and name.partition(":")[0] in kinds],
    )
