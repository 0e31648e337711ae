"""Streams over a service that is killed and started again: nothing lost, nothing doubled."""

import asyncio
from collections import Counter
from typing import Any

import numpy as np
from smartex.matching.v1 import log_pb2 as log
from smartex.matching.v1 import types_pb2 as types
from smartex_client import COMMAND_DTYPE, Cancel, LocalBook, MassCancel, NewOrder
from waiting import until

Exchange = Any


def bids(first_id: int, count: int, instrument_id: int, price_ticks: int) -> Any:
    rows = np.zeros(count, COMMAND_DTYPE)
    rows["kind"] = log.COMMAND_KIND_PLACE
    rows["client_order_id"] = np.arange(count) + first_id
    rows["instrument_id"], rows["side"] = instrument_id, types.SIDE_BUY
    rows["order_type"], rows["time_in_force"] = types.ORDER_TYPE_LIMIT, types.TIME_IN_FORCE_GTC
    rows["price_ticks"], rows["quantity_lots"] = price_ticks, 1
    return rows


async def test_commands_go_in_and_reports_come_out(exchange: Exchange) -> None:
    symbol, alice, bob = await exchange.opened()
    async with (
        exchange.client(alice) as market,
        exchange.client(bob) as other,
        market.trade_stream() as stream,
    ):
        numbers = await stream.place_many(
            [NewOrder(symbol, "sell", 10, "11.00"), NewOrder(symbol, "sell", 10, "12")]
        )
        await stream.drain()
        await other.buy(symbol, 4, "11.00")
        cancelled = await stream.place_many([Cancel(client_order_id=numbers[1]), MassCancel(symbol)])
        reports = []
        async for report in stream:
            reports.append(report)
            if report.kind == "mass_cancelled":
                break
    kinds = [(report.kind, report.quantity) for report in reports]
    assert kinds == [
        ("accepted", 10),
        ("accepted", 10),
        ("filled", 4),
        ("cancelled", 10),
        ("cancelled", 6),
        ("mass_cancelled", 1),
    ]
    assert reports[2].liquidity == "maker"
    assert reports[3].request_id == cancelled[0]


async def test_a_stream_survives_a_kill_without_loss_or_double(exchange: Exchange) -> None:
    symbol, alice, _ = await exchange.opened()
    seen: Counter[int] = Counter()
    sequences: list[int] = []
    total = 4000

    async with exchange.client(alice) as market, market.trade_stream(window=500) as stream:
        number = (await market.instrument(symbol)).instrument_id
        first_id = market.fresh_ids(total)

        async def read() -> None:
            async for rows in stream.batches():
                accepted = rows[rows["kind"] == types.REPORT_KIND_ACCEPTED]
                seen.update(int(each) for each in accepted["client_order_id"])
                sequences.extend(int(each) for each in rows["sequence"])
                if len(seen) == total:
                    return

        async def write() -> None:
            for start in range(0, total, 100):
                await stream.send(bids(first_id + start, 100, number, 100))
                if start == total // 2:
                    await asyncio.to_thread(exchange.kill)
                    asyncio.get_running_loop().run_in_executor(None, exchange.start)

        await asyncio.wait_for(asyncio.gather(read(), write()), 120)
        assert stream.reconnects >= 1
        account = await market.account()
    assert account.open_orders == total
    assert set(seen) == set(range(first_id, first_id + total))
    assert max(seen.values()) == 1
    assert sequences == sorted(set(sequences))


async def test_a_subscription_goes_on_after_a_kill(exchange: Exchange) -> None:
    symbol, alice, bob = await exchange.opened()
    trades: list[int] = []
    async with exchange.client(alice) as market, exchange.client(bob) as other:

        async def follow() -> None:
            async for trade in market.live_trades([symbol]):
                trades.append(trade.trade_id)  # noqa: PERF401 - it never ends

        async def follow_book(local: LocalBook) -> None:
            async for update in market.subscribe([symbol], "L2"):
                local.apply(update)

        local = LocalBook(await market.instrument(symbol))
        tasks = [asyncio.create_task(follow()), asyncio.create_task(follow_book(local))]
        await market.sell(symbol, 1000, "10.00")
        while not local.asks:
            await asyncio.sleep(0.01)
        expected = []
        for step in range(6):
            order = await other.buy(symbol, 10, "10.00")
            expected += [fill.trade_id for fill in order.fills]
            if step == 2:
                await asyncio.to_thread(exchange.kill)
                await asyncio.to_thread(exchange.start)
        await until(lambda: len(trades) >= 6 and local.asks.get(1000) == (940, 1))
        for task in tasks:
            assert not task.done() or task.result() is None
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert trades == expected
    assert local.asks == {1000: (940, 1)}
