"""The Python face: dtypes, where rows go, what is refused, threads, other compiled code, the cache."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import smartex_wire
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from smartex_wire import WireError

F = FieldDescriptorProto

PROTO_TYPES: dict[int, str] = {
    F.TYPE_INT64: "i8",
    F.TYPE_SINT64: "i8",
    F.TYPE_SFIXED64: "i8",
    F.TYPE_UINT64: "u8",
    F.TYPE_FIXED64: "u8",
    F.TYPE_INT32: "i4",
    F.TYPE_SINT32: "i4",
    F.TYPE_SFIXED32: "i4",
    F.TYPE_UINT32: "u4",
    F.TYPE_FIXED32: "u4",
    F.TYPE_BOOL: "u1",
    F.TYPE_ENUM: "u1",
    F.TYPE_DOUBLE: "f8",
    F.TYPE_FLOAT: "f4",
}


@pytest.fixture
def pairs(build: Any) -> Any:
    """Rows of (f1: int64, f2: uint32) at number 1, a header of f3: int64."""
    return build([(1, F.TYPE_INT64), (2, F.TYPE_UINT32)], [(3, F.TYPE_INT64)])


def rows_of(schema: Any, values: list[tuple[int, int]]) -> Any:
    return np.array(values, schema.codec.row_dtype)


def test_each_type_has_its_dtype(build: Any, all_types: list[int]) -> None:
    assert set(PROTO_TYPES) == set(all_types)
    schema = build(list(enumerate(all_types, start=1)), [(2, F.TYPE_BOOL)])
    dtype = schema.codec.row_dtype
    for number, kind in enumerate(all_types, start=1):
        assert dtype[f"f{number}"] == np.dtype(PROTO_TYPES[kind])
    assert dtype.isalignedstruct
    assert dtype.itemsize % 8 == 0
    assert schema.codec.header_dtype.names == ("f2",)
    used = sum(dtype[name].itemsize for name in dtype.names)
    assert dtype.itemsize - used < 8, "something lies unused between the fields"


def test_a_header_without_fields(build: Any) -> None:
    codec = build([(1, F.TYPE_INT64)]).codec
    assert codec.header_dtype.names in ((), None)
    header, rows = codec.decode(b"")
    assert header.item() in ((), b"")
    assert len(rows) == 0
    assert codec.encode(rows) == b""
    with pytest.raises(TypeError, match="no header fields"):
        codec.encode(rows, {"f9": 1})


def test_header_as_mapping_void_or_array(pairs: Any) -> None:
    rows = rows_of(pairs, [(1, 2)])
    data = pairs.codec.encode(rows, {"f3": -4})
    header, _ = pairs.codec.decode(data)
    assert header["f3"] == -4
    assert pairs.codec.encode(rows, header) == data
    array = np.zeros(1, pairs.codec.header_dtype)
    array["f3"] = -4
    assert pairs.codec.encode(rows, array) == data
    with pytest.raises(TypeError, match="no field f9"):
        pairs.codec.encode(rows, {"f9": 1})
    with pytest.raises(TypeError, match="header must have the dtype"):
        pairs.codec.encode(rows, rows)


def test_a_packed_header(pairs: Any) -> None:
    rows, header = rows_of(pairs, [(1, 2)]), pairs.codec.header_packer("f3")
    assert pairs.codec.encode(rows, header(-4)) == pairs.codec.encode(rows, {"f3": -4})
    for names in ((), ("f1",), ("f3", "f3")):
        with pytest.raises(TypeError, match="the fields of the header are f3"):
            pairs.codec.header_packer(*names)
    with pytest.raises(TypeError, match="a packed header has 8 bytes, not 7"):
        pairs.codec.encode(rows, header(-4)[:-1])


def test_called_directly(pairs: Any) -> None:
    kernels = pairs.codec.kernels
    count = smartex_wire.direct(kernels.count, np.uint64, np.uint8)
    data = np.frombuffer(pairs.codec.encode(rows_of(pairs, [(1, 2), (3, 4)])), np.uint8)
    assert count(kernels.program, data) == kernels.count(kernels.program, data) == 2
    most = smartex_wire.direct(kernels.max_size, np.uint64, int)
    assert most(kernels.program, 3) == pairs.codec.max_size(3)


def test_the_header_outlives_the_call(pairs: Any) -> None:
    headers = [pairs.codec.decode(pairs.codec.encode(rows_of(pairs, []), {"f3": n}))[0] for n in range(50)]
    assert [int(header["f3"]) for header in headers] == list(range(50))


def test_decode_to_a_given_array(pairs: Any) -> None:
    data = pairs.codec.encode(rows_of(pairs, [(1, 2), (3, 4)]))
    out = rows_of(pairs, [(9, 9)] * 4)
    _, rows = pairs.codec.decode(data, out)
    assert rows.base is out or np.shares_memory(rows, out)
    assert rows.tolist() == [(1, 2), (3, 4)]
    assert out[2:].tolist() == [(9, 9)] * 2
    with pytest.raises(WireError, match="TOO_MANY_ROWS"):
        pairs.codec.decode(data, out[:1])


def test_decode_into_appends(pairs: Any) -> None:
    out, headers = np.zeros(5, pairs.codec.row_dtype), np.zeros(2, pairs.codec.header_dtype)
    at = 0
    for index, values in enumerate([[(1, 1), (2, 2)], [(3, 3), (4, 4), (5, 5)]]):
        data = pairs.codec.encode(rows_of(pairs, values), {"f3": index + 7})
        at += pairs.codec.decode_into(data, out, at, headers[index : index + 1])
    assert at == 5
    assert out["f1"].tolist() == [1, 2, 3, 4, 5]
    assert headers["f3"].tolist() == [7, 8]
    with pytest.raises(WireError, match="TOO_MANY_ROWS"):
        pairs.codec.decode_into(data, out, at)
    with pytest.raises(WireError, match="TOO_MANY_ROWS"):
        pairs.codec.decode_into(data, out, 3)
    assert out["f1"].tolist()[:3] == [1, 2, 3]
    assert pairs.codec.decode_into(b"", out, at) == 0
    for outside in (-1, 6):
        with pytest.raises(IndexError):
            pairs.codec.decode_into(data, out, outside)
    with pytest.raises(TypeError, match="one element"):
        pairs.codec.decode_into(data, out, 0, headers)


def test_max_rows(pairs: Any) -> None:
    data = pairs.codec.encode(rows_of(pairs, [(1, 2)] * 3))
    assert len(pairs.codec.decode(data, max_rows=3)[1]) == 3
    with pytest.raises(WireError, match="TOO_MANY_ROWS") as caught:
        pairs.codec.decode(data, max_rows=2)
    assert caught.value.offset == len(data) * 2 // 3
    with pytest.raises(WireError, match="TOO_MANY_ROWS"):
        pairs.codec.decode(data, np.zeros(9, pairs.codec.row_dtype), max_rows=2)
    with pytest.raises(ValueError, match="max_rows"):
        pairs.codec.decode(data, max_rows=-1)
    assert pairs.codec.count(data) == 3


def test_encode_into_a_buffer(pairs: Any) -> None:
    rows = rows_of(pairs, [(1, 2), (3, 4)])
    data = pairs.codec.encode(rows, {"f3": 5})
    buffer = np.full(200, 0xEE, np.uint8)
    length = pairs.codec.encode_into(rows, buffer, 7, {"f3": 5})
    assert buffer[7 : 7 + length].tobytes() == data
    assert set(buffer[:7]) | set(buffer[7 + length :]) == {0xEE}
    with pytest.raises(ValueError, match="max_size"):
        pairs.codec.encode_into(rows, buffer[: len(data) - 1])
    exact = np.empty(pairs.codec.max_size(2), np.uint8)
    assert pairs.codec.encode_into(rows, exact, header={"f3": 5}) == len(data)
    with pytest.raises(IndexError):
        pairs.codec.encode_into(rows, buffer, 201)
    for wrong in (
        buffer.view(np.int8),
        buffer[::2],
        buffer.reshape(2, 100),
        np.frombuffer(bytes(100), np.uint8),
    ):
        with pytest.raises(TypeError, match="buffer"):
            pairs.codec.encode_into(rows, wrong)


def test_encode_of_slices_and_large_batches(pairs: Any) -> None:
    rows = np.zeros(200_000, pairs.codec.row_dtype)
    rows["f1"] = np.arange(len(rows)) - 1000
    data = pairs.codec.encode(rows)
    assert np.array_equal(pairs.codec.decode(data)[1], rows)
    assert pairs.codec.encode(rows[::3]) == pairs.codec.encode(rows[::3].copy())
    readonly = rows[:5].copy()
    readonly.flags.writeable = False
    assert pairs.codec.encode(readonly) == pairs.codec.encode(rows[:5])


def test_any_buffer_is_a_source(pairs: Any) -> None:
    data = pairs.codec.encode(rows_of(pairs, [(1, 2)]))
    for source in (data, bytearray(data), memoryview(data), memoryview(b"x" + data)[1:]):
        assert pairs.codec.decode(source)[1].tolist() == [(1, 2)]


def test_other_dtypes_are_refused(pairs: Any) -> None:
    codec, other = pairs.codec, np.zeros(2, np.int64)
    for call in (
        codec.encode,
        lambda array: codec.decode(b"", array),
        lambda array: codec.decode_into(b"", array),
    ):
        with pytest.raises(TypeError, match="dtype"):
            call(other)
        with pytest.raises(TypeError, match="dimension"):
            call(np.zeros((2, 2), codec.row_dtype))
    with pytest.raises(TypeError, match="contiguous"):
        codec.decode(b"", np.zeros(4, codec.row_dtype)[::2])


def test_flat(every: Any) -> None:
    flat = smartex_wire.flat_codec(every.row)
    message = every.row(f1=-5, f8=2, f13=0.5, f2048=7)
    data = message.SerializeToString(deterministic=True)
    row = flat.decode(data)
    assert (row[0]["f1"], row[0]["f8"], row[0]["f13"], row[0]["f2048"]) == (-5, 2, 0.5, 7)
    assert flat.encode(row) == flat.encode(row[0]) == data
    out = np.zeros(1, flat.row_dtype)
    assert flat.decode(data, out) is out
    assert out.tobytes() == row.tobytes()
    assert flat.decode(b"").tobytes() == bytes(flat.row_dtype.itemsize)
    assert flat.encode(flat.decode(b"")) == b""
    with pytest.raises(TypeError, match="one row"):
        flat.encode(np.zeros(2, flat.row_dtype))
    with pytest.raises(TypeError, match="one row"):
        flat.decode(data, np.zeros(2, flat.row_dtype))
    with pytest.raises(TypeError, match="dtype"):
        flat.encode(np.zeros(1, np.int64))
    with pytest.raises(WireError, match="TRUNCATED"):
        flat.decode(b"\x08")


def test_threads_share_a_codec(every: Any) -> None:
    def work(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        for _ in range(50):
            rows = np.zeros(int(rng.integers(0, 40)), every.codec.row_dtype)
            rows["f1"] = rng.integers(-(2**62), 2**62, len(rows))
            header, again = every.codec.decode(every.codec.encode(rows, {"f2": seed}))
            if header["f2"] != seed or not np.array_equal(again, rows):
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


def test_the_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(WireError("TRUNCATED", 7)))
    assert (error.reason, error.offset, str(error)) == ("TRUNCATED", 7, "TRUNCATED at byte 7")


def test_compiled_code_calls_the_kernels(pairs: Any) -> None:
    from numba import njit

    kernels = pairs.codec.kernels
    decode, encode = kernels.decode, kernels.encode

    @njit
    def copy(program: Any, source: Any, rows: Any, header: Any, out: Any) -> Any:
        count = decode(program, source, rows, header)
        if count < 0:
            return count
        size = program[0]
        return encode(program, rows[: count * size], header, out)

    data = pairs.codec.encode(rows_of(pairs, [(1, 2), (3, 4)]), {"f3": 5})
    memory, header, out = np.zeros(1000, np.uint8), np.zeros(8, np.uint8), np.zeros(500, np.uint8)
    length = copy(kernels.program, np.frombuffer(data, np.uint8), memory, header, out)
    assert out[:length].tobytes() == data
    assert copy(kernels.program, np.frombuffer(data[:-1], np.uint8), memory, header, out) < 0


def _message(change: Any) -> Any:
    """The envelope's descriptor of a small file after `change(file)`."""
    file = FileDescriptorProto(name="odd.proto", package="p", syntax="proto3")
    file.enum_type.add(name="Kind").value.add(name="ZERO", number=0)
    row = file.message_type.add(name="Row")
    row.field.add(name="a", number=1, type=F.TYPE_INT64, label=F.LABEL_OPTIONAL)
    envelope = file.message_type.add(name="Rows")
    envelope.field.add(name="rows", number=1, type=F.TYPE_MESSAGE, label=F.LABEL_REPEATED, type_name=".p.Row")
    change(row, envelope)
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindMessageTypeByName("p.Rows")


def _field(name: str, kind: int, label: int = F.LABEL_OPTIONAL, **more: Any) -> dict[str, Any]:
    return {"name": name, "number": 5, "type": kind, "label": label, **more}


def _optional(message: Any) -> None:
    message.oneof_decl.add(name="_b")
    message.field.add(**_field("b", F.TYPE_INT64, oneof_index=0, proto3_optional=True))


UNFIT = {
    "string": lambda message: message.field.add(**_field("b", F.TYPE_STRING)),
    "bytes": lambda message: message.field.add(**_field("b", F.TYPE_BYTES)),
    "message": lambda message: message.field.add(**_field("b", F.TYPE_MESSAGE, type_name=".p.Row")),
    "repeated": lambda message: message.field.add(**_field("b", F.TYPE_INT64, F.LABEL_REPEATED)),
    "optional": _optional,
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_fields_that_do_not_fit(unfit: str) -> None:
    in_row = _message(lambda row, envelope: UNFIT[unfit](row))
    with pytest.raises(TypeError, match=r"p\.Row\.b"):
        smartex_wire.codec(in_row)
    in_envelope = _message(lambda row, envelope: UNFIT[unfit](envelope))
    with pytest.raises(TypeError, match=r"p\.Rows\.b"):
        smartex_wire.codec(in_envelope)
    assert smartex_wire.codec(in_envelope, ignore=["b"]).row_dtype.names == ("a",)
    with pytest.raises(TypeError, match=r"p\.Rows\."):
        smartex_wire.flat_codec(in_envelope)


def test_exactly_one_repeated_message() -> None:
    def second(row: Any, envelope: Any) -> None:
        envelope.field.add(**_field("b", F.TYPE_MESSAGE, F.LABEL_REPEATED, type_name=".p.Row"))

    with pytest.raises(TypeError, match="exactly one repeated"):
        smartex_wire.codec(_message(second))
    codec = smartex_wire.codec(_message(second), ignore=("b",))
    _, rows = codec.decode(b"\x0a\x02\x08\x07\x2a\x02\x08\x09")
    assert rows["a"].tolist() == [7]
    with pytest.raises(TypeError, match="has no field c to ignore"):
        smartex_wire.codec(_message(second), ignore=("b", "c"))
    with pytest.raises(TypeError, match="it has none"):
        smartex_wire.codec(_message(second).fields_by_name["rows"].message_type)


def test_a_row_without_fields_is_refused() -> None:
    with pytest.raises(TypeError, match="no fields"):
        smartex_wire.codec(_message(lambda row, envelope: row.ClearField("field")))


def test_ignored_fields_are_skipped_unseen() -> None:
    """The one difference from the runtime: what is in an ignored field is nobody's business here."""
    codec = smartex_wire.codec(_message(lambda _, envelope: UNFIT["string"](envelope)), ignore=("b",))
    _, rows = codec.decode(b"\x2a\x02\xff\xfe\x0a\x02\x08\x07")
    assert rows["a"].tolist() == [7]


def _python(code: str, **environment: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_importing_does_not_import_numba() -> None:
    assert _python("import smartex_wire, sys; print('numba' in sys.modules)") == "False"
