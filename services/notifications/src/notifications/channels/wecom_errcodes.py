"""What WeCom's errcodes mean for a message.

Source: developer.work.weixin.qq.com/document/path/90313 (全局错误码). An errcode that is not here refuses the
message and is named in the reason. They are not those of the official account: 40001 is a wrong secret here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from notifications.domain.sending import AddressGone, Failed, Outcome, Refused

TOKEN_ERRCODES: Final = frozenset({40014, 42001})

_MINUTE: Final = timedelta(minutes=1)

ERRCODES: Final[dict[int, Outcome]] = {
    -1: Failed("BUSY -1"),
    6000: Failed("BUSY 6000"),
    45009: Failed("RATE_LIMITED 45009", _MINUTE),
    45033: Failed("RATE_LIMITED 45033", _MINUTE),
    # The application's settings: they are mended without a change here.
    40001: Failed("NOT_ALLOWED 40001"),
    40013: Failed("NOT_ALLOWED 40013"),
    40056: Failed("NOT_ALLOWED 40056"),
    48002: Failed("NOT_ALLOWED 48002"),
    50003: Failed("NOT_ALLOWED 50003"),
    60020: Failed("NOT_ALLOWED 60020"),
    301002: Failed("NOT_ALLOWED 301002"),
    40003: AddressGone("ADDRESS_UNKNOWN 40003"),
    40031: AddressGone("ADDRESS_UNKNOWN 40031"),
    60111: AddressGone("ADDRESS_UNKNOWN 60111"),
    81013: AddressGone("ADDRESS_UNKNOWN 81013"),
    # A robot whose key is wrong, or that was taken out of its group.
    93000: AddressGone("ROBOT_GONE 93000"),
    40008: Refused("KIND_INVALID 40008"),
    40058: Refused("PARAMETER_INVALID 40058"),
    44004: Refused("EMPTY 44004"),
    45002: Refused("TOO_LONG 45002"),
}
