"""Signature and encryption of WeChat's and WeCom's callbacks.

Sources: developers.weixin.qq.com, 消息加解密说明 (doc/oplatform/developers/dev/push/encryption), and
developer.work.weixin.qq.com/document/path/90968. The plain text is 16 random bytes, the length of the message
(4 bytes, big-endian), the message, and the receiver (app id or corp id), padded by PKCS#7 to 32 bytes and
encrypted by AES-256-CBC under the 32 bytes of `EncodingAESKey` with their first half as initial vector.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

PAD_TO: Final = 32
RANDOM_BYTES: Final = 16
_HEAD: Final = RANDOM_BYTES + 4


class CallbackRefused(Exception):  # noqa: N818 - as the errors of libs/chassis are named
    """A request that did not come from WeChat, or came before; `reason` is UPPER_SNAKE."""

    def __init__(self, reason: str, status: int = 403) -> None:
        super().__init__(reason)
        self.reason, self.status = reason, status


@dataclass(frozen=True)
class Sealed:
    """An encrypted message with what proves where it is from."""

    encrypted: str
    signature: str
    timestamp: str
    nonce: str


class CallbackCrypto:
    """Opens what WeChat sends to one account, and seals what is answered."""

    def __init__(self, *, token: str, encoding_aes_key: str, receiver: str) -> None:
        """Raises ValueError if `encoding_aes_key` is not 43 characters of base64."""
        self._token, self._receiver = token, receiver.encode()
        key = base64.b64decode(encoding_aes_key + "=", validate=True)
        if len(encoding_aes_key) != 43 or len(key) != 32:
            raise ValueError("EncodingAESKey: 43 characters are needed")
        self._cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16]))

    def sign(self, timestamp: str, nonce: str, encrypted: str = "") -> str:
        """Return the SHA-1 that goes with a request; without `encrypted` it is that of a plain address check."""
        parts = sorted(part for part in (self._token, timestamp, nonce, encrypted) if part)
        return hashlib.sha1("".join(parts).encode()).hexdigest()

    def check(self, signature: str, timestamp: str, nonce: str, encrypted: str = "") -> None:
        """Raise CallbackRefused unless the signature is right."""
        if not hmac.compare_digest(self.sign(timestamp, nonce, encrypted).encode(), signature.encode()):
            raise CallbackRefused("SIGNATURE_WRONG")

    def decrypt(self, encrypted: str) -> bytes:
        """Return the message; CallbackRefused if it is damaged or not for this receiver. Check it first."""
        plain = self._unpad(self._decipher(encrypted))
        end = _HEAD + int.from_bytes(plain[RANDOM_BYTES:_HEAD], "big")
        if len(plain) < _HEAD or end > len(plain):
            raise CallbackRefused("CIPHERTEXT_INVALID", 400)
        if not hmac.compare_digest(plain[end:], self._receiver):
            raise CallbackRefused("RECEIVER_WRONG")
        return plain[_HEAD:end]

    def encrypt(self, message: bytes, random: bytes) -> str:
        """Return the message encrypted for this receiver; `random` is 16 bytes that nobody can guess."""
        plain = random + len(message).to_bytes(4, "big") + message + self._receiver
        missing = PAD_TO - len(plain) % PAD_TO
        encryptor = self._cipher.encryptor()
        data = encryptor.update(plain + bytes([missing]) * missing) + encryptor.finalize()
        return base64.b64encode(data).decode()

    def seal(self, message: bytes, *, timestamp: str, nonce: str, random: bytes) -> Sealed:
        """Encrypt and sign."""
        encrypted = self.encrypt(message, random)
        return Sealed(encrypted, self.sign(timestamp, nonce, encrypted), timestamp, nonce)

    def _decipher(self, encrypted: str) -> bytes:
        try:
            data = base64.b64decode(encrypted, validate=True)
        except (binascii.Error, ValueError) as error:
            raise CallbackRefused("CIPHERTEXT_INVALID", 400) from error
        if not data or len(data) % 16:
            raise CallbackRefused("CIPHERTEXT_INVALID", 400)
        decryptor = self._cipher.decryptor()
        return decryptor.update(data) + decryptor.finalize()

    def _unpad(self, plain: bytes) -> bytes:
        count = plain[-1]
        if not 1 <= count <= PAD_TO or plain[-count:] != bytes([count]) * count:
            raise CallbackRefused("CIPHERTEXT_INVALID", 400)
        return plain[:-count]
