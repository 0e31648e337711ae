"""Accounts and instruments for the tests of advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from positions.domain.advice import Account, Asset, Held

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For properties on a busy machine: how long an example takes says nothing about it."""

ASSET = Asset(
    instrument_id=1,
    symbol="609018.SH",
    name_en="Xinglan Bank",
    name_zh="星澜银行",
    industry="Banks",
    risk_level=2,
    currency="CNY",
    tick_size=0.01,
    unit_value=0.01,
    price_ticks=1000,
    low_ticks=900,
    high_ticks=1100,
    bands=(),
    board_lot=100,
    sells_odd_rest=True,
    max_order_lots=1_000_000,
    fee_ppm=250,
    duty_ppm=500,
    tradable=True,
)


def asset(number: int = 1, **changes: Any) -> Asset:
    """An instrument of 10.00 a share with A-share rules, changed as said."""
    named: dict[str, Any] = {"instrument_id": number, "symbol": f"S{number}"}
    return replace(ASSET, **(named | changes))


def held(
    of: Asset, lots: int, available: int | None = None, cost: float | None = None, offered: int = 0
) -> Held:
    """A holding, all of it sellable and bought at the mark unless said otherwise."""
    sellable = lots if available is None else available
    return Held(of, lots, sellable, of.value(lots) if cost is None else cost, offered)


def account(*holdings: Held, cash: float = 0.0, sequence: int = 7) -> Account:
    """An account with cash in CNY, all of it free."""
    return Account(
        1001, sequence, {one.asset.instrument_id: one for one in holdings}, {"CNY": cash}, {"CNY": cash}
    )


class LinearRisk:
    """A model of risk with one volatility per instrument and no diversification: all can be worked out by hand."""

    known = True

    def __init__(self, shares: Mapping[int, float] | None = None, otherwise: float = 0.03) -> None:
        self._shares = shares or {}
        self._otherwise = otherwise

    def _share(self, number: int) -> float:
        return self._shares.get(number, self._otherwise)

    def value_at_risk(self, values: Mapping[int, float]) -> float:
        return sum(value * self._share(number) for number, value in values.items())

    def marginals(self, values: Mapping[int, float]) -> Mapping[int, float]:
        return {number: self._share(number) for number in values}

    def worst_stress(self, values: Mapping[int, float]) -> float:
        return -0.271 * sum(values.values())
