"""Writing protobuf fields to memory, by field number and without zeros: the runtime's deterministic form.

Positions are addresses; a writer returns the one behind what it wrote. The caller has made sure of the room.
Everything is uint64, for the reason told in `_read`.
"""

from __future__ import annotations

from ._layout import KIND_BITS, Head, Kind
from ._memory import U64, kernel, peek8, peek32, peek64, poke8, poke32, poke64
from ._read import Address, slot

_0, _1, _2, _4, _7, _8, _63 = (U64(n) for n in (0, 1, 2, 4, 7, 8, 63))
_X7F, _X80 = U64(0x7F), U64(0x80)
_LOW32, _SIGN32, _HIGH32 = U64(0xFFFF_FFFF), U64(0x8000_0000), U64(0xFFFF_FFFF_0000_0000)
_ONES = U64(0xFFFF_FFFF_FFFF_FFFF)

_KIND_BITS, _KIND_MASK = U64(KIND_BITS), U64((1 << KIND_BITS) - 1)
_INT64, _INT32 = U64(Kind.INT64), U64(Kind.INT32)
_SINT64, _SINT32, _BOOL, _ENUM = U64(Kind.SINT64), U64(Kind.SINT32), U64(Kind.BOOL), U64(Kind.ENUM)
_FIXED64, _FIXED32 = U64(Kind.FIXED64), U64(Kind.FIXED32)
_ROWS_TAG, _ROW = U64(Head.ROWS_TAG), U64(Head.ROW)


@kernel
def write_varint(position: Address, value: int) -> Address:
    while value >= _X80:
        poke8(position, value & _X7F | _X80)
        position += _1
        value >>= _7
    poke8(position, value)
    return position + _1


@kernel
def value_of(kind: int, source: Address) -> int:
    """A field as the bits that go to the wire; zero is not written."""
    if kind == _INT64:
        return peek64(source)
    if kind == _FIXED64:
        return peek64(source)
    if kind == _ENUM:
        return peek8(source)
    if kind == _BOOL:
        return _1 if peek8(source) != _0 else _0
    if kind == _SINT64:
        wide = peek64(source)
        return (wide << _1) ^ (_ONES if wide >> _63 != _0 else _0)
    value = peek32(source)
    if kind == _INT32:
        return value | (_HIGH32 if value & _SIGN32 != _0 else _0)
    if kind == _SINT32:
        return ((value << _1) ^ (_ONES if value & _SIGN32 != _0 else _0)) & _LOW32
    return value


@kernel
def write_fields(program: Address, part: int, row: Address, position: Address) -> Address:
    """Write the fields of a row that are not zero. `part` is the head slot of their encode list."""
    step, end = slot(program, part), slot(program, part + _1)
    while step < end:
        operation, tag = slot(program, step), slot(program, step + _1)
        step += _2
        kind = operation & _KIND_MASK
        value = value_of(kind, row + (operation >> _KIND_BITS))
        if value == _0:
            continue
        position = write_varint(position, tag)
        if kind == _FIXED64:
            poke64(position, value)
            position += _8
        elif kind == _FIXED32:
            poke32(position, value)
            position += _4
        else:
            position = write_varint(position, value)
    return position


@kernel
def write_row(program: Address, row: Address, position: Address) -> Address:
    """Write tag, length and fields of a row."""
    position = write_varint(position, slot(program, _ROWS_TAG))
    body = position + _1
    return write_length(body, write_fields(program, _ROW, row, body))


@kernel
def write_length(body: Address, end: Address) -> Address:
    """Write the length of a body to the byte left for it; the position behind the body."""
    length = end - body
    if length < _X80:
        poke8(body - _1, length)
        return end
    return _widen(body - _1, body, end)


@kernel
def _widen(position: Address, body: Address, end: Address) -> Address:
    """One byte was left for a length that is known last; a longer length moves the body, which is rare."""
    extra, rest = _0, (end - body) >> _7
    while rest != _0:
        extra, rest = extra + _1, rest >> _7
    at = end
    while at > body:
        at -= _1
        poke8(at + extra, peek8(at))
    write_varint(position, end - body)
    return end + extra
