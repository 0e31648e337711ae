"""What can go wrong with bytes that somebody else wrote."""

from __future__ import annotations

from enum import IntEnum


class Reason(IntEnum):
    """Why a payload was refused. The names are stable, the numbers are the kernels' own."""

    TRUNCATED = 1
    """A field or a length reaches past the end of what contains it."""
    BAD_VARINT = 2
    """A varint of more than 10 bytes."""
    BAD_TAG = 3
    """Field number 0, wire type 6 or 7, or a tag of more than 32 bits."""
    BAD_LENGTH = 4
    """A length of more than 31 bits or more than 5 bytes."""
    BAD_GROUP = 5
    """An end-group tag without its start."""
    TOO_DEEP = 6
    """Groups nested deeper than the protobuf runtime allows (100)."""
    TOO_MANY_ROWS = 7
    """More rows than `max_rows`, or than the output array has room for."""


class WireError(ValueError):
    """A payload that is not a valid message of the codec's type: the same bytes fail the same way again."""

    reason: str
    """One of the names of `Reason`."""
    offset: int
    """The byte of the payload at which reading stopped: at or behind the tag of the element that is wrong."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason} at byte {offset}")
        self.reason = reason
        self.offset = offset

    def __reduce__(self) -> tuple[type[WireError], tuple[str, int]]:
        return type(self), (self.reason, self.offset)
