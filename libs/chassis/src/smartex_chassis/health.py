"""The standard health service, grpc.health.v1: anyone may ask and watch, so watchers cost next to nothing.

Not grpcio's own servicer: it writes while it holds a lock, so that one watcher who does not read stops the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from grpc_health.v1 import health_pb2, health_pb2_grpc

from smartex_chassis.errors import InvalidInput, NotFound, Overloaded
from smartex_chassis.gate import draining

MOST_WATCHERS: Final = 128
_LARGEST_REQUEST = 1024
"""In bytes, for a watcher's request is kept as long as it watches."""

_Told = health_pb2.HealthCheckResponse


class HealthService(health_pb2_grpc.HealthServicer):  # type: ignore[misc, unused-ignore]
    """Tells the statuses it was last given; service "" is the whole server."""

    def __init__(self) -> None:
        self._statuses: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._watchers = 0
        self._ended = False

    def set(self, good: Mapping[str, bool]) -> None:
        """Note which services are good; watchers are woken only if that is news."""
        statuses = {name: _Told.SERVING if each else _Told.NOT_SERVING for name, each in good.items()}
        if statuses != self._statuses:
            self._statuses = statuses
            self._wake()

    def end(self) -> None:
        """Have watchers leave once they are told what is new."""
        self._ended = True
        self._wake()

    async def Check(self, request: Any, context: object) -> Any:  # noqa: N802
        """The status of a service."""
        status = self._statuses.get(_name(request))
        if status is None:
            raise NotFound("no such service here; ask without a name for all", reason="SERVICE_UNKNOWN")
        return _Told(status=status)

    async def Watch(self, request: Any, context: object) -> AsyncIterator[Any]:  # noqa: N802
        """The status of a service now and whenever it changes, also of one that is not known yet."""
        name, told = _name(request), None
        with self._watching():
            while True:
                status = self._statuses.get(name, _Told.SERVICE_UNKNOWN)
                if status != told:
                    told = status
                    yield _Told(status=status)
                elif self._ended:
                    raise draining()
                else:
                    await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @contextmanager
    def _watching(self) -> Iterator[None]:
        if self._watchers >= MOST_WATCHERS:
            raise Overloaded(
                f"{MOST_WATCHERS} watch the health of this server already: ask with Check instead",
                reason="TOO_MANY_WATCHERS",
                retry_after=timedelta(seconds=10),
            )
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1


def _name(request: Any) -> str:
    if request.ByteSize() > _LARGEST_REQUEST:
        raise InvalidInput("the request is too long: give the name of a service, or none", field="service")
    name: str = request.service
    return name
