"""Calls from one service to another: one channel, with the service's own token and the current trace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from smartex_chassis.telemetry import trace_metadata
from smartex_chassis.tls import PeerTls

_OPTIONS: list[tuple[str, Any]] = [
    # A headless Service resolves to every pod; each call goes to the next one.
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # A ping waits for its answer as long as this says, a minute by default, whatever the line above says.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


class TokenFile:
    """A token in a file that somebody else renews; read again whenever the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._token = ""

    def __call__(self) -> str:
        """Return the token; OSError if the file cannot be read and never could."""
        try:
            status = self._path.stat()
        except OSError:
            if self._seen is None:
                raise
            return self._token
        seen = (status.st_mtime_ns, status.st_ino)
        if seen != self._seen:
            self._token = self._path.read_text("utf-8").strip()
            self._seen = seen
        return self._token


def peer_channel(
    url: str,
    token: Path | Callable[[], str],
    *,
    tls: PeerTls | None = None,
) -> grpc.aio.Channel:
    """Return a channel to the services at `url` (host:port), opened when it is first used.

    Every call carries the token (a file that is watched for a newer one, or a function that is asked each time) and
    the trace of its caller. With `tls` it is encrypted; OSError if a file of it cannot be read.
    """
    carry = _Carry(TokenFile(token) if isinstance(token, Path) else token)
    interceptors: list[Any] = [
        _UnaryUnary(carry),
        _UnaryStream(carry),
        _StreamUnary(carry),
        _StreamStream(carry),
    ]
    if tls is None:
        return grpc.aio.insecure_channel(url, options=_OPTIONS, interceptors=interceptors)
    return grpc.aio.secure_channel(url, tls.credentials(), options=_OPTIONS, interceptors=interceptors)


class _Carry:
    """Adds what each call carries. A call that brings an `authorization` of its own keeps it."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def __call__(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        own = tuple(details.metadata or ())
        added = list(trace_metadata())
        if not any(key == "authorization" for key, _ in own):
            added.append(("authorization", f"Bearer {self._token()}"))
        metadata = grpc.aio.Metadata(*own, *added)
        return grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )


class _Interceptor:
    def __init__(self, carry: _Carry) -> None:
        self._carry = carry

    async def _go_on(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(self._carry(details), request)


class _UnaryUnary(_Interceptor, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc, type-arg, unused-ignore]
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._go_on(continuation, client_call_details, request)


class _UnaryStream(_Interceptor, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc, type-arg, unused-ignore]
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._go_on(continuation, client_call_details, request)


class _StreamUnary(_Interceptor, grpc.aio.StreamUnaryClientInterceptor):  # type: ignore[misc, type-arg, unused-ignore]
    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await self._go_on(continuation, client_call_details, request_iterator)


class _StreamStream(_Interceptor, grpc.aio.StreamStreamClientInterceptor):  # type: ignore[misc, type-arg, unused-ignore]
    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await self._go_on(continuation, client_call_details, request_iterator)
