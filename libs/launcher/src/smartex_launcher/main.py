"""The command `smartex-up`: everything that goes wrong is one line and an exit code that is not 0."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import TextIO, cast

import structlog
from smartex_bus import BusError, BusUnavailable
from smartex_chassis import (
    ChassisSettings,
    Settings,
    StartupError,
    describe_settings,
    load,
    run_loop,
    telemetry,
)
from smartex_chassis import logging as chassis_logging
from smartex_chassis.abandoning import leave_abandoned
from smartex_chassis.printing import complain, say, standard_streams
from smartex_store import StoreError

from . import services
from .checks import check_folder, check_place, check_ports, check_python
from .exchange import Exchange
from .logs import RollingFile, Tee
from .plan import Plan
from .screen import Screen
from .settings import LauncherSettings, chassis_overrides, launcher_overrides, parse

_BUG = 70

_log = structlog.get_logger("smartex.launcher")


def main(argv: Sequence[str] | None = None) -> int:
    """Start the exchange and run it until Ctrl-C.

    0 stopped in order, 1 it failed while running, 2 it could not start, 70 a bug (the log tells), 130 interrupted.
    """
    with standard_streams():
        code = _told(argv)
    return leave_abandoned(code)


def _told(argv: Sequence[str] | None) -> int:
    try:
        return _run(argv)
    except StartupError as error:
        return _complain(error.message, error.exit_code)
    except BusUnavailable as error:
        why = services.one_line(error)
        return _complain(
            f"the bus cannot be reached ({why}): check that it runs, and --bus or SMARTEX_BUS_URL", 2
        )
    except (StoreError, BusError) as error:
        return _complain(services.one_line(error), 2)
    except KeyboardInterrupt:
        return 130


def _run(argv: Sequence[str] | None) -> int:
    check_python()
    asked = parse(argv)
    if asked.print_settings:
        return _print_settings()
    launcher = load(LauncherSettings, **launcher_overrides(asked))
    chassis = load(ChassisSettings, **chassis_overrides(asked))
    services.check_names(launcher.wanted_services)
    plan = Plan(launcher, chassis, exit_after_ready=asked.exit_after_ready)
    check_folder(plan.data)
    check_place(plan.data, launcher.place)
    check_ports(chassis, launcher)
    if asked.check:
        services.find()
        return say("settings, data folder and ports are good")
    return run_loop(_host(plan, json_logs=asked.json_logs), chassis.event_loop)


async def _host(plan: Plan, *, json_logs: bool) -> int:
    chassis = plan.chassis
    with closing(RollingFile(plan.log_file)) as file:
        stream = cast(TextIO, Tee(file.write, sys.stderr.write) if json_logs else file)
        chassis_logging.configure(service="smartex", level=chassis.log_level, form="json", stream=stream)
        telemetry.start_tracing(
            "smartex",
            endpoint=chassis.otlp_endpoint,
            console=chassis.trace_console,
            ratio=chassis.trace_ratio,
        )
        try:
            return await Exchange(plan, Screen(quiet=json_logs)).run()
        except (StartupError, StoreError, BusError) as error:
            _log.error("left", reason=services.one_line(error))
            raise
        except Exception as error:
            _log.exception("left by a bug")
            what = f"{type(error).__name__}: {services.one_line(error)}"
            return _complain(f"the exchange met a bug ({what}); the log tells more: {plan.log_file}", _BUG)
        finally:
            await asyncio.to_thread(telemetry.stop_tracing)


def _print_settings() -> int:
    found = [each.settings for each in services.find() if each.settings is not None]
    classes: dict[type[Settings], None] = dict.fromkeys([LauncherSettings, ChassisSettings, *found])
    return say("\n\n".join(describe_settings(cls) for cls in classes))


def _complain(line: str, exit_code: int) -> int:
    complain(line)
    return exit_code
