"""All that watches and advises, put together: what the consumer calls, what runs beside it, what answers callers."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from smartex.matching.v1.types_pb2 import Instrument
from smartex.positions.v1 import portfolio_pb2
from smartex_bus import Bus
from smartex_quant.returns import realised_volatility
from smartex_store import Connection, Database

from positions import prices, steps
from positions.accounts import Accounts
from positions.advising.adviser import Adviser
from positions.advising.answering import Answering
from positions.advising.giving import Giving
from positions.advising.rules import Rules
from positions.advising.settling import Settling
from positions.advising.store import AdviceStore
from positions.alerting.slow import SlowWatch
from positions.alerting.store import AlertStore, LimitStore
from positions.alerting.watch import Seen, Watch
from positions.api.advice import AdviceApi
from positions.api.alerts import AlertsApi
from positions.api.habits import HabitsApi
from positions.api.limits import LimitsApi
from positions.api.prices import PricesApi
from positions.api.profile import ProfileApi
from positions.api.risk import RiskApi
from positions.api.steps import StepsApi
from positions.api.supervision import SupervisionApi
from positions.digest import Digest
from positions.domain.book import Book
from positions.domain.book.valuing import Freshness
from positions.domain.book.words import DAY_ROLLED, STATE_CHANGED
from positions.domain.risk.report import DAYS_PER_YEAR
from positions.habit_records import Habits
from positions.intake import ended_day
from positions.markets import Markets
from positions.naming import Instruments
from positions.outbox import Relay
from positions.oversight_settings import OversightSettings
from positions.preferences import Preferences
from positions.prices import Close, Prices
from positions.reporting import CurveOf, Reporting
from positions.rounds import Round, Rounds
from positions.steps import Chains
from positions.supervision import Supervision

_ROLL_HOURS = 4
"""A trading day that is rolled up to so long after midnight is the day before's."""
LEAST_RETURNS = 20
INSTRUMENT_SECONDS = 30.0
HEAR_SECONDS = 2.0


@dataclass(frozen=True)
class Surroundings:
    """What stands around: the book, who reads it and when, and what the history knows."""

    book: Book
    freshness: Callable[[], Freshness]
    curve: CurveOf
    """An account's growth at the ends of trading days."""
    totals: Callable[[int], portfolio_pb2.Totals]
    refresh: Callable[[], Awaitable[object]]
    """Asks the market for its instruments."""
    working: Callable[[], bool]
    """Whether this pod is the one that writes."""
    current: Callable[[], bool]
    """Whether it also has come up to the market, so that what it finds is of now."""
    clock: Callable[[], int]


class Oversight:
    """Alerts, advice, reports and what belongs to them. The consumer calls `look` in its transaction, and `committed`
    after it, holding `lock` over both."""

    def __init__(
        self, database: Database, bus: Bus, around: Surroundings, settings: OversightSettings
    ) -> None:
        self._database = database
        self._around = around
        self._settings = settings
        self.instruments = Instruments()
        self.supervision = Supervision(database)
        self.relay = Relay(database, bus)
        self.alerts, self.limits, self.advice = (
            AlertStore(database),
            LimitStore(database),
            AdviceStore(database),
        )
        self.prices = Prices(database)
        self.markets = Markets(self.prices, self.instruments)
        self.accounts = Accounts(around.book, self.instruments, around.freshness)
        self.preferences = Preferences(database, settings.profile_ns)
        self.habits = Habits(
            database, self.prices, self.instruments, self.accounts, settings.zone, around.clock
        )
        self.rules = Rules(
            self.accounts, self.markets, self.preferences, self.habits.known_industries, around.clock
        )
        self.answering = Answering(database, self.advice, self.rules, around.clock)
        self.settling = Settling(database, self.advice, self.prices, self.accounts, around.clock)
        self.giving = Giving(database, self.advice, self.relay.wake)
        self.watch = Watch(
            around.book,
            self.instruments,
            self.alerts,
            settings.house,
            self.giving.alerts_cleared,
            new_trace,
            around.clock,
        )
        self.adviser = Adviser(
            self.alerts,
            self.rules,
            self.giving,
            settings.lifetimes,
            new_trace,
            around.clock,
            around.current,
        )
        self.watch.raised += [self.relay.wake, self.adviser.wake]
        self._rounds = Rounds(self._timed(), around.current)
        self._keeping = Rounds(self._kept_up(), around.working)
        everywhere = [Round("instruments", INSTRUMENT_SECONDS, around.refresh)]
        self._refreshing = Rounds(everywhere, lambda: True)
        self._running = AsyncExitStack()
        self._day_closed = False
        self._reviewed_ns = 0
        self._heard = time.monotonic()

    @property
    def lock(self) -> Any:
        """Held by the consumer from `look` to `committed`."""
        return self.watch.lock

    async def load(self) -> None:
        """Read what stands: whenever the book was read back, what was found meanwhile may not have been written."""
        async with self.lock:
            self._heard = time.monotonic()
            self.watch.load(await self.alerts.standing(), dict(await self.limits.all()))

    async def start(self) -> None:
        """Begin. `load` comes before the first look."""
        async with AsyncExitStack() as undo:
            for part in (self.relay, self.adviser, self._rounds, self._keeping, self._refreshing):
                await part.start()
                undo.push_async_callback(part.stop)
            self._running = undo.pop_all()

    async def stop(self) -> None:
        """Stop everything."""
        await self._running.aclose()

    async def look(
        self,
        connection: Connection,
        pieces: Iterable[tuple[NDArray[np.void], int]],
        touched: NDArray[np.int64],
        moved: NDArray[np.int64],
        trace_id: str = "",
        *,
        behind: bool = False,
        closes: Mapping[int, NDArray[np.int64]],
    ) -> Seen:
        """Look at what events (with their times) changed, in the transaction that writes it. `closes` are the last
        prices in ticks, by instrument, of each trading day that ended. `behind`: they are past, and nobody is told."""
        for events, piece_ns in pieces:
            times_ns = np.full(len(events), piece_ns)
            await steps.record_events(connection, events, times_ns, self.instruments)
            for rolled in events[events["kind"] == DAY_ROLLED]:
                ended = ended_day(rolled)
                await self._close_day(connection, ended, piece_ns, closes[ended])
            if not behind:
                self._learn_states(events[events["kind"] == STATE_CHANGED])
        return await self.watch.look(
            connection, self._around.freshness(), touched, moved, trace_id, behind=behind
        )

    async def catch_up(self, connection: Connection) -> Seen:
        """Tell what stands and was not told, now that the book has come up to the market."""
        return await self.watch.catch_up(connection, self._around.freshness())

    def committed(self, seen: Seen) -> None:
        """Take over what a look found, once its transaction was committed."""
        self.watch.committed(seen)
        if self._day_closed:
            self._day_closed = False
            self.markets.changed()

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """Take definitions of instruments in, new or changed."""
        listed = list(instruments)
        versions = {one.instrument_id: one.version for one in self.instruments.all()}
        open_before = self.instruments.open()
        self.instruments.learn(listed)
        if self.instruments.open() - open_before:
            self.adviser.wake()
        if any(versions.get(one.instrument_id) != one.version for one in listed):
            self.markets.changed()

    def _learn_states(self, changes: NDArray[np.void]) -> None:
        """Know at once what was halted and what trades again: the market is asked for definitions now and then only."""
        for changed in changes:
            self.instruments.set_state(int(changed["instrument_id"]), int(changed["trading_state"]))
        if len(changes):
            self.adviser.wake()

    async def _close_day(
        self, connection: Connection, ended: int, time_ns: int, last: NDArray[np.int64]
    ) -> None:
        """Keep the closes of the day that ended, and look again for advice that could not be followed on it."""
        day = trading_date(time_ns, self._settings.zone)
        lots = await prices.end_day(connection, ended, time_ns)
        closes = [
            Close(
                one.instrument_id,
                day,
                float(last[one.instrument_id]) * float(one.tick_size),
                lots.get(one.instrument_id, 0) * float(one.lot_size),
            )
            for one in self.instruments.all()
            if last[one.instrument_id] > 0
        ]
        await prices.close_day(connection, closes)
        await self.alerts.look_again(connection)
        self._day_closed = True

    def _timed(self) -> Sequence[Round]:
        settings, around = self._settings, self._around
        slow = SlowWatch(
            self._database, around.book, self.markets, self.watch, around.freshness, settings.patience_ns
        )
        digest = Digest(
            self._database, around.book, around.freshness, settings.digest_at, settings.zone, self.relay.wake
        )
        return (
            Round("value-at-risk", settings.slow_seconds, slow.look),
            Round("settling", settings.minute_seconds, self.settling.settle_due),
            Round("digest", settings.minute_seconds, digest.send_due),
            Round("review", settings.review_seconds, self.review),
        )

    def _kept_up(self) -> Sequence[Round]:
        """What does not depend on the book, and goes on while it is behind."""
        clock = self._around.clock
        return (
            Round("others", HEAR_SECONDS, self.hear),
            Round("expiry", self._settings.minute_seconds, lambda: self.giving.expire(clock())),
        )

    async def hear(self) -> None:
        """Take over what callers of other pods have set and seen since the last time, and a little more: what was set
        then may have been committed after it was looked for, and the last time may have waited long for the lock."""
        began = time.monotonic()
        for account_id, own in (await self.limits.changed(began - self._heard + 10 * HEAR_SECONDS)).items():
            self.watch.set_limits(account_id, own)
        self._heard = began
        async with self.lock:
            self.watch.acknowledge(await self.alerts.acknowledged())

    async def review(self) -> None:
        """Measure the habits of all who traded (or answered) since the last time, and give what profiles and habits
        call for."""
        began = self._around.clock()
        accounts = await self.habits.changed(self._reviewed_ns)
        await self.habits.refresh(accounts)
        for account_id in accounts:
            measured = await self.habits.of(account_id)
            await self.adviser.review(account_id, measured.habits)
        self._reviewed_ns = began

    async def volatility(self, account_id: int) -> float | None:
        """Volatility a year of an account's growth; None while there are too few days."""
        growth = np.asarray((await self._around.curve(account_id)).growth)
        if len(growth) <= LEAST_RETURNS or (growth <= 0).any():
            return None
        return float(realised_volatility(growth[1:] / growth[:-1] - 1.0, DAYS_PER_YEAR))

    def apis(self) -> Sequence[Any]:
        """Servicers, each with its methods and `scopes` by method."""
        around, supervision = self._around, self.supervision
        reporting = Reporting(self.accounts, self.markets, around.curve, around.clock)
        return (
            AlertsApi(self.alerts, supervision, self.instruments.subject_name, self.watch.acknowledge),
            LimitsApi(self.limits, supervision, self._settings.house, self.watch.set_limits),
            AdviceApi(self.advice, self.answering, supervision),
            RiskApi(reporting, supervision, self.instruments),
            ProfileApi(self.preferences, self.accounts, self.volatility, supervision, around.clock),
            HabitsApi(self.habits, supervision),
            SupervisionApi(
                supervision, self.alerts, around.book, self.markets, around.freshness, around.totals
            ),
            StepsApi(Chains(self._database), supervision),
            PricesApi(self.prices, lambda number: number in self.instruments, self.markets.changed),
        )


def new_trace() -> str:
    """A trace's id, 32 hex digits."""
    return os.urandom(16).hex()


def trading_date(time_ns: int, zone: ZoneInfo) -> date:
    """The date of the trading day that ended at a time."""
    return datetime.fromtimestamp(time_ns / 1e9 - _ROLL_HOURS * 3600, UTC).astimezone(zone).date()
