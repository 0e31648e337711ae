"""Google's token endpoint for one service account: a signed assertion in, an access token out (RFC 7523)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from starlette.responses import JSONResponse, Response

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPES: Final = {
    "https://www.googleapis.com/auth/firebase.messaging",
    "https://www.googleapis.com/auth/cloud-platform",
}
LIFE: Final = timedelta(seconds=3599)
MAX_ASSERTION: Final = timedelta(hours=1)
SKEW: Final = timedelta(minutes=5)
MAX_TOKENS: Final = 1000


class OAuth:
    """Gives access tokens, and knows which are good."""

    email = "push@smartex-standin.iam.gserviceaccount.com"

    def __init__(self, key: RSAPublicKey, token_uri: str, clock: Callable[[], datetime]) -> None:
        self.token_uri = token_uri
        self.given = 0
        """Tokens given so far."""
        self._key = key
        self._clock = clock
        self._good_until: dict[str, datetime] = {}

    def is_good(self, token: str) -> bool:
        """Whether the token was given and has not ended."""
        end = self._good_until.get(token)
        return end is not None and self._clock() < end

    def forget(self, token: str) -> None:
        """Let a token end now."""
        self._good_until.pop(token, None)

    def answer(self, form: Mapping[str, str]) -> Response:
        """Answer a request of the token endpoint."""
        if form.get("grant_type") != GRANT_TYPE:
            return _refusal("unsupported_grant_type", "Invalid grant_type")
        why = self._wrong(form.get("assertion", ""))
        if why:
            return _refusal("invalid_grant", why)
        token = f"ya29.{secrets.token_urlsafe(48)}"
        self._good_until[token] = self._clock() + LIFE
        self.given += 1
        while len(self._good_until) > MAX_TOKENS:
            del self._good_until[next(iter(self._good_until))]
        told = {"access_token": token, "expires_in": int(LIFE.total_seconds()), "token_type": "Bearer"}
        return JSONResponse(told)

    def _wrong(self, assertion: str) -> str:
        """Return what is wrong with an assertion; empty if nothing is."""
        try:
            # The times are checked below, by the clock that was given.
            claims = jwt.decode(
                assertion,
                self._key,
                ["RS256"],
                audience=self.token_uri,
                issuer=self.email,
                options={"verify_exp": False, "verify_iat": False, "require": ["iat", "exp", "aud", "iss"]},
            )
            issued, end = int(claims["iat"]), int(claims["exp"])
        except (jwt.InvalidTokenError, TypeError, ValueError) as error:
            return f"Invalid JWT: {error}"
        now = self._clock().timestamp()
        skew = SKEW.total_seconds()
        if not issued - skew <= now <= end + skew or end - issued > MAX_ASSERTION.total_seconds():
            return (
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
            )
        return "" if SCOPES & set(str(claims.get("scope", "")).split()) else "Invalid scope"


def _refusal(error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status_code=400)
