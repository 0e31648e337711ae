"""The market's instruments for people: names, limits of the day, and what advice needs to size orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray
from smartex.matching.v1.types_pb2 import ODD_LOT_RULE_SELL_REST, TRADING_STATE_OPEN, Instrument

from positions import wording
from positions.domain.advice import Asset
from positions.domain.alerts import ALL, INDUSTRY
from positions.domain.book import Book
from positions.domain.figures import MarkView
from positions.notices import Subject
from positions.texts import Text

MILLION = 1_000_000
NO_SUBJECT = Subject("", Text("", ""))


class Instruments:
    """Definitions by number, as the venue tells them."""

    def __init__(self) -> None:
        self._known: dict[int, Instrument] = {}
        self._limited = np.zeros(0, np.int64)
        """Those with price limits, and beside them the limits and the largest prices."""
        self._limits_ppm = np.zeros(0, np.int64)
        self._largest_ticks = np.zeros(0, np.int64)

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """Take definitions in, new or changed."""
        self._known |= {one.instrument_id: one for one in instruments}
        limited = [one for one in self._known.values() if one.price_limit_ppm]
        self._limited = np.array([one.instrument_id for one in limited], np.int64)
        self._limits_ppm = np.array([one.price_limit_ppm for one in limited], np.int64)
        self._largest_ticks = np.array([one.max_price_ticks for one in limited], np.int64)

    def set_state(self, instrument_id: int, state: int) -> None:
        """Take a trading state in that an event of the market told."""
        if instrument_id in self._known:
            changed = Instrument()
            changed.CopyFrom(self._known[instrument_id])
            changed.trading_state = state  # type: ignore[assignment]
            self._known[instrument_id] = changed

    def open(self) -> set[int]:
        """Numbers of what is traded now."""
        return {number for number, one in self._known.items() if one.trading_state == TRADING_STATE_OPEN}

    def __contains__(self, instrument_id: int) -> bool:
        return instrument_id in self._known

    def get(self, instrument_id: int) -> Instrument | None:
        """One definition."""
        return self._known.get(instrument_id)

    def all(self) -> list[Instrument]:
        """Every definition, ascending by number."""
        return [self._known[number] for number in sorted(self._known)]

    def symbol(self, instrument_id: int) -> str:
        """The code that people know; the number where it is not known."""
        one = self._known.get(instrument_id)
        return one.symbol if one else str(instrument_id)

    def name(self, instrument_id: int) -> Text:
        """The name in both languages; the symbol where there is none."""
        one = self._known.get(instrument_id)
        if one is None:
            return Text(str(instrument_id), str(instrument_id))
        english = one.name or one.symbol
        return Text(one.name_zh or english, english)

    def industries(self) -> Mapping[int, str]:
        """Industry of each instrument."""
        return {number: one.industry for number, one in self._known.items()}

    def price_limits(self) -> Mapping[int, float]:
        """Daily price limit of each instrument that has one, 0.1 for 10 %."""
        limited = (one for one in self._known.values() if one.price_limit_ppm)
        return {one.instrument_id: one.price_limit_ppm / MILLION for one in limited}

    def subject(self, kind: int, subject_id: int) -> Subject:
        """What an alert is about. An industry is known by its lowest instrument."""
        if not subject_id:
            return NO_SUBJECT
        if kind == INDUSTRY:
            one = self._known.get(subject_id)
            industry = one.industry if one else ""
            return Subject(industry, wording.industry(industry))
        return Subject(self.symbol(subject_id), self.name(subject_id))

    def subject_name(self, kind: str, subject: str, subject_id: int) -> Text:
        """The same from an alert's row, with what it was called when it was raised where that is not known now."""
        if not subject_id:
            return NO_SUBJECT.name
        if kind == ALL[INDUSTRY].name:
            return wording.industry(subject)
        return self.name(subject_id) if subject_id in self._known else Text(subject, subject)

    def industry_subjects(self, book: Book) -> NDArray[np.int64]:
        """By the book's numbers of industries, the lowest instrument of each."""
        with book.lock:
            industries = book.tables.instruments["industry"]
            lowest = np.zeros(max(1, len(book.listing.industries)), np.int64)
            for number in sorted(book.listing.rules, reverse=True):
                lowest[industries[number]] = number
        return lowest

    def limit_distances(self, book: Book) -> NDArray[np.float64]:
        """Distance of each instrument's mark to the nearer limit of its day, over its reference price; NaN without."""
        with book.lock:
            table = book.tables.instruments
            size = len(table)
            mark, base = table["last"][self._limited], table["reference"][self._limited]
        low, high = _limits(self._limits_ppm, base, self._largest_ticks)
        distances = np.full(size, np.nan)
        known = (mark > 0) & (base > 0)
        distances[self._limited[known]] = (np.minimum(high - mark, mark - low) / np.maximum(base, 1))[known]
        return distances

    def asset(self, book: Book, instrument_id: int, mark: MarkView) -> Asset | None:
        """An instrument as advice sees it; None where there is no definition or no price."""
        one = self._known.get(instrument_id)
        if one is None or not mark.price_ticks > 0:
            return None
        with book.lock:
            reference = int(book.tables.instruments[instrument_id]["reference"]) or one.reference_price_ticks
        low, high = limits_of_day(one, reference)
        unit = Decimal(one.tick_size) * Decimal(one.lot_size)
        return Asset(
            instrument_id=instrument_id,
            symbol=one.symbol,
            name_en=one.name or one.symbol,
            name_zh=one.name_zh or one.name or one.symbol,
            industry=one.industry,
            risk_level=one.risk_level,
            currency=one.currency_code,
            tick_size=float(one.tick_size),
            unit_value=float(unit) * book.listing.rates.get(one.currency_code, 1.0),
            price_ticks=mark.price_ticks,
            low_ticks=low,
            high_ticks=high,
            bands=tuple((band.from_price_ticks, band.step_ticks) for band in one.tick_bands),
            board_lot=max(1, one.board_lot),
            sells_odd_rest=one.odd_lot_rule == ODD_LOT_RULE_SELL_REST,
            max_order_lots=one.max_order_lots,
            fee_ppm=one.taker_fee_ppm,
            duty_ppm=one.stamp_duty_ppm,
            tradable=one.trading_state == TRADING_STATE_OPEN,
        )


def limits_of_day(instrument: Instrument, reference: int) -> tuple[int, int]:
    """The day's lowest and highest price in ticks."""
    if not instrument.price_limit_ppm:
        return 1, instrument.max_price_ticks
    low, high = _limits(instrument.price_limit_ppm, reference, instrument.max_price_ticks)
    return int(low), int(high)


def _limits(ppm: Any, reference: Any, largest: Any) -> tuple[Any, Any]:
    """The limits as the market computes them (RULES.md §2), for numbers or arrays."""
    low = (reference * (MILLION - ppm) + MILLION // 2) // MILLION
    high = (reference * (MILLION + ppm) + MILLION // 2) // MILLION
    return np.maximum(low, 1), np.minimum(high, largest)
