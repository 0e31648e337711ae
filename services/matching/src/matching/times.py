"""Times of requests and of messages."""

from __future__ import annotations

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from smartex_chassis import InvalidInput

_LARGEST = 2**63 - 1


def nanoseconds(request: Message, field: str) -> int | None:
    """A Timestamp field in nanoseconds since the epoch; None if unset. InvalidInput if out of range."""
    if not request.HasField(field):
        return None
    value: Timestamp = getattr(request, field)
    total = value.seconds * 1_000_000_000 + value.nanos
    if not 0 <= value.nanos < 1_000_000_000 or not 0 <= total <= _LARGEST:
        raise InvalidInput(f"{field} must lie between 1970 and 2262", field=field)
    return total


def stamp(into: Timestamp, time_ns: int) -> None:
    """Set a Timestamp."""
    into.FromNanoseconds(time_ns)
