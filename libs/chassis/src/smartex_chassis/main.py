"""The command line of a service: load the settings, build, serve; or print or check the settings."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog

from smartex_chassis import logging, telemetry
from smartex_chassis.abandoning import leave_abandoned
from smartex_chassis.errors import StartupError
from smartex_chassis.printing import complain, say, standard_streams
from smartex_chassis.server import ChassisServer, ServiceModule
from smartex_chassis.serving import serve
from smartex_chassis.settings import ChassisSettings, Settings, describe_settings, load, unknown_variables

_log = structlog.get_logger("smartex.main")

S = TypeVar("S", bound=Settings)
C = TypeVar("C", bound=ChassisSettings)

Build = Callable[[S], ServiceModule | Awaitable[ServiceModule]]


@dataclass(frozen=True)
class Service(Generic[S]):
    """A service that can be hosted: how to build its module, and the settings that takes."""

    build: Build[S]
    settings_cls: type[S]


def run_all(
    services: Sequence[Service[Any]],
    settings_cls: type[ChassisSettings] = ChassisSettings,
    *,
    name: str | None = None,
    argv: Sequence[str] | None = None,
    on_ready: Callable[[ChassisServer], None] | None = None,
) -> int:
    """Run several services in one process on one port; `settings_cls` says where and how they are served."""
    with standard_streams():
        code = _run_all(services, settings_cls, name, _parser(name).parse_args(argv), on_ready)
    return leave_abandoned(code)


def _run_all(
    services: Sequence[Service[Any]],
    settings_cls: type[ChassisSettings],
    name: str | None,
    asked: argparse.Namespace,
    on_ready: Callable[[ChassisServer], None] | None,
) -> int:
    classes = list(dict.fromkeys([settings_cls, *(service.settings_cls for service in services)]))
    if asked.print_settings:
        return say("\n\n".join(describe_settings(cls) for cls in classes))
    try:
        loaded = {cls: load(cls) for cls in classes}
        if asked.check:
            return say("settings are good")
        chassis = loaded[settings_cls]
        assert isinstance(chassis, ChassisSettings)
        return run_loop(_host(services, loaded, chassis, name or "smartex", on_ready), chassis.event_loop)
    except StartupError as error:
        complain(error.message)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


async def _host(
    services: Sequence[Service[Any]],
    loaded: dict[type[Settings], Settings],
    chassis: ChassisSettings,
    name: str,
    on_ready: Callable[[ChassisServer], None] | None,
) -> int:
    logging.configure(service=name, level=chassis.log_level, form=chassis.log_format)
    telemetry.start_tracing(
        name, endpoint=chassis.otlp_endpoint, console=chassis.trace_console, ratio=chassis.trace_ratio
    )
    for name_and_hint in unknown_variables(loaded):
        _log.warning("there is no such setting", variable=name_and_hint)
    # Nothing is begun that would have to be ended. As the first process of a container it would not be ended otherwise.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    try:
        modules = [await _built(service.build(loaded[service.settings_cls])) for service in services]
        return await serve(modules, chassis, on_ready=on_ready)
    except StartupError:
        raise
    except Exception as error:
        # By the log, which masks secrets and can be read by programs; then in one line, for who has a terminal.
        _log.error("left by a failure", exc_info=error)
        words = " ".join(str(error).split()) or type(error).__name__
        complain(f"{name} cannot go on: {logging.redact_text(words)}")
        return 1
    finally:
        await asyncio.to_thread(telemetry.stop_tracing)


async def _built(module: ServiceModule | Awaitable[ServiceModule]) -> ServiceModule:
    return await module if inspect.isawaitable(module) else module


def run_loop(program: Coroutine[Any, Any, int], event_loop: str = "auto") -> int:
    """Run the coroutine on the kind of event loop that is asked for (`auto`, `asyncio`, `uvloop`)."""
    with asyncio.Runner(loop_factory=_loop_factory(event_loop)) as runner:
        return runner.run(program)


def _loop_factory(event_loop: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if event_loop == "asyncio":
        return None
    try:
        import uvloop
    except ImportError as error:
        if event_loop == "auto":
            return None
        raise StartupError("uvloop is not installed: set SMARTEX_EVENT_LOOP=asyncio") from error
    return uvloop.new_event_loop


def _parser(name: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument(
        "--print-settings", action="store_true", help="print every setting with its default and meaning"
    )
    parser.add_argument("--check", action="store_true", help="check the settings and leave")
    return parser
