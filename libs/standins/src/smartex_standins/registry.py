"""Which stand-ins there are. A new one is a line here."""

from __future__ import annotations

from .apns import ApnsStandin
from .fcm import FcmStandin
from .mail import MailStandin
from .sms import SmsStandin
from .standin import Standin
from .webhook import WebhookStandin
from .webpush import WebPushStandin
from .wechat import WechatStandin
from .wecom import WecomStandin


def all_standins() -> list[Standin]:
    """One of each, not started."""
    return [
        WechatStandin(),
        WecomStandin(),
        FcmStandin(),
        ApnsStandin(),
        WebPushStandin(),
        MailStandin(),
        SmsStandin(),
        WebhookStandin(),
    ]
