"""Trading habits of accounts: their fills and the market's closes as the detectors take them, and their peers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from smartex.matching.v1.types_pb2 import ORDER_TYPE_MARKET
from smartex_quant import returns
from smartex_store import Database

from positions.accounts import Accounts
from positions.domain.book.marking import MICROS
from positions.domain.habits import (
    FILL,
    AccountRecords,
    Habit,
    IndustryExpertise,
    Market,
    industry_expertise,
    measure,
    rank,
)
from positions.naming import Instruments
from positions.prices import Closes, Prices

LEAST_PEERS = 10
"""Accounts with a figure below which nobody is compared."""
HISTORY_DAYS = 750
FRESH_NS = 60 * 10**9
"""So long the market that habits are measured against is kept."""
MOST_FILLS = 20_000
"""The newest fills that habits are measured by."""

_FILLS = """
    SELECT * FROM (
        SELECT sequence, time_ns, instrument_id, order_id, order_type, side, price_ticks, quantity_lots, fee_micros,
               tax_micros, previous_ticks, taker
          FROM positions.fills WHERE account_id = $1 ORDER BY sequence DESC LIMIT $2
    ) newest ORDER BY sequence
"""
_CHANGED = """
    SELECT account_id FROM positions.fills WHERE time_ns > $1
     UNION SELECT account_id FROM positions.answers WHERE time_ns > $1
     ORDER BY account_id
"""
_REMEMBER = """
    INSERT INTO positions.habit_figures (account_id, key, value)
    SELECT $1, * FROM unnest($2::text[], $3::float8[])
        ON CONFLICT (account_id, key) DO UPDATE SET value = excluded.value
"""


@dataclass(frozen=True)
class Measured:
    """What was measured of an account. `industries` are the names of the industries' columns, `turnover` the share of
    each in what was traded."""

    habits: Sequence[Habit]
    expertise: Sequence[IndustryExpertise]
    industries: Sequence[str]
    turnover: Sequence[float]
    fills: int
    start_ns: int


NOTHING = Measured((), (), (), (), 0, 0)


class Habits:
    """Measures habits on request, and the peers' figures in rounds."""

    def __init__(
        self,
        database: Database,
        prices: Prices,
        instruments: Instruments,
        accounts: Accounts,
        zone: ZoneInfo,
        clock: Callable[[], int],
    ) -> None:
        self._database = database
        self._prices = prices
        self._instruments = instruments
        self._accounts = accounts
        self._zone = zone
        self._clock = clock
        self._lock = asyncio.Lock()
        self._made: DatedMarket | None = None
        self._made_ns = 0

    async def of(self, account_id: int) -> Measured:
        """Habits of an account, ranked among its peers, and its expertise."""
        measured = await self._measure(account_id, await self._market())
        return replace(measured, habits=rank(tuple(measured.habits), await self._peers()))

    async def known_industries(self, account_id: int) -> Sequence[str]:
        """Industries that the account evidently knows."""
        measured = await self._measure(account_id, await self._market())
        return [measured.industries[one.industry] for one in measured.expertise if one.evident]

    async def refresh(self, account_ids: Sequence[int]) -> None:
        """Measure accounts anew for the table of peers."""
        market = await self._market()
        for account_id in account_ids:
            found = [
                (habit.key, habit.estimate.value)
                for habit in (await self._measure(account_id, market)).habits
                if habit.estimate is not None
            ]
            if found:
                keys, values = zip(*found, strict=True)
                await self._database.execute(_REMEMBER, account_id, list(keys), list(values))

    async def changed(self, since_ns: int) -> Sequence[int]:
        """Accounts that have traded or answered the questionnaire since a time."""
        rows = await self._database.fetch(_CHANGED, since_ns)
        return [row["account_id"] for row in rows]

    async def _measure(self, account_id: int, market: DatedMarket) -> Measured:
        rows = await self._database.fetch(_FILLS, account_id, MOST_FILLS)
        if not rows or market.market.days == 0:
            return NOTHING
        return await asyncio.to_thread(_measured, rows, market, self._instruments, self._zone)

    async def _market(self) -> DatedMarket:
        """The market of now, made once in a while for all who ask."""
        async with self._lock:
            now = self._clock()
            if self._made is None or abs(now - self._made_ns) > FRESH_NS:
                closes = await self._prices.closes(days=HISTORY_DAYS)
                marks = {asset.instrument_id: asset.unit_price for asset in self._accounts.listed()}
                industries = self._instruments.industries()
                rates = {number: self._accounts.rate(number) for number in industries}
                self._made = await asyncio.to_thread(
                    dated_market, closes, marks, rates, industries, _date(now, self._zone), self._zone
                )
                self._made_ns = now
            return self._made

    async def _peers(self) -> Mapping[str, NDArray[np.float64]]:
        rows = await self._database.fetch(
            "SELECT key, array_agg(value ORDER BY value) AS figures FROM positions.habit_figures GROUP BY key"
        )
        return {row["key"]: np.array(row["figures"]) for row in rows if len(row["figures"]) >= LEAST_PEERS}


@dataclass(frozen=True)
class DatedMarket:
    """The market as the detectors take it, with the dates of its rows and the names of its industries.

    Prices are in the base currency, at `rates` by instrument: what is traded in several currencies adds up.
    """

    market: Market
    days: Sequence[date]
    industries: Sequence[str]
    rates: Mapping[int, float]


def dated_market(
    closes: Closes,
    marks: Mapping[int, float],
    rates: Mapping[int, float],
    industries: Mapping[int, str],
    today: date,
    zone: ZoneInfo,
) -> DatedMarket:
    """Closes of the past, and the marks of now as those of today."""
    numbers = np.array(sorted(industries), np.int64)
    days = [*(day for day in closes.days if day < today), today]
    prices = np.full((len(days), len(numbers)), np.nan)
    for at, number in enumerate(numbers.tolist()):
        if number in closes.instrument_ids:
            prices[:-1, at] = closes.prices[: len(days) - 1, closes.instrument_ids.index(number)]
        prices[-1, at] = marks.get(number, np.nan)
        prices[:, at] *= rates[number]
    names = sorted(set(industries.values()) - {""})
    column = {name: at for at, name in enumerate(names)}
    of_instrument = np.array([column.get(industries[number], -1) for number in numbers.tolist()], np.int64)
    moves = _returns(prices, [industries[number] for number in numbers.tolist()])
    offsets = [_utc_offset(day, zone) for day in days]
    market = Market(
        instrument_ids=numbers,
        closes=prices,
        industries=of_instrument,
        industry_returns=_means(moves, of_instrument, len(names)),
        market_returns=moves.mean(axis=1) if len(numbers) else np.zeros(len(days)),
        utc_offset_seconds=np.array(offsets, np.int64),
    )
    return DatedMarket(market, days, names, rates)


def fill_rows(
    rows: Sequence[Mapping[str, Any]], market: DatedMarket, instruments: Instruments, zone: ZoneInfo
) -> Any:
    """Fills as the detectors take them, in the base currency. Those of instruments that are not known are left out."""
    known = [row for row in rows if row["instrument_id"] in instruments]
    fills = np.zeros(len(known), FILL)
    for at, row in enumerate(known):
        one = instruments.get(row["instrument_id"])
        lot, tick = (float(one.lot_size), float(one.tick_size)) if one else (1.0, 1.0)
        rate = market.rates.get(row["instrument_id"], 1.0)
        tick *= rate
        fills[at]["time_ns"] = row["time_ns"]
        fills[at]["day"] = _row_of(_date(row["time_ns"], zone), market.days)
        fills[at]["instrument_id"] = row["instrument_id"]
        fills[at]["order_id"] = row["order_id"]
        fills[at]["side"] = 1 if row["side"] == 1 else -1
        fills[at]["price"] = row["price_ticks"] * tick
        fills[at]["quantity"] = row["quantity_lots"] * lot
        fills[at]["fee"] = (row["fee_micros"] + row["tax_micros"]) / MICROS * rate
        fills[at]["taker"] = row["taker"]
        fills[at]["market"] = row["order_type"] == ORDER_TYPE_MARKET
        fills[at]["mid"] = row["previous_ticks"] * tick if row["previous_ticks"] else np.nan
    return fills


def _measured(rows: Any, market: DatedMarket, instruments: Instruments, zone: ZoneInfo) -> Measured:
    fills = fill_rows(rows, market, instruments, zone)
    records = AccountRecords(fills, market.market)
    return Measured(
        measure(records),
        industry_expertise(records),
        market.industries,
        _turnover(fills, market),
        len(fills),
        int(rows[0]["time_ns"]),
    )


def _turnover(fills: Any, market: DatedMarket) -> list[float]:
    """Share of each industry in the value of all fills."""
    value = fills["price"] * fills["quantity"]
    industry = market.market.industries[market.market.columns(fills["instrument_id"])]
    sums = np.bincount(
        industry[industry >= 0], weights=value[industry >= 0], minlength=len(market.industries)
    )
    shares: list[float] = (sums / max(float(value.sum()), 1e-12)).tolist()
    return shares


def _returns(prices: NDArray[np.float64], groups: Sequence[str]) -> NDArray[np.float64]:
    """Returns of each day, the first of them zero."""
    if len(prices) < 2 or prices.shape[1] == 0:
        return np.zeros(prices.shape)
    return np.vstack([np.zeros(prices.shape[1]), returns.complete(prices, groups=groups).values])


def _means(moves: NDArray[np.float64], industries: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    means = np.zeros((len(moves), count))
    for industry in range(count):
        means[:, industry] = moves[:, industries == industry].mean(axis=1)
    return means


def _utc_offset(day: date, zone: ZoneInfo) -> int:
    """Seconds that the zone is ahead of UTC at noon of a day."""
    offset = datetime(day.year, day.month, day.day, 12, tzinfo=zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _date(time_ns: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).astimezone(zone).date()


def _row_of(day: date, days: Sequence[date]) -> int:
    """The row of a day; of one without a close, the next; what lies before the history counts to its first day."""
    return min(int(np.searchsorted(np.array(days, "datetime64[D]"), np.datetime64(day))), len(days) - 1)
