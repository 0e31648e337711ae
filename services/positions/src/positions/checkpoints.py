"""Checkpoints: the whole book, kept every so many events, so that its past need not be folded from the beginning."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import structlog
from smartex_chassis import histogram, start_task, stop_tasks
from smartex_store import Connection, Database

from positions.domain.book.changes import Rows
from positions.domain.book.packing import Unreadable, pack, unpack
from positions.intake import Snapshot
from positions.store import LeaseLost

_log = structlog.get_logger("positions.checkpoints")
_size = histogram(
    "positions_checkpoint_bytes", "Size of a checkpoint of the book", buckets=(1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
)
_PART_BYTES = 4 << 20

_PUT = "INSERT INTO positions.checkpoints VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING"
_PUT_PART = "INSERT INTO positions.checkpoint_parts VALUES ($1, $2, $3, $4)"
_HOLDS = "SELECT true FROM positions.projection WHERE shard = $1 AND epoch = $2"
_KEPT = "SELECT sequence FROM positions.checkpoints WHERE shard = $1 AND layout = $2 ORDER BY sequence"
_DROP = """
    DELETE FROM positions.checkpoints WHERE shard = $1 AND (layout <> $2 OR sequence = ANY($3::bigint[]))
"""
_NEWEST = """
    SELECT * FROM positions.checkpoints
     WHERE shard = $1 AND layout = $2 AND sequence <= $3 AND time_ns <= $4 ORDER BY sequence DESC LIMIT 1
"""
_PARTS = """
    SELECT body FROM positions.checkpoint_parts WHERE shard = $1 AND sequence = $2 ORDER BY part
"""


class Checkpoints:
    """The tables of checkpoints. `layout` is what their bytes depend on (`packing.layout`), `most` how many stay."""

    def __init__(self, database: Database, shard: int, layout: str, most: int) -> None:
        self._database = database
        self._shard = shard
        self._layout = layout
        self._most = most

    async def write(self, epoch: int, snapshot: Snapshot, body: bytes) -> None:
        """Keep a book in one transaction, and drop what is too much. LeaseLost if another pod writes the book now."""
        sequence, time_ns = snapshot.sequence, int(snapshot.rows.header["time_ns"])
        async with self._database.transaction() as connection:
            put = (self._shard, sequence, time_ns, snapshot.next_offset, self._layout, _checksum(body))
            if await connection.execute(_PUT, *put) == "INSERT 0 1":
                await self._put_parts(connection, sequence, body)
            await self._thin(connection)
            # Last: whoever empties the tables moves the epoch first and then waits for this transaction.
            if await connection.fetchval(_HOLDS, self._shard, epoch) is None:
                raise LeaseLost

    async def _put_parts(self, connection: Connection, sequence: int, body: bytes) -> None:
        for part, begin in enumerate(range(0, len(body), _PART_BYTES)):
            await connection.execute(
                _PUT_PART, self._shard, sequence, part, body[begin : begin + _PART_BYTES]
            )

    async def _thin(self, connection: Connection) -> None:
        drop = superfluous(await self._sequences(connection), self._most)
        await connection.execute(_DROP, self._shard, self._layout, drop)

    async def _sequences(self, connection: Connection) -> list[int]:
        return [row["sequence"] for row in await connection.fetch(_KEPT, self._shard, self._layout)]

    async def newest(self) -> int:
        """Sequence of the newest; 0 if there is none."""
        async with self._database.transaction(readonly=True) as connection:
            return max(await self._sequences(connection), default=0)

    async def before(self, sequence: int, time_ns: int) -> Snapshot | None:
        """The newest sound one that is not after both; damaged ones are passed over."""
        while True:
            row = await self._database.fetchrow(_NEWEST, self._shard, self._layout, sequence, time_ns)
            if row is None:
                return None
            parts = await self._database.fetch(_PARTS, self._shard, row["sequence"])
            try:
                rows = await asyncio.to_thread(_read, [part["body"] for part in parts], row["checksum"])
                return Snapshot(rows, row["next_offset"])
            except Unreadable as error:
                _log.warning("checkpoint_damaged", sequence=row["sequence"], why=str(error))
            sequence = row["sequence"] - 1


class Keeper:
    """Keeps a checkpoint every `every` events, beside the fold: what it costs the fold is a copy of the tables."""

    def __init__(self, checkpoints: Checkpoints, every: int) -> None:
        self._checkpoints = checkpoints
        self._every = every
        self._newest = 0
        self._task: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Go on after the newest that is kept."""
        self._newest = await self._checkpoints.newest()

    def due(self, sequence: int) -> bool:
        """Whether a checkpoint is to be kept of a book at this event. Never two at once."""
        idle = self._task is None or self._task.done()
        return idle and sequence - self._newest >= self._every

    def keep(self, epoch: int, snapshot: Snapshot) -> None:
        """Begin to keep a copy of the book."""
        self._newest = snapshot.sequence
        self._task = start_task(self._keep(epoch, snapshot), "positions-checkpoint")

    async def _keep(self, epoch: int, snapshot: Snapshot) -> None:
        try:
            body = await asyncio.to_thread(pack, snapshot.rows)
            await self._checkpoints.write(epoch, snapshot, body)
        except LeaseLost:
            return
        except Exception as error:
            # One that is missing makes answers slower and no more; the next comes in time.
            _log.warning("checkpoint_failed", sequence=self._newest, why=repr(error))
            return
        _size.observe(len(body))
        _log.info("checkpoint_kept", sequence=self._newest, bytes=len(body))

    async def start(self) -> None:
        """Nothing runs before the first is due."""

    async def stop(self) -> None:
        """Let go of what is under way: a transaction that was not committed leaves nothing."""
        await stop_tasks(self._task)


def superfluous(sequences: Sequence[int], most: int) -> list[int]:
    """Which of the ascending checkpoints to drop so that `most` stay: again and again the one that leaves the smallest
    gap, the oldest of these first; never the newest. So gaps between old ones grow evenly."""
    kept = list(sequences)
    while len(kept) > max(1, most):
        gaps = [after - before for before, after in zip([0, *kept], kept[1:], strict=False)]
        del kept[gaps.index(min(gaps))]
    return sorted(set(sequences) - set(kept))


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=32).digest()


def _read(parts: Sequence[bytes], checksum: bytes) -> Rows:
    body = b"".join(parts)
    if _checksum(body) != checksum:
        raise Unreadable("its checksum is another")
    return unpack(body)
