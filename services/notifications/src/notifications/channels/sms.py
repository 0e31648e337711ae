"""Text messages, behind an adapter: `[sms]` says which gateway carries them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol

from notifications.channels import sms_aliyun, sms_http
from notifications.channels.delivery import Clock, utc_now
from notifications.channels.sms_receipts import Callback, SmsReceipt
from notifications.channels.sms_text import MAX_UCS2_UNITS, segments
from notifications.channels.table import invalid
from notifications.domain.sending import (
    Address,
    AddressGone,
    ChannelKind,
    Limits,
    Message,
    Outcome,
    Refused,
)

MAX_SEGMENTS = 5
"""Parts of one message at most; each is billed."""

RECEIPT_ANSWER = b'{"code": 0, "msg": "OK"}'
"""With status 200: every gateway reads it as "kept, do not repeat"."""

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


class SmsGateway(Protocol):
    """Who carries text messages to telephones."""

    idempotent: bool
    """Whether it drops a repeat of a delivery by itself."""
    by_template: bool
    """Whether it takes only templates that were approved, and fills in `fields`."""

    async def submit(self, phone: str, message: Message) -> Outcome:
        """Hand over a message for a telephone number in E.164; never raises for what the gateway does."""

    def receipts(self, callback: Callback) -> list[SmsReceipt]:
        """Return what became of messages, as the gateway calls back; raises `Unauthenticated`, `InvalidInput`."""

    async def close(self) -> None:
        """Let go of connections."""


class SmsChannel:
    """Sends text messages. The address is a telephone number in E.164, e.g. `+8613800000001`."""

    kind = ChannelKind.SMS
    limits = Limits(body=MAX_UCS2_UNITS * MAX_SEGMENTS)

    def __init__(self, gateway: SmsGateway) -> None:
        self._gateway = gateway
        self.idempotent = gateway.idempotent

    async def send(self, address: Address, message: Message) -> Outcome:
        """Send once."""
        if not _E164.fullmatch(address.value):
            return AddressGone("BAD_NUMBER")
        if not self._gateway.by_template and segments(message.body) > MAX_SEGMENTS:
            return Refused(f"TOO_LONG over {MAX_SEGMENTS} segments")
        return await self._gateway.submit(address.value, message)

    def receipts(self, callback: Callback) -> list[SmsReceipt]:
        """Return what became of messages. Answer the callback with `RECEIPT_ANSWER` once they are kept.

        Raises `Unauthenticated` if the callback is not the gateway's, `InvalidInput` if it is unreadable.
        """
        return self._gateway.receipts(callback)

    async def close(self) -> None:
        """Close the connections."""
        await self._gateway.close()


GATEWAYS: Mapping[str, Callable[[Mapping[str, object], Clock], SmsGateway]] = {
    "aliyun": sms_aliyun.build_gateway,
    "http": sms_http.build_gateway,
}
"""By the name in `gateway = "…"`. A new one is a line here."""


def build(table: Mapping[str, object], *, clock: Clock = utc_now) -> SmsChannel:
    """Return the channel of a table; raises `SettingsInvalid`."""
    make = GATEWAYS.get(str(table.get("gateway", "")))
    if make is None:
        raise invalid("sms", "gateway", f"must be one of {', '.join(GATEWAYS)}")
    rest = {key: value for key, value in table.items() if key != "gateway"}
    return SmsChannel(make(rest, clock))
