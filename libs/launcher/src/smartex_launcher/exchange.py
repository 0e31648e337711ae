"""The whole exchange, from an empty folder to a running market and back. `Exchange.run` is the flow."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import psutil
import structlog
from smartex_bus import BusError
from smartex_chassis import ChassisServer, LocalIssuer, StartupError, settle_garbage
from smartex_client import SmartexError
from smartex_store import EmbeddedPostgres, StoreError

from . import demo, demo_people, services
from .checks import check_reach, free_port, placed
from .child import Child, agents_command
from .compiling import warm_up
from .logs import roll
from .plan import Plan
from .profiles import PEOPLE, Person, service_token, write_profiles, write_service_tokens
from .screen import Screen
from .signals import Signals
from .standins import Standins

if TYPE_CHECKING:
    from smartex_bus.kafka_server import KafkaServer

_log = structlog.get_logger("smartex.launcher")

_RENEW_SECONDS = 24 * 3600.0
_STATUS_SECONDS = 2.0
_KAFKA_SECONDS = 1.0


class Exchange:
    """Everything that `make up` started, in the order in which it started."""

    def __init__(self, plan: Plan, screen: Screen) -> None:
        self._plan = plan
        self._launcher = plan.launcher
        self._screen = screen
        self._signals = Signals()
        self._stack = AsyncExitStack()
        self._reasons: list[str] = []
        self._failed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._agents: Child | None = None
        self._running: frozenset[str] = frozenset()
        self._phone = ""
        self._database = "PostgreSQL"
        self._bus = "PostgreSQL"

    async def run(self) -> int:
        """Start everything, run until a signal or a failure, stop everything; the exit code."""
        self._signals.install()
        try:
            async with self._stack:
                try:
                    server = await self._signals.unless_asked(self._start())
                    if server is not None:
                        self._greet(server)
                        settle_garbage()
                        await self._until_stopped(server)
                        self._screen.say("stopping …")
                finally:
                    await self._cancel_tasks()
        finally:
            self._signals.remove()
        return self._farewell(interrupted=server is None)

    # -- starting

    async def _start(self) -> ChassisServer:
        screen, data = self._screen, self._plan.data
        await self._reach_yours()
        database_url = await self._start_database()
        bus_url = await self._start_bus(database_url)
        callback_port = self._launcher.callback_port or free_port("127.0.0.1")
        # Their program loads while ours does; the folder is ours alone once its database runs.
        standins = await self._begin_standins(callback_port)
        with screen.step("loading the services") as note:
            found = [
                each for each in await asyncio.to_thread(services.find) if self._launcher.runs(each.name)
            ]
            self._running = frozenset(each.name for each in found)
            note.text = "services: " + ", ".join(each.name for each in found)
        screen.compiled.watch()
        with screen.step("compiling the kernels", "kernels compiled, or loaded from the cache"):
            await warm_up(found, screen.compiled)
        issuer = LocalIssuer(
            data / "keys", issuer=self._plan.chassis.issuer, audience=self._plan.chassis.audience
        )
        providers = await self._providers(standins)
        with screen.step("starting the services, recovering the market") as note:
            port = self._plan.chassis.port or free_port(self._plan.chassis.host)
            self._renew_tokens(issuer, self._plan.own_address(port), found)
            context = services.ServiceContext(
                database_url,
                bus_url,
                data,
                exchange_url=self._plan.own_address(port),
                keys_dir=data / "keys",
                providers_file=providers,
                callback_port=callback_port,
            )
            with placed(data, self._launcher.place):
                server = await self._start_services(found, context, issuer, port)
            note.text = f"services serve at {self._plan.address(server.port)}"
        self._spawn(self._renew_daily(issuer, self._plan.own_address(server.port), found), "renew-tokens")
        if self._opens_demo:
            with screen.step("opening the demo market") as note:
                note.text = await self._start_demo()
        if self._opens_demo and self._running >= demo_people.NEEDS:
            with screen.step("settling the demo's people") as note:
                note.text = await self._settle_people()
        return server

    async def _reach_yours(self) -> None:
        if self._launcher.database_url is None and self._launcher.bus_url is None:
            return
        with self._screen.step("reaching your database and bus", "what is yours is reached"):
            await check_reach(self._launcher)

    async def _start_database(self) -> str:
        url = self._launcher.database_url
        if url is not None:
            self._database = "PostgreSQL (yours)"
            return url.get_secret_value()
        with self._screen.step("starting PostgreSQL") as note:
            server = await EmbeddedPostgres.start(self._plan.data)
            self._stack.push_async_callback(server.stop)
            self._database = note.text = f"PostgreSQL {server.version}"
        self._spawn(self._watch_database(server), "watch-database")
        return server.url

    async def _start_bus(self, database_url: str) -> str:
        url = self._launcher.bus_url
        if self._launcher.kafka:
            return await self._start_kafka()
        if url is None:
            return database_url
        self._bus = "Kafka (yours)" if url.get_secret_value().startswith("kafka://") else "PostgreSQL (yours)"
        return url.get_secret_value()

    async def _start_kafka(self) -> str:
        from smartex_bus.kafka_server import KAFKA_VERSION, KafkaServer

        with self._screen.step("starting Kafka (the first start fetches it)", f"Kafka {KAFKA_VERSION}"):
            server = KafkaServer(self._plan.data / "kafka")
            self._stack.push_async_callback(server.stop)
            await server.start()
        self._spawn(self._watch_kafka(server), "watch-kafka")
        self._bus = f"Kafka {KAFKA_VERSION} at {server.bootstrap}"
        return server.url

    async def _begin_standins(self, callback_port: int) -> Standins | None:
        """Start stand-ins of the push providers unless there are real ones."""
        if not self._launcher.starts_standins:
            return None
        port = self._launcher.standins_port or free_port("127.0.0.1")
        self._phone = f"http://127.0.0.1:{port}/"
        standins = Standins(self._plan.data, port, callback_port)
        self._stack.push_async_callback(standins.stop)
        await standins.start()
        return standins

    async def _providers(self, standins: Standins | None) -> Path | None:
        """Where the settings of the push providers are."""
        if standins is None:
            return self._launcher.providers_file
        with self._screen.step("starting stand-ins of the push providers", f"stand-ins, phone {self._phone}"):
            return await standins.ready()

    async def _start_services(
        self, found: list[services.Found], context: services.ServiceContext, issuer: LocalIssuer, port: int
    ) -> ChassisServer:
        chassis = self._plan.chassis.model_copy(update={"port": port})
        if chassis.jwks is None:
            chassis = chassis.model_copy(update={"jwks": str(issuer.jwks_path)})
        modules = []
        for each in found:
            own = replace(context, token_file=service_token(self._tokens, each.name))
            modules.append(await services.build(each, own))
        server = ChassisServer(modules, chassis, beside=self._plan.socket)
        await server.start()
        self._stack.push_async_callback(self._drain, server)
        return server

    async def _start_demo(self) -> str:
        profiles = self._plan.data / "profiles"
        said = await demo.open_demo(profiles)
        log = self._plan.data / "logs" / "agents.log"
        if log.exists() and log.stat().st_size > 0:
            roll(log)
        command = agents_command(profiles / "agents", self._launcher.demo_rate, self._launcher.demo_seed)
        self._agents = Child(command, log)
        self._stack.push_async_callback(self._agents.stop)
        await self._agents.start()
        if self._launcher.demo_roll_zone is not None:
            zone = ZoneInfo(self._launcher.demo_roll_zone)
            self._spawn(demo.DayRoller(profiles, self._plan.data / "demo_day", zone).run(), "roll-days")
        return said

    async def _settle_people(self) -> str:
        zone = ZoneInfo(self._launcher.demo_roll_zone or "UTC")
        try:
            return await demo_people.settle_people(
                self._plan.data, self._phone, self._launcher.demo_seed, datetime.now(zone).date()
            )
        except SmartexError as error:
            _log.warning("the demo's people lack something", why=str(error))
            return f"the demo's people lack something: {error}"

    # -- running

    async def _until_stopped(self, server: ChassisServer) -> None:
        if self._screen.console.is_terminal and self._running >= demo.NEEDS:
            self._spawn(self._show_status(), "status-line")
        if self._plan.exit_after_ready:
            return
        waits = [asyncio.create_task(e.wait()) for e in (self._signals.first, server.failed, self._failed)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _cancel_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch_database(self, server: EmbeddedPostgres) -> None:
        try:
            await server.watch()
        except StoreError as error:
            self._reasons.append(f"the database does not come back: {error.message}")
            self._failed.set()

    async def _watch_kafka(self, server: KafkaServer) -> None:
        while True:
            await asyncio.sleep(_KAFKA_SECONDS)
            if server.pid is not None and psutil.pid_exists(server.pid):
                continue
            _log.warning("Kafka ended, starting it again", log=str(server.log_file))
            try:
                await server.restart()
            except BusError as error:
                self._reasons.append(f"Kafka does not come back: {services.one_line(error)}")
                self._failed.set()
                return

    async def _renew_daily(self, issuer: LocalIssuer, url: str, found: list[services.Found]) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            self._renew_tokens(issuer, url, found)

    def _renew_tokens(self, issuer: LocalIssuer, url: str, found: list[services.Found]) -> None:
        ttl, folder = timedelta(days=self._launcher.token_days), self._plan.data / "profiles"
        write_profiles(folder, PEOPLE, url, issuer, ttl)
        write_service_tokens(self._tokens, [each.name for each in found], issuer, ttl)
        if self._launcher.demo:
            agents = [Person(each.name, each.account_id, ("trade", "read")) for each in demo.participants()]
            write_profiles(folder / "agents", agents, url, issuer, ttl)

    async def _show_status(self) -> None:
        with self._screen.console.status("") as line:
            async for text in demo.status_lines(self._plan.data / "profiles", every=_STATUS_SECONDS):
                agents = (
                    ""
                    if self._agents is None
                    else f" · {'agents trade' if self._agents.pid else 'agents down'}"
                )
                line.update(f"{text}{agents} · Ctrl-C stops")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a helper failed", task=task.get_name(), exc_info=error)

    # -- stopping

    async def _drain(self, server: ChassisServer) -> None:
        draining = asyncio.create_task(server.drain(), name="drain")
        hurry = asyncio.create_task(self._signals.second.wait())
        await asyncio.wait({draining, hurry}, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not draining.done():
            await server.hurry()
        await draining
        self._reasons += server.reasons

    # -- words

    @property
    def _opens_demo(self) -> bool:
        return self._launcher.demo and self._running >= demo.NEEDS

    @property
    def _tokens(self) -> Path:
        return self._plan.data / "profiles" / "services"

    def _greet(self, server: ChassisServer) -> None:
        data, address = self._plan.data, self._plan.address(server.port)
        metrics = (
            f"http://{address.rsplit(':', 1)[0]}:{server.metrics_port}/metrics"
            if server.metrics_port
            else "off"
        )
        self._screen.panel(
            "[bold]The exchange is open[/]" if self._opens_demo else "[bold]The exchange is up[/]",
            [
                f"gRPC      {address}{self._plan.protection}",
                f"metrics   {metrics}",
                *([f"phone     {self._phone}"] if self._phone else []),
                f"database  {self._database}, bus {self._bus}",
                f"data      {data}",
                f"log       {self._plan.log_file}",
                *self._suggestions(),
            ],
        )
        # Since the process was made: most of a start is importing, before any line of ours runs.
        seconds = time.time() - psutil.Process().create_time()
        self._screen.say(f"ready after {seconds:.1f} s; Ctrl-C stops everything")
        _log.info("ready", seconds=round(seconds, 2))

    def _suggestions(self) -> list[str]:
        commands = demo.commands(self._running, demo=self._opens_demo)
        if not commands:
            return []
        here = self._plan.data == Path.cwd() / "data"
        home = [] if here else [f"export SMARTEX_HOME={shlex.quote(str(self._plan.data))}"]
        lines = [f"  [bold cyan]{line}[/]" for line in home + commands]
        return ["", "Try in a second terminal:", *lines]

    def _farewell(self, *, interrupted: bool) -> int:
        if self._reasons or self._failed.is_set():
            why = "; ".join(self._reasons) or "a service failed"
            raise ExchangeStoppedError(f"the exchange stopped: {why}; see {self._plan.log_file}")
        self._screen.say("stopped")
        if interrupted:
            return 130
        return 1 if self._signals.second.is_set() else 0


class ExchangeStoppedError(StartupError):
    """The exchange had to stop."""

    exit_code = 1
