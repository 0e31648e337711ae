"""Template and subscription messages of an official account as channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from notifications.channels.delivery import Clock, utc_now
from notifications.channels.http1 import Http1Caller
from notifications.channels.table import invalid, read_table
from notifications.domain.sending import Address, ChannelKind, Limits, Message, Outcome, Refused

from .api import WechatApi, WechatTable
from .crypto import CallbackCrypto
from .fields import FIELD_LIMITS, first_misfit


class TemplateChannel:
    """Template messages (模板消息). WeChat drops a repeat of a delivery for 10 minutes, not longer."""

    kind = ChannelKind.WECHAT
    limits = Limits(fields=FIELD_LIMITS)
    idempotent = True

    def __init__(self, api: WechatApi) -> None:
        self._api = api

    async def send(self, address: Address, message: Message) -> Outcome:
        """Send once; what WeChat would refuse is refused here, and costs no quota."""
        return _misfit(message) or await self._api.send_template(address.value, message)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()


class SubscriptionChannel:
    """Subscription messages (订阅通知), which the user allows one by one or for good."""

    kind = ChannelKind.WECHAT
    limits = Limits(fields=FIELD_LIMITS)
    idempotent = False

    def __init__(self, api: WechatApi) -> None:
        self._api = api

    async def send(self, address: Address, message: Message) -> Outcome:
        """Send once; what WeChat would refuse is refused here, and costs no quota."""
        return _misfit(message) or await self._api.send_subscription(address.value, message)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()


@dataclass(frozen=True)
class WechatAccount:
    """All that one official account does for us."""

    channel: TemplateChannel | SubscriptionChannel
    """Closes the API's connections, too."""
    api: WechatApi
    """Answers in conversations, and QR codes for linking."""
    crypto: CallbackCrypto
    """For `wechat_callback`."""
    templates: Mapping[str, str]
    """Ids of the account's templates, by our name of each."""


def build(table: Mapping[str, object], *, clock: Clock = utc_now) -> WechatAccount:
    """Return the account of a table; raises `SettingsInvalid`."""
    settings = read_table(WechatTable, "wechat", table)
    api = WechatApi(settings, Http1Caller(clock=clock, time_limit=settings.time_limit), clock)
    channel = SubscriptionChannel(api) if settings.subscription else TemplateChannel(api)
    return WechatAccount(channel, api, _crypto(settings), settings.templates)


def _crypto(settings: WechatTable) -> CallbackCrypto:
    return callback_crypto(
        "wechat", settings.callback_token, settings.encoding_aes_key, receiver=settings.app_id
    )


def callback_crypto(section: str, token: SecretStr, key: SecretStr, *, receiver: str) -> CallbackCrypto:
    """Return the crypto of a table's callbacks; raises `SettingsInvalid` if the key is none."""
    try:
        return CallbackCrypto(
            token=token.get_secret_value(), encoding_aes_key=key.get_secret_value(), receiver=receiver
        )
    except ValueError as error:
        raise invalid(section, "encoding_aes_key", "43 characters of base64 are needed") from error


def _misfit(message: Message) -> Refused | None:
    if not message.template:
        return Refused("TEMPLATE_MISSING")
    name = first_misfit(message.fields)
    return Refused(f"FIELD_INVALID {name}") if name else None
