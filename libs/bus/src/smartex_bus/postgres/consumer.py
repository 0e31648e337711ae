"""One member of a group over the tables of ``groups``."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import asyncpg
import structlog

from smartex_bus.api import MAX_READ_BYTES, GroupConsumer, StartPosition
from smartex_bus.backoff import Backoff
from smartex_bus.errors import BusUnavailable, LeaseLost
from smartex_bus.postgres.connections import FAILED, LOST, WAITING
from smartex_bus.postgres.groups import GroupTables, Place
from smartex_bus.postgres.signals import Signals
from smartex_bus.postgres.topics import Topics
from smartex_bus.records import GroupBatch, Topic
from smartex_bus.tail import Tail

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Held:
    topic: str
    place: Place
    epoch: int
    position: int
    tail: Tail
    revoke_by: float | None = None

    @property
    def name(self) -> tuple[str, int]:
        return self.topic, self.place[1]


class PostgresConsumer(GroupConsumer):
    """Reads one batch ahead of nobody: memory is bounded by one batch, however slow the handler is."""

    def __init__(
        self,
        pool: asyncpg.Pool[asyncpg.Record],
        topics: Topics,
        signals: Signals,
        group: str,
        names: Sequence[str],
        *,
        max_records: int,
        lease: float,
        start: StartPosition | None,
        poll_interval: float,
        closed: Callable[[PostgresConsumer], None],
    ) -> None:
        self._pool = pool
        self._topics = topics
        self._signals = signals
        self._group = group
        self._names = list(names)
        self._max_records = max_records
        self._lease = lease
        self._start = start
        self._poll_interval = poll_interval
        self._on_closed = closed
        self._tables: GroupTables | None = None
        self._topic_names: dict[int, str] = {}
        self._held: dict[Place, _Held] = {}
        self._turn: list[Place] = []
        self._handed: Place | None = None
        self._event = asyncio.Event()
        self._rebalance = asyncio.Event()
        self._committing = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def assignment(self) -> frozenset[tuple[str, int]]:
        """The partitions this member holds now."""
        return frozenset(held.name for held in self._held.values() if held.revoke_by is None)

    async def _join(self) -> GroupTables:
        await self._topics.ensure(Topic(self._names[-1]))
        for name in self._names:
            self._topic_names[await self._topics.resolve(name)] = name
        tables = GroupTables(self._pool, self._group, list(self._topic_names), self._lease)
        self._tables = tables
        self._signals.watch_group(self._group, self._rebalance)
        self._keeper = asyncio.get_running_loop().create_task(self._keep(tables), name=f"lease {self._group}")
        return tables

    async def __anext__(self) -> GroupBatch:
        """See ``GroupConsumer``. Asking for the next batch says that the last one is done with."""
        self._handed = None
        if any(held.revoke_by is not None for held in self._held.values()):
            self._rebalance.set()
        backoff = Backoff()
        while not self._closed:
            try:
                if self._tables is None:
                    await self._join()
                batch = await self._poll()
            except WAITING as error:
                _log.warning("consumer waits for the database", group=self._group, error=repr(error))
                await asyncio.sleep(backoff.next())
                continue
            if batch is not None:
                return batch
            await self._wait()
        raise StopAsyncIteration

    async def _poll(self) -> GroupBatch | None:
        """The next batch of the first partition that has one; partitions take turns."""
        for place in list(self._turn):
            held = self._held.get(place)
            if held is None or held.revoke_by is not None:
                continue
            records = held.tail.take(held.position, self._max_records)
            if not records and held.tail.must_look():
                try:
                    records = await self._topics.read(
                        held.topic, place[1], held.position, self._max_records, MAX_READ_BYTES
                    )
                except BaseException:
                    held.tail.tell()
                    raise
                if records:
                    held.tail.tell()
            # The lease may have gone while the database was read.
            if records and self._held.get(place) is held and held.revoke_by is None:
                held.position = records[-1].offset + 1
                self._handed = place
                self._turn.remove(place)
                self._turn.append(place)
                return GroupBatch(held.topic, place[1], records)
        return None

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._poll_interval):
                await self._event.wait()
        except TimeoutError:
            for held in self._held.values():
                held.tail.tell()
        self._event.clear()

    async def _keep(self, tables: GroupTables) -> None:
        """Heartbeats, and a round at once whenever the members change."""
        backoff = Backoff()
        while True:
            self._rebalance.clear()
            try:
                await self._round(tables)
                backoff.reset()
            except Exception as error:
                # Without this task nothing would be held or read, and nobody would know.
                _log.warning("a round of leases failed and is repeated", group=self._group, error=repr(error))
                await asyncio.sleep(min(backoff.next(), self._lease / 3))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._lease / 3):
                    await self._rebalance.wait()

    async def _round(self, tables: GroupTables) -> None:
        outcome = await tables.beat({place: held.epoch for place, held in self._held.items()})
        for place in outcome.lost:
            self._drop(place)
        released = await self._release(tables, outcome.surplus)
        failures: list[Exception] = []
        for place, (epoch, position) in outcome.gained.items():
            try:
                await self._gain(place, epoch, position)
            except Exception as error:
                # The others are read all the same; the next round gains this one again.
                failures.append(error)
        if outcome.joined or released:
            self._signals.group_changed(self._group)
            self._rebalance.clear()
        if failures:
            raise failures[0]

    async def _release(self, tables: GroupTables, surplus: set[Place]) -> bool:
        """Give back what is not ours any more, but let the handler finish its batch for up to one lease."""
        now = time.monotonic()
        ready: dict[Place, int] = {}
        for place in surplus:
            held = self._held[place]
            held.revoke_by = held.revoke_by or now + self._lease
            if place != self._handed or now >= held.revoke_by:
                ready[place] = held.epoch
        for place in set(self._held) - surplus:
            self._held[place].revoke_by = None
        if ready:
            # In this order: what is dropped but not given back would be read by nobody.
            await tables.give_back(ready)
            for place in ready:
                self._drop(place)
        return bool(ready)

    async def _gain(self, place: Place, epoch: int, position: int | None) -> None:
        topic = self._topic_names[place[0]]
        if self._start is not None:
            started = await self._start(topic, place[1])
            position = position if started is None else started
        if position is None:
            position, _ = await self._topics.offsets(topic, place[1])
        held = _Held(topic, place, epoch, position, Tail(topic, place[1], self._event))
        self._held[place] = held
        self._turn.append(place)
        self._signals.follow(place, held.tail)
        self._event.set()

    def _drop(self, place: Place) -> None:
        held = self._held.pop(place, None)
        if held is not None:
            self._turn.remove(place)
            self._signals.unfollow(place, held.tail)

    async def commit(self, positions: Mapping[tuple[str, int], int]) -> None:
        """See ``GroupConsumer.commit``."""
        by_name = {held.name: held for held in self._held.values()}
        for name, next_offset in positions.items():
            held = by_name.get(name)
            if held is None or self._tables is None:
                raise LeaseLost(
                    f"group {self._group} does not hold {name[0]}[{name[1]}] here any more: drop the batch"
                )
            try:
                async with self._committing:
                    kept = await self._tables.commit(held.place, held.epoch, next_offset)
            except LOST as error:
                raise BusUnavailable(f"the position was not stored, retry: {error!r}") from error
            if not kept:
                self._drop(held.place)
                raise LeaseLost(
                    f"group {self._group} lost {name[0]}[{name[1]}] to another member: drop the batch"
                )

    async def close(self) -> None:
        """See ``GroupConsumer.close``."""
        if self._closed:
            return
        self._closed = True
        self._event.set()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        for place in list(self._held):
            self._drop(place)
        self._signals.unwatch_group(self._group, self._rebalance)
        if self._tables is not None:
            # A commit under way comes first: leaving would refuse it.
            with contextlib.suppress(*FAILED):
                async with asyncio.timeout(2.0), self._committing:
                    await self._tables.leave()
            self._signals.group_changed(self._group)
        self._on_closed(self)
