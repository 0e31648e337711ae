"""Which commands of a trade stream are not answered yet. Pure; no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from smartex.matching.v1 import log_pb2 as log
from smartex.matching.v1 import types_pb2 as types

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]
Keys: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

_PLACED = (types.REPORT_KIND_ACCEPTED, types.REPORT_KIND_REJECTED)
_REQUESTED = (
    types.REPORT_KIND_AMENDED,
    types.REPORT_KIND_AMEND_REJECTED,
    types.REPORT_KIND_CANCEL_REJECTED,
    types.REPORT_KIND_MASS_CANCELLED,
)


def command_keys(commands: Rows) -> Keys:
    """What the outcome of each command is known by: the order's id, or minus the request's id."""
    place = commands["kind"] == log.COMMAND_KIND_PLACE
    keys: Keys = np.where(place, commands["client_order_id"], -commands["request_id"])
    return keys


def outcome_keys(reports: Rows) -> Keys:
    """The keys of those reports that answer a command, in order."""
    kind = reports["kind"]
    placed = (kind == _PLACED[0]) | (kind == _PLACED[1])
    # An order that a mass cancel takes off names the request too, but is not its outcome.
    cancelled = (kind == types.REPORT_KIND_CANCELLED) & (reports["reason"] == types.REASON_CANCELLED_BY_OWNER)
    requested = cancelled | np.isin(kind, _REQUESTED)
    keys: Keys = np.where(placed, reports["client_order_id"], -reports["request_id"])
    answers: Keys = keys[placed | requested]
    return answers


class Pending:
    """Commands in the order sent, until their outcome is seen.

    Outcomes come in that order too, mixed with those of the account's other streams.
    """

    def __init__(self) -> None:
        self._batches: deque[tuple[Rows, Keys]] = deque()
        self.count = 0

    def add(self, commands: Rows) -> None:
        """Commands that are about to be sent. The array must not change any more."""
        if len(commands):
            self._batches.append((commands, command_keys(commands)))
            self.count += len(commands)

    def acknowledge(self, reports: Rows) -> int:
        """Drop the commands that these reports answer; returns how many."""
        if not self._batches:
            return 0
        found, before = outcome_keys(reports), self.count
        while len(found) and self._batches:
            wanted = self._batches[0][1]
            size = min(len(found), len(wanted))
            same = found[:size] == wanted[:size]
            if same.all():
                self._drop(size)
                found = found[size:]
                continue
            first = int(np.argmin(same))
            self._drop(first)
            # Somebody else's outcome: go on where ours continue.
            ours = np.flatnonzero(found[first:] == wanted[first])
            if not len(ours):
                break
            found = found[first + int(ours[0]) :]
        return before - self.count

    def batches(self) -> Iterator[Rows]:
        """What is not answered, in the order sent."""
        return iter([commands for commands, _ in self._batches])

    def _drop(self, size: int) -> None:
        if not size:
            return
        commands, keys = self._batches.popleft()
        self.count -= size
        if size < len(keys):
            self._batches.appendleft((commands[size:], keys[size:]))
