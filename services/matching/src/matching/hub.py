"""Brings reports to the streams of their accounts, and keeps recent events for those that come back."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
from smartex_chassis import Overloaded, SmartexError, gauge

from matching.reports import Owners, messages

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]
Kept: TypeAlias = tuple[int, int, Rows]
"""First sequence, time of the market, events of one frame."""

KEPT_PART = 16_384
"""Events at which a stream that comes back has enough for now: what it holds stays in memory until it has read it."""

_streams = gauge("matching_trade_streams_subscribers", "Trade streams being served")
_JOINED_BYTES = 1 << 20


class Outlet:
    """What waits to be written to one stream: bounded, in order."""

    def __init__(self, account_id: int, max_bytes: int) -> None:
        self.account_id = account_id
        self.failure: SmartexError | None = None
        self.on_fail: Callable[[], object] | None = None
        self._max_bytes = max_bytes
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._closed = False

    def push(self, message: bytes) -> None:
        """Queue a message; a reader that is too far behind is cut."""
        if self.failure is not None:
            return
        self._queue.append(message)
        self._size += len(message)
        if self._size > self._max_bytes:
            self.fail(
                Overloaded(
                    "the reports were not read fast enough; open the stream again with resume_sequence",
                    reason="SLOW_CONSUMER",
                )
            )
        self._wake.set()

    def fail(self, error: SmartexError) -> None:
        """End the stream with an error; what waits is dropped, for it can be resumed."""
        if self.failure is None:
            self.failure = error
            self._queue.clear()
            self._size = 0
            self._wake.set()
            if self.on_fail is not None:
                self.on_fail()

    def close(self) -> None:
        """Write what waits, then end."""
        self._closed = True
        self._wake.set()

    async def next(self) -> bytes | None:
        """The next messages as one; None at the end. Raises the failure."""
        while not self._queue:
            if self.failure is not None:
                raise self.failure
            if self._closed:
                return None
            self._wake.clear()
            await self._wake.wait()
        taken = [self._queue.popleft()]
        size = len(taken[0])
        while self._queue and size < _JOINED_BYTES:
            taken.append(self._queue.popleft())
            size += len(taken[-1])
        self._size -= size
        # Messages put one behind the other are the merged message.
        return taken[0] if len(taken) == 1 else b"".join(taken)


class ReportHub:
    """All Trade streams of this pod."""

    def __init__(self, kept_events: int, max_streams_per_account: int, queue_bytes: int) -> None:
        self._kept: deque[Kept] = deque()
        self._kept_events = 0
        self._most_kept = kept_events
        self._most_streams = max_streams_per_account
        self._queue_bytes = queue_bytes
        self._outlets: dict[int, list[Outlet]] = {}
        self._owners = Owners.of(())

    def on_applied(self, offset: int, first_sequence: int, time_ns: int, events: Rows) -> None:
        """Queue the frame's reports to the streams that they concern."""
        if not len(events):
            return
        self._keep((first_sequence, time_ns, events))
        for account_id, message in messages(self._owners, first_sequence, time_ns, events):
            for outlet in self._outlets[account_id]:
                outlet.push(message)

    def _keep(self, kept: Kept) -> None:
        self._kept.append(kept)
        self._kept_events += len(kept[2])
        while self._kept_events > self._most_kept and len(self._kept) > 1:
            self._kept_events -= len(self._kept.popleft()[2])

    def kept_since(self) -> int | None:
        """The first sequence in memory; None if there is none."""
        return self._kept[0][0] if self._kept else None

    def kept_after(self, sequence: int) -> list[Kept]:
        """The frames in memory that follow `sequence`, `KEPT_PART` events or a little more; none if the next event is
        no longer there. The arrays stay as they are."""
        place = bisect_right(self._kept, sequence + 1, key=_first_sequence) - 1
        if place < 0:
            return []
        found: list[Kept] = []
        events = 0
        for kept in islice(self._kept, place, None):
            found.append(kept)
            events += len(kept[2])
            if events >= KEPT_PART:
                break
        return found

    def enter(self, account_id: int) -> Outlet:
        """A new stream of an account, which gets everything from the next frame on."""
        outlets = self._outlets.setdefault(account_id, [])
        if len(outlets) >= self._most_streams:
            raise Overloaded(
                f"this account has {len(outlets)} streams on this pod; close one first",
                reason="TOO_MANY_STREAMS",
            )
        outlet = Outlet(account_id, self._queue_bytes)
        outlets.append(outlet)
        if len(outlets) == 1:
            self._owners = Owners.of(tuple(self._outlets))
        _streams.inc()
        return outlet

    def streams_of(self, account_id: int) -> int:
        """How many streams an account has."""
        return len(self._outlets.get(account_id, ()))

    def leave(self, outlet: Outlet) -> None:
        """A stream ends."""
        outlets = self._outlets.get(outlet.account_id, [])
        if outlet not in outlets:
            return
        outlets.remove(outlet)
        if not outlets:
            del self._outlets[outlet.account_id]
            self._owners = Owners.of(tuple(self._outlets))
        _streams.dec()


def _first_sequence(kept: Kept) -> int:
    return kept[0]
