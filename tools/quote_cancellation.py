"""A customer wants a whole order cancelled: the quote."""

from tools.kit.aftersales import order_of, prepare, reason_of
from tools.kit.facts import Facts
from tools.kit.tool import Runtime, customer_tool
from tools.shop.quotes import CancellationRequest
from tools.shop.types import Customer


@customer_tool
def quote_cancellation(runtime: Runtime) -> Facts:
    """The customer wants an order cancelled now, before it is sent."""
    context = runtime.context

    def build(customer: Customer) -> CancellationRequest:
        order = order_of(context, customer, context.shop.policy.cancellations)
        return CancellationRequest(order_id=order.id, reason=reason_of(context) or "changed_mind")

    return prepare(context, "quote_cancellation", build)
