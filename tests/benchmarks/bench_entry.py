"""Durable order entry against a grpc.aio server that echoes the same bytes, both over loopback in the same run.

Orders are real: they rest, trade and cancel, every trade streams fills to both sides, and an answer means that the
command is durable. The rate counts commands whose outcome came back.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from order_load import OrderLoad
from outcomes import count_outcomes, count_outcomes_by_decoding
from servers import Exchange, echo_server, exchange
from smartex.matching.v1 import order_entry_pb2, types_pb2
from smartex_bus import Record, Topic, open_bus
from smartex_bus.kafka_server import KafkaServer
from smartex_store import running_url
from venue_setup import ACCOUNTS, INSTRUMENT, open_market

SECONDS = 4.0
TRIALS = 5
STREAMS = 4
LOADS = ((100, 8), (100, 16), (1000, 8))
"""Commands of a batch, and batches that a stream sends ahead of their outcomes: an echo is quickest with few already,
what waits for a disk gains by more."""
UNARY_WARM_UP = 2_000
"""Calls before those that count: a broker that has just started compiles itself while it answers."""
UNARY_CALLS = 4_000
SETTLE_SECONDS = 20.0
"""Until what a start leaves to be done afterwards is done: imports, memory, the first reading of the history."""
TRADE = "/smartex.matching.v1.OrderEntryService/Trade"
PLACE = "/smartex.matching.v1.OrderEntryService/PlaceOrder"
CHECKED_MESSAGES = 50
"""Messages of a stream, before the clock runs, whose outcomes are counted in two ways."""
OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.use_local_subchannel_pool", 1)]

Row = dict[str, Any]


def run() -> list[Row]:
    """Measure batches of 100 and 1,000 on streams, and single calls."""
    return asyncio.run(measure("postgresql")) + asyncio.run(measure("kafka"))


async def measure(engine: str) -> list[Row]:
    """All figures of one bus engine."""
    rows: list[Row] = []
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kafka = await stack.enter_async_context(KafkaServer(folder / "kafka")) if engine == "kafka" else None
        options = ["--bus", kafka.url] if kafka else []
        venue = stack.enter_context(exchange(folder / "data", *options))
        await open_market(venue)
        echo = stack.enter_context(echo_server())
        # First, while the market is at rest: after the load, the history has minutes of work left.
        await asyncio.sleep(SETTLE_SECONDS)
        log = kafka.url if kafka else running_url(folder / "data")
        assert log is not None
        rows += await unary(venue, echo, log, engine)
        before = venue.loop_lag()
        taken: dict[int, list[tuple[float, float]]] = {}
        for batch, ahead in LOADS:
            # In turns, for a shared machine is faster in one minute than in the next.
            rates = [
                (await echo_rate(echo, batch, ahead), await entry_rate(venue, batch, ahead, n))
                for n in range(TRIALS)
            ]
            peer, product = (statistics.median(each) for each in zip(*rates, strict=True))
            rows.append(
                rate_row(f"durable orders, batches of {batch}, {ahead} ahead, {engine}", product, peer)
            )
            taken.setdefault(batch, []).append((product, peer))
        rows += [
            rate_row(
                f"durable orders, batches of {batch}, each at its best, {engine}",
                *map(max, zip(*pairs, strict=True)),
            )
            for batch, pairs in taken.items()
            if len(pairs) > 1
        ]
        lag = 1e3 * lag_bound(before, venue.loop_lag(), 0.99)
        rows.append(row(f"event-loop lag p99 under that load, at most, {engine}", lag))
    return rows


def lag_bound(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """The least bucket bound in seconds under which `share` of the beats between two readings were."""
    beats = {bound: after[bound] - before.get(bound, 0.0) for bound in sorted(after)}
    return next(bound for bound, count in beats.items() if count >= share * max(beats.values()))


async def echo_rate(url: str, batch: int, ahead: int) -> float:
    """Commands a second through the echo server."""
    loads = [OrderLoad(INSTRUMENT, batch, 900 + index) for index in range(STREAMS)]
    async with grpc.aio.insecure_channel(url, options=OPTIONS) as channel:
        method = channel.stream_stream("/bench.Echo/Stream")  # type: ignore[call-arg]  # the stubs demand serializers
        return await rate([EchoStream(method, load, batch, ahead) for load in loads])


async def entry_rate(venue: Exchange, batch: int, ahead: int, trial: int) -> float:
    """Commands a second through the exchange."""
    async with grpc.aio.insecure_channel(venue.url, options=OPTIONS) as channel:
        method = channel.stream_stream(TRADE)  # type: ignore[call-arg]  # the stubs demand serializers
        streams = [
            EntryStream(
                method,
                OrderLoad(INSTRUMENT, batch, 1 + index + STREAMS * trial + 100 * (batch + ahead)),
                batch,
                ahead,
                venue.token("trade", account_id=account),
            )
            for index, account in enumerate(ACCOUNTS[:STREAMS])
        ]
        return await rate(streams)


async def rate(streams: Sequence[EchoStream]) -> float:
    """Outcomes a second of all streams together, between the first second and the last."""
    await asyncio.gather(*(stream.open() for stream in streams))
    tasks = [asyncio.create_task(stream.work()) for stream in streams]
    await asyncio.sleep(1.0)
    before, began = sum(stream.done for stream in streams), time.perf_counter()
    await asyncio.sleep(SECONDS)
    after, ended = sum(stream.done for stream in streams), time.perf_counter()
    for stream in streams:
        stream.stop = True
    await asyncio.gather(*tasks)
    return (after - before) / (ended - began)


class EchoStream:
    """One stream that keeps batches in flight and counts the commands that came back."""

    def __init__(self, method: Any, load: OrderLoad, batch: int, ahead: int, token: str = "") -> None:
        self._method, self._load, self._batch = method, load, batch
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._room = asyncio.Semaphore(ahead)
        self.sent = self.done = 0
        self.stop = False

    async def open(self) -> None:
        """Open the call."""
        self._call = self._method(self._requests(), metadata=self._metadata)

    async def work(self) -> None:
        """Read what comes back until all is back."""
        async for message in self._call:
            self._count(message)
            if self.stop and self.done >= self.sent:
                break
        self._call.cancel()

    def _count(self, _message: bytes) -> None:
        self.done += self._batch
        self._room.release()

    async def _requests(self) -> AsyncIterator[bytes]:
        while not self.stop:
            await self._room.acquire()
            self.sent += self._batch
            yield self._load.next()
        await asyncio.sleep(3600)  # leave the stream open until the reader has all


class EntryStream(EchoStream):
    """A Trade stream: a batch is back when all its outcomes are."""

    _back = 0
    _checks = CHECKED_MESSAGES

    async def _requests(self) -> AsyncIterator[bytes]:
        opening = order_entry_pb2.TradeOpen(window=100_000)
        yield order_entry_pb2.TradeRequest(open=opening).SerializeToString()
        async for request in super()._requests():
            yield request

    def _count(self, message: bytes) -> None:
        outcomes = count_outcomes(message)
        if self._checks:
            self._checks -= 1
            assert outcomes == count_outcomes_by_decoding(message)
        self.done += outcomes
        self._back += outcomes
        while self._back >= self._batch:
            self._back -= self._batch
            self._room.release()


async def unary(venue: Exchange, echo: str, log: str, engine: str) -> list[Row]:
    """Latency of PlaceOrder, of an echoed call of the same bytes and of a durable append to the same log, in turns.

    All three in the same run at the same pace: each wakes up processes that were asleep, which costs as much as
    what they do.
    """
    token = venue.token("trade", account_id=ACCOUNTS[0])
    metadata = (("authorization", f"Bearer {token}"),)
    async with (
        grpc.aio.insecure_channel(venue.url, options=OPTIONS) as venue_channel,
        grpc.aio.insecure_channel(echo, options=OPTIONS) as echo_channel,
        await open_bus(log) as bus,
    ):
        place = venue_channel.unary_unary(PLACE)  # type: ignore[call-arg]  # the stubs demand serializers
        repeat = echo_channel.unary_unary("/bench.Echo/Unary")  # type: ignore[call-arg]  # the stubs demand serializers
        await bus.ensure_topics(Topic("bench"))
        appender = bus.appender("bench")
        product, peer, append = [], [], []
        for index in range(UNARY_WARM_UP + UNARY_CALLS):
            request = order(index)
            product.append(await timed(place(request, metadata=metadata)))
            peer.append(await timed(repeat(request)))
            append.append(await timed(appender.append(Record(request))))
    rows: list[Row] = []
    for name, share in (("p50", 0.50), ("p99", 0.99)):
        ours, theirs, durable = (quantile(each[UNARY_WARM_UP:], share) for each in (product, peer, append))
        rows += [
            row(f"PlaceOrder {name}, {engine}", ours, theirs),
            row(f"durable append {name}, in turns with it, {engine}", durable),
            row(f"PlaceOrder {name} above echo's and append's, {engine}", ours - theirs - durable),
        ]
    return rows


def rate_row(name: str, product: float, peer: float) -> Row:
    """One line of the table of rates."""
    return {"name": name, "value": product, "unit": "orders/s", "peer": peer, "ratio": product / peer}


def row(name: str, milliseconds: float, peer: float | None = None) -> Row:
    """One line of the table of latencies."""
    ratio = None if peer is None else milliseconds / peer
    return {"name": name, "value": milliseconds, "unit": "ms", "peer": peer, "ratio": ratio}


def order(index: int) -> bytes:
    """One order that rests far from the market."""
    return order_entry_pb2.PlaceOrderRequest(
        client_order_id=(1 << 60) + index,
        instrument_id=INSTRUMENT,
        side=types_pb2.SIDE_BUY,
        order_type=types_pb2.ORDER_TYPE_LIMIT,
        time_in_force=types_pb2.TIME_IN_FORCE_GTC,
        price_ticks=1 + index % 1000,
        quantity_lots=100,
        create_time_ns=time.time_ns(),
    ).SerializeToString()


async def timed(call: Any) -> float:
    """Milliseconds until the answer."""
    began = time.perf_counter()
    await call
    return (time.perf_counter() - began) * 1e3


def quantile(values: list[float], share: float) -> float:
    """The value that `share` of all do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
