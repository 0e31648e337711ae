"""Weights of sorted outcomes that estimate a quantile and the mean beyond it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy

from smartex_quant.arrays import FloatArray

_FEWEST_NODES = 32


@lru_cache(maxsize=64)
def tail_weights(count: int, probability: float) -> tuple[FloatArray, FloatArray]:
    """Weights (VaR, ES) of `count` outcomes sorted from the worst.

    VaR: the quantile of Harrell & Davis (1982), w[i] = I(i/n) - I((i-1)/n) with I the distribution function of
    Beta((n+1)p, (n+1)(1-p)). It averages the outcomes about the quantile, which makes the components of VaR
    stable (Epperlein & Smillie, 2006). ES: the mean of that quantile over probabilities 0..p. Its weights never
    rise from worse to better outcomes, so ES is a spectral measure (Acerbi, 2002): coherent, and at least VaR.
    """
    nodes = max(
        _FEWEST_NODES, int(np.ceil((count + 1) * probability))
    )  # coarser ones would let the weights rise
    beyond = (np.arange(nodes) + 0.5) / nodes * probability
    shortfall = np.zeros(count)
    for node in beyond:
        shortfall += _quantile_weights(count, node) / nodes
    quantile = _quantile_weights(count, probability)
    for weights in (quantile, shortfall):
        weights.flags.writeable = False  # they are shared by all callers
    return quantile, shortfall


def _quantile_weights(count: int, probability: float) -> FloatArray:
    deviation = np.sqrt(probability * (1.0 - probability) / count)
    reach = min(count, int(count * (probability + 10.0 * deviation)) + 30)  # nothing weighs beyond
    shape = (count + 1) * probability, (count + 1) * (1.0 - probability)
    cumulative = np.ones(count + 1)
    cumulative[: reach + 1] = scipy.special.betainc(*shape, np.arange(reach + 1) / count)
    return np.diff(cumulative)
