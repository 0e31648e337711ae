"""Lets subscribers write a few at a time, so that a thousand of them never hold the event loop."""

from __future__ import annotations

import asyncio
from collections import deque


class Turn:
    """A subscriber's place in the queue: `wait` for a turn after it was asked for."""

    def __init__(self) -> None:
        self.asked = False
        self._event = asyncio.Event()

    def give(self) -> None:
        """It is this one's turn."""
        self.asked = False
        self._event.set()

    async def wait(self) -> None:
        """Wait until a turn is given, and take it."""
        await self._event.wait()
        self._event.clear()


class Turnstile:
    """Gives `turns` turns in each round of the event loop, first come, first served.

    Waking everybody at once would run a thousand writes in one round, and an order that arrives meanwhile
    would wait for the last of them.
    """

    def __init__(self, turns: int) -> None:
        self._turns = turns
        self._queue: deque[Turn] = deque()
        self._running = False

    def ask(self, turn: Turn) -> None:
        """Queue up; does nothing for who is in the queue already."""
        if turn.asked:
            return
        turn.asked = True
        self._queue.append(turn)
        if not self._running:
            self._running = True
            asyncio.get_running_loop().call_soon(self._round)

    def _round(self) -> None:
        for _ in range(min(self._turns, len(self._queue))):
            self._queue.popleft().give()
        if self._queue:
            asyncio.get_running_loop().call_soon(self._round)
        else:
            self._running = False
