"""How much stands on how little. Exposures are in money, short ones negative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .arrays import FloatArray, divided, labels, vector
from .errors import InvalidInputError


@dataclass(frozen=True)
class Concentration:
    """Shares are of gross exposure. An empty portfolio has zeros throughout and no largest holding.

    `hhi` is the sum of squared shares (Herfindahl, 1950; Hirschman, 1945), 1 / n for n equal holdings and 1 for one;
    `effective_number` is its inverse.
    """

    gross: float
    net: float
    largest_share: float
    largest: int | None
    hhi: float
    effective_number: float


@dataclass(frozen=True)
class GroupExposure:
    """Exposure of one group: `long` and `short` at least zero, gross their sum, net their difference."""

    long: float
    short: float
    share: float

    @property
    def gross(self) -> float:
        """Long and short together."""
        return self.long + self.short

    @property
    def net(self) -> float:
        """Long less short."""
        return self.long - self.short


def concentration(exposures: ArrayLike) -> Concentration:
    """Gross, net, largest share, HHI and effective number of holdings."""
    money = vector("exposures", exposures)
    sizes = np.abs(money)
    gross = float(sizes.sum())
    if gross == 0.0:
        return Concentration(0.0, 0.0, 0.0, None, 0.0, 0.0)
    shares = sizes / gross
    hhi = float(shares @ shares)
    largest = int(np.argmax(shares))
    return Concentration(gross, float(money.sum()), float(shares[largest]), largest, hhi, 1.0 / hhi)


def by_group(exposures: ArrayLike, groups: Sequence[str]) -> dict[str, GroupExposure]:
    """Exposure of each group (industry, currency, ...), largest gross first; `share` is of all gross."""
    money = vector("exposures", exposures)
    names, numbers = np.unique(labels("groups", groups, size=len(money)), return_inverse=True)
    up = _sums(numbers, np.maximum(money, 0.0), len(names))
    down = _sums(numbers, np.maximum(-money, 0.0), len(names))
    shares = divided(up + down, float((up + down).sum()))
    order = np.argsort(-(up + down), kind="stable")
    return {str(names[i]): GroupExposure(float(up[i]), float(down[i]), float(shares[i])) for i in order}


def _sums(
    numbers: np.ndarray[tuple[int, ...], np.dtype[np.intp]], values: FloatArray, count: int
) -> FloatArray:
    return np.bincount(numbers, weights=values, minlength=count).astype(np.float64)


def leverage(exposures: ArrayLike, equity: float) -> float:
    """Gross exposure over equity; 0 for no exposure, infinite for exposure on no or negative equity."""
    gross = float(np.abs(vector("exposures", exposures)).sum())
    if not np.isfinite(equity):
        raise InvalidInputError("equity", "must be finite")
    if gross == 0.0:
        return 0.0
    return gross / equity if equity > 0.0 else float("inf")
