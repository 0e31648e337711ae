"""Subscribers: those who get everything or are cut, and those who get the newest."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable

from matching.marketdata.books import BookState, View
from matching.marketdata.candles import CandleBoard
from matching.marketdata.turnstile import Turn


class Subscriber(ABC):
    """One subscription. `wanted`: its instruments, or None for all."""

    def __init__(self, channel: int, wanted: frozenset[int] | None) -> None:
        self.channel = channel
        self.wanted = wanted
        self.turn = Turn()
        self.heartbeat_due = False
        self.spoke_at = 0.0
        self.cut: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def cut_off(self) -> None:
        """End the subscription: it missed something."""
        if not self.cut.done():
            self.cut.set_result(None)

    @abstractmethod
    def take(self) -> bytes | None:
        """The next message, or None if there is nothing to tell."""

    @property
    @abstractmethod
    def waiting(self) -> bool:
        """Whether there may be something to tell."""

    @property
    def in_round(self) -> bool:
        """Whether what it tells now is a part of more; it may rest only after the whole."""
        return False


class StreamSubscriber(Subscriber):
    """L3 and trades: every message, from a queue with a bound."""

    def __init__(
        self, channel: int, wanted: frozenset[int] | None, *, max_messages: int, max_bytes: int
    ) -> None:
        super().__init__(channel, wanted)
        self.floors: dict[int, int] = {}
        self.resumed_at = 0
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._queue: deque[bytes] = deque()
        self._bytes = 0

    def start(self, parts: Iterable[bytes]) -> None:
        """Queue what the subscription begins with; it does not count against the bound."""
        self._queue.extend(parts)

    def push(self, instrument_id: int, sequence: int, data: bytes) -> None:
        """Queue a message unless it was seen already; a full queue cuts the subscriber."""
        if sequence <= self.floors.get(instrument_id, self.resumed_at) or self.cut.done():
            return
        if len(self._queue) >= self._max_messages or self._bytes + len(data) > self._max_bytes:
            self.cut_off()
            return
        self._queue.append(data)
        self._bytes += len(data)

    def cut_off(self) -> None:
        """End the subscription, and forget what waits."""
        self._queue.clear()
        super().cut_off()

    def take(self) -> bytes | None:
        """The oldest message in the queue."""
        if not self._queue:
            return None
        data = self._queue.popleft()
        self._bytes = max(0, self._bytes - len(data))
        return data

    @property
    def waiting(self) -> bool:
        """Whether the queue holds something."""
        return bool(self._queue)


class ConflatedSubscriber(Subscriber):
    """L1, L2 and candles: a set of instruments that changed; what is sent is how they are by then.

    It tells in rounds, each instrument once: what changes again meanwhile waits for the next round, so that a reader
    who rests between two of them hears of no instrument more often.
    """

    def __init__(self, channel: int, wanted: frozenset[int] | None) -> None:
        super().__init__(channel, wanted)
        self.dirty: dict[int, None] = {}
        self._round: dict[int, None] = {}

    @property
    def waiting(self) -> bool:
        """Whether an instrument changed since it was last told."""
        return bool(self._round or self.dirty)

    @property
    def in_round(self) -> bool:
        """Whether other instruments have their turn before it may rest."""
        return bool(self._round)

    def take(self) -> bytes | None:
        """What is new of the instrument that changed first; None also at the end of a round."""
        if not self._round:
            self._round, self.dirty = self.dirty, {}
        while self._round:
            data = self._tell(next(iter(self._round)))
            if data is not None:
                return data
        return None

    @abstractmethod
    def _tell(self, instrument_id: int) -> bytes | None:
        """A message of the instrument; `_told` once all is told."""

    def _told(self, instrument_id: int) -> None:
        """It is told as it is now."""
        del self._round[instrument_id]
        self.dirty.pop(instrument_id, None)


class BookSubscriber(ConflatedSubscriber):
    """L1 and L2."""

    def __init__(self, channel: int, wanted: frozenset[int] | None, view: Callable[[int], View]) -> None:
        super().__init__(channel, wanted)
        self._view = view
        self._seen: dict[int, BookState] = {}

    def _tell(self, instrument_id: int) -> bytes | None:
        self._told(instrument_id)
        view = self._view(instrument_id)
        seen = self._seen.get(instrument_id)
        self._seen[instrument_id] = view.newest()
        return view.snapshot() if seen is None else view.update(seen)


class CandleSubscriber(ConflatedSubscriber):
    """Candles."""

    def __init__(
        self, channel: int, wanted: frozenset[int] | None, seconds: int, board: Callable[[int], CandleBoard]
    ) -> None:
        super().__init__(channel, wanted)
        self.seconds = seconds
        self._board = board
        self._seen: dict[int, tuple[int, int]] = {}

    def _tell(self, instrument_id: int) -> bytes | None:
        board = self._board(instrument_id)
        start, version = self._seen.get(instrument_id, (-1, -1))
        if board.closed is not None and board.closed.start_ns == start and version >= 0:
            # The one it was following is over: tell its end before the next.
            self._seen[instrument_id] = (-1, -1)
            return board.closed_message()
        self._told(instrument_id)
        if board.current is None or (start, version) == (board.current.start_ns, board.version):
            return None
        self._seen[instrument_id] = (board.current.start_ns, board.version)
        return board.message()
