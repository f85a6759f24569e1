"""A customer sends items back for a refund: the quote. Rules, sums and where the money goes are code's."""

from tools.kit.aftersales import items_of, opened_of, order_of, prepare, reason_of
from tools.kit.answers import names_method, read_method
from tools.kit.facts import Facts
from tools.kit.tool import Runtime, ToolContext, customer_tool
from tools.shop.quotes import NotAllowed, ReturnRequest
from tools.shop.types import Customer, Order


@customer_tool
def quote_return(runtime: Runtime) -> Facts:
    """The customer wants to send something back now and get the money. Not for questions about how or whether."""
    context = runtime.context

    def build(customer: Customer) -> ReturnRequest:
        order = order_of(context, customer, context.shop.policy.returns)
        return ReturnRequest(
            order_id=order.id,
            items=items_of(context, order),
            reason=reason_of(context),
            opened=opened_of(context),
            refund_to=_refund_to(context, customer, order),
        )

    return prepare(context, "quote_return", build)


def _refund_to(context: ToolContext, customer: Customer, order: Order) -> str | None:
    """The method that the customer names for the refund; None for the one that was used."""
    used = [payment.payment_method_id for payment in order.payments if payment.kind == "payment"]
    for text in reversed(context.heard):
        if method := read_method(text, customer.payment_methods, used):
            return method.id
        if names_method(text):
            raise NotAllowed("not_your_method")
    return None
