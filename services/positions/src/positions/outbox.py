"""Notices on their way to the bus: written in the transaction of what they tell, appended afterwards.

A crash between append and delete appends a notice again; its id is the same, and readers drop repeats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import structlog
from smartex.notifications.v1.notice_pb2 import Notice
from smartex_bus import Appender, Bus, BusError, Record, Topic
from smartex_chassis import counter, gauge, set_within, start_task, stop_tasks
from smartex_store import Connection, Database, StoreError

NOTICES_TOPIC = "notifications.notices.v1"

_BATCH = 500
_IDLE_SECONDS = 2.0
_RETRY_SECONDS = 0.5

_log = structlog.get_logger("positions.outbox")
_relayed = counter("positions_notices_total", "Notices appended to the bus")
_waiting = gauge("positions_outbox_records", "Notices that waited for the bus when it was last looked at")


async def put(connection: Connection, notices: Iterable[Notice]) -> None:
    """Add notices in the transaction of what they tell."""
    rows = [(notice.account_id, notice.SerializeToString()) for notice in notices]
    if rows:
        await connection.executemany(
            "INSERT INTO positions.outbox (account_id, notice) VALUES ($1, $2)", rows
        )


class Relay:
    """Moves notices from the table to the bus, oldest first. Several pods may run one."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._appender: Appender | None = None

    async def start(self) -> None:
        """Begin to relay."""
        await self._bus.ensure_topics(Topic(NOTICES_TOPIC))
        self._task = start_task(self._run(), "positions-outbox")

    async def stop(self) -> None:
        """Stop; what is left goes out after the next start."""
        await stop_tasks(self._task)
        self._task = None
        await self._let_go()

    def wake(self) -> None:
        """Say that something was committed."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                while await self.relay():
                    pass
            except (BusError, StoreError, OSError) as error:
                _log.warning("outbox_waits", why=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            except Exception:
                _log.exception("outbox_stopped_short")
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            await set_within(self._wake, _IDLE_SECONDS)

    async def relay(self) -> int:
        """Move one batch; returns how many notices it held."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(
                """
                SELECT number, account_id, notice FROM positions.outbox
                 ORDER BY number LIMIT $1 FOR UPDATE SKIP LOCKED
                """,
                _BATCH,
            )
            _waiting.set(len(rows))
            if not rows:
                return 0
            await self._append([Record(row["notice"], key=str(row["account_id"]).encode()) for row in rows])
            await connection.execute(
                "DELETE FROM positions.outbox WHERE number = ANY($1::bigint[])",
                [row["number"] for row in rows],
            )
        _relayed.inc(len(rows))
        return len(rows)

    async def _append(self, records: Sequence[Record]) -> None:
        """Over one appender for all batches, since each holds a connection; after a failure, over a new one.

        An append whose outcome is unknown is repeated with the batch: a notice that comes twice counts once.
        """
        if self._appender is None:
            self._appender = self._bus.appender(NOTICES_TOPIC)
        try:
            await self._appender.append(*records)
        except BusError:
            await self._let_go()
            raise

    async def _let_go(self) -> None:
        appender, self._appender = self._appender, None
        if appender is not None:
            await appender.close(drain=False)
