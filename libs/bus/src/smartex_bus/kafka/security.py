"""How aiokafka's clients reach the brokers, and why brokers refuse them."""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from smartex_bus.errors import BusError, BusUnavailable, Misconfigured
from smartex_bus.settings import KafkaSecurity, KafkaSettings

FORBIDDEN = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    ClusterAuthorizationFailedError,
)
"""What brokers answer to a user who may not do it."""


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """The arguments that all of aiokafka's clients have in common."""
    return {
        "bootstrap_servers": settings.servers,
        "client_id": settings.client_id,
        **_security(settings.security),
    }


def check(settings: KafkaSettings) -> None:
    """Read the certificates. ``Misconfigured`` if they are none."""
    _security(settings.security)


async def why_not(settings: KafkaSettings) -> BusError:
    """Why no connection comes about, as seen from one attempt more: aiokafka's clients tell only their log."""
    found: BusError = BusUnavailable("Kafka did not answer, and does now: retry")
    for host, port, _ in collect_hosts(settings.servers, randomize=False):
        place = f"{host}:{port}"
        try:
            await _try(settings, host, port)
        except (KafkaError, OSError, TimeoutError, ValueError) as error:
            found = _meaning(place, settings.security, error)
            if isinstance(found, Misconfigured):
                return found
    return found


async def _try(settings: KafkaSettings, host: str, port: int) -> None:
    connected = await create_conn(
        host,
        port,
        client_id=settings.client_id,
        request_timeout_ms=int(settings.request_timeout * 1000),
        **_security(settings.security),
    )
    try:
        # A listener that wants a login answers the first question without one by closing the connection.
        await connected.send(MetadataRequest([]))
    finally:
        await asyncio.wait([connected.close()], timeout=1.0)


def _meaning(place: str, security: KafkaSecurity, error: Exception) -> BusError:
    if isinstance(error, KafkaConnectionError) and isinstance(error.__cause__, ssl.SSLError):
        # What a broker thinks of this client's certificate comes after the handshake.
        error = error.__cause__
    if isinstance(error, SaslAuthenticationFailed):
        return Misconfigured(
            f"Kafka at {place} refuses user {security.user!r} or the password: check both, and that the user "
            f"is one for {security.mechanism}"
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        return Misconfigured(f"Kafka at {place} does not take mechanism {security.mechanism}: set another")
    if isinstance(error, IllegalSaslStateError):
        return Misconfigured(f"Kafka at {place} takes no login there: set security to SSL or PLAINTEXT")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Misconfigured(
            f"the certificate of Kafka at {place} is not trusted ({error.verify_message}): set ca_file to the "
            "authority that it comes from"
        )
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return Misconfigured(
            f"Kafka at {place} and this client find no common TLS ({error.reason or error}): check that the port "
            "speaks TLS, and whether it asks for a certificate (cert_file, key_file)"
        )
    if isinstance(error, KafkaConnectionError | ConnectionResetError | ssl.SSLEOFError):
        return BusUnavailable(
            f"Kafka at {place} closes the connection: retry, or set another security than {security.protocol} if "
            "that is not what the port speaks"
        )
    return BusUnavailable(f"Kafka does not answer at {place}, retry: {str(error) or type(error).__name__}")


def _security(security: KafkaSecurity) -> dict[str, Any]:
    return {
        "security_protocol": security.protocol,
        "ssl_context": _context(security) if security.tls else None,
        "sasl_mechanism": security.mechanism,
        "sasl_plain_username": security.user,
        "sasl_plain_password": security.password,
    }


@functools.lru_cache(maxsize=8)
def _context(security: KafkaSecurity) -> ssl.SSLContext:
    # Once in a process: to read the system's authorities takes milliseconds of the event loop.
    try:
        context = ssl.create_default_context(cafile=security.ca_file)
    except (OSError, ValueError) as error:
        raise Misconfigured(f"ca_file: {security.ca_file} holds no certificates in PEM: {error}") from None
    if security.cert_file is not None:
        try:
            # Without a password, or OpenSSL would ask the terminal for one.
            context.load_cert_chain(security.cert_file, security.key_file, password="")
        except (OSError, ValueError) as error:
            raise Misconfigured(
                f"cert_file and key_file: {security.cert_file} and {security.key_file} are no PEM certificate with its "
                f"key, not encrypted: {error}"
            ) from None
    return context


class _NoLogins(logging.Filter):
    """At level debug aiokafka logs every request with its bytes; those of a login hold the password."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.args if isinstance(record.args, tuple) else ()
        return not any(type(each).__name__.startswith("SaslAuthenticate") for each in said)


logging.getLogger("aiokafka.conn").addFilter(_NoLogins())
