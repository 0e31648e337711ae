"""Reads of one partition at given offsets, without a group."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from smartex_bus.backoff import Backoff
from smartex_bus.errors import BusUnavailable, OffsetTrimmed
from smartex_bus.kafka.records import RECORD_OVERHEAD, stored
from smartex_bus.kafka.security import connection
from smartex_bus.kafka.stopping import stop_quietly
from smartex_bus.records import StoredRecord
from smartex_bus.settings import KafkaSettings

_log = structlog.get_logger(__name__)
_POLL_MS = 500


class Reader:
    """A consumer assigned to one partition. ``wait_ms``: how long a fetch waits at the broker for records."""

    def __init__(self, settings: KafkaSettings, topic: str, partition: int, *, wait_ms: int = 20) -> None:
        self._settings = settings
        self._place = TopicPartition(topic, partition)
        self._wait_ms = wait_ms
        self._consumer: Any = None
        self._position = -1
        self._closed = False
        self._lock = asyncio.Lock()
        self._backoff = Backoff()

    async def _open(self) -> Any:
        if self._consumer is None:
            room = self._settings.max_append_bytes + 2 * RECORD_OVERHEAD
            consumer = AIOKafkaConsumer(
                **connection(self._settings),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                # A fetch that finds nothing is answered as soon as something is appended.
                fetch_min_bytes=1,
                fetch_max_wait_ms=min(self._wait_ms, int(self._settings.request_timeout * 500)),
                max_partition_fetch_bytes=min(room, 8 << 20),
                request_timeout_ms=int(self._settings.request_timeout * 1000),
                retry_backoff_ms=50,
            )
            try:
                await consumer.start()
            except BaseException:
                await stop_quietly(consumer)
                raise
            consumer.assign([self._place])
            # At once, or the fetcher would ask for a committed position, which nobody has.
            consumer.seek(self._place, 0)
            consumer.pause(self._place)
            self._consumer = consumer
            self._position = -1
        return self._consumer

    async def offsets(self) -> tuple[int, int]:
        """The earliest offset kept and the next to be given."""
        async with self._lock:
            return await self._offsets()

    async def _offsets(self) -> tuple[int, int]:
        consumer = await self._open()
        first = await consumer.beginning_offsets([self._place])
        following = await consumer.end_offsets([self._place])
        return first[self._place], following[self._place]

    async def read(self, offset: int, max_records: int, max_bytes: int) -> list[StoredRecord]:
        """Consecutive records from ``offset`` on; empty at the end of the log."""
        async with self._lock:
            earliest, following = await self._offsets()
            if offset < earliest:
                raise OffsetTrimmed(self._place.topic, self._place.partition, offset, earliest)
            if offset >= following:
                return []
            self._seek(offset)
            raw = await self._fetch_some(max_records)
            records = _within(raw, max_bytes)
            self._position = raw[-1].offset + 1
            return records

    def _seek(self, offset: int) -> None:
        # A seek throws away what was fetched ahead; reading on needs none.
        if self._position != offset:
            self._consumer.seek(self._place, offset)
            self._position = offset

    async def _fetch_some(self, max_records: int) -> list[Any]:
        """At least one record; the caller knows that there is one."""
        self._consumer.resume(self._place)
        try:
            async with asyncio.timeout(self._settings.request_timeout):
                while not (raw := await self._fetch(max_records)):
                    pass
                return raw
        finally:
            # A reader that nobody asks must not poll the broker.
            self._consumer.pause(self._place)

    async def _fetch(self, max_records: int) -> list[Any]:
        fetched = await self._consumer.getmany(self._place, timeout_ms=_POLL_MS, max_records=max_records)
        return list(fetched.get(self._place, ()))

    async def some(
        self, offset: int, max_records: int, *, unless: Callable[[], Coroutine[Any, Any, None]]
    ) -> list[StoredRecord]:
        """Records from ``offset`` on, as soon as there are any.

        Empty if there were none for a while, if ``unless`` came first, or if Kafka is away.
        """
        try:
            await self._open()
            self._seek(offset)
            self._consumer.resume(self._place)
            raw = await self._fetch_unless(max_records, unless)
        except OffsetOutOfRangeError:
            await self._check_kept(offset)
            await asyncio.sleep(self._backoff.next())
            return []
        except (KafkaError, OSError, TimeoutError) as error:
            if not self._closed:
                _log.warning("follower waits for Kafka", topic=self._place.topic, error=repr(error))
            await self.close()
            await asyncio.sleep(self._backoff.next())
            return []
        if raw:
            self._backoff.reset()
            self._position = raw[-1].offset + 1
        return [stored(record) for record in raw]

    async def _fetch_unless(
        self, max_records: int, unless: Callable[[], Coroutine[Any, Any, None]]
    ) -> list[Any]:
        fetching = asyncio.ensure_future(self._fetch(max_records))
        other = asyncio.ensure_future(unless())
        try:
            await asyncio.wait({fetching, other}, return_when=asyncio.FIRST_COMPLETED)
            if fetching.done():
                return fetching.result()
            # It stops asking the broker. What is under way will be thrown away by the next seek.
            self._consumer.pause(self._place)
            self._position = -1
            return []
        finally:
            for task in (fetching, other):
                task.cancel()
            await asyncio.gather(fetching, other, return_exceptions=True)

    async def _check_kept(self, offset: int) -> None:
        """``OffsetTrimmed`` if the offset is gone; an offset beyond the end is waited for."""
        self._position = -1
        with contextlib.suppress(KafkaError, OSError, TimeoutError, BusUnavailable):
            earliest, _ = await self.offsets()
            if offset < earliest:
                raise OffsetTrimmed(self._place.topic, self._place.partition, offset, earliest)

    async def close(self, *, for_good: bool = False) -> None:
        """Close the connections; unless it is ``for_good``, the next read opens them again."""
        self._closed = self._closed or for_good
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_quietly(consumer)


def _within(raw: list[Any], max_bytes: int) -> list[StoredRecord]:
    records: list[StoredRecord] = []
    total = 0
    for item in raw:
        total += len(item.value or b"")
        if records and total > max_bytes:
            break
        records.append(stored(item))
    return records
