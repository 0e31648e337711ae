"""Both engines: order, offsets, group commit, following, retention, headers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from smartex_bus import (
    TURNS_TO_SERVER,
    Bus,
    BusClosed,
    OffsetTrimmed,
    Overloaded,
    Record,
    RecordTooLarge,
    StoredRecord,
    Topic,
    UnknownTopic,
    batch_links,
    extract_trace,
    inject_trace,
    open_bus,
)
from smartex_bus.appender import GroupCommitAppender

OpenBus = Callable[..., Awaitable[Bus]]


async def read_all(bus: Bus, topic: str, partition: int = 0) -> list[StoredRecord]:
    records: list[StoredRecord] = []
    while more := await bus.read(topic, partition, len(records)):
        records += more
    return records


async def follow_until(bus: Bus, topic: str, offset: int, count: int) -> list[StoredRecord]:
    records: list[StoredRecord] = []
    stream = bus.follow(topic, 0, offset)
    try:
        async for batch in stream:
            records += batch
            if len(records) >= count:
                return records
    finally:
        await stream.aclose()  # type: ignore[attr-defined]
    raise AssertionError("the stream ended")


async def test_order_and_offsets(bus: Bus, topic: str) -> None:
    await bus.ensure_topics(Topic(topic, 2))
    appender = bus.appender(topic, 1)
    chance = random.Random(7)
    expected: list[bytes] = []
    for i in range(60):
        group = [Record(b"%d-%d" % (i, j), b"k%d" % j) for j in range(chance.randint(1, 5))]
        assert await appender.append(*group) == len(expected)
        expected += [record.value for record in group]
    records = await read_all(bus, topic, 1)
    assert [record.value for record in records] == expected
    assert [record.offset for record in records] == list(range(len(expected)))
    assert {(record.topic, record.partition) for record in records} == {(topic, 1)}
    assert await bus.offsets(topic, 1) == (0, len(expected))
    assert await bus.read(topic, 1, len(expected)) == []
    assert await bus.offsets(topic, 0) == (0, 0)


async def test_an_append_reaches_the_server_while_the_event_loop_is_busy(
    bus: Bus, server: Any, topic: str
) -> None:
    await bus.ensure_topics(Topic(topic))
    appender = bus.appender(topic)
    value = random.Random(7).randbytes(50_000)

    async def until_there(count: int) -> None:
        async with await open_bus(server.settings) as other, asyncio.timeout(30):
            while (await other.offsets(topic, 0))[1] < count:
                await asyncio.sleep(0.01)

    await appender.append(Record(value))
    for count in (2, 3, 4):
        future = appender.append_nowait(Record(value))
        for _ in range(TURNS_TO_SERVER):
            await asyncio.sleep(0)
        # An event loop of its own in another thread, while this one does nothing but wait for the thread.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, until_there(count)).result()
        assert await future == count - 1


async def test_concurrent_appenders(bus: Bus, new_bus: OpenBus, topic: str) -> None:
    await bus.ensure_topics(Topic(topic))
    appenders = [b.appender(topic) for b in (bus, bus, await new_bus())]
    given: dict[int, bytes] = {}

    async def write(n: int) -> None:
        for i in range(40):
            records = [Record(b"%d:%d:%d" % (n, i, j)) for j in range(1 + i % 3)]
            first = await appenders[n].append(*records)
            given.update({first + j: record.value for j, record in enumerate(records)})

    await asyncio.gather(*(write(n) for n in range(3)))
    records = await read_all(bus, topic)
    assert {record.offset: record.value for record in records} == given
    assert sorted(given) == list(range(len(given)))
    for n in range(3):
        own = [tuple(map(int, r.value.split(b":"))) for r in records if r.value.startswith(b"%d:" % n)]
        assert own == sorted(own)


async def test_a_follower_sees_its_own_appends_and_those_of_others_in_one_order(
    bus: Bus, new_bus: OpenBus, topic: str
) -> None:
    """What a process appended itself comes from its memory: others' records between must not be passed over."""
    await bus.ensure_topics(Topic(topic))
    buses = (bus, await new_bus())
    count = 300
    following = [asyncio.create_task(follow_until(each, topic, 0, 2 * count)) for each in buses]
    chance = random.Random(5)

    async def write(n: int) -> None:
        appender = buses[n].appender(topic)
        for i in range(count):
            await appender.append(Record(b"%d:%d" % (n, i), headers={"n": b"%d" % i}))
            # Sometimes one pauses for long enough that the other's follower goes back to asking the server.
            await asyncio.sleep(chance.choice((0, 0, 0, 0.001, 0.03)))

    await asyncio.gather(*(write(n) for n in range(2)))
    seen = [await each for each in following]
    expected = await read_all(bus, topic)
    for records in seen:
        assert [r.offset for r in records] == list(range(2 * count))
        assert [(r.value, r.headers) for r in records] == [(r.value, r.headers) for r in expected]
        assert [r.time_ns // 10**6 for r in records] == [r.time_ns // 10**6 for r in expected]


async def test_appends_that_meet_share_a_commit(
    bus: Bus, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bus.ensure_topics(Topic(topic))
    appender = bus.appender(topic)
    assert isinstance(appender, GroupCommitAppender)
    await appender.append(Record(b"first"))
    groups: list[int] = []
    write = appender._write

    async def count(records: list[Record]) -> tuple[int, int]:
        groups.append(len(records))
        return await write(records)

    monkeypatch.setattr(appender, "_write", count)
    futures = [appender.append_nowait(Record(b"%d" % i)) for i in range(500)]
    assert await asyncio.gather(*futures) == list(range(1, 501))
    assert groups == [500]
    # And nothing waits for company: one append alone is one group.
    await appender.append(Record(b"last"))
    assert groups == [500, 1]


async def test_limits_of_a_read(bus: Bus, topic: str) -> None:
    await bus.ensure_topics(Topic(topic))
    await bus.appender(topic).append(*(Record(bytes(100_000)) for _ in range(20)))
    assert len(await bus.read(topic, 0, 3, max_records=4)) == 4
    assert [r.offset for r in await bus.read(topic, 0, 5, max_bytes=250_000)] in ([5, 6], [5, 6, 7])
    assert [r.offset for r in await bus.read(topic, 0, 8, max_bytes=1)] == [8]


async def test_big_frames(bus: Bus, topic: str) -> None:
    await bus.ensure_topics(Topic(topic))
    appender = bus.appender(topic)
    frame = random.Random(3).randbytes(9 << 20)
    await asyncio.gather(*(appender.append(Record(frame, b"%d" % i)) for i in range(3)))
    for i in range(3):
        (record,) = await bus.read(topic, 0, i, max_records=1)
        assert record.value == frame
        assert record.key == b"%d" % i
    with pytest.raises(RecordTooLarge, match="split"):
        appender.append_nowait(Record(bytes(17 << 20)))


async def test_follow_catches_up_then_waits(new_bus: OpenBus, bus: Bus, topic: str) -> None:
    await bus.ensure_topics(Topic(topic))
    appender = bus.appender(topic)
    await appender.append(*(Record(b"%d" % i) for i in range(2500)))
    following = asyncio.create_task(follow_until(bus, topic, 10, 2590))
    await asyncio.sleep(0.2)
    for i in range(2500, 2600):
        await appender.append(Record(b"%d" % i))
    records = await following
    assert [int(record.value) for record in records] == list(range(10, 2600))
    assert [record.offset for record in records] == list(range(10, 2600))


async def test_a_follower_elsewhere_is_woken(
    new_bus: OpenBus, bus: Bus, topic: str, request: pytest.FixtureRequest
) -> None:
    """Without a wake-up this follower would look again only in an hour, and the test would time out."""
    await bus.ensure_topics(Topic(topic))
    never = {"poll_interval": 3600.0} if "postgres" in request.node.name else {}
    other = await new_bus(**never)
    appender = bus.appender(topic)
    stream = other.follow(topic, 0, 0)
    for i in range(20):
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.01)
        await appender.append(Record(b"%d" % i))
        async with asyncio.timeout(60):
            assert [record.value for record in await waiting] == [b"%d" % i]
    await stream.aclose()  # type: ignore[attr-defined]


async def test_followers_see_the_records_of_all_appenders_in_order(
    new_bus: OpenBus, bus: Bus, topic: str
) -> None:
    await bus.ensure_topics(Topic(topic))
    buses = [bus, await new_bus()]
    following = [asyncio.create_task(follow_until(b, topic, 0, 300)) for b in buses]

    async def write(n: int) -> None:
        appender = buses[n].appender(topic)
        for i in range(150):
            await appender.append(Record(b"%d:%d" % (n, i)))

    await asyncio.gather(write(0), write(1))
    seen = [[(r.offset, r.value) for r in records] for records in await asyncio.gather(*following)]
    assert seen[0] == seen[1] == [(r.offset, r.value) for r in await read_all(bus, topic)]


async def test_headers_and_trace(bus: Bus, topic: str) -> None:
    await bus.ensure_topics(Topic(topic))
    span = SpanContext(0x1234, 0x5678, is_remote=False, trace_flags=TraceFlags(1))
    with trace.use_span(NonRecordingSpan(span)):
        headers = inject_trace({"tenant": b"\x00\xff", "empty": b""})
    await bus.appender(topic).append(Record(b"a", headers=headers), Record(b"b"))
    first, second = await bus.read(topic, 0, 0)
    assert first.headers == headers
    assert not second.headers
    found = trace.get_current_span(extract_trace(first.headers)).get_span_context()
    assert (found.trace_id, found.span_id, found.is_remote) == (0x1234, 0x5678, True)
    assert [link.context.span_id for link in batch_links([first, second, first])] == [0x5678]
    following = await follow_until(bus, topic, 0, 2)
    assert following[0].headers == headers


async def test_trim(bus: Bus, topic: str) -> None:
    await bus.ensure_topics(Topic(topic))
    appender = bus.appender(topic)
    await appender.append(*(Record(b"%d" % i) for i in range(100)))
    await bus.trim(topic, 0, 60)
    assert await bus.offsets(topic, 0) == (60, 100)
    with pytest.raises(OffsetTrimmed) as caught:
        await bus.read(topic, 0, 59)
    assert caught.value.earliest == 60
    with pytest.raises(OffsetTrimmed):
        await follow_until(bus, topic, 0, 1)
    assert [r.offset for r in await bus.read(topic, 0, 60, max_records=2)] == [60, 61]
    await bus.trim(topic, 0, 1_000)
    assert await bus.offsets(topic, 0) == (100, 100)
    assert await appender.append(Record(b"next")) == 100


async def test_retention_by_time(bus: Bus, topic: str) -> None:
    await bus.ensure_topics(Topic(topic, retention=timedelta(seconds=1)))
    appender = bus.appender(topic)
    await appender.append(*(Record(b"%d" % i) for i in range(50)))
    async with asyncio.timeout(60):
        while (await bus.offsets(topic, 0))[0] < 50:
            await asyncio.sleep(0.2)
    with pytest.raises(OffsetTrimmed):
        await bus.read(topic, 0, 0)
    assert await appender.append(Record(b"later")) == 50


async def test_unknown_topics(bus: Bus, new_bus: OpenBus, topic: str) -> None:
    with pytest.raises(UnknownTopic, match="ensure_topics"):
        await bus.read(topic, 0, 0)
    await bus.ensure_topics(Topic(topic, 2))
    with pytest.raises(UnknownTopic, match="partition 2"):
        await bus.read(topic, 2, 0)
    await bus.ensure_topics(Topic(topic, 3), Topic(topic + "-b"))
    await bus.ensure_topics(Topic(topic, 1))
    assert await bus.offsets(topic, 2) == (0, 0)
    # A bus that has known the topic narrower finds out.
    other = await new_bus()
    assert await other.offsets(topic, 2) == (0, 0)
    await bus.ensure_topics(Topic(topic, 5))
    assert await other.offsets(topic, 4) == (0, 0)


async def test_a_closed_bus_says_so(new_bus: OpenBus, topic: str) -> None:
    bus = await new_bus()
    await bus.ensure_topics(Topic(topic))
    appender = bus.appender(topic)
    following = [asyncio.create_task(follow_until(bus, topic, 0, 99)) for _ in range(2)]
    await appender.append(Record(b"0"))
    consumer = bus.consume("g-" + topic, [topic])
    assert (await anext(consumer)).records[0].value == b"0"
    waiting = asyncio.ensure_future(anext(consumer, None))
    await asyncio.sleep(0.1)
    await bus.close()
    async with asyncio.timeout(60):
        outcomes = await asyncio.gather(*following, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [BusClosed, BusClosed]
        assert await waiting is None
    with pytest.raises(BusClosed):
        bus.appender(topic)
    with pytest.raises(BusClosed):
        appender.append_nowait(Record(b"1"))
    with pytest.raises(BusClosed):
        await bus.read(topic, 0, 0)
    assert not await bus.healthy()
    await bus.close()


async def test_bounds_and_closing(bus: Bus, topic: str) -> None:
    await bus.ensure_topics(Topic(topic))
    appender = bus.appender(topic, max_pending_records=10)
    futures = [appender.append_nowait(Record(b"%d" % i)) for i in range(10)]
    with pytest.raises(Overloaded, match="retry"):
        appender.append_nowait(Record(b"more"))
    assert appender.pending == 10
    await appender.close()
    assert [future.result() for future in futures] == list(range(10))
    with pytest.raises(BusClosed):
        appender.append_nowait(Record(b"more"))
    assert len(await read_all(bus, topic)) == 10
    assert await bus.healthy()
