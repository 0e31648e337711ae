"""What the publisher learns from the event log, and in what order it adds to it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from matching import publisher
from matching.domain import EVENT
from matching.frames import EVENT_CODEC, encode_events
from matching.publisher import Publisher, last_sequence, published_sequence
from smartex_bus import BusUnavailable, Record, StoredRecord


def stored(offset: int, value: bytes, key: bytes = b"") -> StoredRecord:
    return StoredRecord("matching.events.v1", 0, offset, value, key, {}, 0)


class Log:
    """An event log of these records."""

    def __init__(self, *records: StoredRecord) -> None:
        self.records = list(records)

    async def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, len(self.records)

    async def read(self, topic: str, partition: int, offset: int, *, max_records: int) -> list[StoredRecord]:
        return self.records[offset : offset + max_records]


def of_events(offset: int, first: int, count: int) -> StoredRecord:
    ((_, _, value),) = encode_events(0, offset, first, 5, np.zeros(count, EVENT))
    return stored(offset, value, struct.pack(">qq", first, count))


async def test_what_is_published_is_the_highest_of_the_last_records() -> None:
    log = Log(of_events(0, 1, 10), of_events(1, 11, 5), of_events(2, 1, 10))
    assert await published_sequence(log, 0) == 15  # type: ignore[arg-type]


async def test_a_record_of_nobody_says_nothing() -> None:
    """A publisher that stopped at one would publish nothing more; one that believed it would leave events out."""
    lying = replace(of_events(2, 10**9, 3), key=b"")
    log = Log(of_events(0, 1, 10), stored(1, b"\xff\xff\xff not a record"), lying)
    assert await published_sequence(log, 0) == 10  # type: ignore[arg-type]
    assert last_sequence(lying) == 0


class SlowLog:
    """A bus that makes records durable when the test says so."""

    def __init__(self) -> None:
        self.fatal = asyncio.Event()
        self.records: list[Record] = []
        self.asked: list[tuple[asyncio.Future[None], tuple[Record, ...]]] = []

    def appender(self, topic: str, partition: int) -> SlowLog:
        return self

    async def append(self, *records: Record) -> None:
        self.asked.append((asyncio.get_running_loop().create_future(), records))
        await self.asked[-1][0]
        self.records += records

    async def close(self) -> None:
        pass

    async def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, len(self.records)

    async def read(self, topic: str, partition: int, offset: int, *, max_records: int) -> list[StoredRecord]:
        found = [replace(stored(place, each.value), key=each.key) for place, each in enumerate(self.records)]
        return found[offset : offset + max_records]

    def next(self, error: Exception | None = None) -> None:
        future, _ = self.asked.pop(0)
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def sequences(self) -> list[int]:
        return [
            row for each in self.records for row in EVENT_CODEC.decode(each.value)[1]["leaves_lots"].tolist()
        ]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def keep(into: Publisher, frames: int, each: int) -> None:
    """Frames of events that are numbered by their sequences."""
    for frame in range(frames):
        events = np.zeros(each, EVENT)
        events["leaves_lots"] = np.arange(each) + 1 + frame * each
        into.on_applied(frame, 1 + frame * each, 5, events)


Started = Callable[[int, int], Awaitable[tuple[Publisher, SlowLog, SimpleNamespace]]]


@pytest.fixture
async def started(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Started]:
    """Starts a publisher that has so many frames of so many events to say, two at a time; ends it after the test."""
    monkeypatch.setattr(publisher, "_GROUP_RECORDS", 2)
    running: list[Publisher] = []

    async def start(frames: int, each: int) -> tuple[Publisher, SlowLog, SimpleNamespace]:
        log, lease = SlowLog(), SimpleNamespace(held=True)
        publishing = Publisher(log, lease, 0)  # type: ignore[arg-type]
        publishing.begin(0)
        keep(publishing, frames, each)
        await publishing.start()
        running.append(publishing)
        return publishing, log, lease

    yield start
    for each in running:
        await each.stop()


@pytest.mark.parametrize("each", [3, 1500])
async def test_groups_follow_one_another_and_nothing_is_left_out_or_said_twice(
    each: int, started: Started
) -> None:
    publishing, log, _ = await started(7, each)
    for group in range(4):
        await until(lambda: bool(log.asked))
        await asyncio.sleep(0.05)  # time enough for the next group to be encoded
        assert len(log.asked) == 1  # and yet it waits for this one
        assert publishing.published == 2 * group * each
        log.next()
    await until(lambda: publishing.published == 7 * each)
    assert log.sequences() == list(range(1, 7 * each + 1))
    assert publishing.backlog == 0


async def test_a_group_whose_append_fails_is_said_again(started: Started) -> None:
    publishing, log, _ = await started(5, 3)
    for error in (None, BusUnavailable("the test says so"), None, None):
        await until(lambda: bool(log.asked))
        log.next(error)
    await until(lambda: publishing.published == 15)
    assert log.sequences() == list(range(1, 16))


async def test_who_loses_the_lease_says_nothing_more(started: Started) -> None:
    publishing, log, lease = await started(5, 3)
    await until(lambda: bool(log.asked))
    lease.held = False
    log.next()
    await until(lambda: publishing.published == 6)
    await asyncio.sleep(0.05)
    assert not log.asked
