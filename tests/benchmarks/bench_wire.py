"""Wire: bytes ⇄ arrays by the kernels, against the protobuf runtime with a loop over fields, in the same run.

The messages are batches of orders (about 22 bytes each) and of reports (about 24), with fields as sparse as
real ones. The peer does what a service without kernels would: parse, then copy field by field into the array;
or build messages from the array's rows, then serialize.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import smartex_wire
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

F = FieldDescriptorProto
ROWS = 100
ORDER = {
    "kind": F.TYPE_ENUM,
    "instrument_id": F.TYPE_UINT32,
    "client_order_id": F.TYPE_INT64,
    "side": F.TYPE_ENUM,
    "order_type": F.TYPE_ENUM,
    "time_in_force": F.TYPE_ENUM,
    "price_ticks": F.TYPE_INT64,
    "quantity_lots": F.TYPE_INT64,
    "create_time_ns": F.TYPE_SFIXED64,
    "order_id": F.TYPE_INT64,
    "request_id": F.TYPE_INT64,
}
REPORT = {
    "kind": F.TYPE_ENUM,
    "sequence": F.TYPE_INT64,
    "instrument_id": F.TYPE_UINT32,
    "client_order_id": F.TYPE_INT64,
    "order_id": F.TYPE_INT64,
    "request_id": F.TYPE_INT64,
    "side": F.TYPE_ENUM,
    "price_ticks": F.TYPE_INT64,
    "quantity_lots": F.TYPE_INT64,
    "leaves_lots": F.TYPE_INT64,
    "reason": F.TYPE_ENUM,
}


def _batch(name: str, fields: dict[str, Any]) -> Any:
    """The class of a message with `rows` of these fields."""
    file = FileDescriptorProto(name=f"bench_{name}.proto", package=f"bench_{name}", syntax="proto3")
    kinds = file.enum_type.add(name="Kind")
    for number in range(4):
        kinds.value.add(name=f"KIND_{number}", number=number)
    row = file.message_type.add(name="Row")
    for number, (field, kind) in enumerate(fields.items(), start=1):
        added = row.field.add(name=field, number=number, type=kind, label=F.LABEL_OPTIONAL)
        if kind == F.TYPE_ENUM:
            added.type_name = f".bench_{name}.Kind"
    rows = file.message_type.add(name="Rows").field.add(name="rows", number=1, type=F.TYPE_MESSAGE)
    rows.label, rows.type_name = F.LABEL_REPEATED, f".bench_{name}.Row"
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName(f"bench_{name}.Rows"))


def _fill(rows: Any, seed: int) -> None:
    """Values of everyday sizes; times, order ids of new orders, request ids and reasons stay zero."""
    rng = np.random.default_rng(seed)
    ranges = {
        "kind": (1, 4),
        "sequence": (10_000, 30_000),
        "instrument_id": (1, 100),
        "client_order_id": (1, 1 << 21),
        "side": (1, 3),
        "order_type": (1, 3),
        "time_in_force": (1, 4),
        "price_ticks": (100, 16_000),
        "quantity_lots": (1, 300),
        "leaves_lots": (0, 300),
    }
    for name, (low, high) in ranges.items():
        if name in (rows.dtype.names or ()):
            rows[name] = rng.integers(low, high, len(rows))


def _best(work: Callable[[], Any], calls: int) -> float:
    """Microseconds a call, the best of seven rounds."""
    rounds = []
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(calls):
            work()
        rounds.append((time.perf_counter() - start) / calls * 1e6)
    return min(rounds)


def _runtime_decode(message: Any, data: bytes, rows: Any) -> None:
    names = rows.dtype.names
    for index, row in enumerate(message.FromString(data).rows):
        rows[index] = tuple(getattr(row, name) for name in names)


def _runtime_encode(message: Any, rows: Any) -> Any:
    names = rows.dtype.names
    batch = message()
    for values in rows.tolist():
        batch.rows.add(**dict(zip(names, values, strict=True)))
    return batch.SerializeToString()


def _compare(name: str, product: float, peer: float) -> dict[str, Any]:
    return {"name": name, "value": product, "unit": "µs", "peer": peer, "ratio": peer / product}


def _measure(name: str, fields: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    message = _batch(name, fields)
    codec = smartex_wire.codec(message)
    rows = np.zeros(ROWS, codec.row_dtype)
    _fill(rows, seed)
    data = codec.encode(rows)
    if data != _runtime_encode(message, rows) or not np.array_equal(codec.decode(data)[1], rows):
        raise AssertionError("product and peer disagree")
    peer_rows, out, one = rows.copy(), rows.copy(), codec.encode(rows[:1])
    decode_peer = _best(lambda: _runtime_decode(message, data, peer_rows), 100)
    encode_peer = _best(lambda: _runtime_encode(message, rows), 100)
    one_peer = _best(lambda: _runtime_decode(message, one, peer_rows), 2000)
    one_encode_peer = _best(lambda: _runtime_encode(message, rows[:1]), 2000)
    return [
        _compare(
            f"decode {ROWS} {name}s, {len(data) / ROWS:.0f} bytes each",
            _best(lambda: codec.decode(data), 2000),
            decode_peer,
        ),
        _compare(
            f"decode {ROWS} {name}s into an array",
            _best(lambda: codec.decode_into(data, out), 2000),
            decode_peer,
        ),
        _compare(f"decode 1 {name}", _best(lambda: codec.decode(one), 5000), one_peer),
        _compare(f"encode {ROWS} {name}s", _best(lambda: codec.encode(rows), 2000), encode_peer),
        _compare(f"encode 1 {name}", _best(lambda: codec.encode(rows[:1]), 5000), one_encode_peer),
        *_kernels_alone(name, codec, data, rows, decode_peer, encode_peer),
    ]


def _kernels_alone(
    name: str, codec: smartex_wire.Codec, data: bytes, rows: Any, decode_peer: float, encode_peer: float
) -> list[dict[str, Any]]:
    """What compiled code pays that calls the kernels, and one call from Python besides."""
    kernels, none = codec.kernels, np.empty(0, np.uint8)
    source, memory = np.frombuffer(data, np.uint8), rows.copy().view(np.uint8)
    target = np.empty(codec.max_size(len(rows)), np.uint8)
    decode = _best(lambda: kernels.decode(kernels.program, source, memory, none), 2000)
    encode = _best(lambda: kernels.encode(kernels.program, memory, none, target), 2000)
    return [
        _compare(f"decode kernel, {ROWS} {name}s", decode, decode_peer),
        _compare(f"encode kernel, {ROWS} {name}s", encode, encode_peer),
    ]


def run() -> list[dict[str, Any]]:
    """Microseconds of the product and of the protobuf runtime; the ratio is how many times faster it is."""
    smartex_wire.warm_up()
    return _measure("order", ORDER, 1) + _measure("report", REPORT, 2)


if __name__ == "__main__":
    for measured in run():
        print("{name:48} {value:9.2f} {unit}   runtime {peer:9.2f}   {ratio:5.1f} x".format(**measured))
