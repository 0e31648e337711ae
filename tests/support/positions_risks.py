"""Markets and portfolios for the tests of risk."""

from __future__ import annotations

import numpy as np
from positions.domain.risk import History, MarketRisk, Portfolio, Position, build_history


def random_history(days: int, seed: int = 5) -> History:
    """Three instruments of 1, 2 and 3 % a day, with a common factor."""
    draw = np.random.default_rng(seed)
    factor = draw.normal(0, 0.008, (days, 1))
    moves = factor + draw.normal(0, [0.006, 0.018, 0.029], (days, 3))
    prices = 10 * np.vstack([np.ones(3), np.cumprod(1 + moves, axis=0)])
    return build_history(prices, np.full(prices.shape, 50_000.0), (1, 2, 3), ("Banks", "Steel", "Steel"))


def portfolio(
    *values: float, equity: float = 200_000.0, growth: tuple[float, ...] = (), drawdown: float = 0.0
) -> Portfolio:
    positions = [Position(n, f"S{n}", value, value / 10, 0.002) for n, value in enumerate(values, 1)]
    return Portfolio(1001, 7, 0, "CNY", equity, positions, growth, tuple(range(len(growth))), drawdown)


def risk_of(history: History) -> MarketRisk:
    return MarketRisk(history, {1: 0.1, 2: 0.2})
