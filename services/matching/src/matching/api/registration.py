"""Registers unary RPCs by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from google.protobuf.message import Message

Unary = Callable[[Any, Any], Awaitable[Message | bytes]]


def unary(handler: Unary, request: type[Message] | None = None) -> Any:
    """A handler of a unary RPC that takes such a request, or bytes; its answer is a message, or the bytes of one."""
    return grpc.unary_unary_rpc_method_handler(
        handler,
        request_deserializer=None if request is None else request.FromString,
        response_serializer=_serialize,
    )


def register(server: grpc.aio.Server, service: str, handlers: Mapping[str, Any]) -> None:
    """Add a service to a server."""
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, dict(handlers)),))


def _serialize(answer: Message | bytes) -> bytes:
    return answer if isinstance(answer, bytes) else answer.SerializeToString()
