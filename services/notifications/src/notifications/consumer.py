"""Follows `notifications.notices.v1`: rows and position in one transaction, so that a repeat has no effect."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from google.protobuf.message import DecodeError
from opentelemetry import trace
from smartex.notifications.v1.notice_pb2 import Notice
from smartex_bus import Bus, BusError, GroupBatch, GroupConsumer, StoredRecord, Topic, batch_links
from smartex_chassis import counter, gauge, start_task, stop_tasks
from smartex_store import Connection, Database, is_retryable

from notifications.contract import Malformed
from notifications.intake import Intake

TOPIC = "notifications.notices.v1"
GROUP = "notifications"
REDRIVE = f"{GROUP}.redrive"
_RETRY_SECONDS = 0.5
_LOOK_SECONDS = 5.0
_BATCH = 100
"""Records at once: texts are written on the event loop, and orders may wait on it."""

_log = structlog.get_logger("notifications.consumer")
_tracer = trace.get_tracer("notifications")
_set_aside = counter(
    "notifications_dead_letters_total",
    "Records of notices that were set aside (python -m smartex_bus letters)",
)
_lag = gauge(
    "notifications_lag_records", "Notices on the bus that no pod had taken in when it was last looked"
)

_MOVE = """
    INSERT INTO notifications.consumer_positions AS p (topic, partition, next_offset) VALUES ($1, $2, $3)
        ON CONFLICT (topic, partition) DO UPDATE SET next_offset = greatest(p.next_offset, excluded.next_offset)
"""


class NoticeConsumer:
    """A member of the group `notifications`; any number of pods run one."""

    def __init__(self, bus: Bus, database: Database, intake: Intake) -> None:
        self._bus = bus
        self._database = database
        self._intake = intake
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to take notices in."""
        await self._bus.ensure_topics(Topic(TOPIC), Topic(REDRIVE))
        self._tasks = [
            start_task(self._run(), "notifications-consumer"),
            start_task(self._watch(), "notifications-lag"),
        ]

    async def stop(self) -> None:
        """Stop; what was not committed comes again."""
        await stop_tasks(*self._tasks)
        self._tasks = []

    async def lag(self) -> int:
        """How many notices on the bus no pod has taken in."""
        behind = 0
        for topic in (TOPIC, REDRIVE):
            position = await self._position(topic, 0)
            earliest, end = await self._bus.offsets(topic, 0)
            behind += max(0, end - max(earliest, position or 0))
        return behind

    async def _watch(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self) -> None:
        try:
            _lag.set(await self.lag())
        except Exception as error:
            _log.warning("lag_unknown", why=str(error))

    async def _run(self) -> None:
        while True:
            try:
                async with self._bus.consume(
                    GROUP, [TOPIC, REDRIVE], max_records=_BATCH, start=self._position
                ) as consumer:
                    async for batch in consumer:
                        await self._take(batch)
                        await _commit(consumer, batch)
            except Exception as error:
                if _passes(error):
                    _log.warning("notices_wait", why=str(error))
                else:
                    _log.exception("notices_stopped_short")
            await asyncio.sleep(_RETRY_SECONDS)

    async def _position(self, topic: str, partition: int) -> int | None:
        offset: int | None = await self._database.fetchval(
            "SELECT next_offset FROM notifications.consumer_positions WHERE topic = $1 AND partition = $2",
            topic,
            partition,
        )
        return offset

    async def _take(self, batch: GroupBatch) -> None:
        links = batch_links(batch.records)
        with _tracer.start_as_current_span("notifications.take_in", context=None, links=links):
            try:
                await self._take_together(batch.records)
            except Exception as error:
                if _passes(error):
                    raise
                await self._take_singly(batch.records)

    async def _take_together(self, records: Sequence[StoredRecord]) -> None:
        messages = [Notice.FromString(record.value) for record in records]
        async with self._database.transaction() as connection:
            await self._intake.take_in(connection, messages)
            await _move(connection, records[-1])

    async def _take_singly(self, records: Sequence[StoredRecord]) -> None:
        """Find what cannot be taken in, and set only that aside."""
        for record in records:
            try:
                await self._take_together([record])
            except Exception as error:
                if _passes(error):
                    raise
                await self._set_aside(record, error)

    async def _set_aside(self, record: StoredRecord, error: Exception) -> None:
        where = {
            "group": GROUP,
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
        }
        if isinstance(error, DecodeError | Malformed):
            _log.error("notice_set_aside", **where, reason=str(error))
        else:
            _log.error("notice_set_aside", **where, exc_info=error)
        reason = f"{type(error).__name__}: {error}"[:500]
        await self._bus.dead_letter(record, group=GROUP, reason=reason)
        _set_aside.inc()
        async with self._database.transaction() as connection:
            await _move(connection, record)


async def _commit(consumer: GroupConsumer, batch: GroupBatch) -> None:
    await consumer.commit({(batch.topic, batch.partition): batch.next_offset})


async def _move(connection: Connection, last: StoredRecord) -> None:
    await connection.execute(_MOVE, last.topic, last.partition, last.offset + 1)


def _passes(error: Exception) -> bool:
    """Whether it is a matter of waiting: the database or the bus is away."""
    return is_retryable(error) or isinstance(error, BusError | OSError | TimeoutError)
