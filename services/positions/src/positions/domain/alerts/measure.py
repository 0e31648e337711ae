"""From the live book to readings: figures of accounts, and of each holding of those that need a closer look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from positions.domain.alerts.crossing import READING, Readings, readings, rounded
from positions.domain.alerts.kinds import (
    CONCENTRATION,
    DRAWDOWN,
    INDUSTRY,
    LEVERAGE,
    LOSS_TODAY,
    PRICE_LIMIT,
    STOP_LOSS,
)
from positions.domain.book import Book, Listing
from positions.domain.book.compiled import kernel
from positions.domain.book.marking import in_base
from positions.domain.book.tables import NOBODY, Tables
from positions.domain.book.valuing import NONE, Freshness, mark_source, value_at_mark
from positions.domain.limits import KINDS, Limits

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LIVE = (LOSS_TODAY, DRAWDOWN, CONCENTRATION, INDUSTRY, PRICE_LIMIT, STOP_LOSS, LEVERAGE)
"""Kinds that are judged as the book changes; value at risk has a slower timer."""

HELD = np.dtype(
    [
        ("row", "i8"),  # of the accounts asked for
        ("instrument", "i8"),
        ("industry", "i8"),
        ("value", "f8"),  # base currency
        ("loss", "f8"),  # over cost, 0.1 for 10 %
    ]
)
"""A holding with a mark."""


@dataclass(frozen=True)
class Thresholds:
    """The house's thresholds and those of accounts with their own, as rows in the order of `KINDS`."""

    house: Limits
    own: Mapping[int, Limits]

    def of(self, account_ids: Integers) -> Floats:
        """A row for each account."""
        table = np.tile(_row(self.house), (len(account_ids), 1))
        for at in np.flatnonzero(np.isin(account_ids, np.fromiter(self.own, np.int64, len(self.own)))):
            mine = _row(self.own[int(account_ids[at])])
            table[at] = np.where(np.isnan(mine), table[at], mine)
        return table


@dataclass(frozen=True)
class Places:
    """What readings need to know of instruments: by industry its lowest instrument, by instrument the distance of its
    mark to the nearer price limit over the reference price (NaN: no limits)."""

    industry_subjects: Integers
    limit_distances: Floats


def worth_a_look(figures: Any, thresholds: Floats) -> NDArray[np.bool_]:
    """Accounts with a figure at or beyond a threshold, price limits apart."""
    found = np.zeros(len(figures), bool)
    for kind, values in _of_accounts(figures).items():
        threshold = rounded(thresholds[:, kind])
        found |= (threshold > 0) & (rounded(values) >= threshold)
    return found


def read(
    tables: Tables, at: Integers, figures: Any, thresholds: Floats, freshness: Freshness, places: Places
) -> Readings:
    """All readings of the accounts at some places of the book; their figures and thresholds are in the same order."""
    ids = figures["account_id"]
    rows = [
        readings(ids, kind, 0, values, thresholds[:, kind])
        for kind, values in _of_accounts(figures).items()
        if kind in (LOSS_TODAY, DRAWDOWN, LEVERAGE)
    ]
    held = holdings(tables, at, freshness)
    equity = figures["equity"]
    owner, weight = held["row"], _over(held["value"], equity[held["row"]])
    numbers = held["instrument"]
    rows += [
        readings(ids[owner], CONCENTRATION, numbers, weight, thresholds[owner, CONCENTRATION]),
        readings(ids[owner], STOP_LOSS, numbers, held["loss"], thresholds[owner, STOP_LOSS]),
        readings(
            ids[owner], PRICE_LIMIT, numbers, places.limit_distances[numbers], thresholds[owner, PRICE_LIMIT]
        ),
        _industries(ids, held, equity, thresholds, places),
    ]
    return np.concatenate(rows) if rows else np.zeros(0, READING)


def look_closely(book: Book, at: Integers, freshness: Freshness) -> tuple[Any, NDArray[np.void]]:
    """Figures and holdings of the accounts at some places, of one moment."""
    with book.lock:
        return book.figures(at, freshness), holdings(book.tables, at, freshness)


def holdings(tables: Tables, at: Integers, freshness: Freshness) -> NDArray[np.void]:
    """Every holding with a mark of the accounts at some places."""
    rows = np.zeros(_count(tables, at), HELD)
    return rows[: _gather(tables, at, freshness, rows)]


def _of_accounts(figures: Any) -> dict[int, Floats]:
    """Figures of whole accounts by kind; those of holdings are the worst of each."""
    return {
        LOSS_TODAY: _over(-figures["profit_today"], _at_stake_today(figures)),
        DRAWDOWN: figures["drawdown"],
        CONCENTRATION: figures["largest_weight"],
        INDUSTRY: figures["largest_industry_weight"],
        STOP_LOSS: figures["worst_loss"],
        LEVERAGE: _over(figures["gross"], figures["equity"]),
    }


def _at_stake_today(figures: Any) -> Floats:
    """What could be lost today: the equity that the day began with, and what was paid in since. Who paid in today what
    they have has lost a part of that, and a loss is not large for a deposit that came after the day began."""
    began = figures["day_start_equity"]
    paid_in = figures["equity"] - began - figures["profit_today"]
    return np.asarray(began + np.maximum(paid_in, 0.0))


def _industries(ids: Integers, held: Any, equity: Floats, thresholds: Floats, places: Places) -> Readings:
    known = held[held["industry"] >= 0]
    count = max(1, len(places.industry_subjects))
    keys, place = np.unique(known["row"] * count + known["industry"], return_inverse=True)
    values = np.bincount(place, weights=known["value"], minlength=len(keys)).astype(np.float64)
    owner, industry = keys // count, keys % count
    return readings(
        ids[owner],
        INDUSTRY,
        places.industry_subjects[industry],
        _over(values, equity[owner]),
        thresholds[owner, INDUSTRY],
    )


def _over(values: Floats, whole: Floats) -> Floats:
    """A share of a whole. Where there is no whole, nothing is no part of it, and of anything else the share is not
    known: NaN. So the alerts of who has nothing left are over."""
    otherwise = np.where(values == 0, 0.0, np.nan)
    return np.asarray(np.divide(values, whole, out=otherwise, where=whole > 0))


def _row(limits: Limits) -> Floats:
    chosen = [getattr(limits, kind) for kind in KINDS]
    return np.array([np.nan if value is None else value for value in chosen])


@kernel
def _count(tables: Tables, places: Any) -> int:
    count = 0
    for row in range(len(places)):
        at = tables.accounts[places[row]]["first_holding"]
        while at != NOBODY:
            count += 1
            at = tables.holdings[at]["next"]
    return count


@kernel
def _gather(tables: Tables, places: Any, freshness: Freshness, rows: Any) -> int:
    count = 0
    for row in range(len(places)):
        at = tables.accounts[places[row]]["first_holding"]
        while at != NOBODY:
            holding = tables.holdings[at]
            number = holding["instrument"]
            source = mark_source(tables, number, freshness)
            if holding["quantity"] != 0 and source != NONE:
                micros = value_at_mark(tables, number, holding["quantity"], source)
                rows[count]["row"] = row
                rows[count]["instrument"] = number
                rows[count]["industry"] = tables.instruments[number]["industry"]
                rows[count]["value"] = in_base(tables, tables.instruments[number]["currency"], micros)
                rows[count]["loss"] = 1.0 - micros / holding["cost"] if holding["cost"] > 0 else 0.0
                count += 1
            at = holding["next"]
    return count


def warm_up() -> None:
    """Compile the kernels of this module, or load them from the cache."""
    look_closely(Book(Listing([], {}, "CNY")), np.zeros(0, np.int64), Freshness(1, 1, 1))
