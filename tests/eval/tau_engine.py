"""What tau-bench's retail tools do to its database, written from their policy and schemas: what ours are compared with.

Works on the plain dictionaries of orders.json, users.json and products.json; a call that is refused changes nothing.
"""

from collections import Counter
from typing import Any


class Refused(Exception):
    """The benchmark's tool answers an error."""


class TauEngine:
    """One database."""

    def __init__(self, orders: dict[str, Any], users: dict[str, Any], products: dict[str, Any]) -> None:
        self.orders, self.users, self.products = orders, users, products

    def call(self, name: str, arguments: dict[str, Any]) -> bool:
        """Do it; False if it was refused."""
        try:
            getattr(self, name)(**arguments)
        except Refused:
            return False
        return True

    def _order(self, order_id: str, status: str) -> dict[str, Any]:
        order: dict[str, Any] = self.orders[order_id]
        _demand(order["status"] == status)
        return order

    def _method(self, order: dict[str, Any], method_id: str) -> dict[str, Any]:
        methods = self.users[order["user_id"]]["payment_methods"]
        _demand(method_id in methods)
        method: dict[str, Any] = methods[method_id]
        return method

    def _difference(self, order: dict[str, Any], item_ids: list[str], new_item_ids: list[str]) -> float:
        have = Counter(item["item_id"] for item in order["items"])
        _demand(not Counter(item_ids) - have and len(item_ids) == len(new_item_ids))
        difference = 0.0
        for old, new in zip(item_ids, new_item_ids, strict=True):
            item = next(each for each in order["items"] if each["item_id"] == old)
            variants = self.products[item["product_id"]]["variants"]
            _demand(new in variants and variants[new]["available"])
            difference += variants[new]["price"] - item["price"]
        return round(difference, 2)

    def cancel_pending_order(self, order_id: str, reason: str) -> None:
        order = self._order(order_id, "pending")
        paid: Counter[str] = Counter()
        for each in order["payment_history"]:
            sign = 1 if each["transaction_type"] == "payment" else -1
            paid[each["payment_method_id"]] += sign * round(each["amount"] * 100)
        # The benchmark's own tool also refunds what a change of payment method has refunded already; the policy does not.
        for method_id, cents in paid.items():
            if cents > 0:
                refund = {"transaction_type": "refund", "amount": cents / 100, "payment_method_id": method_id}
                order["payment_history"].append(refund)
                method = self._method(order, method_id)
                if "balance" in method:
                    method["balance"] = round(method["balance"] + cents / 100, 2)
        order |= {"status": "cancelled", "cancel_reason": reason}

    def return_delivered_order_items(self, order_id: str, item_ids: list[str], payment_method_id: str) -> None:
        order = self._order(order_id, "delivered")
        method = self._method(order, payment_method_id)
        _demand(method["source"] == "gift_card" or payment_method_id == order["payment_history"][0]["payment_method_id"])
        _demand(not Counter(item_ids) - Counter(item["item_id"] for item in order["items"]))
        order |= {
            "status": "return requested",
            "return_items": sorted(item_ids),
            "return_payment_method_id": payment_method_id,
        }

    def exchange_delivered_order_items(
        self, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str
    ) -> None:
        order = self._order(order_id, "delivered")
        difference = self._difference(order, item_ids, new_item_ids)
        method = self._method(order, payment_method_id)
        _demand("balance" not in method or method["balance"] >= difference)
        order |= {
            "status": "exchange requested",
            "exchange_items": sorted(item_ids),
            "exchange_new_items": sorted(new_item_ids),
            "exchange_payment_method_id": payment_method_id,
            "exchange_price_difference": difference,
        }

    def modify_pending_order_items(
        self, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str
    ) -> None:
        order = self._order(order_id, "pending")
        difference = self._difference(order, item_ids, new_item_ids)
        method = self._method(order, payment_method_id)
        if "balance" in method:
            _demand(method["balance"] >= difference)
            method["balance"] = round(method["balance"] - difference, 2)
        order["payment_history"].append(
            {
                "transaction_type": "payment" if difference > 0 else "refund",
                "amount": abs(difference),
                "payment_method_id": payment_method_id,
            }
        )
        for old, new in zip(item_ids, new_item_ids, strict=True):
            item = next(each for each in order["items"] if each["item_id"] == old)
            variant = self.products[item["product_id"]]["variants"][new]
            item |= {"item_id": new, "price": variant["price"], "options": variant["options"]}
        order["status"] = "pending (item modified)"

    def modify_pending_order_payment(self, order_id: str, payment_method_id: str) -> None:
        order = self._order(order_id, "pending")
        _demand(len(order["payment_history"]) == 1)
        paid = order["payment_history"][0]
        new, old = self._method(order, payment_method_id), self._method(order, paid["payment_method_id"])
        _demand(new is not old and ("balance" not in new or new["balance"] >= paid["amount"]))
        order["payment_history"] += [
            {"transaction_type": "payment", "amount": paid["amount"], "payment_method_id": payment_method_id},
            {"transaction_type": "refund", "amount": paid["amount"], "payment_method_id": paid["payment_method_id"]},
        ]
        for method, sign in ((new, -1), (old, 1)):
            if "balance" in method:
                method["balance"] = round(method["balance"] + sign * paid["amount"], 2)

    def modify_pending_order_address(self, order_id: str, **address: str) -> None:
        self._order(order_id, "pending")["address"] = address


def _demand(holds: bool) -> None:
    if not holds:
        raise Refused
