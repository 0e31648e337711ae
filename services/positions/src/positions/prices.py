"""Daily closes: imported, and the market's own at the end of each trading day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from smartex_store import Connection, Database

_IMPORT = """
    INSERT INTO positions.daily_closes (instrument_id, date, price, volume, imported)
    SELECT *, true FROM unnest($1::int[], $2::date[], $3::float8[], $4::float8[])
        ON CONFLICT DO NOTHING
"""
_CLOSE_DAY = """
    INSERT INTO positions.daily_closes (instrument_id, date, price, volume, imported)
    SELECT *, false FROM unnest($1::int[], $2::date[], $3::float8[], $4::float8[])
        ON CONFLICT (instrument_id, date) DO UPDATE
       SET price = excluded.price, volume = excluded.volume, imported = false
"""
_END_DAY = """
    INSERT INTO positions.trading_days (day, end_time_ns) VALUES ($1, $2)
        ON CONFLICT (day) DO UPDATE SET end_time_ns = excluded.end_time_ns
"""
_TRADED = """
    SELECT instrument_id, sum(quantity_lots)::bigint AS lots FROM positions.fills
     WHERE side = 1 AND time_ns < $2
       AND time_ns >= coalesce((SELECT end_time_ns FROM positions.trading_days WHERE day = $1 - 1), 0)
     GROUP BY instrument_id
"""
_READ = """
    WITH kept AS (SELECT DISTINCT date FROM positions.daily_closes WHERE date >= $2 ORDER BY date DESC LIMIT $3)
    SELECT instrument_id, date, price, volume FROM positions.daily_closes
     WHERE ($1::int[] IS NULL OR instrument_id = ANY($1)) AND date IN (SELECT date FROM kept)
"""


@dataclass(frozen=True)
class Close:
    """The last price of a day, of a unit, and the units traded (0: not known)."""

    instrument_id: int
    day: date
    price: float
    volume: float = 0.0


@dataclass(frozen=True)
class Closes:
    """Days x instruments of closes and volumes; NaN where there is none."""

    days: Sequence[date]
    instrument_ids: Sequence[int]
    prices: NDArray[np.float64]
    volumes: NDArray[np.float64]

    def path(self, instrument_id: int) -> list[float]:
        """An instrument's closes, without the days that have none."""
        column = self.prices[:, self.instrument_ids.index(instrument_id)]
        return [float(price) for price in column[np.isfinite(column)]]


async def end_day(connection: Connection, trading_day: int, time_ns: int) -> dict[int, int]:
    """Note when a trading day ended; returns the lots of each instrument that were bought on it."""
    await connection.execute(_END_DAY, trading_day, time_ns)
    rows = await connection.fetch(_TRADED, trading_day, time_ns)
    return {row["instrument_id"]: row["lots"] for row in rows}


async def close_day(connection: Connection, closes: Iterable[Close]) -> None:
    """Write the market's own closes of a day that ended, over what was known of it."""
    await connection.execute(_CLOSE_DAY, *_columns(closes))


def _columns(closes: Iterable[Close]) -> tuple[list[int], list[date], list[float], list[float]]:
    rows = list({(close.instrument_id, close.day): close for close in closes}.values())
    return (
        [row.instrument_id for row in rows],
        [row.day for row in rows],
        [row.price for row in rows],
        [row.volume for row in rows],
    )


class Prices:
    """Reads the table of daily closes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def bring_in(self, closes: Iterable[Close]) -> int:
        """Import closes of days that are not known yet; returns how many those are."""
        tag = await self._database.execute(_IMPORT, *_columns(closes))
        return int(tag.rpartition(" ")[2])

    async def closes(
        self, instrument_ids: Sequence[int] | None = None, *, since: date = date.min, days: int = 1000
    ) -> Closes:
        """The closes of the last `days` dates from `since` on; of all instruments unless some are named."""
        wanted = None if instrument_ids is None else list(instrument_ids)
        rows = await self._database.fetch(_READ, wanted, since, days)
        return _matrix(rows, instrument_ids)


def _matrix(rows: Sequence[Any], wanted: Sequence[int] | None) -> Closes:
    calendar = sorted({row["date"] for row in rows})
    numbers = sorted({row["instrument_id"] for row in rows} if wanted is None else set(wanted))
    row_of = {day: at for at, day in enumerate(calendar)}
    column_of = {number: at for at, number in enumerate(numbers)}
    prices = np.full((len(calendar), len(numbers)), np.nan)
    volumes = np.full((len(calendar), len(numbers)), np.nan)
    for row in rows:
        place = row_of[row["date"]], column_of[row["instrument_id"]]
        prices[place] = row["price"]
        volumes[place] = row["volume"] or np.nan
    return Closes(calendar, numbers, prices, volumes)
