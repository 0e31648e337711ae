"""PositionService as one servicer, put together from parts that each answer some of its RPCs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import grpc
from smartex.positions.v1 import position_service_pb2, position_service_pb2_grpc

SERVICE = position_service_pb2.DESCRIPTOR.services_by_name["PositionService"]


class PositionApi(position_service_pb2_grpc.PositionServiceServicer):
    """Every part has methods named as the RPCs are, and their scopes in `scopes`. ValueError unless each RPC of the
    contract is answered by exactly one part."""

    def __init__(self, parts: Iterable[Any]) -> None:
        self.scopes: Mapping[str, str] = {}
        answered: dict[str, str] = {}
        for part in parts:
            for name, scope in part.scopes.items():
                if name in answered or name not in SERVICE.methods_by_name:
                    raise ValueError(f"{name} is answered twice, or is no RPC of {SERVICE.full_name}")
                answered[name] = scope
                setattr(self, name, getattr(part, name))
        if missing := SERVICE.methods_by_name.keys() - answered.keys():
            raise ValueError(f"nobody answers {', '.join(sorted(missing))}")
        self.scopes = {f"/{SERVICE.full_name}/{name}": scope for name, scope in answered.items()}

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service to a server."""
        position_service_pb2_grpc.add_PositionServiceServicer_to_server(self, server)
