"""The past of the market's instruments as one matrix of returns, whole, with what had to be filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from smartex_quant import returns

LEAST_DAYS = 80
"""Returns below which no tail risk is told: 60 scenarios after the 20 days that start the forecasts of volatility."""

VOLUME_DAYS = 20
"""Days that the average volume is taken over."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class History:
    """Returns of days x instruments without holes; volumes are average units a day, 0 where none is known."""

    instrument_ids: tuple[int, ...]
    industries: tuple[str, ...]
    returns: Floats
    proxied: NDArray[np.bool_]
    volumes: Floats

    @property
    def days(self) -> int:
        """Days of returns."""
        return len(self.returns)

    @property
    def enough(self) -> bool:
        """Whether tail risk can be told."""
        return self.days >= LEAST_DAYS

    @property
    def market(self) -> Floats:
        """Daily return of the market: the mean of all instruments."""
        return np.asarray(self.returns.mean(axis=1))

    def columns(self, numbers: Sequence[int]) -> History:
        """The same of some instruments, in their order; each must be known."""
        places = [self.instrument_ids.index(number) for number in numbers]
        return History(
            tuple(numbers),
            tuple(self.industries[place] for place in places),
            self.returns[:, places],
            self.proxied[:, places],
            self.volumes[places],
        )

    def exposures(self, values: Mapping[int, float]) -> Floats:
        """Values by instrument as a vector of the columns; what has no column is left out."""
        return np.array([values.get(number, 0.0) for number in self.instrument_ids])


def build_history(
    prices: Floats, volumes: Floats, instrument_ids: Sequence[int], industries: Sequence[str]
) -> History:
    """From closes and volumes of days x instruments (NaN: none). Without two days there are no returns."""
    size = len(instrument_ids)
    if len(prices) < 2 or size == 0:
        nothing = np.zeros((0, size))
        return History(tuple(instrument_ids), tuple(industries), nothing, nothing > 0, np.zeros(size))
    whole = returns.complete(prices, groups=list(industries))
    return History(
        tuple(instrument_ids), tuple(industries), whole.values, whole.proxied, average_volumes(volumes)
    )


def average_volumes(volumes: Floats) -> Floats:
    """Mean of the known volumes of the last days; 0 where none is known."""
    recent = volumes[-VOLUME_DAYS:]
    known = np.isfinite(recent)
    total = np.where(known, recent, 0.0).sum(axis=0)
    return np.asarray(total / np.maximum(known.sum(axis=0), 1))
