"""How much stands on how little."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .arrays import vector


def hhi(exposures: ArrayLike) -> float:
    """Sum of squared shares of gross exposure (Herfindahl, 1950; Hirschman, 1945), short ones counting as long.

    1 / n for n equal holdings, 1 for one, 0 for none.
    """
    sizes = np.abs(vector("exposures", exposures))
    gross = float(sizes.sum())
    if gross == 0.0:
        return 0.0
    shares = sizes / gross
    return float(shares @ shares)
