"""From a message descriptor to the dtypes of its arrays and the program that drives the kernels.

A program is one flat uint64 array, so that a kernel call passes a single table whatever the message looks
like, and one compiled kernel serves all messages. Its head (`Head` names the slots) says where its parts
begin:

- two *dispatch* tables, of the envelope and of the row: tag → operation, by index for tags below
  `DENSE_TAGS`;
- for larger tags, a *sparse* list of (tag, operation) pairs behind each dispatch table, searched in order;
- three *encode* lists of (operation, tag) pairs in order of field number: the envelope's fields before the
  rows, the envelope's fields after the rows, the row's fields.

An operation is `kind | byte offset << KIND_BITS`; zero means an unknown field.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from google.protobuf.descriptor import Descriptor, FieldDescriptor

KIND_BITS = 4
DENSE_TAGS = 1 << 14
"""Tags below this, those of field numbers up to 2047, are found by index."""
LENGTHS = 10
"""Tag and length of a row take 5 bytes each at most."""
WORD = 8
"""Rows are whole 8-byte words, so that a kernel can see them as any of the field widths."""


class Kind(IntEnum):
    """What a kernel does with a field. Varints come first: one comparison tells them from the others."""

    UNKNOWN = 0
    INT64 = 1
    INT32 = 2
    UINT32 = 3
    SINT64 = 4
    SINT32 = 5
    BOOL = 6
    ENUM = 7
    FIXED64 = 8
    FIXED32 = 9
    ROWS = 10


class Head(IntEnum):
    """Slots at the start of a program."""

    ROW_BYTES = 0
    HEADER_BYTES = 1
    ROW_MAX = 2
    HEADER_MAX = 3
    ROWS_TAG = 4
    ENVELOPE_DISPATCH = 5
    ENVELOPE_DENSE = 6
    ENVELOPE_SPARSE = 7
    ROW_DISPATCH = 8
    ROW_DENSE = 9
    ROW_SPARSE = 10
    BEFORE = 11
    BEFORE_END = 12
    AFTER = 13
    AFTER_END = 14
    ROW = 15
    ROW_END = 16
    SIZE = 17


@dataclass(frozen=True, slots=True)
class _Scalar:
    kind: Kind
    dtype: str
    wire_type: int
    max_bytes: int


_F = FieldDescriptor
_SCALARS = {
    _F.TYPE_INT64: _Scalar(Kind.INT64, "<i8", 0, 10),
    _F.TYPE_UINT64: _Scalar(Kind.INT64, "<u8", 0, 10),
    _F.TYPE_INT32: _Scalar(Kind.INT32, "<i4", 0, 10),
    _F.TYPE_UINT32: _Scalar(Kind.UINT32, "<u4", 0, 5),
    _F.TYPE_SINT64: _Scalar(Kind.SINT64, "<i8", 0, 10),
    _F.TYPE_SINT32: _Scalar(Kind.SINT32, "<i4", 0, 5),
    _F.TYPE_BOOL: _Scalar(Kind.BOOL, "u1", 0, 1),
    _F.TYPE_ENUM: _Scalar(Kind.ENUM, "u1", 0, 2),
    _F.TYPE_FIXED64: _Scalar(Kind.FIXED64, "<u8", 1, 8),
    _F.TYPE_SFIXED64: _Scalar(Kind.FIXED64, "<i8", 1, 8),
    _F.TYPE_DOUBLE: _Scalar(Kind.FIXED64, "<f8", 1, 8),
    _F.TYPE_FIXED32: _Scalar(Kind.FIXED32, "<u4", 5, 4),
    _F.TYPE_SFIXED32: _Scalar(Kind.FIXED32, "<i4", 5, 4),
    _F.TYPE_FLOAT: _Scalar(Kind.FIXED32, "<f4", 5, 4),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """All that a codec knows of its message."""

    row_dtype: np.dtype[np.void]
    header_dtype: np.dtype[np.void]
    program: np.ndarray[Any, np.dtype[np.uint64]]

    @property
    def header_room(self) -> int:
        """Bytes that the envelope's fields take at most."""
        return int(self.program[Head.HEADER_MAX])

    @property
    def row_room(self) -> int:
        """Bytes that a row takes at most, with its tag and length."""
        return int(self.program[Head.ROW_MAX]) + LENGTHS


def envelope_layout(descriptor: Descriptor, ignore: Collection[str] = ()) -> Layout:
    """Lay out a message of scalars and one repeated message of scalars. TypeError names what does not fit."""
    ignored = set(ignore)
    unknown = ignored - {field.name for field in descriptor.fields}
    if unknown:
        raise TypeError(f"{descriptor.full_name} has no field {', '.join(sorted(unknown))} to ignore")
    rest = [field for field in descriptor.fields if field.name not in ignored]
    rows = [field for field in rest if field.is_repeated and field.type == _F.TYPE_MESSAGE]
    if len(rows) != 1 or _is_map(rows[0]):
        names = ", ".join(field.name for field in rows) or "none"
        raise TypeError(
            f"{descriptor.full_name} needs exactly one repeated field of messages, it has {names}: "
            "list the others in ignore="
        )
    scalars = _in_order(field for field in rest if field is not rows[0])
    return _layout(scalars, rows[0], _in_order(_message_of(rows[0]).fields))


def flat_layout(descriptor: Descriptor) -> Layout:
    """Lay out a message of scalars only. TypeError says which field does not fit."""
    return _layout([], None, _in_order(descriptor.fields))


def _in_order(fields: Iterable[FieldDescriptor]) -> list[FieldDescriptor]:
    return sorted(fields, key=lambda field: field.number)


def _message_of(field: FieldDescriptor) -> Descriptor:
    assert field.message_type is not None
    return field.message_type


def _is_map(field: FieldDescriptor) -> bool:
    return bool(_message_of(field).GetOptions().map_entry)


def _scalar(field: FieldDescriptor) -> _Scalar:
    where = field.full_name
    if field.is_repeated:
        raise TypeError(
            f"{where} is repeated: only scalar fields map to an array (an envelope may ignore it)"
        )
    if field.type not in _SCALARS:
        raise TypeError(
            f"{where} is not a number, bool or enum: it does not map to an array (an envelope may ignore it)"
        )
    if field.has_presence:
        raise TypeError(
            f"{where} tracks presence (optional, oneof or proto2): an array cannot tell unset from zero"
        )
    if field.enum_type is not None and field.enum_type.is_closed:
        raise TypeError(f"{where} is a closed enum: only open enums (proto3) are supported")
    return _SCALARS[field.type]


def _dtype(fields: list[FieldDescriptor]) -> np.dtype[np.void]:
    """An aligned struct of the fields, its size rounded up to whole words."""
    aligned = np.dtype([(field.name, _scalar(field).dtype) for field in fields], align=True)
    size = -(-aligned.itemsize // WORD) * WORD
    offsets = [aligned.fields[field.name][1] for field in fields] if aligned.fields else []
    formats = [_scalar(field).dtype for field in fields]
    names = [field.name for field in fields]
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size}, align=True)


def _widest_first(fields: list[FieldDescriptor]) -> list[FieldDescriptor]:
    """In this order nothing lies unused between the fields of a row; rows are copied a lot."""
    return sorted(fields, key=lambda field: -np.dtype(_scalar(field).dtype).itemsize)


def _tag(field: FieldDescriptor, wire_type: int) -> int:
    return field.number << 3 | wire_type


def _operations(fields: list[FieldDescriptor], dtype: np.dtype[np.void]) -> list[tuple[int, int]]:
    """(operation, tag) of each field."""
    operations = []
    for field in fields:
        scalar = _scalar(field)
        assert dtype.fields is not None
        offset = dtype.fields[field.name][1]
        operations.append((scalar.kind | offset << KIND_BITS, _tag(field, scalar.wire_type)))
    return operations


def _varint_bytes(value: int) -> int:
    return max(1, -(-value.bit_length() // 7))


def _max_bytes(fields: list[FieldDescriptor]) -> int:
    return sum(_varint_bytes(field.number << 3) + _scalar(field).max_bytes for field in fields)


def _dispatch(operations: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """The dense table and the sparse pairs, flattened, of the operations."""
    dense_tags = [tag for _, tag in operations if tag < DENSE_TAGS]
    dense = [0] * (max(dense_tags, default=-1) + 1)
    sparse: list[int] = []
    for operation, tag in operations:
        if tag < DENSE_TAGS:
            dense[tag] = operation
        else:
            sparse += [tag, operation]
    return dense, sparse


def _layout(
    header: list[FieldDescriptor], rows: FieldDescriptor | None, row: list[FieldDescriptor]
) -> Layout:
    if not row:
        raise TypeError("a row has no fields: there is nothing to lay out")
    header_dtype, row_dtype = _dtype(header), _dtype(_widest_first(row))
    header_operations, row_operations = _operations(header, header_dtype), _operations(row, row_dtype)
    rows_tag = _tag(rows, 2) if rows else 0
    envelope_operations = [*header_operations, (int(Kind.ROWS), rows_tag)] if rows else []

    program = [0] * Head.SIZE
    program[Head.ROW_BYTES] = row_dtype.itemsize
    program[Head.HEADER_BYTES] = header_dtype.itemsize
    program[Head.ROW_MAX] = _max_bytes(row)
    program[Head.HEADER_MAX] = _max_bytes(header)
    program[Head.ROWS_TAG] = rows_tag

    def place(start: Head, values: list[int], size: int) -> int:
        """Append a part, note where it starts and, in the next slot, `size`."""
        program[start] = len(program)
        program.extend(values)
        program[start + 1] = size
        return len(program)

    dense, sparse = _dispatch(envelope_operations)
    place(Head.ENVELOPE_DISPATCH, dense + sparse, len(dense))
    program[Head.ENVELOPE_SPARSE] = len(sparse)
    dense, sparse = _dispatch(row_operations)
    place(Head.ROW_DISPATCH, dense + sparse, len(dense))
    program[Head.ROW_SPARSE] = len(sparse)
    before = [pair for pair in header_operations if pair[1] < rows_tag]
    after = [pair for pair in header_operations if pair[1] > rows_tag]
    for start, pairs in ((Head.BEFORE, before), (Head.AFTER, after), (Head.ROW, row_operations)):
        values = [value for pair in pairs for value in pair]
        place(start, values, len(program) + len(values))
    return Layout(row_dtype, header_dtype, np.array(program, dtype=np.uint64))
