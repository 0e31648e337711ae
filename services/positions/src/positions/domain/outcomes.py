"""What became of advice: whether it was taken, what it was worth, whether it helped, and a kind's public record.

"Helped" is defined for each kind of advice, whether it was taken or not, on the portfolio as it was when the advice was
given: one path of it is left alone, in the other the orders traded at the mark of then, costs paid.

- Advice against risk (`PROTECTING`): the worst drawdown over the horizon is smaller with it than without.
- `cut_loss`: the trades are worth more than doing nothing at the end of the horizon, after costs.
- Advice on a habit: its figure, measured again, has moved away from harm (`advice.habits.better`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from smartex_quant.drawdown import drawdown
from smartex_quant.statistics import wilson

PROTECTING = frozenset(
    {"reduce_concentration", "reduce_industry", "reduce_risk", "sell_unsuitable", "diversify"}
)
HORIZON_DAYS: Mapping[str, int] = {
    "reduce_concentration": 10,
    "reduce_industry": 10,
    "reduce_risk": 10,
    "sell_unsuitable": 10,
    "diversify": 20,
    "cut_loss": 10,
}
"""Calendar days after which advice is settled; habits take `HABIT_HORIZON_DAYS`."""
HABIT_HORIZON_DAYS = 60


@dataclass(frozen=True)
class Basis:
    """The portfolio when the advice was given: value of each holding and of each trade (buys positive) at the mark,
    cash, and what trading costs, all in the base currency; and the price of a unit, in the instrument's own."""

    values: Mapping[int, float]
    trades: Mapping[int, float]
    prices: Mapping[int, float]
    cash: float
    costs: float

    @property
    def equity(self) -> float:
        """Cash and holdings then."""
        return self.cash + sum(self.values.values())


@dataclass(frozen=True)
class Settled:
    """The outcome. `benefit` is what the trades added to the equity of then, after costs (0.01 for 1 %)."""

    benefit: float
    helped: bool


def horizon_days(kind: str) -> int:
    """Days after which advice of a kind is settled."""
    return HORIZON_DAYS.get(kind, HABIT_HORIZON_DAYS)


def settle(kind: str, basis: Basis, prices: Mapping[int, Sequence[float]]) -> Settled:
    """Compare the two paths. `prices` are each instrument's from the moment of the advice to the end of the horizon,
    all of the same length; an instrument without prices stays where it was."""
    length = max((len(path) for path in prices.values()), default=1)
    growth = {number: _growth(path) for number, path in prices.items()}
    still = np.ones(length)
    without = np.full(length, basis.cash)
    for number, value in basis.values.items():
        without = without + value * growth.get(number, still)
    change = np.full(length, -basis.costs)
    for number, traded in basis.trades.items():
        change = change + traded * (growth.get(number, still) - 1.0)
    change[0] = 0.0  # costs are paid after the moment of the advice
    benefit = float(change[-1]) / basis.equity if basis.equity > 0 else 0.0
    if kind in PROTECTING:
        return Settled(benefit, _worst_drawdown(without + change) < _worst_drawdown(without))
    return Settled(benefit, benefit > 0)


def taken_share(suggested_lots: int, traded_lots: int) -> float:
    """Lots traded over lots suggested, 0 to 1."""
    return min(1.0, traded_lots / suggested_lots) if suggested_lots > 0 else 0.0


def hit_rate(helped: int, settled: int) -> tuple[float, float, float]:
    """Share that helped with Wilson's score interval (1927) at 95 %. (0, 0, 1) before anything is settled."""
    if settled == 0:
        return 0.0, 0.0, 1.0
    low, share, high = wilson(helped, settled)
    return share, low, high


def _worst_drawdown(equity: NDArray[np.float64]) -> float:
    """Largest fall from a peak; 0 for an account that has nothing to lose."""
    return drawdown(equity).worst if equity[0] > 0 else 0.0


def _growth(path: Sequence[float]) -> NDArray[np.float64]:
    prices = np.asarray(path, np.float64)
    return np.asarray(prices / prices[0])
