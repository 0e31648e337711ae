"""Registers RPCs by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass


def handlers_of(service: ServiceDescriptor, methods: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """Return gRPC handlers for the methods of a service; KeyError if one is missing."""
    return {
        method.name: _handler(
            methods[method.name], GetMessageClass(method.input_type), stream=method.server_streaming
        )
        for method in service.methods
    }


def register(server: grpc.aio.Server, service: ServiceDescriptor, handlers: Mapping[str, Any]) -> None:
    """Add a service to a server."""
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service.full_name, dict(handlers)),)
    )


def _handler(method: Callable[..., Any], request: type[Message], *, stream: bool) -> Any:
    make = grpc.unary_stream_rpc_method_handler if stream else grpc.unary_unary_rpc_method_handler
    return make(method, request_deserializer=request.FromString, response_serializer=_serialize)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
