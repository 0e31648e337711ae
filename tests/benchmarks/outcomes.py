"""Counting the outcomes in a TradeResponse without reading more of it than that takes.

The client shares two cores with what it measures, and the echo's client does not look into what comes back at all.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit
from order_load import REPORTS
from smartex.matching.v1 import order_entry_pb2, types_pb2

_OUTCOMES: Final = np.zeros(256, bool)
_OUTCOMES[
    [
        types_pb2.REPORT_KIND_ACCEPTED,
        types_pb2.REPORT_KIND_REJECTED,
        types_pb2.REPORT_KIND_CANCEL_REJECTED,
    ]
] = True
_CANCELLED: Final = int(types_pb2.REPORT_KIND_CANCELLED)
_ASKED: Final = int(types_pb2.REASON_CANCELLED_BY_OWNER)
_MOST_REPORTS: Final = 100_000


def _tag(message: Any, field: str, wire_type: int) -> int:
    return int(message.DESCRIPTOR.fields_by_name[field].number) << 3 | wire_type


_VARINT, _FIXED64, _BYTES = 0, 1, 2
_REPORT_TAG: Final = _tag(order_entry_pb2.TradeResponse, "reports", _BYTES)
_KIND_TAG: Final = _tag(types_pb2.Report, "kind", _VARINT)
_REASON_TAG: Final = _tag(types_pb2.Report, "reason", _VARINT)


@njit(cache=True)
def _varint(data: Any, place: int) -> tuple[int, int]:
    value: Any = 0
    shift = 0
    while data[place] >= 128:
        value |= np.int64(data[place] & 127) << shift
        shift += 7
        place += 1
    return value | np.int64(data[place]) << shift, place + 1


@njit(cache=True)
def _asked_for(data: Any, place: int, end: int) -> bool:
    """Whether a report of a cancelled order gives its owner's wish as the reason."""
    while place < end:
        tag, place = _varint(data, place)
        if tag & 7 == _FIXED64:
            place += 8
            continue
        value, place = _varint(data, place)
        if tag == _REASON_TAG:
            return bool(value == _ASKED)
    return False


@njit(cache=True)
def _count(data: Any, outcomes: Any) -> int:
    count = place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        length, place = _varint(data, place)
        end = place + length
        # The exchange writes fields in their order, so the kind is the first.
        if tag == _REPORT_TAG and data[place] == _KIND_TAG:
            kind = data[place + 1]
            if outcomes[kind] or (kind == _CANCELLED and _asked_for(data, place + 2, end)):
                count += 1
        place = end
    return count


def count_outcomes(message: bytes) -> int:
    """How many commands the reports answer: a cancel that its owner asked for is one, that of an IOC's rest is not."""
    return int(_count(np.frombuffer(message, np.uint8), _OUTCOMES))


_reports = np.zeros(_MOST_REPORTS, REPORTS.row_dtype)


def count_outcomes_by_decoding(message: bytes) -> int:
    """The same from the whole reports: what `count_outcomes` is checked against."""
    _, reports = REPORTS.decode(message, _reports)
    asked = (reports["kind"] == _CANCELLED) & (reports["reason"] == _ASKED)
    return int(np.count_nonzero(_OUTCOMES[reports["kind"]] | asked))
