"""The call that is being served: who makes it, how much time it has, and how it is brought to an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from smartex_chassis.auth import Principal
from smartex_chassis.errors import Internal, SmartexError, Unauthenticated


class Call:
    """One RPC under way. Servicers use the functions below rather than this."""

    __slots__ = ("_overdue", "_task", "deadline", "drain", "ended_by", "loop", "method", "principal")

    def __init__(self, method: str, task: asyncio.Task[Any], drain: asyncio.Event) -> None:
        self.method = method
        self.principal: Principal | None = None
        self.deadline: float | None = None
        self.drain = drain
        self.ended_by: SmartexError | None = None
        self.loop = task.get_loop()
        self._task = task
        self._overdue: Callable[[], SmartexError] | None = None

    def end_at(self, deadline: float, error: Callable[[], SmartexError]) -> None:
        """Have the call ended with what `error` makes unless it finishes in time (of `time.monotonic`)."""
        self.deadline, self._overdue = deadline, error

    def is_overdue(self, now: float) -> bool:
        """Whether its time has run out."""
        return self.deadline is not None and now >= self.deadline

    def end_if_overdue(self, now: float) -> None:
        """End the call if its time has run out."""
        if self._overdue is not None and self.is_overdue(now):
            self.end(self._overdue())

    def end(self, error: SmartexError) -> None:
        """Cancel the handler; the caller is told `error`. The first ending wins."""
        if self.ended_by is None:
            self.ended_by = error
            self._task.cancel()

    def close(self) -> None:
        """Note that the handler is through: take back a cancellation that was ours."""
        if self.ended_by is not None:
            self._task.uncancel()


_current: ContextVar[Call | None] = ContextVar("smartex_call", default=None)


def set_current(call: Call) -> None:
    """Make `call` the one that this task, and the tasks it starts, are serving."""
    _current.set(call)


def _call() -> Call:
    call = _current.get()
    if call is None:
        raise Internal("no RPC is being served here", reason="OUTSIDE_OF_RPC")
    return call


def principal(context: object | None = None) -> Principal:
    """Return who calls the RPC that is being served.

    `context` is not looked at; it may be given because servicers have it at hand. Raises `Unauthenticated` in
    a public RPC, where nobody needs to say who they are.
    """
    found = _call().principal
    if found is None:
        raise Unauthenticated("this RPC is served without a token", reason="TOKEN_MISSING")
    return found


def drain_started() -> asyncio.Event:
    """Return the event that is set once the server drains.

    A handler of a long stream should finish what it has begun and return when it is set; after a moment
    (`stream_drain`) the server ends the stream with `UNAVAILABLE` and reason `DRAINING`.
    """
    return _call().drain
