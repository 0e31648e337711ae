"""The channel to the exchange: tokens, deadlines, and retries that are safe."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from .decoding import decode
from .errors import Final, InvalidInput, OutcomeUnknown, Retryable, SmartexError, Unavailable

Answer = TypeVar("Answer", bound=Message)

SERVICES = "smartex.matching.v1"

OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A ping waits for its answer as long as this says, a minute by default, whatever the line above says.
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


@dataclass(frozen=True)
class Tls:
    """Files of a TLS connection: who is trusted, and for mutual TLS who we are."""

    ca_file: Path | None = None
    """Certificates to trust; the system's if none is given."""
    certificate_file: Path | None = None
    """Our certificate chain, for mutual TLS."""
    key_file: Path | None = None
    """Its private key."""

    def credentials(self) -> grpc.ChannelCredentials:
        """The files as gRPC takes them. InvalidInput if one cannot be read."""
        try:
            return grpc.ssl_channel_credentials(
                self.ca_file.read_bytes() if self.ca_file else None,
                self.key_file.read_bytes() if self.key_file else None,
                self.certificate_file.read_bytes() if self.certificate_file else None,
            )
        except OSError as error:
            raise InvalidInput(
                f"cannot read {error.filename}: {error.strerror}; check the TLS files", field="tls"
            ) from None


@dataclass(frozen=True)
class RetryPolicy:
    """How a call is repeated after a retryable failure. Full jitter between attempts."""

    deadline: float = 10.0
    """Seconds for a call, all attempts together."""
    first_pause: float = 0.05
    """Longest pause after the first failure in seconds; doubles each time."""
    longest_pause: float = 2.0
    """Longest pause between two attempts in seconds, the exchange's own advice apart."""
    attempt_deadline: float = 5.0
    """Seconds for one attempt."""
    reconnect_deadline: float = 60.0
    """Seconds that a stream goes on trying to come back before it gives up."""

    def pause(self, attempt: int, advice: float | None, chance: float) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 0).

        Never less than the exchange's advice; `chance` (0 to 1) spreads the clients.
        """
        longest = min(self.longest_pause, self.first_pause * 2.0 ** min(attempt, 30))
        return (advice or 0.0) + longest * chance


@dataclass
class Connection:
    """One channel with its token. `token` is asked for each call, so that a renewed one is used at once."""

    url: str
    token: Callable[[], str | None]
    tls: Tls | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    _channel: grpc.aio.Channel | None = None
    _closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel, opened on first use. Final once it is closed."""
        if self._closed.is_set():
            raise client_closed()
        if self._channel is None:
            if self.tls is None:
                self._channel = grpc.aio.insecure_channel(self.url, options=OPTIONS)
            else:
                self._channel = grpc.aio.secure_channel(self.url, self.tls.credentials(), options=OPTIONS)
        return self._channel

    async def close(self) -> None:
        """Close the channel for good: calls and streams on it end. May be repeated."""
        self._closed.set()
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(None)

    async def pause(self, seconds: float) -> None:
        """Wait before the next attempt; a closed client does not wait."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), seconds)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What each call carries. InvalidInput if the token cannot be said there."""
        token = self.token()
        if token and not (token.isascii() and token.isprintable()):
            raise InvalidInput("the token is not printable ASCII on one line", field="token")
        return (("authorization", f"Bearer {token}"),) if token else ()

    async def read(self, method: str, request: Message, answer: type[Answer]) -> Answer:
        """Call a method that changes nothing, e.g. "MarketDataService/GetBook", with retries. See `path_of`."""
        return await self._call(method, request, answer, writes=False)

    async def write(self, method: str, request: Message, answer: type[Answer]) -> Answer:
        """Call a method that changes something, repeating the very same request after retryable failures.

        That is safe because every write of the exchange is idempotent by a number in the request, or says what shall
        be (a cancel, a halt), so that again at once it changes nothing. When time is up and an attempt may have
        arrived, OutcomeUnknown is raised; else the last failure.
        """
        return await self._call(method, request, answer, writes=True)

    async def _call(self, method: str, request: Message, answer: type[Answer], *, writes: bool) -> Answer:
        end = time.monotonic() + self.retry.deadline
        attempt, arrived = 0, False
        while True:
            limit = max(0.001, min(end - time.monotonic(), self.retry.attempt_deadline))
            call: Any = self.channel.unary_unary(
                path_of(method),
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=answer.FromString,
            )
            try:
                response: Answer = await call(request, timeout=limit, metadata=self.metadata())
                return response
            except grpc.aio.AioRpcError as failure:
                error: SmartexError = decode(failure)
            except asyncio.CancelledError:
                # gRPC raises this also when it is the other side that cancelled the call.
                if cancelled_here():
                    raise
                error = OutcomeUnknown("the connection was lost", reason="CONNECTION_LOST")
            if not isinstance(error, Retryable):
                raise error
            arrived = arrived or may_have_arrived(error)
            pause = self.retry.pause(attempt, error.retry_after, random.random())
            late = time.monotonic() + pause >= end
            if not late:
                await self.pause(pause)
            unknown = writes and arrived
            if self._closed.is_set() and not unknown:
                raise client_closed()
            if self._closed.is_set() or late:
                raise outcome_unknown(error, request) if unknown else self.gave_up(error)
            attempt += 1

    def gave_up(self, error: Retryable) -> Retryable:
        """The last failure when time is up, for people: it says where nobody answered."""
        if isinstance(error, OutcomeUnknown):
            return Unavailable(f"no answer from {self.url} in time: try again later", reason="NO_ANSWER")
        if error.reason == "UNAVAILABLE":
            return Unavailable(f"cannot reach {self.url}: no exchange answers there", reason="UNREACHABLE")
        return error


def client_closed() -> Final:
    """What every use of a closed client raises."""
    return Final("the client is closed: make another one", reason="CLIENT_CLOSED")


def outcome_unknown(error: Retryable, request: Message) -> OutcomeUnknown:
    """The error of a write that may have been carried out; its ids are in the metadata."""
    ids = {name: str(getattr(request, name, 0)) for name in ("client_order_id", "request_id")}
    ids = {name: number for name, number in ids.items() if number != "0"}
    named = "".join(f", {name} {number}" for name, number in ids.items())
    return OutcomeUnknown(
        f"the outcome is not known ({error}{named}): repeat with the same id, or ask",
        reason="OUTCOME_UNKNOWN",
        metadata=ids,
    )


def path_of(method: str) -> str:
    """The path of a method: a bare "AccountService/GetAccount" is the market's; others name their package."""
    return f"/smartex.{method}" if "." in method else f"/{SERVICES}.{method}"


def cancelled_here() -> bool:
    """Whether the running task itself was asked to stop."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def may_have_arrived(error: Retryable) -> bool:
    """Whether the request behind a failure may have been carried out."""
    if isinstance(error, OutcomeUnknown) or error.reason in ("OUTCOME_UNKNOWN", "CONNECTION_LOST"):
        return True
    # Without a reason of the exchange the transport failed: only a connection that was never made is harmless.
    return error.reason == "UNAVAILABLE" and "failed to connect" not in str(error).lower()
