"""Which calls are let in, which are in flight, and what is measured of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc

from smartex_chassis import telemetry
from smartex_chassis.auth import Principal
from smartex_chassis.call import Call
from smartex_chassis.errors import Overloaded, Unavailable

_seconds = telemetry.histogram(
    "smartex_rpc_duration_seconds",
    "Time from a request's arrival to its answer",
    ("method",),
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5, 30),
)
_finished = telemetry.counter(
    "smartex_rpc_finished_total", "RPCs finished, by status code", ("method", "code")
)
_active = telemetry.gauge("smartex_rpc_active_calls", "RPCs being served now", ("method",))


class Meters:
    """The metric children of one method, looked up once instead of on every call."""

    def __init__(self, method: str) -> None:
        self.active = 0
        """Calls being served. A plain number, for a gauge takes a lock twice in every call."""
        self._method = method
        _active.labels(method).set_function(lambda: self.active)
        self._seconds = _seconds.labels(method)
        self._codes: dict[grpc.StatusCode, Any] = {}

    def finish(self, code: grpc.StatusCode, seconds: float) -> None:
        """Count a call that ended with `code` after `seconds`."""
        counted = self._codes.get(code)
        if counted is None:
            counted = self._codes[code] = _finished.labels(self._method, code.name)
        counted.inc()
        self._seconds.observe(seconds)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process takes on: RPCs at a time (with a token; without; streams of one caller), and seconds for a
    unary RPC that came without a deadline."""

    concurrent_rpcs: int
    default_deadline: float
    public_rpcs: int
    streams_per_principal: int


class Gate:
    """Whether calls are let in, and which are in flight; shared by all methods of a server."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.open = False
        self.drain = asyncio.Event()
        self.calls: set[Call] = set()
        self.public_calls: set[Call] = set()
        """Those that need no token, counted apart: whoever has none must not use up what callers with one need."""
        self._streams: dict[tuple[str, int | None], set[Call]] = {}

    def admit(self) -> None:
        """Raise `Unavailable` before the start and in the drain, `Overloaded` when calls are too many."""
        if not self.open:
            raise Unavailable(
                "the server is starting; try again", reason="STARTING", retry_after=timedelta(seconds=1)
            )
        if self.drain.is_set():
            raise draining()
        if len(self.calls) > self.limits.concurrent_rpcs:
            raise Overloaded("too many calls at a time; try again", reason="TOO_MANY_RPCS")

    def admit_public(self, *, stream: bool) -> None:
        """Raise `Overloaded` when calls without a token are too many. Streams get half: a health check has room."""
        most = self.limits.public_rpcs // 2 if stream else self.limits.public_rpcs
        if len(self.public_calls) > most:
            raise Overloaded(
                "too many calls without a token at a time; try again", reason="TOO_MANY_PUBLIC_RPCS"
            )

    def open_stream(self, call: Call, principal: Principal) -> None:
        """Note a stream of a caller; `Overloaded` when it has too many."""
        streams = self._streams.setdefault(_key(principal), set())
        if len(streams) >= self.limits.streams_per_principal:
            raise Overloaded(
                f"this caller has {len(streams)} streams open on this server: close one first",
                reason="TOO_MANY_STREAMS",
                retry_after=timedelta(seconds=1),
            )
        streams.add(call)

    def close_stream(self, call: Call) -> None:
        """Forget a stream; nothing if it was never noted."""
        if call.principal is None:
            return
        key = _key(call.principal)
        streams = self._streams.get(key, set())
        streams.discard(call)
        if not streams:
            self._streams.pop(key, None)

    def end_overdue(self) -> None:
        """End the calls whose time has run out. Asked often, for a timer of its own costs a call as much as auth."""
        now = time.monotonic()
        for call in self.in_flight():
            call.end_if_overdue(now)

    def end_streams(self, streaming: Mapping[str, bool]) -> None:
        """Bring the streams that are still open to an end."""
        for call in self.in_flight():
            if streaming.get(call.method, False):
                call.end(draining())

    def in_flight(self) -> list[Call]:
        """All calls, with a token and without."""
        return [*self.calls, *self.public_calls]


def _key(principal: Principal) -> tuple[str, int | None]:
    return principal.subject, principal.account_id


def draining() -> Unavailable:
    """Return what callers are told while the server drains."""
    return Unavailable(
        "the server is shutting down; call again, another one will answer",
        reason="DRAINING",
        retry_after=timedelta(seconds=1),
    )
