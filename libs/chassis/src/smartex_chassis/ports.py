"""Listening: addresses, credentials, and why a port cannot be had."""

from __future__ import annotations

import errno
import os
import socket

import grpc
import grpc.aio

from smartex_chassis.errors import BindFailed, PortInUse, StartupError
from smartex_chassis.settings import ChassisSettings


def listen(server: grpc.aio.Server, settings: ChassisSettings) -> int:
    """Make the server listen as the settings say, return the port; raises `PortInUse` or `BindFailed`."""
    address = join(settings.host, settings.port)
    credentials = server_credentials(settings)
    try:
        if credentials is None:
            port: int = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise _explain(settings.host, settings.port, error) from error
    if port == 0:
        raise _explain(settings.host, settings.port, None)
    return port


def server_credentials(settings: ChassisSettings) -> grpc.ServerCredentials | None:
    """Return TLS credentials, None for plain text; raises `StartupError` for unreadable files."""
    cert, key, client_ca = settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file
    if cert is None or key is None:
        return None
    try:
        pair = (key.read_bytes(), cert.read_bytes())
        roots = None if client_ca is None else client_ca.read_bytes()
    except OSError as error:
        raise StartupError(f"a TLS file cannot be read: {error}", reason="TLS_UNREADABLE") from error
    return grpc.ssl_server_credentials([pair], root_certificates=roots, require_client_auth=roots is not None)


def join(host: str, port: int) -> str:
    """Return host and port as one address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def refusal(host: str, port: int, error: OSError, *, port_variable: str) -> StartupError:
    """Return the error that says why a listener could not be had, and what to set."""
    if error.errno == errno.EADDRINUSE:
        return PortInUse(port, port_variable)
    if error.errno == errno.EACCES:
        return BindFailed(join(host, port), "this port needs more rights", port_variable)
    why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    return BindFailed(join(host, port), why, "SMARTEX_HOST")


def _explain(host: str, port: int, error: Exception | None) -> StartupError:
    # gRPC does not say why: a plain socket does.
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as reason:
        return refusal(host, port, reason, port_variable="SMARTEX_PORT")
    return BindFailed(
        join(host, port), "gRPC refused it; are the TLS files right?" if error else "refused", "SMARTEX_HOST"
    )
