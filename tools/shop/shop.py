"""The shop's truth as the tools see it. One implementation ships (sqlite_shop.py); a shop system of one's own is another.

Read-only: nothing that a chat model can reach writes to a shop.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Protocol, runtime_checkable

from tools.shop.types import Clause, Customer, Order, Product, ShopInfo


@runtime_checkable
class Shop(Protocol):
    """Products, customers, orders and policy of one shop."""

    @property
    def info(self) -> ShopInfo:
        """Name, currency and words of the shop."""
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

    def customer(self, customer_id: str) -> Customer | None:
        """The customer with this id."""
        ...

    def orders_of(self, customer_id: str) -> list[Order]:
        """This customer's orders, newest first; undated ones last, by id."""
        ...

    def bought_with(self, product_id: str, limit: int) -> list[tuple[str, int]]:
        """Products found in the same past baskets: (product id, in how many baskets together), most often first."""
        ...

    def picture(self, name: str) -> Path:
        """The file of a picture that a product names."""
        ...
