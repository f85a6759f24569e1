"""Products and clauses as staff edit them, and what an import would do."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import yaml
from fastapi import APIRouter, Query, UploadFile
from pydantic import BaseModel

from agent.server.problems import Problem, responses
from agent.server.services import Server, Services
from agent.server.staff_routes import Id, Staff
from tools.kit.errors import ImportFailed, OperatorError
from tools.shop.importers import FORMATS, import_shop
from tools.shop.sqlite_shop import BadRecord, SqliteShop
from tools.shop.types import Clause, Product

router = APIRouter(prefix="/v1/staff", tags=["catalogue"])
LISTED = 100
MOST_IMPORT_BYTES = 50_000_000
MOST_UNPACKED_BYTES = 500_000_000
_FILE_NAMES = {"jsonl": "products.jsonl", "google-merchant": "feed.tsv", "json-ld": "products.json"}
"""How a file that comes alone is called in an import's folder; "products.csv" otherwise. Only its ending is taken from the upload."""


class CatalogList(BaseModel):
    """Products and clauses whose id, title or category hold the words asked for; of many, the first ones. Prices are in `currency`."""

    currency: str
    products: list[Product]
    clauses: list[Clause]


class RejectedRow(BaseModel):
    """A row that could not be read, and why."""

    line: str
    why: str


class Changes(BaseModel):
    """Ids of products and clauses, as "product:p001" and "clause:RET-1"."""

    added: list[str]
    changed: list[str]
    removed: list[str]


class ImportPreview(BaseModel):
    """What an import would take, and what it would change."""

    accepted: dict[str, int]
    rejected: list[RejectedRow]
    changes: Changes


@router.get("/catalog", responses=responses(401, 422))
def catalog(server: Server, _: Staff, query: Annotated[str, Query(max_length=200)] = "") -> CatalogList:
    """Look for products and clauses."""
    words = query.casefold().split()

    def fits(*texts: str) -> bool:
        whole = " ".join(texts).casefold()
        return all(word in whole for word in words)

    products = [each for each in server.shop.products() if fits(each.id, *each.title.all(), *each.category.all())]
    clauses = [each for each in server.shop.all_clauses() if fits(each.id, each.topic, *each.title.all(), *each.text.all())]
    return CatalogList(currency=server.shop.info.currency, products=products[:LISTED], clauses=clauses[:LISTED])


@router.get("/products/{product}", responses=responses(401, 404))
def product(server: Server, _: Staff, product: Id) -> Product:
    """A product as the shop's data have it."""
    found = server.shop.product(product)
    if found is None:
        raise Problem(404, "no_such_product", "The shop has no such product.")
    return found


@router.put("/products/{product}", responses=responses(401, 409, 422))
def put_product(server: Server, _: Staff, product: Id, body: Product) -> Product:
    """Change a product, or add one; it is found at once."""
    _put(server, product, body)
    return body


@router.get("/clauses/{clause}", responses=responses(401, 404))
def clause(server: Server, _: Staff, clause: Id) -> Clause:
    """A rule or answer as the shop's data have it."""
    found = server.shop.clause(clause)
    if found is None:
        raise Problem(404, "no_such_clause", "The shop has no such rule.")
    return found


@router.put("/clauses/{clause}", responses=responses(401, 409, 422))
def put_clause(server: Server, _: Staff, clause: Id, body: Clause) -> Clause:
    """Change a rule or answer, or add one; it is quoted at once. What policy.yaml decides is decided there still."""
    _put(server, clause, body)
    return body


def _put(server: Services, record_id: str, record: Product | Clause) -> None:
    if record.id != record_id:
        raise Problem(422, "invalid", "id: must be the one in the address.")
    try:
        server.shop.put(record)
    except BadRecord as error:
        raise Problem(422, "does_not_fit", str(error)) from error
    try:
        server.backing.reindex()
    except OperatorError as error:
        raise Problem(409, "not_indexed", f"It is kept, but not found yet: {error}") from error


@router.post("/import", responses=responses(401, 413, 415, 422), max_body_size=MOST_IMPORT_BYTES)
def preview_import(
    server: Server,
    _: Staff,
    file: UploadFile,
    format: Annotated[str, Query(max_length=30)],
    preview: Literal["true"] = "true",  # noqa: ARG001 (part of the address: nothing is ever imported from here)
) -> ImportPreview:
    """What `storehand import` would do with this file, or this ZIP of a folder. Nothing is changed."""
    if format not in FORMATS:
        raise Problem(422, "unknown_format", f"format: one of {', '.join(FORMATS)}.")
    with tempfile.TemporaryDirectory(prefix="storehand-import-") as name:
        source, target = Path(name) / "source", Path(name) / "shop"
        source.mkdir()
        _unpack(file, format, source)
        if not (source / "shop.yaml").exists():
            info = server.shop.info.model_dump(mode="json", exclude_none=True)
            (source / "shop.yaml").write_text(yaml.safe_dump(info, allow_unicode=True), "utf-8")
        try:
            report = import_shop(format, source, target)
        except ImportFailed as error:
            raise Problem(422, "import_failed", str(error).replace(name, "")) from error
        with SqliteShop.open(target) as new:
            changes = _compare(_records(server.shop), _records(new))
    rejected = [RejectedRow(line=each.where.replace(name, ""), why=each.reason) for each in report.rejected]
    return ImportPreview(accepted=report.accepted, rejected=rejected, changes=changes)


def _unpack(file: UploadFile, format: str, folder: Path) -> None:
    if not zipfile.is_zipfile(file.file):
        file.file.seek(0)
        target = folder / _FILE_NAMES.get(format, "products.csv")
        ending = PurePosixPath(file.filename or "").suffix.lower()
        with target.with_suffix(ending if ending in (".xml", ".txt", ".tsv", ".csv", ".html", ".json") else target.suffix).open(
            "wb"
        ) as copied:
            shutil.copyfileobj(file.file, copied)
        return
    file.file.seek(0)
    with zipfile.ZipFile(file.file) as packed:
        if sum(each.file_size for each in packed.infolist()) > MOST_UNPACKED_BYTES or len(packed.infolist()) > 100_000:
            raise Problem(413, "too_large", "The archive is too large when it is unpacked.")
        # zipfile keeps every name inside the folder, and stops at the size that an entry announces.
        packed.extractall(folder)


def _records(shop: SqliteShop) -> Iterator[tuple[str, str]]:
    for product in shop.products():
        yield f"product:{product.id}", product.model_dump_json()
    for clause in shop.all_clauses():
        yield f"clause:{clause.id}", clause.model_dump_json()


def _compare(old: Iterable[tuple[str, str]], new: Iterable[tuple[str, str]]) -> Changes:
    before, after = dict(old), dict(new)
    return Changes(
        added=[name for name in after if name not in before],
        changed=[name for name in after if name in before and before[name] != after[name]],
        removed=[name for name in before if name not in after],
    )
