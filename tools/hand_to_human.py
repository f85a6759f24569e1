"""Pass the conversation to a person, with what that person has to know."""

from typing import Annotated

from pydantic import Field

from tools.kit.answers import is_angry
from tools.kit.facts import Fact, Facts, Handoff, Why
from tools.kit.tool import Runtime, customer_tool


@customer_tool
def hand_to_human(
    runtime: Runtime,
    reason: Annotated[str, Field(description="what the customer wants from a person, in a few words", max_length=200)] = "",
) -> Facts:
    """The customer asks for a person, is very upset, or wants something changed that only staff can change."""
    context = runtime.context
    customer = context.shop.customer(context.customer_id) if context.customer_id else None
    lines = [
        context.phrase(
            "handoff_customer", customer=f"{customer.name} ({customer.id})" if customer else context.phrase("handoff_visitor")
        ),
        context.phrase("handoff_said", said=" / ".join((*context.earlier[-5:], context.said))),
    ]
    titles = [
        product.title.in_language(context.language) for shown in context.shown if (product := context.shop.product(shown))
    ]
    if titles:
        lines.append(context.phrase("handoff_shown", titles="; ".join(titles)))
    angry = is_angry(context.said)
    reply = context.phrase("handing_over_angry" if angry else "handing_over")
    why: Why = "angry" if angry else "failed_repeatedly" if context.gave_up else "asked"
    return Facts(
        facts=(Fact(text=reply, source="hand-over"),),
        reply=reply,
        handoff=Handoff(reason=reason or context.said, summary="\n".join(lines), why=why),
    )
