"""Random messages of random schemas: the codec and the protobuf runtime agree, both ways."""

from __future__ import annotations

import os
import struct
from typing import Any

import numpy as np
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from hypothesis import given, settings
from hypothesis import strategies as st

F = FieldDescriptorProto
INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT") == "1"
EXAMPLES = 25 if INTERPRETED else 400

_TYPES = [
    *(F.TYPE_INT64, F.TYPE_UINT64, F.TYPE_INT32, F.TYPE_UINT32, F.TYPE_SINT64, F.TYPE_SINT32),
    *(F.TYPE_FIXED64, F.TYPE_SFIXED64, F.TYPE_FIXED32, F.TYPE_SFIXED32),
    *(F.TYPE_BOOL, F.TYPE_ENUM, F.TYPE_DOUBLE, F.TYPE_FLOAT),
]


def _integers(bits: int, signed: bool) -> st.SearchStrategy[int]:
    """All magnitudes alike, so that every length of varint comes up; the ends often."""
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    sizes = st.integers(0, bits).flatmap(lambda size: st.integers(-(1 << size), 1 << size))
    return st.one_of(
        sizes.filter(lambda value: low <= value <= high), st.sampled_from([low, high, 0, 127, 128])
    )


_VALUES: dict[int, st.SearchStrategy[Any]] = {
    F.TYPE_BOOL: st.booleans(),
    F.TYPE_ENUM: st.one_of(st.integers(0, 254), st.sampled_from([-1, 255, 256, 2**31 - 1, -(2**31)])),
    F.TYPE_DOUBLE: st.floats(),
    F.TYPE_FLOAT: st.floats(width=32),
}
for _signed, _bits, _kinds in (
    (True, 64, (F.TYPE_INT64, F.TYPE_SINT64, F.TYPE_SFIXED64)),
    (False, 64, (F.TYPE_UINT64, F.TYPE_FIXED64)),
    (True, 32, (F.TYPE_INT32, F.TYPE_SINT32, F.TYPE_SFIXED32)),
    (False, 32, (F.TYPE_UINT32, F.TYPE_FIXED32)),
):
    _VALUES |= dict.fromkeys(_kinds, _integers(_bits, _signed))

_NUMBERS = st.one_of(
    st.integers(1, 15), st.integers(16, 2047), st.integers(2048, 18_999), st.integers(20_000, 2**29 - 1)
)


def _fields(least: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    field = st.tuples(_NUMBERS, st.sampled_from(_TYPES))
    return st.lists(field, min_size=least, max_size=12, unique_by=lambda pair: pair[0])


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Any, Any, int, dict[str, Any], list[dict[str, Any]]]:
    row, header = draw(_fields(1)), draw(_fields(0))
    taken = {number for number, _ in header}
    rows_number = draw(_NUMBERS.filter(lambda number: number not in taken))

    def values(fields: list[tuple[int, int]]) -> dict[str, Any]:
        given = [pair for pair in fields if draw(st.booleans())]
        return {f"f{number}": draw(_VALUES[kind]) for number, kind in given}

    return row, header, rows_number, values(header), [values(row) for _ in range(draw(st.integers(0, 4)))]


@settings(max_examples=EXAMPLES, deadline=None)
@given(case=_cases(), dedicated=st.booleans())
def test_random_schemas_agree_with_the_runtime(case: Any, dedicated: bool, build: Any) -> None:
    row, header, rows_number, scalars, rows = case
    # Compiling kernels for each would take seconds; the interpreter runs the same source.
    schema = build(row, header, rows_number, dedicated=dedicated and INTERPRETED)
    message = schema.envelope(**scalars, rows=rows)
    data = message.SerializeToString(deterministic=True)
    assert schema.actual(data) == schema.expected(data)

    decoded_header, decoded = schema.codec.decode(data)
    again = schema.codec.encode(decoded, decoded_header)
    assert schema.expected(again) == schema.expected(data)
    clamped = {name for name, kind in _kinds_of(row, header) if kind == F.TYPE_ENUM}
    if not clamped:
        assert again == data
    assert len(again) <= schema.codec.max_size(len(decoded))


def _kinds_of(row: list[tuple[int, int]], header: list[tuple[int, int]]) -> list[tuple[str, int]]:
    return [(f"f{number}", kind) for number, kind in [*row, *header]]


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_any_array_encodes_as_the_runtime_would(data: st.DataObject, every: Any) -> None:
    """From arrays of random bits to bytes: the same as a message with these values."""
    dtype = every.codec.row_dtype
    count = data.draw(st.integers(0, 3))
    bits = data.draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    rows = np.frombuffer(bits, dtype)
    message = every.envelope()
    for row in rows:
        message.rows.add(**{name: row[name].item() for name in dtype.names})
    encoded = every.codec.encode(rows)
    if any(np.isnan(rows[name]).any() for name in ("f13", "f14")):
        assert every.expected(encoded) == every.expected(message.SerializeToString())
    else:
        assert encoded == message.SerializeToString(deterministic=True)


@settings(max_examples=EXAMPLES, deadline=None)
@given(values=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40))
def test_long_rows_move_behind_their_length(values: list[int], build: Any) -> None:
    """Rows of 127, 128 and more bytes: the length takes one, two or three bytes."""
    fields = [(number, F.TYPE_FIXED64) for number in range(1, 41)] + [(41 + n, F.TYPE_BOOL) for n in range(8)]
    schema = build(fields)
    message = schema.envelope(rows=[{f"f{n}": v for n, v in enumerate(values, start=1)}, {"f41": True}])
    data = message.SerializeToString(deterministic=True)
    _, rows = schema.codec.decode(data)
    assert schema.codec.encode(rows) == data


def test_every_row_length_around_the_boundaries(build: Any) -> None:
    """Bodies of 2n bytes for all n: 126, 128, and 16 382, 16 384, where the length grows by a byte."""
    fields = [(1 + n, F.TYPE_BOOL) for n in range(15)] + [(16 + n, F.TYPE_BOOL) for n in range(5600)]
    schema = build(fields)
    for filled in (
        0,
        1,
        15,
        45,
        46,
        47,
        48,
        5400,
        5466,
        5467,
        5468,
        5469,
        5470,
        5471,
        5472,
        5473,
        5474,
        5615,
    ):
        rows = np.zeros(2, schema.codec.row_dtype)
        for number in range(1, filled + 1):
            rows[f"f{number}"] = 1
        message = schema.envelope(rows=[{f"f{n}": True for n in range(1, filled + 1)}] * 2)
        assert schema.codec.encode(rows) == message.SerializeToString(deterministic=True)


def test_negative_zero_is_written(every: Any) -> None:
    rows = np.zeros(1, every.codec.row_dtype)
    rows["f13"] = -0.0
    data = every.codec.encode(rows)
    assert struct.pack("<d", -0.0) in data
    assert data == every.envelope(rows=[{"f13": -0.0}]).SerializeToString(deterministic=True)
