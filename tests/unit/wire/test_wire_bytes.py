"""Bytes that no honest encoder makes: accepted or refused, and read, as the protobuf runtime does."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
import smartex_wire
from hypothesis import given, settings
from hypothesis import strategies as st

EXAMPLES = 40 if os.environ.get("NUMBA_DISABLE_JIT") == "1" else 1500
ROUNDS = 200 if os.environ.get("NUMBA_DISABLE_JIT") == "1" else 4000


def varint(value: int, padding: int = 0) -> bytes:
    """A varint, with some needless bytes."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    for _ in range(padding):
        out[-1] |= 0x80
        out.append(0)
    return bytes(out)


def in_row(body: bytes) -> bytes:
    """The body as the one row of `every`."""
    return b"\x8a\x01" + varint(len(body)) + body


def groups(depth: int) -> bytes:
    return b"\x9b\x06" * depth + b"\x9c\x06" * depth


BODIES = {
    "nothing": b"",
    "varint of 10 bytes": b"\x08" + b"\xff" * 9 + b"\x01",
    "varint of 10 bytes, bits over 64": b"\x08" + b"\xff" * 9 + b"\x7f",
    "varint of 11 bytes": b"\x08" + b"\xff" * 10 + b"\x01",
    "int32 of 10 bytes": b"\x18" + b"\xfe" * 9 + b"\x01",
    "int32 of 64 bits": b"\x18" + varint(0x1234_5678_9ABC_DEF0),
    "uint32 of 64 bits": b"\x38" + varint(0x1234_5678_9ABC_DEF0),
    "sint32 of 64 bits": b"\x58" + varint(0x1234_5678_9ABC_DEF1),
    "sint64 least": b"\x60" + varint(2**64 - 1),
    "bool of 2": b"\x30\x02",
    "bool of 2**40": b"\x30" + varint(2**40),
    "bool of 2**63": b"\x30" + varint(2**63),
    "bool of bits over 64": b"\x30" + b"\x80" * 9 + b"\x02",
    "enum 254": b"\x40\xfe\x01",
    "enum 255": b"\x40\xff\x01",
    "enum 256": b"\x40\x80\x02",
    "enum negative": b"\x40" + varint(2**64 - 1),
    "enum 2**32 + 1": b"\x40" + varint(2**32 + 1),
    "overlong zero": b"\x08\x80\x80\x00",
    "overlong tag": b"\x88\x00\x05",
    "tag of 5 bytes": b"\x88\x80\x80\x80\x00\x05",
    "tag of 33 bits": b"\x88\x80\x80\x80\x10\x05",
    "tag of 6 bytes": b"\x88\x80\x80\x80\x80\x00\x05",
    "tag of 10 bytes": b"\x88" + b"\x80" * 8 + b"\x00\x05",
    "tag cut short": b"\x88",
    "field 0": b"\x00\x00",
    "field 0, overlong": b"\x80\x00\x00",
    "field 0 with bytes": b"\x02\x00",
    "field 0 as group": b"\x03\x04",
    "field 0 in a group": b"\x9b\x06\x00\x00\x9c\x06",
    "wire type 6": b"\x0e",
    "wire type 7": b"\x0f\x00",
    "wire type 6, unknown": b"\xae\x06\x01",
    "end of group alone": b"\x0c",
    "known number as group": b"\x0b\x0c",
    "known number as bytes": b"\x0a\x02\x08\x05",
    "known number as fixed32": b"\x0d\x01\x02\x03\x04",
    "known number as fixed64": b"\x09\x01\x02\x03\x04\x05\x06\x07\x08",
    "fixed64 as varint": b"\x20\x05",
    "fixed32 as fixed64": b"\x29\x01\x02\x03\x04\x05\x06\x07\x08",
    "last value wins": b"\x08\x05\x08\x00\x18\x07\x18\x06",
    "any order": b"\x18\x07\x08\x05",
    "unknown varint": b"\xa0\x06\x05\x08\x01",
    "unknown varint of 11 bytes": b"\xa0\x06" + b"\xff" * 10 + b"\x01",
    "unknown fixed64": b"\xa1\x06\x01\x02\x03\x04\x05\x06\x07\x08\x08\x01",
    "unknown fixed64 cut short": b"\xa1\x06\x01\x02\x03\x04\x05\x06\x07",
    "unknown fixed32": b"\xa5\x06\x01\x02\x03\x04\x08\x01",
    "unknown fixed32 cut short": b"\xa5\x06\x01\x02\x03",
    "unknown bytes": b"\xa2\x06\x03abc\x08\x01",
    "unknown bytes cut short": b"\xa2\x06\x04abc",
    "length of 5 bytes": b"\xa2\x06\x81\x80\x80\x80\x00x\x08\x01",
    "length of 6 bytes": b"\xa2\x06\x81\x80\x80\x80\x80\x00x",
    "length of 33 bits": b"\xa2\x06\x81\x80\x80\x80\x10x",
    "length of 2**31": b"\xa2\x06\x80\x80\x80\x80\x08",
    "length of 2**31 - 1": b"\xa2\x06\xff\xff\xff\xff\x07",
    "length of 2**32 - 1": b"\xa2\x06\xff\xff\xff\xff\x0f",
    "fixed64 cut short": b"\x21\x01\x02\x03",
    "fixed32 cut short": b"\x2d\x01\x02",
    "varint cut short": b"\x08\x80\x80",
    "value missing": b"\x08",
    "group": b"\x9b\x06\x08\x05\x11" + bytes(8) + b"\x1a\x01x\x25" + bytes(4) + b"\x9c\x06\x08\x01",
    "group without end": b"\x9b\x06\x08\x05",
    "group with another end": b"\x9b\x06\xa4\x06",
    "groups crossed": b"\x9b\x06\xa3\x06\x9c\x06\xa4\x06",
    "groups nested": b"\x9b\x06\xa3\x06\xa4\x06\x9c\x06\x08\x01",
    "wire type 7 in a group": b"\x9b\x06\x0f\x9c\x06",
    "bad tag in a group": b"\x9b\x06\x88\x80\x80\x80\x10\x9c\x06",
    "field 16": b"\x80\x01\x05",
    "field 2047": b"\xf8\x7f\x05",
    "field 2048": b"\x80\x80\x01\x05",
    "field 2048 as bytes": b"\x82\x80\x01\x00",
    "field 2049, unknown": b"\x88\x80\x01\x05",
    "largest field": b"\xf8\xff\xff\xff\x0f\x05",
    **{f"groups {depth} deep": groups(depth) for depth in (1, 98, 99, 100, 101, 130)},
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("place", ["row", "envelope", "row before another", "two rows"])
def test_odd_bytes_agree_with_the_runtime(name: str, place: str, every: Any) -> None:
    body = BODIES[name]
    data = {
        "row": in_row(body),
        "envelope": body,
        "row before another": in_row(body) + in_row(b"\x08\x09"),
        "two rows": in_row(b"\x08\x09") + in_row(body),
    }[place]
    assert every.actual(data) == every.expected(data)


@pytest.mark.parametrize("name", BODIES)
def test_odd_bytes_in_a_flat_message(name: str, every: Any) -> None:
    flat = smartex_wire.flat_codec(every.row)
    body = BODIES[name]
    expected = every.expected(in_row(body)) if "deep" not in name else every.expected(body)
    if expected is None:
        with pytest.raises(smartex_wire.WireError):
            flat.decode(body)
    elif "deep" in name:
        assert flat.decode(body).tobytes() == bytes(flat.row_dtype.itemsize)
    else:
        _, rows = every.codec.decode(in_row(body))
        assert flat.decode(body).tobytes() == rows.tobytes()


@pytest.mark.parametrize(
    ("data", "reason", "offset"),
    [
        (b"\x8a\x01\x05\x08", "TRUNCATED", 2),
        (b"\x8a\x01\x02\x08\x80", "TRUNCATED", 4),
        (b"\x8a\x01\x02\x21\x00", "TRUNCATED", 4),
        (b"\x10" + b"\x80" * 10 + b"\x00", "BAD_VARINT", 1),
        (b"\x10\x01\x00\x00", "BAD_TAG", 2),
        (b"\x10\x01\x0f", "BAD_TAG", 3),
        (b"\x10\x01\x88\x80\x80\x80\x10", "BAD_TAG", 2),
        (b"\x10\x01\x88", "TRUNCATED", 2),
        (b"\x8a\x01\xff\xff\xff\xff\x0f", "BAD_LENGTH", 2),
        (b"\x10\x01\x0c", "BAD_GROUP", 3),
        (b"\x9b\x06\xa4\x06", "BAD_GROUP", 2),
        (groups(101), "TOO_DEEP", 200),
    ],
)
def test_the_error_says_what_and_where(data: bytes, reason: str, offset: int, every: Any) -> None:
    with pytest.raises(smartex_wire.WireError, match=reason) as caught:
        every.codec.decode(data)
    assert (caught.value.reason, caught.value.offset) == (reason, offset)


def _sample(every: Any) -> bytes:
    rows = [
        {"f1": -5, "f2": 2**63, "f3": -1, "f4": 7, "f5": 9, "f6": True, "f8": 2, "f13": 1.5, "f16": 300},
        {"f7": 77, "f9": -9, "f10": -10, "f11": -11, "f12": -12, "f14": 2.5, "f2047": 1, "f2048": -2},
        {"f536870911": True, "f8": 255},
    ]
    message = every.envelope(f2=1, f3=-2, f40=1, f5000=-7, rows=rows)
    data: bytes = message.SerializeToString(deterministic=True)
    return data


def test_truncation_at_every_byte(every: Any) -> None:
    data = _sample(every)
    for size in range(len(data) + 1):
        assert every.actual(data[:size]) == every.expected(data[:size]), size


def test_every_bit_flipped(every: Any) -> None:
    data = _sample(every)
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        assert every.actual(bytes(flipped)) == every.expected(bytes(flipped)), bit


def test_many_random_mutations(every: Any) -> None:
    data, rng = _sample(every), random.Random(7)
    for _ in range(ROUNDS):
        mutated = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(mutated) + 1)
            action = rng.randrange(3)
            if action == 0:
                mutated[at:at] = rng.randbytes(rng.randint(1, 3))
            elif action == 1:
                del mutated[at : at + rng.randint(1, 3)]
            elif at < len(mutated):
                mutated[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        assert every.actual(bytes(mutated)) == every.expected(bytes(mutated)), mutated.hex()


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.binary(max_size=60))
def test_random_bytes(data: bytes, every: Any) -> None:
    assert every.actual(data) == every.expected(data)
    assert every.actual(in_row(data)) == every.expected(in_row(data))


_NUMBERS = st.one_of(st.integers(0, 18), st.sampled_from([40, 2047, 2048, 2049, 5000, 2**29 - 1]))
_PADDING = st.sampled_from([0, 0, 0, 1, 3, 4, 5, 9])
_VARINTS = st.builds(varint, st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 1)), _PADDING)
_KEYS = st.builds(
    lambda number, wire, padding: varint(number << 3 | wire, padding), _NUMBERS, st.integers(0, 7), _PADDING
)


def _element(children: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """A field that is well formed but for its paddings, with others in it."""

    def key(wire: int) -> st.SearchStrategy[bytes]:
        return st.builds(lambda number, padding: varint(number << 3 | wire, padding), _NUMBERS, _PADDING)

    def sized(tag: bytes, body: bytes, padding: int) -> bytes:
        return tag + varint(len(body), padding) + body

    def group(number: int, body: bytes) -> bytes:
        return varint(number << 3 | 3) + body + varint(number << 3 | 4)

    return st.one_of(
        st.builds(lambda tag, value: tag + value, key(0), _VARINTS),
        st.builds(lambda tag, value: tag + value, key(1), st.binary(min_size=8, max_size=8)),
        st.builds(lambda tag, value: tag + value, key(5), st.binary(min_size=4, max_size=4)),
        st.builds(sized, key(2), children, _PADDING),
        st.builds(in_row, children),
        st.builds(group, _NUMBERS, children),
        st.builds(lambda tag, rest: tag + rest, _KEYS, st.binary(max_size=2)),
    )


_MESSAGES = st.recursive(
    st.just(b""), lambda children: st.lists(_element(children), max_size=4).map(b"".join), max_leaves=12
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=_MESSAGES)
def test_random_fields(data: bytes, every: Any) -> None:
    assert every.actual(data) == every.expected(data)
