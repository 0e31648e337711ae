"""All of NotificationService, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import grpc
from smartex.notifications.v1 import notification_service_pb2 as pb

from notifications.api.registration import handlers_of, register

SERVICE = pb.DESCRIPTOR.services_by_name["NotificationService"]


class Part(Protocol):
    """Some of the RPCs: a method and a scope for each."""

    @property
    def scopes(self) -> Mapping[str, str]:
        """The scope of each RPC, by its name."""


class NotificationApi:
    """The RPCs of all parts."""

    def __init__(self, parts: Sequence[Part]) -> None:
        methods: dict[str, Any] = {name: getattr(part, name) for part in parts for name in part.scopes}
        self._handlers = handlers_of(SERVICE, methods)
        self.scopes: Mapping[str, str] = {
            f"/{SERVICE.full_name}/{name}": scope for part in parts for name, scope in part.scopes.items()
        }
        """By full name of the RPC."""

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service to a server."""
        register(server, SERVICE, self._handlers)
