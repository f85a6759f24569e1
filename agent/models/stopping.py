"""The customer's stop button, as far down as a chat model: a context variable, which LangGraph hands on to its own threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event

_button: ContextVar[Event | None] = ContextVar("stop_button", default=None)

LOOK_SECONDS = 0.1
"""How often whoever waits without a piece of the answer looks at the button."""


class Stopped(Exception):
    """The customer wants no more of this answer; no failure of anybody's."""


@contextmanager
def stoppable(button: Event) -> Iterator[None]:
    """While the block runs, setting `button` stops the chat model that answers in it."""
    token = _button.set(button)
    try:
        yield
    finally:
        _button.reset(token)


def check_stopped() -> None:
    """Raise Stopped if the button of this answer was pressed."""
    button = _button.get()
    if button is not None and button.is_set():
        raise Stopped
