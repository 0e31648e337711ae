"""Rows as PostgreSQL takes them: binary COPY, made of arrays without a step for each row.

In the binary format a row is a count of fields and for each field its length and its bytes, big-endian. With
columns of fixed width every row has the same layout, so a structured array with the lengths filled in is the
payload. Each dtype below names the columns in the order in which the array has them.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np

from matching.sources import Rows

_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_WIDTH = {"bigint": 8, "integer": 4, "smallint": 2, "boolean": 1}
_TYPE = {"bigint": "i8", "integer": "i4", "smallint": "i2", "boolean": "u1"}


def _layout(columns: str) -> np.dtype[Any]:
    """The dtype of a COPY row of `name:type` columns."""
    fields: list[tuple[str, str]] = [("_fields", "i2")]
    for column in columns.split():
        name, _, kind = column.partition(":")
        kind = kind or "bigint"
        fields += [(f"{name}_length", "i4"), (name, _TYPE[kind])]
    return np.dtype(fields)


ORDER = _layout(
    "created_sequence order_id client_order_id create_time_ns update_time_ns expire_time_ns sequence "
    "price_ticks quantity_lots leaves_lots executed_lots executed_value fees_micros account_id "
    "instrument_id shard:integer side:smallint order_type:smallint time_in_force:smallint "
    "status:smallint reason:smallint open:boolean"
)
CHANGE = _layout(
    "order_id sequence update_time_ns price_ticks quantity_lots leaves_lots executed_lots executed_value "
    "fees_micros status:smallint reason:smallint open:boolean terms:boolean"
)
TRADE = _layout(
    "sequence time_ns price_ticks quantity_lots taker_order_id taker_client_order_id taker_fee_micros "
    "maker_order_id maker_client_order_id maker_fee_micros tax_micros taker_account_id maker_account_id "
    "instrument_id:integer shard:integer taker_side:smallint"
)
TRANSFER = _layout(
    "sequence time_ns amount_micros quantity_lots request_id account_id instrument_id:integer "
    "currency_id:integer shard:integer"
)
CANDLE = _layout(
    "instrument_id:integer seconds:integer start_ns open_ticks high_ticks low_ticks close_ticks volume_lots "
    "value trade_count sequence"
)


def columns(dtype: np.dtype[Any]) -> list[str]:
    """Names of the columns of a layout, in order."""
    return [name for name in dtype.names or () if not name.startswith("_") and not name.endswith("_length")]


def payload(rows: Rows) -> BytesIO:
    """The rows as a binary COPY stream; fills in the lengths."""
    names = columns(rows.dtype)
    rows["_fields"] = len(names)
    for name in names:
        rows[f"{name}_length"] = rows.dtype[name].itemsize
    return BytesIO(_HEADER + rows.astype(rows.dtype.newbyteorder(">")).tobytes() + _TRAILER)


def definition(dtype: np.dtype[Any]) -> str:
    """The column definitions of a temporary table for a layout."""
    kinds = {_WIDTH[kind]: kind for kind in _WIDTH}
    return ", ".join(f"{name} {kinds[dtype[name].itemsize]}" for name in columns(dtype))
