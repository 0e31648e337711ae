"""Stress tests: the house's scenarios and the user's own, on holdings with betas, industries and price limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from smartex_quant import stress

Floats = NDArray[np.float64]

LIMIT_DOWN_DAYS = 3
MARKET_SHOCK = -0.10
INDUSTRY_SHOCK = -0.20
INDUSTRIES = 3
"""The industries with the largest exposures are shocked, this many of them."""
WITHOUT_LIMIT = -0.27
"""What a holding without price limits loses while others are limit-down for three days: about as much as they."""
WORST = 5


@dataclass(frozen=True)
class Scenario:
    """A question. `key` and `industry` name the house's own; a user's has a name that the caller keeps."""

    key: str = ""
    industry: str = ""
    market: float = 0.0
    industries: Mapping[str, float] = field(default_factory=dict)
    instruments: Mapping[int, float] = field(default_factory=dict)
    limit_down_days: int = 0


@dataclass(frozen=True)
class Exposed:
    """Holdings as scenarios see them, one row each: value, beta, industry, daily price limit (NaN: none)."""

    instrument_ids: Sequence[int]
    industries: Sequence[str]
    values: Floats
    betas: Floats
    limits: Floats


@dataclass(frozen=True)
class Stressed:
    """The answer: gain of each holding (a loss is negative) and of all."""

    scenario: Scenario
    gains: Floats

    @property
    def change(self) -> float:
        """Change of the equity."""
        return float(self.gains.sum())

    def worst(self) -> list[int]:
        """Rows of the holdings that lose most, the worst first."""
        order = np.argsort(self.gains, kind="stable")[:WORST]
        return [int(row) for row in order if self.gains[row] < 0]


def house_scenarios(exposed: Exposed) -> list[Scenario]:
    """Three days limit-down, the market −10 %, and each of the largest industries −20 %."""
    sums: dict[str, float] = {}
    for name, value in zip(exposed.industries, exposed.values, strict=True):
        if name:
            sums[name] = sums.get(name, 0.0) + abs(float(value))
    largest = sorted(sums, key=lambda name: (-sums[name], name))[:INDUSTRIES]
    return [
        Scenario("limit_down_3", market=WITHOUT_LIMIT, limit_down_days=LIMIT_DOWN_DAYS),
        Scenario("market_10", market=MARKET_SHOCK),
        *(Scenario("industry_20", name, industries={name: INDUSTRY_SHOCK}) for name in largest),
    ]


def answer(exposed: Exposed, scenario: Scenario) -> Stressed:
    """What a scenario does. The most specific shock holds: instrument, industry, price limit, market."""
    if len(exposed.values) == 0:
        return Stressed(scenario, np.zeros(0))
    moves = _base(exposed, scenario)
    industries, numbers = np.array(exposed.industries), np.array(exposed.instrument_ids)
    for name, shock in scenario.industries.items():
        moves = np.where(industries == name, shock, moves)
    for number, shock in scenario.instruments.items():
        moves = np.where(numbers == number, shock, moves)
    return Stressed(scenario, stress.apply(exposed.values, moves).gains)


def _base(exposed: Exposed, scenario: Scenario) -> Floats:
    by_market = stress.market(exposed.values, scenario.market, exposed.betas).shocks
    if scenario.limit_down_days == 0:
        return by_market
    limited = stress.price_limits(
        exposed.values, exposed.limits, days=scenario.limit_down_days, otherwise=0.0
    ).shocks
    return np.where(np.isnan(exposed.limits), np.maximum(scenario.market, -1.0), limited)
