"""Kafka's URL: brokers, and how to speak to them.

    kafka://host:port,host:port
    kafka://user:password@host:port,…?mechanism=SCRAM-SHA-512&ca_file=/…
    kafka://user@host:port,…?password_file=/…

``security``       PLAINTEXT, SSL (TLS), SASL_PLAINTEXT, SASL_SSL; by default SASL_SSL with a user, SSL with
                   certificates, else PLAINTEXT
``mechanism``      PLAIN (the default), SCRAM-SHA-256, SCRAM-SHA-512
``password_file``  file with the password, in place of one in the URL
``ca_file``        authorities that brokers' certificates are checked with; the system's by default
``cert_file``, ``key_file``  a certificate for brokers that ask for one

User, password and values are percent-encoded UTF-8. No message of an error holds a part of the URL that may be of a
password that was not encoded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar, get_args
from urllib.parse import unquote

from smartex_bus.errors import Misconfigured
from smartex_bus.settings import KafkaMechanism, KafkaProtocol, KafkaSecurity, KafkaSettings

T = TypeVar("T", bound=str)

_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?")
_PARAMETERS = ("security", "mechanism", "password_file", "ca_file", "cert_file", "key_file")
_PROTOCOLS: tuple[KafkaProtocol, ...] = get_args(KafkaProtocol)
_MECHANISMS: tuple[KafkaMechanism, ...] = get_args(KafkaMechanism)


def kafka_settings(rest: str) -> KafkaSettings:
    """The settings that stand behind ``kafka://``. ``Misconfigured`` if they are wrong or do not fit together."""
    address, _, query = rest.partition("?")
    login, at, servers = address.rpartition("@")
    servers = servers.removesuffix("/")
    if not all(_SERVER.fullmatch(server) for server in servers.split(",")):
        raise Misconfigured(
            "the URL of Kafka is kafka://[user:password@]host:port,host:port[?…]: percent-encode what is neither a "
            "letter nor a digit in user and password"
        )
    given = _parameters(query)
    if not at and given.keys() & {"password_file", "mechanism"}:
        raise Misconfigured("password_file and mechanism need a user: kafka://user@host:port?password_file=…")
    user, password = _login(login, given.get("password_file")) if at else (None, None)
    return KafkaSettings(
        servers,
        security=KafkaSecurity(
            protocol=_one_of("security", _PROTOCOLS, given.get("security", _protocol(user, given))),
            mechanism=_one_of("mechanism", _MECHANISMS, given.get("mechanism", "PLAIN")),
            user=user,
            password=password,
            ca_file=_path(given.get("ca_file")),
            cert_file=_path(given.get("cert_file")),
            key_file=_path(given.get("key_file")),
        ),
    )


def _parameters(query: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name not in _PARAMETERS or not value or name in given:
            raise Misconfigured(
                f"behind the ? of Kafka's URL stand {', '.join(_PARAMETERS)}, each once as name=value: "
                "percent-encode a ? or & that belongs to a value or to the password"
            )
        given[name] = _decoded(value)
    return given


def _login(login: str, password_file: str | None) -> tuple[str, str | None]:
    user, colon, password = login.partition(":")
    if not user or (colon and not password):
        raise Misconfigured("the user or the password in Kafka's URL is empty: give user:password@")
    if not colon:
        return _decoded(user), None if password_file is None else _read(Path(password_file))
    if password_file is not None:
        raise Misconfigured("Kafka's password stands in the URL and in password_file: give it once")
    return _decoded(user), _decoded(password)


def _read(file: Path) -> str:
    try:
        password = file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Misconfigured(f"password_file: {file} cannot be read: {why}") from None
    if not password:
        raise Misconfigured(f"password_file: {file} is empty")
    return password


def _protocol(user: str | None, given: Mapping[str, str]) -> KafkaProtocol:
    if user is not None:
        # A password never goes out in the clear unless that is asked for.
        return "SASL_SSL"
    return "SSL" if given.keys() & {"ca_file", "cert_file", "key_file"} else "PLAINTEXT"


def _one_of(name: str, allowed: tuple[T, ...], value: str) -> T:
    for each in allowed:
        if each == value:
            return each
    raise Misconfigured(f"{name} in Kafka's URL is one of {', '.join(allowed)}")


def _path(value: str | None) -> Path | None:
    return None if value is None else Path(value)


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise Misconfigured("Kafka's URL is percent-encoded UTF-8: a part of it is not") from None
