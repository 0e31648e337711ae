"""HTTP/2 by httpx, which does not look whether an idle connection has ended: here it is looked at before each request.

A request on a connection that had ended would count as perhaps sent, and be given up though nobody could take it.
"""

from __future__ import annotations

import select
from collections.abc import Iterable
from typing import Any

import h2.errors
import h2.events
import httpcore
import httpx


def hung_up(stream: httpcore.AsyncNetworkStream | None) -> bool:
    """Return whether the other side has ended a connection, read or not what it said last."""
    connected = stream.get_extra_info("socket") if stream is not None else None
    if connected is None or connected.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(connected.fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))


def not_taken(error: Exception) -> bool:
    """Return whether the server said that it has not processed the request (RFC 9113, 6.8 and 8.7)."""
    said = error.__cause__.args[0] if error.__cause__ is not None and error.__cause__.args else None
    match said:
        case h2.events.StreamReset(error_code=h2.errors.ErrorCodes.REFUSED_STREAM):
            return True
        case h2.events.ConnectionTerminated(last_stream_id=0):
            return True
    return False


class Http2Transport(httpx.AsyncHTTPTransport):
    """The transport of httpx for HTTP/2 alone, over plain text too, on connections that have not ended."""

    def __init__(self, limits: httpx.Limits) -> None:
        context = httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context)
        # httpx has no argument for the kind of connections; httpcore asks its pool for them.
        self._pool = _Pool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
        )


class _Pool(httpcore.AsyncConnectionPool):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._options = {name: options[name] for name in ("ssl_context", "keepalive_expiry")}

    def create_connection(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        return _Connection(origin, **self._options)


class _Connection(httpcore.AsyncHTTPConnection):
    """A connection that knows whether the server has ended it."""

    def __init__(self, origin: httpcore.Origin, **options: Any) -> None:
        self._line = _Line()
        super().__init__(origin, http1=False, http2=True, network_backend=self._line, **options)

    def is_available(self) -> bool:
        return super().is_available() and not hung_up(self._line.stream)

    def has_expired(self) -> bool:
        return super().has_expired() or (self.is_idle() and hung_up(self._line.stream))


class _Line(httpcore.AnyIOBackend):
    """Makes one connection, and remembers it."""

    stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of httpcore
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.stream = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        return self.stream
