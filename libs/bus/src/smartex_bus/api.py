"""The face of the bus; the engines implement it."""

from __future__ import annotations

import asyncio
import copy
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from smartex_bus.errors import BusError
from smartex_bus.records import DeadLetter, GroupBatch, Record, StoredRecord, Topic

MAX_READ_BYTES = 8 << 20
MAX_PENDING_RECORDS = 100_000
MAX_PENDING_BYTES = 64 << 20
TURNS_TO_SERVER = 10
"""Turns of the event loop that an append takes, at most as a rule, from its acceptance to the server's socket: who has
much to do meanwhile lets them pass first, and the server works at the same time."""

StartPosition = Callable[[str, int], Awaitable[int | None]]
"""Tells where a partition's consumer starts: an offset, or ``None`` for the group's committed position."""
Handler = Callable[[StoredRecord], Awaitable[None]]
Told = Callable[[int, BusError | None], None]
"""Called with the offset of an append's first record, or with an error; the offset then means nothing."""


def _resolve(future: asyncio.Future[int], offset: int, error: BusError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(offset)
        return
    # Every waiter gets an error of its own, or their tracebacks would grow into one another.
    future.set_exception(copy.copy(error))
    # Nobody may be waiting any more; an unread exception would only be noise.
    future.exception()


class Appender(ABC):
    """Appends to one partition, in the order of acceptance. Appends that meet share one group commit."""

    @abstractmethod
    def append_telling(self, told: Told, *records: Record) -> None:
        """Accept the records now; ``told`` is called with the offset of the first as soon as they are durable.

        It is called at once where a future would wait for the event loop to come around, and what it appends
        is in the next group. It must be quick and must not raise. The records of one call are contiguous.
        Raises ``Overloaded`` at once if the bounded queue is full, ``RecordTooLarge``, ``AppenderPoisoned`` or
        ``BusClosed``.
        """

    def append_nowait(self, *records: Record) -> asyncio.Future[int]:
        """As ``append_telling``, with a future instead of a call."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.append_telling(partial(_resolve, future), *records)
        return future

    async def append(self, *records: Record) -> int:
        """Append the records and wait until they are durable; returns the offset of the first."""
        return await self.append_nowait(*records)

    @property
    @abstractmethod
    def pending(self) -> int:
        """Records accepted and not durable yet."""

    @abstractmethod
    async def close(self, drain: bool = True, *, within: float = 10.0) -> None:
        """Accept no more; with ``drain`` wait up to ``within`` seconds for what was accepted."""


class GroupConsumer(ABC):
    """One member of a consumer group: an async iterator of batches. Close it when done.

    Delivery is at least once: what was not committed is delivered again after a crash or a rebalance.
    """

    def __aiter__(self) -> Self:
        return self

    @abstractmethod
    async def __anext__(self) -> GroupBatch:
        """The next batch; waits for one. Ends once the consumer is closed."""

    @abstractmethod
    async def commit(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Store the next offset by (topic, partition). ``LeaseLost`` if a partition has moved away."""

    @property
    @abstractmethod
    def assignment(self) -> frozenset[tuple[str, int]]:
        """The partitions this member holds now."""

    @abstractmethod
    async def close(self) -> None:
        """Leave the group at once, so that the others take over without waiting."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Bus(ABC):
    """A durable, partitioned log. Open one with ``open_bus``."""

    fatal: asyncio.Event
    """Set when an append failed for good: the process has to leave, to go on could leave a gap."""
    fatal_error: BusError | None
    """Why ``fatal`` is set."""
    dead_letter_count: int
    """Records this process moved to the dead letters."""

    @abstractmethod
    async def ensure_topics(self, *topics: Topic) -> None:
        """Create what is missing; partitions are added, never removed."""

    @abstractmethod
    def appender(
        self,
        topic: str,
        partition: int = 0,
        *,
        max_pending_records: int = MAX_PENDING_RECORDS,
        max_pending_bytes: int = MAX_PENDING_BYTES,
    ) -> Appender:
        """An appender for one partition. The bounds count what is accepted and not durable yet."""

    @abstractmethod
    async def read(
        self,
        topic: str,
        partition: int,
        offset: int,
        *,
        max_records: int = 1000,
        max_bytes: int = MAX_READ_BYTES,
    ) -> list[StoredRecord]:
        """Consecutive records from ``offset`` on; empty at the end of the log.

        At least one record is returned however large it is. Raises ``OffsetTrimmed``, ``UnknownTopic``,
        ``BusUnavailable``.
        """

    @abstractmethod
    def follow(
        self,
        topic: str,
        partition: int,
        offset: int,
        *,
        max_records: int = 1000,
        known: Callable[[], int] = lambda: 0,
    ) -> AsyncIterator[list[StoredRecord]]:
        """Batches from ``offset`` on, for ever: catches up, then waits. Reconnects by itself.

        ``known``: the offset up to which the caller has the records by other means (it appended them, say); they
        may be left out, and nobody is woken up for them.
        """

    @abstractmethod
    async def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        """The earliest offset kept and the next one to be given."""

    @abstractmethod
    def consume(
        self,
        group: str,
        topics: Sequence[str],
        *,
        max_records: int = 500,
        lease: float = 10.0,
        start: StartPosition | None = None,
    ) -> GroupConsumer:
        """Join a group. ``lease``: seconds after which a silent member loses its partitions."""

    @abstractmethod
    async def trim(self, topic: str, partition: int, before_offset: int) -> None:
        """Remove every record before the offset; offsets are never given again."""

    @abstractmethod
    async def dead_letter(self, record: StoredRecord, *, group: str, reason: str) -> DeadLetter:
        """Set a record aside for a group with its coordinates and the reason."""

    @abstractmethod
    async def dead_letter_groups(self) -> list[str]:
        """The groups that set records aside."""

    @abstractmethod
    async def dead_letters(self, group: str, *, limit: int = 100, after: int = -1) -> list[DeadLetter]:
        """The open letters of a group with ids above ``after``, oldest first; what is read creates nothing."""

    @abstractmethod
    async def redrive(self, letter: DeadLetter, handler: Handler | None = None) -> None:
        """Try a letter again, and close it: by ``handler`` if given, else by delivering it to its group once more.

        A letter whose handler raises stays. A redelivered record comes on the topic ``<group>.redrive``, which
        ``consume`` makes; ``origin`` tells where it was first. ``UnknownTopic`` if the group has never consumed: one
        that only follows a topic would never see the record, and the letter would be lost.
        """

    @abstractmethod
    async def close_letter(self, letter: DeadLetter) -> None:
        """Close a letter without delivering it: what it stood for was mended otherwise."""

    @abstractmethod
    async def healthy(self) -> bool:
        """Whether the server answers and no append has failed for good."""

    @abstractmethod
    async def close(self) -> None:
        """Drain the appenders, stop every background task, close the connections."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
