"""A channel's lane: claims what is due, the most urgent first, and sends it, so many at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from smartex_chassis import set_within, start_task, stop_tasks
from smartex_store import Connection, is_retryable

from notifications.domain.breaker import OPEN, Breaker, counts
from notifications.domain.checks import Hold
from notifications.domain.rate import Pace
from notifications.domain.retry import judge
from notifications.domain.sending import AddressGone, Channel, Failed, Outcome, Refused, Sent
from notifications.engine import meters
from notifications.engine.preparing import Preparer, Ready
from notifications.engine.recording import Recorder, Result
from notifications.store.queue import Ended, Queue

_POLL_SECONDS = 1.0
_RETRY_SECONDS = 0.5

_log = structlog.get_logger("notifications.engine")


class Lane:
    """One channel of this pod. The breaker is the pod's own: it knows what this pod can reach."""

    def __init__(
        self,
        channel: Channel,
        queue: Queue,
        preparer: Preparer,
        recorder: Recorder,
        *,
        clock: Callable[[], datetime],
        random: Callable[[], float],
        max_sending: int,
        time_limit: float,
    ) -> None:
        self.channel = channel
        self.breaker = Breaker()
        self._queue = queue
        self._preparer = preparer
        self._recorder = recorder
        self._clock = clock
        self._random = random
        self._max_sending = max_sending
        self._time_limit = time_limit
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to send."""
        self._task = start_task(self._run(), f"notifications-{self.channel.kind}")

    async def stop(self, within: float) -> None:
        """Claim no more; let what is on its way end, so many seconds, then cut it."""
        await stop_tasks(self._task)
        self._task = None
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=within)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def wake(self) -> None:
        """Say that something may be due."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                more = await self._fill()
            except Exception as error:
                if is_retryable(error) or isinstance(error, OSError | TimeoutError):
                    _log.warning("lane_waits", channel=self.channel.kind, why=str(error))
                else:
                    _log.exception("lane_stopped_short", channel=self.channel.kind)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if not more:
                await set_within(self._wake, _POLL_SECONDS)

    async def _fill(self) -> bool:
        """Begin as much as there is room for; True if there is more to do at once."""
        now = self._clock()
        meters.resting.labels(self.channel.kind).set(self.breaker.state(now) == OPEN)
        if self.breaker.state(now) == OPEN:
            return await self._divert(now)
        room = self.breaker.room(now, self._max_sending - len(self._sending))
        if room <= 0:
            return False
        async with self._queue.database.acquire() as connection:
            async with connection.transaction():
                claimed, ready = await self._claim(connection, room, now)
            # Before the connection is given back, which takes a statement more.
            self._begin_sending(ready, now)
        return claimed == room and len(self._sending) < self._max_sending

    def _begin_sending(self, ready: Sequence[Ready], now: datetime) -> None:
        for one in ready:
            self.breaker.began(now)
            task = asyncio.create_task(self._send(one))
            self._sending.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        # A claim costs several statements whatever it brings: wait until there is room for many.
        if len(self._sending) <= self._max_sending // 2:
            self._wake.set()

    async def _claim(self, connection: Connection, room: int, now: datetime) -> tuple[int, list[Ready]]:
        """How many were due, and those that can be sent: their attempts are written."""
        rows = await self._queue.due(connection, self.channel.kind, room, now)
        held, passed = self._sorted(rows, now)
        await self._queue.hold(connection, held)  # before digests gather what may be sent
        members = await self._gathered(connection, passed, now)
        behind = {one["delivery_id"] for listed in members.values() for one in listed}
        own = [row for row in passed if row["delivery_id"] not in behind]
        made = [
            (row, self._preparer.ready(row, members.get(row["delivery_id"], []), self.channel, now))
            for row in own
        ]
        await self._queue.hold(
            connection, [(row["delivery_id"], one) for row, one in made if isinstance(one, Hold)]
        )
        ready = [one for _, one in made if isinstance(one, Ready)]
        await self._begin(connection, ready, members, now)
        return len(rows), ready

    async def _gathered(
        self, connection: Connection, passed: Sequence[Any], now: datetime
    ) -> dict[str, list[Any]]:
        """What each digest lists beside its lead, by lead."""
        leads = [row for row in passed if row["gathered"]]
        if not leads:
            return {}
        await self._queue.gather(connection, list(_leads(leads).values()), now)
        ids = [row["delivery_id"] for row in leads]
        members: dict[str, list[Any]] = {}
        for row in await self._queue.members(connection, ids, now):
            members.setdefault(row["digest_of"], []).append(row)
        return members

    async def _begin(
        self,
        connection: Connection,
        ready: Sequence[Ready],
        members: Mapping[str, Sequence[Any]],
        now: datetime,
    ) -> None:
        begun = [one.row["delivery_id"] for one in ready]
        carried = [one["delivery_id"] for lead in begun for one in members.get(lead, ())]
        await self._queue.begin(connection, begun, carried, now)

    def _sorted(self, rows: Sequence[Any], now: datetime) -> tuple[list[tuple[str, Hold]], list[Any]]:
        """What is held, and what may be sent: each message uses up some of its reader's hour."""
        paces: dict[int, Pace] = {}
        held: list[tuple[str, Hold]] = []
        passed: list[Any] = []
        for row in rows:
            before = Pace(row["sent_count"] or 0, row["sent_first_time"])
            pace = paces.get(row["account_id"], before)
            hold = self._preparer.hold(row, pace, self.channel, now)
            if hold is not None:
                held.append((row["delivery_id"], hold))
            else:
                passed.append(row)
                paces[row["account_id"]] = pace.with_one_more(now)
        return held, passed

    async def _divert(self, now: datetime) -> bool:
        """While the channel rests, send on others what presses."""
        async with self._queue.database.transaction() as connection:
            rows = await self._queue.diverted(connection, self.channel.kind, self._max_sending, now)
            moved = await self._recorder.divert(connection, rows, "CHANNEL_RESTING after failures")
        return moved > 0

    async def _send(self, ready: Ready) -> None:
        began = time.monotonic()
        row = ready.row
        attributes = {"channel": str(self.channel.kind), "delivery_id": row["delivery_id"]}
        with meters.tracer.start_as_current_span(
            "notifications.send",
            context=meters.chain(row["trace_id"], row["delivery_id"]),
            attributes=attributes,
        ) as span:
            outcome = await self._outcome(ready)
            span.set_attribute("outcome", outcome_text(outcome))
        seconds, now = time.monotonic() - began, self._clock()
        if counts(self.channel.kind, outcome):
            self.breaker.ended(outcome, now)
        meters.count(self.channel.kind, outcome, seconds, row, now)
        await self._recorder.add(Result(row, self._ended_attempt(ready, outcome, seconds, now)))

    async def _outcome(self, ready: Ready) -> Outcome:
        try:
            async with asyncio.timeout(self._time_limit):
                return await self.channel.send(ready.address, ready.message)
        except TimeoutError:
            return Failed("TIME_LIMIT", maybe_sent=True)
        except Exception as error:
            # A channel does not raise for what a provider does: this is a bug of ours.
            _log.exception("channel_failed", channel=self.channel.kind)
            return Failed(f"CHANNEL_ERROR {type(error).__name__}", maybe_sent=True)

    def _ended_attempt(self, ready: Ready, outcome: Outcome, seconds: float, now: datetime) -> Ended:
        return Ended(
            ready.row["delivery_id"],
            ready.attempt,
            judge(ready.tried, outcome, now, self._random()),
            outcome_text(outcome),
            outcome.provider_id if isinstance(outcome, Sent) else "",
            isinstance(outcome, Failed) and outcome.maybe_sent,
            round(seconds * 1000),
        )


def outcome_text(outcome: Outcome) -> str:
    """Return what came of an attempt: `SENT`, or the reason."""
    match outcome:
        case Sent():
            return "SENT"
        case Failed(reason) | Refused(reason) | AddressGone(reason):
            return reason[:200]


def _leads(rows: Sequence[Any]) -> dict[str, Any]:
    """The first of each address among what waits for a digest and was not tried yet, by address."""
    leads: dict[str, Any] = {}
    for row in rows:
        if row["gathered"] and not row["tries"]:
            leads.setdefault(row["address_id"], row)
    return leads
