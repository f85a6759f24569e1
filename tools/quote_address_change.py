"""A customer has moved: the quote for a new address of the account. Orders keep theirs."""

from tools.kit.aftersales import Ask, newest, prepare
from tools.kit.answers import read_address
from tools.kit.facts import Facts
from tools.kit.tool import Runtime, customer_tool
from tools.shop.quotes import CustomerAddressRequest
from tools.shop.types import Customer


@customer_tool
def quote_address_change(runtime: Runtime) -> Facts:
    """The customer has moved or wants the address stored in the account changed (not that of an order)."""
    context = runtime.context

    def build(customer: Customer) -> CustomerAddressRequest:
        address = newest(context, lambda text: read_address(text, customer.address))
        if address is None:
            raise Ask("address", context.phrase("ask_account_address"))
        return CustomerAddressRequest(address=address)

    return prepare(context, "quote_address_change", build)
