"""Candles: spans of a fixed length, counted from the Unix epoch in UTC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from smartex.matching.v1.types_pb2 import Instrument

from matching import money as exact
from matching.marketdata import messages
from matching.sources import Bar, Rows

SECONDS = (1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400)
"""Lengths there are."""

NANOS = 1_000_000_000


def tick_value(instrument: Instrument) -> int:
    """Micros of the currency that one lot gains when the price rises by one tick."""
    return exact.tick_value(instrument.tick_size, instrument.lot_size)


def bars(rows: Rows, seconds: int) -> list[Bar]:
    """Bars of trades of one instrument, ascending; the trades are in order."""
    if len(rows) == 0:
        return []
    span = seconds * NANOS
    starts = rows["time_ns"] // span * span
    cuts = np.concatenate(([0], np.flatnonzero(starts[1:] != starts[:-1]) + 1))
    ends = np.append(cuts[1:], len(rows))
    price, lots = rows["price_ticks"], rows["quantity_lots"]
    return [
        Bar(
            int(starts[low]),
            int(price[low]),
            int(price[low:high].max()),
            int(price[low:high].min()),
            int(price[high - 1]),
            sum(lots[low:high].tolist()),
            sum(map(int.__mul__, price[low:high].tolist(), lots[low:high].tolist())),
            int(high - low),
            int(rows["sequence"][high - 1]),
        )
        for low, high in zip(cuts.tolist(), ends.tolist(), strict=True)
    ]


def merged(earlier: Bar, later: Bar) -> Bar:
    """One bar of two of the same span."""
    return replace(
        earlier,
        high_ticks=max(earlier.high_ticks, later.high_ticks),
        low_ticks=min(earlier.low_ticks, later.low_ticks),
        close_ticks=later.close_ticks,
        volume_lots=earlier.volume_lots + later.volume_lots,
        value_ticks=earlier.value_ticks + later.value_ticks,
        trade_count=earlier.trade_count + later.trade_count,
        sequence=later.sequence,
    )


def joined(past: Iterable[Bar], newer: Iterable[Bar]) -> list[Bar]:
    """Bars of both, ascending; where both know a span, `newer` goes on from `past`."""
    by_start = {bar.start_ns: bar for bar in past}
    for bar in newer:
        known = by_start.get(bar.start_ns)
        by_start[bar.start_ns] = bar if known is None else merged(known, bar)
    return [by_start[start] for start in sorted(by_start)]


class CandleBoard:
    """The running candle of one instrument and length, and the one before it."""

    def __init__(self, instrument_id: int, seconds: int, value_of_tick: int) -> None:
        self.current: Bar | None = None
        self.closed: Bar | None = None
        self.version = 0
        self._over = False
        self._instrument_id = instrument_id
        self._seconds = seconds
        self._value_of_tick = value_of_tick
        self._message: tuple[int, bytes] | None = None

    def add(self, newer: Iterable[Bar]) -> None:
        """Take in bars of new trades, ascending."""
        for bar in newer:
            if self.current is not None and self.current.start_ns == bar.start_ns:
                self.current = merged(self.current, bar)
            else:
                self.closed, self.current = self.current, bar
            self._over = False
            self.version += 1

    def tell_time(self, now_ns: int) -> bool:
        """Whether the running candle has just come to its end."""
        if self.current is None or self._over or now_ns < self.current.start_ns + self._seconds * NANOS:
            return False
        self._over = True
        self.version += 1
        return True

    def message(self) -> bytes:
        """The running candle; made once for all."""
        if self.current is None:
            raise ValueError("no trade yet, so there is no candle to tell: check `current` first")
        if self._message is None or self._message[0] != self.version:
            self._message = (self.version, self._encoded(self.current, self._over))
        return self._message[1]

    def closed_message(self) -> bytes:
        """The candle before it, which is over."""
        if self.closed is None:
            raise ValueError("no candle is over yet: check `closed` first")
        return self._encoded(self.closed, True)

    def _encoded(self, bar: Bar, over: bool) -> bytes:
        now = bar.start_ns + self._seconds * NANOS if over else bar.start_ns
        return messages.candle(
            messages.candle_message(self._instrument_id, self._seconds, self._value_of_tick, bar, now)
        )
