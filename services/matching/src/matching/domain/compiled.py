"""The one place where this package meets Numba: how functions compile, and how they reach memory.

All state of a core lies in one reservation of address space at constant offsets (`state.py`), so a kernel takes one
integer, the base address, instead of twenty arrays: a call costs about 0.1 µs. A *row* is a record at an address:
reading `order_at(b, slot).leaves` is one load, with no array object, reference count or bounds check in between. Rows
under NUMBA_DISABLE_JIT=1 are NumPy records over the same memory.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import config as numba_config
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

if TYPE_CHECKING:
    I64 = int
    U64 = int
else:
    I64 = np.int64
    U64 = np.uint64

F = TypeVar("F", bound=Callable[..., Any])
_config: Any = numba_config
_njit: Any = njit
_types: Any = types
INTERPRETED: bool = bool(_config.DISABLE_JIT)
_WORD = ir.IntType(64)


def _package_stamp() -> str:
    """A hash of this package's sources."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


_STAMP = _package_stamp()


def inner(function: F) -> F:
    """A function that only compiled code calls. It compiles as part of the entry that needs it."""
    return _compile_inner(function, inline=False)


def hot(function: F) -> F:
    """As `inner`, and its code goes into its callers: for the path of every order, where calls would cost as much as
    work."""
    return _compile_inner(function, inline=True)


def _compile_inner(function: F, inline: bool) -> F:
    if INTERPRETED:
        return function
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": inline}
    compiled: Any = _njit(error_model="numpy", **options)(function)
    find_template = compiled.get_call_template

    def get_call_template(arguments: Any, keywords: Any) -> Any:
        # Numba would compile a function anew for every constant that it is called with.
        return find_template([_types.unliteral(kind) for kind in arguments], keywords)

    compiled.get_call_template = get_call_template
    return compiled  # type: ignore[no-any-return]


def entry(function: F) -> F:
    """A function that Python calls. Its machine code, with all that it calls, is kept on the disk.

    Numba renews a kept function when its own file changes; what was compiled into it comes from many files, so here the
    whole package says whether it is fresh.
    """
    if INTERPRETED:
        # Hashes wrap around; without the compiler, NumPy would warn.
        quiet: Any = np.errstate(over="ignore")(function)
        return quiet  # type: ignore[no-any-return]
    compiled: Any = njit(error_model="numpy", cache=True, nogil=True)(function)
    compiled._cache._cache_file._source_stamp = _STAMP
    return compiled  # type: ignore[no-any-return]


def without_dispatch(kernel: Callable[..., int], rows: np.dtype[np.void]) -> Callable[..., int]:
    """The machine code of an entry that takes a base address, an array of rows, then integers; made now if need be.

    Numba's dispatcher looks at each argument to choose the code, which for rows costs as much as a small frame. Here
    the caller has looked: what is no one-dimensional array of just these rows must not come here.
    """
    # Of any layout and perhaps not to be written: the kernel is the same, and asks for the distance of rows itself.
    array = types.Array(from_dtype(rows), 1, "A", readonly=True)
    integers = kernel.__code__.co_argcount - 2
    compiled: Any = kernel
    return compiled.compile((types.int64, array, *[types.int64] * integers))  # type: ignore[no-any-return]


def rows(dtype: np.dtype[np.void], offset: int = 0) -> Callable[[int, int], Any]:
    """Make `at(base, index)`: the row of a table of `dtype` that begins `offset` bytes behind a base address."""
    if INTERPRETED:
        return _interpreted_rows(dtype, offset)
    record, size = from_dtype(dtype), dtype.itemsize

    def at(typing_context: Any, base: Any, index: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            distance = builder.mul(arguments[1], ir.Constant(_WORD, size))
            start = builder.add(arguments[0], ir.Constant(_WORD, offset))
            return builder.inttoptr(builder.add(start, distance), context.get_value_type(record))

        return record(types.int64, types.int64), code

    accessor: Any = intrinsic(at)
    return accessor  # type: ignore[no-any-return]


def _interpreted_rows(dtype: np.dtype[np.void], offset: int) -> Callable[[int, int], Any]:
    size, record = dtype.itemsize, np.dtype((np.record, dtype))

    def at(base: int, index: int) -> Any:
        memory = (ctypes.c_char * size).from_address(int(base) + offset + int(index) * size)
        row: Any = np.frombuffer(memoryview(memory), dtype=record)[0]
        return row

    return at


def _clear(typing_context: Any, row: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte = ir.IntType(8)
        fill = builder.module.declare_intrinsic("llvm.memset", [byte.as_pointer(), _WORD])
        start = builder.bitcast(arguments[0], byte.as_pointer())
        size = ir.Constant(_WORD, signature.args[0].size)
        builder.call(fill, [start, ir.Constant(byte, 0), size, ir.Constant(ir.IntType(1), 0)])
        return context.get_dummy_value()

    return types.void(row), code


def _prefetch(typing_context: Any, row: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        hints = [ir.Constant(number, hint) for hint in (0, 3, 1)]
        builder.call(function, [builder.bitcast(arguments[0], pointer), *hints])
        return context.get_dummy_value()

    return types.void(row), code


def _lowest_bit(typing_context: Any, bits: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), code


def _tag_matches(typing_context: Any, address: Any, tag: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lane, lanes = ir.IntType(32), ir.VectorType(ir.IntType(32), 16)
        words = builder.load(builder.inttoptr(arguments[0], lanes.as_pointer()), align=4)
        wanted: Any = ir.Constant(lanes, ir.Undefined)
        shifts = ir.Constant(lanes, [24] * 16)
        value = builder.trunc(arguments[1], lane)
        for position in range(16):
            wanted = builder.insert_element(wanted, value, ir.Constant(lane, position))
        equal = builder.icmp_unsigned("==", builder.lshr(words, shifts), wanted)
        return builder.zext(builder.bitcast(equal, ir.IntType(16)), _WORD)

    return types.uint64(types.int64, types.int64), code


def _interpreted_clear(row: Any) -> None:
    for name in row.dtype.names:
        row[name] = 0


def _interpreted_prefetch(row: Any) -> None:
    pass


def _interpreted_lowest_bit(bits: int) -> Any:
    value = int(bits)
    return I64((value & -value).bit_length() - 1 if value else 64)


def _interpreted_tag_matches(address: int, tag: int) -> Any:
    words = (ctypes.c_uint32 * 16).from_address(int(address))
    return U64(sum(1 << place for place, word in enumerate(words) if word >> 24 == int(tag)))


_compiled_clear: Any = None if INTERPRETED else intrinsic(_clear)
_compiled_prefetch: Any = None if INTERPRETED else intrinsic(_prefetch)
_compiled_lowest_bit: Any = None if INTERPRETED else intrinsic(_lowest_bit)
_compiled_tag_matches: Any = None if INTERPRETED else intrinsic(_tag_matches)

clear: Callable[[Any], None] = _interpreted_clear if INTERPRETED else _compiled_clear
"""Zero a whole row: a few wide stores, where assigning field by field would take dozens of narrow ones."""

prefetch: Callable[[Any], None] = _interpreted_prefetch if INTERPRETED else _compiled_prefetch
"""Ask for the cache line of a row that will be needed soon; never faults."""

lowest_bit: Callable[[int], int] = _interpreted_lowest_bit if INTERPRETED else _compiled_lowest_bit
"""Index of the lowest set bit of an unsigned word, 64 if there is none: one instruction."""

tag_matches: Callable[[int, int], int] = _interpreted_tag_matches if INTERPRETED else _compiled_tag_matches
"""Which of the sixteen 32-bit words at an address have `tag` in their top byte, as a bit mask: three vector
instructions."""
