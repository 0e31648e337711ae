"""The book through restarts, kills, repeats and poison: its rows equal the log, and its figures the market's own."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from isolated import free_port
from positions.consumers import GROUP
from positions.intake import EVENTS, EVENTS_TOPIC
from positions.rebuilding import _begin_anew, differences, main
from positions.rewind import Moment
from smartex.matching.v1 import order_entry_pb2, types_pb2, venue_pb2
from smartex.positions.v1 import position_service_pb2 as pb
from smartex_bus import Record, open_bus
from waiting import until

if TYPE_CHECKING:
    from tests.integration.positions.live.conftest import Exchange

BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
ACCOUNTS = range(1, 5)


async def trade(exchange: Any, seed: int, orders: int) -> None:
    """Orders of four accounts around a price, some of them at once, some cancelled or changed; and a day that ends."""
    dice = random.Random(seed)
    callers = {account: exchange.caller(account) for account in ACCOUNTS}
    for caller in callers.values():
        caller.ids = iter(range(seed * 10_000, (seed + 1) * 10_000))
    operator = exchange.operator()
    for at in range(orders):
        caller = callers[dice.choice(ACCOUNTS)]
        tif = dice.choice([types_pb2.TIME_IN_FORCE_GTC] * 4 + [types_pb2.TIME_IN_FORCE_IOC])
        price = 1000 + dice.randint(-5, 5)
        outcome = await caller.place(
            dice.choice([BUY, SELL]), price, dice.randint(1, 50), dice.choice([1, 2]), time_in_force=tif
        )
        if dice.random() < 0.2:
            request = order_entry_pb2.CancelOrderRequest(
                order_id=outcome.order_id, request_id=seed * 10_000 + at + 1
            )
            await caller.entry.CancelOrder(request, metadata=caller.metadata, timeout=60)
        if at == orders // 2:
            await roll_day(operator, seed)


async def roll_day(operator: Any, seed: int) -> None:
    status = await operator.venue.GetVenueStatus(
        venue_pb2.GetVenueStatusRequest(), metadata=operator.metadata, timeout=60
    )
    request = venue_pb2.RollTradingDayRequest(trading_day=status.trading_day, request_id=5_000_000 + seed)
    await operator.venue.RollTradingDay(request, metadata=operator.metadata, timeout=60)


async def agrees(exchange: Any, pod: Any) -> None:
    """Figures are the market's to the micro, and the rows are what the log makes of them."""
    await exchange.folded(pod)
    for account in ACCOUNTS:
        theirs = await exchange.caller(account).balances()
        ours = pod.book.view(account, pod.freshness())
        cash = {one.currency: (one.total_micros, one.held_micros) for one in ours.cash}
        assert cash == {
            one.total.currency_code: (micros(one.total.amount), micros(one.held.amount))
            for one in theirs.cash
        }
        held = {
            one.instrument_id: (one.quantity_lots, one.available_lots)
            for one in ours.positions
            if one.quantity_lots
        }
        assert held == {
            one.instrument_id: (one.total_lots, one.available_lots)
            for one in theirs.holdings
            if one.total_lots
        }
    if pod.follower.working:
        assert await differences(pod) == []


def micros(amount: str) -> int:
    return int(Decimal(amount) * 1_000_000)


async def test_rows_and_figures_survive_restarts(exchange: Exchange) -> None:
    async with exchange.positions() as (pod, _):
        await trade(exchange, 1, 60)
        await agrees(exchange, pod)
    await trade(exchange, 2, 40)  # nobody looks
    async with exchange.positions() as (pod, _):
        await agrees(exchange, pod)
        await trade(exchange, 3, 60)
        await agrees(exchange, pod)
        fills = await pod.database.fetchval("SELECT count(*) FROM positions.fills")
        sides = await pod.database.fetch(
            "SELECT side, sum(quantity_lots)::bigint AS lots FROM positions.fills GROUP BY 1"
        )
        assert fills > 20
        assert len({row["lots"] for row in sides}) == 1


async def test_another_pod_writes_when_the_first_is_gone(exchange: Exchange) -> None:
    async with exchange.positions() as (first, _), exchange.positions() as (second, _):
        assert [first.follower.working, second.follower.working] == [True, False]
        await trade(exchange, 1, 40)
        await agrees(exchange, first)
        await agrees(exchange, second)
        await until(lambda: first.ready() and second.ready())
        await first.follower.stop()
        await trade(exchange, 2, 40)
        await until(lambda: second.follower.working)
        await agrees(exchange, second)


async def test_a_writer_that_lost_its_lease_writes_nothing(exchange: Exchange) -> None:
    async with exchange.positions() as (pod, _):
        await trade(exchange, 1, 20)
        await exchange.folded(pod)
        await pod.database.execute(
            """
            UPDATE positions.projection
               SET epoch = epoch + 1, holder = 'another', lease_until = now() + interval '1 s'
            """
        )
        await trade(exchange, 2, 20)
        await until(lambda: pod.follower.working)
        await agrees(exchange, pod)


async def test_a_failed_transaction_is_written_again(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with exchange.positions() as (pod, _):
        looks, real = [], pod.oversight.look

        async def failing(*arguments: Any, **named: Any) -> Any:
            looks.append(1)
            if len(looks) % 3 == 1:
                raise RuntimeError("no luck")
            return await real(*arguments, **named)

        monkeypatch.setattr(pod.oversight, "look", failing)
        for seed in (1, 2, 3):
            await trade(exchange, seed, 20)
            await agrees(exchange, pod)  # or all may be written at once after the first failure
        assert len(looks) > 3


async def test_what_comes_twice_counts_once(exchange: Exchange) -> None:
    async with exchange.positions() as (pod, _):
        await trade(exchange, 1, 40)
        await exchange.folded(pod)
        bus = exchange.market.bus
        records = await bus.read(EVENTS_TOPIC, 0, 0)
        again = [Record(record.value, key=record.key) for record in records]
        async with await open_bus(exchange.settings["database_url"]) as other:
            await other.appender(EVENTS_TOPIC).append(*again, *again[-3:])
        await trade(exchange, 2, 20)
        await agrees(exchange, pod)


def poisonous() -> list[bytes]:
    """Records that cannot be folded: not of the wire, of another layout, and with numbers beyond every table."""
    header = {"version": 1, "shard": 0, "offset": 0, "first_sequence": 10**9, "time_ns": 1}
    bad = np.zeros(3, EVENTS.row_dtype)
    bad["kind"], bad["instrument_id"], bad["account_id"], bad["counter_account_id"] = 3, 70_000, 1, 2
    unknown = np.zeros(1, EVENTS.row_dtype)
    unknown["kind"], unknown["currency_id"], unknown["account_id"] = 20, 99, 1
    return [
        b"\xff\xff\xff not a record",
        EVENTS.encode(bad, header | {"version": 7}),
        EVENTS.encode(bad, header | {"shard": 5}),
        EVENTS.encode(bad, header),
        EVENTS.encode(unknown, header),
    ]


async def test_poison_is_set_aside_and_the_stream_goes_on(exchange: Exchange) -> None:
    async with exchange.positions() as (pod, _):
        await trade(exchange, 1, 20)
        await exchange.published()
        async with await open_bus(exchange.settings["database_url"]) as other:
            await other.appender(EVENTS_TOPIC).append(*(Record(value) for value in poisonous()))
            await trade(exchange, 2, 20)
            await agrees(exchange, pod)
            letters = await other.dead_letters(GROUP)
    assert [letter.record.value for letter in letters] == poisonous()
    assert "instrument_id above 65535" in letters[3].reason


async def test_a_start_before_the_market_serves(exchange: Exchange) -> None:
    await trade(exchange, 1, 20)
    await exchange.published()
    async with exchange.positions(exchange_url=f"127.0.0.1:{free_port()}") as (pod, _):
        await until(lambda: pod.follower.ready)
        await asyncio.sleep(0.5)
        assert pod.book.sequence == 0  # it waits for definitions, and does not guess
        assert not pod.ready()
    async with exchange.positions() as (pod, _):
        await agrees(exchange, pod)
    await trade(exchange, 2, 20)
    # What it once learned is kept.
    async with exchange.positions(exchange_url=f"127.0.0.1:{free_port()}") as (pod, _):
        await agrees(exchange, pod)


@asynccontextmanager
async def process(exchange: Any, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m positions` by itself."""
    settings = {
        "PORT": str(free_port()),
        "METRICS_PORT": str(free_port()),
        "DATABASE_URL": exchange.settings["database_url"],
        "EXCHANGE_URL": exchange.url,
        "TOKEN_FILE": str(exchange.token_file),
        "JWKS": str(exchange.issuer.jwks_path),
        "BASE_CURRENCY": "USD",
        "LEASE_SECONDS": "0.6",
        "POD": "killed",
        "CHECKPOINT_EVENTS": "100",
    }
    environment = os.environ | {f"SMARTEX_{name}": value for name, value in settings.items()}
    with (folder / "positions.log").open("ab") as log:
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "positions", env=environment, stdout=log, stderr=log
        )
    try:
        yield running
    finally:
        running.kill()
        await running.wait()


async def test_killed_again_and_again_under_load_it_loses_nothing_and_doubles_nothing(
    exchange: Exchange, tmp_path: Path
) -> None:
    async with exchange.positions() as (pod, _):
        await exchange.folded(pod)
    load = asyncio.create_task(trade(exchange, 1, 700))
    for seed in range(2):
        async with process(exchange, tmp_path) as running:
            before = await written(exchange)
            deadline = time.monotonic() + 40
            while await written(exchange) <= before and time.monotonic() < deadline and not load.done():
                assert running.returncode is None, (tmp_path / "positions.log").read_text()[-2000:]
                await asyncio.sleep(0.02)
            await asyncio.sleep(random.Random(seed).uniform(0.0, 0.3))
    await load
    async with exchange.positions() as (pod, _):
        await agrees(exchange, pod)
        for sequence in range(50, pod.book.sequence, 100):
            await same(pod, sequence)


async def written(exchange: Any) -> int:
    history = exchange.market.database
    return int(await history.fetchval("SELECT sequence FROM positions.projection"))


async def test_the_command_compares_rows_with_the_log(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMARTEX_DATABASE_URL", exchange.settings["database_url"])
    monkeypatch.setenv("SMARTEX_BASE_CURRENCY", "USD")
    async with exchange.positions() as (pod, _):
        await trade(exchange, 1, 40)
        await exchange.folded(pod)
    assert await main(["--check"]) == 0
    assert "equal" in capsys.readouterr().out
    assert exchange.market.database is not None
    await exchange.market.database.execute("UPDATE positions.holdings SET cost = cost + 1 WHERE place = 0")
    assert await main(["--check"]) == 1
    assert "holding at place 0: cost is" in capsys.readouterr().out
    assert await main(["--write"]) == 0
    async with exchange.positions() as (pod, _):
        await agrees(exchange, pod)


async def test_the_past_is_the_book_of_then(exchange: Exchange) -> None:
    async with exchange.positions() as (pod, _):
        await trade(exchange, 1, 40)
        await exchange.folded(pod)
        again = await pod.rewind.book(Moment(sequence=pod.book.sequence))
        freshness = pod.freshness()._replace(mid_ns=-(2**62))
        for account in ACCOUNTS:
            mine, then = (book.view(account, freshness) for book in (pod.book, again))
            assert mine is not None
            assert then is not None
            assert (mine.positions, mine.cash, mine.gone) == (then.positions, then.cash, then.gone)


def often(pod: Any) -> None:
    pod.keeper._every = 25


async def test_checkpoints_are_kept_and_a_rebuild_begins_them_anew(exchange: Exchange) -> None:
    async with exchange.positions(opened=often) as (pod, channel):
        for seed in (1, 2, 3, 4):
            await trade(exchange, seed, 20)
            await agrees(exchange, pod)  # what comes at once is folded in one step, and makes one checkpoint

        async def enough() -> bool:
            return await kept(pod) >= 3

        await until(enough)
        reader = exchange.caller(1, at=channel)
        for sequence in range(15, pod.book.sequence, 29):
            told = await reader.ask("GetPortfolioAt", pb.GetPortfolioAtRequest(sequence=sequence))
            assert told.portfolio.sequence == sequence
            await same(pod, sequence)
        await pod.follower.stop()
        await _begin_anew(pod)
        assert await kept(pod) == 0
    async with exchange.positions() as (pod, _):
        await agrees(exchange, pod)


async def same(pod: Any, sequence: int) -> None:
    """The past from a checkpoint is that from the beginning of the log."""
    whole = await pod.rewind.book(Moment(sequence=sequence), from_beginning=True)
    short = await pod.rewind.book(Moment(sequence=sequence))
    freshness = pod.freshness()._replace(mid_ns=-(2**62))
    for account in ACCOUNTS:
        assert short.view(account, freshness) == whole.view(account, freshness)


async def kept(pod: Any) -> int:
    return int(await pod.database.fetchval("SELECT count(*) FROM positions.checkpoints"))


async def test_on_kafka_too(kafka_exchange: Exchange) -> None:
    async with kafka_exchange.positions() as (pod, _):
        await trade(kafka_exchange, 1, 60)
        await agrees(kafka_exchange, pod)
    async with kafka_exchange.positions() as (pod, _):
        await trade(kafka_exchange, 2, 20)
        await agrees(kafka_exchange, pod)
