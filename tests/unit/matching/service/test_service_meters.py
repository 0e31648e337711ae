"""The counters of trades and refusals."""

from __future__ import annotations

import numpy as np
from matching.domain import EVENT
from matching.meters import EventMeters
from prometheus_client import REGISTRY
from smartex.matching.v1.log_pb2 import EventKind
from smartex.matching.v1.types_pb2 import Reason


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_trades_and_refusals_are_counted_and_nothing_else() -> None:
    kinds = [
        EventKind.EVENT_KIND_TRADE,
        EventKind.EVENT_KIND_ACCEPTED,
        EventKind.EVENT_KIND_REJECTED,
        EventKind.EVENT_KIND_CANCEL_REJECTED,
        EventKind.EVENT_KIND_CANCELLED,
        EventKind.EVENT_KIND_TRADE,
    ]
    events = np.zeros(len(kinds), EVENT)
    events["kind"] = kinds
    events["reason"] = Reason.REASON_UNKNOWN_ORDER
    trades = value("matching_trades_total")
    refused = value("matching_rejections_total", reason="UNKNOWN_ORDER")
    meters = EventMeters()
    meters.on_applied(1, 1, 1, events)
    meters.on_applied(2, 7, 1, events[:0])
    assert value("matching_position_events") == 6
    meters.on_applied(3, 7, 1, events[2:3])
    assert value("matching_position_events") == 7
    assert value("matching_trades_total") - trades == 2
    assert value("matching_rejections_total", reason="UNKNOWN_ORDER") - refused == 3
