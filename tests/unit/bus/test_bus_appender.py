"""Group commit without a server: order, bounds, poison, closing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from itertools import islice

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from smartex_bus import (
    AppenderPoisoned,
    AppendUnknown,
    BusClosed,
    BusError,
    Overloaded,
    Record,
    RecordTooLarge,
    UnknownTopic,
)
from smartex_bus.appender import GroupCommitAppender, Limits
from waiting import until


class Log:
    """A log in memory whose writes wait for a gate."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.groups: list[int] = []
        self.begun = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.fatal: list[BusError] = []
        self.closed = 0
        self.told: list[str] = []

    async def write(self, records: list[Record]) -> tuple[int, int]:
        self.begun += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        first = len(self.records)
        self.records += records
        self.groups.append(len(records))
        return first, 7

    def appended(self, first: int, records: list[Record], time_ns: int) -> None:
        self.told.append(f"followers of {first} to {first + len(records) - 1} at {time_ns}")

    async def close(self) -> None:
        self.closed += 1

    def appender(self, limits: Limits) -> GroupCommitAppender:
        return GroupCommitAppender(
            "t[0]",
            self.write,
            limits,
            appended=self.appended,
            on_fatal=self.fatal.append,
            on_close=self.close,
        )


WIDE = Limits(1000, 1 << 20)


@pytest.fixture
async def log() -> Log:
    return Log()


@pytest_asyncio.fixture
async def appender(log: Log) -> AsyncIterator[GroupCommitAppender]:
    appender = log.appender(WIDE)
    yield appender
    await appender.close(drain=False)


def record(i: int, size: int = 4) -> Record:
    return Record(b"%0*d" % (size, i))


async def test_what_arrives_during_a_write_shares_the_next(log: Log, appender: GroupCommitAppender) -> None:
    log.gate.clear()
    futures = [appender.append_nowait(record(0))]
    await until(lambda: log.begun == 1)
    futures += [appender.append_nowait(record(i), record(i)) for i in range(1, 5)]
    assert appender.pending == 9
    log.gate.set()
    assert await asyncio.gather(*futures) == [0, 1, 3, 5, 7]
    assert log.groups == [1, 8]
    assert appender.pending == 0


@given(
    calls=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 40), st.booleans()), min_size=1, max_size=40),
    group_records=st.integers(1, 12),
    group_bytes=st.integers(1, 200),
)
@settings(max_examples=60, deadline=None)
def test_order_of_acceptance_is_order_in_the_log(
    calls: list[tuple[int, int, bool]], group_records: int, group_bytes: int
) -> None:
    async def run() -> None:
        log = Log()
        limits = Limits(10_000, 1 << 20, group_records, group_bytes)
        appender = log.appender(limits)
        accepted: list[Record] = []
        firsts: list[int] = []
        futures: list[asyncio.Future[int]] = []
        for count, size, pause in calls:
            records = [Record(bytes([len(accepted) % 256]) * size) for _ in range(count)]
            firsts.append(len(accepted))
            accepted += records
            futures.append(appender.append_nowait(*records))
            if pause:
                await asyncio.sleep(0)
        assert await asyncio.gather(*futures) == firsts
        assert log.records == accepted
        # A group exceeds its bounds only if a single append does.
        assert all(group <= max(group_records, 5) for group in log.groups)
        most = max(sum(each.size() for each in accepted[at : at + 5]) for at in range(len(accepted)))
        written = iter(log.records)
        assert all(
            sum(each.size() for each in islice(written, group)) <= max(group_bytes, most)
            for group in log.groups
        )
        await appender.close()

    asyncio.run(run())


async def test_bounds(log: Log) -> None:
    appender = log.appender(Limits(3, 100, append_bytes=60))
    log.gate.clear()
    with pytest.raises(RecordTooLarge, match="at most 60 bytes"):
        appender.append_nowait(record(0, 61))
    with pytest.raises(RecordTooLarge, match="at most 3 records"):
        appender.append_nowait(*(record(i) for i in range(4)))
    with pytest.raises(ValueError, match="at least one"):
        appender.append_nowait()
    first = appender.append_nowait(record(0, 50))
    second = appender.append_nowait(record(1, 50))
    with pytest.raises(Overloaded, match="bytes wait: retry"):
        appender.append_nowait(record(2, 1))
    log.gate.set()
    assert list(await asyncio.gather(first, second)) == [0, 1]
    assert await appender.append(record(2)) == 2
    await appender.close()


async def test_records_that_wait_are_bounded_too(log: Log) -> None:
    """And an append that could never be taken is not told to come again."""
    appender = log.appender(Limits(3, 100, append_bytes=200))
    log.gate.clear()
    with pytest.raises(RecordTooLarge, match="at most 100 bytes"):
        appender.append_nowait(record(0, 101))
    taken = appender.append_nowait(record(0), record(1))
    with pytest.raises(Overloaded, match="2 records, 8 bytes wait"):
        appender.append_nowait(record(2), record(3))
    log.gate.set()
    assert await taken == 0
    await appender.close()


async def test_headers_count_for_the_bounds() -> None:
    assert Record(b"abc", b"de", {"name": b"value"}).size() == 14


async def test_callers_are_told_before_followers(log: Log, appender: GroupCommitAppender) -> None:
    def tell(name: str, at: int, _error: BusError | None) -> None:
        log.told.append(f"{name} at {at}")

    for name in ("a", "b"):
        appender.append_telling(partial(tell, name), record(0), record(1))
    await appender.append(record(2))
    assert log.told == ["a at 0", "b at 2", "followers of 0 to 4 at 7"]


@pytest.mark.parametrize("error", [OSError("gone"), AppendUnknown("no answer")])
async def test_a_failed_write_poisons_everything_behind_it(
    log: Log, appender: GroupCommitAppender, error: Exception
) -> None:
    assert await appender.append(record(0)) == 0
    log.gate.clear()
    log.error = error
    lost = appender.append_nowait(record(1))
    await until(lambda: log.begun == 2)
    behind = appender.append_nowait(record(2))
    log.gate.set()
    outcomes = await asyncio.gather(lost, behind, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [AppendUnknown, AppendUnknown]
    log.error = None
    with pytest.raises(AppenderPoisoned, match="leave the process"):
        await appender.append(record(3))
    assert len(log.fatal) == 1
    assert appender.pending == 0
    assert log.records == [record(0)]


async def test_who_is_told_of_an_unknown_outcome_cannot_pass_it(log: Log) -> None:
    """One that tries again at once would be written behind the gap, or be told for ever."""
    appender = log.appender(WIDE)
    log.error = AppendUnknown("no answer")
    refused: list[BusError] = []

    def again(_offset: int, _error: BusError | None) -> None:
        with pytest.raises(AppenderPoisoned) as caught:
            appender.append_telling(again, record(1))
        refused.append(caught.value)

    appender.append_telling(again, record(0))
    await until(lambda: bool(log.fatal))
    assert (len(refused), appender.pending) == (1, 0)
    await appender.close()


async def test_an_unknown_topic_is_no_unknown_outcome(log: Log, appender: GroupCommitAppender) -> None:
    log.error = UnknownTopic("no such topic")
    with pytest.raises(UnknownTopic, match="no such topic"):
        await appender.append(record(0))
    log.error = None
    assert await appender.append(record(1)) == 0
    assert log.fatal == []
    assert appender.pending == 0


async def test_a_caller_that_gives_up_changes_nothing(log: Log, appender: GroupCommitAppender) -> None:
    log.gate.clear()
    waiting = asyncio.create_task(appender.append(record(0)))
    await until(lambda: log.begun == 1)
    other = appender.append_nowait(record(1))
    waiting.cancel()
    log.gate.set()
    assert await other == 1
    assert log.records == [record(0), record(1)]


async def test_close_drains(log: Log) -> None:
    appender = log.appender(WIDE)
    futures = [appender.append_nowait(record(i)) for i in range(5)]
    await appender.close()
    assert [future.result() for future in futures] == list(range(5))
    assert log.closed == 1
    with pytest.raises(BusClosed):
        appender.append_nowait(record(9))


async def test_close_without_drain_tells_what_is_unknown(log: Log) -> None:
    appender = log.appender(WIDE)
    log.gate.clear()
    under_way = appender.append_nowait(record(0))
    await until(lambda: log.begun == 1)
    waiting = appender.append_nowait(record(1))
    await appender.close(drain=False)
    assert isinstance(under_way.exception(), AppendUnknown)
    assert isinstance(waiting.exception(), BusClosed)


async def test_a_drain_has_an_end(log: Log) -> None:
    appender = log.appender(WIDE)
    log.gate.clear()
    future = appender.append_nowait(record(0))
    await appender.close(within=0.05)
    assert isinstance(future.exception(), AppendUnknown)
