"""Addresses at rest: encrypted with a key that lies in a file, and found again by a keyed digest."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from smartex_chassis import SettingsInvalid

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class KeyWrong(Exception):  # noqa: N818 - a verdict on what was stored
    """What was sealed was not sealed with this key, or for another address."""


@dataclass(frozen=True)
class Sealed:
    """What an address holds in the clear."""

    value: str
    secrets: Mapping[str, str]


class Vault:
    """Seals and opens addresses (AES-256-GCM); each is bound to its id, so that rows cannot be swapped."""

    def __init__(self, key: bytes) -> None:
        # One key for each purpose: what the one shows says nothing of the other.
        self._cipher = AESGCM(_derived(key, "addresses"))
        self._finding = _derived(key, "fingerprints")
        self.codes = _derived(key, "codes")
        """The key of verification codes."""
        self.links = _derived(key, "links")
        """The key of links in e-mails."""

    def seal(self, address_id: str, value: str, hidden: Mapping[str, str]) -> bytes:
        """Return an address and its secrets, encrypted."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        plain = json.dumps({"value": value, "secrets": dict(hidden)}).encode()
        return nonce + self._cipher.encrypt(nonce, plain, address_id.encode())

    def open(self, address_id: str, sealed: bytes) -> Sealed:
        """Return an address and its secrets; `KeyWrong` if it was sealed otherwise."""
        try:
            plain = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], address_id.encode())
        except (InvalidTag, ValueError) as error:
            raise KeyWrong from error
        found = json.loads(plain)
        return Sealed(found["value"], found["secrets"])

    def fingerprint(self, channel: str, value: str) -> bytes:
        """Return the digest by which an address is found; without the key it cannot be guessed."""
        return hmac.digest(self._finding, f"{channel}\0{value}".encode(), hashlib.sha256)


def open_vault(path: Path) -> Vault:
    """Return the vault of a key file, which is made (0600) if it is missing; `SettingsInvalid`."""
    try:
        with suppress(FileExistsError):
            _make(path)
        mode = path.stat().st_mode
        text = path.read_text("ascii").strip()
        key = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise SettingsInvalid(
            [f"addresses_key_file: {path} cannot be used ({type(error).__name__})"]
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise SettingsInvalid([f"addresses_key_file: others may read {path}: `chmod 600` it"])
    if len(key) != _KEY_BYTES:
        raise SettingsInvalid(
            [f"addresses_key_file: {path} holds no key of {_KEY_BYTES} bytes in hexadecimal"]
        )
    return Vault(key)


def _make(path: Path) -> None:
    """Write a new key whole or not at all; FileExistsError if there is one, whoever made it."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        Path(temporary).unlink()


def _derived(key: bytes, purpose: str) -> bytes:
    return hmac.digest(key, f"smartex notifications {purpose}".encode(), hashlib.sha256)
