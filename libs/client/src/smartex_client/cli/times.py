"""Spans of time as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from smartex_client.errors import InvalidInput

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def moment_of(text: str, field: str) -> datetime:
    """A moment in ISO 8601, in the local zone unless it names one. ValueError if it is none."""
    moment = datetime.fromisoformat(text)
    try:
        return moment if moment.tzinfo else moment.astimezone()
    except (ValueError, OverflowError, OSError):
        raise _out_of_range(text, field) from None


def from_now(seconds: float, field: str) -> datetime:
    """The moment so many seconds from now."""
    try:
        return datetime.now(UTC) + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        raise _out_of_range(f"{seconds:g} s", field) from None


def seconds_of(text: str, field: str) -> int:
    """Seconds of "90", "90s", "15m", "12h" or "7d"."""
    found = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip().lower())
    if found is None or int(found[1]) == 0:
        raise InvalidInput(f"{field} {text!r} is no span of time: write 90s, 15m, 12h or 7d", field=field)
    return int(found[1]) * _UNITS[found[2] or "s"]


def _out_of_range(text: str, field: str) -> InvalidInput:
    return InvalidInput(f"{field} {text} lies too far away", field=field)
