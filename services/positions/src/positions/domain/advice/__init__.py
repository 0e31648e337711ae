"""Advice: rules that turn an account and a finding into a draft with orders, evidence and a what-if."""

from positions.domain.advice.account import BUY, SELL, Account, Asset, Held, Order
from positions.domain.advice.buying import diversify
from positions.domain.advice.draft import Draft
from positions.domain.advice.habits import habit_advice
from positions.domain.advice.selling import (
    cut_loss,
    reduce_concentration,
    reduce_industry,
    reduce_risk,
    sell_unsuitable,
)
from positions.domain.advice.waiting import Waiting, waiting_for
from positions.domain.advice.what_if import Figure, RiskModel, compare, figures

__all__ = [
    "BUY",
    "SELL",
    "Account",
    "Asset",
    "Draft",
    "Figure",
    "Held",
    "Order",
    "RiskModel",
    "Waiting",
    "compare",
    "cut_loss",
    "diversify",
    "figures",
    "habit_advice",
    "reduce_concentration",
    "reduce_industry",
    "reduce_risk",
    "sell_unsuitable",
    "waiting_for",
]
