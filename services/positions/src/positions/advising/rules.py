"""Which rule answers what: alerts, a due review, and advice that is asked for again when it is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Protocol

from positions.accounts import Accounts
from positions.domain import advice as rules
from positions.domain.advice import Account, Draft
from positions.domain.alerts import Severity
from positions.domain.risk import MarketRisk
from positions.markets import Markets
from positions.preferences import Preferences

Expertise = Callable[[int], Awaitable[Sequence[str]]]
"""Industries that an account has shown expertise in."""


class Fields(Protocol):
    """Named values: a row of a table, or a mapping."""

    def __getitem__(self, name: str, /) -> Any:
        """One value; KeyError if there is none."""


class Rules:
    """Applies the rules of advice to accounts of now. Numerics run in a thread."""

    def __init__(
        self,
        accounts: Accounts,
        markets: Markets,
        preferences: Preferences,
        expertise: Expertise,
        clock: Callable[[], int],
    ) -> None:
        self._accounts = accounts
        self._markets = markets
        self._preferences = preferences
        self._expertise = expertise
        self._clock = clock

    def account(self, account_id: int) -> Account | None:
        """The account of now."""
        return self._accounts.account(account_id)

    def trading(self) -> Collection[int]:
        """Numbers of what is traded now."""
        return self._accounts.trading()

    async def for_alert(self, alert: Fields) -> Draft | None:
        """What to do about an alert; None if there is nothing that could be done now."""
        account = self._accounts.account(alert["account_id"])
        if account is None:
            return None
        risk = await self._markets.risk()
        return await asyncio.to_thread(_for_alert, alert, account, risk)

    async def for_review(self, account: Account) -> list[Draft]:
        """What an account's profile calls for: sell what does not suit, spread what is concentrated."""
        stated = await self._stated(account.account_id)
        risk, known = await self._markets.risk(), await self._expertise(account.account_id)
        listed = self._accounts.listed()

        def apply() -> list[Draft]:
            spread = rules.diversify(account, stated, listed, known, risk)
            return [*rules.sell_unsuitable(account, stated, risk), *([spread] if spread else [])]

        return await asyncio.to_thread(apply)

    async def again(self, advice: Fields) -> Draft | None:
        """The rule of open advice, applied to the account of now; None if nothing is to be done any more."""
        kind, facts = advice["kind"], advice["facts"]
        account = self._accounts.account(advice["account_id"])
        if account is None or kind.startswith("habit_"):
            return None
        if kind in ("sell_unsuitable", "diversify"):
            drafts = await self.for_review(account)
            return next((one for one in drafts if (one.kind, one.subject) == (kind, advice["subject"])), None)
        alert = {
            "kind": _ALERT_OF.get(kind) or facts["alert"],
            "subject": advice["subject"],
            "subject_id": _number(account, advice["subject"]),
            "value": facts.get("figure", 0.0),
            "threshold": facts["limit"],
            "severity": advice["severity"],
        }
        risk = await self._markets.risk()
        return await asyncio.to_thread(_for_alert, alert, account, risk, facts.get("at_risk", 0.0))

    async def _stated(self, account_id: int) -> int:
        return (await self._preferences.stated(account_id)).level_at(self._clock())


_ALERT_OF = {
    "reduce_concentration": "concentration",
    "reduce_industry": "industry_concentration",
    "cut_loss": "stop_loss",
}


def _number(account: Account, symbol: str) -> int:
    found = (number for number, held in account.holdings.items() if held.asset.symbol == symbol)
    return next(found, 0)


def _for_alert(alert: Fields, account: Account, risk: MarketRisk, told: float = 0.0) -> Draft | None:
    """The rule that answers an alert; `told` is the value at risk that advice was given for before."""
    kind, number, limit = alert["kind"], alert["subject_id"], alert["threshold"]
    severity = Severity(alert["severity"])
    if kind == "concentration":
        return rules.reduce_concentration(account, number, limit, severity, risk)
    if kind == "industry_concentration":
        return rules.reduce_industry(account, alert["subject"], limit, severity, risk)
    if kind == "stop_loss":
        return rules.cut_loss(account, number, limit, severity, risk)
    if kind == "price_limit_distance":
        return None  # at the limit there is hardly anybody to trade with
    return rules.reduce_risk(account, kind, alert["value"], limit, severity, risk, told)
