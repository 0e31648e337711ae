"""Seals callbacks as WeChat and WeCom do, and opens the answers.

Source: developers.weixin.qq.com, 消息加解密说明; developer.work.weixin.qq.com/document/path/90968. Written apart
from the service's own crypto, so that each checks the other.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import struct

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class CallbackSealer:
    """The provider's end of one account's callbacks."""

    def __init__(self, token: str, encoding_aes_key: str, receiver: str) -> None:
        self._token, self._receiver = token, receiver.encode()
        key = base64.b64decode(encoding_aes_key + "=")
        self._cipher = Cipher(algorithms.AES256(key), modes.CBC(key[:16]))

    def signature(self, *parts: str) -> str:
        """SHA-1 of the token and the parts, sorted and joined."""
        return hashlib.sha1("".join(sorted((self._token, *parts))).encode()).hexdigest()

    def encrypt(self, message: str) -> str:
        """Return the message encrypted, in base64."""
        data = message.encode()
        plain = secrets.token_bytes(16) + struct.pack(">I", len(data)) + data + self._receiver
        padder = padding.PKCS7(256).padder()
        encryptor = self._cipher.encryptor()
        padded = padder.update(plain) + padder.finalize()
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()

    def decrypt(self, encrypted: str) -> str:
        """Return an answer's message; ValueError if it is damaged or of another account."""
        decryptor = self._cipher.decryptor()
        padded = decryptor.update(base64.b64decode(encrypted)) + decryptor.finalize()
        unpadder = padding.PKCS7(256).unpadder()
        plain = unpadder.update(padded) + unpadder.finalize()
        (size,) = struct.unpack(">I", plain[16:20])
        if plain[20 + size :] != self._receiver:
            raise ValueError("of another account")
        return plain[20 : 20 + size].decode()


def encoding_aes_key(secret: str) -> str:
    """Return 43 characters of base64 for 64 hexadecimal digits."""
    return base64.b64encode(bytes.fromhex(secret)).decode().rstrip("=")
