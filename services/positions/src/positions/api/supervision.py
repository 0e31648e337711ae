"""ListSupervised and AssignSupervisor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from smartex.positions.v1 import portfolio_pb2
from smartex.positions.v1 import position_service_pb2 as pb
from smartex_chassis import InvalidInput, principal
from smartex_chassis.pages import make_token, page_size, read_token

from positions.alerting.slow import at_risk
from positions.alerting.store import AlertStore
from positions.domain.alerts.measure import look_closely
from positions.domain.book import Book
from positions.domain.book.valuing import Freshness
from positions.markets import Markets
from positions.supervision import Supervision

MOST_ACCOUNTS = 1000
LONGEST_SUBJECT = 256

PER_SEVERITY = 0.02
"""What the worst standing alert adds to the risk score, for each step of severity."""
PER_ALERT = 0.005
"""What each standing alert adds."""

TotalsOf = Callable[[int], portfolio_pb2.Totals]
"""Sums of an account."""


class SupervisionApi:
    """Accounts given to supervisors, the riskiest first."""

    scopes: ClassVar[Mapping[str, str]] = {"ListSupervised": "operate", "AssignSupervisor": "admin"}

    def __init__(
        self,
        supervision: Supervision,
        alerts: AlertStore,
        book: Book,
        markets: Markets,
        freshness: Callable[[], Freshness],
        totals: TotalsOf,
    ) -> None:
        self._supervision = supervision
        self._alerts = alerts
        self._book = book
        self._markets = markets
        self._freshness = freshness
        self._totals = totals

    async def ListSupervised(  # noqa: N802
        self, request: pb.ListSupervisedRequest, context: object
    ) -> pb.ListSupervisedResponse:
        """A page of the caller's accounts."""
        caller = principal(context).subject
        size = page_size(request.page_size)
        scope = ("supervised", caller)
        key = read_token(scope, request.page_token)
        first = key[0] if key else 0
        ranked = await self._ranked(await self._supervision.accounts(caller))
        page = ranked[first : first + size]
        for account in page:
            account.totals.CopyFrom(self._totals(account.account_id))
        return pb.ListSupervisedResponse(
            accounts=page,
            next_page_token=make_token(scope, first + size) if len(ranked) > first + size else "",
        )

    async def AssignSupervisor(  # noqa: N802
        self, request: pb.AssignSupervisorRequest, context: object
    ) -> pb.AssignSupervisorResponse:
        """Give accounts to a supervisor, or take them away."""
        if not 1 <= len(request.supervisor) <= LONGEST_SUBJECT or "\x00" in request.supervisor:
            raise InvalidInput("supervisor: give the subject of the supervisor's token", field="supervisor")
        if not 1 <= len(request.account_ids) <= MOST_ACCOUNTS or 0 in request.account_ids:
            raise InvalidInput(f"account_ids: give 1 to {MOST_ACCOUNTS} accounts", field="account_ids")
        count = await self._supervision.assign(
            request.supervisor, list(request.account_ids), revoke=request.revoke
        )
        return pb.AssignSupervisorResponse(account_count=count)

    async def _ranked(self, account_ids: Sequence[int]) -> list[pb.SupervisedAccount]:
        """All of them by risk; an account that the market has not named has none."""
        known = [number for number in account_ids if self._book.place(number) >= 0]
        places = np.array([self._book.place(number) for number in known], np.int64)
        freshness = self._freshness()
        figures, held = look_closely(self._book, places, freshness)
        risk = await self._markets.risk()
        shares = await asyncio.to_thread(at_risk, risk, held, figures["equity"], np.zeros(len(known)))
        standing = await self._alerts.worst_by_account(account_ids)
        rows = [
            _message(row, float(share), *standing.get(int(row["account_id"]), (0, 0)))
            for row, share in zip(figures, shares, strict=True)
        ]
        unknown = set(account_ids) - set(known)
        rows += [pb.SupervisedAccount(account_id=number) for number in unknown]
        return sorted(rows, key=lambda row: (-row.risk_score, row.account_id))


def _message(figures: Any, share: float, alerts: int, worst: Any) -> pb.SupervisedAccount:
    score = (share if np.isfinite(share) else 0.0) + PER_SEVERITY * worst + PER_ALERT * alerts
    return pb.SupervisedAccount(
        account_id=int(figures["account_id"]),
        risk_score=score,
        largest_weight=float(figures["largest_weight"]),
        standing_alerts=alerts,
        worst_severity=worst,
    )
