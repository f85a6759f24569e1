"""A shop in one SQLite file: `DIR/shop.sqlite`, with its pictures below `DIR/pictures/` and its rules in `DIR/policy.yaml`.

Reading never writes and may happen in any thread, while an import runs too: readers see the old shop until the import
commits, then the new one. It does not know where the records came from; that is tools/shop/importers/.
"""

import hashlib
import json
import os
import re
import shutil
import sqlite3
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from datetime import date
from functools import lru_cache
from itertools import groupby
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from tools.kit.errors import BadSettings, ShopMissing
from tools.kit.transaction import transaction
from tools.shop.ledger import Ledger, Truth
from tools.shop.policy import Policy, load_policy
from tools.shop.types import Basket, Clause, Customer, Order, Product, Review, ShopInfo, SizeChart

ShopRecord = ShopInfo | Product | Customer | Order | Clause | Basket | SizeChart | Review
"""What a shop is written from."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE products (
        id TEXT PRIMARY KEY, title TEXT NOT NULL, description TEXT, category TEXT NOT NULL, brand TEXT,
        attributes TEXT NOT NULL, keywords TEXT NOT NULL, pictures TEXT NOT NULL
    );
    CREATE TABLE variants (
        id TEXT PRIMARY KEY, product_id TEXT NOT NULL REFERENCES products, position INTEGER NOT NULL,
        options TEXT NOT NULL, price_cents INTEGER CHECK (price_cents >= 0), stock INTEGER CHECK (stock >= 0)
    );
    CREATE INDEX variants_of_product ON variants (product_id, position);
    CREATE TABLE customers (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, phone TEXT, language TEXT, address TEXT NOT NULL
    );
    CREATE TABLE payment_methods (
        customer_id TEXT NOT NULL REFERENCES customers, position INTEGER NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
        brand TEXT, last_four TEXT, balance_cents INTEGER CHECK (balance_cents >= 0), PRIMARY KEY (customer_id, position)
    );
    CREATE TABLE orders (
        id TEXT PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers, placed_at TEXT, status TEXT NOT NULL,
        currency TEXT NOT NULL, address TEXT NOT NULL
    );
    CREATE INDEX orders_of_customer ON orders (customer_id);
    CREATE TABLE order_items (
        order_id TEXT NOT NULL REFERENCES orders, position INTEGER NOT NULL, product_id TEXT NOT NULL REFERENCES products,
        variant_id TEXT NOT NULL REFERENCES variants, title TEXT NOT NULL, options TEXT NOT NULL,
        quantity INTEGER NOT NULL CHECK (quantity > 0), unit_price_cents INTEGER NOT NULL CHECK (unit_price_cents >= 0),
        PRIMARY KEY (order_id, position)
    );
    CREATE TABLE fulfilments (
        order_id TEXT NOT NULL REFERENCES orders, position INTEGER NOT NULL, carrier TEXT NOT NULL,
        tracking_number TEXT NOT NULL, variant_ids TEXT NOT NULL, shipped_at TEXT, expected_at TEXT, delivered_at TEXT,
        PRIMARY KEY (order_id, position)
    );
    CREATE TABLE payments (
        order_id TEXT NOT NULL REFERENCES orders, position INTEGER NOT NULL, kind TEXT NOT NULL,
        amount_cents INTEGER NOT NULL CHECK (amount_cents >= 0), payment_method_id TEXT NOT NULL,
        PRIMARY KEY (order_id, position)
    );
    CREATE TABLE clauses (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, topic TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL,
        questions TEXT NOT NULL, overrides TEXT NOT NULL, effective_from TEXT, effective_to TEXT
    );
    CREATE TABLE baskets (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, customer_id TEXT, placed_at TEXT);
    CREATE TABLE basket_items (
        basket INTEGER NOT NULL REFERENCES baskets, product_id TEXT NOT NULL REFERENCES products,
        PRIMARY KEY (basket, product_id)
    ) WITHOUT ROWID;
    CREATE INDEX baskets_of_product ON basket_items (product_id, basket);
    """,
    """
    ALTER TABLE orders ADD COLUMN discounts TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE orders ADD COLUMN shipping_cents INTEGER NOT NULL DEFAULT 0 CHECK (shipping_cents >= 0);
    CREATE TABLE size_charts (
        id TEXT PRIMARY KEY, brand TEXT, categories TEXT NOT NULL, audience TEXT, rows TEXT NOT NULL
    );
    CREATE TABLE reviews (
        id TEXT PRIMARY KEY, product_id TEXT NOT NULL REFERENCES products, customer_id TEXT, rating INTEGER, size TEXT,
        text TEXT NOT NULL
    );
    CREATE INDEX reviews_of_product ON reviews (product_id);
    CREATE INDEX customers_by_email ON customers (email COLLATE NOCASE);
    -- What was agreed and done: kept when the shop is imported anew, so that nothing is ever refunded twice.
    CREATE TABLE quotes (
        id TEXT PRIMARY KEY, customer_id TEXT NOT NULL, order_id TEXT, kind TEXT NOT NULL, made_at TEXT NOT NULL,
        valid_until TEXT NOT NULL, quote TEXT NOT NULL, committed_at TEXT, status TEXT NOT NULL
    );
    CREATE INDEX quotes_of_order ON quotes (order_id);
    CREATE TABLE ledger (
        entry INTEGER PRIMARY KEY, at TEXT NOT NULL, quote_id TEXT NOT NULL REFERENCES quotes, customer_id TEXT NOT NULL,
        order_id TEXT, kind TEXT NOT NULL, payment_method_id TEXT, amount_cents INTEGER NOT NULL CHECK (amount_cents >= 0),
        currency TEXT NOT NULL
    );
    CREATE TRIGGER ledger_is_never_changed BEFORE UPDATE ON ledger BEGIN SELECT RAISE (ABORT, 'the ledger is append-only'); END;
    CREATE TRIGGER ledger_is_never_cut BEFORE DELETE ON ledger BEGIN SELECT RAISE (ABORT, 'the ledger is append-only'); END;
    CREATE TABLE lookups (at TEXT NOT NULL, subject TEXT NOT NULL, succeeded INTEGER NOT NULL);
    CREATE INDEX lookups_of_subject ON lookups (subject, at);
    """,
    # "INSERT OR REPLACE" would rewrite a line without waking the trigger on deletion.
    """
    CREATE TRIGGER ledger_is_never_rewritten BEFORE INSERT ON ledger
    WHEN EXISTS (SELECT 1 FROM ledger WHERE entry = NEW.entry)
    BEGIN SELECT RAISE (ABORT, 'the ledger is append-only'); END;
    """,
    "DROP INDEX baskets_of_product; CREATE INDEX baskets_of_customer ON baskets (customer_id);",
)
"""Step n takes a database from user_version n to n + 1. Steps are only ever appended."""

# Children before their parents, so that emptying them in this order breaks no reference.
_TABLES = (
    *("reviews", "size_charts", "basket_items", "baskets", "clauses", "payments", "fulfilments", "order_items", "orders"),
    *("payment_methods", "customers", "variants", "products", "meta"),
)
_JSON_COLUMNS = frozenset(
    (
        *("title", "description", "category", "attributes", "keywords", "pictures", "options", "address"),
        *("variant_ids", "text", "questions", "overrides", "discounts", "categories", "rows"),
    )
)
BUSY_SECONDS = 30.0
"""How long to wait for another writer to end."""
_PICTURE_SET = "set-"
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class BadRecord(ValueError):
    """A record that does not fit into the shop as it is so far; the message says why."""


def is_picture_name(name: str) -> bool:
    """Whether `name` names a file below a folder and cannot lead out of it."""
    path = PurePosixPath(name)
    return 0 < len(name) <= 200 and not path.is_absolute() and ".." not in path.parts and not set(name) & set("\\\0:")


class SqliteShop:
    """The `Shop` over a folder that `storehand import` wrote; close it, or use it in a `with`."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self._folder = folder
        self._connection = connection
        self._lock = threading.RLock()
        self._options: tuple[str, Mapping[str, frozenset[str]]] = "", {}
        ids = [row["id"] for row in connection.execute("SELECT id FROM clauses")]
        self._take_policy(load_policy(folder / "policy.yaml", ids))

    def _take_policy(self, policy: Policy) -> None:
        truth = Truth(info=read_info, customer=read_customer, orders=read_orders, product=read_product)
        self._policy, self._ledger = policy, Ledger(self._writable, policy, truth)

    def _writable(self) -> AbstractContextManager[sqlite3.Connection]:
        connection = _connect(self._folder / "shop.sqlite", writable=True)
        # Money that was moved stays moved, even if the power fails the moment after.
        connection.execute("PRAGMA synchronous = FULL")
        return closing(connection)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the shop in `folder` for reading, bringing an older database up to date first.

        Raises ShopMissing if there is no shop, none that is whole, or one of a newer Storehand.
        """
        file = folder / "shop.sqlite"
        next_step = f"run 'storehand import FORMAT SOURCE --shop {folder}' first"
        if not file.is_file():
            raise ShopMissing(f"no shop in '{folder}'; {next_step}.")
        try:
            with ExitStack() as on_failure:
                connection = on_failure.enter_context(closing(_connect(file)))
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version > len(MIGRATIONS):
                    raise ShopMissing(f"'{file}' was written by a newer Storehand (version {version}); update Storehand.")
                if 0 < version < len(MIGRATIONS):
                    with closing(_connect(file, writable=True)) as writable:
                        _migrate(writable)
                if not version or not connection.execute("SELECT 1 FROM meta WHERE key = 'info'").fetchone():
                    raise ShopMissing(f"the import into '{folder}' was never finished; {next_step}.")
                on_failure.pop_all()
        except sqlite3.DatabaseError as error:
            raise ShopMissing(f"'{file}' cannot be read as a shop ({error}); {next_step}.") from error
        return cls(folder, connection)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def info(self) -> ShopInfo:
        """Name, currency and words of the shop."""
        return _parsed_info(self._meta("info"))

    @property
    def policy(self) -> Policy:
        """The rules of policy.yaml in the shop's folder, as they were when the shop was opened or they were last replaced."""
        return self._policy

    @property
    def ledger(self) -> Ledger:
        """Prepares and commits quotes."""
        return self._ledger

    @property
    def version(self) -> str:
        """A hash of all products, their pictures and all clauses, whatever order they were imported in."""
        return self._meta("version")

    def products(self) -> Iterator[Product]:
        """Every product, by id, all as they were at one moment."""
        # A connection of its own, so that a slow reader neither blocks others nor sees half of a new import.
        with closing(_connect(self._folder / "shop.sqlite")) as connection:
            connection.execute("BEGIN")
            variants = groupby(
                connection.execute(
                    "SELECT product_id, id, options, price_cents, stock FROM variants ORDER BY product_id, position"
                ),
                key=lambda row: row["product_id"],
            )
            for row in connection.execute("SELECT * FROM products ORDER BY id"):
                # Every product has a variant, so the two cursors move in step.
                product_id, its_variants = next(variants)
                assert product_id == row["id"]
                yield _product(row, list(its_variants))

    def product(self, product_id: str) -> Product | None:
        """The product with this id, with today's prices and stock."""
        with self._snapshot() as connection:
            return read_product(connection, product_id)

    def option_values(self, name: str) -> frozenset[str]:
        """Every value that some variant has for the option `name`, like all colours."""
        with self._snapshot() as connection:
            (version,) = connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
            if self._options[0] != version:
                # Half a second for 20,000 products, and a search asks a hundred times.
                rows = connection.execute("SELECT DISTINCT key, value FROM variants, json_each(variants.options)").fetchall()
                values: defaultdict[str, set[str]] = defaultdict(set)
                for option, value in rows:
                    values[option].add(value)
                self._options = version, {option: frozenset(its) for option, its in values.items()}
            return self._options[1].get(name, frozenset())

    def clauses(self, on: date) -> list[Clause]:
        """The clauses in force on that day, by id."""
        day = on.isoformat()
        with self._snapshot() as connection:
            rows = connection.execute(
                "SELECT * FROM clauses WHERE (effective_from IS NULL OR effective_from <= ?)"
                " AND (effective_to IS NULL OR effective_to >= ?) ORDER BY id",
                (day, day),
            ).fetchall()
        return [Clause.model_validate(_values(row)) for row in rows]

    def all_clauses(self) -> list[Clause]:
        """Every clause, in force or not, by id."""
        with self._snapshot() as connection:
            rows = connection.execute("SELECT * FROM clauses ORDER BY id").fetchall()
        return [Clause.model_validate(_values(row)) for row in rows]

    def clause(self, clause_id: str) -> Clause | None:
        """The clause with this id, in force or not."""
        with self._snapshot() as connection:
            row = connection.execute("SELECT * FROM clauses WHERE id = ?", (clause_id,)).fetchone()
        return Clause.model_validate(_values(row)) if row else None

    def customer(self, customer_id: str) -> Customer | None:
        """The customer with this id."""
        with self._snapshot() as connection:
            return read_customer(connection, customer_id)

    def orders_of(self, customer_id: str) -> list[Order]:
        """This customer's orders, newest first; undated ones last, by id."""
        with self._snapshot() as connection:
            orders = read_orders(connection, customer_id)
        return sorted(orders, key=lambda order: (-order.placed_at.timestamp() if order.placed_at else float("inf"), order.id))

    def customers(self) -> Iterator[Customer]:
        """Every customer, by id."""
        with self._snapshot() as connection:
            ids = [row["id"] for row in connection.execute("SELECT id FROM customers ORDER BY id")]
        for customer_id in ids:
            if customer := self.customer(customer_id):
                yield customer

    def customers_by_email(self, email: str) -> list[Customer]:
        """The customers with this e-mail address, in any case."""
        if not email.strip():
            return []
        with self._snapshot() as connection:
            rows = connection.execute("SELECT id FROM customers WHERE email = ? COLLATE NOCASE", (email.strip(),)).fetchall()
        return [customer for row in rows if (customer := self.customer(row["id"]))]

    def customers_by_postcode(self, postcode: str) -> list[Customer]:
        """The customers whose own address has this postcode, in any case and spacing."""
        if not postcode.strip():
            return []
        with self._snapshot() as connection:
            rows = connection.execute(
                "SELECT id FROM customers WHERE replace(upper(json_extract(address, '$.postcode')), ' ', '') = ?",
                (postcode.upper().replace(" ", ""),),
            ).fetchall()
        return [customer for row in rows if (customer := self.customer(row["id"]))]

    def size_charts(self) -> list[SizeChart]:
        """Every size chart, by id."""
        with self._snapshot() as connection:
            rows = connection.execute("SELECT * FROM size_charts ORDER BY id").fetchall()
        return [SizeChart.model_validate(_values(row)) for row in rows]

    def reviews_of(self, product_id: str) -> list[Review]:
        """What buyers wrote of the product, by id."""
        with self._snapshot() as connection:
            rows = connection.execute("SELECT * FROM reviews WHERE product_id = ? ORDER BY id", (product_id,)).fetchall()
        return [Review.model_validate(_values(row)) for row in rows]

    @property
    def import_id(self) -> str:
        """Names the import that the records are of: what was learnt from the baskets of another one is stale."""
        return self._meta("pictures")

    def baskets(self, customer_id: str | None = None) -> list[Basket]:
        """Past baskets, by id, all or one customer's; where the shop was given none, what was ordered and not cancelled."""
        whose = "TRUE" if customer_id is None else "customer_id = ?"
        with self._snapshot() as connection:
            given = connection.execute("SELECT 1 FROM baskets").fetchone()
            rows = connection.execute(
                "SELECT id, customer_id, placed_at, product_id FROM baskets JOIN basket_items ON basket = number"
                f" WHERE {whose} ORDER BY id, product_id"
                if given
                else "SELECT DISTINCT id, customer_id, placed_at, product_id FROM orders JOIN order_items ON order_id = id"
                f" WHERE status <> 'cancelled' AND {whose} ORDER BY id, product_id",
                () if customer_id is None else (customer_id,),
            ).fetchall()
        return [
            Basket(
                id=basket_id,
                product_ids=tuple(row["product_id"] for row in its_rows),
                customer_id=its_rows[0]["customer_id"],
                placed_at=its_rows[0]["placed_at"],
            )
            for basket_id, group in groupby(rows, key=lambda row: row["id"])
            for its_rows in [list(group)]
        ]

    def picture(self, name: str) -> Path:
        """The file of a picture that a product names. Raises FileNotFoundError for any other name."""
        path = self._folder / "pictures" / self._meta("pictures") / name
        if not is_picture_name(name) or not path.is_file():
            raise FileNotFoundError(f"no picture '{name}' in the shop in '{self._folder}'")
        return path

    def add_picture(self, name: str, file: Path) -> None:
        """Take a picture for a product that is put next, in the place of the one with its name. Raises BadRecord for a bad name."""
        if not is_picture_name(name):
            raise BadRecord(f"pictures: '{name}' is no file name")
        path = self._folder / "pictures" / self._meta("pictures") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        shutil.copyfile(file, part)
        part.replace(path)

    def policy_text(self) -> str:
        """The text of policy.yaml; empty if there is none."""
        file = self._folder / "policy.yaml"
        return file.read_text("utf-8") if file.is_file() else ""

    def replace_policy(self, text: str, *, only_check: bool = False) -> None:
        """Put rules in the place of policy.yaml; they hold from the next message on. The next import may overwrite them.

        Raises BadSettings as load_policy does, with nothing changed; with `only_check` that is all it does.
        """
        with self._lock:
            ids = [row["id"] for row in self._connection.execute("SELECT id FROM clauses")]
        file = self._folder / "policy.yaml"
        part = file.with_name(f"policy.{os.getpid()}.yaml")
        try:
            part.write_text(text, "utf-8")
            policy = load_policy(part, ids)
            if not only_check:
                part.replace(file)
                self._take_policy(policy)
        except BadSettings as error:
            raise BadSettings(str(error).replace(str(part), file.name)) from error
        finally:
            part.unlink(missing_ok=True)

    def put(self, record: Product | Clause) -> None:
        """Write one product or clause, in the place of the one with its id. The next import of the whole shop overwrites it.

        Raises BadRecord, with nothing changed, if it does not fit: a picture that is not there, a variant of another product, one that
        is left out though it was ordered, an exception to a clause that is not there.
        """
        text = record.model_dump_json()
        if _ESCAPED_NUL.search(text):
            raise BadRecord("a text contains a NUL character")
        with self._writable() as connection, transaction(connection):
            try:
                if isinstance(record, Product):
                    self._put_product(connection, record)
                else:
                    for missing in set(record.overrides) - {row["id"] for row in connection.execute("SELECT id FROM clauses")}:
                        raise BadRecord(f"overrides: the shop has no clause '{missing}'")
                    _upsert(connection, "clauses", record.model_dump(mode="json"))
            except (sqlite3.IntegrityError, OverflowError) as error:
                raise BadRecord(f"it does not fit: {error}") from error
            version = _digest(self.version, type(record).__name__, text)
            connection.execute("UPDATE meta SET value = ? WHERE key = 'version'", (version,))

    def _put_product(self, connection: sqlite3.Connection, product: Product) -> None:
        for name in product.pictures:
            try:
                self.picture(name)
            except FileNotFoundError as error:
                raise BadRecord(f"pictures: there is no file for '{name}'") from error
        _upsert(connection, "products", product.model_dump(mode="json", exclude={"variants"}))
        kept = {row["id"]: row["product_id"] for row in connection.execute("SELECT id, product_id FROM variants")}
        for position, variant in enumerate(product.variants):
            if kept.get(variant.id, product.id) != product.id:
                raise BadRecord(f"variants: '{variant.id}' is one of product '{kept[variant.id]}'")
            values = {"product_id": product.id, "position": position, **variant.model_dump(mode="json")}
            _upsert(connection, "variants", values)
        wanted = [variant.id for variant in product.variants]
        if len(set(wanted)) < len(wanted):
            raise BadRecord("variants: an id occurs twice")
        for left_out in [each for each, owner in kept.items() if owner == product.id and each not in wanted]:
            if connection.execute("SELECT 1 FROM order_items WHERE variant_id = ?", (left_out,)).fetchone():
                raise BadRecord(f"variants: '{left_out}' was ordered and has to stay; give it a stock of 0")
            connection.execute("DELETE FROM variants WHERE id = ?", (left_out,))

    def _meta(self, key: str) -> str:
        with self._lock:
            (value,) = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(value)

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        """The connection for this thread alone; all queries in it see the shop of one moment."""
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("COMMIT")


class ShopWriter:
    """Writes a whole shop in the place of the one that a folder holds; importers only.

    `with ShopWriter(folder) as writer: writer.add(record)…`: the shop info first, and what is referred to before what
    refers to it. The end of the `with` publishes the new shop at once; an error in it, or the end of the process, leaves the
    old shop as it was. Raises sqlite3.OperationalError if another import is writing to the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._info: ShopInfo | None = None
        self._published = False
        self._ids: dict[type[ShopRecord], set[str]] = defaultdict(set)
        self._product_of_variant: dict[str, str] = {}
        self._digests: list[str] = []

    def __enter__(self) -> Self:
        # Pictures lie in a folder of their own for each import; which one holds is decided by the commit of the database.
        self._pictures = self._folder / "pictures" / f"{_PICTURE_SET}{uuid4().hex[:12]}"
        self._folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as on_failure:
            self._connection = on_failure.enter_context(closing(_connect(self._folder / "shop.sqlite", writable=True)))
            _migrate(self._connection)
            self._connection.execute("BEGIN IMMEDIATE")
            for table in _TABLES:
                self._connection.execute(f"DELETE FROM {table}")
            self._pictures.mkdir(parents=True)
            on_failure.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with closing(self._connection) as connection:
            try:
                if error is None:
                    self._publish()
            finally:
                if not self._published:
                    # On a full disk SQLite has rolled back by itself.
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    shutil.rmtree(self._pictures, ignore_errors=True)

    def add(self, record: ShopRecord, pictures: Mapping[str, Path] | None = None) -> None:
        """Take over one record, and for a product copies of the picture files that its names stand for.

        Raises BadRecord, with nothing of it kept, if the record does not fit.
        """
        text = record.model_dump_json()
        if _ESCAPED_NUL.search(text):
            raise BadRecord("a text contains a NUL character")
        self._connection.execute("SAVEPOINT record")
        try:
            self._take_over(record, pictures or {})
        except (BadRecord, OverflowError) as error:
            self._connection.execute("ROLLBACK TO record")
            self._connection.execute("RELEASE record")
            raise error if isinstance(error, BadRecord) else BadRecord("a number is too large") from error
        self._connection.execute("RELEASE record")
        if not isinstance(record, ShopInfo):
            self._ids[type(record)].add(record.id)
        if isinstance(record, Product | Clause):
            self._digests.append(_digest(type(record).__name__, text))

    def _take_over(self, record: ShopRecord, pictures: Mapping[str, Path]) -> None:
        match record:
            case ShopInfo():
                self._info = record
            case Product():
                self._add_product(record, pictures)
            case Customer():
                self._add_customer(record)
            case Order():
                self._add_order(record)
            case Clause():
                self._insert_new(record)
            case Basket():
                self._add_basket(record)
            case SizeChart():
                self._insert_new(record)
            case Review():
                if record.product_id not in self._ids[Product]:
                    raise BadRecord(f"product_id: the shop has no product '{record.product_id}'")
                self._insert_new(record)

    def _publish(self) -> None:
        assert self._info, "a shop has its info"
        self._insert("meta", {"key": "info", "value": self._info.model_dump_json()})
        self._insert("meta", {"key": "version", "value": _digest(*sorted(self._digests))})
        self._insert("meta", {"key": "pictures", "value": self._pictures.name})
        self._connection.execute("COMMIT")
        self._published = True
        for old in self._pictures.parent.glob(f"{_PICTURE_SET}*"):
            if old.name != self._pictures.name:
                shutil.rmtree(old, ignore_errors=True)
        # What was written lies in the write-ahead log. It goes to the file now, or later if somebody is reading: no waiting.
        self._connection.execute("PRAGMA busy_timeout = 0")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _add_product(self, product: Product, pictures: Mapping[str, Path]) -> None:
        for name in product.pictures:
            if not is_picture_name(name):
                raise BadRecord(f"pictures: '{name}' is no file name below the pictures folder")
            if name not in pictures:
                raise BadRecord(f"pictures: there is no file for '{name}'")
        self._insert_new(product, leave_out=("variants",))
        variant_ids = Counter(variant.id for variant in product.variants)
        for variant_id, times in variant_ids.items():
            if variant_id in self._product_of_variant or times > 1:
                raise BadRecord(f"variants: id '{variant_id}' occurs twice")
        for position, variant in enumerate(product.variants):
            self._insert("variants", {"product_id": product.id, "position": position, **variant.model_dump(mode="json")})
        for name in product.pictures:
            self._copy_picture(name, pictures[name])
        self._product_of_variant.update(dict.fromkeys(variant_ids, product.id))

    def _copy_picture(self, name: str, file: Path) -> None:
        target = self._pictures / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            with target.open("rb") as copied:
                self._digests.append(_digest("picture", name, hashlib.file_digest(copied, "sha256").hexdigest()))

    def _add_customer(self, customer: Customer) -> None:
        self._insert_new(customer, leave_out=("payment_methods",))
        for position, method in enumerate(customer.payment_methods):
            values = {"customer_id": customer.id, "position": position, **method.model_dump(mode="json")}
            self._insert("payment_methods", values)

    def _add_order(self, order: Order) -> None:
        if self._info and order.currency != self._info.currency:
            raise BadRecord(f"currency: '{order.currency}', but the shop sells in {self._info.currency}")
        if order.customer_id not in self._ids[Customer]:
            raise BadRecord(f"customer_id: the shop has no customer '{order.customer_id}'")
        for item in order.items:
            if self._product_of_variant.get(item.variant_id) != item.product_id:
                raise BadRecord(f"items: the shop has no variant '{item.variant_id}' of a product '{item.product_id}'")
        unordered = {id for fulfilment in order.fulfilments for id in fulfilment.variant_ids}
        unordered -= {item.variant_id for item in order.items}
        if unordered:
            raise BadRecord(f"fulfilments: variant '{min(unordered)}' was not ordered")
        self._insert_new(order, leave_out=("items", "fulfilments", "payments"))
        parts = (("order_items", order.items), ("fulfilments", order.fulfilments), ("payments", order.payments))
        for table, rows in parts:
            for position, row in enumerate(rows):
                self._insert(table, {"order_id": order.id, "position": position, **row.model_dump(mode="json")})

    def _add_basket(self, basket: Basket) -> None:
        if basket.customer_id is not None and basket.customer_id not in self._ids[Customer]:
            raise BadRecord(f"customer_id: the shop has no customer '{basket.customer_id}'")
        if unknown := set(basket.product_ids) - self._ids[Product]:
            raise BadRecord(f"product_ids: the shop has no product '{min(unknown)}'")
        number = self._insert_new(basket, leave_out=("product_ids",))
        self._connection.executemany(
            "INSERT INTO basket_items (basket, product_id) VALUES (?, ?)",
            [(number, product_id) for product_id in sorted(set(basket.product_ids))],
        )

    def _insert_new(
        self, record: Product | Customer | Order | Clause | Basket | SizeChart | Review, leave_out: Sequence[str] = ()
    ) -> int | None:
        if record.id in self._ids[type(record)]:
            raise BadRecord(f"id: '{record.id}' occurs twice; the first one is kept")
        return self._insert(table_of(type(record)), record.model_dump(mode="json", exclude=set(leave_out)))

    def _insert(self, table: str, values: dict[str, Any]) -> int | None:
        columns, blanks = ", ".join(values), ", ".join("?" * len(values))
        return self._connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({blanks})", _cells(values)).lastrowid


def _cells(values: dict[str, Any]) -> list[Any]:
    return [
        json.dumps(value, ensure_ascii=False) if name in _JSON_COLUMNS and value is not None else value
        for name, value in values.items()
    ]


def _upsert(connection: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
    columns, blanks = ", ".join(values), ", ".join("?" * len(values))
    changes = ", ".join(f"{name} = excluded.{name}" for name in values if name != "id")
    connection.execute(
        f"INSERT INTO {table} ({columns}) VALUES ({blanks}) ON CONFLICT (id) DO UPDATE SET {changes}", _cells(values)
    )


def table_of(kind: type[ShopRecord]) -> str:
    """The table and file name of a kind of record: SizeChart is kept in "size_charts"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower() + "s"


def read_product(connection: sqlite3.Connection, product_id: str) -> Product | None:
    """The product with this id, as the connection sees it now."""
    row = connection.execute("SELECT * FROM products WHERE id = ?", (product_id,)).fetchone()
    variants = connection.execute(
        "SELECT product_id, id, options, price_cents, stock FROM variants WHERE product_id = ? ORDER BY position", (product_id,)
    ).fetchall()
    return _product(row, variants) if row else None


def read_customer(connection: sqlite3.Connection, customer_id: str) -> Customer | None:
    """The customer with this id, as the connection sees them now."""
    row = connection.execute("SELECT * FROM customers WHERE id = ?", (customer_id,)).fetchone()
    methods = connection.execute(
        "SELECT id, kind, brand, last_four, balance_cents FROM payment_methods WHERE customer_id = ? ORDER BY position",
        (customer_id,),
    ).fetchall()
    if not row:
        return None
    return Customer.model_validate({**_values(row), "payment_methods": [dict(method) for method in methods]})


def read_info(connection: sqlite3.Connection) -> ShopInfo:
    """What holds for the whole shop."""
    (value,) = connection.execute("SELECT value FROM meta WHERE key = 'info'").fetchone()
    return _parsed_info(value)


@lru_cache(maxsize=8)
def _parsed_info(text: str) -> ShopInfo:
    return ShopInfo.model_validate_json(text)


def read_orders(connection: sqlite3.Connection, customer_id: str) -> list[Order]:
    """The customer's orders with their parts, as the connection sees them now."""
    rows = connection.execute("SELECT * FROM orders WHERE customer_id = ? ORDER BY id", (customer_id,)).fetchall()
    parts: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for part, table in (("items", "order_items"), ("fulfilments", "fulfilments"), ("payments", "payments")):
        parts[part] = defaultdict(list)
        for row in connection.execute(
            f"SELECT {table}.* FROM {table} JOIN orders ON orders.id = order_id WHERE customer_id = ? ORDER BY order_id, position",
            (customer_id,),
        ):
            parts[part][row["order_id"]].append(_values(row, leave_out=("order_id", "position")))
    return [
        Order.model_validate({**_values(row), **{part: by_order[row["id"]] for part, by_order in parts.items()}})
        for row in rows
    ]


def _connect(file: Path, *, writable: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{file.absolute().as_uri()}?mode={'rwc' if writable else 'ro'}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,  # transactions begin and end where this module says so
        check_same_thread=False,  # SqliteShop guards its connection with a lock
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise sqlite3.DatabaseError(f"the database was written by a newer Storehand (version {version})")
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;")


def _product(row: sqlite3.Row, variants: Sequence[sqlite3.Row]) -> Product:
    return _parsed_product(_items(row), tuple(_items(one) for one in variants))


_Items = tuple[tuple[str, str | int | None], ...]


@lru_cache(maxsize=5000)
def _parsed_product(row: _Items, variants: tuple[_Items, ...]) -> Product:
    """The product of these very values: one turn asks for the same dozens of products several times over."""
    parsed = [{name: value for name, value in _parsed(one).items() if name != "product_id"} for one in variants]
    return Product.model_validate({**_parsed(row), "variants": parsed})


def _items(row: sqlite3.Row) -> _Items:
    return tuple(zip(row.keys(), row, strict=True))


def _parsed(items: _Items) -> dict[str, Any]:
    return {name: json.loads(str(value)) if name in _JSON_COLUMNS and value is not None else value for name, value in items}


def _values(row: sqlite3.Row, leave_out: Sequence[str] = ()) -> dict[str, Any]:
    return {name: value for name, value in _parsed(_items(row)).items() if name not in leave_out}


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
