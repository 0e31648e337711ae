"""What a follower need not read back from the server: its own process has just appended it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from smartex_bus.records import Record, StoredRecord

_TAIL_GROUPS = 64
_TAIL_BYTES = 8 << 20


class Tail:
    """What one follower was told: groups appended by this very process, or that it has to look itself."""

    def __init__(
        self,
        topic: str,
        partition: int,
        event: asyncio.Event | None = None,
        known: Callable[[], int] = lambda: 0,
    ) -> None:
        self.known = known
        """The offset up to which the follower has the records by other means."""
        self._topic = topic
        self._partition = partition
        self._groups: deque[tuple[int, list[Record], int]] = deque()
        self._bytes = 0
        self._event = event or asyncio.Event()
        self._look = True
        self._passed = False
        self._impatient = False

    @property
    def held_bytes(self) -> int:
        """Bytes of values kept for the follower."""
        return self._bytes

    @property
    def holds(self) -> bool:
        """Whether something was handed over, since the follower looked, that it has not taken or knew already."""
        return bool(self._groups) or self._passed

    def tell(self) -> None:
        """There may be more in the log."""
        self._look = True
        self._event.set()

    def hand_over(self, first: int, records: list[Record], time_ns: int) -> None:
        """This process has just appended these records durably."""
        self._groups.append((first, records, time_ns))
        self._bytes += sum(len(record.value) for record in records)
        if len(self._groups) > _TAIL_GROUPS or self._bytes > _TAIL_BYTES:
            self._drop_groups()
        # A step later, so that who appended has the answer first, and may know the records by then.
        asyncio.get_running_loop().call_soon(self._wake)

    def _wake(self) -> None:
        known = self.known()
        while self._groups and self._groups[0][0] + len(self._groups[0][1]) <= known:
            self._drop_first()
            self._passed = True
        if self._groups or self._look or self._impatient:
            self._event.set()

    def _drop_first(self) -> None:
        _, records, _ = self._groups.popleft()
        self._bytes -= sum(len(record.value) for record in records)

    def _drop_groups(self) -> None:
        self._groups.clear()
        self._bytes = 0
        self._look = True

    def take(self, position: int, most: int) -> list[StoredRecord]:
        """Records from ``position`` on that were handed over; empty if the next ones are not among them."""
        while self._groups:
            first, records, time_ns = self._groups[0]
            if first > position:
                self._drop_groups()
                return []
            if first + len(records) <= position:
                self._drop_first()
                continue
            return [
                StoredRecord(self._topic, self._partition, position + i, r.value, r.key, r.headers, time_ns)
                for i, r in enumerate(records[position - first : position - first + most])
            ]
        return []

    def must_look(self) -> bool:
        """Whether the log has to be read; asking clears it."""
        look, self._look = self._look, False
        self._passed = False
        return look

    async def handed(self) -> None:
        """Wait until this process has appended something."""
        self._impatient = True
        try:
            while not self.holds:
                self._event.clear()
                await self._event.wait()
        finally:
            self._impatient = False

    async def wait(self, seconds: float) -> None:
        """Wait to be told something; after ``seconds`` look anyway."""
        if self._look or self._groups:
            return
        self._event.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            self._look = True
