"""A real server on loopback with one small service of all four RPC kinds, and tokens for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from chassis_venue import ECHO
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped, unused-ignore]
    BadRequest,
    ErrorInfo,
    RetryInfo,
)
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped, unused-ignore]
from smartex_chassis import ChassisServer, ChassisSettings, LocalIssuer, ServiceModule

KINDS = ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream")


class EchoService:
    """Four RPCs on raw bytes that call `behave` for each message."""

    def __init__(self) -> None:
        async def echo(message: bytes) -> bytes:
            return message

        self.behave: Callable[[bytes], Awaitable[bytes]] = echo
        self.read: Callable[[bytes], Any] | None = None

    async def unary_unary(self, request: bytes, context: Any) -> bytes:
        return await self.behave(request)

    async def unary_stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for _ in range(3):
            yield await self.behave(request)

    async def stream_unary(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b",".join([await self.behave(request) async for request in requests])

    async def stream_stream(self, requests: AsyncIterator[bytes], context: Any) -> None:
        async for request in requests:
            await context.write(await self.behave(request))

    def register(self, server: grpc.aio.Server) -> None:
        handlers = {
            "UnaryUnary": grpc.unary_unary_rpc_method_handler(self.unary_unary, self.read),
            "UnaryStream": grpc.unary_stream_rpc_method_handler(self.unary_stream, self.read),
            "StreamUnary": grpc.stream_unary_rpc_method_handler(self.stream_unary, self.read),
            "StreamStream": grpc.stream_stream_rpc_method_handler(self.stream_stream, self.read),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(ECHO, handlers),))

    def module(self, **changes: Any) -> ServiceModule:
        fields: dict[str, Any] = {
            "name": "echo",
            "register": self.register,
            "scopes": {f"/{ECHO}/{kind}": "trade" for kind in KINDS},
        }
        return ServiceModule(**(fields | changes))


class Caller:
    """Calls the four RPCs alike: messages in, messages out."""

    def __init__(self, channel: Any, token: str | None) -> None:
        self.channel = channel
        self.token = token

    def metadata(self, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
        own = () if self.token is None else (("authorization", f"Bearer {self.token}"),)
        return (*own, *more)

    async def call(
        self, kind: str, *messages: bytes, deadline: float | None = 60, more: tuple[tuple[str, str], ...] = ()
    ) -> list[bytes]:
        path, metadata = f"/{ECHO}/{kind}", self.metadata(*more)
        if kind == "UnaryUnary":
            return [await self.channel.unary_unary(path)(messages[0], metadata=metadata, timeout=deadline)]
        if kind == "UnaryStream":
            return [
                m
                async for m in self.channel.unary_stream(path)(
                    messages[0], metadata=metadata, timeout=deadline
                )
            ]
        if kind == "StreamUnary":
            return [
                await self.channel.stream_unary(path)(iter(messages), metadata=metadata, timeout=deadline)
            ]
        stream = self.channel.stream_stream(path)(iter(messages), metadata=metadata, timeout=deadline)
        return [m async for m in stream]


class Refusal:
    """What a failed RPC told its caller."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code = error.code()
        self.message = error.details() or ""
        trailing: dict[str, Any] = dict(cast(Any, error.trailing_metadata() or ()))
        raw = trailing.get("grpc-status-details-bin")
        assert isinstance(raw, bytes), f"no status details: {error}"
        self.status = Status.FromString(raw)
        self.info = self._only(ErrorInfo)
        self.reason = self.info.reason

    def _only(self, kind: type[Any]) -> Any:
        found = self.all(kind)
        assert len(found) == 1
        return found[0]

    def all(self, kind: type[Any]) -> list[Any]:
        found = []
        for detail in self.status.details:
            message = kind()
            if detail.Unpack(message):
                found.append(message)
        return found

    @property
    def fields(self) -> list[tuple[str, str]]:
        return [(v.field, v.description) for bad in self.all(BadRequest) for v in bad.field_violations]

    @property
    def retry_after(self) -> timedelta | None:
        found = self.all(RetryInfo)
        return found[0].retry_delay.ToTimedelta() if found else None


class Venue:
    """Starts servers and callers, and ends them with the test."""

    def __init__(self, folder: Path) -> None:
        self.stack = AsyncExitStack()
        self.issuer = LocalIssuer(folder / "keys")
        self.echo = EchoService()

    def settings(self, **changes: Any) -> ChassisSettings:
        fields: dict[str, Any] = {"port": 0, "metrics_port": 0, "jwks": str(self.issuer.jwks_path)}
        return ChassisSettings(**(fields | changes))

    async def start(
        self, *modules: ServiceModule, beside: Path | None = None, **changes: Any
    ) -> ChassisServer:
        server = ChassisServer(modules or (self.echo.module(),), self.settings(**changes), beside=beside)
        await server.start()
        self.stack.push_async_callback(server.drain)
        return server

    def token(self, **changes: Any) -> str:
        fields: dict[str, Any] = {"subject": "tester", "account_id": 7, "scopes": ["trade"]}
        return self.issuer.issue(**(fields | changes))

    async def channel(self, server: ChassisServer) -> Any:
        return await self.stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{server.port}"))

    async def caller(self, server: ChassisServer, token: str | None = "") -> Caller:
        return Caller(await self.channel(server), self.token() if token == "" else token)

    def over(self, channel: Any, token: str | None = None) -> Caller:
        return Caller(channel, token)

    async def refusal(self, calling: Awaitable[Any]) -> Refusal:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(calling, 60)
        return Refusal(caught.value)


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    venue = Venue(tmp_path)
    async with venue.stack:
        yield venue


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)
