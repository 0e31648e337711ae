"""From events to the reports that their owners read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import smartex_wire
from numba import njit
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1.log_pb2 import EventFlag, EventKind
from smartex.matching.v1.order_entry_pb2 import TradeResponse
from smartex.matching.v1.types_pb2 import ReportKind

from matching.domain import EVENT

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]

REPORT_CODEC = smartex_wire.codec(TradeResponse, ignore=("opened",), dedicated=True)
REPORT = REPORT_CODEC.row_dtype
_NAMES = REPORT.names or ()

_ACCEPTED, _REJECTED = int(EventKind.EVENT_KIND_ACCEPTED), int(EventKind.EVENT_KIND_REJECTED)
_TRADE, _REPEATED = int(EventKind.EVENT_KIND_TRADE), int(EventKind.EVENT_KIND_REPEATED)
_AMENDED, _REDUCED = int(EventKind.EVENT_KIND_AMENDED), int(EventKind.EVENT_KIND_REDUCED)
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
_R_FILLED, _R_CANCELLED = int(ReportKind.REPORT_KIND_FILLED), int(ReportKind.REPORT_KIND_CANCELLED)
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
    report.request_id = event.request_id
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
def _route(
    events: Any,
    first: int,
    time_ns: int,
    keys: Any,
    slots: Any,
    plain: Any,
    out: Any,
    owners: Any,
    counts: Any,
) -> int:
    """Write the reports of all accounts in the table, in the order of events; returns how many."""
    made = 0
    for place in range(len(events)):
        event = events[place]
        if event.kind == _TRADE:
            for maker in range(2):
                account = event.counter_account_id if maker else event.account_id
                slot = _slot_of(account, keys, slots)
                if slot >= 0:
                    _fill(event, maker == 1, first + place, time_ns, out[made])
                    owners[made] = slot
                    counts[slot] += 1
                    made += 1
            continue
        kind = _kind_of(event, plain)
        if kind == 0:
            continue
        slot = _slot_of(event.account_id, keys, slots)
        if slot >= 0:
            _report(event, kind, first + place, time_ns, out[made])
            owners[made] = slot
            counts[slot] += 1
            made += 1
    return made


@_compiled
def _group(reports: Any, owners: Any, starts: Any, out: Any) -> None:
    """Bring the reports of each owner together, each owner's in order; `starts` is used up."""
    for place in range(len(owners)):
        slot = owners[place]
        out[starts[slot]] = reports[place]
        starts[slot] += 1


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


def route(owners: Owners, first_sequence: int, time_ns: int, events: Rows) -> list[tuple[int, Rows]]:
    """The reports of each account that has any: (account, its reports in order)."""
    if not owners.accounts or not len(events):
        return []
    found = np.empty(2 * len(events), REPORT)
    whose = np.empty(2 * len(events), np.int64)
    counts = np.zeros(len(owners.accounts), np.int64)
    made = _route(events, first_sequence, time_ns, owners.keys, owners.slots, _PLAIN, found, whose, counts)
    if not made:
        return []
    with_reports = counts.nonzero()[0].tolist()
    if len(with_reports) == 1:
        return [(owners.accounts[with_reports[0]], found[:made])]
    ends = np.cumsum(counts)
    grouped = np.empty(made, REPORT)
    _group(found[:made], whose[:made], ends - counts, grouped)
    return [
        (owners.accounts[slot], grouped[int(ends[slot] - counts[slot]) : int(ends[slot])])
        for slot in with_reports
    ]


def reports_of(account_id: int, first_sequence: int, time_ns: int, events: Rows) -> Rows:
    """The reports of one account."""
    found = route(Owners.of((account_id,)), first_sequence, time_ns, events)
    return found[0][1] if found else np.empty(0, REPORT)


def to_message(report: Any) -> types.Report:
    """One report row as a message."""
    return types.Report(**dict(zip(_NAMES, report.item(), strict=True)))


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    events = np.zeros(2, EVENT)
    events["kind"] = _ACCEPTED
    events["account_id"] = (1, 2)
    for _, reports in route(Owners.of((1, 2)), 1, 0, events):
        REPORT_CODEC.encode(reports)
