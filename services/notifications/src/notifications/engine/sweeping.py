"""What a pod that died was sending is taken up again, by the rule of what may have been sent; and late receipts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from smartex_chassis import start_task, stop_tasks
from smartex_store import is_retryable

from notifications.domain.checks import Hold
from notifications.domain.notice import State
from notifications.domain.retry import Verdict, judge
from notifications.domain.sending import Channel, ChannelKind, Failed, Urgency
from notifications.engine import meters
from notifications.engine.preparing import tried
from notifications.engine.recording import Recorder, Result
from notifications.store import receipts
from notifications.store.queue import Ended, Queue

_RECEIPTS_FOR = timedelta(hours=1)
_EVENTS_KEPT = timedelta(days=7)
"""WeChat tells an event again within seconds; what is played again later is refused by its time."""
_RECEIPTS_KEPT = timedelta(days=30)
INTERRUPTED = Failed("INTERRUPTED", maybe_sent=True)
CHANNEL_GONE = "CHANNEL_GONE: it was taken out of the settings"
_PUSHED = tuple(kind for kind in ChannelKind if kind is not ChannelKind.INBOX)
_log = structlog.get_logger("notifications.engine")


class Sweeper:
    """Looks, now and then, for leases that ended; at the start also for what this pod left behind."""

    def __init__(
        self,
        channels: Mapping[ChannelKind, Channel],
        queue: Queue,
        recorder: Recorder,
        *,
        clock: Callable[[], datetime],
        random: Callable[[], float],
        pause: float,
    ) -> None:
        self._channels = channels
        self._queue = queue
        self._recorder = recorder
        self._clock = clock
        self._random = random
        self._pause = pause
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up what this pod was sending before it was restarted, then keep looking."""
        while await self.sweep(mine=True):
            pass
        self._task = start_task(self._run(), "notifications-sweeper")

    async def stop(self) -> None:
        """Look no more."""
        await stop_tasks(self._task)
        self._task = None

    async def sweep(self, *, mine: bool = False) -> int:
        """Take up what was interrupted; returns how many deliveries."""
        now = self._clock()
        async with self._queue.database.transaction() as connection:
            rows = await self._queue.interrupted(connection, list(self._channels), now, mine=mine)
            if rows:
                await self._recorder.write(connection, [self._result(row, now) for row in rows])
        if rows:
            _log.warning("sending_was_interrupted", deliveries=len(rows))
        return len(rows)

    async def end_orphans(self) -> int:
        """End what waits on channels that were taken out of the settings; returns how many deliveries. It goes to the
        reader's next channel, unless it may have been sent and does not press."""
        now, gone = self._clock(), [kind for kind in _PUSHED if kind not in self._channels]
        async with self._queue.database.transaction() as connection:
            rows = await self._queue.orphaned(connection, gone, now)
            sending = [row for row in rows if row["state"] == State.SENDING]
            waiting = [row for row in rows if row["state"] == State.WAITING]
            if sending:
                await self._recorder.write(connection, [_orphan(row) for row in sending])
            await self._queue.hold(connection, [(row["delivery_id"], _last(row, now)) for row in waiting])
            for row in waiting:
                if _last(row, now).state is State.DEAD and _may_move(row):
                    await self._recorder.fall_back(connection, row)
        if rows:
            _log.warning(
                "channels_gone", deliveries=len(rows), channels=sorted({row["channel"] for row in rows})
            )
        return len(rows)

    def _result(self, row: Any, now: datetime) -> Result:
        channel = self._channels[ChannelKind(row["channel"])]
        # The attempt has been counted when it began.
        before = {**dict(row), "tries": row["tries"] - 1}
        verdict = judge(tried(before, channel, now), INTERRUPTED, now, self._random())
        return Result(
            row, Ended(row["delivery_id"], row["attempt"], verdict, INTERRUPTED.reason, maybe_sent=True)
        )

    async def _run(self) -> None:
        while True:
            try:
                await self.sweep()
                await self.end_orphans()
                await self.settle_receipts()
                await self._forget()
                await self._measure()
            except Exception as error:
                if not (is_retryable(error) or isinstance(error, OSError | TimeoutError)):
                    _log.exception("sweeper_stopped_short")
            await asyncio.sleep(self._pause)

    async def settle_receipts(self) -> None:
        """Apply the receipts of the last hour whose attempts were recorded while they came."""
        async with self._queue.database.transaction() as connection:
            waiting = await receipts.late(connection, self._clock() - _RECEIPTS_FOR)
            for channel, ids in waiting.items():
                await self._recorder.apply_receipts(connection, channel, ids)

    async def _forget(self) -> None:
        now = self._clock()
        await receipts.forget(self._queue.database, now - _EVENTS_KEPT, now - _RECEIPTS_KEPT)

    async def _measure(self) -> None:
        rows = await self._queue.database.fetch(
            "SELECT channel, count(*) FROM notifications.deliveries WHERE state = $1 GROUP BY channel",
            int(State.WAITING),
        )
        counts = {row["channel"]: row["count"] for row in rows}
        for kind in self._channels:
            meters.waiting.labels(kind).set(counts.get(kind, 0))


def _orphan(row: Any) -> Result:
    """The end of what was being sent when the pod that had the channel fell silent."""
    verdict = Verdict(State.DEAD, f"MAYBE_SENT, {CHANNEL_GONE}", fall_back=row["urgency"] >= Urgency.HIGH)
    if row["replaced_by"]:
        verdict = Verdict(State.SUPERSEDED, row["replaced_by"])
    return Result(
        row, Ended(row["delivery_id"], row["attempt"], verdict, INTERRUPTED.reason, maybe_sent=True)
    )


def _last(row: Any, now: datetime) -> Hold:
    """The end of what waited."""
    if row["expire_time"] <= now:
        return Hold(State.EXPIRED, "EXPIRED before it could be sent")
    return Hold(State.DEAD, CHANNEL_GONE)


def _may_move(row: Any) -> bool:
    return not row["maybe_sent"] or row["urgency"] >= Urgency.HIGH
