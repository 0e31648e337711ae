"""An account's history, built once for all detectors: decisions, FIFO round trips and daily positions."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .records import FILL, AccountRecords, Flags, Floats, Integers, Market, Rows
from .settings import HabitSettings

TRADE = np.dtype(
    [
        *[(name, FILL[name]) for name in FILL.names or ()],
        ("column", "i4"),  # of the market's matrices
        ("held", "f8"),  # units held before
        ("cost", "f8"),  # average purchase price before, without fees; NaN where nothing was held
        ("held_after", "f8"),
        ("cost_after", "f8"),
        ("episode", "i4"),  # from flat to flat in one instrument; -1 for a sale of what was never bought
    ]
)
"""A decision to trade: the fills of one order on one day, with the position around it."""

TRIP = np.dtype(
    [
        ("bought", "i4"),  # row of the buying trade
        ("sold", "i4"),  # row of the selling trade, or -1 while open
        ("quantity", "f8"),
    ]
)
"""A round trip: units of one purchase that one sale closed, first in first out, or that are still held."""

_SECOND_NS = 10**9
_DAY_SECONDS = 86_400
_DUST = 1e-9  # of a sale: what floating point leaves of a lot that was closed


@dataclass(frozen=True)
class History:
    """What an account did, and what it held at each day's end.

    `market` holds only the instruments that were traded, `whole` all of them. `quantity`, `cost` (average purchase
    price, NaN where flat) and `episode` (-1 where flat) are matrices of days x instruments traded. Units sold
    beyond those bought here (they came by transfer, say) have no cost and make no trip.
    """

    whole: Market
    market: Market
    trades: Rows
    trips: Rows
    quantity: Floats
    cost: Floats
    episode: Integers

    @property
    def buys(self) -> Rows:
        """The purchases."""
        return self.trades[self.trades["side"] > 0]

    @property
    def sells(self) -> Rows:
        """The sales of what was held."""
        return self.trades[(self.trades["side"] < 0) & (self.trades["held"] > 0)]

    @property
    def first_day(self) -> int:
        """The day of the first trade; the account is watched from there to the market's last day."""
        return int(self.trades["day"][0])

    def before(self, matrix: Floats, absent: float) -> Floats:
        """The matrix as it stood at the end of the day before."""
        return np.vstack([np.full((1, matrix.shape[1]), absent), matrix[:-1]])


def build_history(records: AccountRecords) -> History:
    """Merge fills into decisions and follow lots and average cost through them."""
    trades = merge_orders(records.fills)
    market = records.market.only(np.unique(trades["instrument_id"]))
    trades["column"] = market.columns(trades["instrument_id"])
    trips = _follow(trades)
    shape = market.closes.shape
    quantity, cost, episode = (
        _daily(trades, name, shape) for name in ("held_after", "cost_after", "episode")
    )
    flat = ~(quantity > 0)
    cost[flat] = np.nan
    episode[flat] = -1
    return History(
        records.market, market, trades, trips, np.where(flat, 0.0, quantity), cost, episode.astype(np.int64)
    )


def merge_orders(fills: Rows) -> Rows:
    """One row of `TRADE` for each order and day: first time, mean price, summed quantity and fee.

    An order counts as taking if the greater part of it took.
    """
    apart = -1 - np.arange(len(fills), dtype=np.int64)
    order = np.where(fills["order_id"] == 0, apart, fills["order_id"])
    keys = np.stack([order, fills["day"].astype(np.int64)], axis=1)
    _, first, place = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    trades = np.zeros(len(first), TRADE)
    for name in FILL.names or ():
        trades[name] = fills[name][first]

    def summed(amount: NDArray[np.float64]) -> Floats:
        return np.asarray(np.bincount(place.ravel(), amount, len(first)), np.float64)

    quantity = summed(fills["quantity"])
    trades["quantity"] = quantity
    trades["fee"] = summed(fills["fee"])
    trades["price"] = summed(fills["quantity"] * fills["price"]) / quantity
    trades["taker"] = summed(fills["quantity"] * fills["taker"]) > quantity / 2
    ordered: Rows = trades[np.argsort(first)]
    return ordered


def _follow(trades: Rows) -> Rows:
    """Fill in the position around each trade; return the trips."""
    positions: defaultdict[int, _Position] = defaultdict(_Position)
    trips: list[tuple[int, int, float]] = []
    episodes = 0
    around = np.empty((len(trades), 5))
    columns = (trades[name].tolist() for name in ("column", "side", "price", "quantity"))
    for row, (column, side, price, quantity) in enumerate(zip(*columns, strict=True)):
        position = positions[column]
        held, cost = position.held, position.cost
        if side > 0 and not position.lots:
            position.episode, episodes = episodes, episodes + 1
        episode = position.episode if held or side > 0 else -1
        if side > 0:
            position.buy(row, price, quantity)
        else:
            trips += [(bought, row, units) for bought, units in position.sell(quantity)]
        around[row] = held, cost, position.held, position.cost, episode
    for place, name in enumerate(("held", "cost", "held_after", "cost_after", "episode")):
        trades[name] = around[:, place]
    still = [(int(bought), -1, units) for position in positions.values() for bought, units in position.lots]
    return np.array(trips + still, TRIP)


@dataclass
class _Position:
    """What is held of one instrument: lots (row of the purchase, units), the oldest first, and their average cost."""

    lots: deque[list[float]] = field(default_factory=deque)
    held: float = 0.0
    cost: float = np.nan
    episode: int = -1

    def buy(self, row: int, price: float, quantity: float) -> None:
        """Add a lot."""
        spent = self.held * self.cost if self.held else 0.0
        self.held += quantity
        self.cost = (spent + quantity * price) / self.held
        self.lots.append([row, quantity])

    def sell(self, quantity: float) -> list[tuple[int, float]]:
        """Take the oldest units, as many as there are: of each lot its purchase and how many."""
        taken = []
        dust = _DUST * quantity
        left = quantity
        while self.lots and left > dust:
            lot = self.lots[0]
            units = min(lot[1], left)
            taken.append((int(lot[0]), units))
            left -= units
            lot[1] -= units
            if lot[1] <= dust:
                self.lots.popleft()
        self.held -= quantity
        if not self.lots:
            self.held, self.cost = 0.0, np.nan
        return taken


def _daily(trades: Rows, name: str, shape: tuple[int, ...]) -> Floats:
    """The value after each day's last trade, carried on to the days without one; NaN before the first."""
    last = np.full(shape, -1)
    last[trades["day"], trades["column"]] = np.arange(len(trades))  # of equal places the last one stays
    last = np.maximum.accumulate(last, axis=0)
    return np.where(last >= 0, trades[name][last].astype(np.float64), np.nan)


def held_before(history: History) -> Flags:
    """Days x instruments: whether it was held when the day began."""
    return np.asarray(history.before(history.quantity, 0.0) > 0)


def seconds_of_day(history: History) -> Floats:
    """Each trade's time of day in the exchange's time zone, in seconds."""
    offset = history.market.utc_offset_seconds[history.trades["day"]]
    return np.asarray((history.trades["time_ns"] / _SECOND_NS + offset) % _DAY_SECONDS)


def moments(history: History, settings: HabitSettings) -> Floats:
    """Each trade's time in trading days: the day's row, and the part of the session gone by."""
    session = settings.close_seconds - settings.open_seconds
    part = (seconds_of_day(history) - settings.open_seconds) / session
    return np.asarray(history.trades["day"] + np.clip(part, 0.0, 1.0))
