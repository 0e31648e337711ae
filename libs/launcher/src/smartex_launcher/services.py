"""Finding the services that are installed, and building them.

A service announces itself by an entry point of the group `smartex.services`: `build(context) -> ServiceModule`, at
once or awaited. Its module may have a `warm_up()` that compiles what the service needs before the first call, or
`WARM_UPS`, a tuple of such functions that do so part by part, and
the annotation of `context` names its settings class beside the context.
"""

from __future__ import annotations

import inspect
import sys
import time
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from smartex_chassis import ServiceModule, Settings, StartupError

GROUP = "smartex.services"


@dataclass(frozen=True)
class ServiceContext:
    """Where a service finds what it stands on."""

    database_url: str
    bus_url: str
    data_dir: Path
    exchange_url: str = ""
    """Where all services are reached, host:port; it answers once every service has started."""
    token_file: Path | None = None
    """The service's own token (scopes `operate read`), renewed in place."""
    keys_dir: Path | None = None
    """Keys of the local issuer, for services that act for an investor who asked them to."""
    providers_file: Path | None = None
    """Settings of the push providers."""
    callback_port: int = 0
    """Port for the callbacks of push providers (WeChat, SMS receipts, unsubscribe pages); 0: any."""
    pod: str = "local"
    clock: Callable[[], int] = time.time_ns


@dataclass(frozen=True)
class Found:
    """A service that is installed."""

    name: str
    build: Callable[[Any], Any]
    warm_ups: tuple[Callable[[], None], ...] = ()
    settings: type[Settings] | None = None


def find(points: Iterable[EntryPoint] | None = None) -> list[Found]:
    """Every installed service by name. Raises StartupError if there is none."""
    announced = entry_points(group=GROUP) if points is None else points
    found = [_found(point) for point in sorted(announced, key=lambda point: point.name)]
    if not found:
        raise StartupError("no service is installed: run `make up`, or `uv sync --all-packages`")
    return found


def check_names(wanted: Iterable[str], points: Iterable[EntryPoint] | None = None) -> None:
    """Raise StartupError if a name is of no installed service. Loads none of them."""
    announced = entry_points(group=GROUP) if points is None else points
    known = {point.name for point in announced}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise StartupError(
            f"SMARTEX_SERVICES: there is no service {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        )


async def build(found: Found, context: ServiceContext) -> ServiceModule:
    """The module of a service."""
    module = found.build(context)
    built: ServiceModule = await module if inspect.isawaitable(module) else module
    return built


def one_line(error: BaseException) -> str:
    """The message of an error on one line; its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def _found(point: EntryPoint) -> Found:
    build = point.load()
    return Found(point.name, build, _warm_ups(sys.modules[point.module]), _settings_of(build))


def _warm_ups(module: ModuleType) -> tuple[Callable[[], None], ...]:
    whole = getattr(module, "warm_up", None)
    return tuple(getattr(module, "WARM_UPS", () if whole is None else (whole,)))


def _settings_of(build: Callable[..., Any]) -> type[Settings] | None:
    parameters = list(inspect.signature(build).parameters)
    hint = typing.get_type_hints(build).get(parameters[0]) if parameters else None
    for option in typing.get_args(hint) or (hint,):
        if isinstance(option, type) and issubclass(option, Settings):
            return option
    return None
