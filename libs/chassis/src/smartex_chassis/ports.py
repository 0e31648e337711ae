"""Listening: addresses, credentials, and why a port cannot be had."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import grpc.aio

from smartex_chassis.errors import BindFailed, PortInUse, StartupError
from smartex_chassis.settings import ChassisSettings
from smartex_chassis.tls import TlsFiles

_LONGEST_SOCKET = 107
"""Bytes of `sun_path` (unix(7)), less the one that ends it."""


def listen(server: grpc.aio.Server, settings: ChassisSettings) -> int:
    """Make the server listen as the settings say, return the port; raises `PortInUse` or `BindFailed`."""
    _probe(settings.host, settings.port)
    address = join(settings.host, settings.port)
    credentials = server_credentials(settings)
    try:
        if credentials is None:
            return int(server.add_insecure_port(address))
        return int(server.add_secure_port(address, credentials))
    except RuntimeError as error:
        # The address was free a moment ago: another program was quicker, or the TLS files are no pair.
        _probe(settings.host, settings.port)
        why = "gRPC refused it; do the TLS certificate and key belong together?"
        raise BindFailed(address, why, "SMARTEX_TLS_CERT_FILE and SMARTEX_TLS_KEY_FILE") from error


def listen_beside(server: grpc.aio.Server, path: Path) -> None:
    """Make the server listen in the clear as well, at a Unix socket that only its owner's programs can open.

    Raises `BindFailed`. The socket goes with the server; one that a killed server left behind is replaced.
    """
    # Clients know it by this very address, and a longer one is cut off.
    if len(os.fsencode(path)) > _LONGEST_SOCKET:
        raise BindFailed(
            str(path), f"the path of a socket has at most {_LONGEST_SOCKET} bytes", "a shorter path"
        )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        server.add_insecure_port(unix_address(path))
    except RuntimeError as error:
        raise BindFailed(str(path), "gRPC refused it", "another path") from error
    path.chmod(0o600)


def unix_address(path: Path) -> str:
    """The address of a Unix socket, as gRPC takes it."""
    return f"unix:{quote(str(path))}"


def server_credentials(settings: ChassisSettings) -> grpc.ServerCredentials | None:
    """Return TLS credentials, None for plain text; raises `StartupError` for unreadable files."""
    cert, key, client_ca = settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file
    if cert is None or key is None:
        return None
    files = TlsFiles(cert, key, client_ca)
    try:
        first = files.read()
    except OSError as error:
        raise StartupError(f"a TLS file cannot be read: {error}", reason="TLS_UNREADABLE") from error
    newer: Any = files.newer  # its None, for no change, is not in the stubs
    return grpc.dynamic_ssl_server_credentials(first, newer, client_ca is not None)


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


def _probe(host: str, port: int) -> None:
    """Raise why nobody can listen here now; gRPC itself does not say, and prints its own account of it."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as reason:
        raise refusal(host, port, reason, port_variable="SMARTEX_PORT") from reason
