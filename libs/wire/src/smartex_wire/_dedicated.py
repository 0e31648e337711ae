"""Kernels made for one message: its fields are constants of the machine code.

The general kernels look up in the program what to do with each field, which takes them most of their time: these
are two to four times as fast, and cost a second of compiling, once. They read and write rows; everything else stays.

A message is written in the order of its fields, so reading tries them in that order. What does not come as
expected (another order, repeats, unknown fields, damage) is left to the general kernel, from where it begins.

While so much follows in the message that no row could go beyond it, rows are read without looking where they end: only
whether they ended there. That is half of the comparisons.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from . import _read, _write
from ._kernels import decoder, encoder
from ._layout import KIND_BITS, Head, Kind, Layout
from ._memory import I64, U64, kernel, peek8, peek32, peek64, poke8, poke32, poke64

_FIXED = {Kind.FIXED64: 64, Kind.FIXED32: 32}
_VARINT_BYTES = 10
_MOST_TAG_BYTES = 2
"""Longer tags, of field numbers over 2047, are rare: the general kernel reads them."""

_NAMES: dict[str, Any] = {
    "u": U64,
    "i": I64,
    "peek8": peek8,
    "peek32": peek32,
    "peek64": peek64,
    "poke8": poke8,
    "poke32": poke32,
    "poke64": poke64,
    "clear": _read.clear,
    "put": _read.put,
    "read_fields": _read.read_fields,
    "read_rest": _read.read_rest,
    "read_varint": _read.read_varint,
    "value_of": _write.value_of,
    "write_length": _write.write_length,
    "write_varint": _write.write_varint,
}


def dedicated(
    layout: Layout, unlocked: bool
) -> tuple[Callable[..., int], Callable[..., int], Callable[..., int]]:
    """`decode`, `encode` and `write_row` for this message only."""
    name = hashlib.sha256(layout.program.tobytes()).hexdigest()[:16]
    write_row = _made("write_row", "\n".join(_writing(layout)), name)
    read_bounded = _made("read_bounded", "\n".join(_reading_bounded(layout)), name)
    read_row = _made("read_row", "\n".join(_reading(layout)), name, read_bounded=read_bounded)
    key = f"{name}.unlocked" if unlocked else name
    return (
        decoder(read_row, key, unlocked),
        encoder(write_row, key, unlocked),
        write_row,
    )


def _made(function: str, source: str, name: str, **names: Any) -> Callable[..., Any]:
    """The function that the source defines, to be compiled into the kernel that calls it."""
    scope = _NAMES | names
    exec(compile(source, f"<smartex_wire {function} {name}>", "exec"), scope)
    made: Callable[..., Any] = kernel(scope[function], cached=False, key=name)
    return made


def _fields(layout: Layout) -> Iterator[tuple[Kind, int, bytes]]:
    """(kind, offset in the row, tag on the wire) of the fields of a row."""
    program = [int(word) for word in layout.program]
    for step in range(program[Head.ROW], program[Head.ROW_END], 2):
        operation, tag = program[step], program[step + 1]
        yield Kind(operation & (1 << KIND_BITS) - 1), operation >> KIND_BITS, _varint(tag)


def _varint(value: int) -> bytes:
    groups = []
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _writing(layout: Layout) -> Iterator[str]:
    """The source of `_write.write_row`."""
    rows_tag = _varint(int(layout.program[Head.ROWS_TAG]))
    yield "def write_row(program, row, position):"
    yield from _poke_tag(rows_tag, "    ")
    yield f"    body = position + u({len(rows_tag) + 1})"
    yield "    end = body"
    for kind, offset, tag in _fields(layout):
        yield f"    value = value_of(u({int(kind)}), row + u({offset}))"
        yield "    if value != u(0):"
        yield "        position = end"
        yield from _poke_tag(tag, "        ")
        if kind in _FIXED:
            yield f"        poke{_FIXED[kind]}(end + u({len(tag)}), value)"
            yield f"        end += u({len(tag) + _FIXED[kind] // 8})"
        else:
            yield f"        end = write_varint(end + u({len(tag)}), value)"
    yield "    return write_length(body, end)"


def _poke_tag(tag: bytes, indent: str) -> Iterator[str]:
    for place, byte in enumerate(tag):
        yield f"{indent}poke8(position + u({place}), u({byte}))"


def _reading(layout: Layout) -> Iterator[str]:
    """The source of `_read.read_row`."""
    fields = [(kind, offset, tag) for kind, offset, tag in _fields(layout) if len(tag) <= _MOST_TAG_BYTES]
    most = sum(len(tag) + (_FIXED[kind] // 8 if kind in _FIXED else _VARINT_BYTES) for kind, _, tag in fields)
    yield "def read_row(program, position, stop, beyond, depth, row):"
    yield f"    if beyond - position < u({most + _MOST_TAG_BYTES}):"
    yield "        return read_bounded(program, position, stop, depth, row)"
    yield f"    clear(row, u({layout.row_dtype.itemsize}))"
    yield "    at = position"
    for kind, offset, tag in fields:
        yield f"    if {_is_tag('at', tag)}:"
        if kind in _FIXED:
            bits = _FIXED[kind]
            yield f"        poke{bits}(row + u({offset}), peek{bits}(at + u({len(tag)})))"
            yield f"        at += u({len(tag) + bits // 8})"
            continue
        yield f"        value = peek8(at + u({len(tag)}))"
        yield f"        at += u({len(tag) + 1})"
        yield "        if value >= u(128):"
        yield "            value, at = read_rest(value, at)"
        yield "            if at == u(0):"
        yield "                return read_bounded(program, position, stop, depth, row)"
        yield f"        {_put(kind, offset)}"
    yield "    if at == stop:"
    yield "        return i(stop)"
    yield "    return read_bounded(program, position, stop, depth, row)"


def _reading_bounded(layout: Layout) -> Iterator[str]:
    """The source of a reader that looks at nothing behind `stop`."""
    yield "def read_bounded(program, position, stop, depth, row):"
    yield f"    clear(row, u({layout.row_dtype.itemsize}))"
    for kind, offset, tag in _fields(layout):
        if len(tag) > _MOST_TAG_BYTES:
            continue
        size = len(tag) + _FIXED.get(kind, 0) // 8
        yield f"    if stop - position >= u({size}) and {_is_tag('position', tag)}:"
        if kind in _FIXED:
            bits = _FIXED[kind]
            yield f"        poke{bits}(row + u({offset}), peek{bits}(position + u({len(tag)})))"
            yield f"        position += u({size})"
            continue
        yield f"        value, after = read_varint(position + u({len(tag)}), stop)"
        yield "        if after == u(0):"
        yield "            return read_fields(program, position, stop, depth, row)"
        yield f"        {_put(kind, offset)}"
        yield "        position = after"
    yield "    if position == stop:"
    yield "        return i(stop)"
    yield "    return read_fields(program, position, stop, depth, row)"


def _is_tag(position: str, tag: bytes) -> str:
    return " and ".join(f"peek8({position} + u({place})) == u({byte})" for place, byte in enumerate(tag))


def _put(kind: Kind, offset: int) -> str:
    """The source that stores a varint: plainly, where `_read.put` would only choose the same."""
    if kind == Kind.INT64:
        return f"poke64(row + u({offset}), value)"
    if kind in (Kind.INT32, Kind.UINT32):
        return f"poke32(row + u({offset}), value & u(0xFFFF_FFFF))"
    if kind == Kind.ENUM:
        return f"poke8(row + u({offset}), min(value & u(0xFFFF_FFFF), u(0xFF)))"
    return f"put(u({int(kind)}), row + u({offset}), value)"
