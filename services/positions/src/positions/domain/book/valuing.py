"""Figures of accounts at the freshest marks, for many accounts at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from positions.domain.book.compiled import inline, kernel, product, whole
from positions.domain.book.marking import growth_at, in_base
from positions.domain.book.tables import CURRENCIES, NOBODY, Tables
from positions.domain.figures import FIGURES, MarkSource

NONE = int(MarkSource.NONE)
MID = int(MarkSource.MID)
TRADE = int(MarkSource.TRADE)
REFERENCE = int(MarkSource.REFERENCE)


class Freshness(NamedTuple):
    """How old marks may be, and when it is now."""

    now_ns: int
    mid_ns: int
    """A middle older than this is not used."""
    stale_ns: int
    """A mark older than this is stale."""


def valuate(tables: Tables, places: Any, freshness: Freshness, industries: int) -> Any:
    """A row of `FIGURES` for each account, by its place. `industries` is how many there are."""
    rows = np.zeros(len(places), FIGURES)
    _valuate(tables, np.asarray(places, np.int64), freshness, np.zeros(max(1, industries)), rows)
    return rows


@inline
def mark_source(tables: Tables, instrument: int, freshness: Freshness) -> int:
    """Where the mark of an instrument comes from now."""
    row = tables.instruments[instrument]
    if row["mid"] > 0.0 and freshness.now_ns - row["mid_time_ns"] <= freshness.mid_ns:
        return MID
    if row["last"] > 0:
        return TRADE
    return REFERENCE if row["reference"] > 0 else NONE


@inline
def mark_age(tables: Tables, instrument: int, source: int, now_ns: int) -> int:
    """Nanoseconds since a mark was made; a reference price is of the day, not of a moment."""
    row = tables.instruments[instrument]
    if source == MID:
        return max(0, now_ns - whole(row["mid_time_ns"]))
    return max(0, now_ns - whole(row["last_time_ns"])) if source == TRADE else 0


@inline
def value_at_mark(tables: Tables, instrument: int, lots: int, source: int) -> int:
    """Micros that lots are worth at the mark of a source. The middle of bid and ask may be half a tick."""
    row = tables.instruments[instrument]
    if source == MID:
        return product(int(row["mid"] * 2.0 + 0.5), lots, row["tick_value"]) // 2
    if source == TRADE:
        return product(row["last"], lots, row["tick_value"])
    return product(row["reference"], lots, row["tick_value"]) if source == REFERENCE else 0


@kernel
def mark_of(tables: Tables, instrument: int, freshness: Freshness) -> tuple[int, int]:
    """Source and age of the mark of an instrument."""
    source = mark_source(tables, instrument, freshness)
    return source, mark_age(tables, instrument, source, freshness.now_ns)


@kernel
def value_of(tables: Tables, instrument: int, lots: int, source: int) -> int:
    """`value_at_mark`, for Python."""
    return value_at_mark(tables, instrument, lots, source)


@kernel
def _valuate(tables: Tables, places: Any, freshness: Freshness, by_industry: Any, rows: Any) -> None:
    for at in range(len(places)):
        by_industry[:] = 0.0
        _figures(tables, places[at], freshness, by_industry, rows[at])


@inline
def _figures(tables: Tables, place: int, freshness: Freshness, by_industry: Any, row: Any) -> None:
    account = tables.accounts[place]
    row["account_id"] = account["account_id"]
    row["sequence"] = tables.header[0]["sequence"]
    row["time_ns"] = tables.header[0]["time_ns"]
    row["largest_industry"] = -1
    cash = 0.0
    for currency in range(CURRENCIES):
        cash += in_base(tables, currency, tables.cash[place, currency]["total"])
    largest = 0.0
    at = account["first_holding"]
    while at != NOBODY:
        largest = max(largest, _add_holding(tables, at, freshness, by_industry, row, largest))
        at = tables.holdings[at]["next"]
    row["cash"] = cash
    row["net"] = row["holdings"]
    equity = cash + row["holdings"]
    row["equity"] = equity
    row["net_deposits"] = account["net_deposits"]
    row["day_start_equity"] = account["day_start_equity"]
    row["profit_today"] = equity - account["day_start_equity"] - account["day_flow"]
    row["growth"] = growth_at(account["growth"], account["base"], equity)
    row["peak_growth"] = max(account["peak_growth"], row["growth"])
    row["drawdown"] = 1.0 - row["growth"] / row["peak_growth"]
    if equity > 0.0:
        row["largest_weight"] = largest / equity
    for industry in range(len(by_industry)):
        weight = by_industry[industry] / equity if equity > 0.0 else 0.0
        if weight > row["largest_industry_weight"]:
            row["largest_industry_weight"] = weight
            row["largest_industry"] = industry


@inline
def _add_holding(
    tables: Tables, at: int, freshness: Freshness, by_industry: Any, row: Any, largest: float
) -> float:
    holding = tables.holdings[at]
    number = holding["instrument"]
    instrument = tables.instruments[number]
    row["open_buy_value"] += in_base(tables, instrument["currency"], holding["open_buy_value"])
    row["open_sell_value"] += in_base(tables, instrument["currency"], holding["open_sell_value"])
    row["realised"] += in_base(tables, instrument["currency"], holding["realised"])
    row["fees"] += in_base(tables, instrument["currency"], holding["fees"])
    if holding["quantity"] == 0:
        return 0.0
    source = mark_source(tables, number, freshness)
    if source == NONE:
        row["unmarked"] += 1
        return 0.0
    if mark_age(tables, number, source, freshness.now_ns) > freshness.stale_ns:
        row["stale"] += 1
    micros = value_at_mark(tables, number, holding["quantity"], source)
    value = in_base(tables, instrument["currency"], micros)
    row["holdings"] += value
    row["cost"] += in_base(tables, instrument["currency"], holding["cost"])
    row["gross"] += abs(value)
    if instrument["industry"] >= 0:
        by_industry[instrument["industry"]] += value
    if value > largest:
        row["largest_instrument_id"] = number
    if holding["cost"] > 0:
        loss = 1.0 - micros / holding["cost"]
        if loss > row["worst_loss"]:
            row["worst_loss"] = loss
            row["worst_loss_instrument_id"] = number
    return value


@kernel
def _holders(tables: Tables, instrument: int, places: Any) -> int:
    count = 0
    at = tables.instruments[instrument]["first_holder"]
    while at != NOBODY:
        if tables.holdings[at]["quantity"] != 0:
            places[count] = tables.holdings[at]["account"]
            count += 1
        at = tables.holdings[at]["next_holder"]
    return count


def holders(tables: Tables, instrument: int) -> Any:
    """Places of the accounts that hold some of an instrument."""
    places = np.empty(int(tables.header[0]["accounts"]), np.int64)
    return places[: _holders(tables, instrument, places)]
