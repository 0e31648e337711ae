"""Pure numerics of risk and behaviour. No I/O, no clock, no global random numbers."""

import importlib

from . import (
    backtests,
    beta,
    concentration,
    drawdown,
    liquidity,
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
    "load_ahead",
    "returns",
    "statistics",
    "stress",
    "var",
]


def load_ahead() -> None:
    """Import now what is otherwise imported at the first use: large parts of SciPy and scikit-learn take seconds."""
    for name in ("scipy.special", "scipy.stats", "scipy.signal", "sklearn.covariance"):
        importlib.import_module(name)
