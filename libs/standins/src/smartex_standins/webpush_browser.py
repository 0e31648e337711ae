"""A browser that has subscribed: its keys, and what it reads with them (RFC 8291)."""

from __future__ import annotations

from dataclasses import dataclass, field

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec

from .keys import base64url, public_point


class CannotRead(ValueError):  # noqa: N818 - as the other errors here are named
    """The body was not encrypted for this browser."""


@dataclass
class Browser:
    """One subscription."""

    endpoint: str
    person: str
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    auth: bytes = field(repr=False)
    application_key: bytes
    """Public key of the application server that may push; 65 bytes."""
    gone: bool = False

    @property
    def secrets(self) -> dict[str, str]:
        """What the application server must know to push: `p256dh` and `auth`."""
        return {"p256dh": base64url(public_point(self.key)), "auth": base64url(self.auth)}

    def decrypt(self, body: bytes) -> bytes:
        """Return the payload; raises `CannotRead`."""
        try:
            return bytes(
                http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
            )
        except Exception as error:
            # The library raises whatever a broken header makes it run into.
            raise CannotRead(f"cannot be decrypted: {type(error).__name__}") from error
