"""The time, from where tests can set it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the current time with its zone."""


def system_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)
