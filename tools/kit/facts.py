"""What a tool answers: facts with their sources, and nothing that is not one."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from tools.shop.quotes import Quote

Why = Literal["asked", "over_cap", "only_staff", "failed_repeatedly", "angry", "not_covered"]
"""Why a person takes over."""
Slot = Literal["who", "order", "items", "reason", "opened", "variant", "method", "address", "change", "amend"]
"""What a question back asks for; "amend" is a quote that may still be wanted otherwise."""


class Fact(BaseModel):
    """One true sentence in the customer's language and where it comes from.

    `source` names the record: "product:p012", "clause:RET-3", "order:#W2611340", "photo", "voice".
    """

    model_config = ConfigDict(frozen=True)

    text: str
    source: str


class Handoff(BaseModel):
    """A conversation passed to a person: why, and what that person has to know."""

    model_config = ConfigDict(frozen=True)

    reason: str
    summary: str
    why: Why = "asked"


class Asked(BaseModel):
    """A question that a tool asked back: the customer's next message may answer it, and the tool goes on.

    `slot` is what is missing, `heard` the customer's messages about this wish so far, `listed` the ids of what the question
    listed, in order ("the second one"), `choices` the answers that it offers, as the customer would say them, `about` the variant id of
    the item asked about where there are several.
    """

    model_config = ConfigDict(frozen=True)

    tool: str
    slot: Slot
    heard: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    about: str | None = None
    """The variant id of the item that is asked about, where several are."""


class Rest(BaseModel):
    """What a list has not shown yet: the products in order, and what was asked for."""

    model_config = ConfigDict(frozen=True)

    asked: str
    product_ids: tuple[str, ...] = ()


class Facts(BaseModel):
    """A tool's answer.

    `product_ids` are the products shown, in the order in which the customer sees them ("the second one").
    `reply` is a complete answer where the wording itself is the fact (a quoted clause, a hand-over): the chat model is
    not asked to write it again. `quote` waits for the customer's yes; `asks` is a question back. `outcome` "nothing_found" tells
    that the tool worked and there is nothing. `next_step` is the question that these facts leave to the customer ("Which colour
    would you like?"); None where nothing is left to choose. `rest` is what a list has not shown yet; None where this is no list.
    """

    model_config = ConfigDict(frozen=True)

    facts: tuple[Fact, ...]
    product_ids: tuple[str, ...] = ()
    reply: str | None = None
    next_step: str | None = None
    handoff: Handoff | None = None
    quote: Quote | None = None
    asks: Asked | None = None
    outcome: Literal["found", "nothing_found"] = "found"
    rest: Rest | None = None

    def as_text(self) -> str:
        """The facts as the chat model reads them, one a line."""
        return "\n".join(f"- {fact.text} [{fact.source}]" for fact in self.facts)
