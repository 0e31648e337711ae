"""One gRPC server for one service or for all of them: start, health, drain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc.aio
import structlog
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from smartex_chassis import telemetry
from smartex_chassis.auth import PUBLIC, TokenVerifier
from smartex_chassis.errors import StartupError
from smartex_chassis.gate import Gate, Limits
from smartex_chassis.health import HealthService
from smartex_chassis.keys import KeySet, is_loopback
from smartex_chassis.memory import gather_when_settled
from smartex_chassis.metrics_http import MetricsServer
from smartex_chassis.ports import listen, listen_beside
from smartex_chassis.rpc import Router
from smartex_chassis.settings import ChassisSettings
from smartex_chassis.tasks import FAILED, start_task, stop_tasks
from smartex_chassis.watchdog import LoopWatchdog

_STREAM_WINDOW_BYTES = 512 << 10
"""What a client may send on a stream before it is read. Fixed: to find out what a connection can carry costs orders."""
_HEALTH = "grpc.health.v1.Health"
_HEALTH_SCOPES = {f"/{_HEALTH}/{name}": PUBLIC for name in ("Check", "Watch", "List")}
_REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
_HEALTH_POLL_SECONDS = 0.2
_OVERDUE_SECONDS = 0.05
"""Calls whose time has run out are ended that often, so much late at most."""
_LAST_ANSWERS_SECONDS = 1.0
"""What the last answers get to reach their callers, where the drain would wait for public calls alone."""
_RUN = "run-"
"""The name of the task of a module's `run` begins like that."""

_log = structlog.get_logger("smartex.server")
_ready = telemetry.gauge("smartex_ready_info", "1 while calls of the service make sense", ("service",))


async def _nothing() -> None:
    """Do nothing, as a module that has nothing to start or stop."""


def _always() -> bool:
    return True


@dataclass(frozen=True)
class ServiceModule:
    """A service, ready to be hosted.

    `register` adds its servicers to the server it is given; `scopes` says for each of its RPCs, by full name,
    which scope a caller needs (`/smartex.x.v1.XService/Get: "read"`). `start` runs before the first call and
    `stop` after the last; `run` goes on beside the calls, and when it raises, the process drains and leaves
    with exit code 1; `ready` says at any moment whether calls make sense, and becomes the service's health.
    """

    name: str
    register: Callable[[grpc.aio.Server], None]
    scopes: Mapping[str, str]
    start: Callable[[], Awaitable[None]] = _nothing
    stop: Callable[[], Awaitable[None]] = _nothing
    ready: Callable[[], bool] = _always
    run: Callable[[], Coroutine[Any, Any, None]] | None = None

    @property
    def services(self) -> frozenset[str]:
        """The gRPC services it serves, by full name."""
        return frozenset(method.split("/")[1] for method in self.scopes)


class ChassisServer:
    """Hosts modules on one port. `start`, then `drain`; `serving.serve` adds the signals around it.

    `beside`: a Unix socket at which programs of this machine find it too, in the clear whatever the port speaks.
    """

    def __init__(
        self, modules: Sequence[ServiceModule], settings: ChassisSettings, *, beside: Path | None = None
    ) -> None:
        self._modules = tuple(modules)
        self._settings = settings
        self._beside = beside
        self._gate = Gate(_limits(settings))
        self._health = HealthService()
        self._metrics = MetricsServer(self.ready)
        self._watchdog = LoopWatchdog()
        self._router = self._build_router()
        self._server: Any = grpc.aio.server(options=_options(settings))
        self._server.add_generic_rpc_handlers((self._router,))
        self._started: list[ServiceModule] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._overdue: asyncio.Task[None] | None = None
        self._drained: asyncio.Task[None] | None = None
        self._runs: list[asyncio.Task[None]] = []
        self.failed = asyncio.Event()
        """Set when a module's `run` or a task of `start_task` raised, a module did not stop, or gRPC itself gave up."""
        self.reasons: list[str] = []
        """Why `failed` is set, a line for each failure."""
        self.port = 0

    @property
    def metrics_port(self) -> int:
        """The port of the metrics endpoint; 0 when there is none."""
        return self._metrics.port

    def ready(self) -> bool:
        """Return whether every module is started and ready, and no drain has begun."""
        return self._gate.open and not self._gate.drain.is_set() and all(m.ready() for m in self._modules)

    async def start(self) -> None:
        """Listen, then start the modules in order, then let calls in.

        Raises `PortInUse` or another `StartupError` before any module has started. When a module fails to
        start, those before it are stopped and its error is raised.
        """
        self._router.check()
        asyncio.get_running_loop().set_exception_handler(self._unexpected)
        async with AsyncExitStack() as undo:
            self.port = listen(self._server, self._settings)
            undo.push_async_callback(self._server.stop, None)
            if self._beside is not None:
                listen_beside(self._server, self._beside)
            if self._settings.metrics_port is not None:
                await self._metrics.start(self._settings.host, self._settings.metrics_port)
                undo.push_async_callback(self._metrics.close)
            self._set_health()
            await self._server.start()
            self._overdue = start_task(self._end_overdue(), "overdue")
            undo.push_async_callback(stop_tasks, self._overdue)
            self._watchdog.start()
            undo.callback(self._watchdog.stop)
            undo.push_async_callback(self._stop_modules)
            for module in self._modules:
                self._started.append(module)
                await module.start()
            undo.pop_all()
        self._gate.open = True
        for module in self._modules:
            if module.run is not None:
                self._run(f"{_RUN}{module.name}", module.run())
        self._run("grpc", self._server.wait_for_termination())
        self._set_health()
        self._tasks = [
            start_task(self._follow_health(), "health"),
            start_task(gather_when_settled(), "memory"),
        ]
        if self._settings.tls_cert_file is None and not is_loopback(self._settings.host):
            _log.warning("tokens travel in the clear: set SMARTEX_TLS_CERT_FILE, or let a mesh encrypt")
        _log.info("serving", host=self._settings.host, port=self.port, metrics_port=self.metrics_port)

    async def drain(self) -> None:
        """Refuse new calls, let those in flight finish, stop the modules last to first; may be repeated."""
        if self._drained is None:
            self._drained = asyncio.create_task(self._drain(), name="drain")
        await asyncio.shield(self._drained)

    async def hurry(self) -> None:
        """End what is in flight now instead of waiting for it; the drain goes on with the modules."""
        await self._server.stop(None)

    async def _drain(self) -> None:
        _log.info("draining", in_flight=len(self._gate.in_flight()))
        self._gate.drain.set()
        await stop_tasks(*self._tasks)
        self._set_health()
        self._health.end()
        streams = asyncio.create_task(self._end_streams(), name="end-streams")
        await self._server.stop(self._settings.drain_timeout.total_seconds())
        streams.cancel()
        await stop_tasks(self._overdue, *self._runs)
        await self._stop_modules()
        self._watchdog.stop()
        await self._metrics.close()
        _log.info("stopped")

    def _run(self, name: str, running: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(running, name=name)
        task.add_done_callback(self._run_ended)
        self._runs.append(task)

    def _run_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._leave(task, error)

    def _leave(self, task: asyncio.Task[None], error: BaseException) -> None:
        name, words = task.get_name().removeprefix(_RUN), " ".join(str(error).split())
        _log.error("failed, leaving", task=name, exc_info=error)
        self.reasons.append(f"{name} failed: {words or type(error).__name__}")
        self.failed.set()

    def _unexpected(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What the event loop has nobody to tell: a task of `start_task` that failed, or a library's oversight."""
        if context["message"] == FAILED:
            self._leave(context["task"], context["exception"])
        else:
            _log.error("unexpected", what=context["message"], exc_info=context.get("exception"))

    async def _end_overdue(self) -> None:
        while True:
            await asyncio.sleep(_OVERDUE_SECONDS)
            self._gate.end_overdue()

    async def _end_streams(self) -> None:
        await asyncio.sleep(self._settings.stream_drain.total_seconds())
        stuck = bool(self._gate.public_calls)
        self._gate.end_streams(self._router.streaming)
        if stuck:
            await self._leave_public_behind()

    async def _leave_public_behind(self) -> None:
        """End what takes no data and so cannot be told of its end: without a token, nobody holds up the drain."""
        while self._gate.calls:
            await asyncio.sleep(_OVERDUE_SECONDS)
        await asyncio.sleep(_LAST_ANSWERS_SECONDS)
        await self._server.stop(None)

    async def _stop_modules(self) -> None:
        while self._started:
            module = self._started.pop()
            try:
                async with asyncio.timeout(self._settings.stop_timeout.total_seconds()):
                    await module.stop()
            except Exception as error:
                # The others must be stopped all the same.
                _log.error("module did not stop", module=module.name, exc_info=error)
                self.reasons.append(f"{module.name} did not stop")
                self.failed.set()

    def _set_health(self) -> None:
        statuses = {"": self.ready()}
        accepting = self._gate.open and not self._gate.drain.is_set()
        for module in self._modules:
            ready = accepting and module.ready()
            statuses.update(dict.fromkeys(module.services, ready))
            _ready.labels(module.name).set(ready)
        self._health.set(statuses)

    async def _follow_health(self) -> None:
        while True:
            await asyncio.sleep(_HEALTH_POLL_SECONDS)
            self._set_health()

    def _build_router(self) -> Router:
        scopes = dict(_HEALTH_SCOPES)
        for module in self._modules:
            scopes.update(module.scopes)
        if self._settings.reflection:
            scopes[f"/{_REFLECTION}/ServerReflectionInfo"] = PUBLIC
        router = Router(scopes, self._verifier(scopes), self._gate)
        # Registration code asks of a server only what the router has.
        registrar = cast(grpc.aio.Server, router)
        for module in self._modules:
            module.register(registrar)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, registrar)
        if self._settings.reflection:
            names = {_HEALTH, _REFLECTION}.union(*(module.services for module in self._modules))
            aio: Any = reflection.aio  # type: ignore[attr-defined, unused-ignore]
            servicer = aio.ReflectionServicer(sorted(names))
            reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, registrar)
        return router

    def _verifier(self, scopes: Mapping[str, str]) -> TokenVerifier | None:
        settings = self._settings
        if settings.jwks is None:
            if any(scope != PUBLIC for scope in scopes.values()):
                raise StartupError(
                    "no keys to check tokens with: set SMARTEX_JWKS to a jwks.json file or URL",
                    reason="AUTH_NOT_CONFIGURED",
                )
            return None
        return TokenVerifier(KeySet(settings.jwks), issuer=settings.issuer, audience=settings.audience)


def _limits(settings: ChassisSettings) -> Limits:
    return Limits(
        concurrent_rpcs=settings.max_concurrent_rpcs,
        default_deadline=settings.default_deadline.total_seconds(),
        public_rpcs=settings.max_public_rpcs,
        streams_per_principal=settings.max_streams_per_principal,
    )


def _options(settings: ChassisSettings) -> list[tuple[str, int]]:
    ping_after = int(settings.ping_after.total_seconds() * 1000)
    options = [
        # Off, or a second server would share the port in silence instead of being told that it is taken.
        ("grpc.so_reuseport", 0),
        ("grpc.http2.lookahead_bytes", _STREAM_WINDOW_BYTES),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.keepalive_time_ms", ping_after),
        ("grpc.keepalive_timeout_ms", ping_after),
        # A ping waits for its answer as long as this says, a minute by default, whatever the line above says.
        ("grpc.http2.ping_timeout_ms", ping_after),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.http2.max_ping_strikes", 3),
    ]
    if settings.max_connection_age is not None:
        options.append(
            ("grpc.max_connection_age_ms", int(settings.max_connection_age.total_seconds() * 1000))
        )
    return options
