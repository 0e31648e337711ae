"""The token by which APNs knows the provider: ES256, made here, renewed not too seldom and not too often."""

from __future__ import annotations

from datetime import datetime, timedelta

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from notifications.channels.delivery import Clock
from notifications.channels.table import invalid

LIFE = timedelta(minutes=40)
"""APNs wants a token renewed after 20 minutes at the earliest and 60 at the latest."""
MIN_AGE = timedelta(minutes=20)


def parse_key(text: str) -> EllipticCurvePrivateKey:
    """Read a .p8 key; raises `SettingsInvalid`."""
    try:
        key = load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise invalid("apns", "key", "is not a PEM private key") from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise invalid("apns", "key", "is not a P-256 key")
    return key


class ProviderTokens:
    """Makes and keeps the token."""

    def __init__(self, key: EllipticCurvePrivateKey, *, key_id: str, team_id: str, clock: Clock) -> None:
        self._key = key
        self._key_id = key_id
        self._team_id = team_id
        self._clock = clock
        self._token = ""
        self._made: datetime | None = None
        self._forced: datetime | None = None

    def get(self) -> str:
        """Return the token, a new one if it is older than `LIFE`."""
        now = self._clock()
        if self._made is None or now - self._made >= LIFE:
            self._make(now)
        return self._token

    def renew(self, refused: str) -> str | None:
        """Return another token than the one that APNs called expired; None if that was done just now.

        APNs blocks a provider that updates its token more often than every 20 minutes. A wrong clock of ours
        would make it call every token expired.
        """
        if self._token != refused:
            return self._token
        now = self._clock()
        if self._forced is not None and now - self._forced < MIN_AGE:
            return None
        self._forced = now
        self._make(now)
        return self._token

    def _make(self, now: datetime) -> None:
        claims = {"iss": self._team_id, "iat": int(now.timestamp())}
        self._token = jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self._key_id})
        self._made = now
