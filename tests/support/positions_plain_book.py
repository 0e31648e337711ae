"""The book of accounts, plain and slow: Python integers, dictionaries and lists. What the compiled one must equal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_LOTS = 256
BUY = 1


@dataclass
class PlainLot:
    sequence: int
    day: int
    quantity: int
    cost: int


@dataclass
class PlainHolding:
    lots: list[PlainLot] = field(default_factory=list)
    average_cost: int = 0
    realised: int = 0
    fees: int = 0

    @property
    def quantity(self) -> int:
        return sum(lot.quantity for lot in self.lots)

    @property
    def cost(self) -> int:
        return sum(lot.cost for lot in self.lots)

    def add(self, quantity: int, cost: int, sequence: int, day: int) -> None:
        self.average_cost += cost
        if len(self.lots) >= MOST_LOTS and self.lots[-1].day == day:
            self.lots[-1].quantity += quantity
            self.lots[-1].cost += cost
        else:
            self.lots.append(PlainLot(sequence, day, quantity, cost))

    def remove(self, quantity: int) -> int:
        self.average_cost -= self.average_cost * quantity // self.quantity
        cost = 0
        while quantity:
            lot = self.lots[0]
            taken = min(quantity, lot.quantity)
            share = lot.cost * taken // lot.quantity
            lot.quantity -= taken
            lot.cost -= share
            cost += share
            quantity -= taken
            if not lot.quantity:
                del self.lots[0]
        return cost


class PlainBook:
    """Fed with events as objects, one after the other."""

    def __init__(self) -> None:
        self.tick_values: dict[int, int] = {}
        self.marks: dict[int, int] = {}
        self.cash: dict[tuple[int, int], int] = defaultdict(int)
        self.currencies: dict[int, int] = {}
        self.holdings: dict[tuple[int, int], PlainHolding] = defaultdict(PlainHolding)
        self.references: dict[int, int] = {}
        self.lasts: dict[int, int] = {}
        self.day = 1
        self.sequence = 0

    def define(self, instrument: int, tick_value: int, currency: int, reference: int) -> None:
        self.tick_values[instrument] = tick_value
        self.currencies[instrument] = currency
        self.references.setdefault(instrument, reference)

    def fold(self, events: Iterable[Any], kinds: Mapping[str, int]) -> None:
        for event in events:
            self.sequence += 1
            self._take(event, kinds)

    def _take(self, event: Any, kinds: Mapping[str, int]) -> None:
        kind, number = event.kind, event.instrument_id
        if kind == kinds["TRADE"]:
            self._trade(event)
        elif kind == kinds["CASH_DEPOSITED"]:
            self.cash[event.account_id, event.currency_id] += event.required
        elif kind == kinds["CASH_WITHDRAWN"]:
            self.cash[event.account_id, event.currency_id] -= event.required
        elif kind == kinds["SHARES_DEPOSITED"]:
            mark = self.lasts.get(number) or self.references.get(number, 0)
            cost = min(mark * event.quantity_lots * self.tick_values[number], 4 * 10**18)
            self.holdings[event.account_id, number].add(event.quantity_lots, cost, self.sequence, self.day)
        elif kind == kinds["SHARES_WITHDRAWN"]:
            self.holdings[event.account_id, number].remove(event.quantity_lots)
        elif kind == kinds["REFERENCE_PRICE_SET"]:
            self.references[number] = event.price_ticks
        elif kind == kinds["DAY_ROLLED"]:
            self.day = event.available

    def _trade(self, event: Any) -> None:
        number, quantity = event.instrument_id, event.quantity_lots
        self.lasts[number] = event.price_ticks
        value = event.price_ticks * quantity * self.tick_values[number]
        taker, maker = event.account_id, event.counter_account_id
        taking, making = event.fee_micros, event.counter_fee_micros
        buyer, seller = (taker, maker) if event.side == BUY else (maker, taker)
        buyer_fee, seller_fee = (taking, making) if event.side == BUY else (making, taking)
        sold = self.holdings[seller, number]
        proceeds = value - seller_fee - event.tax_micros
        self.cash[seller, self.currencies[number]] += proceeds
        sold.fees += seller_fee + event.tax_micros
        sold.realised += proceeds - sold.remove(quantity)
        bought = self.holdings[buyer, number]
        self.cash[buyer, self.currencies[number]] -= value + buyer_fee
        bought.fees += buyer_fee
        bought.add(quantity, value + buyer_fee, self.sequence, self.day)
