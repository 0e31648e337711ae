"""The words between the delivery engine and the channels: what is sent, where to, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Protocol, TypeAlias


class Urgency(IntEnum):
    """How much a message presses; the order of delivery. The numbers are those of the contract."""

    LOW = 1
    """May wait for a digest."""
    NORMAL = 2
    HIGH = 3
    """At once, but not at night."""
    CRITICAL = 4
    """At once, at any time: it wakes."""


class ChannelKind(StrEnum):
    """Every way to reach a reader. `INBOX` is ours; the others are providers."""

    INBOX = "inbox"
    WECHAT = "wechat"
    """Template or subscription message of a WeChat official account."""
    WECOM_APP = "wecom_app"
    WECOM_ROBOT = "wecom_robot"
    FCM = "fcm"
    APNS = "apns"
    WEBPUSH = "webpush"
    EMAIL = "email"
    SMS = "sms"
    WEBHOOK = "webhook"
    APPRISE = "apprise"


@dataclass(frozen=True)
class Address:
    """Where a reader is reached on a channel.

    `value` is the channel's own form: an openid, a WeCom user id, a robot's key, a device token, an e-mail
    address, an E.164 telephone number, a URL. `secrets` holds what else it takes (Web Push: `p256dh`, `auth`;
    a webhook: `secret`); never logged.
    """

    kind: ChannelKind
    value: str = field(repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Message:
    """What a channel sends, rendered in the reader's language and cut to the channel's limits."""

    delivery_id: str
    """Stable over every attempt: the provider's idempotency key, where there is one."""
    kind: str
    """What it is about, e.g. `positions.concentration`."""
    urgency: Urgency
    title: str
    body: str
    language: str
    """`zh-CN` or `en`."""
    link: str = ""
    """Opened when the message is tapped. May be empty."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """The named values of a template message, e.g. `{"thing1": "…", "amount2": "…"}`."""
    template: str = ""
    """The provider's id of the template, where the channel sends by template."""
    html: str = ""
    """The body as HTML, for e-mail. Empty: text only."""
    data: Mapping[str, str] = field(default_factory=dict)
    """What a program on the phone reads: ids of the notice, the advice, the order."""
    collapse_key: str = ""
    """A newer message with the same key replaces this one on the device. May be empty."""
    expire_time: datetime | None = None
    """After which it is of no use; aware, UTC."""


@dataclass(frozen=True)
class Sent:
    """The provider has taken it."""

    provider_id: str = ""
    """By which receipts name it."""


@dataclass(frozen=True)
class Failed:
    """It was not taken, but may be later."""

    reason: str
    """UPPER_SNAKE and the provider's own code, e.g. `RATE_LIMITED 45009`. Holds no address and no secret."""
    retry_after: timedelta | None = None
    """What the provider asked for, if it did."""
    maybe_sent: bool = False
    """True if the connection died after the request was out: a retry may show the message twice."""


@dataclass(frozen=True)
class Refused:
    """The provider will never take this message (too long, no such template, not allowed)."""

    reason: str


@dataclass(frozen=True)
class AddressGone:
    """The address does not exist any more, or its owner has blocked us: remove it."""

    reason: str


Outcome: TypeAlias = Sent | Failed | Refused | AddressGone


@dataclass(frozen=True)
class Limits:
    """What fits on a channel, in characters unless the name says bytes. 0: no limit."""

    title: int = 0
    body: int = 0
    payload_bytes: int = 0
    fields: Mapping[str, int] = field(default_factory=dict)
    """By field type of template messages: `thing` 20, `amount` 16, …"""


class Channel(Protocol):
    """One provider. `send` never raises for what a provider does: every failure is an outcome."""

    kind: ChannelKind
    limits: Limits
    idempotent: bool
    """Whether the provider drops a repeat of a `delivery_id` by itself."""

    async def send(self, address: Address, message: Message) -> Outcome:
        """Send once; no retries in here, but for a token that expired midway, which is renewed once."""

    async def close(self) -> None:
        """Let go of connections."""
