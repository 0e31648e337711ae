"""Which stand-ins there are. A new one is a line here."""

from __future__ import annotations

from .standin import Standin
from .wechat import WechatStandin
from .wecom import WecomStandin


def all_standins() -> list[Standin]:
    """One of each, not started."""
    return [WechatStandin(), WecomStandin()]
