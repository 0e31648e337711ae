"""Counts what is refused and traded, a frame at a time."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from smartex.matching.v1.log_pb2 import EventKind
from smartex.matching.v1.types_pb2 import Reason
from smartex_chassis import counter

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]

_trades = counter("matching_trades_total", "Trades")
_refused = counter("matching_rejections_total", "Commands that the market refused, by reason", ("reason",))
_REFUSALS = np.zeros(256, bool)
for _kind in (
    EventKind.EVENT_KIND_REJECTED,
    EventKind.EVENT_KIND_AMEND_REJECTED,
    EventKind.EVENT_KIND_CANCEL_REJECTED,
    EventKind.EVENT_KIND_COMMAND_REJECTED,
):
    _REFUSALS[int(_kind)] = True


class EventMeters:
    """A listener that counts."""

    def on_applied(self, offset: int, first_sequence: int, time_ns: int, events: Rows) -> None:
        """Count the events of a frame."""
        if not len(events):
            return
        kinds = events["kind"]
        _trades.inc(int(np.count_nonzero(kinds == EventKind.EVENT_KIND_TRADE)))
        refused = _REFUSALS[kinds]
        if refused.any():
            counts = np.bincount(events["reason"][refused], minlength=1)
            for reason in counts.nonzero()[0].tolist():
                _refused.labels(_name(reason)).inc(int(counts[reason]))


def _name(reason: int) -> str:
    return Reason.Name(reason).removeprefix("REASON_")  # type: ignore[arg-type]
