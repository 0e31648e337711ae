"""An access token that a provider gives for a while: kept, fetched once for all who wait, renewed when refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from notifications.channels.delivery import Clock
from notifications.domain.sending import Failed, Refused

EARLY = timedelta(minutes=1)
"""A token is renewed this long before it ends, or after half of a shorter life."""


@dataclass(frozen=True)
class Token:
    """A token and how long it is good."""

    value: str = field(repr=False)
    life: timedelta


class TokenCache:
    """Keeps one token. `fetch` is never under way twice, and all who wait share its outcome."""

    def __init__(self, fetch: Callable[[], Awaitable[Token | Failed | Refused]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._value = ""
        self._renew_time: datetime | None = None
        self._fetching: asyncio.Task[str | Failed] | None = None

    async def get(self, refused: str = "") -> str | Failed:
        """Return a token; another than `refused`, which the provider has just not believed."""
        fresh = self._renew_time is not None and self._clock() < self._renew_time
        if fresh and self._value != refused:
            return self._value
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._renew(), name="renew-token")
        # A caller that is cancelled must not take the token from the others.
        return await asyncio.shield(self._fetching)

    async def _renew(self) -> str | Failed:
        try:
            asked = self._clock()
            token = await self._fetch()
            if isinstance(token, Refused):
                return Failed(token.reason)
            if isinstance(token, Failed):
                # The message itself was not sent yet.
                return replace(token, maybe_sent=False)
            self._value, self._renew_time = token.value, asked + token.life - min(EARLY, token.life / 2)
            return token.value
        finally:
            self._fetching = None
