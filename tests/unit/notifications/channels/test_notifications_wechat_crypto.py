"""Callback crypto against the published examples, and against damage."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from notifications.channels.wechat.crypto import CallbackCrypto, CallbackRefused

# developers.weixin.qq.com, 消息加解密说明: the example of the encrypted mode.
WECHAT = CallbackCrypto(token="AAAAA", encoding_aes_key="A" * 43, receiver="wxba5fad812f8e6fb9")
WECHAT_PUSH = (
    "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzDpVzazhZv"
    "6JsXUnnR8XGT740XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNq"
    "J4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04="
)
# developer.work.weixin.qq.com/document/path/90968: the example of WeCom's sample code.
WECOM = CallbackCrypto(
    token="QDG6eK",
    encoding_aes_key="jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
    receiver="wx5823bf96d3bd56c7",
)
WECOM_ECHO = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
WECOM_PUSH = (
    "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/s"
    "YYvuJTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJ"
    "YuR+LtwGc2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGU"
    "callcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDY"
    "A5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q=="
)


def test_published_push_of_wechat_is_opened() -> None:
    WECHAT.check("046e02f8204d34f8ba5fa3b1db94908f3df2e9b3", "1714112445", "415670741", WECHAT_PUSH)
    assert json.loads(WECHAT.decrypt(WECHAT_PUSH)) == {
        "ToUserName": "gh_97417a04a28d",
        "FromUserName": "o9AgO5Kd5ggOC-bXrbNODIiE3bGY",
        "CreateTime": 1714112445,
        "MsgType": "event",
        "Event": "debug_demo",
        "debug_str": "hello world",
    }


def test_published_reply_of_wechat_is_made() -> None:
    sealed = WECHAT.seal(
        b'{"demo_resp":"good luck"}',
        timestamp="1713424427",
        nonce="415670741",
        random=b"707722b803182950",
    )
    assert sealed.encrypted == (
        "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ=="
    )
    assert sealed.signature == "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1"


def test_published_address_check_of_wechat_is_signed() -> None:
    assert WECHAT.sign("1714036504", "1514711492") == "f464b24fc39322e44b38aa78f5edd27bd1441696"


def test_published_address_check_of_wecom_is_opened() -> None:
    WECOM.check("5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3", "1409659589", "263014780", WECOM_ECHO)
    assert WECOM.decrypt(WECOM_ECHO) == b"1616140317555161061"


def test_published_message_of_wecom_is_opened() -> None:
    WECOM.check("477715d11cdb4164915debcba66cb864d751f3e6", "1409659813", "1372623149", WECOM_PUSH)
    assert b"<Content><![CDATA[hello]]></Content>" in WECOM.decrypt(WECOM_PUSH)


@given(message=st.binary(max_size=300), random=st.binary(min_size=16, max_size=16))
def test_what_is_sealed_is_opened(message: bytes, random: bytes) -> None:
    sealed = WECHAT.seal(message, timestamp="1", nonce="n", random=random)
    WECHAT.check(sealed.signature, "1", "n", sealed.encrypted)
    assert WECHAT.decrypt(sealed.encrypted) == message


@given(message=st.binary(max_size=64), position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_changed_bit_is_noticed_by_the_signature(message: bytes, position: int, bit: int) -> None:
    sealed = WECHAT.seal(message, timestamp="1", nonce="n", random=bytes(16))
    data = bytearray(base64.b64decode(sealed.encrypted))
    data[position % len(data)] ^= 1 << bit
    with pytest.raises(CallbackRefused, match="SIGNATURE_WRONG"):
        WECHAT.check(sealed.signature, "1", "n", base64.b64encode(data).decode())


@given(data=st.binary(max_size=200))
def test_any_bytes_are_refused_and_nothing_else_is_raised(data: bytes) -> None:
    # A random text would have to end with this very app id to be taken.
    with pytest.raises(CallbackRefused):
        WECHAT.decrypt(base64.b64encode(data).decode())


@given(text=st.text(max_size=100))
def test_any_text_is_refused_and_nothing_else_is_raised(text: str) -> None:
    with pytest.raises(CallbackRefused):
        WECHAT.decrypt(text)


def test_a_message_for_another_account_is_refused() -> None:
    other = CallbackCrypto(token="AAAAA", encoding_aes_key="A" * 43, receiver="wxba5fad812f8e6fb8")
    with pytest.raises(CallbackRefused, match="RECEIVER_WRONG"):
        WECHAT.decrypt(other.encrypt(b"<xml/>", bytes(16)))


@pytest.mark.parametrize("plain", [bytes(32), b"\x21" * 64, bytes(12) + b"\x14" * 20, bytes(31) + b"\x02"])
def test_wrong_padding_is_refused(plain: bytes) -> None:
    encryptor = Cipher(algorithms.AES(bytes(32)), modes.CBC(bytes(16))).encryptor()
    with pytest.raises(CallbackRefused, match="CIPHERTEXT_INVALID"):
        WECHAT.decrypt(base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode())


def test_a_length_beyond_the_end_is_refused() -> None:
    # 16 random bytes, a length of 2**32 - 1, nothing else; 12 bytes are missing to 32.
    plain = bytes(16) + b"\xff" * 4 + b"\x0c" * 12
    encryptor = Cipher(algorithms.AES(bytes(32)), modes.CBC(bytes(16))).encryptor()
    with pytest.raises(CallbackRefused, match="CIPHERTEXT_INVALID"):
        WECHAT.decrypt(base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode())


@pytest.mark.parametrize("key", ["", "A" * 42, "A" * 44, "!" * 43])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        CallbackCrypto(token="t", encoding_aes_key=key, receiver="wx")
