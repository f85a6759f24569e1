"""ECom-Bench's tasks as Chinese conversations: a rule-based customer who is signed in talks with the agent; the shop tells.

Its writes are returns, cancellations and changes of address, which the shop's rules know; what only a person can do there (urging a parcel,
invoices, appointments, orders in the customer's name) is asked for last, and passing it on to a person is right.
Tasks that need a picture from the web are left out. Source of the form: ECom-Bench, XiaoduoAILab, 2025.
"""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict

from eval.conversation import Place
from eval.customers.noise import Noise
from eval.customers.simulated import Facts
from eval.customers.wishes import Wish
from eval.tau import Part, Run, perform, state_of_customer
from tools.kit.clock import Clock
from tools.kit.errors import StorehandError
from tools.shop.policy import Reason, Unknown
from tools.shop.quotes import AddressChangeRequest, CancellationRequest, Request, ReturnRequest, Units
from tools.shop.types import Address, Order

_PICTURE = re.compile(r"https?://(?!item\.jd\.com)\S+")
_ONLY_A_PERSON = {
    "manage_urgent": ("订单$order麻烦帮我加急处理一下", "能不能催一下订单$order，让快递快点送"),
    "manage_invoice": ("订单$order帮我开一张$invoice_type", "我要给订单$order开$invoice_type"),
    "schedule_service": (
        "我想预约订单$order的$service_type服务，时间$service_time",
        "订单$order帮我约$service_time上门$service_type",
    ),
    "register_cashback_by_review": ("订单$order的好评返现帮我登记一下", "订单$order我要登记返现"),
    "manage_order": ("帮我下单买这个商品，用京东E卡支付", "我要你直接帮我下单，E卡付款"),
}


class ZhTask(BaseModel):
    """One task of ECom-Bench."""

    model_config = ConfigDict(extra="allow")

    user_id: str
    instruction: str
    metadata: dict[str, Any]

    @property
    def needs_picture(self) -> bool:
        """Whether the customer has to send a picture that lies on the web."""
        return bool(_PICTURE.search(self.instruction))


def play(place: Place, task: ZhTask, number: int, repeat: int, clock: Clock, noise: Noise = "none") -> Run:
    """Play one task on the shop as it was copied; whatever is odd about the task is a cause, never an error."""
    place.reset()
    owner = place.shop.customer(task.user_id)
    if owner is None:
        return Run(number, repeat, False, "the task's user is not in the shop", 0, 0, 0.0, ())
    orders = {order.id: order for order in place.shop.orders_of(owner.id)}
    wishes, last = [], []
    for action in task.metadata.get("actions", ()):
        name, given = str(action.get("name")), dict(action.get("arguments") or {})
        wish = _wish(name, given, orders, task.instruction)
        if wish is not None:
            wishes.append(wish)
        elif name in _ONLY_A_PERSON:
            last.append(_for_a_person(name, given))
    for wish in wishes:
        try:
            place.shop.ledger.commit(place.shop.ledger.prepare(_request(wish), owner.id, clock()).id, owner.id, clock())
        except (StorehandError, Unknown):
            continue
    right = state_of_customer(place, owner.id)
    place.reset()
    facts = Facts(name=owner.name, email=owner.email, postcode=owner.address.postcode)
    # Nobody calls a thing by a title of forty characters.
    names = {product.id: product.category.in_language("zh") for product in place.shop.products()}
    part = Part(owner, [*wishes, *last[:1]], facts, (), right, signed_in=True, language="zh", names=names)
    return perform(place, part, number, repeat, noise)


def _wish(name: str, given: dict[str, Any], orders: dict[str, Order], instruction: str) -> Wish | None:
    order = orders.get(str(given.get("order_id")))
    if order is None:
        return None
    # Who does not know the number of the order says what was bought.
    if name == "manage_return":
        return Wish("return", order, tuple(item for item in order.items for _ in range(item.quantity)))
    if name == "manage_order" and given.get("action") == "取消":
        reason: Reason = "by_mistake" if "买错" in instruction else "changed_mind"
        return Wish("cancellation", order, tuple(order.items), reason=reason)
    if name == "manage_order" and given.get("action") == "修改" and given.get("address"):
        return Wish("address_change", order, address=_address(order, str(given["address"])))
    return None


def _address(order: Order, line: str) -> Address:
    return order.address.model_copy(update={"line1": line, "line2": ""})


def _request(wish: Wish) -> Request:
    assert wish.order, "every wish here is about an order"
    if wish.kind == "return":
        items = tuple(Units(variant_id=item.variant_id, quantity=item.quantity) for item in wish.order.items)
        return ReturnRequest(order_id=wish.order.id, items=items)
    if wish.kind == "cancellation":
        return CancellationRequest(order_id=wish.order.id, reason=wish.reason)
    assert wish.address, "a change of address has one"
    return AddressChangeRequest(order_id=wish.order.id, address=wish.address)


def _for_a_person(name: str, given: dict[str, Any]) -> Wish:
    values = {"order": str(given.get("order_id", "")), **{key: str(value) for key, value in given.items()}}
    ways = [re.sub(r"\$([a-z_]+)", lambda found: values.get(found[1], ""), each) for each in _ONLY_A_PERSON[name]]
    return Wish("person", asks=ways[0], ways=(*ways[1:], "这个需要人工处理的话请转人工客服"))
