"""PostgreSQL: retries are exact, late attempts are refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from smartex_bus import Bus, Record, StoredRecord, Topic, open_bus


@pytest_asyncio.fixture(loop_scope="session")
async def connection(postgres: Any) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(postgres.settings.url)
    yield connection
    await connection.close()


@pytest_asyncio.fixture(loop_scope="session")
async def bus(postgres: Any) -> AsyncIterator[Bus]:
    async with await open_bus(postgres.settings) as bus:
        yield bus


async def append(connection: Any, topic_id: int, producer: int, batch: int, *values: bytes) -> int:
    query = "select bus.append($1, 0, $2, $3, $4, $5, null, null, null)"
    first: int = await connection.fetchval(query, topic_id, producer, batch, time.time_ns(), list(values))
    return first


async def new_producer(connection: Any) -> int:
    query = "insert into bus.producer default values returning producer_id"
    producer: int = await connection.fetchval(query)
    return producer


async def topic_id_of(connection: Any, bus: Bus, topic: str) -> int:
    await bus.ensure_topics(Topic(topic))
    topic_id: int = await connection.fetchval("select topic_id from bus.topic where name = $1", topic)
    return topic_id


async def test_a_repeated_batch_is_appended_once(bus: Bus, connection: Any, topic: str) -> None:
    topic_id = await topic_id_of(connection, bus, topic)
    one, two = await new_producer(connection), await new_producer(connection)
    assert await append(connection, topic_id, one, 1, b"a", b"b") == 0
    assert await append(connection, topic_id, two, 1, b"c") == 2
    assert await append(connection, topic_id, one, 1, b"a", b"b") == 0
    assert await append(connection, topic_id, one, 2, b"d") == 3
    with pytest.raises(asyncpg.PostgresError, match="is not the next one"):
        await append(connection, topic_id, one, 1, b"a", b"b")
    assert [r.value for r in await bus.read(topic, 0, 0)] == [b"a", b"b", b"c", b"d"]
    assert await bus.offsets(topic, 0) == (0, 4)


async def test_the_first_attempt_is_still_under_way(
    bus: Bus, connection: Any, postgres: Any, topic: str
) -> None:
    """The retry waits for the lock of the attempt that was given up, and then finds its outcome."""
    topic_id = await topic_id_of(connection, bus, topic)
    producer = await new_producer(connection)
    other = await asyncpg.connect(postgres.settings.url)
    for outcome, expected in (("commit", [b"a"]), ("rollback", [b"a", b"b"])):
        batch = len(expected)
        await connection.execute("begin")
        first = await append(connection, topic_id, producer, batch, expected[-1])
        retry = asyncio.create_task(append(other, topic_id, producer, batch, expected[-1]))
        await asyncio.sleep(0.2)
        assert not retry.done()
        await connection.execute(outcome)
        assert await retry == first
        assert [r.value for r in await bus.read(topic, 0, 0)] == expected
    await other.close()


async def test_cut_connections(bus: Bus, connection: Any, topic: str) -> None:
    await bus.ensure_topics(Topic(topic))
    given: dict[int, bytes] = {}
    stop = asyncio.Event()

    async def write(n: int) -> None:
        appender = bus.appender(topic)
        i = 0
        while not stop.is_set():
            value = b"%d:%d" % (n, i)
            given[await appender.append(Record(value))] = value
            i += 1

    writers = [asyncio.create_task(write(n)) for n in range(3)]
    for _ in range(15):
        await asyncio.sleep(0.05)
        await connection.execute(
            """select pg_terminate_backend(pid) from pg_stat_activity
                where application_name = 'smartex-bus append'"""
        )
    stop.set()
    await asyncio.gather(*writers)
    records: list[StoredRecord] = []
    while more := await bus.read(topic, 0, len(records)):
        records += more
    assert {record.offset: record.value for record in records} == given
