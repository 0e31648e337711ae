"""Web Push across independent code: pywebpush and py_vapid on one side, the bare RFCs on the other."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from notifications.channels import webpush
from notifications.domain.sending import Address, ChannelKind, Sent
from py_vapid import Vapid02
from pywebpush import WebPusher
from pywebpush import webpush as push_with_pywebpush
from smartex_standins.webpush import WebPushStandin
from smartex_standins.webpush_browser import Browser


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def derive(length: int, salt: bytes, secret: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(secret)


def decrypt_by_the_rfc(body: bytes, key: ec.EllipticCurvePrivateKey, auth: bytes) -> bytes:
    """RFC 8291 section 3.4 and RFC 8188 section 2, one record; written out, without a library of the field."""
    salt, record_size, id_length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
    sender_point, record = body[21 : 21 + id_length], body[21 + id_length :]
    assert len(record) <= record_size
    sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender_point)
    shared = key.exchange(ec.ECDH(), sender)
    input_key = derive(32, auth, shared, b"WebPush: info\0" + point(key) + sender_point)
    content_key = derive(16, salt, input_key, b"Content-Encoding: aes128gcm\0")
    nonce = derive(12, salt, input_key, b"Content-Encoding: nonce\0")
    padded = AESGCM(content_key).decrypt(nonce, record, None)
    content = padded.rstrip(b"\0")
    assert content[-1:] == b"\2"
    return content[:-1]


def test_the_bare_rfcs_read_what_we_encrypt(message: Any) -> None:
    key, auth = ec.generate_private_key(ec.SECP256R1()), b"0123456789abcdef"
    secrets = {"p256dh": encoded(point(key)), "auth": encoded(auth)}
    keys = webpush.subscription_keys(Address(ChannelKind.WEBPUSH, "https://push.example/", secrets))
    assert keys is not None
    payload = webpush.encode(message())
    assert decrypt_by_the_rfc(webpush.encrypt(payload, *keys), key, auth) == payload


def test_the_browser_reads_what_pywebpush_encrypts() -> None:
    key, auth = ec.generate_private_key(ec.SECP256R1()), b"0123456789abcdef"
    browser = Browser("https://push.example/1", "alice", key, auth, b"")
    pusher = WebPusher({"endpoint": browser.endpoint, "keys": browser.secrets})
    body = pusher.encode("中文 and English".encode(), "aes128gcm")["body"]
    assert browser.decrypt(body).decode() == "中文 and English"
    assert decrypt_by_the_rfc(body, key, auth).decode() == "中文 and English"


async def test_pywebpush_pushes_to_the_stand_in(running: Any) -> None:
    async with running([WebPushStandin()]) as desk:
        address = await desk.address(ChannelKind.WEBPUSH, "webpush")
        answer = await asyncio.to_thread(
            push_with_pywebpush,
            {"endpoint": address.value, "keys": dict(address.secrets)},
            json.dumps({"title": "from pywebpush", "body": "b"}),
            vapid_private_key=Vapid02.from_pem(desk.tables["webpush"]["private_key"].encode()),
            vapid_claims={"sub": "mailto:operator@example.com"},
            ttl=60,
        )
        assert answer.status_code == 201
        assert [shown["title"] for shown in await desk.shown("webpush")] == ["from pywebpush"]


async def test_py_vapid_believes_our_token(running: Any, message: Any) -> None:
    async with running([WebPushStandin()]) as desk:
        channel = webpush.build(desk.tables["webpush"])
        address = await desk.address(ChannelKind.WEBPUSH, "webpush")
        assert isinstance(await channel.send(address, message()), Sent)
        await channel.close()
        told = (await desk.log("webpush"))[0]["headers"]["authorization"]
    assert Vapid02.verify(told.replace(", ", ","))
    token, key = told.removeprefix("vapid t=").split(", k=")
    payload = token.split(".")[1]
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["aud"] == address.value.split("/webpush")[0]
    assert not Vapid02.verify(f"vapid t={token[:-4]}AAAA,k={key}")
