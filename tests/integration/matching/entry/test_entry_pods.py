"""Several pods on one log: the same state everywhere, one publisher, and none that lies."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from matching.checkpoints import Checkpoint
from matching.frames import EVENT_CODEC, EVENTS_TOPIC
from smartex.matching.v1 import types_pb2 as types
from waiting import until


async def published(running: Any) -> list[int]:
    """Every sequence of the event log in the order of the log, repeats included."""
    pod = running.pod
    found: list[int] = []
    offset, end = await pod.bus.offsets(EVENTS_TOPIC, pod.settings.shard)
    while offset < end:
        records = await pod.bus.read(EVENTS_TOPIC, pod.settings.shard, offset)
        for record in records:
            header, events = EVENT_CODEC.decode(record.value)
            first = int(header["first_sequence"])
            found += range(first, first + len(events))
        offset = records[-1].offset + 1
    return found


async def test_pods_agree_and_answer_their_own_callers(venue: Any, open_market: Any) -> None:
    async with venue.pod() as one, venue.pod() as two:
        operator = await open_market(one)
        await until(lambda: two.pod.replica.core.account_count == 4)
        alice, bob = one.trader(1), two.trader(2)

        async def trade(client: Any, side: int) -> None:
            for _ in range(50):
                outcome = (await client.place(side, 1000, 1)).outcome
                assert outcome.kind == types.REPORT_KIND_ACCEPTED

        await asyncio.gather(trade(alice, types.SIDE_BUY), trade(bob, types.SIDE_SELL))
        mine = await operator.state_hash()
        await until(lambda: two.pod.checkpoints.get(mine.offset) is not None)
        assert (await two.operator().state_hash(mine.offset)).state_hash == mine.state_hash
        assert one.pod.publisher.leading != two.pod.publisher.leading
        await until(lambda: two.pod.publisher.published >= mine.sequence)


async def test_another_pod_publishes_when_the_first_is_gone(venue: Any, open_market: Any) -> None:
    async with venue.pod() as survivor:
        async with venue.pod() as first:
            # The first to start leads; make it be the one that goes.
            await survivor.pod.lease.stop()
            await until(lambda: first.pod.lease.held)
            await survivor.pod.lease.start()
            await open_market(first)
            for task in first.pod.publisher._tasks:  # as if it had been stopped in the middle
                task.cancel()
            await first.trader(1).place(types.SIDE_BUY, 900, 1)
            first.pod.lease._task.cancel()
            first.pod.lease._database = None  # a zombie: it believes that it leads for ever
        await survivor.trader(1).place(types.SIDE_BUY, 901, 1, client_order_id=500)
        last = survivor.pod.replica.core.sequence
        await until(lambda: survivor.pod.publisher.published >= last)
        log = await published(survivor)
        assert sorted(set(log)) == list(range(1, max(log) + 1))
        seen = 0
        for sequence in log:
            assert sequence <= seen + 1, "a gap"
            seen = max(seen, sequence)


async def test_a_pod_that_published_learns_what_the_next_one_publishes(venue: Any, open_market: Any) -> None:
    async with venue.pod() as one, venue.pod() as two:
        await until(lambda: one.pod.lease.held or two.pod.lease.held)
        before, after = (one, two) if one.pod.lease.held else (two, one)
        await open_market(before)
        await until(lambda: before.pod.publisher.backlog == 0)
        await before.pod.lease.stop()
        await until(lambda: after.pod.lease.held)
        placed = await after.trader(1).place(types.SIDE_BUY, 900, 1)
        assert placed.outcome.kind == types.REPORT_KIND_ACCEPTED
        await until(lambda: before.pod.publisher.published >= placed.outcome.sequence)
        assert before.pod.publisher.backlog == 0


async def test_a_pod_that_disagrees_halts(venue: Any, open_market: Any) -> None:
    async with venue.pod(check_conservation=False) as right, venue.pod(check_conservation=False) as wrong:
        await until(lambda: right.pod.lease.held or wrong.pod.lease.held)  # either may be first
        operator = await open_market(right)
        await until(lambda: wrong.pod.replica.core.account_count == 4)
        wrong.pod.replica.core._memory.table("cash", _cash_row(), 1)["total"] += 1
        checkpoint = await operator.state_hash()
        await until(lambda: bool(wrong.pod.sequencer.halt_reason) or bool(right.pod.sequencer.halt_reason))
        # Whichever hash was published first is right; the other pod has halted, and only that one.
        halted, going = (wrong, right) if wrong.pod.sequencer.halt_reason else (right, wrong)
        assert not halted.pod.ready()
        assert going.pod.ready()
        status = await halted.operator().status()
        assert f"offset {checkpoint.offset}" in status.halt_reason
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await halted.trader(1).place(types.SIDE_BUY, 900, 1)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert "halted" in (caught.value.details() or "")
        assert (await going.trader(1).place(types.SIDE_BUY, 900, 1)).outcome.order_id


async def test_another_pod_publishes_when_the_one_that_did_halts(venue: Any, open_market: Any) -> None:
    async with venue.pod() as one, venue.pod() as two:
        await until(lambda: one.pod.lease.held or two.pod.lease.held)
        halting, going = (one, two) if one.pod.lease.held else (two, one)
        await open_market(going)
        halting.pod.checkpoints._check(Checkpoint(3, own="x" * 64, said={"another": "y" * 64}))
        placed = await going.trader(1).place(types.SIDE_BUY, 900, 1)
        await until(lambda: going.pod.publisher.published >= placed.outcome.sequence)
        assert going.pod.publisher.leading
        assert not halting.pod.publisher.leading


def _cash_row() -> Any:
    from matching.domain.state import CASH

    return CASH
