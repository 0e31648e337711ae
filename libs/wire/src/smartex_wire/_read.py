"""Reading protobuf fields from memory: tags, values, unknown fields, rows.

Positions are addresses. How a reader stays inside its buffer: a byte is read only after its address was
compared with `stop`, and a length is compared with what is left (never added first).

Everything is uint64, constants included: Numba and NumPy turn a mix with int64 into float64.

A `Step` is an int64: the position behind what was read, or a failure, `~(position << 8 | reason)`, below
zero.
"""

from __future__ import annotations

import numpy as np

from ._errors import Reason
from ._layout import DENSE_TAGS, KIND_BITS, WORD, Head, Kind
from ._memory import I64, U64, kernel, peek8, peek32, peek64, poke8, poke32, poke64

Step = int
Address = int

_0, _1, _2, _3, _4, _5, _7, _8, _9, _10 = (U64(n) for n in (0, 1, 2, 3, 4, 5, 7, 8, 9, 10))
_X7F, _X80, _XFF = U64(0x7F), U64(0x80), U64(0xFF)
_LOW32, _MAX31 = U64(0xFFFF_FFFF), U64(0x7FFF_FFFF)
_NONE = U64(0)
"""The position after a value that is not there."""

DEPTH = 100
"""Levels of nested groups that the protobuf runtime accepts in a message; in a row it is one less."""

_WORD, _KIND_BITS, _KIND_MASK = U64(WORD), U64(KIND_BITS), U64((1 << KIND_BITS) - 1)
_DENSE_TAGS = U64(DENSE_TAGS)
UNKNOWN, ROWS = U64(Kind.UNKNOWN), U64(Kind.ROWS)
_INT64, _SINT64, _SINT32 = U64(Kind.INT64), U64(Kind.SINT64), U64(Kind.SINT32)
_BOOL, _ENUM = U64(Kind.BOOL), U64(Kind.ENUM)
_FIXED64, _FIXED32 = U64(Kind.FIXED64), U64(Kind.FIXED32)
_ROW_BYTES, _ROW_TABLE = U64(Head.ROW_BYTES), U64(Head.ROW_DISPATCH)

_TRUNCATED, _BAD_VARINT, _BAD_TAG = U64(Reason.TRUNCATED), U64(Reason.BAD_VARINT), U64(Reason.BAD_TAG)
_BAD_LENGTH, _BAD_GROUP, _TOO_DEEP = U64(Reason.BAD_LENGTH), U64(Reason.BAD_GROUP), U64(Reason.TOO_DEEP)


@kernel
def failure(position: Address, reason: int) -> Step:
    """A negative result that carries both."""
    return ~I64(position << _8 | reason)


@kernel
def slot(program: Address, index: int) -> int:
    """A word of the program."""
    return peek64(program + index * _WORD)


@kernel
def read_varint(position: Address, stop: Address) -> tuple[int, Address]:
    """Up to 10 bytes; what does not fit 64 bits falls off, as in the runtime."""
    if position < stop:
        first = peek8(position)
        if first < _X80:
            return first, position + _1
    return _groups(_0, _0, position, stop if stop - position < _10 else position + _10)


@kernel
def read_rest(first: int, position: Address) -> tuple[int, Address]:
    """What follows the first byte of a varint, and is there, up to 9 bytes; as `read_varint`."""
    return _groups(first & _X7F, _7, position, position + _9)


@kernel
def _groups(value: int, shift: int, position: Address, end: Address) -> tuple[int, Address]:
    """Seven bits of each byte, above those that `value` has already, until one is the last."""
    while position < end:
        byte = peek8(position)
        position += _1
        value |= (byte & _X7F) << shift
        if byte < _X80:
            return value, position
        shift += _7
    return _0, _NONE


@kernel
def read_u32(position: Address, stop: Address, largest: int) -> tuple[int, Address]:
    """A tag or a length: up to 5 bytes, not over `largest`."""
    value, shift = _0, _0
    end = stop if stop - position < _5 else position + _5
    while position < end:
        byte = peek8(position)
        position += _1
        value |= (byte & _X7F) << shift
        if byte < _X80:
            return value, (position if value <= largest else _NONE)
        shift += _7
    return _0, _NONE


@kernel
def read_tag(position: Address, stop: Address) -> tuple[int, Address]:
    """A tag, whatever its field number. `position` is before `stop`."""
    tag = peek8(position)
    if tag < _X80:
        return tag, position + _1
    return read_u32(position, stop, _LOW32)


@kernel
def _why(position: Address, stop: Address, longest: int, otherwise: int) -> Step:
    """The failure of a varint that could not be read: is it cut short, or wrong in itself?"""
    count = _0
    while position + count < stop and count < longest:
        if peek8(position + count) < _X80:
            return failure(position, otherwise)
        count += _1
    return failure(position, _TRUNCATED if count < longest else otherwise)


@kernel
def bad_tag(position: Address, stop: Address) -> Step:
    """The failure of a tag that could not be read at `position`."""
    return _why(position, stop, _5, _BAD_TAG)


@kernel
def skip_bytes(position: Address, stop: Address) -> Step:
    """Behind a length and as many bytes."""
    length, body = read_u32(position, stop, _MAX31)
    if body == _NONE:
        return _why(position, stop, _5, _BAD_LENGTH)
    if length > stop - body:
        return failure(position, _TRUNCATED)
    return I64(body + length)


@kernel
def body_of(position: Address, stop: Address) -> Address:
    """Behind a length that `skip_bytes` has accepted."""
    _, body = read_u32(position, stop, _MAX31)
    return body


@kernel
def _skip_fixed(position: Address, stop: Address, size: int) -> Step:
    if size > stop - position:
        return failure(position, _TRUNCATED)
    return I64(position + size)


@kernel
def _skip_value(wire_type: int, position: Address, stop: Address) -> Step:
    """Behind a value of an unknown field that is not a group."""
    if wire_type == _0:
        _, after = read_varint(position, stop)
        if after == _NONE:
            return _why(position, stop, _10, _BAD_VARINT)
        return I64(after)
    if wire_type == _2:
        return skip_bytes(position, stop)
    if wire_type == _1:
        return _skip_fixed(position, stop, _8)
    if wire_type == _5:
        return _skip_fixed(position, stop, _4)
    return failure(position, _BAD_GROUP if wire_type == _4 else _BAD_TAG)


@kernel
def _skip_group(number: int, position: Address, stop: Address, depth: int) -> Step:
    """Behind a group whose start tag ends at `position`; the numbers of open groups wait on a stack."""
    open_groups = np.empty(DEPTH, np.uint64)
    level = depth
    open_groups[level] = number
    while True:
        start = position
        if start == stop:
            return failure(start, _TRUNCATED)
        tag, position = read_tag(start, stop)
        if position == _NONE:
            return bad_tag(start, stop)
        wire_type = tag & _7
        if wire_type == _3:
            level += 1
            if level >= DEPTH:
                return failure(start, _TOO_DEEP)
            open_groups[level] = tag >> _3
        elif wire_type == _4:
            if open_groups[level] != tag >> _3:
                return failure(start, _BAD_GROUP)
            level -= 1
            if level < depth:
                return I64(position)
        else:
            after = _skip_value(wire_type, position, stop)
            if after < 0:
                return after
            position = U64(after)


@kernel
def skip(tag: int, position: Address, stop: Address, depth: int) -> Step:
    """Behind the value of an unknown field whose tag ends at `position`."""
    if tag < _8:
        return failure(position - _1, _BAD_TAG)
    if tag & _7 == _3:
        return _skip_group(tag >> _3, position, stop, depth)
    return _skip_value(tag & _7, position, stop)


@kernel
def operation_of(dispatch: Address, dense: int, sparse: int, tag: int) -> int:
    """What to do with a tag: by index, or in the short list of large ones behind."""
    if tag < dense:
        return slot(dispatch, tag)
    if tag >= _DENSE_TAGS:
        at, end = dense, dense + sparse
        while at < end:
            if slot(dispatch, at) == tag:
                return slot(dispatch, at + _1)
            at += _2
    return UNKNOWN


@kernel
def read_field(operation: int, row: Address, position: Address, stop: Address) -> Step:
    """Put the value at `position` where the operation says in the row."""
    kind, target = operation & _KIND_MASK, row + (operation >> _KIND_BITS)
    if kind == _FIXED64:
        if stop - position < _8:
            return failure(position, _TRUNCATED)
        poke64(target, peek64(position))
        return I64(position + _8)
    if kind == _FIXED32:
        if stop - position < _4:
            return failure(position, _TRUNCATED)
        poke32(target, peek32(position))
        return I64(position + _4)
    value, after = read_varint(position, stop)
    if after == _NONE:
        return _why(position, stop, _10, _BAD_VARINT)
    put(kind, target, value)
    return I64(after)


@kernel
def put(kind: int, target: Address, value: int) -> None:
    """Store a varint, cut to its field's width."""
    if kind == _INT64:
        poke64(target, value)
    elif kind == _ENUM:
        number = value & _LOW32
        poke8(target, number if number < _XFF else _XFF)
    elif kind == _BOOL:
        poke8(target, _1 if value != _0 else _0)
    elif kind == _SINT64:
        poke64(target, _unzigzag(value))
    elif kind == _SINT32:
        poke32(target, _unzigzag(value & _LOW32) & _LOW32)
    else:
        poke32(target, value & _LOW32)


@kernel
def _unzigzag(value: int) -> int:
    half = value >> _1
    return ~half if value & _1 != _0 else half


@kernel
def clear(target: Address, size: int) -> None:
    """Zero whole words: a field that is not on the wire is zero."""
    end = target + size
    while target < end:
        poke64(target, _0)
        target += _WORD


@kernel
def read_row(
    program: Address, position: Address, stop: Address, beyond: Address, depth: int, row: Address
) -> Step:
    """Clear the row and read the fields between `position` and `stop` into it; `stop` or a failure.

    Up to `beyond` there is memory that a reader may look at.
    """
    clear(row, slot(program, _ROW_BYTES))
    return read_fields(program, position, stop, depth, row)


@kernel
def read_fields(program: Address, position: Address, stop: Address, depth: int, row: Address) -> Step:
    """Read the fields between `position` and `stop`, in any order, into the row; `stop` or a failure."""
    dispatch = program + slot(program, _ROW_TABLE) * _WORD
    dense, sparse = slot(program, _ROW_TABLE + _1), slot(program, _ROW_TABLE + _2)
    while position < stop:
        start = position
        tag, position = read_tag(start, stop)
        if position == _NONE:
            return bad_tag(start, stop)
        operation = operation_of(dispatch, dense, sparse, tag)
        if operation != UNKNOWN:
            after = read_field(operation, row, position, stop)
        else:
            after = skip(tag, position, stop, depth)
        if after < 0:
            return after
        position = U64(after)
    return I64(stop)
