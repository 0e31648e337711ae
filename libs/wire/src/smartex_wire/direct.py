"""Compiled functions called as machine code, without Numba's dispatcher.

The dispatcher looks at every argument to find, or make, the code for its type. For an array of records that takes
longer than to write a message, and for any array several times as long when caches are cold, as they are for a call
that comes alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def direct(function: Callable[..., Any], *kinds: Any) -> Callable[..., Any]:
    """The machine code of a compiled function for arguments of these kinds; compiled or loaded now if need be.

    A kind is `int`, `bytes`, or the dtype of a contiguous array of one dimension. Nothing is checked at a call: what
    has another dtype or more dimensions, or is not contiguous, must not be passed, nor what is read-only if the
    function writes to it. Under the interpreter, the function itself.
    """
    compile_for = getattr(function, "compile", None)
    if compile_for is None:
        return function
    from numba import types
    from numba.np.numpy_support import from_dtype

    def numba_type(kind: Any) -> Any:
        if kind is int:
            return types.int64
        if kind is bytes:
            return types.Bytes(types.uint8, 1, "C", readonly=True)
        return types.Array(from_dtype(np.dtype(kind)), 1, "C")

    made: Callable[..., Any] = compile_for(tuple(numba_type(kind) for kind in kinds))
    return made
