"""A whole book as bytes and back, to begin a fold from instead of the log's beginning."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from positions.domain.book.changes import (
    ACCOUNT_FIELDS,
    HEADER_FIELDS,
    HOLDING_FIELDS,
    INSTRUMENT_FIELDS,
    ORDER_FIELDS,
    SAVED_LOT,
    Rows,
)
from positions.domain.book.tables import ACCOUNT, CURRENCIES, FILL, HEADER, HOLDING, INSTRUMENT, ORDER

MEANING = 1
"""To be raised when the same fields come to mean something else."""


def _packed(like: np.dtype[Any], fields: tuple[str, ...]) -> np.dtype[Any]:
    """Some fields of a table, without gaps and with their bytes in one order everywhere."""
    return np.dtype([(name, like[name].newbyteorder("<")) for name in fields])


_PARTS: Mapping[str, np.dtype[Any]] = {
    "header": _packed(HEADER, HEADER_FIELDS),
    "accounts": _packed(ACCOUNT, ACCOUNT_FIELDS),
    "cash": np.dtype(("<i8", (CURRENCIES,))),
    "holdings": _packed(HOLDING, HOLDING_FIELDS),
    "lots": SAVED_LOT,
    "orders": _packed(ORDER, ORDER_FIELDS),
    "instrument_numbers": np.dtype("<i8"),
    "instruments": _packed(INSTRUMENT, INSTRUMENT_FIELDS),
}
"""What follows each other, each with its count of rows before it."""
_COUNT = np.dtype("<i8")


class Unreadable(ValueError):  # noqa: N818 - a verdict on bytes
    """Bytes that are no book of this layout."""


def layout(rates: Mapping[str, float], base: str) -> str:
    """What bytes depend on besides the events: only those of the same layout can be read. Growth is in the base
    currency, so it is bound to the rates too."""
    told = f"{MEANING} {[(name, str(part)) for name, part in _PARTS.items()]} {base} {sorted(rates.items())}"
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def pack(rows: Rows) -> bytes:
    """All rows of a book as `changes.all_rows` gives them. Slow: call it in a thread."""
    parts = rows._asdict() | {"header": np.array([rows.header])}
    packer, found = zlib.compressobj(level=1), list[bytes]()
    for name, dtype in _PARTS.items():
        found += [
            packer.compress(np.array(len(parts[name]), _COUNT).tobytes()),
            packer.compress(_bytes(parts[name], dtype)),
        ]
    return b"".join([*found, packer.flush()])


def unpack(body: bytes) -> Rows:
    """The rows again, for `Book.restore`. Slow: call it in a thread. Unreadable if they are none."""
    try:
        plain = zlib.decompress(body)
    except zlib.error as error:
        raise Unreadable(str(error)) from None
    found, at = dict[str, Any](), 0
    for name, dtype in _PARTS.items():
        begin = at + _COUNT.itemsize
        count = int.from_bytes(plain[at:begin], "little")
        at = begin + count * dtype.itemsize
        if at > len(plain):
            raise Unreadable(f"{name} are cut off")
        base, shape = dtype.base, (count, *dtype.shape)
        found[name] = np.frombuffer(
            plain, base, count * max(1, dtype.itemsize // base.itemsize), begin
        ).reshape(shape)
    if at != len(plain):
        raise Unreadable("there is more than a book")
    return Rows(
        **found
        | {
            "header": found["header"][0],
            "account_places": np.arange(len(found["accounts"])),
            "holding_places": np.arange(len(found["holdings"])),
            "gone": np.zeros(0, np.int64),
            "fills": np.zeros(0, FILL),
        }
    )


def _bytes(rows: Any, dtype: np.dtype[Any]) -> bytes:
    if dtype.names is None:
        return bytes(np.ascontiguousarray(rows, dtype.base).tobytes())
    packed = np.empty(len(rows), dtype)
    for name in dtype.names:
        packed[name] = rows[name]
    return packed.tobytes()
