"""The rows of the event log."""

from __future__ import annotations

import numpy as np
import smartex_wire
from smartex.matching.v1.log_pb2 import EventBatch

from matching.sources import Rows

EVENTS = smartex_wire.codec(EventBatch, dedicated=True, unlocked=True)
"""Bytes of a record of the event log ⇄ its rows. Unlocked: they are encoded beside the event loop."""
EVENT = EVENTS.row_dtype
"""One event; the dtype is that of the core."""


def empty(count: int) -> Rows:
    """So many events of no kind."""
    return np.zeros(count, EVENT)
