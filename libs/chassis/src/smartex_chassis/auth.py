"""Who calls, and what they may do: EdDSA tokens, principals, scopes."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import jwt

from smartex_chassis.errors import PermissionDenied, Unauthenticated
from smartex_chassis.keys import KeySet

ALGORITHM: Final = "EdDSA"
"""The only signature algorithm; a token that names another one is refused before any key is looked at."""

PUBLIC: Final = "public"
"""In a scope table: anyone may call, without a token. Only health and reflection are."""

SCOPES: Final = ("read", "trade", "advise", "operate", "admin")
"""`advise` is for traders: they talk with investors who gave them a mandate, and trade for nobody."""

_IMPLIED: Final[Mapping[str, frozenset[str]]] = {
    "read": frozenset({"read"}),
    "trade": frozenset({"trade", "read"}),
    "advise": frozenset({"advise"}),
    "operate": frozenset({"operate"}),
    "admin": frozenset(SCOPES),
}
# gRPC takes 8 KiB of headers in all, and turns larger ones away by itself.
_MAX_TOKEN_LENGTH = 4096
# A revoked key must stop working soon, so a verified token is believed without a second look only this long.
_CACHE_SECONDS = 60.0
_LARGEST_ACCOUNT = 2**63 - 1
_LARGEST_TIME = 2**53


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, as its token says.

    `account_id` is the one account it trades for (None for operators), `scopes` already holds what they
    imply, `expires_at` is in seconds since the epoch.
    """

    subject: str
    account_id: int | None
    scopes: frozenset[str]
    expires_at: float

    def require_account(self) -> int:
        """Return the account, or raise `PermissionDenied` if the token speaks for none."""
        if self.account_id is None:
            raise PermissionDenied(
                "this token speaks for no account; use one issued with an account", reason="ACCOUNT_MISSING"
            )
        return self.account_id

    def require_scope(self, scope: str) -> None:
        """Raise `PermissionDenied` unless the token has the scope or one that implies it."""
        if scope not in self.scopes:
            raise PermissionDenied(
                f"this needs the scope `{scope}`; use a token that has it",
                reason="SCOPE_MISSING",
                metadata={"required": scope, "present": " ".join(sorted(self.scopes))},
            )


def expand_scopes(names: Iterable[str]) -> frozenset[str]:
    """Return the scopes with all that they imply; names that are no scope of ours are passed over."""
    return frozenset().union(*(_IMPLIED.get(name, frozenset()) for name in names))


class TokenVerifier:
    """Checks tokens, and remembers the good ones: a signature costs 100 µs, a look-up 1 µs."""

    def __init__(
        self,
        keys: KeySet,
        *,
        issuer: str,
        audience: str,
        leeway: timedelta = timedelta(seconds=5),
        cache_size: int = 10_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway.total_seconds()
        self._cache_size = cache_size
        self._now = now
        self._cache: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    def cached(self, token: str) -> Principal | None:
        """Return the principal of a token that was verified a short while ago; never waits."""
        digest = _digest(token)
        entry = self._cache.get(digest)
        if entry is None:
            return None
        if self._now() >= entry[0]:
            del self._cache[digest]
            return None
        self._cache.move_to_end(digest)
        return entry[1]

    async def verify(self, token: str) -> Principal:
        """Return the token's principal.

        Raises `Unauthenticated` with a reason for each way a token can be wrong, `Unavailable` when no key
        could ever be read.
        """
        known = self.cached(token)
        if known is not None:
            return known
        principal = self._principal(await self._verified_claims(token))
        self._remember(token, principal)
        return principal

    async def _verified_claims(self, token: str) -> dict[str, Any]:
        key = await self._keys.get(_key_id(token))
        if key is None:
            raise Unauthenticated(
                "the token's key is not known here; get a new token from this venue's issuer",
                reason="TOKEN_UNKNOWN_KEY",
            )
        try:
            # Times, issuer and audience are checked below, by a clock that is passed in.
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                options={
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                    "verify_iss": False,
                    "verify_sub": False,
                    "verify_jti": False,
                },
            )
        except jwt.InvalidSignatureError as error:
            raise Unauthenticated("the token's signature is wrong", reason="TOKEN_BAD_SIGNATURE") from error
        except jwt.PyJWTError as error:
            raise _malformed() from error
        return claims

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        expires_at = self._check_times(claims)
        if claims.get("iss") != self._issuer:
            raise Unauthenticated("the token comes from another issuer", reason="TOKEN_WRONG_ISSUER")
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if self._audience not in audiences:
            raise Unauthenticated("the token is meant for another audience", reason="TOKEN_WRONG_AUDIENCE")
        return Principal(_subject(claims), _account(claims), _scopes(claims), expires_at)

    def _check_times(self, claims: Mapping[str, Any]) -> float:
        now = self._now()
        expires_at = _time(claims, "exp")
        if expires_at is None:
            raise _bad_claim("exp")
        if now >= expires_at + self._leeway:
            raise Unauthenticated("the token has expired; get a new one", reason="TOKEN_EXPIRED")
        for name in ("nbf", "iat"):
            starts_at = _time(claims, name)
            if starts_at is not None and now < starts_at - self._leeway:
                raise Unauthenticated(
                    "the token is not valid yet; check the clocks", reason="TOKEN_NOT_YET_VALID"
                )
        return expires_at + self._leeway

    def _remember(self, token: str, principal: Principal) -> None:
        believed_until = min(principal.expires_at, self._now() + _CACHE_SECONDS)
        self._cache[_digest(token)] = (believed_until, principal)
        if len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)


def bearer_token(header: str | bytes | None) -> str:
    """Return the token of an `authorization` header; raises `Unauthenticated` when there is none."""
    if not header:
        raise Unauthenticated(
            "this needs a token: send the metadata `authorization: Bearer <token>`", reason="TOKEN_MISSING"
        )
    if isinstance(header, bytes) or header[:7].lower() != "bearer " or len(header) > _MAX_TOKEN_LENGTH:
        raise _malformed()
    return header[7:].strip()


def _digest(token: str) -> bytes:
    # The cache keeps digests, so that a dump of the memory holds no live tokens. Not SHA-256: with the way through
    # OpenSSL it takes three times as long when a call comes alone.
    return hashlib.blake2b(token.encode("utf-8", "surrogateescape"), digest_size=32).digest()


def _key_id(token: str) -> str:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError) as error:
        raise _malformed() from error
    if header.get("alg") != ALGORITHM:
        raise Unauthenticated(
            f"tokens are signed with {ALGORITHM} and nothing else", reason="TOKEN_ALGORITHM_REFUSED"
        )
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise Unauthenticated("the token names no key (kid)", reason="TOKEN_UNKNOWN_KEY")
    return kid


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LARGEST_TIME:
        raise _bad_claim(name)
    return float(value)


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise _bad_claim("sub")
    return subject


def _account(claims: Mapping[str, Any]) -> int | None:
    account = claims.get("account")
    if account is None:
        return None
    if isinstance(account, bool) or not isinstance(account, int) or not 0 < account <= _LARGEST_ACCOUNT:
        raise _bad_claim("account")
    return account


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise _bad_claim("scope")
    return expand_scopes(scope.split())


def _bad_claim(name: str) -> Unauthenticated:
    return Unauthenticated(
        f"the token's claim `{name}` is missing or wrong",
        reason="TOKEN_CLAIMS_INVALID",
        metadata={"claim": name},
    )


def _malformed() -> Unauthenticated:
    return Unauthenticated("this is not a token: send `Bearer <JWT>`", reason="TOKEN_MALFORMED")
