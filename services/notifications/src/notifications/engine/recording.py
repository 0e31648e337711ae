"""What became of attempts, written many at a time, and what follows from it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from smartex_chassis import start_task, stop_tasks
from smartex_store import Connection, is_retryable

from notifications.domain.decide import by_channel
from notifications.domain.fallback import Next, next_channel
from notifications.domain.notice import State
from notifications.domain.sending import ChannelKind, Urgency
from notifications.store import addresses, deliveries, notices, receipts
from notifications.store.queue import Ended, Queue, Told

MOST_WAITING = 10_000
_BATCH = 500
_GATHER_SECONDS = 0.02
"""How long the first result waits for others: a transaction costs the same for many."""
_RETRY_SECONDS = 0.5

_log = structlog.get_logger("notifications.engine")


@dataclass(frozen=True)
class Result:
    """An attempt that has ended, and the delivery it was of."""

    row: Any
    ended: Ended


class Recorder:
    """Writes results in the order in which they come. `usable` are the channels that work now."""

    def __init__(
        self, queue: Queue, usable: Callable[[], frozenset[ChannelKind]], clock: Callable[[], datetime]
    ) -> None:
        self._queue = queue
        self._usable = usable
        self._clock = clock
        self._results: asyncio.Queue[Result] = asyncio.Queue(MOST_WAITING)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to write."""
        self._task = start_task(self._run(), "notifications-recorder")

    async def stop(self, within: float = 10.0) -> None:
        """Write what is left, and stop. What cannot be written counts as perhaps sent after the next start."""
        if self._task is None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._results.join(), within)
        await stop_tasks(self._task)
        self._task = None

    async def add(self, result: Result) -> None:
        """Give a result to be written; waits while too many do."""
        await self._results.put(result)

    async def write(self, connection: Connection, results: Sequence[Result]) -> None:
        """Write results within a transaction, and what follows from them."""
        now = self._clock()
        told = await self._queue.end(connection, [result.ended for result in results])
        for result in results:
            one = told.get(result.ended.delivery_id)
            if one is not None and _has_sequel(result):
                await self._follow(connection, result, State(one.state), now)
        await self._apply_all(connection, _received(results, told))

    async def _write_alone(self, results: Sequence[Result]) -> None:
        if any(_has_sequel(result) for result in results):
            async with self._queue.database.transaction() as connection:
                await self.write(connection, results)
            return
        # The one statement is a transaction of its own. If a crash comes before the receipts, the sweeper finds them.
        async with self._queue.database.acquire() as connection:
            told = await self._queue.end(connection, [result.ended for result in results])
        received = _received(results, told)
        if received:
            async with self._queue.database.transaction() as connection:
                await self._apply_all(connection, received)

    async def divert(self, connection: Connection, rows: Sequence[Any], reason: str) -> int:
        """Send on other channels what presses and cannot go out on its own; returns how many could."""
        moved = 0
        for row in rows:
            if await self._next(connection, row) is None:
                continue
            await self._close(connection, row["delivery_id"], reason)
            moved += await self.fall_back(connection, row)
        return moved

    async def fall_back(self, connection: Connection, row: Any) -> bool:
        """Send a delivery's notice on the next channel, unless it is still on its way to another address."""
        found = await self._next(connection, row)
        if found is None:
            return False
        now = self._clock()
        made = [_fallback_row(row, found, target.address_id, now) for target in found.targets]
        await deliveries.insert(connection, made, now)
        await connection.execute(
            "UPDATE notifications.deliveries SET state_reason = state_reason || $2 WHERE delivery_id = $1",
            row["delivery_id"],
            f"; then on {found.channel}",
        )
        await notices.tell(connection, due=True)
        return True

    async def _next(self, connection: Connection, row: Any) -> Next | None:
        if not row["fallback"]:
            return None
        if await self._queue.has_siblings(connection, row["notice_id"], row["delivery_id"]):
            return None
        targets = (await addresses.targets(connection, [row["account_id"]])).get(row["account_id"], [])
        fallback = [ChannelKind(name) for name in row["fallback"]]
        return next_channel(fallback, by_channel(targets), self._usable())

    async def _close(self, connection: Connection, delivery_id: str, reason: str) -> None:
        await connection.execute(
            "UPDATE notifications.deliveries SET state = 8, state_reason = $2 WHERE delivery_id = $1",
            delivery_id,
            reason,
        )

    async def _follow(self, connection: Connection, result: Result, state: State, now: datetime) -> None:
        verdict = result.ended.verdict
        if verdict.remove_address:
            await addresses.remove(connection, [result.row["address_id"]], verdict.reason, now)
        if verdict.fall_back and state is State.DEAD:
            for row in await self._queue.members_of(connection, result.row["delivery_id"]):
                if row["state"] == State.DEAD:
                    await self.fall_back(connection, row)

    async def _apply_all(self, connection: Connection, received: Mapping[ChannelKind, list[str]]) -> None:
        for channel, ids in received.items():
            await self.apply_receipts(connection, channel, ids)

    async def apply_receipts(self, connection: Connection, channel: ChannelKind, ids: list[str]) -> None:
        """Apply receipts that are kept; what did not arrive goes to the next channel."""
        for row in await receipts.apply(connection, channel, ids):
            if not row["delivered"]:
                for member in await self._queue.members_of(connection, row["delivery_id"]):
                    await self.fall_back(connection, member)

    async def _run(self) -> None:
        while True:
            results = [await self._results.get()]
            await asyncio.sleep(_GATHER_SECONDS)
            while len(results) < _BATCH and not self._results.empty():
                results.append(self._results.get_nowait())
            await self._write_surely(results)
            for _ in results:
                self._results.task_done()

    async def _write_surely(self, results: list[Result]) -> None:
        """Write, however long the database is away; of what cannot be written only that is left out."""
        while True:
            try:
                await self._write_alone(results)
                return
            except Exception as error:
                if not _passes(error):
                    if len(results) == 1:
                        _log.exception("result_not_written", delivery=results[0].ended.delivery_id)
                        return
                    for result in results:
                        await self._write_surely([result])
                    return
                _log.warning("results_wait", why=str(error), results=len(results))
                await asyncio.sleep(_RETRY_SECONDS)


def _has_sequel(result: Result) -> bool:
    """Whether more is to be written with the verdict."""
    return result.ended.verdict.remove_address or result.ended.verdict.fall_back


def _received(results: Sequence[Result], told: Mapping[str, Told]) -> dict[ChannelKind, list[str]]:
    """The providers' ids of which there are receipts, by channel."""
    received: dict[ChannelKind, list[str]] = {}
    for result in results:
        one = told.get(result.ended.delivery_id)
        if one is not None and one.has_receipt:
            received.setdefault(ChannelKind(result.row["channel"]), []).append(result.ended.provider_id)
    return received


def _passes(error: Exception) -> bool:
    return is_retryable(error) or isinstance(error, OSError | TimeoutError)


def _fallback_row(row: Any, found: Next, address_id: str, now: datetime) -> deliveries.Row:
    return deliveries.Row(
        deliveries.delivery_id(row["notice_id"], found.channel, address_id),
        row["notice_id"],
        row["account_id"],
        found.channel,
        address_id,
        row["kind"],
        Urgency(row["urgency"]),
        State.WAITING,
        f"FALLBACK from {row['channel']}",
        now,
        row["expire_time"],
        row["supersede_key"],
        row["gathered"],
        direct=False,
        fallback=found.fallback,
        trace_id=row["trace_id"],
    )
