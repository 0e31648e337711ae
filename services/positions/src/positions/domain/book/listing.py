"""The instruments of the market as the book needs them, and the numbers that it gives to industries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from positions.domain.book.tables import CURRENCIES, Tables


@dataclass(frozen=True)
class Rules:
    """What an instrument's definition says. Constant for its life, but for fee and industry."""

    instrument_id: int
    symbol: str
    currency: str
    tick_value_micros: int
    """Micros of one lot at a price of one tick."""
    t1: bool
    fee_ppm: int
    """The larger of maker's and taker's fee."""
    industry: str
    reference_ticks: int
    currency_id: int = -1
    """The market's number of the currency; -1: its place among those that the listing was made with."""


class Listing:
    """Instruments, currencies and industries by number.

    Currencies have the market's own numbers; `rates` says what one unit of each is in the base currency.
    """

    def __init__(self, currencies: Iterable[str], rates: Mapping[str, float], base: str) -> None:
        self.currencies = list(currencies)[:CURRENCIES]
        self.base = base
        self.rates = dict.fromkeys(self.currencies, 1.0) | dict(rates) | {base: 1.0}
        self.industries: list[str] = []
        self.rules: dict[int, Rules] = {}

    def industry(self, name: str) -> int:
        """The number of an industry; a new one gets the next."""
        if name not in self.industries:
            self.industries.append(name)
        return self.industries.index(name)

    def learn(self, tables: Tables, rules: Rules) -> None:
        """Take a definition in. A reference price is only taken while the log has told none."""
        self.rules[rules.instrument_id] = rules
        row: Any = tables.instruments[rules.instrument_id]
        row["tick_value"] = rules.tick_value_micros
        row["currency"] = self._currency(tables, rules)
        row["t1"] = int(rules.t1)
        row["fee_ppm"] = rules.fee_ppm
        row["industry"] = self.industry(rules.industry)
        if row["reference"] == 0:
            row["reference"] = rules.reference_ticks
        row["changed"] = 1

    def _currency(self, tables: Tables, rules: Rules) -> int:
        """The number of a currency, noted with its name and rate. One that has no rate counts as the base currency."""
        number = rules.currency_id if rules.currency_id >= 0 else self.currencies.index(rules.currency)
        self.currencies += [""] * (number + 1 - len(self.currencies))
        self.currencies[number] = rules.currency
        tables.rates[number] = self.rates.setdefault(rules.currency, 1.0)
        return number

    def set_rates(self, tables: Tables) -> None:
        """Put the rates into the tables."""
        for number, code in enumerate(self.currencies):
            tables.rates[number] = self.rates.get(code, 1.0)
