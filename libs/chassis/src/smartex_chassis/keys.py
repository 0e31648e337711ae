"""The public keys that tokens are checked with: a JWKS from a file or a URL, never stormed."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from smartex_chassis.errors import Unavailable

_MAX_BYTES = 256 * 1024
_FETCH_TIMEOUT_SECONDS = 5.0
_log = structlog.get_logger("smartex.keys")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nobody: a redirect could lead off https."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


class KeySetError(Exception):
    """A key set that cannot be read or holds no usable key."""


def parse_jwks(text: str | bytes) -> dict[str, Ed25519PublicKey]:
    """Return the Ed25519 signature keys of a JWKS by key id; other kinds of keys are passed over.

    Raises `KeySetError` when the text is not a JWKS, or holds no usable key.
    """
    try:
        entries = json.loads(text)["keys"]
    except (ValueError, KeyError, TypeError) as error:
        raise KeySetError("it is not a JWKS (a JSON object with a list `keys`)") from error
    if not isinstance(entries, list):
        raise KeySetError("it is not a JWKS (`keys` is not a list)")
    keys = dict(pair for entry in entries if (pair := _usable(entry)) is not None)
    if not keys:
        raise KeySetError("it holds no Ed25519 signature key with a kid")
    return keys


def _usable(entry: Any) -> tuple[str, Ed25519PublicKey] | None:
    if not isinstance(entry, Mapping):
        return None
    kid = entry.get("kid")
    right_kind = entry.get("kty") == "OKP" and entry.get("crv") == "Ed25519"
    for_signing = entry.get("use", "sig") == "sig" and entry.get("alg", "EdDSA") in ("EdDSA", "Ed25519")
    if not (isinstance(kid, str) and kid and right_kind and for_signing):
        return None
    try:
        public = {name: entry[name] for name in ("kty", "crv", "x")}
        key = jwt.PyJWK(public, algorithm="EdDSA").key
    except (KeyError, jwt.PyJWTError, ValueError, TypeError):
        return None
    return (kid, key) if isinstance(key, Ed25519PublicKey) else None


def check_location(location: str) -> None:
    """Raise `ValueError` unless `location` is a file path, an https URL, or an http URL of this machine."""
    url = urlsplit(location)
    if url.scheme not in ("http", "https"):
        return
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        raise ValueError("keys must come over https (http only from this machine)")


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine itself, going by its name."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class KeySet:
    """Keys by id, loaded when first needed, again when an unknown id is met, and when they grow old.

    An unknown id makes it look again at most once in `min_refetch`, so that forged ids cannot storm the
    issuer. A key that has left the source stops being believed after `max_age` at the latest. When the source
    is away, the keys that are held go on being used.
    """

    def __init__(
        self,
        location: str | Path,
        *,
        max_age: timedelta = timedelta(minutes=5),
        min_refetch: timedelta | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._location = str(location)
        check_location(self._location)
        self._remote = urlsplit(self._location).scheme in ("http", "https")
        self._max_age = max_age.total_seconds()
        default = timedelta(seconds=10 if self._remote else 1)
        self._min_refetch = (default if min_refetch is None else min_refetch).total_seconds()
        self._monotonic = monotonic
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._tried_at: float | None = None
        self._loading = asyncio.Lock()

    async def get(self, kid: str) -> Ed25519PublicKey | None:
        """Return the key, or None if the source does not have it.

        Raises `Unavailable` when the source has never been readable.
        """
        if self._is_old() or kid not in self._keys:
            await self._refresh(kid)
        if not self._keys:
            raise Unavailable(
                "the keys that tokens are checked with cannot be read now; try again soon",
                reason="KEYS_UNAVAILABLE",
                retry_after=timedelta(seconds=max(self._min_refetch, 1)),
            )
        return self._keys.get(kid)

    def _is_old(self) -> bool:
        return self._tried_at is None or self._monotonic() - self._tried_at >= self._max_age

    async def _refresh(self, kid: str) -> None:
        async with self._loading:
            just_tried = self._tried_at is not None and self._monotonic() - self._tried_at < self._min_refetch
            if just_tried or (kid in self._keys and not self._is_old()):
                return
            try:
                self._keys = parse_jwks(await asyncio.to_thread(self._read))
            except (OSError, KeySetError, HTTPException) as error:
                _log.warning(
                    "key set unreadable, keeping the keys at hand", why=str(error), held=len(self._keys)
                )
            finally:
                self._tried_at = self._monotonic()

    def _read(self) -> bytes:
        if not self._remote:
            return Path(self._location).read_bytes()
        with _opener.open(self._location, timeout=_FETCH_TIMEOUT_SECONDS) as answer:
            text: bytes = answer.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise KeySetError(f"it is larger than {_MAX_BYTES} bytes")
        return text
