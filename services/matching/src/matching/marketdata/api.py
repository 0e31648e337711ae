"""MarketDataService: contract in, feed or listing, contract out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import grpc
from smartex.matching.v1.market_data_pb2 import (
    Channel,
    GetBookRequest,
    GetBookResponse,
    ListCandlesRequest,
    ListCandlesResponse,
    ListInstrumentsRequest,
    ListInstrumentsResponse,
    ListTradesRequest,
    ListTradesResponse,
    SubscribeRequest,
)
from smartex.matching.v1.types_pb2 import Instrument
from smartex_chassis import InvalidInput, NotFound, Overloaded
from smartex_chassis.pages import make_token, page_size, read_token

from matching.marketdata import messages
from matching.marketdata.books import read_state, to_snapshot
from matching.marketdata.candles import SECONDS, tick_value
from matching.marketdata.feed import L1, L2, L3, TRADES, Feed
from matching.marketdata.listing import Listing
from matching.marketdata.subscribers import Subscriber
from matching.times import nanoseconds

SERVICE = "smartex.matching.v1.MarketDataService"
SCOPES = {
    f"/{SERVICE}/{name}": "read"
    for name in ("ListInstruments", "GetBook", "ListTrades", "ListCandles", "Subscribe")
}
DEFAULT_DEPTH = 10
LARGEST_DEPTH = 1000
LARGEST_INTERVAL_MS = 60_000
MOST_INSTRUMENTS = 1000


class MarketDataApi:
    """The servicer. Its messages of subscriptions are bytes, made once for many readers."""

    def __init__(
        self, feed: Feed, listing: Listing, reach: Callable[[int], Awaitable[None]] | None = None
    ) -> None:
        self._feed = feed
        self._listing = listing
        self._reach = reach

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service to a server."""
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self._handlers()),))

    def _handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        def unary(method: Any, request: Any, response: Any) -> grpc.RpcMethodHandler[Any, Any]:
            return grpc.unary_unary_rpc_method_handler(
                method,
                request_deserializer=request.FromString,
                response_serializer=response.SerializeToString,
            )

        return {
            "ListInstruments": unary(self.list_instruments, ListInstrumentsRequest, ListInstrumentsResponse),
            "GetBook": grpc.unary_unary_rpc_method_handler(
                self.get_book,
                request_deserializer=GetBookRequest.FromString,
            ),
            "ListTrades": unary(self.list_trades, ListTradesRequest, ListTradesResponse),
            "ListCandles": unary(self.list_candles, ListCandlesRequest, ListCandlesResponse),
            "Subscribe": grpc.unary_stream_rpc_method_handler(
                self.subscribe,
                request_deserializer=SubscribeRequest.FromString,
            ),
        }

    async def list_instruments(
        self, request: ListInstrumentsRequest, _context: object
    ) -> ListInstrumentsResponse:
        """Instruments by number."""
        size = page_size(request.page_size)
        scope = ("instruments", request.symbol)
        key = read_token(scope, request.page_token)
        after = key[0] if key else 0
        found = [
            each
            for each in self._feed.instruments.all()
            if each.instrument_id > after and request.symbol in ("", each.symbol)
        ]
        page = found[:size]
        more = len(found) > size
        return ListInstrumentsResponse(
            instruments=page, next_page_token=make_token(scope, page[-1].instrument_id) if more else ""
        )

    async def get_book(self, request: GetBookRequest, _context: object) -> bytes:
        """The book as of the last event that this pod applied."""
        instrument = self._instrument(request.instrument_id)
        depth = _depth(request.depth)
        market = self._feed.market()
        book = to_snapshot(instrument.instrument_id, read_state(market, instrument.instrument_id, depth))
        if not request.orders:
            return GetBookResponse(book=book).SerializeToString()
        orders = messages.resting(market.orders(instrument.instrument_id))
        # A GetBookResponse is laid out like a SubscribeResponse with a snapshot: field 1 is the book.
        return messages.wrapped(messages.SNAPSHOT, messages.with_orders(book, orders))

    async def list_trades(self, request: ListTradesRequest, _context: object) -> ListTradesResponse:
        """Trades, newest first."""
        instrument = self._instrument(request.instrument_id)
        size = page_size(request.page_size)
        scope = ("trades", instrument.instrument_id)
        key = read_token(scope, request.page_token)
        found = await self._listing.trades(instrument.instrument_id, key[0] if key else None, size + 1)
        page = found[:size]
        return ListTradesResponse(
            trades=[messages.trade_message(instrument.instrument_id, trade) for trade in page],
            next_page_token=make_token(scope, page[-1].trade_id) if len(found) > size else "",
        )

    async def list_candles(self, request: ListCandlesRequest, _context: object) -> ListCandlesResponse:
        """Candles, newest first."""
        instrument = self._instrument(request.instrument_id)
        seconds = _seconds(request.interval_seconds, "interval_seconds")
        size = page_size(request.page_size)
        start = nanoseconds(request, "start_time")
        end = nanoseconds(request, "end_time")
        scope = ("candles", instrument.instrument_id, seconds, start, end)
        key = read_token(scope, request.page_token)
        found = await self._listing.candles(
            instrument.instrument_id, seconds, start, key[0] if key else end, size + 1
        )
        page = found[:size]
        value, now = tick_value(instrument), self._feed.time_ns
        return ListCandlesResponse(
            candles=[
                messages.candle_message(instrument.instrument_id, seconds, value, bar, now) for bar in page
            ],
            next_page_token=make_token(scope, page[-1].start_ns) if len(found) > size else "",
        )

    async def subscribe(self, request: SubscribeRequest, context: Any) -> None:
        """Write until the reader leaves or is cut."""
        subscriber = await self._subscribed(request)
        interval = 0 if request.channel in (L3, TRADES) else request.interval_ms / 1000
        try:
            await self._write_or_cut(subscriber, context, interval)
        finally:
            self._feed.leave(subscriber)

    async def _subscribed(self, request: SubscribeRequest) -> Subscriber:
        wanted = self._wanted(request.instrument_ids)
        depth = _depth(request.depth)
        if not 0 <= request.interval_ms <= LARGEST_INTERVAL_MS:
            raise InvalidInput(f"interval_ms must be 0 to {LARGEST_INTERVAL_MS}", field="interval_ms")
        if request.resume_sequence < 0:
            raise InvalidInput("resume_sequence must not be negative", field="resume_sequence")
        if request.channel in (L3, TRADES):
            if self._reach is not None:
                await self._reach(request.resume_sequence)
            return self._feed.subscribe_stream(request.channel, wanted, request.resume_sequence)
        if request.channel in (L1, L2):
            return self._feed.subscribe_book(request.channel, wanted, depth)
        if request.channel == Channel.CHANNEL_CANDLES:
            seconds = _seconds(request.candle_seconds, "candle_seconds")
            await self._listing.ensure_boards(wanted, seconds)
            return self._feed.subscribe_candles(wanted, seconds)
        raise InvalidInput("channel is required: L1, L2, L3, TRADES or CANDLES", field="channel")

    async def _write_or_cut(self, subscriber: Subscriber, context: Any, interval: float) -> None:
        writer = asyncio.create_task(self._write(subscriber, context, interval))
        try:
            await asyncio.wait((writer, subscriber.cut), return_when=asyncio.FIRST_COMPLETED)
            if not subscriber.cut.done():
                return await writer
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        raise Overloaded(
            "the subscription fell too far behind: subscribe again, to L3 and trades with resume_sequence",
            reason="SLOW_CONSUMER",
            retry_after=timedelta(milliseconds=10),
        )

    async def _write(self, subscriber: Subscriber, context: Any, interval: float) -> None:
        """Write one message a turn; with an interval, rest after each round."""
        rest_until, told = 0.0, False
        while True:
            await subscriber.turn.wait()
            if interval and (left := rest_until - time.monotonic()) > 0:
                await asyncio.sleep(left)
            data = subscriber.take()
            told = told or data is not None
            if data is None and subscriber.heartbeat_due:
                self._feed.tell()  # what happened up to the sequence that a heartbeat names goes first
                data = subscriber.take() or messages.heartbeat(self._feed.sequence, self._feed.time_ns)
            if data is not None:
                subscriber.heartbeat_due = False
                await context.write(data)
                subscriber.spoke_at = time.monotonic()
            if told and not subscriber.in_round:
                rest_until, told = time.monotonic() + interval, False
            if subscriber.waiting:
                self._feed.ask(subscriber)

    def _instrument(self, instrument_id: int) -> Instrument:
        if instrument_id == 0:
            raise InvalidInput("instrument_id is required", field="instrument_id")
        instrument = self._feed.instruments.get(instrument_id)
        if instrument is None:
            raise NotFound(
                f"there is no instrument {instrument_id}: ListInstruments tells them",
                reason="INSTRUMENT_NOT_FOUND",
                metadata={"instrument_id": instrument_id},
            )
        return instrument

    def _wanted(self, ids: Sequence[int]) -> frozenset[int] | None:
        if len(ids) > MOST_INSTRUMENTS:
            raise InvalidInput(
                f"{len(ids)} instruments: name at most {MOST_INSTRUMENTS}, or none for all",
                field="instrument_ids",
            )
        for at, instrument_id in enumerate(ids):
            if instrument_id == 0:
                raise InvalidInput("0 is no instrument", field=f"instrument_ids[{at}]")
            self._instrument(instrument_id)
        return frozenset(ids) or None


def _depth(depth: int) -> int:
    if not 0 <= depth <= LARGEST_DEPTH:
        raise InvalidInput(
            f"depth is {depth}: give 1 to {LARGEST_DEPTH}, or 0 for {DEFAULT_DEPTH}", field="depth"
        )
    return depth or DEFAULT_DEPTH


def _seconds(seconds: int, field: str) -> int:
    if seconds not in SECONDS:
        raise InvalidInput(f"{field} is {seconds}: give one of {', '.join(map(str, SECONDS))}", field=field)
    return seconds


__all__ = ["SCOPES", "SERVICE", "MarketDataApi"]
