"""Topics and positions in tables: what exists, from where to where, and what retention removes."""

from __future__ import annotations

import time
from datetime import timedelta

import asyncpg

from smartex_bus.errors import OffsetTrimmed, UnknownTopic
from smartex_bus.headers import decode_headers
from smartex_bus.postgres.packing import unpack
from smartex_bus.records import StoredRecord, Topic

_DELETE_CHUNK = 5_000
_PRODUCER_KEPT_NS = 7 * 24 * 3600 * 10**9

# The running total stops the scan's output at max_bytes without fetching the values beyond it.
_READ = """
select "offset", time_ns, key, headers, value, unpacked_size from (
    select *, sum(size) over (order by "offset") as total from (
        select "offset", time_ns, key, headers, value, unpacked_size,
               coalesce(unpacked_size, octet_length(value)) as size
          from bus.log
         where topic_id = $1 and partition = $2 and "offset" >= $3 and "offset" < $3 + $4) as r) as s
 where total - size < $5
"""
_EXPIRED = """
select max("offset") + 1 as before from (
    select "offset", time_ns from bus.log
     where topic_id = $1 and partition = $2 and "offset" >= $3
     order by "offset" limit 5000) as r
 where time_ns < $4
"""


class Topics:
    """The engine's SQL over topics, heads and records."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._known: dict[str, tuple[int, int]] = {}

    async def ensure(self, *topics: Topic) -> None:
        """Create or widen the topics."""
        async with self._pool.acquire() as connection, connection.transaction():
            for topic in sorted(topics, key=lambda t: t.name):
                row = await connection.fetchrow(
                    """insert into bus.topic (name, partitions, retention) values ($1, $2, $3)
                       on conflict (name) do update
                       set partitions = greatest(bus.topic.partitions, excluded.partitions),
                           retention = excluded.retention
                       returning topic_id, partitions""",
                    topic.name,
                    topic.partitions,
                    topic.retention,
                )
                assert row is not None
                await connection.execute(
                    """insert into bus.head (topic_id, partition)
                       select $1, p from generate_series(0, $2::int - 1) as p on conflict do nothing""",
                    row["topic_id"],
                    row["partitions"],
                )
        for topic in topics:
            self._known.pop(topic.name, None)

    async def resolve(self, name: str, partition: int | None = None) -> int:
        """The id of a topic. ``UnknownTopic`` if it, or the partition, does not exist."""
        topic_id, partitions = await self.describe(name)
        if partition is not None and partition >= partitions:  # another process may have widened the topic
            self._known.pop(name)
            topic_id, partitions = await self.describe(name)
        if partition is not None and not 0 <= partition < partitions:
            raise UnknownTopic(
                f"topic {name} has no partition {partition}, only {partitions}: call ensure_topics"
            )
        return topic_id

    async def describe(self, name: str) -> tuple[int, int]:
        """The id and the number of partitions of a topic."""
        known = self._known.get(name)
        if known is None:
            row = await self._pool.fetchrow(
                "select topic_id, partitions from bus.topic where name = $1", name
            )
            if row is None:
                raise UnknownTopic(f"topic {name} does not exist: call ensure_topics")
            known = self._known[name] = (row["topic_id"], row["partitions"])
        return known

    async def offsets(self, name: str, partition: int) -> tuple[int, int]:
        """The earliest offset kept and the next to be given."""
        topic_id = await self.resolve(name, partition)
        row = await self._pool.fetchrow(
            "select first_offset, next_offset from bus.head where topic_id = $1 and partition = $2",
            topic_id,
            partition,
        )
        assert row is not None
        return row["first_offset"], row["next_offset"]

    async def read(
        self, name: str, partition: int, offset: int, max_records: int, max_bytes: int
    ) -> list[StoredRecord]:
        """Consecutive records from ``offset`` on."""
        topic_id = await self.resolve(name, partition)
        rows = await self._pool.fetch(_READ, topic_id, partition, offset, max_records, max_bytes)
        if not rows or rows[0]["offset"] != offset:
            await self._check_kept(name, partition, offset)
        return [
            StoredRecord(
                name, partition, at, unpack(value, size), key or b"", decode_headers(headers), time_ns
            )
            for at, time_ns, key, headers, value, size in rows
        ]

    async def _check_kept(self, name: str, partition: int, offset: int) -> None:
        earliest, _ = await self.offsets(name, partition)
        if offset < earliest:
            raise OffsetTrimmed(name, partition, offset, earliest)

    async def trim(self, name: str, partition: int, before: int) -> None:
        """Move the start of the partition, then remove what lies before it in small pieces."""
        topic_id = await self.resolve(name, partition)
        row = await self._pool.fetchrow(
            """update bus.head set first_offset = greatest(first_offset, least($3, next_offset))
               where topic_id = $1 and partition = $2 returning first_offset""",
            topic_id,
            partition,
            before,
        )
        assert row is not None
        query = 'select min("offset") from bus.log where topic_id = $1 and partition = $2'
        delete = 'delete from bus.log where topic_id = $1 and partition = $2 and "offset" < $3'
        while True:
            lowest = await self._pool.fetchval(query, topic_id, partition)
            if lowest is None or lowest >= row["first_offset"]:
                return
            end = min(row["first_offset"], lowest + _DELETE_CHUNK)
            await self._pool.execute(delete, topic_id, partition, end)

    async def forget_producers(self) -> None:
        """Remove what crashed appenders left; a live one starts anew after a day without appends."""
        before = time.time_ns() - _PRODUCER_KEPT_NS
        await self._pool.execute("delete from bus.producer where time_ns < $1", before)

    async def expire(self) -> None:
        """Trim every partition whose topic has a retention; harmless if several processes do it at once."""
        rows = await self._pool.fetch(
            """select t.name, t.retention, h.topic_id, h.partition, h.first_offset
                 from bus.topic t join bus.head h using (topic_id) where t.retention is not null"""
        )
        for row in rows:
            await self._expire_partition(row)

    async def _expire_partition(self, row: asyncpg.Record) -> None:
        retention: timedelta = row["retention"]
        cutoff = time.time_ns() - int(retention.total_seconds() * 1e9)
        start: int = row["first_offset"]
        while True:
            found = await self._pool.fetchrow(_EXPIRED, row["topic_id"], row["partition"], start, cutoff)
            if found is None or found["before"] is None or found["before"] <= start:
                return
            start = found["before"]
            await self.trim(row["name"], row["partition"], start)
