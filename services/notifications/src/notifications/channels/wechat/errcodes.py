"""What the official account's errcodes mean for a message.

Source: developers.weixin.qq.com, 全局错误码 (doc/oplatform/developers/errCode/errCode), 发送模板消息, 发送订阅通知.
An errcode that is not here refuses the message and is named in the reason.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from notifications.domain.sending import AddressGone, Failed, Outcome, Refused, Sent

TOKEN_ERRCODES: Final = frozenset({40001, 40014, 42001})
"""Token wrong, not the latest, or expired."""

_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)

ERRCODES: Final[dict[int, Outcome]] = {
    -1: Failed("BUSY -1"),
    # The quota is a day's; an operator may clear it at any time.
    45009: Failed("RATE_LIMITED 45009", _HOUR),
    45011: Failed("RATE_LIMITED 45011", _MINUTE),
    # The account's settings: they are mended without a change here.
    40013: Failed("NOT_ALLOWED 40013"),
    40125: Failed("NOT_ALLOWED 40125"),
    40164: Failed("NOT_ALLOWED 40164"),
    48001: Failed("NOT_ALLOWED 48001"),
    48004: Failed("NOT_ALLOWED 48004"),
    50002: Failed("NOT_ALLOWED 50002"),
    61004: Failed("NOT_ALLOWED 61004"),
    # The openid is wrong, follows no more, or is on the account's black list.
    40003: AddressGone("ADDRESS_UNKNOWN 40003"),
    43004: AddressGone("NOT_FOLLOWING 43004"),
    43019: AddressGone("BLACKLISTED 43019"),
    46004: AddressGone("ADDRESS_UNKNOWN 46004"),
    50005: AddressGone("NOT_FOLLOWING 50005"),
    # Of this template only, or until the user allows the next one: the address is good.
    43101: Refused("NOT_SUBSCRIBED 43101"),
    # A conversation is open for 48 hours and so many answers after the user wrote.
    45015: Refused("CONVERSATION_CLOSED 45015"),
    45047: Refused("CONVERSATION_CLOSED 45047"),
    40036: Refused("TEMPLATE_UNKNOWN 40036"),
    40037: Refused("TEMPLATE_UNKNOWN 40037"),
    43116: Refused("TEMPLATE_BANNED 43116"),
    47003: Refused("FIELD_INVALID 47003"),
    40039: Refused("LINK_INVALID 40039"),
    45002: Refused("TOO_LONG 45002"),
    # The same message to the same user within 60 seconds: the first was taken.
    40241: Sent(),
}
