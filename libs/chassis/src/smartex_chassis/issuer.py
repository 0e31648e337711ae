"""A local issuer of tokens: an Ed25519 key in a folder, for one machine and for tests."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smartex_chassis.auth import ALGORITHM, SCOPES

_KEYS_KEPT = 3


class LocalIssuer:
    """Issues tokens signed by a key that it keeps in `folder` (mode 0600), next to its `jwks.json`.

    Any number of processes may use one folder. The file to point a service's `SMARTEX_JWKS` at is
    `jwks_path`.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        issuer: str = "smartex-local",
        audience: str = "smartex",
        now: Callable[[], float] = time.time,
    ) -> None:
        self._folder = Path(folder)
        self._issuer = issuer
        self._audience = audience
        self._now = now
        self.jwks_path = self._folder / "jwks.json"
        self._key_path = self._folder / "signing_key.pem"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked():
            if not self._key_path.exists():
                self._write_key(Ed25519PrivateKey.generate())
            self._publish(self._read_key())

    def issue(
        self,
        *,
        subject: str,
        account_id: int | None = None,
        scopes: Iterable[str] = ("read",),
        ttl: timedelta | float = timedelta(hours=12),
    ) -> str:
        """Return a signed token for `subject`, who may trade for `account_id` (none for operators).

        `ttl` is a timedelta or seconds. Raises `ValueError` for a scope that does not exist, an empty subject
        or an account that is not positive.
        """
        wanted = list(scopes)
        unknown = sorted(set(wanted) - set(SCOPES))
        if unknown:
            raise ValueError(f"no such scope: {', '.join(unknown)}; choose of {', '.join(SCOPES)}")
        if not subject:
            raise ValueError("the subject is empty; say who the token is for")
        if account_id is not None and account_id <= 0:
            raise ValueError(f"account {account_id} is not a positive number")
        seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
        key = self._read_key()
        issued_at = int(self._now())
        claims: dict[str, object] = {
            "sub": subject,
            "scope": " ".join(wanted),
            "iss": self._issuer,
            "aud": self._audience,
            "iat": issued_at,
            "exp": issued_at + seconds,
            "jti": secrets.token_hex(8),
        }
        if account_id is not None:
            claims["account"] = account_id
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": key_id(key)})

    def rotate(self) -> str:
        """Sign with a new key from now on and return its id; the last keys before it go on verifying."""
        with self._locked():
            key = Ed25519PrivateKey.generate()
            # Published before it signs: a token must never be older than its key's publication.
            self._publish(key)
            self._write_key(key)
            return key_id(key)

    def _publish(self, key: Ed25519PrivateKey) -> None:
        held = json.loads(self.jwks_path.read_text())["keys"] if self.jwks_path.exists() else []
        own = {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": _public(key),
            "kid": key_id(key),
            "use": "sig",
            "alg": ALGORITHM,
        }
        keys = [own, *(entry for entry in held if entry["kid"] != own["kid"])][:_KEYS_KEPT]
        if keys != held:
            self._write(self.jwks_path, json.dumps({"keys": keys}, indent=2).encode() + b"\n", 0o644)

    def _read_key(self) -> Ed25519PrivateKey:
        key = serialization.load_pem_private_key(self._key_path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{self._key_path} holds another kind of key than Ed25519; move it away")
        return key

    def _write_key(self, key: Ed25519PrivateKey) -> None:
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._write(self._key_path, pem, 0o600)

    def _write(self, path: Path, content: bytes, mode: int) -> None:
        # A reader sees the old file or the new one, never half of one; the mode holds from the first byte.
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self._folder / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def key_id(key: Ed25519PrivateKey) -> str:
    """Return the key's RFC 7638 thumbprint, by which tokens and key sets name it."""
    canonical = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": _public(key)}, separators=(",", ":"))
    return _base64(hashlib.sha256(canonical.encode()).digest())


def _public(key: Ed25519PrivateKey) -> str:
    return _base64(key.public_key().public_bytes_raw())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
