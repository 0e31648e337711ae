"""The token by which a push service knows the application server (VAPID, RFC 8292)."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from datetime import datetime, timedelta

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from notifications.channels.delivery import Clock
from notifications.channels.table import invalid

LIFE = timedelta(hours=12)
"""At most 24 hours are allowed; half of it leaves room for wrong clocks."""
RENEW_AFTER = timedelta(hours=6)
MIN_FORCED = timedelta(minutes=1)
MAX_ORIGINS = 256
"""Tokens kept; there are few push services, but a reader can name any."""


def parse_key(text: str) -> ec.EllipticCurvePrivateKey:
    """Read a VAPID key, PEM or the 32 bytes in base64url; raises `SettingsInvalid`."""
    try:
        key = _parsed(text.strip())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise invalid("webpush", "private_key", "is neither 32 bytes in base64url nor PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise invalid("webpush", "private_key", "is not a P-256 key")
    return key


def _parsed(text: str) -> object:
    if text.startswith("-----"):
        return load_pem_private_key(text.encode(), None)
    number = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(number) != 32:
        raise ValueError
    return ec.derive_private_key(int.from_bytes(number, "big"), ec.SECP256R1())


class VapidTokens:
    """Makes and keeps a token for each push service."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, contact: str, clock: Clock) -> None:
        self._key = key
        self._contact = contact
        self._clock = clock
        self._tokens: OrderedDict[str, tuple[str, datetime]] = OrderedDict()
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = urlsafe_b64encode(point).decode().rstrip("=")
        """What the app subscribes with (`applicationServerKey`)."""

    def get(self, origin: str) -> str:
        """Return the token for the push service at an origin, such as `https://push.example`."""
        token, made = self._tokens.get(origin, ("", None))
        now = self._clock()
        return token if made is not None and now - made < RENEW_AFTER else self._make(origin, now)

    def renew(self, origin: str, refused: str) -> str | None:
        """Return another token than the refused one; None if that one was made just now."""
        token, made = self._tokens.get(origin, ("", None))
        now = self._clock()
        if made is not None and token != refused:
            return token
        return self._make(origin, now) if made is None or now - made >= MIN_FORCED else None

    def _make(self, origin: str, now: datetime) -> str:
        claims = {"aud": origin, "exp": int((now + LIFE).timestamp()), "sub": self._contact}
        token = jwt.encode(claims, self._key, algorithm="ES256")
        self._tokens[origin] = (token, now)
        self._tokens.move_to_end(origin)
        if len(self._tokens) > MAX_ORIGINS:
            self._tokens.popitem(last=False)
        return token
