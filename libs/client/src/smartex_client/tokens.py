"""Tokens signed with the key that a local exchange keeps in its data folder."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .errors import InvalidInput, NotFound

SCOPES = ("trade", "read", "advise", "operate", "admin")
ISSUER, AUDIENCE = "smartex-local", "smartex"
KEY_FILE = "signing_key.pem"


def issue(
    folder: Path,
    *,
    subject: str,
    account_id: int | None = None,
    scopes: Sequence[str] = ("trade",),
    ttl_seconds: int = 12 * 3600,
) -> str:
    """A token that the exchange whose keys lie in `folder` accepts; InvalidInput or NotFound otherwise."""
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise InvalidInput(
            f"no such scope: {', '.join(unknown)}; choose of {', '.join(SCOPES)}", field="scope"
        )
    if account_id is not None and not 0 < account_id < 2**32:
        raise InvalidInput("the account must be 1 to 4294967295", field="account")
    if ttl_seconds <= 0:
        raise InvalidInput("the time to live must be positive", field="ttl")
    key = _key(folder / KEY_FILE)
    now = int(time.time())
    claims: dict[str, object] = {
        "sub": subject,
        "scope": " ".join(scopes),
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + ttl_seconds,
        "jti": secrets.token_hex(8),
    }
    if account_id is not None:
        claims["account"] = account_id
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": _key_id(key)})


def _key(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        raise NotFound(
            f"there is no signing key {path}: start the exchange once (`make up`), or name its folder with --keys",
            reason="KEY_NOT_FOUND",
        ) from None
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot read the signing key {path}: {error}", field="keys") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInput(f"{path} is not an Ed25519 key", field="keys")
    return key


def _key_id(key: Ed25519PrivateKey) -> str:
    """The RFC 7638 thumbprint, by which the exchange's key set names the key."""
    public = {"crv": "Ed25519", "kty": "OKP", "x": _base64(key.public_key().public_bytes_raw())}
    return _base64(hashlib.sha256(json.dumps(public, separators=(",", ":")).encode()).digest())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
