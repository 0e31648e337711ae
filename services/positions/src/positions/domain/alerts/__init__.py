"""Alerts: figures against thresholds, with hysteresis, one standing alert for each cause, and escalation.

rows = readings(accounts, CONCENTRATION, instruments, weights, thresholds)
transitions = standing.judge(rows, accounts, [CONCENTRATION], now_ns, sequence)
standing.apply(transitions)        # once they are durable
"""

from positions.domain.alerts.crossing import READING, readings
from positions.domain.alerts.kinds import (
    ALL,
    CONCENTRATION,
    DRAWDOWN,
    INDUSTRY,
    LEVERAGE,
    LOSS_TODAY,
    PRICE_LIMIT,
    STOP_LOSS,
    VALUE_AT_RISK,
    Severity,
)
from positions.domain.alerts.standing import Change, Standing, StandingAlerts, Transition, alert_id

__all__ = [
    "ALL",
    "CONCENTRATION",
    "DRAWDOWN",
    "INDUSTRY",
    "LEVERAGE",
    "LOSS_TODAY",
    "PRICE_LIMIT",
    "READING",
    "STOP_LOSS",
    "VALUE_AT_RISK",
    "Change",
    "Severity",
    "Standing",
    "StandingAlerts",
    "Transition",
    "alert_id",
    "readings",
]
