"""Both engines: the server dies, freezes or refuses."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from smartex_bus import (
    Bus,
    BusUnavailable,
    Overloaded,
    PostgresSettings,
    Record,
    StoredRecord,
    Topic,
    open_bus,
)
from waiting import until

OpenBus = Callable[..., Awaitable[Bus]]


async def read_all(bus: Bus, topic: str) -> list[StoredRecord]:
    records: list[StoredRecord] = []
    while more := await bus.read(topic, 0, len(records)):
        records += more
    return records


async def test_kill_9_under_load_loses_and_doubles_nothing(
    server: Any, bus: Bus, new_bus: OpenBus, topic: str
) -> None:
    await bus.ensure_topics(Topic(topic))
    buses = [bus, await new_bus()]
    chance = random.Random(11)
    given: dict[int, bytes] = {}
    followed: list[StoredRecord] = []
    stop = asyncio.Event()

    async def write(n: int) -> None:
        appender = buses[n % 2].appender(topic)
        i = 0
        while not stop.is_set():
            records = [Record(b"%d:%d:%d" % (n, i, j)) for j in range(chance.randint(1, 3))]
            first = await appender.append(*records)
            given.update({first + j: record.value for j, record in enumerate(records)})
            i += 1
            await asyncio.sleep(0.001)

    async def follow() -> None:
        async for batch in buses[1].follow(topic, 0, 0):
            followed.extend(batch)

    follower = asyncio.create_task(follow())
    writers = [asyncio.create_task(write(n)) for n in range(4)]
    for _ in range(2):
        enough = len(given) + 50
        await until(lambda: len(given) > enough)  # noqa: B023 - waited for here
        await server.kill()
        await asyncio.sleep(0.1)
        await server.start()
    enough = len(given) + 50
    await until(lambda: len(given) > enough)
    stop.set()
    await asyncio.gather(*writers)

    records = await read_all(bus, topic)
    assert len(given) > 100
    # Every append was acknowledged in the end, so the log is exactly what was acknowledged.
    assert {record.offset: record.value for record in records} == given
    assert len({record.value for record in records}) == len(records)
    await until(lambda: len(followed) >= len(records))
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)
    assert [(r.offset, r.value) for r in followed] == [(r.offset, r.value) for r in records]
    assert not any(b.fatal.is_set() for b in buses)


async def test_back_pressure_while_the_server_is_away(server: Any, bus: Bus, topic: str) -> None:
    await bus.ensure_topics(Topic(topic))
    appender = bus.appender(topic, max_pending_records=50)
    await appender.append(Record(b"0"))
    await server.kill()
    futures: list[asyncio.Future[int]] = []
    for i in range(1, 51):
        futures.append(appender.append_nowait(Record(b"%d" % i)))
        await asyncio.sleep(0.001)
    with pytest.raises(Overloaded, match="retry"):
        appender.append_nowait(Record(b"51"))
    assert not await bus.healthy()
    with pytest.raises(BusUnavailable, match="retry"):
        await bus.offsets(topic, 0)
    with pytest.raises(BusUnavailable):
        await open_bus(server.settings)
    await server.start()
    async with asyncio.timeout(60):
        assert await asyncio.gather(*futures) == list(range(1, 51))
    assert await appender.append(Record(b"51")) == 51
    assert [int(r.value) for r in await read_all(bus, topic)] == list(range(52))
    assert await bus.healthy()


async def test_a_group_survives_a_restart(server: Any, bus: Bus, topic: str) -> None:
    await bus.ensure_topics(Topic(topic))
    appender = bus.appender(topic)
    seen: list[int] = []

    async def work() -> None:
        async for batch in consumer:
            seen.extend(int(record.value) for record in batch.records)
            with contextlib.suppress(BusUnavailable):
                await consumer.commit({(batch.topic, batch.partition): batch.next_offset})

    consumer = bus.consume("g-" + topic, [topic], lease=4.0)
    task = asyncio.create_task(work())
    await appender.append(*(Record(b"%d" % i) for i in range(10)))
    async with asyncio.timeout(60):
        while len(seen) < 10:
            await asyncio.sleep(0.02)
        await server.kill()
        await server.start()
        await appender.append(*(Record(b"%d" % i) for i in range(10, 20)))
        while set(seen) != set(range(20)):
            await asyncio.sleep(0.02)
    await consumer.close()
    await task


async def test_a_frozen_server_is_waited_for(server: Any, new_bus: OpenBus, topic: str) -> None:
    """The answer is lost, the append is retried on a new connection, and it is there once."""
    is_postgres = isinstance(server.settings, PostgresSettings)
    bus = await new_bus(**({"append_timeout": 0.5} if is_postgres else {"request_timeout": 1.0}))
    await bus.ensure_topics(Topic(topic))
    appender = bus.appender(topic)
    await appender.append(Record(b"0"))
    server.pause()
    try:
        futures = [appender.append_nowait(Record(b"%d" % i)) for i in range(1, 6)]
        await asyncio.sleep(2.0)
        assert [future for future in futures if future.done()] == []
    finally:
        server.resume()
    async with asyncio.timeout(60):
        assert await asyncio.gather(*futures) == [1, 2, 3, 4, 5]
        assert await appender.append(Record(b"6")) == 6
    assert [int(r.value) for r in await read_all(bus, topic)] == list(range(7))
