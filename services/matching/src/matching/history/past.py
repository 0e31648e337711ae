"""Trades and candles of the history, for the market data."""

from __future__ import annotations

from smartex_store import Database

from matching.sources import Bar, PastTrade

_LARGEST = 2**63 - 1


class HistoryPast:
    """`matching.marketdata.Past` on the tables. Position and rows are of one moment."""

    def __init__(self, database: Database, shard: int) -> None:
        self._database = database
        self._shard = shard

    async def trades(self, instrument_id: int, before: int | None, limit: int) -> tuple[int, list[PastTrade]]:
        """Newest first, numbers below `before`."""
        async with self._database.transaction(isolation="repeatable_read", readonly=True) as connection:
            position = await connection.fetchval(
                "SELECT sequence FROM matching.projection WHERE shard = $1", self._shard
            )
            found = await connection.fetch(
                """
                SELECT sequence, time_ns, price_ticks, quantity_lots, taker_side,
                       maker_order_id, taker_order_id
                  FROM matching.trades
                 WHERE instrument_id = $1 AND sequence < $2
                 ORDER BY sequence DESC LIMIT $3
                """,
                instrument_id,
                _LARGEST if before is None else before,
                limit,
            )
        return position or 0, [
            PastTrade(
                row["sequence"],
                row["time_ns"],
                row["price_ticks"],
                row["quantity_lots"],
                row["taker_side"],
                row["maker_order_id"],
                row["taker_order_id"],
            )
            for row in found
        ]

    async def candles(
        self, instrument_id: int, seconds: int, start_ns: int | None, end_ns: int | None, limit: int
    ) -> tuple[int, list[Bar]]:
        """Newest first, `start_ns` ≤ start < `end_ns`."""
        async with self._database.transaction(isolation="repeatable_read", readonly=True) as connection:
            position = await connection.fetchval(
                "SELECT sequence FROM matching.projection WHERE shard = $1", self._shard
            )
            found = await connection.fetch(
                """
                SELECT * FROM matching.candles
                 WHERE instrument_id = $1 AND seconds = $2 AND start_ns >= $3 AND start_ns < $4
                 ORDER BY start_ns DESC LIMIT $5
                """,
                instrument_id,
                seconds,
                start_ns or 0,
                _LARGEST if end_ns is None else end_ns,
                limit,
            )
        return position or 0, [
            Bar(
                row["start_ns"],
                row["open_ticks"],
                row["high_ticks"],
                row["low_ticks"],
                row["close_ticks"],
                int(row["volume_lots"]),
                int(row["value"]),
                row["trade_count"],
                row["sequence"],
            )
            for row in found
        ]
