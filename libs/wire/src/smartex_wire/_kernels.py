"""The compiled kernels that a codec calls, and that other compiled code may call: arrays in, a number out.

`program` is `codec.kernels.program`; all other arrays are one-dimensional contiguous uint8, but rows that are written
may be an array of records, and what is only read may be `bytes`. Rows and headers are whole words long. A result is
what the kernel promises if it is not negative; else `reason_of` tells why, and `~result >> 8` where in the input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._errors import Reason
from ._layout import LENGTHS, Head
from ._memory import I64, U64, address_of, kernel
from ._read import (
    ROWS,
    UNKNOWN,
    Address,
    Step,
    bad_tag,
    body_of,
    clear,
    failure,
    operation_of,
    read_field,
    read_row,
    read_tag,
    skip,
    skip_bytes,
    slot,
)
from ._write import write_fields, write_row

Words = np.ndarray[Any, Any]
Bytes = np.ndarray[Any, Any]

_0 = U64(0)
_LENGTHS = U64(LENGTHS)
_ROW_BYTES, _HEADER_BYTES = U64(Head.ROW_BYTES), U64(Head.HEADER_BYTES)
_ROW_MAX, _HEADER_MAX = U64(Head.ROW_MAX), U64(Head.HEADER_MAX)
_ENVELOPE, _ROWS_TAG = U64(Head.ENVELOPE_DISPATCH), U64(Head.ROWS_TAG)
_BEFORE, _AFTER, _ROW = U64(Head.BEFORE), U64(Head.AFTER), U64(Head.ROW)
_TOO_MANY_ROWS = U64(Reason.TOO_MANY_ROWS)


@kernel
def reason_of(result: int) -> int:
    """The `Reason` of a failure."""
    return ~result & 0xFF


@kernel
def _relative(step: Step, origin: Address) -> int:
    """A failure that tells its offset instead of its address."""
    return ~(~step - I64(origin << U64(8)))


def decoder(read_row: Callable[..., int], key: str, unlocked: bool = False) -> Callable[..., int]:
    """Make `decode` with a reader of rows."""

    def decode(program: Words, src: Bytes, dst: Bytes, header: Bytes) -> int:
        """Read an envelope: rows into `dst` from the start, scalars into `header` (nowhere, if that is empty).

        Returns the number of rows, or a failure; `dst` then holds rows that mean nothing.
        """
        table, origin = address_of(program), address_of(src)
        row, scalars = address_of(dst), address_of(header)
        row_bytes = slot(table, _ROW_BYTES)
        dispatch = table + slot(table, _ENVELOPE) * U64(8)
        dense, sparse = slot(table, _ENVELOPE + U64(1)), slot(table, _ENVELOPE + U64(2))
        position, stop, first, end = origin, origin + U64(len(src)), row, row + U64(len(dst))
        has_header = U64(len(header)) >= slot(table, _HEADER_BYTES)
        if has_header:
            clear(scalars, slot(table, _HEADER_BYTES))
        while position < stop:
            start = position
            tag, position = read_tag(start, stop)
            if position == _0:
                return _relative(bad_tag(start, stop), origin)
            operation = operation_of(dispatch, dense, sparse, tag)
            if operation == ROWS:
                after = skip_bytes(position, stop)
                if after >= 0 and end - row < row_bytes:
                    after = failure(start, _TOO_MANY_ROWS)
                if after >= 0:
                    after = read_row(table, body_of(position, stop), U64(after), stop, 1, row)
                    row += row_bytes
            elif operation != UNKNOWN and has_header:
                after = read_field(operation, scalars, position, stop)
            else:
                after = skip(tag, position, stop, 0)
            if after < 0:
                return _relative(after, origin)
            position = U64(after)
        return I64((row - first) // row_bytes)

    return kernel(decode, key=key, unlocked=unlocked)


@kernel
def count(program: Words, src: Bytes) -> int:
    """How many rows an envelope holds, without looking into them, or a failure."""
    rows_tag, origin = program[_ROWS_TAG], address_of(src)
    position, stop = origin, origin + U64(len(src))
    rows = 0
    while position < stop:
        start = position
        tag, position = read_tag(start, stop)
        if position == _0:
            return _relative(bad_tag(start, stop), origin)
        if tag == rows_tag:
            rows += 1
        after = skip(tag, position, stop, 0)
        if after < 0:
            return _relative(after, origin)
        position = U64(after)
    return rows


@kernel
def decode_flat(program: Words, src: Bytes, dst: Bytes) -> int:
    """Read one flat message into the row at the start of `dst`. Returns 1 or a failure."""
    origin = address_of(src)
    if U64(len(dst)) < program[_ROW_BYTES]:
        return _relative(failure(origin, _TOO_MANY_ROWS), origin)
    stop = origin + U64(len(src))
    after = read_row(address_of(program), origin, stop, stop, 0, address_of(dst))
    return _relative(after, origin) if after < 0 else 1


@kernel
def max_size(program: Words, rows: int) -> int:
    """Bytes that an envelope of `rows` rows can take at most."""
    return I64(program[_HEADER_MAX]) + rows * I64(program[_ROW_MAX] + _LENGTHS)


def encoder(write_row: Callable[..., int], key: str, unlocked: bool = False) -> Callable[..., int]:
    """Make `encode` with a writer of rows."""

    def encode(program: Words, rows: Bytes, header: Bytes, out: Bytes) -> int:
        """Write an envelope of the rows and the scalars of `header` (none, if that is empty) into `out`.

        Returns its length, or -1 if `out` may lack the room: `max_size` bytes are always enough.
        """
        table = address_of(program)
        row, scalars = address_of(rows), address_of(header)
        origin = address_of(out)
        row_bytes, row_max = slot(table, _ROW_BYTES), slot(table, _ROW_MAX) + _LENGTHS
        header_max = slot(table, _HEADER_MAX)
        position, last = origin, row + U64(len(rows)) * U64(rows.itemsize)
        has_header = U64(len(header)) >= slot(table, _HEADER_BYTES)
        if U64(len(out)) < header_max:
            return -1
        if has_header:
            position = write_fields(table, _BEFORE, scalars, position)
        end = position + U64(len(out)) - header_max  # for rows: the room of the header stays reserved
        while last - row >= row_bytes:
            if end - position < row_max:
                return -1
            position = write_row(table, row, position)
            row += row_bytes
        if has_header:
            position = write_fields(table, _AFTER, scalars, position)
        return I64(position - origin)

    return kernel(encode, key=key, unlocked=unlocked)


@kernel
def encode_flat(program: Words, row: Bytes, out: Bytes) -> int:
    """Write the row at the start of `row` as a flat message. Its length, or -1 if `out` may lack the room."""
    if U64(len(row)) < program[_ROW_BYTES] or U64(len(out)) < program[_ROW_MAX]:
        return -1
    origin = address_of(out)
    end = write_fields(address_of(program), _ROW, address_of(row), origin)
    return I64(end - origin)


decode = decoder(read_row, "any")
"""For every message: what to do stands in the program."""
encode = encoder(write_row, "any")
"""Likewise."""
