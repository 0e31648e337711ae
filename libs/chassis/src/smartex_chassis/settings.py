"""Settings: frozen, from the environment and one file, checked once at the start, documenting themselves."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from smartex_chassis.errors import SettingsInvalid
from smartex_chassis.keys import check_location
from smartex_chassis.tls import PeerTls

PREFIX = "SMARTEX_"
CONFIG_VARIABLE = "SMARTEX_CONFIG"
_MASK = "********"

S = TypeVar("S", bound="Settings")


def _seconds(value: object) -> object:
    # A variable is text, and pydantic takes only numbers for seconds.
    if isinstance(value, str):
        with suppress(ValueError):
            return float(value)
    return value


def _not_negative(value: timedelta) -> timedelta:
    if value < timedelta(0):
        raise ValueError("a time cannot be negative")
    return value


Seconds = Annotated[timedelta, BeforeValidator(_seconds), AfterValidator(_not_negative)]
"""A length of time in a settings class; given in seconds, or as ISO 8601 (`PT10S`)."""


class Settings(BaseSettings):
    """The base of every settings class.

    A field `port` is set by `SMARTEX_PORT`, or by `port` in the TOML file that `SMARTEX_CONFIG` names; the
    environment wins; `none` in it means no value. A class with a `section` also reads the TOML table of
    that name, which wins over the top of the file. Use `load` to build one.
    """

    section: ClassVar[str] = ""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_parse_none_str="none", frozen=True, extra="forbid", validate_default=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the environment only; `load` brings in the file, and `.env` files surprise."""
        return init_settings, env_settings


def _readable(value: Path) -> Path:
    if not os.access(value, os.R_OK):
        raise ValueError(f"no readable file at {value}")
    return value


ReadableFile = Annotated[Path, AfterValidator(_readable)]
"""A file that is there and can be read when the settings are loaded."""


class PeerSettings(Settings):
    """What a service is told about calling another one over TLS."""

    exchange_ca_file: ReadableFile | None = Field(
        default=None,
        description="authorities (PEM) that the market's certificate is checked with; none: no TLS",
    )
    exchange_cert_file: ReadableFile | None = Field(
        default=None,
        description="PEM certificate chain that is shown to a market that asks for one (mutual TLS)",
    )
    exchange_key_file: ReadableFile | None = Field(default=None, description="PEM private key of it")

    @model_validator(mode="after")
    def _whole_peer_tls(self) -> Self:
        if (self.exchange_cert_file is None) != (self.exchange_key_file is None):
            raise ValueError(
                "SMARTEX_EXCHANGE_CERT_FILE and SMARTEX_EXCHANGE_KEY_FILE go together: set both or none"
            )
        if self.exchange_cert_file is not None and self.exchange_ca_file is None:
            raise ValueError("SMARTEX_EXCHANGE_CERT_FILE needs SMARTEX_EXCHANGE_CA_FILE")
        return self

    def exchange_tls(self) -> PeerTls | None:
        """How calls to the market are encrypted; None: they are not."""
        if self.exchange_ca_file is None:
            return None
        return PeerTls(self.exchange_ca_file, self.exchange_cert_file, self.exchange_key_file)


class ChassisSettings(Settings):
    """What every service can be told about serving."""

    host: str = Field(
        default="127.0.0.1", description="address to listen on; 0.0.0.0 or :: for every interface"
    )
    port: int = Field(default=7400, ge=0, le=65535, description="gRPC port; 0 takes any free one")
    metrics_port: int | None = Field(
        default=7401,
        ge=0,
        le=65535,
        description="port of /metrics, /livez and /readyz; 0 takes any free one, none has no such port",
    )
    tls_cert_file: ReadableFile | None = Field(
        default=None,
        description="PEM certificate chain of this server; turns TLS on. All three files may be renewed in place",
    )
    tls_key_file: ReadableFile | None = Field(default=None, description="PEM private key of the certificate")
    tls_client_ca_file: ReadableFile | None = Field(
        default=None,
        description="PEM certificates that clients' certificates must come from; turns mutual TLS on",
    )
    jwks: str | None = Field(
        default=None, description="key set that tokens are checked with: a file or an https URL"
    )
    issuer: str = Field(default="smartex-local", min_length=1, description="the `iss` that tokens must have")
    audience: str = Field(default="smartex", min_length=1, description="the `aud` that tokens must have")
    reflection: bool = Field(default=True, description="let clients such as grpcurl list the services")
    max_message_bytes: int = Field(
        default=4 * 2**20, ge=1024, description="largest message taken or sent, in bytes"
    )
    max_concurrent_rpcs: int = Field(default=10_000, ge=1, description="RPCs and streams served at a time")
    max_public_rpcs: int = Field(
        default=512,
        ge=2,
        description="health and reflection calls, which need no token, served at a time; half may be streams",
    )
    max_streams_per_principal: int = Field(
        default=64, ge=1, description="streams of one caller (subject and account) served at a time"
    )
    max_connection_age: Seconds | None = Field(
        default=None,
        description="close connections after this time, to spread clients over pods, in seconds",
    )
    ping_after: Seconds = Field(
        default=timedelta(seconds=5),
        ge=timedelta(seconds=1),
        description="silence of a connection after which it is pinged, and cut if no answer comes for as long again, "
        "in seconds",
    )
    default_deadline: Seconds = Field(
        default=timedelta(seconds=10),
        description="time a unary RPC without a deadline may take, in seconds",
    )
    drain_timeout: Seconds = Field(
        default=timedelta(seconds=20),
        description="time in-flight RPCs get to finish on SIGTERM, in seconds",
    )
    stream_drain: Seconds = Field(
        default=timedelta(seconds=2),
        description="time open streams get to end by themselves on SIGTERM, in seconds",
    )
    stop_timeout: Seconds = Field(
        default=timedelta(seconds=20),
        description="time each module gets to stop after the drain, in seconds",
    )
    event_loop: Literal["auto", "asyncio", "uvloop"] = Field(
        default="auto", description="event loop; auto takes uvloop where it is installed"
    )
    log_format: Literal["auto", "json", "pretty"] = Field(
        default="auto", description="auto is pretty on a terminal"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least level logged"
    )
    otlp_endpoint: str | None = Field(
        default=None, description="OTLP collector for traces, such as http://localhost:4317"
    )
    trace_console: bool = Field(default=False, description="print spans to the terminal")
    trace_ratio: float = Field(
        default=1.0, ge=0, le=1, description="share of the traces begun here that is recorded"
    )

    @field_validator("jwks")
    @classmethod
    def _safe_jwks(cls, value: str | None) -> str | None:
        if value is not None:
            check_location(value)
        return value

    @model_validator(mode="after")
    def _whole_tls(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("SMARTEX_TLS_CERT_FILE and SMARTEX_TLS_KEY_FILE go together: set both or none")
        if self.tls_client_ca_file is not None and self.tls_cert_file is None:
            raise ValueError(
                "SMARTEX_TLS_CLIENT_CA_FILE needs SMARTEX_TLS_CERT_FILE and SMARTEX_TLS_KEY_FILE"
            )
        return self


def load(settings_cls: type[S], **overrides: Any) -> S:
    """Return the settings of this process, from the environment, the file and `overrides` (which win).

    Raises `SettingsInvalid` with every problem, one line each, naming the variable or the key of the file.
    """
    from_file, problems = _file_values(settings_cls)
    in_environment = {name for name in settings_cls.model_fields if variable(name) in _environment()}
    values = {name: value for name, value in from_file.items() if name not in in_environment} | overrides
    try:
        settings = settings_cls(**values)
    except ValidationError as error:
        problems += [
            _problem(settings_cls, dict(detail), from_file) for detail in error.errors(include_url=False)
        ]
    if problems:
        raise SettingsInvalid(problems)
    return settings


def variable(field: str) -> str:
    """Return the environment variable that sets a field."""
    return PREFIX + field.upper()


def read_secret(path: Path) -> SecretStr:
    """Return the secret in a file without the line end; raises `SettingsInvalid` if there is none."""
    try:
        text = path.read_text().rstrip("\r\n")
    except OSError as error:
        raise SettingsInvalid([f"the secret in {path} cannot be read: {error.strerror}"]) from error
    if not text:
        raise SettingsInvalid([f"the secret in {path} is empty"])
    return SecretStr(text)


def describe_settings(settings_cls: type[Settings]) -> str:
    """Return a table of every setting: variable, default, meaning. Secret defaults are masked."""
    rows = [
        (variable(name), _default(info), info.description or "")
        for name, info in settings_cls.model_fields.items()
    ]
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"{name:<{wide[0]}}  {default:<{wide[1]}}  {text}".rstrip() for name, default, text in rows]
    file = f"Each can also stand in the TOML file that {CONFIG_VARIABLE} names, as its name in small letters."
    return "\n".join([*lines, "", file])


def unknown_variables(classes: Iterable[type[Settings]], among: Iterable[str] | None = None) -> list[str]:
    """Return the variables (those of the environment, or `among`) that look like settings and are none.

    Each comes with the name of a near one.
    """
    known = {variable(name) for cls in classes for name in cls.model_fields} | {CONFIG_VARIABLE}
    names = _environment() if among is None else among
    strange = sorted(name for name in names if name.startswith(PREFIX) and name not in known)
    return [f"{name}{_hint(name, dict.fromkeys(known))}" for name in strange]


def _environment() -> set[str]:
    return {name.upper() for name in os.environ}


def _file_values(settings_cls: type[Settings]) -> tuple[dict[str, Any], list[str]]:
    path = os.environ.get(CONFIG_VARIABLE)
    if not path:
        return {}, []
    try:
        content = tomllib.loads(Path(path).read_text())
    except OSError as error:
        return {}, [f"{CONFIG_VARIABLE}={path}: cannot be read: {error.strerror}"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return {}, [f"{CONFIG_VARIABLE}={path}: is not TOML: {error}"]
    own = content.get(settings_cls.section, {}) if settings_cls.section else {}
    # Other tables belong to other services, which may share the file.
    top = {key: value for key, value in content.items() if not isinstance(value, dict)}
    values = top | (own if isinstance(own, dict) else {})
    known = settings_cls.model_fields
    problems = [
        f"{path}: {key}: there is no such setting{_hint(key, known)}" for key in values if key not in known
    ]
    return {key: value for key, value in values.items() if key in known}, problems


def _hint(key: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _problem(settings_cls: type[Settings], detail: Mapping[str, Any], from_file: Mapping[str, Any]) -> str:
    message = str(detail["msg"]).removeprefix("Value error, ")
    location = detail["loc"]
    if not location:
        return message
    name = str(location[0])
    info = settings_cls.model_fields.get(name)
    where = name if name in from_file and variable(name) not in _environment() else variable(name)
    shown = info is not None and not _is_secret(name, info) and detail["type"] != "missing"
    return f"{where}={detail['input']!s}: {message}" if shown else f"{where}: {message}"


def _default(info: FieldInfo) -> str:
    default = info.get_default(call_default_factory=False)
    if default is PydanticUndefined:
        return "(required)" if info.is_required() else "(computed)"
    if isinstance(default, SecretStr):
        return _MASK
    if default is None:
        return "(none)"
    return f"{default.total_seconds():g}s" if isinstance(default, timedelta) else str(default)


def _is_secret(name: str, info: FieldInfo) -> bool:
    return "Secret" in str(info.annotation) or any(
        word in _words(name) for word in ("password", "secret", "dsn", "url")
    )


def _words(name: str) -> Iterator[str]:
    yield from name.lower().split("_")
