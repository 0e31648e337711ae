"""Spans of time as people write them."""

from __future__ import annotations

import re

from smartex_client.errors import InvalidInput

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds_of(text: str, field: str) -> int:
    """Seconds of "90", "90s", "15m", "12h" or "7d"."""
    found = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip().lower())
    if found is None or int(found[1]) == 0:
        raise InvalidInput(f"{field} {text!r} is no span of time: write 90s, 15m, 12h or 7d", field=field)
    return int(found[1]) * _UNITS[found[2] or "s"]
