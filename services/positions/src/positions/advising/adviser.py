"""The adviser: looks for advice whenever an alert was raised or got worse, and reviews accounts now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import asyncpg
import structlog
from smartex_chassis import set_within, start_task, stop_tasks
from smartex_store import StoreError

from positions.advising.giving import DAY_NS, Cause, Giving
from positions.advising.rules import Rules
from positions.advising.store import Pauses
from positions.alerting.store import AlertStore
from positions.domain.advice import Account, Draft, Waiting, habit_advice, waiting_for
from positions.domain.habits import Habit

_log = structlog.get_logger("positions.advising")

_BATCH = 100
_IDLE_SECONDS = 5.0
_RETRY_SECONDS = 1.0
_FOLLOWED_NS = 600 * 10**9
"""So long after it was accepted the same is not said again: its orders are on their way."""


@dataclass(frozen=True)
class Lifetimes:
    """For how long advice holds, and rests after it was dismissed."""

    alert_ns: int
    review_ns: int
    cooldown_ns: int


class Adviser:
    """Runs beside the consumer. `working` says whether this pod is the one that speaks."""

    def __init__(
        self,
        alerts: AlertStore,
        rules: Rules,
        giving: Giving,
        lifetimes: Lifetimes,
        new_trace: Callable[[], str],
        clock: Callable[[], int],
        working: Callable[[], bool],
    ) -> None:
        self._alerts = alerts
        self._rules = rules
        self._giving = giving
        self._lifetimes = lifetimes
        self._new_trace = new_trace
        self._clock = clock
        self._working = working
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look for advice."""
        self._task = start_task(self._run(), "positions-adviser")

    async def stop(self) -> None:
        """Stop; alerts without advice are looked at after the next start."""
        await stop_tasks(self._task)
        self._task = None

    def wake(self) -> None:
        """Say that alerts were committed."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                while self._working() and await self.answer_alerts():
                    pass
            except (StoreError, OSError) as error:
                _log.warning("adviser_waits", why=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            except Exception:
                _log.exception("adviser_stopped_short")
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            await set_within(self._wake, _IDLE_SECONDS)

    async def answer_alerts(self) -> int:
        """Look for advice for alerts that nobody has looked at, or whose advice need not wait any more; returns how
        many there were."""
        await self._resume()
        rows = await self._alerts.unadvised(_BATCH)
        for row in rows:
            waiting = Waiting()
            try:
                waiting = await self._answer(row)
            except (StoreError, OSError):
                raise
            except Exception:
                # A bug in one account's figures must not keep advice from all others.
                _log.exception("advice_failed", alert=row["alert_id"])
            await self._alerts.looked_at(row["alert_id"], row["severity"], waiting)
        return len(rows)

    async def _resume(self) -> None:
        trading = self._rules.trading()
        over = [
            alert_id
            for alert_id, account_id, waiting in await self._alerts.waiting()
            if waiting.over(trading, partial(self._rules.account, account_id))
        ]
        if over:
            await self._alerts.resume(over)

    async def _answer(self, row: asyncpg.Record) -> Waiting:
        """Give what is to be given now; what the rest waits for."""
        account = self._rules.account(row["account_id"])
        if account is None:
            return Waiting()
        draft = await self._rules.for_alert(row)
        if draft is not None:
            cause = Cause(row["alert_id"], row["trace_id"], self._lifetimes.alert_ns, is_alert=True)
            await self._giving.give(account, draft, cause, self._pauses(keep_open=False), self._clock())
        return waiting_for(row["kind"], row["subject"], row["subject_id"], account, draft)

    async def review(self, account_id: int, habits: Sequence[Habit]) -> int:
        """Give what an account's profile and habits call for; returns how much was new."""
        account = self._rules.account(account_id)
        if account is None:
            return 0
        drafts = [*await self._rules.for_review(account), *habit_advice(habits, account.equity)]
        return await self._give_all(account, drafts)

    async def _give_all(self, account: Account, drafts: Iterable[Draft]) -> int:
        given = 0
        for draft in drafts:
            cause = Cause(
                f"review:{draft.kind}", self._new_trace(), self._lifetimes.review_ns, is_alert=False
            )
            given += bool(
                await self._giving.give(account, draft, cause, self._pauses(keep_open=True), self._clock())
            )
        return given

    def _pauses(self, *, keep_open: bool) -> Pauses:
        now = self._clock()
        followed = max(_FOLLOWED_NS, 7 * DAY_NS if keep_open else 0)
        return Pauses(now - self._lifetimes.cooldown_ns, now - followed, keep_open)
