"""SQL of the projection: one transaction for rows and position, fenced by the holder's epoch."""

from __future__ import annotations

from dataclasses import dataclass

from smartex_store import Connection, Database

from matching.history import copying
from matching.history.rows import Batch
from matching.sources import Rows

SCHEMA = "matching"

_TAKE = """
    UPDATE matching.projection
       SET holder = $2, epoch = epoch + 1, lease_until = now() + make_interval(secs => $3)
     WHERE shard = $1 AND lease_until < now()
 RETURNING epoch, sequence, next_offset
"""
_MOVE = """
    UPDATE matching.projection
       SET sequence = $3, next_offset = $4, lease_until = now() + make_interval(secs => $5)
     WHERE shard = $1 AND epoch = $2
"""
_CHANGE_ORDERS = """
    UPDATE matching.orders o
       SET sequence = c.sequence,
           update_time_ns = c.update_time_ns,
           price_ticks = CASE WHEN c.terms THEN c.price_ticks ELSE o.price_ticks END,
           quantity_lots = c.quantity_lots + CASE WHEN c.terms THEN 0 ELSE o.quantity_lots END,
           leaves_lots = c.leaves_lots,
           executed_lots = o.executed_lots + c.executed_lots,
           executed_value = least(9223372036854775807, o.executed_value::numeric + c.executed_value)::bigint,
           fees_micros = o.fees_micros + c.fees_micros,
           status = CASE WHEN c.status = 1 AND o.executed_lots > 0 THEN 2 ELSE c.status END,
           reason = c.reason,
           open = c.open
      FROM order_changes c
     WHERE o.order_id = c.order_id AND o.order_id > 0 AND o.shard = $1
"""
_MERGE_CANDLES = """
    INSERT INTO matching.candles AS k
         (instrument_id, seconds, start_ns, open_ticks, high_ticks, low_ticks, close_ticks, volume_lots,
          value, trade_count, sequence)
    SELECT instrument_id, seconds, start_ns, open_ticks, high_ticks, low_ticks, close_ticks, volume_lots,
           value, trade_count, sequence
      FROM new_candles
        ON CONFLICT (instrument_id, seconds, start_ns) DO UPDATE
       SET high_ticks = greatest(k.high_ticks, excluded.high_ticks),
           low_ticks = least(k.low_ticks, excluded.low_ticks),
           close_ticks = excluded.close_ticks,
           volume_lots = k.volume_lots + excluded.volume_lots,
           value = k.value + excluded.value,
           trade_count = k.trade_count + excluded.trade_count,
           sequence = excluded.sequence
"""


class LeaseLost(Exception):  # noqa: N818 - it is an end, not a fault
    """Another pod has taken the projection over; what was not committed is void."""


@dataclass(frozen=True)
class Position:
    """Where the projection stands, and the epoch that may move it."""

    epoch: int
    sequence: int
    next_offset: int


class ProjectionStore:
    """The tables of one shard, as the projector sees them."""

    def __init__(self, database: Database, shard: int, holder: str, lease_seconds: float) -> None:
        self._database = database
        self._shard = shard
        self._holder = holder
        self._lease = lease_seconds

    async def take(self) -> Position | None:
        """Become the holder if nobody is; None if somebody else is at work."""
        await self._database.execute(
            "INSERT INTO matching.projection (shard) VALUES ($1) ON CONFLICT DO NOTHING", self._shard
        )
        row = await self._database.fetchrow(_TAKE, self._shard, self._holder, self._lease)
        return None if row is None else Position(row["epoch"], row["sequence"], row["next_offset"])

    async def extend(self, position: Position) -> None:
        """Stay the holder for another lease. LeaseLost if it has passed to another."""
        async with self._database.transaction() as connection:
            await self._move(connection, position, position)

    async def release(self, position: Position) -> None:
        """Let another pod take over at once."""
        await self._database.execute(
            "UPDATE matching.projection SET lease_until = '-infinity' WHERE shard = $1 AND epoch = $2",
            self._shard,
            position.epoch,
        )

    async def write(self, batch: Batch | None, old: Position, new: Position) -> None:
        """Write the rows and the position together, or nothing. LeaseLost if another pod has taken over."""
        async with self._database.transaction() as connection:
            # A pod that is stopped here must not keep its row locks for long: another is waiting for them.
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '5s'")
            # First, so that a pod that lost its lease stops before it writes, and two never write at once.
            await self._move(connection, old, new)
            if batch is not None:
                await self._write_rows(connection, batch)

    async def _move(self, connection: Connection, old: Position, new: Position) -> None:
        done = await connection.execute(
            _MOVE, self._shard, old.epoch, new.sequence, new.next_offset, self._lease
        )
        if done != "UPDATE 1":
            raise LeaseLost

    async def _write_rows(self, connection: Connection, batch: Batch) -> None:
        await _copy(connection, "orders", batch.orders, schema=SCHEMA)
        await _copy(connection, "trades", batch.trades, schema=SCHEMA)
        await _copy(connection, "transfers", batch.transfers, schema=SCHEMA)
        if len(batch.changes):
            await _stage(connection, "order_changes", batch.changes)
            await connection.execute(_CHANGE_ORDERS, self._shard)
        if len(batch.candles):
            await _stage(connection, "new_candles", batch.candles)
            await connection.execute(_MERGE_CANDLES)


async def _stage(connection: Connection, table: str, rows: Rows) -> None:
    """Put rows into a temporary table that is empty again after the transaction."""
    # It stays with the connection: to make one each time would fill PostgreSQL's own catalogue with the dead.
    await connection.execute(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ({copying.definition(rows.dtype)}) ON COMMIT DELETE ROWS"
    )
    await _copy(connection, table, rows)


async def _copy(connection: Connection, table: str, rows: Rows, schema: str | None = None) -> None:
    if len(rows):
        await connection.copy_to_table(
            table,
            schema_name=schema,
            source=copying.payload(rows),
            columns=copying.columns(rows.dtype),
            format="binary",
        )
