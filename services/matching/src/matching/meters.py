"""Counts what is refused and traded, a frame at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import smartex_wire
from numba import njit
from smartex.matching.v1.log_pb2 import EventKind
from smartex.matching.v1.types_pb2 import Reason
from smartex_chassis import counter, gauge

from matching.domain import EVENT

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]

_position = gauge("matching_position_events", "Sequence of the last event that this pod applied")
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


_TRADE = int(EventKind.EVENT_KIND_TRADE)


def _tally(events: Any, refusals: Any, reasons: Any) -> tuple[int, int]:
    """Trades and refusals of a frame; `reasons` counts the latter by reason."""
    trades = refused = 0
    for place in range(len(events)):
        event = events[place]
        if event.kind == _TRADE:
            trades += 1
        elif refusals[event.kind]:
            refused += 1
            reasons[event.reason] += 1
    return trades, refused


# Compiled: NumPy would walk the large records once for every question.
_compiled: Any = njit(cache=True, nogil=True, error_model="numpy")(_tally)


@cache
def _kernel() -> Callable[..., tuple[int, int]]:
    return smartex_wire.direct(_compiled, EVENT, np.bool_, np.int64)


class EventMeters:
    """A listener that counts."""

    def __init__(self) -> None:
        self._reasons = np.zeros(256, np.int64)

    def on_applied(self, offset: int, first_sequence: int, time_ns: int, events: Rows) -> None:
        """Count the events of a frame."""
        if len(events):
            stands_at(first_sequence + len(events) - 1)
        trades, refused = _kernel()(events, _REFUSALS, self._reasons)
        if trades:
            _trades.inc(trades)
        if refused:
            for reason in self._reasons.nonzero()[0].tolist():
                _refused_for(reason).inc(int(self._reasons[reason]))
            self._reasons[:] = 0


def stands_at(sequence: int) -> None:
    """Tell how far this pod is; the positions of the others, the history and the publisher say who is late."""
    _position.set(sequence)


def warm_up() -> None:
    """Compile the kernel, or load it from the cache."""
    _kernel()


@cache
def _refused_for(reason: int) -> Any:
    name = Reason.Name(reason).removeprefix("REASON_")  # type: ignore[arg-type]
    return _refused.labels(name)
