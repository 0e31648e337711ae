"""The core as Python sees it: a deterministic function over frames of commands."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from .compiled import INTERPRETED
from .frame import apply_frame
from .state import (
    ACCOUNT,
    COMMAND,
    EVENT,
    HEAD,
    INSTRUMENT,
    CoreSettings,
    Memory,
    Pages,
)
from .words import SET_TRADING_STATE

Rows = np.ndarray[Any, np.dtype[np.void]]
_FEW = 4096
"""Commands that a frame may have without a closer look at how many events it may bring about."""
_EVENTS_FOR_EACH = 4


class Core:
    """One market. Not thread-safe; `apply` lets other threads run."""

    def __init__(self, settings: CoreSettings | None = None, *, check_conservation: bool = False) -> None:
        """An empty venue. `check_conservation`: verify cash and shares after every frame (slow, for tests)."""
        self.settings = settings or CoreSettings()
        self.check_conservation = check_conservation
        self._memory = Memory(self.settings)
        self._base = self._memory.base
        self._head = self._memory.table("head", HEAD, 1)
        self._counters: dict[str, Any] = {name: self._head[name] for name in HEAD.names or ()}
        self._live = self._counters["open_orders"]
        self._events = Pages(EVENT, 1 << 20)
        self.first_sequence = 1
        """Sequence of the first event of the last frame."""

    def apply(self, commands: Rows, time_ns: int, definitions: Rows | None = None) -> Rows:
        """Apply a frame: definitions first, then commands, in order.

        `commands` are contiguous rows of COMMAND, `definitions` of INSTRUMENT. The events are rows of EVENT: a view that the
        next call overwrites. ValueError if the arrays are of another type.
        """
        count = _check_rows(commands, COMMAND)
        definition_count = 0 if definitions is None else _check_rows(definitions, INSTRUMENT)
        self._make_room(commands, count, definition_count)
        self.first_sequence = int(self._counters["sequence"][0]) + 1
        said = apply_frame(
            self._base,
            commands.ctypes.data,
            count,
            0 if definitions is None else definitions.ctypes.data,
            definition_count,
            time_ns,
            self._events.address,
        )
        if self.check_conservation:
            self.verify_conservation()
        return self._events.rows[:said]

    def _make_room(self, commands: Rows, count: int, definition_count: int) -> None:
        """Every event but a few of each command takes an order or a session away, so there can only be so many."""
        most = _EVENTS_FOR_EACH * count + definition_count + int(self._live[0]) + int(self._counters["sessions"][0])
        of_all = (commands["kind"] == SET_TRADING_STATE).sum() if count else 0
        most += int(of_all) * int(self._counters["instruments"][0] + definition_count)
        if most > self._events.count:
            self._events = Pages(EVENT, 2 * most)

    def verify_conservation(self) -> None:
        pass


def _check_rows(rows: Rows, dtype: np.dtype[np.void]) -> int:
    if rows.dtype != dtype or rows.ndim != 1 or not rows.flags.c_contiguous:
        raise ValueError(f"rows must be a contiguous array of {dtype.names}, not {rows.dtype} in {rows.ndim} dimensions")
    return len(rows)
