"""Messages made at run time, and what the protobuf runtime says of their bytes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import smartex_wire
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

F = FieldDescriptorProto
_numbers = itertools.count()


@dataclass(frozen=True)
class Schema:
    """An envelope `p.Rows` of messages `p.Row`, with a codec for it."""

    envelope: type[Message]
    row: type[Message]
    codec: smartex_wire.Codec
    tail: bytes = b""
    """Put behind all bytes that are read: where much follows, rows are read in another way than at the end."""

    def expected(self, data: bytes) -> tuple[list[Any], list[list[Any]]] | None:
        """Header and rows as the runtime reads them; None if it refuses the bytes."""
        try:
            message = self.envelope.FromString(data + self.tail)
        except DecodeError:
            return None
        header = [_plain(message, field) for field in _in_order(message.DESCRIPTOR) if field.name != "rows"]
        rows: Any = message.rows  # type: ignore[attr-defined]
        return header, [[_plain(row, field) for field in _in_order(row.DESCRIPTOR)] for row in rows]

    def actual(self, data: bytes) -> tuple[list[Any], list[list[Any]]] | None:
        """Header and rows as the codec reads them; None if it refuses the bytes."""
        try:
            header, rows = self.codec.decode(data + self.tail)
        except smartex_wire.WireError:
            return None
        names = [field.name for field in _in_order(self.row.DESCRIPTOR)]
        columns = [rows[name].tolist() for name in names]
        return list(map(_comparable, header.tolist())), [
            list(map(_comparable, row)) for row in zip(*columns, strict=True)
        ]


def _in_order(descriptor: Any) -> list[Any]:
    return sorted(descriptor.fields, key=lambda field: field.number)


def _plain(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.type == F.TYPE_ENUM:
        return value if 0 <= value <= 254 else 255
    return _comparable(value)


def _comparable(value: Any) -> Any:
    """Floats by their bits, so that -0.0 differs from 0.0; all NaN alike."""
    if isinstance(value, float):
        return "nan" if value != value else ("float", np.float64(value).tobytes())
    return int(value)


def make_schema(
    row: list[tuple[int, int]],
    header: list[tuple[int, int]] | None = None,
    rows_number: int = 1,
    dedicated: bool = False,
    tail: bytes = b"",
) -> Schema:
    """Fields are (number, type); they are named f<number>."""
    file = FileDescriptorProto(name=f"schema{next(_numbers)}.proto", package="p", syntax="proto3")
    values = file.enum_type.add(name="Kind")
    for number in (0, 1, 2, 254, 255):
        values.value.add(name=f"KIND_{number}", number=number)
    for name, fields in (("Row", row), ("Rows", header or [])):
        message = file.message_type.add(name=name)
        for number, kind in fields:
            field = message.field.add(name=f"f{number}", number=number, type=kind, label=F.LABEL_OPTIONAL)
            if kind == F.TYPE_ENUM:
                field.type_name = ".p.Kind"
    file.message_type[1].field.add(
        name="rows", number=rows_number, type=F.TYPE_MESSAGE, label=F.LABEL_REPEATED, type_name=".p.Row"
    )
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    envelope = GetMessageClass(pool.FindMessageTypeByName("p.Rows"))
    codec = smartex_wire.codec(envelope, dedicated=dedicated)
    return Schema(envelope, GetMessageClass(pool.FindMessageTypeByName("p.Row")), codec, tail)


ALL_TYPES: list[Any] = [
    F.TYPE_INT64,
    F.TYPE_UINT64,
    F.TYPE_INT32,
    F.TYPE_FIXED64,
    F.TYPE_FIXED32,
    F.TYPE_BOOL,
    F.TYPE_UINT32,
    F.TYPE_ENUM,
    F.TYPE_SFIXED32,
    F.TYPE_SFIXED64,
    F.TYPE_SINT32,
    F.TYPE_SINT64,
    F.TYPE_DOUBLE,
    F.TYPE_FLOAT,
]


@pytest.fixture(scope="session")
def all_types() -> list[int]:
    """Every field type that maps to an array."""
    return list(ALL_TYPES)


@pytest.fixture(scope="session")
def build() -> Any:
    """`build(row, header, rows_number)` makes a Schema."""
    return make_schema


@pytest.fixture(scope="session", params=["general", "dedicated", "dedicated, more behind"])
def every(request: pytest.FixtureRequest) -> Schema:
    """A row of every type, and of numbers 16, 2047, 2048 and the largest; a header around the rows."""
    row = list(enumerate(ALL_TYPES, start=1))
    row += [(16, F.TYPE_INT64), (2047, F.TYPE_UINT32), (2048, F.TYPE_INT32), (536_870_911, F.TYPE_BOOL)]
    header: list[tuple[int, int]] = [(2, F.TYPE_UINT32), (3, F.TYPE_SFIXED64)]
    header += [(40, F.TYPE_ENUM), (5000, F.TYPE_SINT32)]
    kind, _, more = request.param.partition(", ")
    empty_row = b"\x8a\x01\x00"
    return make_schema(
        row, header, rows_number=17, dedicated=kind == "dedicated", tail=100 * empty_row if more else b""
    )
