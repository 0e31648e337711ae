"""Commands of a trade stream: objects for people, arrays for machines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import smartex_wire
from smartex.matching.v1 import log_pb2 as log
from smartex.matching.v1 import order_entry_pb2 as pb
from smartex.matching.v1 import types_pb2 as types

from .catalogue import Catalogue
from .convert import Number, in_range, to_lots, to_ticks
from .errors import InvalidInput
from .ids import IdSource
from .orders import NewOrder
from .words import value

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]

REQUESTS: Final = smartex_wire.codec(pb.TradeRequest, ignore=("open",))
REPORTS: Final = smartex_wire.codec(pb.TradeResponse, ignore=("opened",))

COMMAND_DTYPE: Final = REQUESTS.row_dtype
"""Rows that a trade stream takes: the fields of OrderCommand, in ticks and lots."""

REPORT_DTYPE: Final = REPORTS.row_dtype
"""Rows that a trade stream gives: the fields of Report, in ticks, lots and micros."""

_PLACE_FIELDS = (
    "client_order_id",
    "instrument_id",
    "side",
    "order_type",
    "time_in_force",
    "price_ticks",
    "quantity_lots",
    "create_time_ns",
    "post_only",
    "self_trade_prevention",
    "min_quantity_lots",
    "expire_time_ns",
)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take an open order off."""

    order_id: int = 0
    client_order_id: int = 0


@dataclass(frozen=True, slots=True)
class Amend:
    """Change an open order of `instrument`; what is left out stays. See `Market.amend`."""

    instrument: str | int
    order_id: int = 0
    client_order_id: int = 0
    price: Number | None = None
    quantity: Number | None = None
    replace: bool = False


@dataclass(frozen=True, slots=True)
class MassCancel:
    """Take all open orders off, or those of an instrument and side."""

    instrument: str | int | None = None
    side: str | None = None


Command: TypeAlias = NewOrder | Cancel | Amend | MassCancel


async def to_rows(commands: Sequence[Command], catalogue: Catalogue, ids: IdSource) -> Rows:
    """Commands as rows. InvalidInput, OffTick, OffLot or NotFound if one cannot be said."""
    rows = np.zeros(len(commands), COMMAND_DTYPE)
    for row, command in zip(rows, commands, strict=True):
        await _fill(row, command, catalogue, ids)
    return rows


async def _fill(row: np.void, command: Command, catalogue: Catalogue, ids: IdSource) -> None:
    if isinstance(command, NewOrder):
        request = command.request(await catalogue.get(command.instrument), ids.next)
        row["kind"] = log.COMMAND_KIND_PLACE
        for name in _PLACE_FIELDS:
            row[name] = getattr(request, name)
    elif isinstance(command, Cancel):
        row["kind"] = log.COMMAND_KIND_CANCEL
        _name(row, command)
    elif isinstance(command, Amend):
        instrument = await catalogue.get(command.instrument)
        row["kind"] = log.COMMAND_KIND_REPLACE if command.replace else log.COMMAND_KIND_AMEND
        _name(row, command)
        if command.price is not None:
            row["price_ticks"] = to_ticks(instrument, command.price)
        if command.quantity is not None:
            row["quantity_lots"] = to_lots(instrument, command.quantity, selling=True)
    else:
        row["kind"] = log.COMMAND_KIND_MASS_CANCEL
        if command.instrument is not None:
            row["instrument_id"] = (await catalogue.get(command.instrument)).instrument_id
        row["side"] = value(types.Side, command.side, "side")


def _name(row: np.void, command: Cancel | Amend) -> None:
    row["order_id"] = in_range(command.order_id, "order_id")
    row["client_order_id"] = in_range(command.client_order_id, "client_order_id")


def complete(commands: Rows, ids: IdSource) -> Rows:
    """A copy with times and request ids where they are missing, so that it can be sent again safely."""
    if commands.dtype != COMMAND_DTYPE:
        raise InvalidInput("commands must have the dtype COMMAND_DTYPE", field="commands")
    rows = commands.copy()
    rows["create_time_ns"][rows["create_time_ns"] == 0] = time.time_ns()
    place = rows["kind"] == log.COMMAND_KIND_PLACE
    if (rows["client_order_id"][place] <= 0).any():
        raise InvalidInput("every new order needs a positive client_order_id", field="client_order_id")
    unnamed = ~place & (rows["request_id"] <= 0)
    count = int(unnamed.sum())
    if count:
        rows["request_id"][unnamed] = np.arange(count) + ids.take(count)
    return rows
