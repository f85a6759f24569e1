"""Where quotes are kept and carried out: one SQLite transaction for each commit, so that it happens once or not at all.

Only code calls `commit`, after the customer agreed to that very quote. What was done stands in the table `quotes`, what money it
moved or promised in `ledger`, which the database itself refuses to change or cut.
"""

import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from tools.kit.errors import StorehandError
from tools.kit.transaction import transaction
from tools.shop.policy import Policy
from tools.shop.quotes import (
    AddressChangeRequest,
    CancellationRequest,
    CustomerAddressRequest,
    ExchangeRequest,
    ItemChangeRequest,
    NotAllowed,
    PaymentChangeRequest,
    Quote,
    Request,
    ReturnRequest,
    State,
    changed_items,
    kept_units,
    pieces_of,
    work_out,
)
from tools.shop.types import Customer, Order, OrderItem, Payment, Product, ShopInfo

TRIES = 5
"""Wrong answers to "who are you?" within `TRIES_WITHIN`, for one conversation and for one e-mail address or postcode."""
TRIES_WITHIN = timedelta(hours=1)

LedgerKind = Literal["payment", "refund", "refund_promised", "promise_kept"]


@dataclass(frozen=True)
class LedgerEntry:
    """One line of the ledger. `refund_promised` is money that waits for a parcel, `promise_kept` that the parcel came."""

    at: datetime
    quote_id: str
    order_id: str | None
    kind: LedgerKind
    payment_method_id: str | None
    amount_cents: int


class UnknownQuote(StorehandError):
    """There is no such quote for this customer; one of somebody else counts as none."""


class QuoteChanged(StorehandError):
    """What was agreed to no longer holds: it expired, or order, price, stock or policy changed. `quote` is the new one."""

    def __init__(self, why: Literal["expired", "changed"], quote: Quote) -> None:
        super().__init__(f"the quote {why}; a new one was made: {quote.id}")
        self.why, self.quote = why, quote


@dataclass(frozen=True)
class Committed:
    """What was done; `again` if it had been done before and nothing was done now."""

    quote: Quote
    at: datetime
    again: bool = False


@dataclass(frozen=True)
class Truth:
    """How the ledger reads the shop through its own connection, inside its own transaction."""

    info: Callable[[sqlite3.Connection], ShopInfo]
    customer: Callable[[sqlite3.Connection, str], Customer | None]
    orders: Callable[[sqlite3.Connection, str], list[Order]]
    product: Callable[[sqlite3.Connection, str], Product | None]


class Ledger:
    """Prepares and commits quotes of one shop. `connect` opens a writable connection that this object owns."""

    def __init__(self, connect: Callable[[], AbstractContextManager[sqlite3.Connection]], policy: Policy, truth: Truth) -> None:
        self._connect, self._policy, self._truth = connect, policy, truth

    def prepare(self, request: Request, customer_id: str, now: datetime) -> Quote:
        """Work out a quote and keep it, so that it can be agreed to.

        Raises NotAllowed or Unknown as work_out does. An order of somebody else is as unknown as one that does not exist.
        """
        with self._transaction() as connection:
            quote = self._numbered(work_out(request, self._state(connection, customer_id, request.order_id, now)))
            self._keep(connection, quote)
            return quote

    def commit(self, quote_id: str, customer_id: str, now: datetime) -> Committed:
        """Carry out a quote that its customer agreed to; the second time, tell what the first one did.

        Raises UnknownQuote; QuoteChanged with a new quote, and nothing done, if this one expired or would be another one now;
        NotAllowed (or Unknown) if it is not to be had any more.
        """
        changed: QuoteChanged | None = None
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT quote, status, committed_at FROM quotes WHERE id = ? AND customer_id = ?", (quote_id, customer_id)
            ).fetchone()
            if row is None:
                raise UnknownQuote(f"no quote '{quote_id}' for this customer")
            agreed = Quote.model_validate_json(row["quote"])
            if row["committed_at"]:
                return Committed(agreed, datetime.fromisoformat(row["committed_at"]), again=True)
            state = self._state(connection, customer_id, agreed.request.order_id, now)
            today = work_out(agreed.request, state)
            if now > agreed.valid_until or not today.same_as(agreed):
                new = self._numbered(today)
                self._keep(connection, new)
                connection.execute("UPDATE quotes SET status = 'replaced' WHERE id = ?", (quote_id,))
                changed = QuoteChanged("changed" if now <= agreed.valid_until else "expired", new)
            else:
                # The id goes first: whoever reads it as committed finds the effect in the same transaction, or neither.
                connection.execute(
                    "UPDATE quotes SET status = 'committed', committed_at = ? WHERE id = ?", (_text(now), quote_id)
                )
                self._carry_out(connection, agreed, state)
        if changed:
            raise changed
        return Committed(agreed, now)

    def receive(self, quote_id: str, now: datetime) -> Committed:
        """The parcel of a return or an exchange is back: settle what waited for it, once. For staff. Raises UnknownQuote.

        What is faulty or was opened is not for sale again, so it does not come into stock.
        """
        with self._transaction() as connection:
            row = connection.execute("SELECT * FROM quotes WHERE id = ? AND committed_at IS NOT NULL", (quote_id,)).fetchone()
            quote = Quote.model_validate_json(row["quote"]) if row else None
            if quote is None or not isinstance(quote.request, ReturnRequest | ExchangeRequest):
                raise UnknownQuote(f"no return or exchange '{quote_id}' is under way")
            again = row["status"] == "received"
            if not again:
                connection.execute("UPDATE quotes SET status = 'received' WHERE id = ?", (quote_id,))
                request = quote.request
                pieces = request.items if isinstance(request, ReturnRequest) else request.swaps
                if request.reason != "faulty" and not request.opened:
                    self._put_back(connection, [(piece.variant_id, piece.quantity) for piece in pieces])
                self._settle_status(connection, quote, now)
                if quote.paid == "on_receipt":
                    self._move(connection, quote, now, quote.moves)
                    if quote.refund_cents:
                        self._enter(connection, quote, now, "promise_kept", None, quote.refund_cents)
            return Committed(quote, now, again=again)

    def done(self, order_id: str) -> list[Quote]:
        """The committed quotes of an order, oldest first."""
        with self._connect() as connection:
            return self._done(connection, order_id)[0]

    def entries(self, order_id: str | None = None) -> list[LedgerEntry]:
        """The ledger, oldest first; of one order if it is named."""
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT * FROM ledger WHERE ? IS NULL OR order_id = ? ORDER BY entry", (order_id, order_id)
            ).fetchall()
        return [
            LedgerEntry(
                at=datetime.fromisoformat(row["at"]),
                quote_id=row["quote_id"],
                order_id=row["order_id"],
                kind=row["kind"],
                payment_method_id=row["payment_method_id"],
                amount_cents=row["amount_cents"],
            )
            for row in rows
        ]

    def may_try(self, subjects: Sequence[str], now: datetime) -> bool:
        """Whether somebody may once more say who they are: none of `subjects` had too many wrong tries lately."""
        since = _text(now - TRIES_WITHIN)
        with self._connect() as connection:
            return all(
                connection.execute(
                    "SELECT COUNT(*) FROM lookups WHERE subject = ? AND at > ? AND NOT succeeded", (subject, since)
                ).fetchone()[0]
                < TRIES
                for subject in subjects
            )

    def tried(self, subjects: Sequence[str], now: datetime, *, succeeded: bool) -> None:
        """Remember one try."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO lookups (at, subject, succeeded) VALUES (?, ?, ?)",
                [(_text(now), subject, succeeded) for subject in subjects],
            )

    def forget_tries(self, subjects: Sequence[str]) -> int:
        """Delete the tries that name these subjects; how many there were."""
        with self._transaction() as connection:
            return sum(connection.execute("DELETE FROM lookups WHERE subject = ?", (subject,)).rowcount for subject in subjects)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connect() as connection, transaction(connection):
            yield connection

    def _state(self, connection: sqlite3.Connection, customer_id: str, order_id: str | None, now: datetime) -> State:
        customer = self._truth.customer(connection, customer_id)
        if customer is None:
            raise NotAllowed("order_not_found")
        orders = self._truth.orders(connection, customer_id)
        done, received = self._done(connection, order_id) if order_id else ([], frozenset[str]())
        return State(
            info=self._truth.info(connection),
            policy=self._policy,
            customer=customer,
            order=next((order for order in orders if order.id == order_id), None),
            done=tuple(done),
            received=received,
            product=lambda product_id: self._truth.product(connection, product_id),
            refunded_today_cents={
                "customer": self._refunded(connection, now, customer_id),
                "shop": self._refunded(connection, now, None),
            },
            now=now,
        )

    @staticmethod
    def _done(connection: sqlite3.Connection, order_id: str) -> tuple[list[Quote], frozenset[str]]:
        rows = connection.execute(
            "SELECT id, quote, status FROM quotes WHERE order_id = ? AND committed_at IS NOT NULL ORDER BY committed_at, rowid",
            (order_id,),
        ).fetchall()
        received = frozenset(row["id"] for row in rows if row["status"] == "received")
        return [Quote.model_validate_json(row["quote"]) for row in rows], received

    @staticmethod
    def _refunded(connection: sqlite3.Connection, now: datetime, customer_id: str | None) -> int:
        """Refunds paid or promised in the last 24 hours; a promise that was kept since counts once."""
        (cents,) = connection.execute(
            "SELECT COALESCE(SUM(CASE WHEN ledger.kind = 'promise_kept' THEN -amount_cents ELSE amount_cents END), 0) FROM ledger"
            " JOIN quotes ON quotes.id = quote_id WHERE at > ? AND (? IS NULL OR ledger.customer_id = ?)"
            " AND ledger.kind IN ('refund', 'refund_promised', 'promise_kept') AND quotes.kind <> 'payment_change'",
            (_text(now - timedelta(days=1)), customer_id, customer_id),
        ).fetchone()
        return int(cents)

    @staticmethod
    def _numbered(quote: Quote) -> Quote:
        return quote.model_copy(update={"id": f"Q{secrets.token_hex(8)}"})

    @staticmethod
    def _keep(connection: sqlite3.Connection, quote: Quote) -> None:
        connection.execute(
            "INSERT INTO quotes (id, customer_id, order_id, kind, made_at, valid_until, quote, status)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 'open')",
            (
                quote.id,
                quote.customer_id,
                quote.request.order_id,
                quote.kind,
                _text(quote.made_at),
                _text(quote.valid_until),
                quote.model_dump_json(),
            ),
        )

    def _carry_out(self, connection: sqlite3.Connection, quote: Quote, state: State) -> None:
        order, now = state.order, state.now
        match quote.request:
            case ReturnRequest():
                self._set_status(connection, quote, "return_requested")
            case ExchangeRequest(swaps=swaps):
                self._set_status(connection, quote, "exchange_requested")
                # The new piece is put aside for this customer; the old one comes into stock when somebody has looked at it.
                self._put_back(connection, [(swap.new_variant_id, -swap.quantity) for swap in swaps])
            case CancellationRequest():
                assert order, "a cancellation was worked out from its order"
                self._set_status(connection, quote, "cancelled")
                self._put_back(connection, [(item.variant_id, item.quantity) for item in order.items])
            case ItemChangeRequest():
                assert order, "a change was worked out from its order"
                items = changed_items(order, quote.request, state.product)
                self._write_items(connection, order, items)
                fee = -sum(line.amount_cents for line in quote.lines if line.kind == "shipping_fee")
                connection.execute("UPDATE orders SET shipping_cents = shipping_cents + ? WHERE id = ?", (fee, order.id))
                if quote.locks:
                    self._set_status(connection, quote, "pending_changed")
            case AddressChangeRequest(order_id=order_id, address=address):
                connection.execute("UPDATE orders SET address = ? WHERE id = ?", (_json(address.model_dump()), order_id))
            case CustomerAddressRequest(address=address):
                connection.execute(
                    "UPDATE customers SET address = ? WHERE id = ?", (_json(address.model_dump()), quote.customer_id)
                )
            case PaymentChangeRequest():
                pass
        if quote.paid == "at_once":
            self._move(connection, quote, now, quote.moves)
        else:
            for move in quote.moves:
                if move.kind == "refund":
                    self._enter(connection, quote, now, "refund_promised", move.payment_method_id, move.amount_cents)

    def _settle_status(self, connection: sqlite3.Connection, quote: Quote, now: datetime) -> None:
        """An order is delivered again once nothing of it is on its way back, and returned once nothing of it is kept."""
        assert quote.request.order_id, "a return or an exchange is one of an order"
        state = self._state(connection, quote.customer_id, quote.request.order_id, now)
        waiting = [each for each in state.done if each.kind in ("return", "exchange") and each.id not in state.received]
        if state.order and not waiting:
            is_kept = +kept_units(state.order, state.done) or any(each.kind == "exchange" for each in state.done)
            self._set_status(connection, quote, "delivered" if is_kept else "returned")

    @staticmethod
    def _set_status(connection: sqlite3.Connection, quote: Quote, status: str) -> None:
        connection.execute("UPDATE orders SET status = ? WHERE id = ?", (status, quote.request.order_id))

    @staticmethod
    def _put_back(connection: sqlite3.Connection, pieces: Sequence[tuple[str, int]]) -> None:
        """Add to stock, or take from it where negative; where the count is not kept there is nothing to do."""
        connection.executemany(
            "UPDATE variants SET stock = stock + ? WHERE id = ? AND stock IS NOT NULL",
            [(quantity, variant_id) for variant_id, quantity in pieces],
        )

    def _write_items(self, connection: sqlite3.Connection, order: Order, items: Sequence[OrderItem]) -> None:
        before, after = pieces_of(order.items), pieces_of(items)
        self._put_back(connection, [(variant_id, before[variant_id] - after[variant_id]) for variant_id in before | after])
        connection.execute("DELETE FROM order_items WHERE order_id = ?", (order.id,))
        for position, item in enumerate(items):
            connection.execute(
                "INSERT INTO order_items (order_id, position, product_id, variant_id, title, options, quantity, unit_price_cents)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    order.id,
                    position,
                    item.product_id,
                    item.variant_id,
                    _json(item.title.model_dump()),
                    _json(item.options),
                    item.quantity,
                    item.unit_price_cents,
                ),
            )

    def _move(self, connection: sqlite3.Connection, quote: Quote, now: datetime, moves: Sequence[Payment]) -> None:
        """Take down payments and refunds with the order, and let gift cards gain or lose."""
        (position,) = connection.execute(
            "SELECT COALESCE(MAX(position) + 1, 0) FROM payments WHERE order_id = ?", (quote.request.order_id,)
        ).fetchone()
        for number, move in enumerate(moves):
            connection.execute(
                "INSERT INTO payments (order_id, position, kind, amount_cents, payment_method_id) VALUES (?, ?, ?, ?, ?)",
                (quote.request.order_id, position + number, move.kind, move.amount_cents, move.payment_method_id),
            )
            sign = 1 if move.kind == "refund" else -1
            # The column refuses a balance below nothing.
            connection.execute(
                "UPDATE payment_methods SET balance_cents = balance_cents + ? WHERE customer_id = ? AND id = ?"
                " AND kind = 'gift_card'",
                (sign * move.amount_cents, quote.customer_id, move.payment_method_id),
            )
            self._enter(connection, quote, now, move.kind, move.payment_method_id, move.amount_cents)

    @staticmethod
    def _enter(
        connection: sqlite3.Connection, quote: Quote, now: datetime, kind: LedgerKind, method_id: str | None, cents: int
    ) -> None:
        connection.execute(
            "INSERT INTO ledger (at, quote_id, customer_id, order_id, kind, payment_method_id, amount_cents, currency)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                _text(now),
                quote.id,
                quote.customer_id,
                quote.request.order_id,
                kind,
                method_id,
                cents,
                quote.currency,
            ),
        )


def _text(at: datetime) -> str:
    """A time as the database keeps it: in UTC, so that texts compare as the times do, whatever zone a clock has."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
