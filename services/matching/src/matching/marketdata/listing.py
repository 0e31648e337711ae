"""Lists of trades and candles: the kept ones of this pod put before those of the history."""

from __future__ import annotations

from matching.marketdata.candles import bars, joined
from matching.marketdata.feed import Feed
from matching.sources import Bar, Past, PastTrade, Rows


class Listing:
    """Newest first, complete up to the market's last event."""

    def __init__(self, feed: Feed, past: Past) -> None:
        self._feed = feed
        self._past = past

    async def trades(self, instrument_id: int, before: int | None, limit: int) -> list[PastTrade]:
        """Trades with numbers below `before`."""
        position, older = await self._past.trades(instrument_id, before, limit)
        rows = self._feed.trades_after(instrument_id, position)
        if rows is None:
            return older  # the history is so far behind that there is a gap; it closes by itself
        if before is not None:
            rows = rows[rows["sequence"] < before]
        return ([_trade(row) for row in rows[-limit:][::-1]] + older)[:limit]

    async def candles(
        self, instrument_id: int, seconds: int, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Bar]:
        """Candles with `start_ns` ≤ start < `end_ns`."""
        position, older = await self._past.candles(instrument_id, seconds, start_ns, end_ns, limit)
        rows = self._feed.trades_after(instrument_id, position)
        newer = bars(rows, seconds) if rows is not None else []
        return _newest(joined(older, [bar for bar in newer if _within(bar, start_ns, end_ns)]), limit)

    async def ensure_boards(self, wanted: frozenset[int] | None, seconds: int) -> None:
        """Open the boards that a subscription to candles needs, those of instruments that come meanwhile too."""
        while missing := [
            each for each in self._feed.ids_of(wanted) if not self._feed.has_board(each, seconds)
        ]:
            for instrument_id in missing:
                position, newest = await self._past.candles(instrument_id, seconds, None, None, 1)
                if not self._feed.has_board(instrument_id, seconds):
                    self._feed.open_board(instrument_id, seconds, position, newest)


def _within(bar: Bar, start_ns: int | None, end_ns: int | None) -> bool:
    return (start_ns is None or bar.start_ns >= start_ns) and (end_ns is None or bar.start_ns < end_ns)


def _newest(ascending: list[Bar], limit: int) -> list[Bar]:
    return ascending[::-1][:limit]


def _trade(row: Rows) -> PastTrade:
    return PastTrade(
        trade_id=int(row["sequence"]),
        time_ns=int(row["time_ns"]),
        price_ticks=int(row["price_ticks"]),
        quantity_lots=int(row["quantity_lots"]),
        taker_side=int(row["side"]),
        maker_order_id=int(row["maker_order_id"]),
        taker_order_id=int(row["taker_order_id"]),
    )
