"""Whom APNs believes: provider tokens by one key, no older than an hour, not renewed all the time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

MAX_AGE: Final = timedelta(hours=1)
UPDATE_WINDOW: Final = timedelta(minutes=20)
SKEW_SECONDS: Final = 300


class ProviderTokens:
    """Checks provider tokens.

    APNs takes one new token in 20 minutes from a connection. Several services may share this stand-in and each
    may be restarted, so that it takes `max_updates`.
    """

    key_id = "STANDINKEY"
    team_id = "STANDTEAM1"

    def __init__(
        self, key: EllipticCurvePublicKey, clock: Callable[[], datetime], *, max_updates: int = 20
    ) -> None:
        self.max_updates = max_updates
        self._key = key
        self._clock = clock
        self._seen: OrderedDict[str, datetime] = OrderedDict()
        self._expired: set[str] = set()

    def expire(self, token: str) -> None:
        """Call a token expired from now on."""
        self._expired.add(token)

    def refusal(self, token: str) -> str:
        """Return the reason against a token; empty if it is believed."""
        if not token:
            return "MissingProviderToken"
        try:
            if jwt.get_unverified_header(token).get("kid") != self.key_id:
                return "InvalidProviderToken"
            claims = jwt.decode(
                token,
                self._key,
                ["ES256"],
                issuer=self.team_id,
                options={"verify_iat": False, "require": ["iat", "iss"]},
            )
            issued = int(claims["iat"])
        except (jwt.InvalidTokenError, ValueError, TypeError):
            return "InvalidProviderToken"
        age = self._clock().timestamp() - issued
        if age < -SKEW_SECONDS:
            return "InvalidProviderToken"
        if age > MAX_AGE.total_seconds() or token in self._expired:
            return "ExpiredProviderToken"
        return "" if self._is_known_or_allowed(token) else "TooManyProviderTokenUpdates"

    def _is_known_or_allowed(self, token: str) -> bool:
        now = self._clock()
        while self._seen and now - next(iter(self._seen.values())) > MAX_AGE:
            self._expired.discard(self._seen.popitem(last=False)[0])
        if token in self._seen:
            return True
        if sum(1 for time in self._seen.values() if now - time < UPDATE_WINDOW) >= self.max_updates:
            return False
        self._seen[token] = now
        return True
