"""What the publisher learns from the event log, and in what order it adds to it."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matching import frames, publisher
from matching.domain import EVENT
from matching.frames import EVENT_CODEC, MOST_REPEATED, encode_events
from matching.publisher import Publisher, last_sequence, published_sequence
from smartex_bus import BusUnavailable, Record, StoredRecord
from waiting import until


def stored(offset: int, value: bytes, key: bytes = b"") -> StoredRecord:
    return StoredRecord("matching.events.v1", 0, offset, value, key, {}, 0)


class Log:
    """An event log of these records."""

    def __init__(self, *records: StoredRecord) -> None:
        self.records = list(records)
        self.read_records = 0

    async def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, len(self.records)

    async def read(self, topic: str, partition: int, offset: int, *, max_records: int) -> list[StoredRecord]:
        found = self.records[offset : offset + max_records]
        self.read_records += len(found)
        return found


def of_events(offset: int, first: int, count: int) -> StoredRecord:
    ((_, _, value),) = encode_events(0, offset, first, 5, np.zeros(count, EVENT))
    return stored(offset, value, struct.pack(">qq", first, count))


async def test_what_is_published_is_the_highest_of_the_last_records() -> None:
    log = Log(of_events(0, 1, 10), of_events(1, 11, 5), of_events(2, 1, 10))
    assert await published_sequence(log, 0) == 15  # type: ignore[arg-type]


@pytest.mark.parametrize("repeated", [63, 256, MOST_REPEATED])
async def test_what_a_former_publisher_repeats_does_not_hide_what_is_published(repeated: int) -> None:
    """Or a start would go back to an old snapshot, and publish everything since again."""
    firsts = [*range(1, 20_001, 10), *range(1001, 1001 + 10 * repeated, 10)]
    log = Log(*(of_events(offset, first, 10) for offset, first in enumerate(firsts)))
    assert await published_sequence(log, 0) == 20_000  # type: ignore[arg-type]
    assert log.read_records < 2 * MOST_REPEATED


async def test_of_large_records_few_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(*(of_events(offset, 1 + 10 * offset, 10) for offset in range(2000)))
    monkeypatch.setattr(publisher, "_MOST_REPEATED_BYTES", 50 * len(log.records[-1].value))
    assert await published_sequence(log, 0) == 20_000  # type: ignore[arg-type]
    assert log.read_records == publisher._LOOK_BACK


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

    async def follow(
        self, topic: str, partition: int, offset: int
    ) -> AsyncGenerator[list[StoredRecord], None]:
        while True:
            records = await self.read(topic, partition, offset, max_records=1000)
            offset += len(records)
            if records:
                yield records
            await asyncio.sleep(0.005)

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


async def finish(publishing: Publisher, log: SlowLog) -> None:
    """Make all that it says durable until there is no more."""
    while publishing.backlog:
        await until(lambda: bool(log.asked) or not publishing.backlog)
        if log.asked:
            log.next()


def keep(into: Publisher, frames: int, each: int) -> None:
    """Frames of events that are numbered by their sequences."""
    for frame in range(frames):
        events = np.zeros(each, EVENT)
        events["leaves_lots"] = np.arange(each) + 1 + frame * each
        into.on_applied(frame, 1 + frame * each, 5, events)


Started = Callable[..., Awaitable[tuple[Publisher, SlowLog, SimpleNamespace]]]


@pytest.fixture
async def started(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Started]:
    """Starts a publisher that has so many frames of so many events to say, two at a time; ends it after the test."""
    monkeypatch.setattr(publisher, "_GROUP_RECORDS", 2)
    running: list[Publisher] = []

    async def start(
        frames: int, each: int, *, log: SlowLog | None = None, leads: bool = True
    ) -> tuple[Publisher, SlowLog, SimpleNamespace]:
        log, lease = log or SlowLog(), SimpleNamespace(held=leads, resigned=False)
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


async def test_who_stops_before_it_leads_waits_for_what_is_left(started: Started) -> None:
    """Or a pod that is stopped while another one leads, or before its first claim is granted, saves no state."""
    publishing, log, lease = await started(2, 3, leads=False)
    flushing = asyncio.ensure_future(publishing.flush())
    await asyncio.sleep(0.05)
    assert not flushing.done()
    lease.held = True
    await until(lambda: bool(log.asked))
    assert not flushing.done()
    log.next()
    await flushing
    assert publishing.published == 6


async def test_who_has_resigned_does_not_wait_for_what_is_left(started: Started) -> None:
    publishing, _, lease = await started(2, 3, leads=False)
    lease.resigned = True
    await asyncio.wait_for(publishing.flush(within=600), 60)
    assert publishing.backlog == 6


async def test_a_frame_that_is_too_large_for_one_append_goes_in_several(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "EVENTS_PER_BATCH", 10)
    publishing, log, _ = await started(2, 75)
    for error in (None, BusUnavailable("the test says so"), None, None):
        await until(lambda: bool(log.asked))
        assert len(log.asked[0][1]) == 2
        log.next(error)
    await until(lambda: publishing.published == 60)
    assert publishing.backlog == 90
    # One that takes over in the middle of the frame goes on from there.
    await publishing.stop()
    log.asked.clear()
    successor, _, _ = await started(2, 75, log=log)
    await finish(successor, log)
    assert log.sequences() == list(range(1, 151))


async def test_no_group_is_larger_than_the_log_takes(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is refused would be refused again and again, and nothing more be published."""
    monkeypatch.setattr(publisher, "_GROUP_BYTES", 1)
    publishing, log, _ = await started(3, 3)
    for _ in range(3):
        await until(lambda: bool(log.asked))
        assert len(log.asked[0][1]) == 1
        log.next()
    await until(lambda: publishing.published == 9)


async def test_only_what_is_not_published_yet_is_kept() -> None:
    """A start applies frames again of which the event log has all, a part or nothing; some bring nothing about."""
    publishing = Publisher(Log(), SimpleNamespace(held=True, resigned=False), 0)  # type: ignore[arg-type]
    publishing.begin(10)
    assert publishing.backlog == 0
    keep(publishing, 2, 5)
    assert (publishing.backlog, len(publishing._kept)) == (0, 0)
    keep(publishing, 3, 5)
    assert (publishing.backlog, len(publishing._kept)) == (5, 1)
    publishing.on_applied(3, 16, 5, np.zeros(0, EVENT))
    assert (publishing.backlog, len(publishing._kept)) == (5, 1)


async def test_a_pod_that_does_not_lead_learns_what_is_published(started: Started) -> None:
    """What was published before it came too; a former publisher's repeats take nothing back."""
    log = SlowLog()

    def say(*firsts: int) -> None:
        for first in firsts:
            each = of_events(len(log.records), first, 3)
            log.records.append(Record(each.value, key=each.key))

    say(1, 4)
    publishing, _, _ = await started(5, 3, log=log, leads=False)
    await until(lambda: publishing.published == 6)
    say(7, 10, 4)
    await until(lambda: publishing.published == 12)
    assert publishing.backlog == 3
    say(1)
    say(13)
    await until(lambda: publishing.published == 15)
    say(7)
    await asyncio.sleep(0.05)
    assert (publishing.published, publishing.backlog) == (15, 0)


async def test_what_a_former_publisher_says_late_makes_no_gap(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    publishing, log, lease = await started(20, 600, leads=False)
    late = publishing._encode(list(publishing._kept), 0).records
    encode, encoding, go_on = publishing._encode, threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        encoding.set()
        assert go_on.wait(60)
        return encode(*arguments)

    monkeypatch.setattr(publishing, "_encode", slow)
    await asyncio.sleep(0.05)  # it follows the log
    lease.held = True
    await until(encoding.is_set)
    log.records += late
    await until(lambda: publishing.published == 1200)
    go_on.set()
    await finish(publishing, log)
    seen = 0
    for sequence in log.sequences():
        assert sequence <= seen + 1, "a gap"
        seen = max(seen, sequence)
    assert seen == 12_000
