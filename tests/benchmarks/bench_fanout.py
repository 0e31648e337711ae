"""Market data to 1,000 subscribers: what they get and how late, beside a server that only streams bytes.

A server process changes one book at a steady pace and tells every subscriber (L2, as fast as they read). The peer
is a grpc.aio server that streams the same bytes to as many streams at the same pace, with no work behind it. The
clock of both is the machine's, so the delay of a message is the time from the change to its arrival; of conflated
changes the newest counts. One client process reads both, one after the other.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from typing import Any

import grpc
import numpy as np

SUBSCRIBERS = 1000
SECONDS = 8.0
PACE = 10.0
"""Changes a second."""
PEER = "bench.Fanout"
OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", 100_000),
    ("grpc.use_local_subchannel_pool", 1),
]
CONNECTIONS = 8


class Book:
    """A core with one book, whose best bid changes its size."""

    levels = np.dtype([("price_ticks", "i8"), ("quantity_lots", "i8"), ("order_count", "i8")])
    state = np.array([(1, 100)], [("trading_state", "u1"), ("last_price_ticks", "i8")])

    def __init__(self) -> None:
        self.sequence = 0
        self.now = time.time_ns()

    def book(self, _instrument_id: int, depth: int) -> tuple[Any, Any]:
        """Ten levels a side."""
        bids = np.array([(1000 - each, 5, 1) for each in range(depth)], self.levels)
        asks = np.array([(1001 + each, 5, 1) for each in range(depth)], self.levels)
        bids[0]["quantity_lots"] = self.sequence + 1
        return bids, asks

    def orders(self, _instrument_id: int) -> Any:
        """None of interest."""
        return np.zeros(0)

    def instrument(self, _instrument_id: int) -> Any:
        """An open one."""
        return self.state[0]

    def all(self) -> list[Any]:
        """The one instrument."""
        return [self.get(1)]

    def get(self, instrument_id: int) -> Any:
        """The one instrument."""
        from smartex.matching.v1.types_pb2 import Instrument

        return (
            Instrument(instrument_id=1, symbol="A", tick_size="0.01", lot_size="1") if instrument_id else None
        )


def one_change() -> Any:
    """Events of a frame that changes the book."""
    from matching.event_rows import empty

    events = empty(1)
    events["kind"], events["instrument_id"], events["order_id"], events["side"] = 9, 1, 1, 1
    events["price_ticks"], events["leaves_lots"], events["quantity_lots"] = 1000, 5, 1
    return events


async def serve_product() -> None:
    """Serve the production feed; print the port; change the book until standard input closes."""
    from matching import marketdata

    book, events = Book(), one_change()
    data = marketdata.build(market=lambda: book, instruments=book)
    server = grpc.aio.server(options=OPTIONS)
    data.register(server)

    async def change() -> None:
        book.sequence += 1
        book.now = time.time_ns()
        data.on_applied(0, book.sequence, book.now, events)

    await serve(server, change)


async def serve_peer() -> None:
    """Serve streams that get the same bytes at the same pace."""
    from matching.marketdata import messages

    server = grpc.aio.server(options=OPTIONS)
    streams: set[asyncio.Event] = set()
    newest = b""
    sequence = 0

    async def stream(_request: bytes, context: Any) -> None:
        mine = asyncio.Event()
        streams.add(mine)
        try:
            while True:
                await mine.wait()
                mine.clear()
                await context.write(newest)
        finally:
            streams.discard(mine)

    handlers = {"Subscribe": grpc.unary_stream_rpc_method_handler(stream)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(PEER, handlers),))

    async def change() -> None:
        nonlocal newest, sequence
        sequence += 1
        newest = messages.level_update(1, sequence, sequence - 1, [(1000, sequence, 1)], [], time.time_ns())
        for each in streams:
            each.set()

    await serve(server, change)


async def serve(server: Any, change: Any) -> None:
    """Run the server and call `change` at the pace until standard input closes."""
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    closed = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    due = time.perf_counter()
    while not closed.done():
        due += 1 / PACE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await change()
    await server.stop(0)


async def read_all(port: int, method: str, request: bytes) -> tuple[int, list[float]]:
    """Subscribe a thousand times, read for a while; returns the messages and their delays in seconds."""
    from smartex.matching.v1.market_data_pb2 import SubscribeResponse

    channels: list[Any] = [
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS) for _ in range(CONNECTIONS)
    ]
    delays: list[float] = []
    count = 0
    measuring = False

    async def read(number: int) -> None:
        nonlocal count
        call = channels[number % CONNECTIONS].unary_stream(method)(request)
        while (data := await call.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            if measuring:
                count += 1
                # Looking into each of them would measure the reader.
                if count % 16 == 0:
                    sent = SubscribeResponse.FromString(data).levels.market_time_ns
                    delays.append((time.time_ns() - sent) / 1e9)

    readers = [asyncio.create_task(read(number)) for number in range(SUBSCRIBERS)]
    await asyncio.sleep(4.0)
    measuring = True
    await asyncio.sleep(SECONDS)
    measuring = False
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    for channel in channels:
        await channel.close()
    return count, delays


def measure(what: str) -> dict[str, float]:
    """Start the server of that name in a process of its own, and read from it."""
    from smartex.matching.v1.market_data_pb2 import Channel, SubscribeRequest

    with subprocess.Popen(
        [sys.executable, __file__, what], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        method = (
            f"/{PEER}/Subscribe" if what == "peer" else "/smartex.matching.v1.MarketDataService/Subscribe"
        )
        request = SubscribeRequest(instrument_ids=[1], channel=Channel.CHANNEL_L2).SerializeToString()
        count, delays = asyncio.run(read_all(port, method, request))
        process.stdin.close()
    delays.sort()
    return {
        "messages": count / SECONDS,
        "p50": statistics.median(delays) * 1000,
        "p99": delays[int(len(delays) * 0.99)] * 1000,
    }


def apply_cost() -> list[dict[str, Any]]:
    """What the feed costs the pod that matches: microseconds a frame with nobody subscribed."""
    from matching import marketdata
    from matching.event_rows import empty

    rows = []
    for size in (1, 256):
        book = Book()
        data = marketdata.build(market=lambda book=book: book, instruments=book)  # type: ignore[misc]
        events = empty(size)
        events["kind"], events["instrument_id"] = 3, 1
        events["command_index"] = np.arange(size)
        best = float("inf")
        for _ in range(7):
            began = time.perf_counter()
            for _ in range(2000):
                data.on_applied(0, data.feed.sequence + 1, 1, events)
            best = min(best, (time.perf_counter() - began) / 2000)
        rows.append({"name": f"feed, frame of {size} trades", "value": best * 1e6, "unit": "us"})
    return rows


def run() -> list[dict[str, Any]]:
    """The rows for the harness."""
    peer, product = measure("peer"), measure("product")
    rows = [
        {
            "name": f"messages to {SUBSCRIBERS} L2 readers",
            "value": product["messages"],
            "unit": "/s",
            "peer": peer["messages"],
            "ratio": product["messages"] / peer["messages"],
        }
    ]
    rows += [
        {
            "name": f"change to reader, {name}",
            "value": product[name],
            "unit": "ms",
            "peer": peer[name],
            "ratio": product[name] / peer[name],
        }
        for name in ("p50", "p99")
    ]
    return rows + apply_cost()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(serve_product() if sys.argv[1] == "product" else serve_peer())
    else:
        for row in run():
            print(row)
