"""What callers hand over, how it becomes one frame, and how each gets its answer out of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import smartex_wire
from smartex.matching.v1.log_pb2 import InstrumentDefinition
from smartex_chassis import SmartexError

from matching.replica import Applied
from matching.spans import link_of_caller

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]
Told: TypeAlias = Callable[[SmartexError | None], None]
"""Called when commands are applied, or with the reason why that cannot be told."""


class Submission:
    """Commands that came together: who wants to know their events has a future, who only wants to know when, a call.

    `early`: the answer need not wait until the listeners know. `timeless`: alone, they bring the market no time.
    """

    __slots__ = ("commands", "definitions", "early", "future", "link", "timeless", "told")

    def __init__(
        self,
        commands: Rows,
        definitions: Sequence[InstrumentDefinition] = (),
        future: asyncio.Future[Applied] | None = None,
        told: Told | None = None,
        early: bool = False,
        timeless: bool = False,
    ) -> None:
        self.early = early
        self.timeless = timeless
        self.commands = commands
        self.definitions = definitions
        self.future = future
        self.told = told
        self.link = link_of_caller()

    def succeed(self, applied: Applied) -> None:
        """Give the events that the commands brought about."""
        if self.told is not None:
            self.told(None)
        elif self.future is not None and not self.future.done():
            self.future.set_result(applied)

    def fail(self, error: SmartexError) -> None:
        """Tell that it is not known what became of them; nothing, if that was told already."""
        if self.told is not None:
            self.told(error)
        elif self.future is not None and not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # its caller may be gone; that is no news for the log


def joined(submissions: list[Submission]) -> Rows:
    """The commands of all, in order."""
    if len(submissions) == 1:
        return submissions[0].commands
    return smartex_wire.joined([submission.commands for submission in submissions])


def answer(submissions: list[Submission], applied: Applied) -> None:
    """Give every submitter its own events; they lie in the order of the commands."""
    if len(submissions) == 1 or all(submission.future is None for submission in submissions):
        for submission in submissions:
            submission.succeed(applied)
        return
    ends = np.cumsum([len(submission.commands) for submission in submissions])
    places = np.searchsorted(applied.events["command_index"], ends)
    start = 0
    for submission, place in zip(submissions, places.tolist(), strict=True):
        first = applied.first_sequence + start
        submission.succeed(Applied(applied.offset, first, applied.time_ns, applied.events[start:place]))
        start = place
