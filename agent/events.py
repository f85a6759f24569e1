"""What a front end can be told while a customer's message is answered, in the order in which it happens."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tools.kit.facts import Fact, Handoff
from tools.shop.quotes import Quote
from tools.shop.types import Language


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)


class Heard(_Event):
    """A voice message was understood as this text; `doubtful` are numbers in it that may have been misheard."""

    kind: Literal["heard"] = "heard"
    text: str
    doubtful: tuple[str, ...] = ()


class ToolStarted(_Event):
    """A tool begins to work."""

    kind: Literal["tool_started"] = "tool_started"
    tool: str


class Step(_Event):
    """A tool has answered. `product_ids` are the products it shows, in order."""

    kind: Literal["step"] = "step"
    tool: str
    arguments: dict[str, Any]
    facts: tuple[Fact, ...]
    product_ids: tuple[str, ...] = ()


class Decided(_Event):
    """What the agent does next with a message, before it does it: a `tool`; or None, and it replies or, with `asked`, asks which is meant.

    `likeliest` and `share`: what the chooser thought likeliest and how sure it was, None where code knew without it.
    """

    kind: Literal["decided"] = "decided"
    tool: str | None
    asked: tuple[str, ...] = ()
    likeliest: str | None = None
    share: float | None = None
    model_calls: int = 0


class Said(_Event):
    """A checked piece of the reply; the pieces of a turn joined are the reply."""

    kind: Literal["said"] = "said"
    text: str


class Promises(BaseModel):
    """How many sentences were held against the facts, and how many of them were replaced."""

    checked: int = 0
    replaced: int = 0


class Tokens(BaseModel):
    """Tokens of all model calls of a turn; `cached` is the part of `prompt` that needed no evaluation."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0


class Seconds(BaseModel):
    """Where a turn's time went; `first_token` counts from the message to the first words that the customer can read."""

    intake: float = 0.0
    decide: float = 0.0
    act: float = 0.0
    first_token: float = 0.0
    total: float = 0.0


class Turn(_Event):
    """One customer message and its answer, whole: what `storehand chat --json` prints."""

    kind: Literal["turn"] = "turn"
    said: str
    language: Language
    steps: tuple[Step, ...] = ()
    reply: str
    promises: Promises = Promises()
    quote: Quote | None = None
    """What waits for the customer's yes."""
    quick_replies: tuple[str, ...] = ()
    """Answers to the question at the reply's end, as the customer would say them: each sent as it stands is understood."""
    share: float | None = None
    """How sure the chooser was of the first thing it chose; None where code knew without it."""
    handoff: Handoff | None = None
    held: bool = False
    """A person holds the conversation; the agent is silent."""
    model_calls: int = 0
    tokens: Tokens = Tokens()
    seconds: Seconds = Seconds()
    why: tuple[str, ...] = ()
    """The decision trace: what was seen, allowed, chosen and replaced, one line each."""

    def as_json(self) -> dict[str, Any]:
        """The turn as one JSON line holds it."""
        return self.model_dump(
            mode="json", exclude={"kind": True, "why": True, "held": True, "steps": {"__all__": {"kind", "product_ids"}}}
        )


Event = Heard | Decided | ToolStarted | Step | Said | Turn
