"""Risk reports on request: made in a thread, and kept while account, marks and closes are what they were."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass

from positions.accounts import Accounts
from positions.domain.risk import Portfolio, RiskReport, make_report
from positions.markets import Markets

KEPT = 256


@dataclass(frozen=True)
class Curve:
    """An account's growth of one unit of money at moments, oldest first."""

    growth: Sequence[float] = ()
    times_ns: Sequence[int] = ()


CurveOf = Callable[[int], Awaitable[Curve]]


class Reporting:
    """Makes reports of accounts. Two who ask for the same at once get one."""

    def __init__(
        self, accounts: Accounts, markets: Markets, curve: CurveOf, clock: Callable[[], int]
    ) -> None:
        self._accounts = accounts
        self._markets = markets
        self._curve = curve
        self._clock = clock
        self._kept: OrderedDict[Hashable, asyncio.Task[RiskReport]] = OrderedDict()

    async def report(self, account_id: int) -> RiskReport | None:
        """The report as of now; None if the market has not named the account."""
        curve = await self._curve(account_id)
        portfolio = self._accounts.portfolio(account_id, self._clock(), curve.growth, curve.times_ns)
        if portfolio is None:
            return None
        # By values too: in a quiet market marks change all the same, from an old trade's to the middle of the book.
        values = tuple(portfolio.values.items())
        key = (account_id, portfolio.sequence, portfolio.equity, values, self._markets.version)
        task = self._kept.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._kept[key] = asyncio.create_task(self._make(portfolio))
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        # A caller who goes away must not take the report from the others who wait for it.
        return await asyncio.shield(task)

    async def _make(self, portfolio: Portfolio) -> RiskReport:
        risk = await self._markets.risk()
        return await asyncio.to_thread(make_report, portfolio, risk)
