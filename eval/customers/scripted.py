"""A customer who says what was written down, whatever the agent answers."""

from collections.abc import Iterable

from agent.events import Turn
from agent.turn import Message


class ScriptedCustomer:
    """Says these messages one after the other."""

    def __init__(self, messages: Iterable[str | Message]) -> None:
        self._messages = iter([Message(text=each) if isinstance(each, str) else each for each in messages])

    def next(self, turn: Turn | None) -> Message | None:  # noqa: ARG002  # a script does not listen
        """The next message; None when all are said."""
        return next(self._messages, None)
