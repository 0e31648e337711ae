"""Compile ahead of the first message."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from ._codec import codec, flat_codec


def warm_up() -> None:
    """Compile every kernel, or load it from the cache: some seconds the first time, well under one later.

    The kernels are the same for all messages, so one call serves all codecs. Without it, the first message
    pays.
    """
    rows, row = _sample()
    envelope = codec(rows)
    _, array = envelope.decode(b"\x0a\x02\x08\x01")
    envelope.decode_into(envelope.encode(array), array)
    flat = flat_codec(row)
    flat.encode(flat.decode(b"\x08\x01"))


def _sample() -> tuple[Descriptor, Descriptor]:
    file = FileDescriptorProto(name="smartex_wire/sample.proto", package="smartex_wire", syntax="proto3")
    types = FieldDescriptorProto
    row = file.message_type.add(name="Row")
    row.field.add(name="value", number=1, type=types.TYPE_INT64, label=types.LABEL_OPTIONAL)
    rows = file.message_type.add(name="Rows")
    rows.field.add(
        name="rows",
        number=1,
        type=types.TYPE_MESSAGE,
        label=types.LABEL_REPEATED,
        type_name=".smartex_wire.Row",
    )
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindMessageTypeByName("smartex_wire.Rows"), pool.FindMessageTypeByName("smartex_wire.Row")
