"""The figures that advice changes, before and after, from one function for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from smartex_quant.concentration import hhi

from positions.domain.advice.account import Account

SHARE, MONEY, INDEX = "share", "money", "index"


class RiskModel(Protocol):
    """Tail risk of holdings, by instrument. `known` is False where it stands on assumptions, not on history."""

    known: bool

    def value_at_risk(self, values: Mapping[int, float]) -> float:
        """1-day 95 % value at risk of holdings in money."""

    def marginals(self, values: Mapping[int, float]) -> Mapping[int, float]:
        """Change of the value at risk for one more unit of money in each holding."""

    def worst_stress(self, values: Mapping[int, float]) -> float:
        """Change of value in the worst of the house's scenarios, negative."""


@dataclass(frozen=True)
class Figure:
    """A figure before and after."""

    key: str
    unit: str
    before: float
    after: float


def figures(account: Account, risk: RiskModel) -> dict[str, tuple[str, float]]:
    """Figures of an account by key, with their units."""
    values = {number: held.value for number, held in account.holdings.items()}
    largest = max(values.values(), default=0.0)
    found = {
        "largest_weight": (SHARE, account.weight(largest)),
        "hhi": (INDEX, hhi(list(values.values()))),
        "leverage": (SHARE, account.weight(account.gross)),
        "worst_stress": (MONEY, risk.worst_stress(values)),
    }
    if risk.known:
        found["value_at_risk"] = (MONEY, risk.value_at_risk(values))
    return found


def compare(before: Account, after: Account, risk: RiskModel) -> tuple[Figure, ...]:
    """Every figure of both."""
    first, second = figures(before, risk), figures(after, risk)
    return tuple(Figure(key, unit, value, second[key][1]) for key, (unit, value) in first.items())
