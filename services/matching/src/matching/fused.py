"""Kernels of this package with kernels of the wire compiled into them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import smartex_wire
from numba import njit


def fused(wire: smartex_wire.Kernels) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function that calls kernels of `wire`, and again when they have changed: Numba looks at the function's
    own file only."""

    def compiled(function: Callable[..., Any]) -> Any:
        kernel = njit(cache=True, nogil=True, error_model="numpy")(function)
        if cache := getattr(kernel, "_cache", None):  # none under the interpreter
            source = Path(function.__code__.co_filename).read_bytes() + wire.stamp.encode()
            cache._cache_file._source_stamp = hashlib.sha256(source).hexdigest()
        return kernel

    return compiled
