"""An account as advice sees it: what it holds, at what it can be traded, and what trades would make of it.

Money is in the account's base currency, as floats: advice is about shares of a whole, and its orders are whole lots.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

MILLION = 1_000_000
BUY, SELL = 1, 2


@dataclass(frozen=True)
class Asset:
    """An instrument and the rules that an order for it must keep.

    `unit_value` is what one lot is worth at a price of one tick, in the base currency; `tick_size` is what a unit is
    worth at it in the instrument's own. `low_ticks` and `high_ticks` are the day's limits. `bands` are (first price,
    step), ascending; empty: every tick is a price.
    """

    instrument_id: int
    symbol: str
    name_en: str
    name_zh: str
    industry: str
    risk_level: int
    currency: str
    tick_size: float
    unit_value: float
    price_ticks: float
    low_ticks: int
    high_ticks: int
    bands: tuple[tuple[int, int], ...]
    board_lot: int
    sells_odd_rest: bool
    max_order_lots: int
    fee_ppm: int
    duty_ppm: int
    tradable: bool

    @property
    def unit_price(self) -> float:
        """Price of a unit at the mark, in the instrument's own currency."""
        return self.price_ticks * self.tick_size

    def value(self, lots: float) -> float:
        """What lots are worth at the mark."""
        return lots * self.price_ticks * self.unit_value

    def cost(self, side: int, lots: float) -> float:
        """Fee, and duty of a sale, of trading lots at the mark."""
        ppm = self.fee_ppm + (self.duty_ppm if side == SELL else 0)
        return self.value(lots) * ppm / MILLION


@dataclass(frozen=True)
class Held:
    """Lots held of an asset, those that may be sold now, and what all of them cost. `offered_lots` are bound by the
    investor's own open sells; they are none of those that may be sold."""

    asset: Asset
    lots: int
    available_lots: int
    cost: float
    offered_lots: int = 0

    @property
    def value(self) -> float:
        """What it is worth at the mark."""
        return self.asset.value(self.lots)

    @property
    def loss(self) -> float:
        """Loss over cost, 0.1 for 10 %; negative for a profit."""
        return 1.0 - self.value / self.cost if self.cost > 0 else 0.0


@dataclass(frozen=True)
class Order:
    """An order that is suggested: whole lots at a limit."""

    asset: Asset
    side: int
    lots: int
    price_ticks: int


@dataclass(frozen=True)
class Account:
    """Holdings by instrument and cash by currency, all in the base currency. `bids` are what open orders would buy."""

    account_id: int
    sequence: int
    holdings: Mapping[int, Held]
    cash: Mapping[str, float]
    free_cash: Mapping[str, float]
    bids: Collection[int] = ()

    @property
    def equity(self) -> float:
        """Cash and holdings."""
        return sum(self.cash.values()) + self.gross

    @property
    def gross(self) -> float:
        """Holdings."""
        return sum(held.value for held in self.holdings.values())

    def weight(self, value: float) -> float:
        """A value over equity; 0 where there is no equity to compare with."""
        equity = self.equity
        return value / equity if equity > 0 else 0.0

    def by_value(self) -> Sequence[Held]:
        """Holdings, largest first; of equal ones the lower number first."""
        return sorted(self.holdings.values(), key=lambda held: (-held.value, held.asset.instrument_id))

    def of_industry(self, industry: str) -> Sequence[Held]:
        """Holdings of an industry, largest first."""
        return [held for held in self.by_value() if held.asset.industry == industry]

    def after(self, orders: Iterable[Order]) -> Account:
        """The account once the orders have traded at the mark, fees and duty paid."""
        holdings, cash, free = dict(self.holdings), dict(self.cash), dict(self.free_cash)
        for order in orders:
            _trade(holdings, order)
            asset, sign = order.asset, 1 if order.side == SELL else -1
            moved = sign * asset.value(order.lots) - asset.cost(order.side, order.lots)
            for purse in (cash, free):
                purse[asset.currency] = purse.get(asset.currency, 0.0) + moved
        return replace(self, holdings=holdings, cash=cash, free_cash=free)

    def once_sold(self) -> Account:
        """The account once its open sells have traded at the mark: what they sell need not be sold again."""
        freed = {
            number: replace(held, available_lots=held.available_lots + held.offered_lots, offered_lots=0)
            for number, held in self.holdings.items()
        }
        offers = [
            Order(held.asset, SELL, held.offered_lots, 0)
            for held in self.holdings.values()
            if held.offered_lots
        ]
        return replace(self, holdings=freed).after(offers) if offers else self


def _trade(holdings: dict[int, Held], order: Order) -> None:
    asset, lots = order.asset, order.lots
    held = holdings.get(asset.instrument_id, Held(asset, 0, 0, 0.0))
    if order.side == BUY:
        cost = held.cost + asset.value(lots) + asset.cost(BUY, lots)
        holdings[asset.instrument_id] = replace(held, lots=held.lots + lots, cost=cost)
    elif held.lots == lots:
        del holdings[asset.instrument_id]
    else:
        left = held.lots - lots
        holdings[asset.instrument_id] = replace(
            held, lots=left, available_lots=held.available_lots - lots, cost=held.cost * left / held.lots
        )
