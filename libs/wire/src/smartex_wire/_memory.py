"""Loads and stores at addresses, for kernels that know their bounds.

Arrays passed between compiled functions are reference counted at every call, with atomic operations: for one
field that costs ten times the reading. Addresses are plain integers. Loads and stores need no alignment;
values come and go as uint64. Under NUMBA_DISABLE_JIT=1 the same functions work through ctypes.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from . import numba_setup as numba_setup

if TYPE_CHECKING:
    U64 = int
    I64 = int
else:
    U64 = np.uint64
    I64 = np.int64

Function = TypeVar("Function", bound=Callable[..., Any])


def _sources() -> str:
    """A hash of this package's sources."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


SOURCES = _sources()
_INTERPRETED = bool(vars(config)["DISABLE_JIT"])


def kernel(function: Function, *, cached: bool = True, key: str = "", unlocked: bool = False) -> Function:
    """Compile at the first call, or take the result from the disk.

    Numba renews a cached function when its own file changes, but not when the file of a function that it
    calls does. So what says that a cached result is fresh is all sources of the package. It also cannot tell
    one closure from another over other functions, on the disk or, once loaded, in memory, where machine code goes
    by the function's name: `key` does, and becomes part of the name. Without `cached` it is only compiled into
    kernels that call it. `unlocked`: it lets other threads of Python run, which takes longer than a short call.
    """
    if _INTERPRETED:
        return function
    if key:
        function.__qualname__ = f"{function.__qualname__}.{key}"
    compiled: Any = njit(cache=cached, error_model="numpy", nogil=unlocked)(function)
    if cached:
        compiled._cache._cache_file._source_stamp = SOURCES
    if cached and key:
        compiled._cache._index_key = lambda signature, codegen: (signature, codegen.magic_tuple(), key)
    return compiled  # type: ignore[no-any-return]


_C_TYPES: dict[int, Any] = {8: ctypes.c_uint8, 32: ctypes.c_uint32, 64: ctypes.c_uint64}


def _interpreted(bits: int) -> tuple[Callable[[int], int], Callable[[int, int], None]]:
    """A load and a store for the interpreter."""
    cell = _C_TYPES[bits]

    def peek(address: int) -> Any:
        return np.uint64(cell.from_address(int(address)).value)

    def poke(address: int, value: int) -> None:
        cell.from_address(int(address)).value = int(value)

    return peek, poke


def _compiled(bits: int) -> tuple[Callable[[int], int], Callable[[int, int], None]]:
    """A load and a store that become one machine instruction each."""
    word, cell = ir.IntType(64), ir.IntType(bits)

    def peek(typing_context: Any, address: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            value = builder.load(builder.inttoptr(arguments[0], cell.as_pointer()), align=1)
            return value if bits == 64 else builder.zext(value, word)

        return types.uint64(types.uint64), code

    def poke(typing_context: Any, address: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            stored = arguments[1] if bits == 64 else builder.trunc(arguments[1], cell)
            builder.store(stored, builder.inttoptr(arguments[0], cell.as_pointer()), align=1)
            return context.get_dummy_value()

        return types.void(types.uint64, types.uint64), code

    load: Any = intrinsic(peek)
    store: Any = intrinsic(poke)
    return load, store


def _address(typing_context: Any, octets: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array: Any = make_array
        start = array(octets)(context, builder, arguments[0]).data
        return builder.ptrtoint(start, ir.IntType(64))

    return types.uint64(octets), code


def _interpreted_address(octets: Any) -> Any:
    return np.uint64(np.frombuffer(octets, np.uint8).ctypes.data)


_compiled_address: Any = None if _INTERPRETED else intrinsic(_address)
address_of: Callable[[Any], int] = _interpreted_address if _INTERPRETED else _compiled_address
"""Where an array or `bytes` begin."""

_accessors = _interpreted if _INTERPRETED else _compiled
peek8, poke8 = _accessors(8)
peek32, poke32 = _accessors(32)
peek64, poke64 = _accessors(64)
