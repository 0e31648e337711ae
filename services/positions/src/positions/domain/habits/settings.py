"""What the habits are measured with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

MINIMUMS: Mapping[str, int] = MappingProxyType(
    {
        "disposition": 20,
        "turnover": 20,
        "holding_time": 20,
        "chasing": 20,
        "panic": 20,
        "overtrading": 20,
        "averaging_down": 20,
        "loss_cutting": 20,
        "time_of_day": 20,
        "aggressiveness": 20,
        "hit_rate": 20,
        "payoff": 20,
        "familiarity": 20,
    }
)
"""The least sample of each habit; below it there is too little to tell. What is counted stands with each detector."""


@dataclass(frozen=True)
class HabitSettings:
    """Windows and thresholds, in trading days, shares and seconds of the exchange's day."""

    confidence: float = 0.95
    trading_days_per_year: int = 244
    lookback_days: int = 5
    """A rise or fall is the return over so many days, up to the close before the trade."""
    after_loss_days: int = 3
    """So many days after a realised loss count as following it."""
    loss_cut: float = 0.08
    """A loser is cut in time if it is sold before its close stands this far below cost (O'Neil's 7-8 % rule)."""
    open_seconds: int = 34_200
    """When the exchange opens: 09:30."""
    close_seconds: int = 54_000
    """When the exchange closes: 15:00."""
    edge_seconds: int = 1_800
    """The first and the last so many seconds are the edges of the day."""
    expertise_trips: int = 10
    """The least number of trips in an industry to say anything of expertise."""
    expertise_spread: float = 0.10
    """How far true expertise, a year's excess, lies from none (standard deviation)."""
    minimums: Mapping[str, int] = field(default_factory=lambda: MINIMUMS)

    def __post_init__(self) -> None:
        """Raise ValueError for settings that mean nothing."""
        right = {
            "confidence: between 0 and 1": 0 < self.confidence < 1,
            "days: at least 1": min(self.trading_days_per_year, self.lookback_days, self.after_loss_days)
            >= 1,
            "loss_cut: between 0 and 1": 0 < self.loss_cut < 1,
            "open_seconds: before close_seconds": self.open_seconds < self.close_seconds,
            "edge_seconds: above 0": self.edge_seconds > 0,
            "expertise_spread: above 0": self.expertise_spread > 0,
            "minimums: one of every habit": set(self.minimums) == set(MINIMUMS),
        }
        for what, holds in right.items():
            if not holds:
                raise ValueError(what)
