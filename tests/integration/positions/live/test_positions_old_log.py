"""A start on a log that is a day old: the market and the bus are real, and the pod's clock is ahead."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from positions.alerting.watch import _latency
from positions.consumers import Follower
from positions.outbox import NOTICES_TOPIC
from positions.rebuilding import _begin_anew
from smartex.matching.v1 import account_pb2, types_pb2
from smartex.notifications.v1.notice_pb2 import Notice
from smartex_bus import StoredRecord
from waiting import until

if TYPE_CHECKING:
    from tests.integration.positions.live.conftest import Exchange

DAY = 86_400 * 10**9


def tomorrow() -> int:
    return time.time_ns() + DAY


def record_by_record(pod: Any) -> None:
    """Have every record of the log written and judged by itself, so that nothing between is passed over."""
    follower: Follower = pod.follower
    take_in = follower._take_in

    async def one_by_one(records: Sequence[StoredRecord]) -> None:
        for record in records:
            await take_in([record])
            while await written(pod) < pod.book.sequence:
                await asyncio.sleep(0.01)

    follower._take_in = one_by_one  # type: ignore[method-assign]


async def written(pod: Any) -> int:
    return int(await pod.database.fetchval("SELECT sequence FROM positions.projection") or 0)


def late(exchange: Exchange) -> AbstractAsyncContextManager[Any]:
    return exchange.positions(clock=tomorrow, opened=record_by_record)


async def give(exchange: Any, account: int, request: int, *, shares: int = 0, cash: int = 0) -> None:
    asset: dict[str, Any] = (
        {"shares": account_pb2.ShareAmount(instrument_id=1, quantity_lots=shares)}
        if shares
        else {"cash": types_pb2.Money(currency_code="USD", amount=str(cash))}
    )
    operator = exchange.operator()
    message = account_pb2.DepositRequest(account_id=account, request_id=account * 1000 + request, **asset)
    message.create_time.GetCurrentTime()
    await operator.account.Deposit(message, metadata=operator.metadata, timeout=60)


async def caught_up(exchange: Any, pod: Any) -> None:
    """Wait until the pod has told what there is to tell."""
    await exchange.folded(pod)
    await until(lambda: pod.oversight._around.current())
    while await pod.database.fetchval(
        "SELECT (SELECT count(*) FROM positions.alerts WHERE state <> 3 AND NOT advised)"
        " + (SELECT count(*) FROM positions.outbox)"
    ):
        await asyncio.sleep(0.05)


async def told(exchange: Any) -> list[Notice]:
    records = await exchange.market.bus.read(NOTICES_TOPIC, 0, 0)
    return [Notice.FromString(record.value) for record in records]


def observed() -> float:
    (metric,) = _latency.collect()
    return next(one.value for one in metric.samples if one.name.endswith("_count"))


async def states(pod: Any) -> Counter[tuple[int, int]]:
    rows = await pod.database.fetch("SELECT account_id, state FROM positions.alerts")
    return Counter((row["account_id"], row["state"]) for row in rows)


async def test_an_old_breach_is_told_if_it_stands_and_only_once(exchange: Exchange) -> None:
    # A third of what each has is in TEST1. Account 1 gets so much more of it that a limit is crossed, and then cash, so
    # that it is over; account 2 gets the shares only.
    before = observed()
    await give(exchange, 1, 1, shares=200_000)
    await give(exchange, 2, 1, shares=200_000)
    await give(exchange, 1, 2, cash=9_000_000)
    async with late(exchange) as (pod, _):
        await caught_up(exchange, pod)
        first = await told(exchange)
        assert {one.account_id for one in first} == {2}
        kinds = Counter(one.kind for one in first)
        assert kinds["positions.concentration"] == kinds["positions.industry_concentration"] == 1
        assert kinds["positions.advice"] >= 1
        over = (await states(pod))[1, 3]
        assert over >= 2
        rows = await pod.database.fetch("SELECT * FROM positions.alerts")
        assert all(row["raise_time_ns"] < time.time_ns() for row in rows)
        assert all(row["clear_time_ns"] < time.time_ns() for row in rows if row["state"] == 3)
        alert = next(one for one in first if one.kind == "positions.concentration")
        assert alert.cause_time.ToNanoseconds() < time.time_ns()
        assert alert.expire_time.ToNanoseconds() > tomorrow()
        assert observed() == before
    ids = [one.notice_id for one in first]
    async with late(exchange) as (pod, _):
        await caught_up(exchange, pod)
        assert [one.notice_id for one in await told(exchange)] == ids
        # A rebuild goes through all of it again and finds nothing new.
        noted = await states(pod)
        await _begin_anew(pod)
        async with asyncio.timeout(60):
            while await written(pod):
                await asyncio.sleep(0.01)
        await caught_up(exchange, pod)
        assert await states(pod) == noted
        assert [one.notice_id for one in await told(exchange)] == ids
        # At the end of the log a silent market is no reason to be silent.
        await give(exchange, 3, 1, shares=200_000)
        await caught_up(exchange, pod)
        new = [one for one in await told(exchange) if one.notice_id not in ids]
        assert {one.account_id for one in new} == {3}
    async with exchange.positions() as (pod, _):
        await caught_up(exchange, pod)
        assert len(await told(exchange)) == len(ids) + len(new)


async def test_what_came_while_nobody_looked_is_told_as_of_now(exchange: Exchange) -> None:
    async with exchange.positions() as (pod, _):
        await caught_up(exchange, pod)
        assert await told(exchange) == []
    await give(exchange, 1, 1, shares=200_000)
    await give(exchange, 1, 2, cash=9_000_000)
    await give(exchange, 2, 1, shares=200_000)
    async with late(exchange) as (pod, _):
        await caught_up(exchange, pod)
        assert {one.account_id for one in await told(exchange)} == {2}
        assert (await states(pod))[1, 3] >= 2
