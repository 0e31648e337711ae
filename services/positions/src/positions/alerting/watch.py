"""The watch over all accounts: looks at what a batch of events changed, in the transaction that writes it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from smartex_chassis import counter, histogram
from smartex_store import Connection

from positions import notices, outbox, steps
from positions.alerting.store import AlertStore
from positions.domain import limits
from positions.domain.alerts import ALL, Change, Standing, StandingAlerts, Transition
from positions.domain.alerts.kinds import CLEAR_DISTANCE
from positions.domain.alerts.measure import LIVE, Places, Thresholds, read, worth_a_look
from positions.domain.book import Book
from positions.domain.book.valuing import Freshness
from positions.domain.limits import Limits
from positions.intake import log_freshness
from positions.naming import Instruments
from positions.notices import Times, Worth
from positions.steps import Step

_raised = counter("positions_alerts_total", "Alerts raised", ["kind"])
_latency = histogram(
    "positions_alert_latency_seconds",
    "From the time of the market of a batch to the commit of the alerts it raised",
)

Cleared = Callable[[Connection, Sequence[Standing], int], Awaitable[None]]
"""What else is to be done, in the same transaction, when alerts are over."""


@dataclass(frozen=True)
class Seen:
    """What a look at a batch found; give it to `Watch.committed` once the transaction is."""

    transitions: Sequence[Transition]
    market_ns: int = 0
    """Time of the market of the events behind it; 0 where none are, or where they are past."""


class Watch:
    """Keeps the standing alerts of all accounts. Looks are made one after the other, by the consumer or a timer."""

    def __init__(
        self,
        book: Book,
        instruments: Instruments,
        store: AlertStore,
        house: Limits,
        cleared: Cleared,
        new_trace: Callable[[], str],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._book = book
        self._instruments = instruments
        self._store = store
        self._house = house
        self._own: dict[int, Limits] = {}
        self._cleared = cleared
        self._new_trace = new_trace
        self._clock = clock
        self._standing = StandingAlerts()
        self.lock = asyncio.Lock()
        """Held from a look to `committed`, so that one look at a time knows what stands."""
        self.raised: list[Callable[[], None]] = []
        """Told once alerts were committed that somebody should look at."""

    @property
    def thresholds(self) -> Thresholds:
        """What holds for whom."""
        return Thresholds(self._house, self._own)

    def effective(self, account_id: int) -> Limits:
        """The thresholds that hold for an account."""
        return limits.effective(self._own.get(account_id, Limits()), self._house)

    def load(self, standing: Sequence[Standing], own: dict[int, Limits]) -> None:
        """Begin with what the tables hold."""
        self._standing = StandingAlerts(standing)
        self._own = dict(own)

    def set_limits(self, account_id: int, own: Limits) -> None:
        """Take an account's own limits over; they hold from the next look on, which will be at once."""
        if self._own.get(account_id) == own:
            return
        self._own[account_id] = own
        with self._book.lock:
            place = self._book.place(account_id)
            if place >= 0:
                self._book.tables.accounts[place]["touched"] = 1

    def acknowledge(self, alert_ids: Collection[str]) -> None:
        """Note that alerts were seen."""
        self._standing.acknowledge(alert_ids)

    async def look(
        self,
        connection: Connection,
        freshness: Freshness,
        touched: NDArray[np.int64],
        moved: NDArray[np.int64],
        trace_id: str = "",
        *,
        behind: bool = False,
    ) -> Seen:
        """Judge the accounts at the touched places and all holders of the instruments that moved, and write what
        changed. `trace_id`: of the events, if they had one. `behind`: they are past, so judge by the time and the
        marks of then, and tell nobody."""
        with self._book.lock:  # the book goes on in another thread: what is judged is of one moment
            when = log_freshness(self._book.time_ns, freshness.stale_ns) if behind else freshness
            found = self._judged(when, touched, moved)
            market_ns = self._book.time_ns if len(touched) and not behind else 0
        seen = await self.write(connection, found, when, trace_id, silent=behind)
        return replace(seen, market_ns=market_ns)

    async def catch_up(self, connection: Connection, freshness: Freshness) -> Seen:
        """The book has come up to the market: judge everybody as of now, and tell what stands and was not told."""
        with self._book.lock:
            everybody = np.arange(self._book.accounts)
            listed = np.flatnonzero(self._book.tables.instruments["tick_value"])
            found = [_told(one) for one in self._judged(freshness, everybody, listed)]
        late = self._standing.untold(found, freshness.now_ns)
        return await self.write(connection, [*found, *late], freshness, "")

    def _judged(
        self, freshness: Freshness, touched: NDArray[np.int64], moved: NDArray[np.int64]
    ) -> list[Transition]:
        book = self._book
        holders = [book.holders(int(number)) for number in moved]
        at = np.unique(np.concatenate([touched, *holders])).astype(np.int64)
        if len(at) == 0:
            return []
        figures = book.figures(at, freshness)
        table = self.thresholds.of(figures["account_id"])
        places = Places(self._instruments.industry_subjects(book), self._instruments.limit_distances(book))
        wanted = worth_a_look(figures, table) | np.isin(figures["account_id"], self._standing.accounts())
        wanted |= np.isin(at, self._at_limit(moved, places))
        at, figures, table = at[wanted], figures[wanted], table[wanted]
        rows = read(book.tables, at, figures, table, freshness, places)
        return self._standing.judge(rows, figures["account_id"], LIVE, freshness.now_ns, book.sequence)

    async def judge(
        self, connection: Connection, rows: Any, kinds: Sequence[int], freshness: Freshness
    ) -> Seen:
        """Judge readings of other kinds, e.g. those of the slow timer."""
        ids = np.unique(rows["account_id"])
        found = self._standing.judge(rows, ids, kinds, freshness.now_ns, self._book.sequence)
        return await self.write(connection, found, freshness, "")

    async def escalate(self, connection: Connection, freshness: Freshness, patience_ns: int) -> Seen:
        """Press harder on what has stood long without being acknowledged."""
        return await self.write(
            connection, self._standing.overdue(freshness.now_ns, patience_ns), freshness, ""
        )

    async def write(
        self,
        connection: Connection,
        found: Sequence[Transition],
        freshness: Freshness,
        trace_id: str,
        *,
        silent: bool = False,
    ) -> Seen:
        """Write transitions with their steps and, unless `silent`, their notices."""
        if not found:
            return Seen(())
        traced = [self._traced(one if silent else _told(one), trace_id) for one in found]
        subjects = {one.alert.key: self._subject(one.alert).symbol for one in traced}
        await self._store.write(connection, traced, subjects, freshness.now_ns)
        over = [one.alert for one in traced if one.change is Change.CLEARED]
        if over:
            await self._cleared(connection, over, freshness.now_ns)
        await steps.record(
            connection, [step for one in traced for step in self._steps(one, freshness.now_ns)]
        )
        await outbox.put(
            connection, [note for one in traced for note in self._notices(one, freshness, silent=silent)]
        )
        return Seen(traced)

    def committed(self, seen: Seen) -> None:
        """Take over what a look found, after its transaction was committed."""
        self._standing.apply(seen.transitions)
        for one in seen.transitions:
            if one.change is Change.RAISED:
                _raised.labels(ALL[one.alert.kind].name).inc()
                if seen.market_ns:
                    _latency.observe(max(0.0, (self._clock() - seen.market_ns) / 1e9))
        if seen.transitions:
            for tell in self.raised:
                tell()

    def _traced(self, one: Transition, trace_id: str) -> Transition:
        if one.alert.trace_id:
            return one
        return replace(one, alert=replace(one.alert, trace_id=trace_id or self._new_trace()))

    def _subject(self, alert: Standing) -> notices.Subject:
        return self._instruments.subject(alert.kind, alert.subject)

    def _steps(self, one: Transition, now_ns: int) -> list[Step]:
        if one.change in (Change.MOVED, Change.TOLD):
            return []
        alert = one.alert
        subject = self._subject(alert).symbol
        detail = f"{ALL[alert.kind].name} {subject} {one.change.value}: {alert.value:.4f}, limit {alert.threshold:.4f}"
        step = Step(alert.trace_id, alert.account_id, "alert", alert.alert_id, now_ns, detail)
        if one.change is not Change.RAISED:
            return [step]
        event = Step(
            alert.trace_id,
            alert.account_id,
            "event",
            str(alert.sequence),
            now_ns,
            "event of the market that raised it",
        )
        return [event, step]

    def _notices(self, one: Transition, freshness: Freshness, *, silent: bool) -> list[Any]:
        alert = one.alert
        if one.change is Change.CLEARED:
            # To withdraw what was told is right at any time.
            return [notices.of_cleared(alert, freshness.now_ns, alert.trace_id)] if alert.told else []
        if silent or one.change is Change.MOVED:
            return []
        place = self._book.place(alert.account_id)
        equity = float(self._book.figures([place], freshness)["equity"][0]) if place >= 0 else 0.0
        worth = Worth(self._book.listing.base, equity)
        times = Times(one.since_ns or freshness.now_ns, freshness.now_ns)
        return [notices.of_alert(alert, self._subject(alert), worth, times, alert.trace_id)]

    def _at_limit(self, moved: NDArray[np.int64], places: Places) -> NDArray[np.int64]:
        """Places of the holders of instruments that moved to where somebody's price-limit alert may change."""
        widest = max(
            [
                limits.effective(own, self._house).price_limit_distance or 0.0
                for own in (*self._own.values(), Limits())
            ]
        )
        with np.errstate(invalid="ignore"):
            near = moved[places.limit_distances[moved] <= widest + CLEAR_DISTANCE]
        return np.concatenate([np.zeros(0, np.int64), *(self._book.holders(int(number)) for number in near)])


def _told(one: Transition) -> Transition:
    """The transition with its alert noted as told, if it is one that is told."""
    if one.change not in (Change.RAISED, Change.ESCALATED):
        return one
    return replace(one, alert=replace(one.alert, told=one.alert.severity))
