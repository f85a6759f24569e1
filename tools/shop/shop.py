"""The shop's truth as the tools see it. One implementation ships (sqlite_shop.py); a shop system of one's own is another.

Reading is all that a chat model's tools do here, but for quotes: a tool may have one prepared, and only code commits it, after
the customer agreed.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Protocol, runtime_checkable

from tools.shop.ledger import Ledger
from tools.shop.policy import Policy
from tools.shop.types import Basket, Clause, Customer, Order, Product, Review, ShopInfo, SizeChart


@runtime_checkable
class Shop(Protocol):
    """Products, customers, orders and policy of one shop."""

    @property
    def info(self) -> ShopInfo:
        """Name, currency and words of the shop."""
        ...

    @property
    def policy(self) -> Policy:
        """The shop's rules for returns, exchanges, cancellations and changes."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Prepares and commits quotes."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever a product or clause changed: an index made for another version is stale."""
        ...

    def products(self) -> Iterator[Product]:
        """Every product, by id."""
        ...

    def product(self, product_id: str) -> Product | None:
        """The product with this id, with today's prices and stock."""
        ...

    def option_values(self, name: str) -> frozenset[str]:
        """Every value that some variant has for the option `name`, like all colours."""
        ...

    def clauses(self, on: date) -> list[Clause]:
        """The clauses in force on that day, by id."""
        ...

    def all_clauses(self) -> list[Clause]:
        """Every clause, in force or not, by id."""
        ...

    def clause(self, clause_id: str) -> Clause | None:
        """The clause with this id, in force or not."""
        ...

    def customer(self, customer_id: str) -> Customer | None:
        """The customer with this id."""
        ...

    def orders_of(self, customer_id: str) -> list[Order]:
        """This customer's orders, newest first; undated ones last, by id."""
        ...

    def customers_by_email(self, email: str) -> list[Customer]:
        """The customers with this e-mail address, in any case."""
        ...

    def customers_by_postcode(self, postcode: str) -> list[Customer]:
        """The customers whose own address has this postcode, in any case and spacing."""
        ...

    def size_charts(self) -> list[SizeChart]:
        """Every size chart, by id."""
        ...

    def reviews_of(self, product_id: str) -> list[Review]:
        """What buyers wrote of the product, by id."""
        ...

    @property
    def import_id(self) -> str:
        """Changes whenever the shop's baskets may have changed: what was learnt from those before is stale."""
        ...

    def baskets(self, customer_id: str | None = None) -> list[Basket]:
        """Past baskets, by id, all or one customer's; where the shop was given none, what was ordered and not cancelled."""
        ...

    def picture(self, name: str) -> Path:
        """The file of a picture that a product names."""
        ...
