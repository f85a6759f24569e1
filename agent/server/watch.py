"""Notices what happens at the desk, also through `storehand desk` in another process, and wakes those who stream it."""

import asyncio
import itertools
from collections import deque

from agent.handover import HandoverDesk
from agent.server.signals import Signal

LOOK_SECONDS = 0.5


class Watch:
    """`signal` is notified when the desk's file changes or a customer or the agent has said something."""

    def __init__(self, desk: HandoverDesk, signal: Signal) -> None:
        self.signal = signal
        self._desk = desk
        self._numbers = itertools.count(1)
        self.said_in: deque[tuple[int, str]] = deque(maxlen=1000)
        """(number, conversation) of what was said last, for the staff's lists."""

    def said(self, conversation: str) -> None:
        """Something was said in a conversation. For any thread."""
        self.said_in.append((next(self._numbers), conversation))
        self.signal.notify()

    async def run(self) -> None:
        """Look at the desk's file until cancelled."""
        with self._desk.changes() as version:
            seen = version()
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                if (now := version()) != seen:
                    seen = now
                    self.signal.notify()
