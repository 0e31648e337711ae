"""Pure numerics of risk and behaviour. No I/O, no clock, no global random numbers."""

from . import (
    backtests,
    beta,
    concentration,
    drawdown,
    liquidity,
    performance,
    returns,
    statistics,
    stress,
    var,
)
from .errors import HistoryTooShortError, InvalidInputError, QuantError

__all__ = [
    "HistoryTooShortError",
    "InvalidInputError",
    "QuantError",
    "backtests",
    "beta",
    "concentration",
    "drawdown",
    "liquidity",
    "performance",
    "returns",
    "statistics",
    "stress",
    "var",
]
