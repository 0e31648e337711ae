"""What everybody may see: instruments, books, trades, candles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime

from smartex.matching.v1 import market_data_pb2 as md
from smartex.matching.v1.types_pb2 import Instrument

from . import model
from .base import PAGE, Face
from .books import LocalBook
from .convert import in_range, to_ms, to_ns
from .errors import InvalidInput
from .subscriptions import Update, subscribe
from .translate import book_of, candle_of, trade_of
from .words import value

SERVICE = "MarketDataService"


class MarketData(Face):
    """Instruments, books, trades and candles, once or as they change."""

    async def instruments(self) -> list[Instrument]:
        """All instruments with their rules, by number."""
        return await self._catalogue.all()

    async def instrument(self, which: str | int) -> Instrument:
        """One instrument by symbol or number. NotFound if there is none."""
        found = await self._catalogue.get(which)
        return await self._catalogue.refreshed(found)

    async def book(self, instrument: str | int, depth: int = 10) -> model.Book:
        """The book now, 1 to 1000 levels a side."""
        found = await self._catalogue.get(instrument)
        request = md.GetBookRequest(instrument_id=found.instrument_id, depth=in_range(depth, "depth", 31))
        answer = await self._connection.read(f"{SERVICE}/GetBook", request, md.GetBookResponse)
        return book_of(found, answer.book)

    async def trades(self, instrument: str | int, limit: int | None = None) -> AsyncIterator[model.Trade]:
        """The trades of an instrument, newest first; `limit` of them at most."""
        found = await self._catalogue.get(instrument)
        request = md.ListTradesRequest(instrument_id=found.instrument_id, page_size=min(limit or PAGE, PAGE))
        left = limit
        while left is None or left > 0:
            page = await self._connection.read(f"{SERVICE}/ListTrades", request, md.ListTradesResponse)
            for trade in page.trades[:left]:
                yield trade_of(found, trade)
            left = None if left is None else left - len(page.trades)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def candles(
        self,
        instrument: str | int,
        seconds: int = 60,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[model.Candle]:
        """Candles of 1, 5, 15, 60, 300, 900, 3600, 14400 or 86400 seconds, newest first."""
        found = await self._catalogue.get(instrument)
        request = md.ListCandlesRequest(
            instrument_id=found.instrument_id,
            interval_seconds=in_range(seconds, "interval", 32),
            page_size=min(limit or PAGE, PAGE),
        )
        if start is not None:
            request.start_time.FromNanoseconds(to_ns(start, "start"))
        if end is not None:
            request.end_time.FromNanoseconds(to_ns(end, "end"))
        left = limit
        while left is None or left > 0:
            page = await self._connection.read(f"{SERVICE}/ListCandles", request, md.ListCandlesResponse)
            for candle in page.candles[:left]:
                yield candle_of(found, candle)
            left = None if left is None else left - len(page.candles)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def subscribe(
        self,
        instruments: Sequence[str | int] | str = (),
        channel: str = "L2",
        *,
        depth: int = 10,
        interval: float = 0.0,
        candle_seconds: int = 60,
        resume_sequence: int = 0,
    ) -> AsyncIterator[Update]:
        """Snapshot and changes as the contract has them (in ticks and lots), over any number of connections.

        `channel`: L1, L2, L3, trades or candles; `interval`: least seconds between two updates of an instrument
        (not L3 and trades). No instruments: all. After a gap that cannot be filled a new snapshot comes, so feed
        everything to a `LocalBook`; trades and L3 resume from the last sequence. So it does when the venue comes back
        from an older backup; a `resume_sequence` ahead of it is refused: InvalidInput, reason RESUME_AHEAD.
        """
        request = await self._subscription(
            instruments, channel, depth, interval, candle_seconds, resume_sequence
        )
        async with aclosing(subscribe(self._connection, request)) as updates:  # type: ignore[type-var]
            async for update in updates:
                yield update

    async def _subscription(
        self,
        instruments: Sequence[str | int] | str,
        channel: str,
        depth: int = 10,
        interval: float = 0.0,
        candle_seconds: int = 60,
        resume_sequence: int = 0,
    ) -> md.SubscribeRequest:
        """The request, checked."""
        wanted = [instruments] if isinstance(instruments, str) else list(instruments)
        number = value(md.Channel, channel, "channel")
        if not number:
            raise InvalidInput("channel is missing: L1, L2, L3, trades or candles", field="channel")
        return md.SubscribeRequest(
            instrument_ids=[(await self._catalogue.get(each)).instrument_id for each in wanted],
            channel=number,  # type: ignore[arg-type]
            depth=in_range(depth, "depth", 31),
            interval_ms=to_ms(interval, "interval"),
            resume_sequence=in_range(resume_sequence, "resume_sequence"),
            candle_seconds=in_range(candle_seconds, "interval", 32) if number == md.CHANNEL_CANDLES else 0,
        )

    async def live_book(
        self, instrument: str | int, depth: int = 10, *, interval: float = 0.0
    ) -> AsyncIterator[model.Book]:
        """The book now and after each change."""
        local = LocalBook(await self._catalogue.get(instrument))
        updates = self.subscribe([instrument], "L2", depth=depth, interval=interval)
        async with aclosing(updates) as changes:  # type: ignore[type-var]
            async for update in changes:
                if isinstance(update, md.BookSnapshot | md.LevelUpdate):
                    local.apply(update)
                    yield local.book(depth)

    async def live_trades(
        self, instruments: Sequence[str | int] | str = (), *, resume_sequence: int = 0
    ) -> AsyncIterator[model.Trade]:
        """Trades as they happen. After a reconnect those that were missed come first.

        A venue that comes back from an older backup goes on from there: numbers of trades come again, of other trades.
        """
        last: dict[int, int] = {}

        def forget() -> None:
            nonlocal resume_sequence
            resume_sequence = 0
            last.clear()

        request = await self._subscription(instruments, "trades", resume_sequence=resume_sequence)
        updates = subscribe(self._connection, request, on_restored=forget)
        async with aclosing(updates) as changes:  # type: ignore[type-var]
            async for update in changes:
                number = update.instrument_id
                found = await self._catalogue.get(number)
                missed: list[model.Trade] = []
                if isinstance(update, md.TradeBatch):
                    missed = [trade_of(found, trade) for trade in update.trades]
                elif number in last or resume_sequence:
                    # The exchange could not resume and starts anew: the history has what lies between.
                    missed = await self._trades_after(number, last.get(number, resume_sequence))
                for trade in missed:
                    if trade.trade_id > last.get(number, 0):
                        last[number] = trade.trade_id
                        yield trade
                last.setdefault(number, update.sequence)

    async def _trades_after(self, number: int, trade_id: int) -> list[model.Trade]:
        """Trades of an instrument after one, oldest first."""
        found: list[model.Trade] = []
        async with aclosing(self.trades(number)) as trades:  # type: ignore[type-var]
            async for trade in trades:
                if trade.trade_id <= trade_id:
                    break
                found.append(trade)
        return found[::-1]
