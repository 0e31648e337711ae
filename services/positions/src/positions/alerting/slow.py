"""What is looked at on a timer: value at risk of every account, and alerts that stand unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from smartex_store import Database

from positions.alerting.watch import Watch
from positions.domain.alerts import VALUE_AT_RISK, readings
from positions.domain.alerts.measure import look_closely
from positions.domain.book import Book
from positions.domain.book.valuing import Freshness
from positions.domain.risk import MarketRisk
from positions.markets import Markets

CHUNK = 2000
NEAR = 0.6
"""A screened figure at or above this part of its threshold is computed exactly."""


class SlowWatch:
    """Looks when it is told to; an alert that stood unseen for `patience_ns` presses harder."""

    def __init__(
        self,
        database: Database,
        book: Book,
        markets: Markets,
        watch: Watch,
        freshness: Callable[[], Freshness],
        patience_ns: int,
    ) -> None:
        self._database = database
        self._book = book
        self._markets = markets
        self._watch = watch
        self._freshness = freshness
        self._patience_ns = patience_ns

    async def look(self) -> None:
        """Judge value at risk, chunk by chunk, and escalate what stands unseen."""
        risk = await self._markets.risk()
        for first in range(0, self._book.accounts, CHUNK):
            await self._judge(np.arange(first, min(first + CHUNK, self._book.accounts)), risk)
        async with self._watch.lock:
            async with self._database.transaction() as connection:
                seen = await self._watch.escalate(connection, self._freshness(), self._patience_ns)
            self._watch.committed(seen)

    async def _judge(self, places: NDArray[np.int64], risk: MarketRisk) -> None:
        freshness = self._freshness()
        figures, held = look_closely(self._book, places, freshness)
        thresholds = self._watch.thresholds.of(figures["account_id"])[:, VALUE_AT_RISK]
        shares = await asyncio.to_thread(at_risk, risk, held, figures["equity"], thresholds)
        rows = readings(figures["account_id"], VALUE_AT_RISK, 0, shares, thresholds)
        async with self._watch.lock:
            async with self._database.transaction() as connection:
                seen = await self._watch.judge(connection, rows, (VALUE_AT_RISK,), freshness)
            self._watch.committed(seen)


def at_risk(risk: MarketRisk, held: Any, equity: Any, thresholds: Any) -> NDArray[np.float64]:
    """Value at risk over equity of each account: screened, and exact where it is near its threshold. Without equity 0
    where nothing is at risk, else NaN."""
    numbers = np.array(risk.history.instrument_ids, np.int64)
    exposures = exposures_of(held, len(equity), numbers)
    money = risk.screen(exposures)
    shares = np.divide(money, equity, out=np.where(money == 0, 0.0, np.nan), where=equity > 0)
    with np.errstate(invalid="ignore"):
        near = np.flatnonzero((thresholds > 0) & (shares >= NEAR * thresholds))
    for at in near if risk.known else ():
        values = dict(zip(numbers.tolist(), exposures[at].tolist(), strict=True))
        shares[at] = risk.value_at_risk(values) / equity[at]
    return np.asarray(shares)


def exposures_of(held: Any, accounts: int, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Money of accounts by instruments. Holdings of what is not among `numbers` (ascending) are left out."""
    exposures = np.zeros((accounts, len(numbers)))
    if len(numbers) == 0:
        return exposures
    column = np.minimum(np.searchsorted(numbers, held["instrument"]), len(numbers) - 1)
    known = numbers[column] == held["instrument"]
    np.add.at(exposures, (held["row"][known], column[known]), held["value"][known])
    return exposures
