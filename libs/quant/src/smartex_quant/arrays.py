"""Checks at the door: what comes in is an array of floats of the expected shape, or a typed error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import HistoryTooShortError, InvalidInputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


def vector(field: str, values: ArrayLike, *, size: int | None = None, missing: bool = False) -> FloatArray:
    """Return `values` as a vector of finite floats; NaN passes only where `missing` is true."""
    return _checked(field, values, dimensions=(1,), columns=size, missing=missing)


def matrix(field: str, values: ArrayLike, *, columns: int | None = None, missing: bool = False) -> FloatArray:
    """Return `values` as a matrix of finite floats; NaN passes only where `missing` is true."""
    return _checked(field, values, dimensions=(2,), columns=columns, missing=missing)


def series(field: str, values: ArrayLike, *, missing: bool = False) -> FloatArray:
    """Return `values` as a vector or matrix whose rows are moments in time."""
    return _checked(field, values, dimensions=(1, 2), columns=None, missing=missing)


def _checked(
    field: str, values: ArrayLike, *, dimensions: tuple[int, ...], columns: int | None, missing: bool
) -> FloatArray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(field, "must be numbers") from error
    if array.ndim not in dimensions:
        raise InvalidInputError(field, f"must have {dimensions[-1]} dimension(s), has {array.ndim}")
    if columns is not None and array.shape[-1] != columns:
        raise InvalidInputError(field, f"must have {columns} elements, has {array.shape[-1]}")
    if np.isinf(array).any() or (not missing and np.isnan(array).any()):
        raise InvalidInputError(field, "must be finite")
    return array


def labels(field: str, values: Sequence[str], *, size: int) -> NDArray[np.str_]:
    """Return `values` as an array of `size` labels."""
    array = np.asarray(values, dtype=np.str_)
    if array.shape != (size,):
        raise InvalidInputError(field, f"must have {size} labels, has shape {array.shape}")
    return array


def fraction(field: str, value: float) -> float:
    """Return `value` if it lies strictly between 0 and 1."""
    if not 0.0 < value < 1.0:
        raise InvalidInputError(field, f"must lie between 0 and 1, is {value}")
    return value


def positive(field: str, value: float) -> float:
    """Return `value` if it is finite and above zero."""
    if not 0.0 < value < np.inf:
        raise InvalidInputError(field, f"must be positive, is {value}")
    return value


def at_least(needed: int, array: FloatArray | BoolArray) -> None:
    """Raise HistoryTooShortError if `array` has fewer than `needed` rows."""
    if len(array) < needed:
        raise HistoryTooShortError(needed, len(array))


def divided(numerator: ArrayLike, denominator: ArrayLike, otherwise: float = 0.0) -> FloatArray:
    """Divide element by element; give `otherwise` where the denominator is zero."""
    top, bottom = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    )
    return np.asarray(np.divide(top, bottom, out=np.full(top.shape, otherwise), where=bottom != 0.0))


def choice(field: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of `allowed`."""
    if value not in allowed:
        raise InvalidInputError(field, f"must be one of {', '.join(allowed)}, is {value}")
    return value
