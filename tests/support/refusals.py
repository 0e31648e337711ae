"""What a failed call tells its caller besides the code."""

from __future__ import annotations

from typing import Any

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status


def _details(error: grpc.aio.AioRpcError, kind: type[Any]) -> Any:
    """The details of a kind; an empty one where there are none."""
    trailing: Any = error.trailing_metadata() or ()
    found = kind()
    for detail in Status.FromString(dict(trailing).get("grpc-status-details-bin", b"")).details:
        if detail.Is(kind.DESCRIPTOR):
            detail.Unpack(found)
    return found


def reason(error: grpc.aio.AioRpcError) -> str:
    """The stable UPPER_SNAKE reason; empty if there is none."""
    return str(_details(error, ErrorInfo).reason)


def violations(error: grpc.aio.AioRpcError) -> list[str]:
    """The fields that are wrong."""
    return [str(each.field) for each in _details(error, BadRequest).field_violations]
