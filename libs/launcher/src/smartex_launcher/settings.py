"""What the launcher can be told, by options and by their twins in the environment."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self
from zoneinfo import available_timezones

from pydantic import Field, SecretStr, field_validator, model_validator
from smartex_bus import known_url
from smartex_chassis import Settings


class LauncherSettings(Settings):
    """Where the exchange keeps its memory and what is started around the services."""

    section: ClassVar[str] = "launcher"

    data: Path = Field(default=Path("data"), description="folder of everything that must outlive the process")
    demo: bool = Field(default=True, description="open the demo market, with its participants")
    demo_rate: float = Field(
        default=150.0, gt=0, le=10_000, description="commands of all demo participants together per second"
    )
    demo_seed: int = Field(default=23, ge=0, description="seed of the demo participants")
    demo_roll_zone: str | None = Field(
        default="Asia/Shanghai",
        description="time zone at whose midnight the demo market's trading day ends; none never ends it",
    )
    database_url: SecretStr | None = Field(
        default=None, description="postgresql:// URL of a database of yours; the embedded one if none is set"
    )
    bus_url: SecretStr | None = Field(
        default=None,
        description="kafka://host:port,… (TLS, logins: libs/bus) or postgresql://…; the database if none is set",
    )
    kafka: bool = Field(default=False, description="start a local Kafka and use it as the bus")
    services: str = Field(
        default="", description="names of the services to run, e.g. matching,positions; all if it is empty"
    )
    providers_file: Path | None = Field(
        default=None,
        description="TOML file of push providers with a table a channel; local stand-ins if none is set",
    )
    standins: bool = Field(
        default=True, description="start stand-ins of the push providers while providers_file is not set"
    )
    standins_port: int = Field(
        default=7410, ge=0, le=65_535, description="port of the stand-ins' phone page; 0 takes any"
    )
    callback_port: int = Field(
        default=7402, ge=0, le=65_535, description="port for callbacks of push providers; 0 takes any"
    )
    token_days: float = Field(
        default=30, gt=0, description="days that the tokens in data/profiles are good for; renewed daily"
    )

    @field_validator("data", mode="before")
    @classmethod
    def _some_folder(cls, value: object) -> object:
        if value == "":
            raise ValueError("names no folder: leave it out for ./data")
        return value

    @field_validator("demo_roll_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
            raise ValueError("is not a time zone such as Asia/Shanghai")
        return value

    @field_validator("services")
    @classmethod
    def _some_service(cls, value: str) -> str:
        if value and not _names(value):
            raise ValueError("names no service: leave it out to run all")
        return value

    _known_bus = field_validator("bus_url")(known_url)

    @model_validator(mode="after")
    def _one_bus(self) -> Self:
        if self.kafka and self.bus_url is not None:
            raise ValueError(
                "--kafka and --bus (SMARTEX_KAFKA and SMARTEX_BUS_URL) are two: give one of them"
            )
        return self

    @property
    def folder(self) -> Path:
        """The data folder as an absolute path."""
        return self.data.expanduser().absolute()

    @property
    def wanted_services(self) -> list[str]:
        """The services that are named; none means all."""
        return _names(self.services)

    def runs(self, service: str) -> bool:
        """Whether a service is to be run."""
        wanted = self.wanted_services
        return not wanted or service in wanted

    @property
    def starts_standins(self) -> bool:
        """Whether stand-ins of the push providers are started."""
        return self.standins and self.providers_file is None

    @property
    def place(self) -> str:
        """Where the market's history and log are, in words; no addresses, which may change."""
        database = "the embedded PostgreSQL" if self.database_url is None else "a PostgreSQL of yours"
        if self.kafka:
            return f"{database} with the local Kafka"
        if self.bus_url is None:
            return database
        engine = "a Kafka" if self.bus_url.get_secret_value().startswith("kafka") else "another PostgreSQL"
        return f"{database} with {engine} of yours as the bus"


def _names(services: str) -> list[str]:
    return [name.strip() for name in services.split(",") if name.strip()]


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line. Options that were not given are None and leave their setting alone."""
    parser = argparse.ArgumentParser(
        prog="smartex-up",
        description="Start the whole exchange on this machine and run it until Ctrl-C.",
        epilog="Every option is also a setting of the environment: --print-settings lists all of them.",
    )
    parser.add_argument("--data", metavar="DIR", help="data folder (default ./data)")
    parser.add_argument("--port", type=int, help="gRPC port (default 7400; 0 takes any free one)")
    parser.add_argument("--metrics-port", type=int, help="port of /metrics (default 7401; 0 takes any)")
    parser.add_argument(
        "--standins-port", type=int, help="port of the stand-ins' phone page (default 7410; 0 takes any)"
    )
    parser.add_argument(
        "--callback-port", type=int, help="port for push providers' callbacks (default 7402; 0 takes any)"
    )
    parser.add_argument("--no-demo", action="store_false", dest="demo", default=None, help="an empty market")
    parser.add_argument("--bus", metavar="URL", help="kafka://host:port,… or postgresql://… as the bus")
    parser.add_argument("--kafka", action="store_true", default=None, help="start a local Kafka as the bus")
    parser.add_argument(
        "--json-logs", action="store_true", help="JSON log lines on standard error, no screen"
    )
    parser.add_argument("--check", action="store_true", help="check settings, folder and ports, and leave")
    parser.add_argument("--print-settings", action="store_true", help="print every setting and leave")
    parser.add_argument("--exit-after-ready", action="store_true", help="stop as soon as everything runs")
    return parser.parse_args(argv)


def launcher_overrides(asked: argparse.Namespace) -> dict[str, Any]:
    """The launcher's settings that the command line gave."""
    given = {
        "data": asked.data,
        "demo": asked.demo,
        "bus_url": asked.bus,
        "kafka": asked.kafka,
        "standins_port": asked.standins_port,
        "callback_port": asked.callback_port,
    }
    return {name: value for name, value in given.items() if value is not None}


def chassis_overrides(asked: argparse.Namespace) -> dict[str, Any]:
    """The chassis' settings that the command line gave."""
    given = {"port": asked.port, "metrics_port": asked.metrics_port}
    return {name: value for name, value in given.items() if value is not None}
