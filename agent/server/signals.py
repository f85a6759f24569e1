"""Waking those who stream, from any thread."""

import asyncio


class Signal:
    """Something may have changed: `count` goes up. Read it, look, then wait for it to be another one, and nothing is missed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: set[asyncio.Future[None]] = set()
        self.count = 0

    def notify(self) -> None:
        """Wake everybody who waits. After the loop's end there is nobody."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self.count += 1
        for each in self._waiting:
            if not each.done():
                each.set_result(None)

    async def wait(self, seen: int, timeout_s: float) -> bool:
        """Wait until `count` is no longer `seen`; False if that took too long. On the event loop only."""
        if self.count != seen:
            return True
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.add(future)
        try:
            await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(future)
        return True
