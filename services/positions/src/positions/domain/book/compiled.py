"""How kernels of this package are compiled, and the arithmetic that they share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba import types

Function = TypeVar("Function", bound=Callable[..., Any])

_njit: Any = numba.njit
_types: Any = types
INTERPRETED: bool = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined, unused-ignore]


def _stamp() -> str:
    """A hash of this package's sources."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


_STAMP = _stamp()


def kernel(function: Function) -> Function:
    """A function that Python calls. It runs outside Python's lock, and its code is kept on disk.

    What is compiled into it comes from many files, so it is fresh while the whole package is.
    """
    if INTERPRETED:
        quiet: Function = np.errstate(over="ignore")(function)
        return quiet
    compiled: Any = _njit(cache=True, nogil=True)(function)
    compiled._cache._cache_file._source_stamp = _STAMP
    found: Function = compiled
    return found


def inline(function: Function) -> Function:
    """A function that only kernels call; it compiles as part of them."""
    if INTERPRETED:
        return function
    compiled: Any = _njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    find_template = compiled.get_call_template

    def get_call_template(arguments: Any, keywords: Any) -> Any:
        # Numba would compile a function anew for every constant that it is called with.
        return find_template([_types.unliteral(kind) for kind in arguments], keywords)

    compiled.get_call_template = get_call_template
    found: Function = compiled
    return found


LARGEST = 4_000_000_000_000_000_000
"""A value is cut to this (4 × 10¹⁸ micros); trades never come near it, deposits of absurd numbers of shares may."""
LARGEST_SUM = 9_000_000_000_000_000_000
"""A sum is cut to this, within 64 bits."""


@inline
def whole(number: Any) -> int:
    """A field of any width as a signed integer of 64 bits, so that kernels are compiled once."""
    signed: Any = np.int64(number)
    return signed  # type: ignore[no-any-return]


@inline
def product(first: int, second: int, third: int) -> int:
    """first × second × third, cut to `LARGEST`. Integers, none negative."""
    if float(first) * float(second) * float(third) > LARGEST:
        return LARGEST
    return first * second * third


@inline
def total(first: int, second: int) -> int:
    """first + second, cut to `LARGEST_SUM` on both sides."""
    estimate = float(first) + float(second)
    if estimate > LARGEST_SUM:
        return LARGEST_SUM
    return -LARGEST_SUM if estimate < -LARGEST_SUM else first + second


@inline
def part_of(amount: int, part: int, size: int) -> int:
    """⌊amount × part / size⌋ for 0 ≤ part ≤ size, size > 0, 0 ≤ amount < 2⁶³; exact over the whole range."""
    if part == size:
        return amount
    quotient = (amount // size) * part
    rest = amount % size
    if rest < 2147483648 and part < 2147483648:
        return quotient + rest * part // size
    # rest × part needs up to 126 bits: multiply and divide bit by bit, high to low. rest < size, so it fits.
    high = np.uint64(0)
    found = np.uint64(0)
    divisor = np.uint64(size)
    for bit in range(62, -1, -1):
        high <<= np.uint64(1)
        found <<= np.uint64(1)
        if high >= divisor:
            high -= divisor
            found += np.uint64(1)
        if (part >> bit) & 1:
            high += np.uint64(rest)
            if high >= divisor:
                high -= divisor
                found += np.uint64(1)
    return quotient + whole(found)
