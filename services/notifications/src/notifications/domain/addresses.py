"""Addresses: what each channel takes, how they are shown, and the codes that prove them."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import IntEnum
from typing import Final

from notifications.domain.sending import ChannelKind

CODE_LIFE: Final = timedelta(minutes=10)
CODE_PAUSE: Final = timedelta(minutes=1)
"""Between two codes to one address."""
MOST_TRIES: Final = 5
MOST_ADDRESSES: Final = 20
"""Addresses of one account that are not removed."""
MOST_CODES_A_DAY: Final = 20
"""Codes of one account: nobody's telephone is flooded through us."""
LONGEST_LABEL: Final = 40
MOST_SECRETS: Final = 4
LONGEST_SECRET: Final = 512

DEVICES: Final = frozenset({ChannelKind.FCM, ChannelKind.APNS, ChannelKind.WEBPUSH})
"""Verified at once: the app or the browser has asked. A device belongs to whoever used it last."""
SPOKEN_FROM: Final = frozenset({ChannelKind.WECHAT, ChannelKind.WECOM_APP})
"""Readers answer there, proposals too, so each belongs to one account: to the one that proved it last."""
MAY_UNSUBSCRIBE: Final = frozenset({ChannelKind.EMAIL})

_FORMS: Final[Mapping[ChannelKind, tuple[str, str]]] = {
    ChannelKind.WECOM_APP: (r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}", "a WeCom user id"),
    ChannelKind.WECOM_ROBOT: (r"[A-Za-z0-9-]{16,64}", "the key of a group robot"),
    ChannelKind.FCM: (r"[\x21-\x7e]{16,4096}", "a registration token"),
    ChannelKind.APNS: (r"[0-9A-Fa-f]{64,200}", "a device token in hexadecimal"),
    ChannelKind.WEBPUSH: (r"https?://[\x21-\x7e]{4,2040}", "the endpoint of a push subscription"),
    ChannelKind.EMAIL: (r"[^\s@<>\"(),:;\[\]\\]{1,64}@[^\s@<>\"(),:;\[\]\\]{1,189}", "an e-mail address"),
    ChannelKind.SMS: (r"\+[1-9][0-9]{6,14}", "a telephone number such as +8613800000001"),
    ChannelKind.WEBHOOK: (r"https?://[\x21-\x7e]{4,2040}", "an https URL"),
    ChannelKind.APPRISE: (
        r"[a-z][a-z0-9+.-]{1,31}://[\x21-\x22\x24-\x3a\x3c-\x7e]{1,2040}",
        "an Apprise URL without ; and # (write %3B, %23)",
    ),
}
_SECRETS: Final[Mapping[ChannelKind, tuple[str, ...]]] = {
    ChannelKind.WEBPUSH: ("p256dh", "auth"),
    ChannelKind.WEBHOOK: ("secret",),
}


class AddressState(IntEnum):
    """Where an address stands. The numbers are those of the contract."""

    UNVERIFIED = 1
    VERIFIED = 2
    REMOVED = 3


def problems(
    channel: ChannelKind, value: str, secrets: Mapping[str, str], label: str
) -> Iterator[tuple[str, str]]:
    """Yield each field of a new address that is wrong, and what to do about it."""
    if channel is ChannelKind.WECHAT:
        yield "channel", "WeChat is linked by scanning: use LinkWechat"
        return
    if channel not in _FORMS:
        yield "channel", "the inbox is always on; name another channel"
        return
    pattern, words = _FORMS[channel]
    if not re.fullmatch(pattern, value):
        yield "value", f"give {words}"
    if len(label) > LONGEST_LABEL or any(ord(letter) < 32 for letter in label):
        yield "label", f"give at most {LONGEST_LABEL} characters on one line"
    yield from _secret_problems(channel, secrets)


def canonical(channel: ChannelKind, value: str) -> str:
    """Return the one form of an address: two spellings of it are the same address."""
    if channel is ChannelKind.APNS:
        return value.lower()
    if channel is ChannelKind.EMAIL:
        user, _, host = value.rpartition("@")
        return f"{user}@{host.lower()}"
    return value


def masked(channel: ChannelKind, value: str) -> str:
    """Return an address with its middle hidden; of a URL only its host is shown."""
    if "://" in value:
        scheme, _, rest = value.partition("://")
        host = re.split(r"[/?#]", rest)[0].rpartition("@")[2]
        return f"{scheme}://{_hidden(host) if channel is ChannelKind.APPRISE else host}/…"
    if channel is ChannelKind.EMAIL:
        user, _, host = value.rpartition("@")
        return f"{_hidden(user)}@{host}"
    return _hidden(value)


def code(key: bytes, address_id: str, nonce: str) -> str:
    """Return the six digits that prove an address: only who has the key can tell them."""
    digest = hmac.digest(key, f"{address_id}/{nonce}".encode(), hashlib.sha256)
    return f"{int.from_bytes(digest[:8], 'big') % 1_000_000:06d}"


def code_fits(expected: str, given: str) -> bool:
    """Return whether the code is right, in the same time whatever it is."""
    return hmac.compare_digest(expected.encode(), given.encode())


def _hidden(text: str) -> str:
    if len(text) <= 2:
        return "…"
    shown = 1 if len(text) < 8 else 3
    return f"{text[:shown]}…{text[-shown:] if shown == 3 else text[-1]}"


def _secret_problems(channel: ChannelKind, secrets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    needed = _SECRETS.get(channel, ())
    yield from ((f"secrets[{name}]", "is needed") for name in needed if not secrets.get(name))
    for name, value in secrets.items():
        extra = channel is ChannelKind.WEBHOOK and name.startswith("secret")
        if name not in needed and not extra:
            yield f"secrets[{name[:40]}]", "this channel takes no such secret"
        elif len(value) > LONGEST_SECRET:
            yield f"secrets[{name}]", f"give at most {LONGEST_SECRET} characters"
    if len(secrets) > MOST_SECRETS:
        yield "secrets", f"give at most {MOST_SECRETS}"
