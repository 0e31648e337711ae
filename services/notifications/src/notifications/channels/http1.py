"""Calls of the providers that speak HTTP/1.1, by aiohttp.

httpx looks at every idle connection at every call: with 32 of them aiohttp takes a tenth of its processor time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import aiohttp
import httpx
from yarl import URL

from notifications.channels.delivery import Clock
from notifications.channels.http import KEPT_SECONDS, MAX_ANSWER_BYTES, MAX_CONNECTIONS, Answer, sendable
from notifications.domain.sending import Failed

# OSError: a connection that is reset while it is written to. TimeoutError is one, too.
_NETWORK = (aiohttp.ClientError, OSError)
_NO_LIMIT = aiohttp.ClientTimeout(total=None)
"""The caller has limits of its own."""


class Http1Caller:
    """Posts to a provider within a time limit. Never raises for what a provider does."""

    def __init__(self, *, clock: Clock, time_limit: float, proxy: str | None = None) -> None:
        # aiohttp warns of cookies with the URL, and URLs hold device tokens and secrets.
        logging.getLogger("aiohttp.client").setLevel(logging.ERROR)
        self._clock = clock
        self._time_limit = time_limit
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self, url: str, *, headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> Answer | Failed:
        """Post once. A redirect is an answer like any other: it is not followed."""
        sent = {"accept-encoding": "identity", **(headers or {})}
        if not sendable(sent):
            return Failed("HEADER_UNSENDABLE")
        if self._session is None:
            self._session = _new_session(self._proxy)
        written = _Written()
        try:
            async with asyncio.timeout(self._time_limit):
                response = await self._session.post(
                    _as_written(url),
                    headers=sent,
                    data=content,
                    allow_redirects=False,
                    trace_request_ctx=written,
                )
        except TimeoutError:
            return Failed("TIMEOUT", maybe_sent=written.started)
        except (*_NETWORK, ValueError) as error:
            # ValueError: a URL that is none.
            return Failed(f"CONNECTION_FAILED {type(error).__name__}", maybe_sent=written.started)
        return await self._finish(response)

    async def _finish(self, response: aiohttp.ClientResponse) -> Answer | Failed:
        try:
            async with asyncio.timeout(self._time_limit):
                body = await _body(response)
        except _NETWORK as error:
            # An answer that is cut short may come from a proxy whose server has died: it proves nothing.
            return Failed(f"ANSWER_CUT {type(error).__name__}", maybe_sent=True)
        finally:
            # Drops the connection unless the answer was read to its end, which gave it back.
            response.close()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, body, self._clock())

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


class _Written:
    """Notes whether a request began to be written: from then on it may have arrived."""

    started = False


def _as_written(url: str) -> URL:
    """Return the URL without another quoting of what is quoted: a signature may go over it."""
    return URL(url, encoded=url.isascii() and url.isprintable() and " " not in url)


async def _note(_: aiohttp.ClientSession, context: Any, __: aiohttp.TraceRequestHeadersSentParams) -> None:
    context.trace_request_ctx.started = True


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for part in response.content.iter_any():
        body += part[: MAX_ANSWER_BYTES - len(body)]
        if len(body) >= MAX_ANSWER_BYTES:
            break
    return body


def _new_session(proxy: str | None) -> aiohttp.ClientSession:
    """Return a session that heeds no proxy of the environment and keeps no cookies."""
    context = httpx.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=KEPT_SECONDS, ssl=context)
    tracing = aiohttp.TraceConfig()
    tracing.on_request_headers_sent.append(_note)
    return aiohttp.ClientSession(
        connector=connector,
        proxy=proxy,
        timeout=_NO_LIMIT,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trace_configs=[tracing],
    )
