"""What one turn knows and what it costs: handed to the middleware and the tools, gone when the turn is over."""

import time
from dataclasses import dataclass, field

from langchain_core.messages import AIMessage, BaseMessage

from agent.chooser.evidence import Evidence
from agent.events import Promises, Seconds, Tokens
from agent.session import Past
from tools.kit.tool import ToolContext


@dataclass
class Meter:
    """What a turn costs and why it went as it did; filled while it runs."""

    started: float = field(default_factory=time.perf_counter)
    model_calls: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    seconds: Seconds = field(default_factory=Seconds)
    promises: Promises = field(default_factory=Promises)
    why: list[str] = field(default_factory=list)
    likeliest: str | None = None
    share: float | None = None
    """What the chooser thought likeliest for the first wish of the message, and how sure it was."""

    def count(self, message: BaseMessage) -> None:
        """Add one model call's tokens."""
        self.model_calls += 1
        usage = message.usage_metadata if isinstance(message, AIMessage) else None
        if usage:
            self.tokens.prompt += usage["input_tokens"]
            self.tokens.completion += usage["output_tokens"]
            self.tokens.cached += (usage.get("input_token_details") or {}).get("cache_read", 0)

    def since_start(self) -> float:
        """Seconds since the message came."""
        return time.perf_counter() - self.started


@dataclass(frozen=True)
class TurnContext(ToolContext):
    """The tools' context, and what only the loop needs.

    `continued` tells that the message answers what a tool asked back; the tool is `past.asked.tool`. `chosen` is the tool that the
    customer picked when asked what they meant; `said` then holds the wish that the question was about.
    """

    past: Past = field(default_factory=Past)
    meter: Meter = field(default_factory=Meter)
    continued: bool = False
    chosen: str | None = None
    too_early: bool = False
    """The customer said yes before they had the quote that now waits before them."""
    doubtful: str | None = None
    """A spoken order number that may have been misheard."""
    looked_up: dict[str, Evidence] = field(default_factory=dict)
    """What the chooser says of each sentence of the message; every step of the turn asks."""
