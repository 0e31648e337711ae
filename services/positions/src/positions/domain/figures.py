"""What is known of accounts: a row of figures for each of many, and one account in full.

`valuing.valuate` makes rows of `FIGURES` for any number of accounts at once, for alerts and rankings; `views.view`
makes a `PortfolioView` of one, for people. Figures are floats in the base currency, views are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

FIGURES = np.dtype(
    [
        ("account_id", "i8"),
        ("sequence", "i8"),  # of the market, that the row is as of
        ("time_ns", "i8"),  # time of the market
        ("equity", "f8"),
        ("cash", "f8"),
        ("holdings", "f8"),  # signed value
        ("gross", "f8"),  # sum of absolute values
        ("net", "f8"),
        ("day_start_equity", "f8"),
        ("profit_today", "f8"),  # deposits and withdrawals taken out
        ("growth", "f8"),  # of one unit of money since the beginning, time-weighted
        ("peak_growth", "f8"),
        ("drawdown", "f8"),  # 1 - growth / peak_growth
        ("largest_weight", "f8"),  # of one instrument, over equity
        ("largest_instrument_id", "i8"),
        ("largest_industry_weight", "f8"),
        ("largest_industry", "i8"),  # number of the industry, see `Listing.industries`; -1: none
        ("worst_loss", "f8"),  # largest loss of a holding over its cost, 0.1 for 10 %; 0: none loses
        ("worst_loss_instrument_id", "i8"),
        ("open_buy_value", "f8"),
        ("open_sell_value", "f8"),
        ("unmarked", "i8"),  # holdings without a mark, left out
        ("stale", "i8"),  # holdings with a stale mark
        ("cost", "f8"),  # of holdings with a mark, first in, first out
        ("realised", "f8"),  # since the beginning, of holdings that are gone too
        ("fees", "f8"),
        ("net_deposits", "f8"),
    ],
    align=True,
)
"""One account at a glance. Money in units of the base currency."""


class MarkSource(IntEnum):
    """Where a mark comes from; the numbers are those of the contract."""

    NONE = 0
    MID = 1
    TRADE = 2
    REFERENCE = 3


@dataclass(frozen=True)
class MarkView:
    """The price that a holding is valued at."""

    price_ticks: float
    """May lie between two ticks (the middle of bid and ask). NaN: nothing is known."""
    source: MarkSource
    age_ns: int
    stale: bool


@dataclass(frozen=True)
class LotView:
    """What is left of one purchase."""

    sequence: int
    open_time_ns: int
    quantity_lots: int
    cost_micros: int


@dataclass(frozen=True)
class PositionView:
    """A holding of one instrument, exact: lots, and money in micros of the instrument's currency."""

    instrument_id: int
    quantity_lots: int
    held_lots: int
    """Bound by open sells."""
    bought_today_lots: int
    """Not sellable before the next trading day (T+1)."""
    fifo_cost_micros: int
    average_cost_micros: int
    """Cost of all that is held by the method of average cost."""
    realised_micros: int
    fees_micros: int
    """Fees and duty so far."""
    value_micros: int
    """At the mark; 0 without one."""
    profit_today_micros: int
    mark: MarkView
    open_buy_lots: int
    open_buy_micros: int
    open_sell_micros: int
    rate: float
    """Base currency for one unit of its currency."""
    weight: float
    """Value over equity."""
    lots: Sequence[LotView]
    """Oldest first."""

    @property
    def available_lots(self) -> int:
        """What may be sold now."""
        return self.quantity_lots - self.held_lots - self.bought_today_lots

    @property
    def unrealised_micros(self) -> int:
        """Value less cost by first in, first out; 0 without a mark."""
        return 0 if self.mark.source is MarkSource.NONE else self.value_micros - self.fifo_cost_micros


@dataclass(frozen=True)
class GoneView:
    """What is left to say of a holding that is gone, in micros of the instrument's currency."""

    instrument_id: int
    realised_micros: int
    fees_micros: int
    profit_today_micros: int
    rate: float


@dataclass(frozen=True)
class CashView:
    """Cash of one currency, in micros."""

    currency: str
    total_micros: int
    held_micros: int
    """Bound by open buys."""
    rate: float
    """Base currency for one unit."""


@dataclass(frozen=True)
class PortfolioView:
    """One account as of one event of the market."""

    account_id: int
    sequence: int
    time_ns: int
    base_currency: str
    positions: Sequence[PositionView]
    """Largest absolute value first; those without lots are left out."""
    cash: Sequence[CashView]
    figures: np.void
    """Its row of `FIGURES`."""
    gone: Sequence[GoneView]
    """Holdings that are no more."""
    open_orders: int
