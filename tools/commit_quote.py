"""Carry out the quote that the customer has agreed to. Only code calls this; no chat model is ever offered it."""

from tools.kit.aftersales import move_lines, refusal, told
from tools.kit.facts import Fact, Facts
from tools.kit.tool import Runtime, customer_tool
from tools.shop.ledger import QuoteChanged, UnknownQuote
from tools.shop.quotes import NotAllowed


@customer_tool
def commit_quote(runtime: Runtime) -> Facts:
    """Do what the quote says that the customer has just agreed to."""
    context = runtime.context
    if context.agreed is None or context.customer_id is None:
        return context.refuse("nothing_agreed", "quote")
    try:
        done = context.shop.ledger.commit(context.agreed, context.customer_id, context.clock())
    except UnknownQuote:
        return context.refuse("nothing_agreed", "quote")
    except NotAllowed as refused:
        return refusal(context, refused)
    except QuoteChanged as changed:
        new = told(context, changed.quote)
        why = context.phrase(f"quote_{changed.why}")
        return new.model_copy(update={"facts": (Fact(text=why, source="quote"), *new.facts), "reply": f"{why}\n{new.reply}"})
    lines = [context.phrase("done_again")] if done.again else []
    quote = done.quote
    lines.append(context.phrase(f"done_{quote.kind}", order=quote.request.order_id or "", reference=quote.id))
    lines += move_lines(context, quote, "done")
    source = f"quote:{quote.id}"
    return Facts(facts=tuple(Fact(text=line, source=source) for line in lines), reply="\n".join(lines))
