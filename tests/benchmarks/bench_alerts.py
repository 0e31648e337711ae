"""From the trade that crosses an investor's limit to the alert's row, with orders coming in all the while.

Market and supervision run in one process on a real PostgreSQL. Investors buy one after the other until their weight
in one share is over its limit; the time runs from the order's answer, which is sent once the trade is durable, to the
commit of the alert with its notice. The peer is one row committed by itself: no alert can be written in less.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from smartex.matching.v1 import types_pb2
from smartex_client import NewOrder
from smartex_store import Database, EmbeddedPostgres

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from positions_whole import Whole, serve

MAKER, TRADER = 900_001, 900_002
INVESTORS = 200
SHARE, OTHER = "ALERT", "BUSY"
LOAD_PER_SECOND = 2000
BATCH = 50
_LOOK_SECONDS = 0.001


async def run() -> list[dict[str, Any]]:
    """Quiet first, then under load."""
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedPostgres(Path(folder) / "postgres") as server:
            (Path(folder) / "exchange").mkdir()
            async with (
                serve(server.url, Path(folder) / "exchange") as whole,
                Database.connect(server.url, name="bench") as database,
            ):
                await opened(whole)
                peer = await commit_seconds(database)
                quiet = await latencies(whole, database, range(1, INVESTORS + 1))
                async with asyncio.TaskGroup() as group:
                    load = group.create_task(trade(whole))
                    await asyncio.sleep(1)
                    loaded = await latencies(whole, database, range(INVESTORS + 1, 2 * INVESTORS + 1))
                    load.cancel()
    return [
        *rows("quiet", quiet, peer),
        *rows(f"under {LOAD_PER_SECOND:,} orders/s", loaded, peer),
    ]


def rows(how: str, seconds: list[float], peer: float) -> list[dict[str, Any]]:
    """Median and 99th percentile in milliseconds."""
    return [
        {
            "name": f"trade to alert p{percent}, {how}",
            "value": float(np.percentile(seconds, percent)) * 1000,
            "unit": "ms",
            "peer": peer * 1000,
            "ratio": float(np.percentile(seconds, percent)) / peer,
        }
        for percent in (50, 99)
    ]


async def opened(whole: Whole) -> None:
    """Two shares, money for everybody, and a maker who sells the first one without end."""
    async with whole.market(None, "operate", "read") as operator:
        for number, symbol in enumerate((SHARE, OTHER), 1):
            await operator.venue.define(share(number, symbol))
        for account in range(1, 2 * INVESTORS + 1):
            await operator.venue.deposit(account, 100_000, "CNY")
        for account in (MAKER, TRADER):
            await operator.venue.deposit(account, 10**10, "CNY")
            for symbol in (SHARE, OTHER):
                await operator.venue.deposit_shares(account, 10**8, symbol)
    async with whole.market(MAKER) as maker:
        for _ in range(10):
            await maker.sell(SHARE, 1_000_000, "10.00")


def share(number: int, symbol: str) -> types_pb2.Instrument:
    """A share without daily limits."""
    return types_pb2.Instrument(
        instrument_id=number,
        symbol=symbol,
        name=symbol,
        currency_code="CNY",
        tick_size="0.01",
        lot_size="1",
        board_lot=1,
        odd_lot_rule=types_pb2.ODD_LOT_RULE_NONE,
        reference_price_ticks=1000,
        max_price_ticks=1_000_000,
        max_order_lots=10_000_000,
        settlement=types_pb2.SETTLEMENT_T0,
        trading_state=types_pb2.TRADING_STATE_OPEN,
        industry="Banks",
    )


async def latencies(whole: Whole, database: Database, accounts: range) -> list[float]:
    """Seconds from the answer of each investor's purchase to the commit of the alert."""
    found = []
    for account in accounts:
        async with whole.market(account) as market:
            await market.buy(SHARE, 5000, "10.00")
            began = time.perf_counter()
        while not await database.fetchval("SELECT true FROM positions.alerts WHERE account_id = $1", account):
            await asyncio.sleep(_LOOK_SECONDS)
        found.append(time.perf_counter() - began)
    return found


async def trade(whole: Whole) -> None:
    """Orders that rest, trade and go, as many a second as the load says."""
    async with whole.market(TRADER) as market, market.trade_stream() as stream:
        drain = asyncio.create_task(read(stream))
        try:
            await keep_trading(stream)
        finally:
            drain.cancel()


async def keep_trading(stream: Any) -> None:
    """Batches of buys and sells around one price, paced."""
    clock, step = asyncio.get_running_loop().time, 0
    began = clock()
    while True:
        prices = [Decimal(1000 + (step * 7 + at) % 9 - 4) / 100 for at in range(BATCH)]
        await stream.place_many(
            [
                NewOrder(OTHER, "buy" if at % 2 else "sell", 1, price, tif="ioc" if at % 3 else "day")
                for at, price in enumerate(prices)
            ]
        )
        step += 1
        await asyncio.sleep(max(0.0, began + step * BATCH / LOAD_PER_SECOND - clock()))


async def read(stream: Any) -> None:
    """Take the reports, as a client must."""
    async for _ in stream.batches():
        pass


async def commit_seconds(database: Database) -> float:
    """Median seconds to commit one row."""
    await database.execute("CREATE TABLE public.peer (number bigint, text text)")
    taken = []
    for number in range(200):
        began = time.perf_counter()
        await database.execute("INSERT INTO public.peer VALUES ($1, $2)", number, "x" * 200)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


if __name__ == "__main__":
    for each in asyncio.run(run()):
        print(f"{each['name']:40} {each['value']:>10.2f} {each['unit']}  peer {each['peer']:.2f}")
