"""Whom a push service believes: VAPID (RFC 8292)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from .keys import from_base64url

MAX_LIFE_SECONDS: Final = 24 * 3600

_SCHEME = re.compile(r"vapid\s+t=([^,\s]+)\s*,\s*k=([^,\s]+)", re.IGNORECASE)


def refusal(authorization: str, origin: str, application_key: bytes, now: datetime) -> str:
    """Return the reason against an `Authorization` header; empty if it is believed."""
    found = _SCHEME.fullmatch(authorization.strip())
    if found is None:
        return "no vapid authorization"
    token, key_text = found.groups()
    try:
        point = from_base64url(key_text)
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        claims = jwt.decode(
            token,
            key,
            ["ES256"],
            audience=origin,
            options={"verify_exp": False, "require": ["aud", "exp", "sub"]},
        )
        end = int(claims["exp"])
    except (jwt.InvalidTokenError, ValueError, TypeError) as error:
        return f"the token is not good: {error}"
    if point != application_key:
        return "the key is not the one that was subscribed with"
    if not str(claims["sub"]).startswith(("mailto:", "https:")):
        return "sub is no mailto: or https: URL"
    left = end - now.timestamp()
    if left <= 0:
        return "the token has expired"
    return "the token lives longer than 24 hours" if left > MAX_LIFE_SECONDS else ""
