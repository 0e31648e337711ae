"""An instrument's rules as quoting needs them: valid prices, the day's limits, lots. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from smartex.matching.v1.types_pb2 import Instrument

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one instrument, prices in ticks and quantities in lots."""

    instrument_id: int
    symbol: str
    bands: tuple[tuple[int, int], ...]
    """(first price, step), ascending."""
    lowest: int
    """Lowest price of the day."""
    highest: int
    """Highest price of the day."""
    board_lot: int
    max_order_lots: int

    @classmethod
    def of(cls, instrument: Instrument) -> Rules:
        """The rules of an instrument as it is now."""
        reference, ppm, most = (
            instrument.reference_price_ticks,
            instrument.price_limit_ppm,
            instrument.max_price_ticks,
        )
        limited = ppm > 0
        return cls(
            instrument.instrument_id,
            instrument.symbol,
            tuple((band.from_price_ticks, band.step_ticks) for band in instrument.tick_bands) or ((0, 1),),
            max(1, _scaled(reference, _MILLION - ppm)) if limited else 1,
            min(most, _scaled(reference, _MILLION + ppm)) if limited else most,
            instrument.board_lot,
            instrument.max_order_lots,
        )

    def step(self, price: int) -> int:
        """The step that a price must be a multiple of."""
        return next(step for start, step in reversed(self.bands) if start <= price)

    def is_valid(self, price: int) -> bool:
        """Whether an order may carry this price today."""
        return self.lowest <= price <= self.highest and price % self.step(price) == 0

    def at_most(self, price: float) -> int | None:
        """The largest valid price that is not over `price`; None if today has none."""
        found = min(math.floor(price), self.highest)
        while found >= self.lowest:
            start, step = next(band for band in reversed(self.bands) if band[0] <= found)
            lower = found - found % step
            if lower >= max(start, self.lowest):
                return lower
            # The band has no valid price so low: go on in the one below.
            found = start - 1
        return None

    def at_least(self, price: float) -> int | None:
        """The smallest valid price that is not under `price`; None if today has none."""
        found = max(math.ceil(price), self.lowest, 1)
        while found <= self.highest:
            rest = found % self.step(found)
            if rest == 0:
                return found
            higher = found + self.step(found) - rest
            # Rounding up may step over the start of a band, whose first valid price may be nearer.
            starts = [start for start, _ in self.bands if found < start < higher]
            found = min([higher, *starts])
        return None

    def lots(self, wanted: float) -> int:
        """The whole board lots nearest to `wanted`; at least one, at most the largest order."""
        boards = max(1, round(wanted / self.board_lot))
        return min(boards * self.board_lot, self.max_order_lots - self.max_order_lots % self.board_lot)


def _scaled(reference: int, ppm: int) -> int:
    return (reference * ppm + 500_000) // _MILLION
