"""From events to the reports that their owners read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final, TypeAlias

import numpy as np
import smartex_wire
from numba import njit
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1.log_pb2 import EventFlag, EventKind
from smartex.matching.v1.order_entry_pb2 import TradeResponse
from smartex.matching.v1.types_pb2 import ReportKind

from matching.domain import EVENT
from matching.fused import fused

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]

REPORT_CODEC = smartex_wire.codec(TradeResponse, ignore=("opened",), dedicated=True)
REPORT = REPORT_CODEC.row_dtype
EVENTS_PER_MESSAGE: Final = 4096
"""Most events whose reports to an account go into one message; a trade with oneself makes two."""
_FEW_EVENTS: Final = 16
_KERNELS = REPORT_CODEC.kernels
_write_row = _KERNELS.write_row
_ROW_ROOM: Final = REPORT_CODEC.max_size(1)

_ACCEPTED, _AMENDED = int(EventKind.EVENT_KIND_ACCEPTED), int(EventKind.EVENT_KIND_AMENDED)
_TRADE, _REPEATED = int(EventKind.EVENT_KIND_TRADE), int(EventKind.EVENT_KIND_REPEATED)
_KEPT, _FIRST_REJECTED, _FIRST_AMEND = (
    int(EventFlag.EVENT_FLAG_KEPT_PRIORITY),
    int(EventFlag.EVENT_FLAG_FIRST_REJECTED),
    int(EventFlag.EVENT_FLAG_FIRST_AMEND),
)
_R_ACCEPTED, _R_REJECTED = int(ReportKind.REPORT_KIND_ACCEPTED), int(ReportKind.REPORT_KIND_REJECTED)
_R_AMENDED, _R_AMEND_REJECTED = (
    int(ReportKind.REPORT_KIND_AMENDED),
    int(ReportKind.REPORT_KIND_AMEND_REJECTED),
)
_R_FILLED = int(ReportKind.REPORT_KIND_FILLED)
_BY_OPERATOR = int(types.REASON_CANCELLED_BY_OPERATOR)
_SELL = int(types.SIDE_SELL)
_MAKER, _TAKER = int(types.LIQUIDITY_MAKER), int(types.LIQUIDITY_TAKER)

# Event kinds whose report carries the same fields under the same names.
_PLAIN: Final = np.zeros(256, np.uint8)
for _event, _kind in (
    (EventKind.EVENT_KIND_ACCEPTED, ReportKind.REPORT_KIND_ACCEPTED),
    (EventKind.EVENT_KIND_REJECTED, ReportKind.REPORT_KIND_REJECTED),
    (EventKind.EVENT_KIND_CANCELLED, ReportKind.REPORT_KIND_CANCELLED),
    (EventKind.EVENT_KIND_AMENDED, ReportKind.REPORT_KIND_AMENDED),
    (EventKind.EVENT_KIND_AMEND_REJECTED, ReportKind.REPORT_KIND_AMEND_REJECTED),
    (EventKind.EVENT_KIND_CANCEL_REJECTED, ReportKind.REPORT_KIND_CANCEL_REJECTED),
    (EventKind.EVENT_KIND_MASS_CANCELLED, ReportKind.REPORT_KIND_MASS_CANCELLED),
    (EventKind.EVENT_KIND_REDUCED, ReportKind.REPORT_KIND_CANCELLED),
):
    _PLAIN[int(_event)] = int(_kind)


def _compiled(function: Any) -> Any:
    return njit(cache=True, nogil=True, error_model="numpy")(function)


@_compiled
def _kind_of(event: Any, plain: Any) -> int:
    """The kind of the owner's report; 0 for what is no news of an order."""
    if event.kind == _REPEATED:
        if event.flags & _FIRST_AMEND:
            return _R_AMEND_REJECTED if event.flags & _FIRST_REJECTED else _R_AMENDED
        if event.client_order_id <= 0:
            return 0  # a deposit or withdrawal
        return _R_REJECTED if event.flags & _FIRST_REJECTED else _R_ACCEPTED
    return plain[event.kind]  # type: ignore[no-any-return]


@_compiled
def _slot_of(account_id: int, keys: Any, slots: Any) -> int:
    """The slot of an account in a table of open addresses, -1 if it has none."""
    mask = len(keys) - 1
    place = (account_id * 2654435761) & mask
    while keys[place] != 0:
        if keys[place] == account_id:
            return slots[place]  # type: ignore[no-any-return]
        place = (place + 1) & mask
    return -1


@_compiled
def _report(event: Any, kind: int, sequence: int, time_ns: int, report: Any) -> None:
    report.kind = kind
    report.sequence = sequence
    report.instrument_id = event.instrument_id
    report.client_order_id = event.client_order_id
    report.order_id = event.order_id
    # An operator's numbers are not the owner's, whose own request may have the same.
    report.request_id = 0 if event.reason == _BY_OPERATOR else event.request_id
    report.side = event.side
    report.price_ticks = event.price_ticks
    report.quantity_lots = event.quantity_lots
    report.leaves_lots = event.leaves_lots
    report.reason = event.reason
    report.required = event.required
    report.available = event.available
    report.fee_micros = 0
    report.tax_micros = 0
    report.trade_id = 0
    report.liquidity = 0
    report.repeated = event.kind == _REPEATED
    report.event_time_ns = time_ns
    report.kept_priority = (event.flags & _KEPT) != 0 and event.kind == _AMENDED


@_compiled
def _fill(event: Any, maker: bool, sequence: int, time_ns: int, report: Any) -> None:
    _report(event, _R_FILLED, sequence, time_ns, report)
    report.trade_id = sequence
    report.request_id = 0
    report.liquidity = _TAKER
    report.fee_micros = event.fee_micros
    if maker:
        report.liquidity = _MAKER
        report.side = 3 - event.side
        report.order_id = event.counter_order_id
        report.client_order_id = event.counter_client_order_id
        report.leaves_lots = event.counter_leaves_lots
        report.fee_micros = event.counter_fee_micros
    report.tax_micros = event.tax_micros if report.side == _SELL else 0


@_compiled
def _make_room(events: Any, keys: Any, slots: Any, plain: Any, room: int, begins: Any) -> int:
    """Where each account's reports may begin if a report takes `room` bytes at most; the bytes of all together."""
    for place in range(len(events)):
        event = events[place]
        if event.kind == _TRADE:
            slot = _slot_of(event.counter_account_id, keys, slots)
            if slot >= 0:
                begins[slot] += room
        elif _kind_of(event, plain) == 0:
            continue
        slot = _slot_of(event.account_id, keys, slots)
        if slot >= 0:
            begins[slot] += room
    total = 0
    for slot in range(len(begins)):
        total, begins[slot] = total + begins[slot], total
    return total


@fused(_KERNELS)
def _write(
    events: Any,
    first: int,
    time_ns: int,
    keys: Any,
    slots: Any,
    plain: Any,
    program: Any,
    out: Any,
    ends: Any,
) -> None:
    """Write each report behind those that its owner has: `ends` are the places in `out`, and move on.

    From events to bytes in one pass: reports as an array, sorted by owner, would be written and read three times.
    """
    scratch = np.empty(1, REPORT)
    table, row, origin = (
        np.uint64(program.ctypes.data),
        np.uint64(scratch.ctypes.data),
        np.uint64(out.ctypes.data),
    )
    report = scratch[0]
    for place in range(len(events)):
        event = events[place]
        trade = event.kind == _TRADE
        kind = _R_FILLED if trade else _kind_of(event, plain)
        if kind == 0:
            continue
        for maker in range(2 if trade else 1):
            slot = _slot_of(event.counter_account_id if maker else event.account_id, keys, slots)
            if slot < 0:
                continue
            if trade:
                _fill(event, maker == 1, first + place, time_ns, report)
            else:
                _report(event, kind, first + place, time_ns, report)
            end = _write_row(table, row, origin + np.uint64(ends[slot]))
            ends[slot] = np.int64(end - origin)


@dataclass(frozen=True, slots=True)
class Owners:
    """The accounts whose reports are wanted; slot i is `accounts[i]`."""

    accounts: tuple[int, ...]
    keys: np.ndarray[Any, np.dtype[np.int64]]
    slots: np.ndarray[Any, np.dtype[np.int64]]

    @classmethod
    def of(cls, accounts: Sequence[int]) -> Owners:
        """A table of accounts, each once."""
        size = 8
        while size < 2 * len(accounts) + 1:
            size *= 2
        keys, slots = np.zeros(size, np.int64), np.zeros(size, np.int64)
        for slot, account in enumerate(accounts):
            place = (account * 2654435761) & (size - 1)
            while keys[place]:
                place = (place + 1) & (size - 1)
            keys[place], slots[place] = account, slot
        return cls(tuple(accounts), keys, slots)


def messages(owners: Owners, first_sequence: int, time_ns: int, events: Rows) -> list[tuple[int, bytes]]:
    """The reports of each account that has any, as TradeResponses of a size that every client takes, in order."""
    if not owners.accounts:
        return []
    if len(events) <= EVENTS_PER_MESSAGE:  # as nearly always: no slices
        return _messages(owners, first_sequence, time_ns, events)
    parts = range(0, len(events), EVENTS_PER_MESSAGE)
    return [
        message
        for start in parts
        for message in _messages(
            owners, first_sequence + start, time_ns, events[start : start + EVENTS_PER_MESSAGE]
        )
    ]


def _messages(owners: Owners, first_sequence: int, time_ns: int, events: Rows) -> list[tuple[int, bytes]]:
    if len(owners.accounts) == 1 and len(events) <= _FEW_EVENTS:
        return _few_messages(owners, first_sequence, time_ns, events)
    keys, slots = owners.keys, owners.slots
    make_room, write = _direct_kernels()
    begins = np.zeros(len(owners.accounts), np.int64)
    size = make_room(events, keys, slots, _PLAIN, _ROW_ROOM, begins)
    if not size:
        return []
    out, ends = np.empty(size, np.uint8), begins.copy()
    write(events, first_sequence, time_ns, keys, slots, _PLAIN, _KERNELS.program, out, ends)
    return [
        (owners.accounts[slot], out[begins[slot] : ends[slot]].tobytes())
        for slot in (ends > begins).nonzero()[0].tolist()
    ]


_few = np.empty(2 * _FEW_EVENTS * _ROW_ROOM, np.uint8)
"""What the reports of few events to one account are written into, on the event loop: there is always room for them, and
none is made for every order."""
_few_view = _few.data
_few_end = np.zeros(1, np.int64)


def _few_messages(owners: Owners, first_sequence: int, time_ns: int, events: Rows) -> list[tuple[int, bytes]]:
    """`_messages` for a single order."""
    _, write = _direct_kernels()
    _few_end[0] = 0
    write(
        events, first_sequence, time_ns, owners.keys, owners.slots, _PLAIN, _KERNELS.program, _few, _few_end
    )
    size = int(_few_end[0])
    return [(owners.accounts[0], bytes(_few_view[:size]))] if size else []


@cache
def _direct_kernels() -> tuple[Callable[..., int], Callable[..., None]]:
    """`_make_room` and `_write`, for which who sends a single order waits."""
    return (
        smartex_wire.direct(_make_room, EVENT, np.int64, np.int64, np.uint8, int, np.int64),
        smartex_wire.direct(
            _write, EVENT, int, int, np.int64, np.int64, np.uint8, np.uint64, np.uint8, np.int64
        ),
    )


def messages_of(account_id: int, first_sequence: int, time_ns: int, events: Rows) -> list[bytes]:
    """The reports of one account."""
    return [message for _, message in messages(_owner(account_id), first_sequence, time_ns, events)]


@lru_cache(maxsize=4096)
def _owner(account_id: int) -> Owners:
    return Owners.of((account_id,))


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    events = np.zeros(2, EVENT)
    events["kind"] = _ACCEPTED
    events["account_id"] = (1, 2)
    messages(Owners.of((1, 2)), 1, 0, events)
