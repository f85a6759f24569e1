"""What every tool is made with: the decorator and the context of the turn it runs in."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langchain.tools import BaseTool, ToolRuntime, tool
from PIL.Image import Image

from tools.catalog.catalog import Catalog
from tools.kit.clock import Clock
from tools.kit.facts import Fact, Facts, Rest
from tools.kit.phrases import phrase
from tools.shop.shop import Shop
from tools.shop.types import Language


@dataclass(frozen=True)
class ToolContext:
    """What a tool may know of the turn; none of it can be set by the chat model.

    `customer_id` comes from the session, never from an argument. `shown` are the product ids the customer saw last, in
    their order, `rest` what the list they stood in has besides. `said` is the customer's message; `earlier` what the customer said
    before, oldest first. `heard` are the messages about the present wish, oldest first, ending with this one; `orders_told` the
    orders told of last. `agreed` is the quote that the customer has just agreed to, by a clear yes or a button, `declined`
    the one whose other button was pressed. `done` are the quotes carried out in this conversation. `who` is the phrase that
    tells why a customer's proof of who they are failed. `gave_up` tells that the last turns came to nothing, whatever was tried.
    """

    shop: Shop
    catalog: Catalog
    clock: Clock
    language: Language
    customer_id: str | None
    said: str
    earlier: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    rest: Rest | None = None
    photo: Image | None = None
    heard: tuple[str, ...] = ()
    orders_told: tuple[str, ...] = ()
    agreed: str | None = None
    declined: str | None = None
    done: tuple[str, ...] = ()
    who: str | None = None
    gave_up: bool = False

    def phrase(self, key: str, /, **values: object) -> str:
        """A sentence of prompts/phrases.*.yaml in the customer's language."""
        return phrase(key, self.language, **values)

    def refuse(self, key: str, source: str, /, **values: object) -> Facts:
        """Facts that say why there is nothing, in one sentence that is the reply."""
        text = self.phrase(key, **values)
        return Facts(facts=(Fact(text=text, source=source),), reply=text, outcome="nothing_found")


Runtime = ToolRuntime[ToolContext, Any]


def customer_tool(function: Callable[..., Facts]) -> BaseTool:
    """Make a LangChain tool of a function `(runtime, …) -> Facts`.

    The chat model sees the docstring and the arguments, never `runtime`; the facts travel as the tool message's artifact
    (a plain dict, so that a checkpoint needs no class of ours to be read).
    """

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> tuple[str, dict[str, Any]]:
        facts = function(*args, **kwargs)
        return facts.as_text(), facts.model_dump(mode="json")

    return tool(response_format="content_and_artifact")(run)
