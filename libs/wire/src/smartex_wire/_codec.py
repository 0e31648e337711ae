"""The Python face of the kernels: bytes and arrays in, arrays and bytes out."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, TypeAlias

import numpy as np
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from ._errors import Reason, WireError
from ._layout import Layout, envelope_layout, flat_layout
from ._rows import packer
from .direct import direct

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]
Octets: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
Header: TypeAlias = Mapping[str, int | float | bool] | np.void | Rows | bytes
Buffer: TypeAlias = bytes | bytearray | memoryview

_KEPT_SCRATCH = 1 << 20
"""Bytes of output buffer that a thread keeps for the next message; larger ones are made and given back."""


class _Scratch(threading.local):
    """A thread's output buffer: the final length of a message is known only after it was written."""

    def __init__(self) -> None:
        self._buffer: Octets = np.empty(1 << 16, np.uint8)
        self._view = self._buffer.data

    def of(self, size: int) -> tuple[Octets, memoryview]:
        """A buffer of at least so many bytes, and a view to cut the message out: twice as fast as from the array."""
        if size <= len(self._view):
            return self._buffer, self._view
        buffer = np.empty(size, np.uint8)
        if size <= _KEPT_SCRATCH:
            self._buffer, self._view = buffer, buffer.data
        return buffer, buffer.data


_scratch = _Scratch()


@dataclass(frozen=True, slots=True)
class Kernels:
    """The raw kernels and their table, for compiled code that fuses steps."""

    program: np.ndarray[Any, np.dtype[np.uint64]]
    """The first argument of the kernels: what they must know of this message."""
    decode: Callable[..., int]
    """(program, src, dst, header) → rows, or a failure."""
    encode: Callable[..., int]
    """(program, rows, header, out) → bytes, or -1 for too little room."""
    count: Callable[..., int]
    """(program, src) → rows, or a failure."""
    max_size: Callable[..., int]
    """(program, rows) → bytes."""
    decode_flat: Callable[..., int]
    """(program, src, dst) → 1, or a failure; for a flat message or the body of one row."""
    encode_flat: Callable[..., int]
    """(program, row, out) → bytes, or -1 for too little room."""
    write_row: Callable[..., int]
    """(program's address, row's address, position) → the position behind: a row with its tag and length, as uint64
    addresses; the caller has seen to it that `max_size(1)` bytes are free there."""
    stamp: str
    """Changes when code with these compiled into it is out of date, for those that cache such code."""


def _kernels(layout: Layout, dedicated: bool = False, unlocked: bool = False) -> Kernels:
    """Import the kernels, and with them Numba, as late as the first use."""
    from . import _dedicated, _write
    from . import _kernels as made
    from ._memory import SOURCES

    general = made.decode, made.encode, _write.write_row
    decode, encode, write_row = _dedicated.dedicated(layout, unlocked) if dedicated else general
    return Kernels(
        layout.program,
        decode,
        encode,
        made.count,
        made.max_size,
        made.decode_flat,
        made.encode_flat,
        write_row,
        hashlib.sha256(SOURCES.encode() + layout.program.tobytes()).hexdigest(),
    )


def _source(data: Buffer) -> Octets:
    """The bytes as a read-only array, not copied: one array type, one compiled kernel."""
    source: Octets = np.frombuffer(data, np.uint8)
    if source.flags.writeable:
        source.flags.writeable = False
    return source


def _fail(result: int) -> NoReturn:
    raise WireError(Reason(~result & 0xFF).name, ~result >> 8)


def _refuse_room(size: int, room: int) -> NoReturn:
    raise ValueError(f"the buffer has room for {room} bytes: give it up to {size} (max_size)")


class _Dtype:
    """Checks arrays against a dtype. To compare two records of fields takes longer than to write a small message, so
    the last dtype that was found equal is remembered."""

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        self.dtype = self._same = dtype

    def check(self, rows: Rows, what: str) -> Rows:
        """The rows, if they are of this dtype and have one dimension."""
        if rows.dtype is not self._same:
            if rows.dtype != self.dtype:
                raise TypeError(f"{what} must have the dtype {self.dtype}, not {rows.dtype}")
            self._same = rows.dtype
        if rows.ndim != 1:
            raise TypeError(f"{what} must have one dimension, not {rows.ndim}")
        return rows

    def check_writable(self, rows: Rows, what: str) -> Rows:
        """The rows, if they can be written to as well."""
        self.check(rows, what)
        if not (rows.flags.c_contiguous and rows.flags.writeable):
            raise TypeError(f"{what} must be contiguous and writable")
        return rows


class Codec:
    """Protobuf bytes of an envelope ⇄ its rows and its header.

    Make one with `smartex_wire.codec`; safe to share between threads.
    """

    def __init__(self, layout: Layout, dedicated: bool = False, unlocked: bool = False) -> None:
        self._layout = layout
        self._dedicated = dedicated
        self._unlocked = unlocked
        self.row_dtype = layout.row_dtype
        """One item of the repeated field: names as in the proto, the widest first, a whole number of 8-byte words."""
        self.header_dtype = layout.header_dtype
        """The envelope's scalar fields; without fields if it has none."""
        self._program = layout.program
        self._row_bytes = layout.row_dtype.itemsize
        self._rows, self._header = _Dtype(layout.row_dtype), _Dtype(layout.header_dtype)
        self._zeros: dict[str, int | float | bool] = dict.fromkeys(layout.header_dtype.names or (), 0)
        self._header_bytes = layout.header_dtype.itemsize
        self._header_room, self._row_room = layout.header_room, layout.row_room
        self._pack = packer(layout.header_dtype).pack
        self._no_header: Octets = np.empty(0, np.uint8)
        self._empty_header: np.void = np.zeros(1, self.header_dtype)[0]

    @cached_property
    def kernels(self) -> Kernels:
        """The raw kernels; the first access imports Numba."""
        return _kernels(self._layout, self._dedicated, self._unlocked)

    @cached_property
    def _decode(self) -> Callable[..., int]:
        return direct(self.kernels.decode, np.uint64, np.uint8, np.uint8, np.uint8)

    @cached_property
    def _encode(self) -> Callable[..., int]:
        # The general kernel is one for all messages, whose rows are octets to it.
        return direct(
            self.kernels.encode, np.uint64, self.row_dtype if self._dedicated else np.uint8, bytes, np.uint8
        )

    def max_size(self, rows: int) -> int:
        """Bytes that a message of so many rows takes at most."""
        return self._header_room + rows * self._row_room

    def count(self, data: Buffer) -> int:
        """How many rows the bytes hold, without looking into them. WireError if the envelope is malformed."""
        result = self.kernels.count(self.kernels.program, _source(data))
        if result < 0:
            _fail(result)
        return result

    def decode(
        self, data: Buffer, out: Rows | None = None, *, max_rows: int | None = None
    ) -> tuple[np.void, Rows]:
        """The header and the rows of a message.

        Rows go to the start of `out` if it is given, else to a new array. WireError if the bytes are not a
        valid message, or hold more rows than `max_rows` or `out` allow; `out` then holds rows that mean
        nothing. Set `max_rows` for input of strangers: an empty row is 2 bytes on the wire,
        `row_dtype.itemsize` in memory.
        """
        if max_rows is not None and max_rows < 0:
            raise ValueError(f"max_rows must not be negative, got {max_rows}")
        source = _source(data)
        if out is None:
            room = self.kernels.count(self._program, source)
            if room < 0:
                _fail(room)
            if max_rows is not None:
                room = min(room, max_rows)
            memory = np.empty(room * self._row_bytes, np.uint8)
            rows: Rows = memory.view(self.row_dtype)
        else:
            rows = self._rows.check_writable(out, "out")[:max_rows]
            memory = rows.view(np.uint8)
        if self._header_bytes:
            header = np.empty(1, self.header_dtype)
            result = self._decode(self._program, source, memory, header.view(np.uint8))
            scalars = header[0]
        else:
            result = self._decode(self._program, source, memory, self._no_header)
            scalars = self._empty_header
        if result < 0:
            _fail(result)
        return scalars, rows if out is None else rows[:result]

    def decode_into(self, data: Buffer, out: Rows, at: int = 0, header: Rows | None = None) -> int:
        """Append the rows of a message to `out` from index `at` on; returns how many there were.

        `header`, an array of one `header_dtype` (a slice of a longer one, say), takes the scalars. WireError
        as in `decode`, with TOO_MANY_ROWS if `out` is full; rows before `at` are never touched.
        """
        if not 0 <= at <= len(out):
            raise IndexError(f"at={at} is outside out, which has {len(out)} rows")
        memory = self._rows.check_writable(out, "out")[at:].view(np.uint8)
        scalars = self._no_header
        if header is not None:
            if len(self._header.check_writable(header, "header")) != 1:
                raise TypeError("header must be an array of one element")
            scalars = header.view(np.uint8)
        result = self._decode(self._program, _source(data), memory, scalars)
        if result < 0:
            _fail(result)
        return result

    def encode(self, rows: Rows, header: Header | None = None) -> bytes:
        """The message of these rows and header, as the runtime's deterministic serialization would be.

        `header` is a mapping of names to values, what `decode` gave, or bytes of a `header_packer`. Ignored fields
        are absent. TypeError for another dtype.
        """
        buffer, view = _scratch.of(self.max_size(len(rows)))
        return bytes(view[: self._write(rows, header, buffer)])

    def encode_into(self, rows: Rows, buffer: Octets, at: int = 0, header: Header | None = None) -> int:
        """Write the message to `buffer[at:]`; returns its length in bytes.

        ValueError if the buffer might be too small: `max_size(len(rows))` bytes are always enough.
        """
        if not 0 <= at <= len(buffer):
            raise IndexError(f"at={at} is outside the buffer, which has {len(buffer)} bytes")
        if buffer.dtype != np.uint8 or buffer.ndim != 1 or not buffer.flags.carray:
            raise TypeError("buffer must be a contiguous, writable array of uint8 with one dimension")
        return self._write(rows, header, buffer[at:] if at else buffer)

    def _write(self, rows: Rows, header: Header | None, target: Octets) -> int:
        memory = np.ascontiguousarray(self._rows.check(rows, "rows"))
        source = memory if self._dedicated else memory.view(np.uint8)
        length = self._encode(self._program, source, self._packed(header), target)
        if length < 0:
            _refuse_room(self.max_size(len(rows)), len(target))
        return length

    def header_packer(self, *names: str) -> Callable[..., bytes]:
        """A function from the values of the header's fields to a header that `encode` takes quickest.

        `names` are all its fields, in the order in which the function takes their values. TypeError if they are
        not those of the message; the function raises `struct.error` for a value that does not fit.
        """
        if names != (known := self.header_dtype.names or ()):
            raise TypeError(f"the fields of the header are {', '.join(known)}")
        return self._pack

    def _packed(self, header: Header | None) -> bytes:
        if type(header) is bytes and len(header) == self._header_bytes:
            return header
        if header is None or not self._header_bytes:
            if isinstance(header, Mapping) and header:
                raise TypeError(f"the message has no header fields, got {', '.join(header)}")
            return b""
        if type(header) is dict or isinstance(header, Mapping):  # to ask an abstract class takes longer
            values = {**self._zeros, **header}
            if len(values) > len(self._zeros):
                unknown = ", ".join(sorted(header.keys() - self._zeros.keys()))
                raise TypeError(f"the header has no field {unknown}")
            return self._pack(*values.values())
        if isinstance(header, bytes):
            raise TypeError(f"a packed header has {self._header_bytes} bytes, not {len(header)}")
        if header.dtype != self.header_dtype:
            raise TypeError(f"header must have the dtype {self.header_dtype}, not {header.dtype}")
        scalars = np.zeros(1, self.header_dtype)
        scalars[:] = header
        return scalars.tobytes()


class FlatCodec:
    """Protobuf bytes of one message of scalars ⇄ one row. Make one with `smartex_wire.flat_codec`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._row = _Dtype(layout.row_dtype)
        self.row_dtype = layout.row_dtype
        """The message: names as in the proto, the widest first, a whole number of 8-byte words."""
        self._max_bytes = 0

    @cached_property
    def kernels(self) -> Kernels:
        """The raw kernels; the first access imports Numba."""
        return _kernels(self._layout)

    @cached_property
    def max_size(self) -> int:
        """Bytes that a message takes at most."""
        return int(self.kernels.max_size(self.kernels.program, 1))

    def decode(self, data: Buffer, out: Rows | None = None) -> Rows:
        """The message as an array of one row: `out`, if given. WireError if the bytes are not valid."""
        row = np.empty(1, self.row_dtype) if out is None else self._row.check_writable(out, "out")
        if len(row) != 1:
            raise TypeError("out must be an array of one row")
        result = self.kernels.decode_flat(self.kernels.program, _source(data), row.view(np.uint8))
        if result < 0:
            _fail(result)
        return row

    def encode(self, row: Rows | np.void) -> bytes:
        """The message of a row (an array of one, or an element of an array)."""
        rows = self._row.check(np.atleast_1d(np.asarray(row)), "row")
        if len(rows) != 1:
            raise TypeError(f"a flat message is one row, got {len(rows)}")
        buffer, view = _scratch.of(self.max_size)
        memory = np.ascontiguousarray(rows).view(np.uint8)
        length = self.kernels.encode_flat(self.kernels.program, memory, buffer)
        if length < 0:
            _refuse_room(self.max_size, len(buffer))
        return bytes(view[:length])


def _descriptor(message: type[Message] | Descriptor) -> Descriptor:
    descriptor: Descriptor = getattr(message, "DESCRIPTOR", None) or message  # type: ignore[assignment]
    return descriptor


def codec(
    envelope: type[Message] | Descriptor,
    *,
    ignore: Collection[str] = (),
    dedicated: bool = False,
    unlocked: bool = False,
) -> Codec:
    """A codec for an envelope: scalar fields and exactly one repeated field of a message of scalars.

    Fields named in `ignore` are skipped on decode, unseen, and absent on encode. `dedicated`: compile kernels for
    this message alone, for hot paths; a second or two, once, where the general ones are there already. `unlocked`, of
    a dedicated one: its decoding lets other threads of Python run, for large messages that are decoded in a thread.
    TypeError names a field that does not fit.
    """
    return Codec(envelope_layout(_descriptor(envelope), ignore), dedicated, unlocked)


def flat_codec(message: type[Message] | Descriptor) -> FlatCodec:
    """A codec for a message of scalars only. TypeError names a field that does not fit."""
    return FlatCodec(flat_layout(_descriptor(message)))
