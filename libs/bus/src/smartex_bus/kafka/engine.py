"""The log in Kafka."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence

import structlog
from aiokafka.errors import KafkaError

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
from smartex_bus.errors import BusClosed, BusError, BusUnavailable
from smartex_bus.kafka import security
from smartex_bus.kafka.append import KafkaWriter
from smartex_bus.kafka.consumer import KafkaConsumer
from smartex_bus.kafka.dead_letters import (
    check_whole,
    groups_of,
    letters_topic,
    mark_redriven,
    open_letters,
    to_letter,
    to_record,
)
from smartex_bus.kafka.reader import Reader
from smartex_bus.kafka.topics import Available, Topics
from smartex_bus.letters import LETTER_ROOM, not_taken_back, redrive_topic, redriven
from smartex_bus.records import DeadLetter, Record, StoredRecord, Topic
from smartex_bus.settings import KafkaSettings
from smartex_bus.tail import Tail

_log = structlog.get_logger(__name__)
_READERS = 16
_OWN_SECONDS = 0.02
"""While this process itself appends at least this often, a follower does not ask the broker: what others append shows
by a gap before the next of its own."""


class KafkaBus(Bus):
    """The Kafka engine. Open one with ``KafkaBus.open``."""

    def __init__(self, settings: KafkaSettings, topics: Topics) -> None:
        self.fatal = asyncio.Event()
        self.fatal_error: BusError | None = None
        self.dead_letter_count = 0
        self._settings = settings
        self._topics = topics
        self._appenders: set[GroupCommitAppender] = set()
        self._consumers: set[KafkaConsumer] = set()
        self._readers: dict[tuple[str, int], Reader] = {}
        self._followers: set[Reader] = set()
        self._tails: defaultdict[tuple[str, int], set[Tail]] = defaultdict(set)
        self._own: dict[str, Appender] = {}
        self._closed = False

    @classmethod
    async def open(cls, settings: KafkaSettings) -> KafkaBus:
        """Connect. ``BusUnavailable`` if no broker answers, ``Misconfigured`` if it refuses this client."""
        security.check(settings)
        topics = Topics(settings)
        try:
            await topics.admin()
        except (KafkaError, OSError, TimeoutError) as error:
            raise await security.why_not(settings) from error
        return cls(settings, topics)

    async def ensure_topics(self, *topics: Topic) -> None:
        """See ``Bus.ensure_topics``."""
        async with Available(self._topics):
            await self._topics.ensure(*topics)

    def appender(
        self,
        topic: str,
        partition: int = 0,
        *,
        max_pending_records: int = MAX_PENDING_RECORDS,
        max_pending_bytes: int = MAX_PENDING_BYTES,
    ) -> Appender:
        """See ``Bus.appender``. The appender has a producer of its own."""
        most = self._settings.max_append_bytes
        limits = Limits(max_pending_records, max_pending_bytes, group_bytes=most, append_bytes=most)
        return self._appender(topic, partition, limits)

    def _appender(self, topic: str, partition: int, limits: Limits) -> Appender:
        self._check_open()

        async def closed() -> None:
            self._appenders.discard(appender)
            await writer.close()

        def appended(first: int, records: list[Record], time_ns: int) -> None:
            for tail in self._tails.get((topic, partition), ()):
                tail.hand_over(first, records, time_ns)

        writer = KafkaWriter(self._settings, self._topics, topic, partition)
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

    async def _reader(self, topic: str, partition: int) -> Reader:
        await self._topics.resolve(topic, partition)
        name = (topic, partition)
        reader = self._readers.pop(name, None) or Reader(self._settings, topic, partition)
        self._readers[name] = reader
        if len(self._readers) > _READERS:
            await self._readers.pop(next(iter(self._readers))).close()
        return reader

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
        async with Available(self._topics):
            reader = await self._reader(topic, partition)
            try:
                return await reader.read(offset, max_records, max_bytes)
            except (KafkaError, OSError, TimeoutError):
                await reader.close()
                raise

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
        await self._resolve_patiently(topic, partition)
        reader = Reader(self._settings, topic, partition, wait_ms=500)
        self._followers.add(reader)
        self._tails[topic, partition].add(tail)
        try:
            while not self._closed:
                offset = max(offset, known())
                records = tail.take(offset, max_records)
                if not records and tail.must_look():
                    records = await reader.some(offset, max_records, unless=tail.handed)
                    if not tail.holds:
                        tail.tell()
                if records:
                    offset = records[-1].offset + 1
                    yield records
                else:
                    await tail.wait(_OWN_SECONDS)
            raise BusClosed("the bus is closed: open another")
        finally:
            self._tails[topic, partition].discard(tail)
            self._followers.discard(reader)
            await reader.close()

    async def _resolve_patiently(self, topic: str, partition: int) -> None:
        backoff = Backoff()
        while True:
            try:
                async with Available(self._topics):
                    return await self._topics.resolve(topic, partition)
            except BusUnavailable:
                await asyncio.sleep(backoff.next())

    async def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        """See ``Bus.offsets``."""
        async with Available(self._topics):
            reader = await self._reader(topic, partition)
            try:
                return await reader.offsets()
            except (KafkaError, OSError, TimeoutError):
                await reader.close()
                raise

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

        async def prepare() -> None:
            for topic in topics:
                async with Available(self._topics):
                    await self._topics.partitions(topic)
            await self.ensure_topics(Topic(redrive_topic(group)))

        consumer = KafkaConsumer(
            self._settings,
            group,
            [*topics, redrive_topic(group)],
            max_records=max_records,
            lease=lease,
            start=start,
            prepare=prepare,
            closed=self._consumers.discard,
        )
        self._consumers.add(consumer)
        return consumer

    async def trim(self, topic: str, partition: int, before_offset: int) -> None:
        """See ``Bus.trim``."""
        earliest, following = await self.offsets(topic, partition)
        if before_offset > earliest:
            async with Available(self._topics):
                await self._topics.trim(topic, partition, min(before_offset, following))

    async def dead_letter(self, record: StoredRecord, *, group: str, reason: str) -> DeadLetter:
        """See ``Bus.dead_letter``."""
        letter, topic = to_record(record, reason, self._most_of_letters), letters_topic(group)
        if topic not in self._own:
            await self.ensure_topics(Topic(topic))
        identity = await self._own_appender(topic).append(letter)
        self.dead_letter_count += 1
        return to_letter(group, identity, letter)

    async def dead_letter_groups(self) -> list[str]:
        """See ``Bus.dead_letter_groups``."""
        async with Available(self._topics):
            return groups_of(await self._topics.names())

    async def dead_letters(self, group: str, *, limit: int = 100, after: int = -1) -> list[DeadLetter]:
        """See ``Bus.dead_letters``."""
        # Not made here: who looks may know less of how topics are to be made than the service, or have mistyped.
        if group not in await self.dead_letter_groups():
            return []
        earliest, _ = await self.offsets(letters_topic(group), 0)

        async def read(topic: str, offset: int, most: int) -> list[StoredRecord]:
            return await self.read(topic, 0, offset, max_records=most)

        return await open_letters(group, max(earliest, after + 1), read, limit)

    async def redrive(self, letter: DeadLetter, handler: Handler | None = None) -> None:
        """See ``Bus.redrive``."""
        if handler is not None:
            await handler(letter.record)
        else:
            await self._deliver_again(letter)
        await self.close_letter(letter)

    async def _deliver_again(self, letter: DeadLetter) -> None:
        topic = redrive_topic(letter.group)
        if topic not in self._own:
            async with Available(self._topics):
                if topic not in await self._topics.names():
                    raise not_taken_back(letter.group)
        check_whole(letter)
        await self._own_appender(topic).append(redriven(letter))

    async def close_letter(self, letter: DeadLetter) -> None:
        """See ``Bus.close_letter``."""
        await self._own_appender(letters_topic(letter.group)).append(mark_redriven(letter))

    def _own_appender(self, topic: str) -> Appender:
        if topic not in self._own:
            most = self._most_of_letters
            limits = Limits(MAX_PENDING_RECORDS, MAX_PENDING_BYTES, group_bytes=most, append_bytes=most)
            self._own[topic] = self._appender(topic, 0, limits)
        return self._own[topic]

    @property
    def _most_of_letters(self) -> int:
        return self._settings.max_append_bytes + LETTER_ROOM

    async def healthy(self) -> bool:
        """See ``Bus.healthy``."""
        return not self._closed and not self.fatal.is_set() and await self._topics.answers()

    async def close(self) -> None:
        """See ``Bus.close``."""
        if self._closed:
            return
        self._closed = True
        for consumer in list(self._consumers):
            await consumer.close()
        await asyncio.gather(*(appender.close() for appender in list(self._appenders)))
        for reader in [*self._readers.values(), *self._followers]:
            await reader.close(for_good=True)
        await self._topics.forget()
