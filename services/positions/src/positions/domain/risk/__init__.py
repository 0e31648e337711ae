"""The risk of a portfolio: history, models of tail risk, stress tests, and the report of all of them."""

from positions.domain.risk.history import History, build_history
from positions.domain.risk.model import MarketRisk
from positions.domain.risk.report import Portfolio, Position, RiskReport, make_report
from positions.domain.risk.scenarios import Scenario

__all__ = [
    "History",
    "MarketRisk",
    "Portfolio",
    "Position",
    "RiskReport",
    "Scenario",
    "build_history",
    "make_report",
]
