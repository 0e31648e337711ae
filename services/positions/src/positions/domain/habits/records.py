"""What the habits are measured from: an account's fills and the market around them, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.void]

FILL = np.dtype(
    [
        ("time_ns", "i8"),  # UTC
        ("day", "i4"),  # row of the market's matrices
        ("instrument_id", "i8"),
        (
            "order_id",
            "i8",
        ),  # fills of one order on one day are one decision; 0: not known, a decision of its own
        ("side", "i1"),  # +1 buys, -1 sells
        ("price", "f8"),  # money per unit
        ("quantity", "f8"),  # units
        ("fee", "f8"),  # money; negative is a rebate
        ("taker", "?"),  # took liquidity
        ("market", "?"),  # was a market order
        ("mid", "f8"),  # mid or last price just before the trade; NaN where not known
    ]
)
"""A fill of the account."""

FLOW = np.dtype([("day", "i4"), ("amount", "f8")])
"""Cash put in (positive) or taken out (negative), in money."""


class RecordError(ValueError):
    """Records that cannot be measured: `field` names what is wrong, the message says how to mend it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.field = name


@dataclass(frozen=True)
class Market:
    """The market by trading day (row) and instrument (column); days ascend, NaN is a day without a price.

    `industries` holds each instrument's column of `industry_returns`, or -1. Returns are simple, close to
    close, as shares (0.01 is 1 %). `highs` and `lows` may be absent. `utc_offset_seconds` turns UTC into the
    exchange's time on each day, so that daylight saving is the matter of the caller's calendar. So are splits and
    dividends: prices and quantities are given adjusted alike.
    """

    instrument_ids: Integers
    closes: Floats
    industries: Integers
    industry_returns: Floats
    market_returns: Floats
    utc_offset_seconds: Integers
    highs: Floats | None = None
    lows: Floats | None = None

    @property
    def days(self) -> int:
        """Number of trading days."""
        return len(self.closes)

    def columns(self, instrument_ids: Integers) -> Integers:
        """Columns of the given instruments, which must be known."""
        order = np.argsort(self.instrument_ids)
        return order[np.searchsorted(self.instrument_ids, instrument_ids, sorter=order)]

    def only(self, instrument_ids: Integers) -> Market:
        """The market of the given instruments alone."""
        columns = self.columns(instrument_ids)
        return replace(
            self,
            instrument_ids=instrument_ids,
            closes=self.closes[:, columns],
            industries=self.industries[columns],
            highs=None if self.highs is None else self.highs[:, columns],
            lows=None if self.lows is None else self.lows[:, columns],
        )


@dataclass(frozen=True)
class AccountRecords:
    """All of one account, from its first fill to the market's last day.

    `flows` (rows of `FLOW`) make the account's whole equity the measure of its turnover; without them it is
    the value of its holdings. `home_industry` is the industry the investor says to know, if any.
    """

    fills: Rows
    market: Market
    flows: Rows = field(default_factory=lambda: np.zeros(0, FLOW))
    home_industry: int | None = None


def check(records: AccountRecords) -> None:
    """Raise `RecordError` for records that do not fit together."""
    _check_market(records.market)
    _check_fills(records.fills, records.market)
    flows = records.flows
    _require(flows.dtype == FLOW, "flows", "give an array of dtype FLOW")
    _require(_within(flows["day"], records.market.days), "flows.day", "give rows of the market's matrices")
    _require(bool(np.isfinite(flows["amount"]).all()), "flows.amount", "give finite money")
    home = records.home_industry
    known = home is None or 0 <= home < records.market.industry_returns.shape[1]
    _require(known, "home_industry", "give a column of market.industry_returns, or None")


def _check_market(market: Market) -> None:
    _require(market.closes.ndim == 2, "market.closes", "give a matrix of days x instruments")
    days, instruments = market.closes.shape
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "instrument_ids": (market.instrument_ids.shape, (instruments,)),
        "industries": (market.industries.shape, (instruments,)),
        "market_returns": (market.market_returns.shape, (days,)),
        "utc_offset_seconds": (market.utc_offset_seconds.shape, (days,)),
        "industry_returns": (market.industry_returns.shape[:1], (days,)),
    }
    for name, (shape, expected) in shapes.items():
        _require(shape == expected, f"market.{name}", f"give shape {expected}, not {shape}")
    wide = market.industry_returns.ndim == 2 and market.industry_returns.shape[1] > 0
    _require(wide, "market.industry_returns", "give a matrix of days x industries, one at least")
    for name, returns in (("industry", market.industry_returns), ("market", market.market_returns)):
        finite = bool((np.isfinite(returns) & (returns > -1)).all())
        _require(finite, f"market.{name}_returns", "give finite returns above -1, 0 where not known")
    for name, extremes in (("highs", market.highs), ("lows", market.lows)):
        right = extremes is None or extremes.shape == market.closes.shape
        _require(right, f"market.{name}", "give the shape of market.closes, or None")
    _require((market.highs is None) == (market.lows is None), "market.highs", "give highs and lows together")
    _require(not bool((market.closes <= 0).any()), "market.closes", "give prices above zero, NaN where none")
    unique = len(np.unique(market.instrument_ids)) == instruments
    _require(unique, "market.instrument_ids", "give every instrument once")
    industries = market.industries
    known = bool(((industries >= -1) & (industries < market.industry_returns.shape[1])).all())
    _require(known, "market.industries", "give columns of market.industry_returns, or -1")


def _check_fills(fills: Rows, market: Market) -> None:
    _require(fills.dtype == FILL, "fills", "give an array of dtype FILL")
    _require(bool((np.diff(fills["time_ns"]) >= 0).all()), "fills.time_ns", "give fills ascending by time")
    _require(bool((np.diff(fills["day"]) >= 0).all()), "fills.day", "give days that ascend with time")
    _require(_within(fills["day"], market.days), "fills.day", "give rows of the market's matrices")
    _require(bool((np.abs(fills["side"]) == 1).all()), "fills.side", "give +1 or -1")
    for name in ("price", "quantity"):
        positive = bool((np.isfinite(fills[name]) & (fills[name] > 0)).all())
        _require(positive, f"fills.{name}", "give finite numbers above zero")
    _require(bool(np.isfinite(fills["fee"]).all()), "fills.fee", "give finite money")
    known = bool(np.isin(fills["instrument_id"], market.instrument_ids).all())
    _require(known, "fills.instrument_id", "give instruments of market.instrument_ids")


def _within(rows: NDArray[np.int32], days: int) -> bool:
    return bool(((rows >= 0) & (rows < days)).all())


def _require(right: bool, name: str, message: str) -> None:
    if not right:
        raise RecordError(name, message)
