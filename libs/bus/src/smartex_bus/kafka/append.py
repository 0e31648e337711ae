"""Durable appends to one partition through an idempotent producer.

The rule: after any error that is not retried inside the producer, or an answer that does not come in time,
the outcome is unknown, and the next send could silently succeed past the gap. So the writer raises, its
appender is poisoned and the process has to leave. Retries inside the producer are exact (producer id and
sequence number).

Every writer has a producer of its own: aiokafka keeps one request per broker in flight, so appenders that
shared one would wait for each other. A group goes out as one batch, made here, so that linger and size do
not split it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError

from smartex_bus.backoff import Backoff
from smartex_bus.errors import AppendUnknown
from smartex_bus.kafka.batch import RecordBatch
from smartex_bus.kafka.produce import put_together_once
from smartex_bus.kafka.records import RECORD_OVERHEAD, fill
from smartex_bus.kafka.security import connection
from smartex_bus.kafka.stopping import stop_quietly
from smartex_bus.kafka.topics import Topics
from smartex_bus.records import Record
from smartex_bus.settings import KafkaSettings

_log = structlog.get_logger(__name__)


class KafkaWriter:
    """Writes groups of records of one partition."""

    def __init__(self, settings: KafkaSettings, topics: Topics, topic: str, partition: int) -> None:
        self._settings = settings
        self._topics = topics
        self._topic = topic
        self._partition = partition
        self._room = settings.max_append_bytes + RECORD_OVERHEAD
        self._producer: Any = None
        self._next_offset = 0

    async def write(self, records: list[Record]) -> tuple[int, int]:
        """Make the records durable; returns the first offset and the time. ``AppendUnknown`` if that cannot be told."""
        time_ms = time.time_ns() // 1_000_000
        answer = await self._send(records, time_ms)
        try:
            async with asyncio.timeout(self._settings.delivery_timeout):
                metadata = await asyncio.shield(answer)
        except TimeoutError:
            raise self._unknown(f"no answer within {self._settings.delivery_timeout:.0f} s") from None
        except KafkaError as error:
            raise self._unknown(repr(error)) from error
        offset: int = metadata.offset
        # A repeat that the broker knows too little about is answered with offset -1.
        if offset < self._next_offset:
            raise self._unknown(f"the broker answered with offset {offset} after {self._next_offset - 1}")
        self._next_offset = offset + len(records)
        return offset, time_ms * 1_000_000

    async def _send(self, records: list[Record], time_ms: int) -> asyncio.Future[Any]:
        """Hand the records to the producer; every error before that is harmless, nothing was sent."""
        backoff = Backoff()
        while True:
            try:
                producer = self._producer or await self._start()
                batch = self._batch(producer, records, time_ms)
                answer: asyncio.Future[Any] = await producer.send_batch(
                    batch, self._topic, partition=self._partition
                )
            except (KafkaTimeoutError, UnknownTopicOrPartitionError, ConnectionError, OSError) as error:
                _log.warning("append waits for Kafka", topic=self._topic, error=repr(error))
                await asyncio.sleep(backoff.next())
            except KafkaError as error:
                if self._producer is not None and not error.retriable:
                    raise self._unknown(repr(error)) from error
                _log.warning("append waits for Kafka", topic=self._topic, error=repr(error))
                await asyncio.sleep(backoff.next())
            else:
                return answer

    def _batch(self, producer: Any, records: list[Record], time_ms: int) -> Any:
        if self._settings.compression == "none":
            return RecordBatch(records, time_ms, self._room)
        batch = producer.create_batch()
        fill(batch, records, time_ms)
        return batch

    async def _start(self) -> Any:
        await self._topics.resolve(self._topic, self._partition)
        compression = self._settings.compression
        producer = AIOKafkaProducer(
            **connection(self._settings),
            acks="all",
            enable_idempotence=True,
            compression_type=None if compression == "none" else compression,
            linger_ms=0,
            max_batch_size=self._room,
            max_request_size=self._room + RECORD_OVERHEAD,
            request_timeout_ms=int(self._settings.request_timeout * 1000),
            retry_backoff_ms=50,
        )
        try:
            await producer.start()
        except BaseException:
            await stop_quietly(producer)
            raise
        # By itself it gives a batch up after a request's time if the partition has no leader: how long an append may
        # take is for `write` to say.
        producer._message_accumulator._batch_ttl = self._settings.delivery_timeout
        put_together_once(producer.client)
        self._producer = producer
        return producer

    def _unknown(self, reason: str) -> AppendUnknown:
        return AppendUnknown(f"{self._topic}[{self._partition}]: outcome of an append is unknown: {reason}")

    async def close(self) -> None:
        """Close the producer without waiting for a broker that is away."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await stop_quietly(producer)
