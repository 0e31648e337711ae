"""Both engines: balanced groups, leases, repeats after a crash, slow handlers, dead letters."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import pytest
from smartex_bus import (
    Bus,
    GroupConsumer,
    LeaseLost,
    OffsetTrimmed,
    Record,
    StoredRecord,
    Topic,
    UnknownTopic,
    origin,
)
from waiting import until

OpenBus = Callable[..., Awaitable[Bus]]
LEASE = 2.0


async def fill(bus: Bus, topic: str, partitions: int, count: int) -> None:
    await bus.ensure_topics(Topic(topic, partitions))
    for partition in range(partitions):
        await bus.appender(topic, partition).append(
            *(Record(b"%d:%d" % (partition, i)) for i in range(count))
        )


def parts(consumer: GroupConsumer, topic: str) -> set[int]:
    return {partition for name, partition in consumer.assignment if name == topic}


async def work(consumer: GroupConsumer, seen: list[StoredRecord]) -> None:
    """Handle and commit until the consumer is closed; a lost lease is no reason to stop."""
    async for batch in consumer:
        seen += batch.records
        try:
            await consumer.commit({(batch.topic, batch.partition): batch.next_offset})
        except LeaseLost:
            continue


async def test_partitions_are_balanced_and_move(bus: Bus, new_bus: OpenBus, topic: str) -> None:
    await fill(bus, topic, 4, 30)
    first, second = bus.consume("g-" + topic, [topic], lease=LEASE), None
    seen: list[StoredRecord] = []
    tasks = [asyncio.create_task(work(first, seen))]
    await until(lambda: len({(r.partition, r.offset) for r in seen}) == 120)
    assert parts(first, topic) == {0, 1, 2, 3}

    second = (await new_bus()).consume("g-" + topic, [topic], lease=LEASE)
    tasks.append(asyncio.create_task(work(second, seen)))
    await until(lambda: len(parts(first, topic)) == 2 and len(parts(second, topic)) == 2)
    assert not parts(first, topic) & parts(second, topic)
    appenders = [bus.appender(topic, partition) for partition in range(4)]
    await asyncio.gather(*(appender.append(Record(b"more")) for appender in appenders))
    await until(lambda: sum(record.value == b"more" for record in seen) >= 4)

    await second.close()
    await until(lambda: parts(first, topic) == {0, 1, 2, 3})
    await asyncio.gather(*(appender.append(Record(b"last")) for appender in appenders))
    await until(lambda: sum(record.value == b"last" for record in seen) >= 4)
    await first.close()
    await asyncio.gather(*tasks)


async def test_what_a_dead_member_did_not_commit_is_delivered_again(
    bus: Bus, new_member: Any, topic: str
) -> None:
    await fill(bus, topic, 1, 20)
    group = "g-" + topic
    member = await new_member(group, topic, LEASE)
    assert await member.tell("take") == f"{topic} 0 0,1,2,3,4"
    assert await member.tell("commit") == "ok"
    assert await member.tell("take") == f"{topic} 0 5,6,7,8,9"
    member.signal(signal.SIGKILL)
    async with bus.consume(group, [topic], lease=LEASE, max_records=100) as consumer:
        async with asyncio.timeout(60):
            batch = await anext(consumer)
        assert [record.offset for record in batch.records][:5] == [5, 6, 7, 8, 9]


async def test_a_member_that_slept_too_long_cannot_commit(bus: Bus, new_member: Any, topic: str) -> None:
    await fill(bus, topic, 1, 20)
    group = "g-" + topic
    member = await new_member(group, topic, LEASE)
    assert await member.tell("take") == f"{topic} 0 0,1,2,3,4"
    member.signal(signal.SIGSTOP)
    consumer = bus.consume(group, [topic], lease=LEASE, max_records=7)
    async with asyncio.timeout(60):
        batch = await anext(consumer)
    assert [record.offset for record in batch.records] == [0, 1, 2, 3, 4, 5, 6]
    await consumer.commit({(topic, 0): batch.next_offset})
    member.signal(signal.SIGCONT)
    assert await member.tell("commit") == "LeaseLost"
    await consumer.close()
    again = bus.consume(group, [topic], lease=LEASE)
    member.signal(signal.SIGKILL)
    async with asyncio.timeout(60):
        assert (await anext(again)).records[0].offset == 7
    await again.close()


async def test_where_to_start(bus: Bus, topic: str) -> None:
    await fill(bus, topic, 2, 10)

    async def start(name: str, partition: int) -> int | None:
        return 7 if (name, partition) == (topic, 1) else None

    seen: list[StoredRecord] = []
    consumer = bus.consume("g-" + topic, [topic], lease=LEASE, start=start)
    task = asyncio.create_task(work(consumer, seen))
    await until(lambda: len(seen) >= 13)
    await consumer.close()
    await task
    assert sorted(r.offset for r in seen if r.partition == 1) == [7, 8, 9]
    assert sorted(r.offset for r in seen if r.partition == 0) == list(range(10))


async def test_a_start_that_fails_is_tried_again(bus: Bus, topic: str) -> None:
    """Where to start may be in a database that is away for a moment."""
    await fill(bus, topic, 2, 10)
    failures = [ConnectionError("the database is away"), RuntimeError("it says nonsense")]

    async def start(name: str, partition: int) -> int | None:
        if failures and (name, partition) == (topic, 0):
            raise failures.pop()
        return 7 if name == topic else None

    seen: list[StoredRecord] = []
    consumer = bus.consume("g-" + topic, [topic], lease=LEASE, start=start)
    task = asyncio.create_task(work(consumer, seen))
    await until(lambda: len(seen) >= 6)
    assert parts(consumer, topic) == {0, 1}
    await consumer.close()
    await task
    assert sorted((r.partition, r.offset) for r in seen) == [(p, o) for p in (0, 1) for o in (7, 8, 9)]


async def test_who_never_learns_where_to_start_keeps_nothing_from_others(
    bus: Bus, new_bus: OpenBus, topic: str
) -> None:
    await fill(bus, topic, 2, 10)
    asked = 0

    async def start(name: str, partition: int) -> int | None:
        nonlocal asked
        asked += 1
        raise ConnectionError("this member cannot reach the database")

    idle, seen = bus.consume("g-" + topic, [topic], lease=LEASE, start=start), list[StoredRecord]()
    tasks = [asyncio.create_task(work(idle, seen))]
    await until(lambda: asked > 3)
    able = (await new_bus()).consume("g-" + topic, [topic], lease=LEASE)
    tasks.append(asyncio.create_task(work(able, seen)))
    await until(lambda: len(seen) >= 10)
    assert idle.assignment == frozenset()
    async with asyncio.timeout(60):
        await idle.close()
    await until(lambda: len({(r.partition, r.offset) for r in seen}) == 20)
    await able.close()
    await asyncio.gather(*tasks)


async def test_a_position_that_was_trimmed_is_an_error(bus: Bus, topic: str) -> None:
    await fill(bus, topic, 1, 10)

    async def start(name: str, partition: int) -> int | None:
        return 2 if name == topic else None

    await bus.trim(topic, 0, 5)
    async with bus.consume("g-" + topic, [topic], lease=LEASE, start=start) as consumer:
        with pytest.raises(OffsetTrimmed) as caught:
            async with asyncio.timeout(60):
                await anext(consumer)
    assert (caught.value.offset, caught.value.earliest) == (2, 5)
    async with bus.consume("other-" + topic, [topic], lease=LEASE) as consumer, asyncio.timeout(60):
        assert (await anext(consumer)).records[0].offset == 5


async def test_unknown_topic(bus: Bus, topic: str) -> None:
    async with bus.consume("g-" + topic, [topic], lease=LEASE) as consumer:
        with pytest.raises(UnknownTopic):
            await anext(consumer)


async def test_a_slow_handler_does_not_fill_the_memory(bus: Bus, topic: str) -> None:
    await bus.ensure_topics(Topic(topic))
    appender = bus.appender(topic)
    for _ in range(40):
        await appender.append(*(Record(os.urandom(1 << 20)) for _ in range(4)))
    process = psutil.Process()
    before = process.memory_info().rss
    most, count = 0, 0
    async with bus.consume("g-" + topic, [topic], lease=LEASE, max_records=4) as consumer:
        async for batch in consumer:
            count += len(batch.records)
            await asyncio.sleep(0.02)
            most = max(most, process.memory_info().rss - before)
            if count == 160:
                break
    # The topic holds 160 MiB. One fetch in use, one ahead, and the driver's copies of both are allowed.
    assert most < 80 << 20


async def test_poison_dead_letter_redrive(bus: Bus, topic: str) -> None:
    await fill(bus, topic, 1, 6)
    group = "g-" + topic
    handled: list[bytes] = []
    again: list[StoredRecord] = []

    async def handle(batch_records: list[StoredRecord]) -> None:
        for record in batch_records:
            if origin(record) != (record.topic, record.partition, record.offset):
                again.append(record)
            elif record.value == b"0:3":
                await bus.dead_letter(record, group=group, reason="cannot parse")
            else:
                handled.append(record.value)

    async def consume() -> None:
        async for batch in consumer:
            await handle(batch.records)
            await consumer.commit({(batch.topic, batch.partition): batch.next_offset})

    consumer = bus.consume(group, [topic], lease=LEASE)
    task = asyncio.create_task(consume())
    await until(lambda: len(handled) == 5)
    assert handled == [b"0:0", b"0:1", b"0:2", b"0:4", b"0:5"]
    assert bus.dead_letter_count == 1
    (letter,) = await bus.dead_letters(group)
    assert (letter.group, letter.reason, letter.record.value) == (group, "cannot parse", b"0:3")
    assert (letter.record.topic, letter.record.partition, letter.record.offset) == (topic, 0, 3)
    assert await bus.dead_letters("other-" + group) == []

    async def still_broken(record: StoredRecord) -> None:
        raise RuntimeError("still broken")

    with pytest.raises(RuntimeError, match="still broken"):
        await bus.redrive(letter, still_broken)
    assert await bus.dead_letters(group) == [letter]

    await bus.redrive(letter)
    await until(lambda: len(again) == 1)
    assert again[0].value == b"0:3"
    assert origin(again[0]) == (topic, 0, 3)
    assert await bus.dead_letters(group) == []

    mended: list[StoredRecord] = []

    async def mend(record: StoredRecord) -> None:
        mended.append(record)

    repeated = await bus.dead_letter(letter.record, group=group, reason="once more")
    await bus.redrive(repeated, mend)
    assert mended == [letter.record]
    assert await bus.dead_letters(group) == []
    await consumer.close()
    await task
