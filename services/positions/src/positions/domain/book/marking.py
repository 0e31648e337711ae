"""What instruments and accounts are worth by what the log says: last trade, else reference price.

Live figures may use fresher marks (`valuing`); what is kept must not depend on when somebody looked.
"""

from __future__ import annotations

from positions.domain.book.compiled import inline, product, whole
from positions.domain.book.tables import CURRENCIES, NOBODY, Tables

MICROS = 1_000_000.0


@inline
def mark_ticks(tables: Tables, instrument: int) -> int:
    """The last trade's price of an instrument, else its reference price; 0 if neither is known."""
    row = tables.instruments[instrument]
    return whole(row["last"] if row["last"] > 0 else row["reference"])


@inline
def worth(tables: Tables, instrument: int, lots: int) -> int:
    """Micros of the instrument's currency that lots are worth at the mark."""
    return product(mark_ticks(tables, instrument), lots, tables.instruments[instrument]["tick_value"])


@inline
def in_base(tables: Tables, currency: int, micros: int) -> float:
    """An amount in the base currency."""
    return micros / MICROS * float(tables.rates[currency])


@inline
def equity_of(tables: Tables, account: int) -> float:
    """Cash and holdings of an account in the base currency."""
    equity = 0.0
    for currency in range(CURRENCIES):
        equity += in_base(tables, currency, tables.cash[account, currency]["total"])
    place = tables.accounts[account]["first_holding"]
    while place != NOBODY:
        holding = tables.holdings[place]
        instrument = holding["instrument"]
        value = worth(tables, instrument, holding["quantity"])
        equity += in_base(tables, tables.instruments[instrument]["currency"], value)
        place = holding["next"]
    return equity


@inline
def growth_at(growth: float, base: float, equity: float) -> float:
    """Time-weighted growth at an equity: the chain up to the last flow times what has grown since."""
    return growth * equity / base if base > 0.0 else growth


@inline
def take_flow(tables: Tables, account: int, amount: float) -> None:
    """Note that money or shares come in (or go out, negative), before balances change (chain-linked returns)."""
    row = tables.accounts[account]
    equity = equity_of(tables, account)
    row["growth"] = growth_at(row["growth"], row["base"], equity)
    row["peak_growth"] = max(row["peak_growth"], row["growth"])
    row["base"] = max(0.0, equity + amount)
    row["net_deposits"] += amount
    row["day_flow"] += amount
    row["changed"] = 1
    row["touched"] = 1
    row["active"] = 1
