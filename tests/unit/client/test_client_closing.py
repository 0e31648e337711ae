"""A client that is closed, or left open, while something runs on it."""

import asyncio
import gc
import subprocess
import sys
import threading
from typing import Any

import pytest
import smartex_client
from smartex.matching.v1 import market_data_pb2 as md
from smartex.matching.v1 import order_entry_pb2 as pb
from smartex_client.errors import Final, OutcomeUnknown

Exchange = Any


@pytest.fixture
def quiet(exchange: Exchange) -> Exchange:
    """An exchange whose book never changes, and whose history has two trades a page for ever."""

    async def subscribe(request: md.SubscribeRequest, context: Any) -> None:
        book = md.BookSnapshot(instrument_id=7, sequence=1)
        await context.write(md.SubscribeResponse(snapshot=book).SerializeToString())
        await asyncio.sleep(600)

    async def trades(request: md.ListTradesRequest, context: Any) -> md.ListTradesResponse:
        page = [md.Trade(trade_id=5, instrument_id=7, quantity_lots=1)] * 2
        return md.ListTradesResponse(trades=page, next_page_token="more")

    exchange.stream("MarketDataService/Subscribe", subscribe)
    exchange.answer("MarketDataService/ListTrades", md.ListTradesRequest, trades)
    return exchange


async def test_a_closed_client_says_so(quiet: Exchange) -> None:
    market = quiet.market()
    assert (await market.instrument("ACME")).symbol == "ACME"
    await market.close()
    await market.close()
    for work in (market.book(7), market.buy("ACME", 1, 1), anext(market.live_book("ACME"))):
        with pytest.raises(Final, match="client is closed"):
            await work
    with pytest.raises(Final, match="client is closed"):
        await market.trade_stream().__aenter__()


async def test_closing_ends_streams_at_once(quiet: Exchange) -> None:
    async def trade(requests: Any, context: Any) -> None:
        await context.read()
        await context.write(pb.TradeResponse(opened=pb.TradeOpened(sequence=1, window=2)).SerializeToString())
        await asyncio.sleep(600)

    quiet.stream("OrderEntryService/Trade", trade)
    market = quiet.market()
    books = market.live_book("ACME")
    await anext(books)
    stream = await market.trade_stream().__aenter__()
    waiting = [asyncio.create_task(anext(books)), asyncio.create_task(anext(aiter(stream)))]
    await asyncio.sleep(0.1)
    await market.close()
    async with asyncio.timeout(60):
        for task in waiting:
            with pytest.raises(Final, match="client is closed"):
                await task
    await stream.close()


async def test_closing_during_a_write_leaves_its_outcome_unknown(exchange: Exchange) -> None:
    arrived = asyncio.Event()

    async def place(request: pb.PlaceOrderRequest, context: Any) -> None:
        arrived.set()
        await asyncio.sleep(600)

    exchange.answer("OrderEntryService/PlaceOrder", pb.PlaceOrderRequest, place)
    market = exchange.market()
    order = asyncio.create_task(market.buy("ACME", 1, 1))
    await arrived.wait()
    await market.close()
    async with asyncio.timeout(60):
        with pytest.raises(OutcomeUnknown):
            await order


async def test_plain_code_that_closes_during_a_write_is_told_that_the_outcome_is_unknown(
    exchange: Exchange,
) -> None:
    arrived = threading.Event()

    async def place(request: pb.PlaceOrderRequest, context: Any) -> None:
        arrived.set()
        await asyncio.sleep(600)

    exchange.answer("OrderEntryService/PlaceOrder", pb.PlaceOrderRequest, place)

    def plain() -> None:
        market = smartex_client.connect_sync(exchange.url)
        told: list[Exception] = []

        def write() -> None:
            try:
                market.buy("ACME", 1, 1)
            except smartex_client.SmartexError as error:
                told.append(error)

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        arrived.wait(60)
        market.close()
        writer.join(60)
        assert isinstance(told[0], OutcomeUnknown)

    await asyncio.wait_for(asyncio.to_thread(plain), 60)


async def test_plain_code_closes_twice_and_then_is_told(quiet: Exchange) -> None:
    def plain() -> None:
        market = smartex_client.connect_sync(quiet.url)
        assert market.instrument("ACME").symbol == "ACME"
        left = market.trades("ACME")
        next(left)
        market.close()
        market.close()
        with pytest.raises(Final, match="client is closed"):
            market.book(7)
        del left
        gc.collect()

    await asyncio.wait_for(asyncio.to_thread(plain), 60)


async def test_closing_ends_iterators_of_other_threads(quiet: Exchange) -> None:
    def plain() -> None:
        market = smartex_client.connect_sync(quiet.url)
        books = market.live_book("ACME")
        next(books)
        told: list[Exception] = []

        def read() -> None:
            try:
                next(books)
            except Final as error:
                told.append(error)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(0.2)
        market.close()
        reader.join(60)
        assert not reader.is_alive()
        assert "client is closed" in str(told[0])

    await asyncio.wait_for(asyncio.to_thread(plain), 60)


async def test_an_iterator_may_be_collected_on_the_thread_of_the_client(quiet: Exchange) -> None:
    def plain() -> None:
        with smartex_client.connect_sync(quiet.url) as market:
            held = [market.trades("ACME")]
            next(held[0])

            async def collect() -> None:
                held.clear()

            market._loop.run(collect())
            assert market.instrument("ACME").symbol == "ACME"

    await asyncio.wait_for(asyncio.to_thread(plain), 60)


@pytest.mark.parametrize("end", ["", "raise SystemExit(0)", "market.close()"])
async def test_a_program_that_leaves_an_iterator_open_ends(quiet: Exchange, end: str) -> None:
    code = (
        "import sys, smartex_client\n"
        "market = smartex_client.connect_sync(sys.argv[1])\n"
        f"books = market.live_book('ACME')\nprint(next(books).symbol)\n{end}"
    )
    command = [sys.executable, "-c", code, quiet.url]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ACME\n", "")
