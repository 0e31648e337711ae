"""What every channel asks of a message: a stable id, how long it is of use, what it replaces."""

from __future__ import annotations

import hashlib
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

from notifications.domain.sending import Message

Clock: TypeAlias = Callable[[], datetime]
"""Tells the time: aware, UTC."""

_NAMESPACE = uuid.UUID("5c3d9f0e-93b2-4c7e-9a57-3f6f5b0c2d11")


def utc_now() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)


def delivery_uuid(delivery_id: str) -> str:
    """Return the UUID of a delivery: the same at every attempt, on every machine."""
    return str(uuid.uuid5(_NAMESPACE, delivery_id))


def seconds_left(message: Message, now: datetime) -> int | None:
    """Return for how many seconds the message is of use, never below 0; None if it does not expire."""
    if message.expire_time is None:
        return None
    return max(0, int((message.expire_time - now).total_seconds()))


def app_data(message: Message) -> dict[str, str]:
    """Return what the app on the phone reads beside the words: the message's data, its link, its id."""
    link = {"link": message.link} if message.link else {}
    return {**message.data, **link, "delivery_id": message.delivery_id}


def replace_key(message: Message) -> str:
    """Return 32 characters of base64url by which a device replaces one message with another.

    A message that replaces nothing carries a key of its own, so that a repeat of it replaces itself.
    """
    named = (message.collapse_key or message.delivery_id).encode()
    return urlsafe_b64encode(hashlib.sha256(named).digest()[:24]).decode()
