"""Keys of the stand-ins: drawn from the seed where the kind allows it, else kept in the folder."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from .standin import Place

_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def utc_now() -> datetime:
    """The time of this machine's clock."""
    return datetime.now(UTC)


def p256_key(place: Place, name: str) -> ec.EllipticCurvePrivateKey:
    """A P-256 key, the same at every start."""
    number = int(place.secret(name), 16) % (_P256_ORDER - 1) + 1
    return ec.derive_private_key(number, ec.SECP256R1())


def rsa_key(place: Place, name: str) -> rsa.RSAPrivateKey:
    """An RSA key, made at the first start and kept in the stand-ins' folder."""
    path = place.folder / f"{name}.pem"
    if path.exists():
        key = load_pem_private_key(path.read_bytes(), None)
        if isinstance(key, rsa.RSAPrivateKey):
            return key
    made = rsa.generate_private_key(65537, 2048)
    write_private(path, private_pem(made))
    return made


def private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    """The key as PKCS #8."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public half, uncompressed: 65 bytes."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def base64url(data: bytes) -> str:
    """Without padding, as JOSE writes it."""
    return urlsafe_b64encode(data).decode().rstrip("=")


def from_base64url(text: str) -> bytes:
    """The bytes, with or without padding; ValueError if it is none."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
