"""What a fine-tuned chat model reads: short prompts, because what it has to know of the tools is in its adapter.

The same functions make the lessons it learns from and the prompts it is asked with later; a prompt it was not trained on is
worth little. Knows nothing of torch, so that a conversation may import it.
"""

from collections.abc import Sequence

from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage

from agent.prompts import fill

ABOUT = {
    "shown": "Before: products were shown.",
    "order": "Before: an order.",
    "policy": "Before: a rule.",
    "size": "Before: a size.",
    "quote": "Before: an offer that waits for a yes.",
}
PHOTO = "A photo is attached."


def decision_messages(said: str, *, before: str | None = None, photo: bool = False) -> list[AnyMessage]:
    """The prompt of a decision: `said`, after a line about the turn before (a key of ABOUT) and one about a photo."""
    context = [ABOUT.get(before, f"Before: {before}.")] if before else []
    if photo:
        context.append(PHOTO)
    return [SystemMessage(fill("decide_trained.md")), HumanMessage("\n".join([*context, said]))]


def grounded_messages(said: str, facts: Sequence[str]) -> list[AnyMessage]:
    """The prompt of a reply to `said` from `facts`, one a line."""
    listed = "\n".join(f"- {fact}" for fact in facts)
    return [SystemMessage(fill("reply_trained.md")), HumanMessage(f"{said}\n\nFacts:\n{listed}")]
