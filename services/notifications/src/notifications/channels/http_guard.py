"""Calls to URLs that readers give: only to the public internet, and only to the address that was checked."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

import httpcore
import httpx

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Returns the addresses of a host."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_FORBIDDEN = (
    # Metadata services of clouds (Oracle's is in the first), though public by what Python's tables say.
    ipaddress.ip_network("192.0.0.0/24"),
    ipaddress.ip_network("168.63.129.16/32"),
)


class AddressForbidden(Exception):  # noqa: N818 - as the errors of libs/chassis are named
    """The host is, or also is, an address that is not of the public internet."""


def is_public(address: str) -> bool:
    """Return whether an IP address is of the public internet, whatever form it comes in.

    Private, loopback, link-local (the clouds' metadata), shared, multicast and reserved ones are not, nor an
    IPv6 address that wraps one of them (mapped, NAT64, 6to4, Teredo).
    """
    try:
        outer = ipaddress.ip_address(address)
    except ValueError:
        return False
    return all(
        ip.is_global
        and not ip.is_multicast
        and not ip.is_reserved
        and not any(ip in network for network in _FORBIDDEN)
        for ip in _unwrapped(outer)
    )


def _unwrapped(ip: IpAddress) -> list[IpAddress]:
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    if ip.ipv4_mapped:
        return [ip.ipv4_mapped]
    if ip in _NAT64:
        return [ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)]
    if ip.sixtofour:
        return [ip, ip.sixtofour]
    return [ip, *(ip.teredo or ())]


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host as the system sees them; raises `OSError` if it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a host once, checks every address, and connects to one of these and no other.

    As the name is not looked up a second time, changing it between check and connection (DNS rebinding) gains
    nothing. TLS still checks the certificate against the name.
    """

    def __init__(
        self, resolver: Resolver = resolve, network: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        self._resolver = resolver
        self._network = network or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of httpcore
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect, or raise `AddressForbidden`, or what httpcore raises."""
        try:
            addresses = await self._resolver(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the host has no address") from error
        if not addresses or not all(is_public(address) for address in addresses):
            raise AddressForbidden
        return await self._connect_first(addresses, port, timeout, local_address, socket_options)

    async def _connect_first(
        self, addresses: list[str], port: int, *options: Any
    ) -> httpcore.AsyncNetworkStream:
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(address, port, *options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(addresses[-1], port, *options)


class BackendTransport(httpx.AsyncHTTPTransport):
    """The transport of httpx, with connections made by a backend such as `GuardedBackend`."""

    def __init__(self, limits: httpx.Limits, backend: httpcore.AsyncNetworkBackend) -> None:
        context = httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context)
        # httpx has no argument for the backend; httpcore has.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=backend,
        )
