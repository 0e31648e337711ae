"""The log in PostgreSQL: a table, offsets given under a row lock, wake-up by LISTEN and NOTIFY."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import asyncpg
import structlog
from smartex_store import DatabaseUnavailable, migrate

from smartex_bus.api import (
    MAX_PENDING_BYTES,
    MAX_PENDING_RECORDS,
    MAX_READ_BYTES,
    Appender,
    Bus,
    GroupConsumer,
    Handler,
    StartPosition,
)
from smartex_bus.appender import GroupCommitAppender, Limits
from smartex_bus.backoff import Backoff
from smartex_bus.errors import BusClosed, BusError, BusUnavailable, UnknownTopic
from smartex_bus.letters import LETTER_ROOM, not_taken_back, redrive_topic, redriven
from smartex_bus.postgres.append import LogWriter
from smartex_bus.postgres.connections import FAILED, LOST
from smartex_bus.postgres.consumer import PostgresConsumer
from smartex_bus.postgres.dead_letters import DeadLetters
from smartex_bus.postgres.signals import Signals
from smartex_bus.postgres.topics import Topics
from smartex_bus.records import DeadLetter, Record, StoredRecord, Topic
from smartex_bus.settings import PostgresSettings
from smartex_bus.tail import Tail

_log = structlog.get_logger(__name__)
MIGRATIONS = Path(__file__).parent / "migrations"


class PostgresBus(Bus):
    """The PostgreSQL engine. Open one with ``PostgresBus.open``."""

    def __init__(self, settings: PostgresSettings, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.fatal = asyncio.Event()
        self.fatal_error: BusError | None = None
        self.dead_letter_count = 0
        self._settings = settings
        self._pool = pool
        self._topics = Topics(pool)
        self._letters = DeadLetters(pool)
        self._signals = Signals(settings)
        self._appenders: set[GroupCommitAppender] = set()
        self._consumers: set[PostgresConsumer] = set()
        self._redrives: dict[str, Appender] = {}
        self._closed = False
        self._retention = asyncio.get_running_loop().create_task(self._retain(), name="bus retention")

    @classmethod
    async def open(cls, settings: PostgresSettings) -> PostgresBus:
        """Connect and bring the schema ``bus`` up to date. ``BusUnavailable`` if the server is away."""
        try:
            pool = await asyncpg.create_pool(
                settings.url,
                min_size=0,
                max_size=settings.pool_size,
                timeout=settings.connect_timeout,
                command_timeout=30.0,
                server_settings={
                    "application_name": "smartex-bus",
                    "jit": "off",
                    # A process that is frozen within a transaction must not keep its locks from the others.
                    "idle_in_transaction_session_timeout": "10s",
                },
            )
        except LOST as error:
            raise BusUnavailable(f"the database of the bus is away, retry: {error!r}") from error
        try:
            async with _Available():
                await pool.fetchval("select true")
            await migrate(settings.url, schema="bus", folder=MIGRATIONS)
        except BaseException as error:
            pool.terminate()
            if isinstance(error, DatabaseUnavailable):
                raise BusUnavailable(f"the database of the bus went away, retry: {error}") from error
            raise
        return cls(settings, pool)

    async def ensure_topics(self, *topics: Topic) -> None:
        """See ``Bus.ensure_topics``."""
        async with _Available():
            await self._topics.ensure(*topics)

    def appender(
        self,
        topic: str,
        partition: int = 0,
        *,
        max_pending_records: int = MAX_PENDING_RECORDS,
        max_pending_bytes: int = MAX_PENDING_BYTES,
    ) -> Appender:
        """See ``Bus.appender``. The appender holds one connection of its own."""
        return self._appender(topic, partition, Limits(max_pending_records, max_pending_bytes))

    def _appender(self, topic: str, partition: int, limits: Limits) -> Appender:
        self._check_open()

        def appended(first: int, records: list[Record], time_ns: int) -> None:
            self._signals.appended((writer.topic_id, partition), first, records, time_ns)

        async def closed() -> None:
            self._appenders.discard(appender)
            await writer.close()

        resolve = partial(self._topics.resolve, topic, partition)
        writer = LogWriter(self._settings, resolve, partition)
        appender = GroupCommitAppender(
            f"{topic}[{partition}]",
            writer.write,
            limits,
            appended=appended,
            on_fatal=self._fail,
            on_close=closed,
        )
        self._appenders.add(appender)
        return appender

    def _check_open(self) -> None:
        if self._closed:
            raise BusClosed("the bus is closed: open another")

    def _fail(self, error: BusError) -> None:
        _log.error("an append failed for good, leave the process", error=str(error))
        self.fatal_error = self.fatal_error or error
        self.fatal.set()

    async def read(
        self,
        topic: str,
        partition: int,
        offset: int,
        *,
        max_records: int = 1000,
        max_bytes: int = MAX_READ_BYTES,
    ) -> list[StoredRecord]:
        """See ``Bus.read``."""
        self._check_open()
        async with _Available():
            return await self._topics.read(topic, partition, offset, max_records, max_bytes)

    async def follow(
        self,
        topic: str,
        partition: int,
        offset: int,
        *,
        max_records: int = 1000,
        known: Callable[[], int] = lambda: 0,
    ) -> AsyncIterator[list[StoredRecord]]:
        """See ``Bus.follow``. What this process appended itself comes from memory, once durable."""
        tail = Tail(topic, partition, known=known)
        key = (await self._resolve_patiently(topic, partition), partition)
        backoff = Backoff()
        self._signals.follow(key, tail)
        try:
            while True:
                offset = max(offset, known())
                records = tail.take(offset, max_records)
                if not records and tail.must_look():
                    self._check_open()
                    try:
                        records = await self.read(topic, partition, offset, max_records=max_records)
                        backoff.reset()
                    except BusUnavailable:
                        tail.tell()
                        await asyncio.sleep(backoff.next())
                        continue
                    if records:
                        tail.tell()
                if records:
                    offset += len(records)
                    yield records
                else:
                    await tail.wait(self._settings.poll_interval)
        finally:
            self._signals.unfollow(key, tail)

    async def _resolve_patiently(self, topic: str, partition: int) -> int:
        backoff = Backoff()
        while True:
            try:
                return await self._topics.resolve(topic, partition)
            except LOST:
                await asyncio.sleep(backoff.next())

    async def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        """See ``Bus.offsets``."""
        async with _Available():
            return await self._topics.offsets(topic, partition)

    def consume(
        self,
        group: str,
        topics: Sequence[str],
        *,
        max_records: int = 500,
        lease: float = 10.0,
        start: StartPosition | None = None,
    ) -> GroupConsumer:
        """See ``Bus.consume``."""
        consumer = PostgresConsumer(
            self._pool,
            self._topics,
            self._signals,
            group,
            [*topics, redrive_topic(group)],
            max_records=max_records,
            lease=lease,
            start=start,
            poll_interval=self._settings.poll_interval,
            closed=self._consumers.discard,
        )
        self._consumers.add(consumer)
        return consumer

    async def trim(self, topic: str, partition: int, before_offset: int) -> None:
        """See ``Bus.trim``."""
        async with _Available():
            await self._topics.trim(topic, partition, before_offset)

    async def _retain(self) -> None:
        while True:
            await asyncio.sleep(self._settings.retention_interval)
            try:
                await self._topics.expire()
                await self._topics.forget_producers()
            except FAILED as error:
                _log.warning("retention waits for the database", error=repr(error))

    async def dead_letter(self, record: StoredRecord, *, group: str, reason: str) -> DeadLetter:
        """See ``Bus.dead_letter``. A record is one letter of its group, however often it is set aside."""
        async with _Available():
            letter = await self._letters.add(record, group, reason)
        self.dead_letter_count += 1
        return letter

    async def dead_letter_groups(self) -> list[str]:
        """See ``Bus.dead_letter_groups``."""
        async with _Available():
            return await self._letters.groups()

    async def dead_letters(self, group: str, *, limit: int = 100, after: int = -1) -> list[DeadLetter]:
        """See ``Bus.dead_letters``."""
        async with _Available():
            return await self._letters.open(group, limit, after)

    async def redrive(self, letter: DeadLetter, handler: Handler | None = None) -> None:
        """See ``Bus.redrive``."""
        if handler is not None:
            await handler(letter.record)
        else:
            await self._deliver_again(letter)
        await self.close_letter(letter)

    async def _deliver_again(self, letter: DeadLetter) -> None:
        topic = redrive_topic(letter.group)
        if topic not in self._redrives:
            async with _Available():
                try:
                    await self._topics.resolve(topic)
                except UnknownTopic:
                    raise not_taken_back(letter.group) from None
            limits = Limits(MAX_PENDING_RECORDS, MAX_PENDING_BYTES)
            limits = replace(limits, append_bytes=limits.append_bytes + LETTER_ROOM)
            self._redrives[topic] = self._appender(topic, 0, limits)
        await self._redrives[topic].append(redriven(letter))

    async def close_letter(self, letter: DeadLetter) -> None:
        """See ``Bus.close_letter``."""
        async with _Available():
            await self._letters.close(letter)

    async def healthy(self) -> bool:
        """See ``Bus.healthy``."""
        if self._closed or self.fatal.is_set():
            return False
        try:
            return bool(await self._pool.fetchval("select true", timeout=2.0))
        except FAILED:
            return False

    async def close(self) -> None:
        """See ``Bus.close``."""
        if self._closed:
            return
        self._closed = True
        self._retention.cancel()
        await asyncio.gather(self._retention, return_exceptions=True)
        for consumer in list(self._consumers):
            await consumer.close()
        await asyncio.gather(*(appender.close() for appender in list(self._appenders)))
        await self._signals.close()
        self._pool.terminate()


class _Available:
    """Turns the driver's connection errors into ``BusUnavailable``."""

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, LOST):
            raise BusUnavailable(f"the database of the bus is away, retry: {error!r}") from error
