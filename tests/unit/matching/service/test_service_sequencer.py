"""The sequencer against a log whose every move the test makes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
from matching.domain import COMMAND, Core, CoreSettings
from matching.frames import MAX_COMMANDS, NO_COMMANDS, Frame, FrameError, decode_frame
from matching.replica import Applied, Replica
from matching.sequencer import Sequencer
from prometheus_client import REGISTRY
from smartex.matching.v1.log_pb2 import InstrumentDefinition
from smartex_bus import TURNS_TO_SERVER, AppendUnknown, BusError, Record, StoredRecord, Told
from smartex_bus import Overloaded as BusOverloaded
from smartex_chassis import Overloaded, Unavailable
from waiting import until

MASS_CANCEL = 5


class ScriptedLog:
    """A bus whose appends return, and whose tail shows records, when the test says so."""

    def __init__(self) -> None:
        self.fatal = asyncio.Event()
        self.fatal_error = None
        self.records: list[bytes] = []
        self.appends: list[tuple[Record, Told]] = []
        self.tail: asyncio.Queue[list[StoredRecord]] = asyncio.Queue()

    def appender(self, topic: str, partition: int) -> ScriptedLog:
        return self

    def append_telling(self, told: Told, record: Record) -> None:
        self.appends.append((record, told))

    async def follow(self, *args: object, **kwargs: object) -> AsyncIterator[list[StoredRecord]]:
        while True:
            yield await self.tail.get()

    async def close(self) -> None:
        pass

    def store(self, value: bytes) -> int:
        """The record is in the log now; nobody has been told."""
        self.records.append(value)
        return len(self.records) - 1

    def ack(self, offset: int) -> None:
        self.appends.pop(0)[1](offset, None)

    def show(self, *offsets: int) -> None:
        self.tail.put_nowait(
            [StoredRecord("commands", 0, offset, self.records[offset], b"", {}, 0) for offset in offsets]
        )


def commands(account_id: int, count: int = 1) -> Any:
    rows = np.zeros(count, COMMAND)
    rows["kind"], rows["account_id"] = MASS_CANCEL, account_id
    return rows


def foreign(account_id: int, frame_id: int = 1) -> bytes:
    return Frame(77, frame_id, 5, commands(account_id)).encode()


class Seen:
    def __init__(self) -> None:
        self.accounts: list[int] = []
        self.sequences: list[int] = []

    def on_applied(self, offset: int, first_sequence: int, time_ns: int, events: Any) -> None:
        self.accounts += events["account_id"].tolist()
        self.sequences += range(first_sequence, first_sequence + len(events))


@asynccontextmanager
async def sequencing(**settings: Any) -> AsyncIterator[tuple[Sequencer, ScriptedLog, Seen]]:
    log, seen = ScriptedLog(), Seen()
    core = Core(CoreSettings(window=64, max_orders=64, max_accounts=16))
    sequencer = Sequencer(log, Replica(core), clock=lambda: 5, **settings)  # type: ignore[arg-type]
    sequencer.listeners.append(seen)
    await sequencer.start()
    yield sequencer, log, seen
    await sequencer.stop()


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def answer(future: asyncio.Future[Applied]) -> list[int]:
    applied = await asyncio.wait_for(future, 60)
    await turns(1)  # since Python 3.12 none passes in waiting for what is done
    return applied.events["account_id"].tolist()  # type: ignore[no-any-return]


async def test_what_waits_shares_the_next_frame_and_each_gets_its_own() -> None:
    async with sequencing() as (sequencer, log, seen):
        first = sequencer.submit(commands(1))
        rest = [sequencer.submit(commands(account_id, account_id)) for account_id in (2, 3, 4)]
        assert len(log.appends) == 1
        log.ack(log.store(log.appends[0][0].value))
        assert await answer(first) == [1]
        assert len(log.appends) == 1
        log.ack(log.store(log.appends[0][0].value))
        assert [await answer(future) for future in rest] == [[2, 2], [3, 3, 3], [4, 4, 4, 4]]
        assert [(await future).first_sequence for future in rest] == [2, 4, 7]
        assert seen.sequences == list(range(1, 11))


async def test_what_is_timeless_brings_no_time_unless_others_come_along() -> None:
    async with sequencing() as (sequencer, log, _):
        sequencer.submit(commands(1), timeless=True)
        sequencer.submit(commands(2), timeless=True)
        sequencer.submit(commands(3))
        assert decode_frame(log.appends[0][0].value).time_ns == 0
        log.ack(log.store(log.appends[0][0].value))
        await turns()
        joined = decode_frame(log.appends[0][0].value)
        assert (joined.commands["account_id"].tolist(), joined.time_ns) == ([2, 3], 5)
        log.ack(log.store(log.appends[0][0].value))


async def test_an_early_answer_comes_before_the_listeners_know_but_nobody_misses_a_frame() -> None:
    async with sequencing() as (sequencer, log, seen):
        early = sequencer.submit(commands(1), early=True)
        log.ack(log.store(log.appends[0][0].value))
        assert early.done()
        assert seen.sequences == []
        assert sequencer.told_core().sequence == 1
        assert seen.sequences == [1]  # who asks for what the listeners know has it, told once
        await turns()
        assert seen.sequences == [1]
        sequencer.submit(commands(2), early=True)
        log.ack(log.store(log.appends[0][0].value))
        log.store(foreign(9))
        log.show(0, 1, 2)
        await turns()
        assert seen.accounts == [1, 2, 9]


async def test_listeners_know_of_an_early_answer_in_the_next_turn() -> None:
    async with sequencing() as (sequencer, log, seen):
        early = sequencer.submit(commands(1), early=True)
        known: list[list[int]] = []
        early.add_done_callback(lambda _: known.append(list(seen.sequences)))
        log.ack(log.store(log.appends[0][0].value))
        await turns()
        assert known == [[]]
        assert seen.sequences == [1]


async def test_listeners_miss_none_of_early_answers_that_come_together() -> None:
    """A frame of another pod lets two of ours go at once; the event log would have a gap without the first one's."""
    async with sequencing() as (sequencer, log, seen):
        log.store(foreign(9))
        for account_id in (1, 2):
            sequencer.submit(commands(account_id), early=True)
            log.ack(log.store(log.appends[0][0].value))
            await turns()
        assert seen.accounts == []
        log.show(0)
        await turns()
        assert (seen.accounts, seen.sequences) == ([9, 1, 2], [1, 2, 3])


async def test_whose_frame_cannot_be_applied_is_told() -> None:
    async with sequencing() as (sequencer, log, _):
        mine = sequencer.submit(commands(1))
        told: list[Any] = []
        sequencer.submit_telling(commands(2), told.append)

        def broken(*_: Any, **__: Any) -> Applied:
            raise RuntimeError("this cannot be applied")

        sequencer.replica.apply = broken  # type: ignore[method-assign]
        log.ack(log.store(log.appends[0][0].value))
        with pytest.raises(Unavailable, match="not known"):
            await asyncio.wait_for(mine, 60)
        assert [error.reason for error in told] == ["OUTCOME_UNKNOWN"]
        assert not sequencer.ready


async def test_frames_of_others_that_lie_before_come_first() -> None:
    async with sequencing() as (sequencer, log, seen):
        mine = sequencer.submit(commands(1))
        log.store(foreign(9))
        log.ack(log.store(log.appends[0][0].value))
        await turns()
        assert not mine.done()
        log.show(0)
        assert await answer(mine) == [1]
        log.show(1)  # seen again in the tail
        log.store(foreign(8, 2))
        log.show(2)
        await turns()
        assert seen.accounts == [9, 1, 8]


async def test_a_frame_that_the_tail_shows_before_its_append_returns() -> None:
    async with sequencing() as (sequencer, log, seen):
        mine = sequencer.submit(commands(1))
        waiting = sequencer.submit(commands(2))
        offset = log.store(log.appends[0][0].value)
        log.show(offset)
        assert await answer(mine) == [1]
        assert len(log.appends) == 2  # the next frame did not wait for the first append
        log.ack(offset)
        log.ack(log.store(log.appends[0][0].value))
        assert await answer(waiting) == [2]
        assert seen.accounts == [1, 2]


async def test_callers_that_left_change_nothing() -> None:
    async with sequencing() as (sequencer, log, seen):
        gone = sequencer.submit(commands(1))
        here = sequencer.submit(commands(2))
        gone.cancel()
        log.ack(log.store(log.appends[0][0].value))
        await turns()
        log.ack(log.store(log.appends[0][0].value))
        assert await answer(here) == [2]
        assert seen.accounts == [1, 2]


async def test_an_unknown_append_fails_the_callers_and_the_pod() -> None:
    async with sequencing() as (sequencer, log, _):
        first, second = sequencer.submit(commands(1)), sequencer.submit(commands(2))
        log.appends.pop(0)[1](-1, AppendUnknown("no answer"))
        for future in (first, second):
            with pytest.raises(Unavailable) as caught:
                await asyncio.wait_for(future, 60)
            assert caught.value.reason == "OUTCOME_UNKNOWN"
        assert not sequencer.ready
        assert sequencer.broken
        with pytest.raises(AppendUnknown):
            await asyncio.wait_for(sequencer.run(), 60)
        with pytest.raises(Unavailable):
            sequencer.submit(commands(1))


@pytest.mark.parametrize("spoil", [lambda value: value[:-1], lambda value: b"\x08\x02"])
async def test_a_record_that_cannot_be_read_stops_the_pod(spoil: Callable[[bytes], bytes]) -> None:
    async with sequencing() as (sequencer, log, seen):
        log.store(spoil(foreign(1)))
        log.show(0)
        with pytest.raises(FrameError, match=r"cannot be read|version"):
            await asyncio.wait_for(sequencer.run(), 60)
        assert seen.accounts == []


async def test_a_gap_stops_the_pod() -> None:
    async with sequencing() as (sequencer, log, _):
        log.store(foreign(1))
        log.store(foreign(2, 2))
        log.show(1)
        with pytest.raises(FrameError, match="gap"):
            await asyncio.wait_for(sequencer.run(), 60)


async def test_the_queue_is_bounded_and_a_halted_pod_takes_nothing() -> None:
    async with sequencing(max_queue_commands=10) as (sequencer, log, _):
        sequencer.submit(commands(1))
        waiting = sequencer.submit(commands(1, 10))
        with pytest.raises(Overloaded) as caught:
            sequencer.submit(commands(1))
        assert caught.value.retry_after is not None
        sequencer.halt("the test says so")
        with pytest.raises(Unavailable):
            await asyncio.wait_for(waiting, 60)
        with pytest.raises(Unavailable) as refused:
            sequencer.submit(commands(1))
        assert refused.value.reason == "STATE_DIVERGED"
        log.ack(0)
        await turns()


async def test_large_queues_are_cut_into_frames() -> None:
    async with sequencing() as (sequencer, log, seen):
        futures = [sequencer.submit(commands(1, 6000)) for _ in range(4)]
        for _ in range(4):
            log.ack(log.store(log.appends[0][0].value))
            await turns()
        assert [len((await future).events) for future in futures] == [6000] * 4
        assert len(seen.accounts) == 24_000


async def test_a_full_frame_that_waits_goes_before_the_last_one_is_applied() -> None:
    async with sequencing() as (sequencer, log, seen):
        first = sequencer.submit(commands(1))
        full = [sequencer.submit(commands(2, 6000)), sequencer.submit(commands(3, 4000))]
        log.ack(log.store(log.appends[0][0].value))
        assert [len(decode_frame(record.value).commands) for record, _ in log.appends] == [10_000]
        assert not seen.accounts
        assert await answer(first) == [1]
        log.ack(log.store(log.appends[0][0].value))
        assert [len((await future).events) for future in full] == [6000, 4000]
        assert seen.accounts == [1, *[2] * 6000, *[3] * 4000]


async def test_the_tail_does_not_hurry_what_waits_for_the_next_frame_to_be_on_its_way() -> None:
    async with sequencing() as (sequencer, log, seen):
        first = sequencer.submit(commands(1))
        sequencer.submit(commands(2, 10_000))
        offset = log.store(log.appends[0][0].value)
        log.ack(offset)
        log.show(offset)
        await turns(TURNS_TO_SERVER - 1)
        assert not first.done()
        assert await answer(first) == [1]
        assert seen.accounts == [1]


async def test_a_gap_behind_what_waits_stops_the_pod() -> None:
    async with sequencing() as (sequencer, log, _):
        sequencer.submit(commands(1))
        sequencer.submit(commands(2, 10_000))
        log.ack(log.store(log.appends[0][0].value))
        log.store(foreign(8))
        log.ack(log.store(log.appends[0][0].value))
        log.show(2)
        with pytest.raises(FrameError, match="gap"):
            await asyncio.wait_for(sequencer.run(), 60)


async def test_a_full_frame_waits_for_the_one_that_is_under_way() -> None:
    async with sequencing() as (sequencer, log, seen):
        first = sequencer.submit(commands(1))
        offset = log.store(log.appends[0][0].value)
        full = [sequencer.submit(commands(account_id, 10_000)) for account_id in (2, 3)]
        log.show(offset)  # the tail is quicker than the append, which returns later
        assert await answer(first) == [1]
        assert len(log.appends) == 2
        log.ack(offset)
        assert len(log.appends) == 1  # two at a time could change places
        for _ in full:
            log.ack(log.store(log.appends[0][0].value))
            await turns()
        assert [len((await future).events) for future in full] == [10_000] * 2
        assert seen.accounts == [1, *[2] * 10_000, *[3] * 10_000]


async def test_a_halt_can_be_told() -> None:
    def told() -> float | None:
        return REGISTRY.get_sample_value("matching_halted_info")

    async with sequencing() as (sequencer, _, _):
        assert told() == 0
        sequencer.halt("the state is wrong")
        assert told() == 1


async def test_a_definition_goes_alone_wherever_it_stands_among_commands() -> None:
    """Or it would be lost: a frame takes the definitions of its first submission only."""
    async with sequencing() as (sequencer, log, _):
        definition = InstrumentDefinition(request_id=7)
        under_way = sequencer.submit(commands(1))
        parts = [
            sequencer.submit(commands(2)),
            sequencer.submit(NO_COMMANDS, (definition,)),
            sequencer.submit(NO_COMMANDS, (definition,)),
            sequencer.submit(commands(3)),
        ]
        sent = []
        for _ in range(5):
            frame = decode_frame(log.appends[0][0].value)
            sent.append((frame.commands["account_id"].tolist(), len(frame.definitions)))
            log.ack(log.store(log.appends[0][0].value))
            await turns()
        assert sent == [([1], 0), ([2], 0), ([], 1), ([], 1), ([3], 0)]
        assert all(future.done() for future in (under_way, *parts))


async def test_what_comes_before_the_gathered_frame_is_sent_takes_it_along() -> None:
    """Two frames under way could change places, and the callers of the first would never hear."""
    async with sequencing() as (sequencer, log, seen):
        first, waited = sequencer.submit(commands(1)), sequencer.submit(commands(2))
        log.ack(log.store(log.appends[0][0].value))
        prompt, later = sequencer.submit(commands(3)), sequencer.submit(commands(4))
        await turns()
        assert [decode_frame(record.value).commands["account_id"].tolist() for record, _ in log.appends] == [
            [2, 3]
        ]
        for _ in range(2):
            log.ack(log.store(log.appends[0][0].value))
            await turns()
        assert [await answer(future) for future in (first, waited, prompt, later)] == [[1], [2], [3], [4]]
        assert seen.accounts == [1, 2, 3, 4]


@pytest.mark.parametrize("refusal", [BusOverloaded("full"), BusError("poisoned")])
async def test_a_frame_that_the_log_does_not_take_is_not_waited_for(refusal: BusError) -> None:
    async with sequencing() as (sequencer, log, _):

        def refuse(told: Told, record: Record) -> None:
            raise refusal

        log.append_telling = refuse  # type: ignore[method-assign]
        with pytest.raises(Unavailable) as caught:
            await asyncio.wait_for(sequencer.submit(commands(1)), 60)
        assert caught.value.reason == "OUTCOME_UNKNOWN"
        with pytest.raises(type(refusal)):
            await asyncio.wait_for(sequencer.run(), 60)


async def test_a_pod_that_is_stopped_answers_what_it_took_and_takes_no_more() -> None:
    async with sequencing() as (sequencer, log, _):
        under_way, waiting = sequencer.submit(commands(1)), sequencer.submit(commands(2))
        stopping = asyncio.ensure_future(sequencer.stop())
        await turns()
        assert not sequencer.ready
        with pytest.raises(Unavailable) as caught:
            sequencer.submit(commands(3))
        assert caught.value.reason == "NOT_SERVING"
        for _ in range(2):
            await until(lambda: bool(log.appends))
            log.ack(log.store(log.appends[0][0].value))
        assert [await answer(future) for future in (under_way, waiting)] == [[1], [2]]
        await stopping


async def test_callers_of_a_pod_that_cannot_settle_are_told() -> None:
    async with sequencing() as (sequencer, _, _):
        sequencer.settle = partial(sequencer.settle, within=0.05)  # type: ignore[method-assign]
        futures = [sequencer.submit(commands(1)), sequencer.submit(commands(2))]
        await sequencer.stop()
        for future in futures:
            with pytest.raises(Unavailable) as caught:
                await asyncio.wait_for(future, 60)
            assert caught.value.reason == "OUTCOME_UNKNOWN"


async def test_nothing_is_applied_after_the_frame_at_which_a_pod_halts() -> None:
    """Stop rather than lie: also in the middle of a batch of the log, and whatever returns from the log later."""
    async with sequencing() as (sequencer, log, seen):
        mine = sequencer.submit(commands(1))
        sequencer.frame_hooks.append(lambda offset, _: sequencer.halt(f"wrong at {offset}"))
        for frame_id in range(3):
            log.store(foreign(9, frame_id))
        log.show(0, 1, 2)
        with pytest.raises(Unavailable) as caught:
            await asyncio.wait_for(mine, 60)
        assert caught.value.reason == "OUTCOME_UNKNOWN"
        log.ack(1)
        await turns()
        assert (sequencer.halt_reason, seen.accounts) == ("wrong at 0", [9])
        assert sequencer.broken


async def test_more_than_a_frame_holds_or_than_can_be_published_is_refused() -> None:
    async with sequencing() as (sequencer, log, _):
        with pytest.raises(ValueError, match="at most"):
            sequencer.submit(commands(1, MAX_COMMANDS + 1))
        sequencer.may_take = lambda: False
        with pytest.raises(Overloaded):
            sequencer.submit(commands(1))
        assert not log.appends
