"""One member of a Kafka consumer group."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    UnknownMemberIdError,
)

from smartex_bus.api import GroupConsumer, StartPosition
from smartex_bus.backoff import Backoff
from smartex_bus.errors import BusUnavailable, LeaseLost, OffsetTrimmed
from smartex_bus.kafka.records import RECORD_OVERHEAD, stored
from smartex_bus.kafka.security import connection
from smartex_bus.kafka.stopping import stop_quietly
from smartex_bus.records import GroupBatch
from smartex_bus.settings import KafkaSettings

_log = structlog.get_logger(__name__)
_POLL_MS = 500


class KafkaConsumer(GroupConsumer):
    """Batches come from the fetcher, which holds one fetch per partition however slow the handler is."""

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Sequence[str],
        *,
        max_records: int,
        lease: float,
        start: StartPosition | None,
        prepare: Callable[[], Awaitable[None]],
        closed: Callable[[KafkaConsumer], None],
    ) -> None:
        self._settings = settings
        self._group = group
        self._topics = list(topics)
        self._max_records = max_records
        self._lease = lease
        self._start = start
        self._prepare = prepare
        self._on_closed = closed
        self._consumer: Any = None
        self._ready: deque[GroupBatch] = deque()
        self._held: frozenset[tuple[str, int]] = frozenset()
        self._closed = False

    @property
    def assignment(self) -> frozenset[tuple[str, int]]:
        """The partitions this member holds now."""
        return self._held

    async def _join(self) -> None:
        await self._prepare()
        consumer = AIOKafkaConsumer(
            **connection(self._settings),
            group_id=self._group,
            enable_auto_commit=False,
            # The positions are set on assignment; out of range must be an error, not a silent jump.
            auto_offset_reset="none",
            session_timeout_ms=int(self._lease * 1000),
            rebalance_timeout_ms=int(self._lease * 1000),
            heartbeat_interval_ms=max(100, int(self._lease * 1000 / 4)),
            max_poll_interval_ms=24 * 3600 * 1000,
            fetch_max_wait_ms=_POLL_MS,
            max_partition_fetch_bytes=min(self._settings.max_append_bytes + RECORD_OVERHEAD, 4 << 20),
            request_timeout_ms=int(max(self._settings.request_timeout, self._lease * 2) * 1000),
            retry_backoff_ms=50,
        )
        try:
            await consumer.start()
        except BaseException:
            await stop_quietly(consumer)
            raise
        if self._closed:
            await stop_quietly(consumer)
            raise ConsumerStoppedError
        self._consumer = consumer
        consumer.subscribe(self._topics, listener=_Listener(self, consumer))

    async def __anext__(self) -> GroupBatch:
        """See ``GroupConsumer``."""
        backoff = Backoff()
        while not self._closed:
            if self._ready:
                return self._ready.popleft()
            try:
                if self._consumer is None:
                    await self._join()
                await self._fetch()
            except OffsetOutOfRangeError as error:
                raise await self._trimmed(error) from error
            except ConsumerStoppedError:
                break
            except NoOffsetForPartitionError:
                # The fetcher was faster than ``assigned``, which is finding out the positions.
                await asyncio.sleep(0.01)
            except (KafkaError, BusUnavailable, OSError, TimeoutError) as error:
                _log.warning("consumer waits for Kafka", group=self._group, error=repr(error))
                if isinstance(error, KafkaError) and not error.retriable:
                    await self._leave()
                await asyncio.sleep(backoff.next())
        raise StopAsyncIteration

    async def _leave(self) -> None:
        """Leave the group, to join it anew: an aiokafka consumer that met a lasting error repeats it for ever."""
        consumer, self._consumer = self._consumer, None
        self._hold_nothing()
        if consumer is not None:
            await stop_quietly(consumer)

    async def _fetch(self) -> None:
        fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=self._max_records)
        for place, raw in fetched.items():
            name = (place.topic, place.partition)
            if raw and name in self._held:
                self._ready.append(GroupBatch(*name, [stored(record) for record in raw]))

    async def _trimmed(self, error: OffsetOutOfRangeError) -> OffsetTrimmed:
        ((place, offset),) = list(error.args[0].items())[:1]
        earliest = (await self._consumer.beginning_offsets([place]))[place]
        return OffsetTrimmed(place.topic, place.partition, offset, earliest)

    async def assigned(self, consumer: Any, places: Iterable[TopicPartition]) -> None:
        """The group gave these partitions to this member: set where each starts.

        It is tried until it succeeds: what a listener raises only reaches aiokafka's log, and nobody would read these
        partitions. If that takes longer than a lease, the group gives them to another member.
        """
        places, backoff = list(places), Backoff()
        while self._consumer is consumer:
            try:
                starts = {place: await self._start_of(consumer, place) for place in places}
            except Exception as error:
                _log.warning("where to start is not known yet", group=self._group, error=repr(error))
                await asyncio.sleep(backoff.next())
            else:
                self._begin(consumer, starts)
                return

    def _begin(self, consumer: Any, starts: Mapping[TopicPartition, int]) -> None:
        if self._consumer is not consumer:
            return
        # No await from here on: what is fetched before the seek is dropped, what comes after it is not.
        for place, position in starts.items():
            consumer.seek(place, position)
        self._held = frozenset((place.topic, place.partition) for place in starts)

    async def _start_of(self, consumer: Any, place: TopicPartition) -> int:
        position = None if self._start is None else await self._start(place.topic, place.partition)
        if position is None:
            position = await consumer.committed(place)
        if position is None:
            position = (await consumer.beginning_offsets([place]))[place]
        return int(position)

    def revoked(self, consumer: Any) -> None:
        """A rebalance begins: what was fetched and not handed out belongs to whoever comes next."""
        if self._consumer is consumer:
            self._hold_nothing()

    def _hold_nothing(self) -> None:
        self._held = frozenset()
        self._ready.clear()

    async def commit(self, positions: Mapping[tuple[str, int], int]) -> None:
        """See ``GroupConsumer.commit``."""
        if not positions:
            return
        if self._consumer is None or not self._held.issuperset(positions):
            raise self._lost(positions)
        try:
            await self._consumer.commit({TopicPartition(*name): offset for name, offset in positions.items()})
        except (CommitFailedError, IllegalStateError, UnknownMemberIdError) as error:
            raise self._lost(positions) from error
        except (KafkaError, OSError, TimeoutError) as error:
            raise BusUnavailable(f"the position was not stored, retry: {error!r}") from error

    def _lost(self, positions: Mapping[tuple[str, int], int]) -> LeaseLost:
        names = ", ".join(f"{topic}[{partition}]" for topic, partition in positions)
        return LeaseLost(f"group {self._group}: {names} is another member's now, drop the batch")

    async def close(self) -> None:
        """See ``GroupConsumer.close``."""
        if self._closed:
            return
        self._closed = True
        await self._leave()
        self._on_closed(self)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, owner: KafkaConsumer, consumer: Any) -> None:
        self._owner = owner
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._owner.revoked(self._consumer)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._owner.assigned(self._consumer, assigned)
