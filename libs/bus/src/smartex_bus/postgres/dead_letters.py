"""The table of dead letters."""

from __future__ import annotations

import time

import asyncpg

from smartex_bus.headers import decode_headers, encode_headers
from smartex_bus.records import DeadLetter, StoredRecord

_COLUMNS = 'id, group_name, topic, partition, "offset", record_ns, key, headers, value, reason, time_ns'


class DeadLetters:
    """The engine's SQL over dead letters."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def add(self, record: StoredRecord, group: str, reason: str) -> DeadLetter:
        """Set a record aside; a repeat renews the reason and opens the letter again."""
        row = await self._pool.fetchrow(
            f"""insert into bus.dead_letter
                    (group_name, topic, partition, "offset", record_ns, key, headers, value, reason, time_ns)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                on conflict (group_name, topic, partition, "offset")
                do update set reason = excluded.reason, time_ns = excluded.time_ns, redriven = null
                returning {_COLUMNS}""",
            group,
            record.topic,
            record.partition,
            record.offset,
            record.time_ns,
            record.key,
            encode_headers(record.headers),
            record.value,
            reason.replace("\0", "\\0"),  # the only character that PostgreSQL does not keep
            time.time_ns(),
        )
        assert row is not None
        return _letter(row)

    async def groups(self) -> list[str]:
        """The groups that have letters."""
        rows = await self._pool.fetch("select distinct group_name from bus.dead_letter order by 1")
        return [row["group_name"] for row in rows]

    async def open(self, group: str, limit: int, after: int) -> list[DeadLetter]:
        """Letters that were not redriven, oldest first."""
        rows = await self._pool.fetch(
            f"""select {_COLUMNS} from bus.dead_letter
                 where group_name = $1 and redriven is null and id > $3 order by id limit $2""",
            group,
            limit,
            after,
        )
        return [_letter(row) for row in rows]

    async def close(self, letter: DeadLetter) -> None:
        """Mark a letter as redriven."""
        await self._pool.execute("update bus.dead_letter set redriven = now() where id = $1", letter.id)


def _letter(row: asyncpg.Record) -> DeadLetter:
    record = StoredRecord(
        row["topic"],
        row["partition"],
        row["offset"],
        row["value"],
        row["key"],
        decode_headers(row["headers"]),
        row["record_ns"],
    )
    return DeadLetter(row["id"], row["group_name"], row["reason"], row["time_ns"], record)
