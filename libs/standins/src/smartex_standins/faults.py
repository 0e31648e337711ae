"""What a provider can be told to do wrong, and for how many requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SWITCHES: Final = {
    "down": "The connection ends without an answer; nothing is taken.",
    "server_error": "HTTP 503; nothing is taken.",
    "rate_limited": "The provider's own answer for too many requests; nothing is taken.",
    "token_expired": "The access token that comes with a request is forgotten at that moment.",
    "cut_after_send": "The request is taken, then the connection ends without an answer.",
    "lose_receipts": "Taken and answered, but no receipt follows.",
}
"""By name. Each is off, on, or on for the next n requests (token requests count, too)."""

ALWAYS: Final = -1
MAX_TIMES: Final = 1_000_000
MAX_SLOW_SECONDS: Final = 120.0


class UnknownFault(ValueError):  # noqa: N818 - the words of the control API
    """No such switch, or a value that it does not take; the text says which are there."""


class Faults:
    """The switches of one stand-in. All are off at first."""

    def __init__(self) -> None:
        self.slow_seconds = 0.0
        """How long every request waits before it is looked at."""
        self._left: dict[str, int] = dict.fromkeys(SWITCHES, 0)

    def take(self, name: str) -> bool:
        """Whether the fault strikes now; counts it down if it was set for a number of requests."""
        left = self._left[name]
        if left > 0:
            self._left[name] = left - 1
        return left != 0

    def set(self, values: Mapping[str, object]) -> None:
        """Set switches by name: `True` until changed, a number for the next requests, `False` or 0 for off.

        `slow_seconds` takes seconds (0 to 120). Raises UnknownFault, and then nothing has changed.
        """
        checked = {name: self._checked(name, value) for name, value in values.items()}
        self.slow_seconds = float(checked.pop("slow_seconds", self.slow_seconds))
        self._left.update({name: int(value) for name, value in checked.items()})

    def clear(self) -> None:
        """Switch everything off."""
        self.slow_seconds = 0.0
        self._left = dict.fromkeys(SWITCHES, 0)

    def state(self) -> dict[str, bool | int | float]:
        """The switches as `set` takes them."""
        shown: dict[str, bool | int | float] = {
            name: True if left == ALWAYS else left for name, left in self._left.items()
        }
        return {**shown, "slow_seconds": self.slow_seconds}

    def _checked(self, name: str, value: object) -> float:
        if name == "slow_seconds":
            if isinstance(value, int | float) and 0 <= value <= MAX_SLOW_SECONDS:
                return value
            raise UnknownFault(f"slow_seconds takes 0 to {MAX_SLOW_SECONDS:g} seconds")
        if name not in SWITCHES:
            raise UnknownFault(f"no fault {name!r}; there are slow_seconds, {', '.join(SWITCHES)}")
        if isinstance(value, bool):
            return ALWAYS if value else 0
        if isinstance(value, int) and 0 <= value <= MAX_TIMES:
            return value
        raise UnknownFault(f"{name} takes true, false, or a number of requests")
