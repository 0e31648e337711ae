"""What every stand-in is: routes under its name, faults, and what a phone would show of it."""

from __future__ import annotations

import hashlib
import hmac
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias

from starlette.routing import BaseRoute

from .faults import Faults
from .people import People

KEPT_MESSAGES: Final = 500
"""Messages that a stand-in keeps for the phone page."""

Settings: TypeAlias = Mapping[str, str | int | bool | Mapping[str, str]]
"""A table of the providers' file; a mapping in it becomes a table of its own."""


class Look(StrEnum):
    """How the phone draws a message."""

    CARD = "card"
    """Template card in WeChat or WeCom."""
    CHAT = "chat"
    PUSH = "push"
    SMS = "sms"
    MAIL = "mail"
    ROBOT = "robot"
    """Message of a robot in a group."""


@dataclass(frozen=True)
class PhoneMessage:
    """One thing that a phone shows."""

    address: str
    """Where it was sent: openid, device token, e-mail address, …"""
    look: Look
    sender: str
    """Name of the account, the app or the robot, as the phone shows it."""
    title: str
    body: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Labelled lines of a card, in their order."""
    link: str = ""
    urgent: bool = False
    """Breaks through silence: APNs `time-sensitive` or `critical`, FCM and Web Push `high`."""
    outgoing: bool = False
    """Written by the person, not to them."""
    replaces: str = ""
    """Collapse key: it takes the place of the message before with the same address and key."""
    time: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Place:
    """Where a stand-in runs."""

    base_url: str
    """Of this stand-in: its `routes()` are below it, e.g. `http://127.0.0.1:7410/wechat`."""
    callback_url: str
    """Where it sends what happens: receipts, replies, subscriptions."""
    folder: Path
    """For keys and the like; exists, 0700."""
    seed: bytes = field(repr=False)
    """From which `secret` draws; kept in the folder, so that credentials outlive a restart."""

    def secret(self, name: str) -> str:
        """A credential of 64 hexadecimal digits, the same at every start."""
        return hmac.new(self.seed, name.encode(), hashlib.sha256).hexdigest()


class Standin(ABC):
    """A provider on this machine. Routes are served below `/{name}`, controls below `/control/{name}`."""

    name: str
    title: str
    """As the page shows it."""
    place: Place
    people: People

    def __init__(self) -> None:
        self.faults = Faults()
        self._messages: deque[PhoneMessage] = deque(maxlen=KEPT_MESSAGES)

    @abstractmethod
    def routes(self) -> Sequence[BaseRoute]:
        """The provider's own API. Its requests are logged and meet `down`, `slow_seconds`, `server_error` and
        `cut_after_send` before they come here; the other faults are the stand-in's to take.
        """

    @abstractmethod
    def provider_settings(self) -> Mapping[str, Settings]:
        """Tables of `providers.toml` by channel kind; asked for once, after `start`."""

    def controls(self) -> Sequence[BaseRoute]:
        """What a person does on the phone, or a test on the provider's console. No fault touches it."""
        return ()

    async def start(self, place: Place, people: People) -> None:
        """Begin; called once, before the first request."""
        self.place, self.people = place, people

    async def stop(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Let go of sockets and tasks."""

    def show(self, message: PhoneMessage) -> None:
        """Put a message on the phone."""
        if message.replaces:
            kept = [old for old in self._messages if not _replaced(old, message)]
            self._messages = deque(kept, maxlen=KEPT_MESSAGES)
        self._messages.append(message)

    def messages(self) -> Iterable[PhoneMessage]:
        """What the phones show, oldest first."""
        return tuple(self._messages)


def _replaced(old: PhoneMessage, new: PhoneMessage) -> bool:
    return old.address == new.address and old.replaces == new.replaces
