"""How often somebody may do something: by who it is and by address, in a moving window of one minute."""

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from agent.server.problems import Problem


class Limits:
    """Counts in memory: one process serves a shop."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, what: str, who: str, times: int) -> None:
        """Count one more `what` by `who`. Raises Problem 429 beyond `times` a minute."""
        if not self._limiter.hit(RateLimitItemPerMinute(times), what, who):
            raise Problem(429, "too_often", "That was too often; please wait a minute.", retry_after_s=60)
