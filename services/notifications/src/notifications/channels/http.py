"""One call of a provider over HTTP: an answer, or a failure that says whether the request may have arrived.

`http1.py` calls the providers that speak HTTP/1.1. Here are the calls of APNs, which is HTTP/2, and of URLs that
readers give, whose connections are guarded.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import h2.exceptions
import httpcore
import httpx

from notifications.channels.delivery import Clock
from notifications.channels.http2 import Http2Transport, not_taken
from notifications.channels.http_guard import AddressForbidden, BackendTransport, GuardedBackend
from notifications.domain.sending import Failed, Refused

MAX_ANSWER_BYTES = 64 * 1024
"""Of an answer's body this much is read, and the rest left."""
MAX_RETRY_AFTER = timedelta(days=1)
"""A provider that asks for more is asked again after this."""
MAX_CONNECTIONS = 64
"""Connections of one channel."""
KEPT_SECONDS = 60
"""For how long an idle connection is kept; APNs takes reconnecting for an attack."""
# No fewer to keep than to make: httpcore closes every connection that falls idle while there are more than these.
LIMITS = httpx.Limits(
    max_connections=MAX_CONNECTIONS,
    max_keepalive_connections=MAX_CONNECTIONS,
    keepalive_expiry=KEPT_SECONDS,
)

# Two come as they are: OSError (a TLS error amid a connection, TimeoutError), and what breaks HTTP/2 amid an answer.
_NETWORK = (httpx.HTTPError, OSError, h2.exceptions.H2Error)
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True)
class Answer:
    """What a provider said."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    receive_time: datetime

    @property
    def ok(self) -> bool:
        """Whether the request was taken."""
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object; empty if it is none."""
        with suppress(ValueError, RecursionError):
            value = json.loads(self.body)
            if isinstance(value, dict):
                return value
        return {}

    def retry_after(self) -> timedelta | None:
        """Return what `Retry-After` asks for, in seconds or as a date; None if it asks for nothing readable."""
        return parse_retry_after(self.headers.get("retry-after", ""), self.receive_time)


class HttpCaller(Protocol):
    """Posts to a provider within a time limit. Never raises for what a provider does."""

    async def post(
        self, url: str, *, headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> Answer | Failed | Refused:
        """Post once. A redirect is an answer like any other: it is not followed."""

    async def close(self) -> None:
        """Close the connections."""


class HttpxCaller:
    """Posts by httpx."""

    def __init__(self, client: httpx.AsyncClient, *, clock: Clock, time_limit: float) -> None:
        self._client = client
        self._clock = clock
        self._time_limit = time_limit

    async def post(
        self, url: str, *, headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> Answer | Failed | Refused:
        """Post once. A redirect is an answer like any other: it is not followed."""
        sent = {"accept-encoding": "identity", **(headers or {})}
        if not sendable(sent):
            return Failed("HEADER_UNSENDABLE")
        written = _Written()
        try:
            async with asyncio.timeout(self._time_limit):
                request = self._client.build_request(
                    "POST",
                    url,
                    headers=sent,
                    content=content,
                    extensions={"trace": written.trace},
                )
                response = await self._client.send(request, stream=True)
        except (TimeoutError, httpx.TimeoutException):
            return Failed("TIMEOUT", maybe_sent=written.started)
        except (*_NETWORK, httpx.InvalidURL, UnicodeError) as error:
            maybe = written.started and not not_taken(error)
            return Failed(f"CONNECTION_FAILED {type(error).__name__}", maybe_sent=maybe)
        except AddressForbidden:
            return Refused("ADDRESS_FORBIDDEN")
        return await self._finish(response)

    async def _finish(self, response: httpx.Response) -> Answer | Failed:
        body = b""
        try:
            async with asyncio.timeout(self._time_limit):
                async for part in response.aiter_raw():
                    body += part[: MAX_ANSWER_BYTES - len(body)]
                    if len(body) >= MAX_ANSWER_BYTES:
                        break
        except _NETWORK as error:
            # An answer that is cut short may come from a proxy whose server has died: it proves nothing.
            return Failed(f"ANSWER_CUT {type(error).__name__}", maybe_sent=True)
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, body, self._clock())

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class _Written:
    """Notes whether a request began to be written: from then on it may have arrived."""

    def __init__(self) -> None:
        self.started = False

    async def trace(self, event: str, _: Mapping[str, Any]) -> None:
        """Take an event of the transport, such as `http2.send_request_headers.started`."""
        if event.endswith("send_request_headers.started"):
            self.started = True
        elif event.endswith("connect_tcp.started"):
            # httpcore goes on to another connection only if the one before has surely not taken the request.
            self.started = False


def http2_client(*, time_limit: float) -> httpx.AsyncClient:
    """Return a client that speaks HTTP/2 only, over plain text too, as APNs does."""
    return _client(time_limit, Http2Transport(LIMITS))


def _client(time_limit: float, transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """Return a client that follows no redirect and heeds no proxy of the environment."""
    for name in ("httpx", "httpcore"):
        # They log every URL, and URLs hold device tokens and secrets.
        logging.getLogger(name).setLevel(logging.WARNING)
    return httpx.AsyncClient(
        timeout=time_limit,
        follow_redirects=False,
        trust_env=False,
        transport=transport,
    )


def readers_client(
    *, time_limit: float, allow_private: bool, backend: httpcore.AsyncNetworkBackend | None = None
) -> httpx.AsyncClient:
    """Return a client for URLs that readers give: guarded, unless private addresses are allowed.

    `backend` makes the connections in place of either.
    """
    guard = backend or (httpcore.AnyIOBackend() if allow_private else GuardedBackend())
    return _client(time_limit, BackendTransport(LIMITS, guard))


def sendable(headers: Mapping[str, str]) -> bool:
    """Return whether the values can stand in a request; a key with a line break in it cannot."""
    return all(value.isascii() and value.isprintable() for value in headers.values())


def parse_retry_after(value: str, now: datetime) -> timedelta | None:
    """Return how long to wait: `120`, or a date less `now`; between 0 and `MAX_RETRY_AFTER`."""
    if value.isascii() and value.strip().isdigit():
        return min(timedelta(seconds=min(int(value[:10]), 10**9)), MAX_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return min(max(aware - now, timedelta(0)), MAX_RETRY_AFTER)


def failure(answer: Answer, code: str = "") -> Failed | Refused:
    """Return what an answer that is no success means by its status alone.

    `code` is the provider's own word for it. 502 and 504 come from a proxy that does not know what became
    of the request.
    """
    told = f"{answer.status} {safe_code(code)}".strip()
    if answer.status == 429:
        return Failed(f"RATE_LIMITED {told}", answer.retry_after())
    if answer.status >= 500:
        return Failed(f"PROVIDER_FAILED {told}", answer.retry_after(), maybe_sent=answer.status in (502, 504))
    if answer.status in (401, 403, 408, 425):
        return Failed(f"NOT_ALLOWED {told}", answer.retry_after())
    return Refused(f"REFUSED {told}")


def safe_code(code: object) -> str:
    """Return a provider's code cut to what a code can be; a text in its place is dropped, for it may quote.

    Providers put addresses into their texts; a reason must hold none.
    """
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""
