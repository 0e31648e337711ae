"""One account in full, exact, for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from positions.domain.book.listing import Listing
from positions.domain.book.marking import MICROS
from positions.domain.book.tables import CURRENCIES, NOBODY, Tables
from positions.domain.book.valuing import Freshness, mark_of, valuate, value_of
from positions.domain.figures import (
    CashView,
    GoneView,
    LotView,
    MarkSource,
    MarkView,
    PortfolioView,
    PositionView,
)


def view(
    tables: Tables, listing: Listing, place: int, freshness: Freshness, *, lots: bool = True
) -> PortfolioView:
    """The account at a place. `lots`: with what is left of each purchase."""
    figures = valuate(tables, [place], freshness, len(listing.industries))[0]
    account = tables.accounts[place]
    rows = list(_holdings(tables, int(account["first_holding"])))
    positions = [
        _position(tables, row, freshness, float(figures["equity"]), lots=lots)
        for row in rows
        if row["quantity"] or row["open_buy_lots"]
    ]
    return PortfolioView(
        account_id=int(account["account_id"]),
        sequence=int(tables.header[0]["sequence"]),
        time_ns=int(tables.header[0]["time_ns"]),
        base_currency=listing.base,
        positions=sorted(positions, key=lambda each: (-abs(each.weight), each.instrument_id)),
        cash=list(_cash(tables, listing, place)),
        figures=figures,
        gone=[_gone(tables, row) for row in rows if not (row["quantity"] or row["open_buy_lots"])],
        open_orders=int(account["open_orders"]),
    )


def _holdings(tables: Tables, at: int) -> Iterator[Any]:
    while at != NOBODY:
        row = tables.holdings[at]
        yield row
        at = int(row["next"])


def _gone(tables: Tables, row: Any) -> GoneView:
    return GoneView(
        int(row["instrument"]),
        int(row["realised"]),
        int(row["fees"]),
        -int(row["day_start_value"]) - int(row["day_flow"]),
        float(tables.rates[tables.instruments[row["instrument"]]["currency"]]),
    )


def _position(tables: Tables, row: Any, freshness: Freshness, equity: float, *, lots: bool) -> PositionView:
    number = int(row["instrument"])
    mark = mark_view(tables, number, freshness)
    value = int(value_of(tables, number, int(row["quantity"]), int(mark.source)))
    rate = float(tables.rates[tables.instruments[number]["currency"]])
    return PositionView(
        instrument_id=number,
        quantity_lots=int(row["quantity"]),
        held_lots=int(row["held"]),
        bought_today_lots=int(row["bought_today"]),
        fifo_cost_micros=int(row["cost"]),
        average_cost_micros=int(row["average_cost"]),
        realised_micros=int(row["realised"]),
        fees_micros=int(row["fees"]),
        value_micros=value,
        profit_today_micros=value - int(row["day_start_value"]) - int(row["day_flow"]),
        mark=mark,
        open_buy_lots=int(row["open_buy_lots"]),
        open_buy_micros=int(row["open_buy_value"]),
        open_sell_micros=int(row["open_sell_value"]),
        rate=rate,
        weight=value / MICROS * rate / equity if equity > 0 else 0.0,
        lots=list(lots_of(tables, row)) if lots else (),
    )


def mark_view(tables: Tables, instrument: int, freshness: Freshness) -> MarkView:
    """The mark of an instrument now."""
    row = tables.instruments[instrument]
    found, age = mark_of(tables, instrument, freshness)
    source = MarkSource(found)
    ticks = {
        MarkSource.MID: float(row["mid"]),
        MarkSource.TRADE: float(row["last"]),
        MarkSource.REFERENCE: float(row["reference"]),
    }.get(source, np.nan)
    return MarkView(ticks, source, int(age), age > freshness.stale_ns)


def lots_of(tables: Tables, holding: Any) -> Iterator[LotView]:
    """Lots of a holding, oldest first."""
    at = int(holding["first_lot"])
    while at != NOBODY:
        lot = tables.lots[at]
        yield LotView(int(lot["sequence"]), int(lot["time_ns"]), int(lot["quantity"]), int(lot["cost"]))
        at = int(lot["next"])


def _cash(tables: Tables, listing: Listing, place: int) -> Iterator[CashView]:
    for currency in range(min(CURRENCIES, len(listing.currencies))):
        row = tables.cash[place, currency]
        if row["total"] or row["held"]:
            code = listing.currencies[currency]
            yield CashView(code, int(row["total"]), int(row["held"]), float(tables.rates[currency]))
