"""The providers' file: which channels this exchange has, and their clients."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog
from smartex_chassis import SettingsInvalid

from notifications.channels import apns, apprise, email, fcm, sms, webhook, webpush, wecom_app, wecom_robot
from notifications.channels.sms import SmsChannel
from notifications.channels.webpush import WebPushChannel
from notifications.channels.wechat.channel import WechatAccount
from notifications.channels.wechat.channel import build as build_wechat
from notifications.channels.wecom_app import WecomAppChannel
from notifications.domain.sending import Channel, ChannelKind

_log = structlog.get_logger("notifications.providers")

BUILDERS: Final[Mapping[ChannelKind, Callable[[Mapping[str, object]], Channel]]] = {
    ChannelKind.WECOM_APP: wecom_app.build,
    ChannelKind.WECOM_ROBOT: wecom_robot.build,
    ChannelKind.FCM: fcm.build,
    ChannelKind.APNS: apns.build,
    ChannelKind.WEBPUSH: webpush.build,
    ChannelKind.EMAIL: email.build,
    ChannelKind.SMS: sms.build,
    ChannelKind.WEBHOOK: webhook.build,
    ChannelKind.APPRISE: apprise.build,
}


@dataclass(frozen=True)
class Providers:
    """The channels that have credentials."""

    channels: Mapping[ChannelKind, Channel] = field(default_factory=dict)
    wechat: WechatAccount | None = None

    @property
    def configured(self) -> frozenset[ChannelKind]:
        """Channels on which something can be sent."""
        return frozenset(self.channels)

    @property
    def wecom(self) -> WecomAppChannel | None:
        """The WeCom application, for its callbacks."""
        channel = self.channels.get(ChannelKind.WECOM_APP)
        return channel if isinstance(channel, WecomAppChannel) else None

    @property
    def sms(self) -> SmsChannel | None:
        """The SMS gateway, for its receipts."""
        channel = self.channels.get(ChannelKind.SMS)
        return channel if isinstance(channel, SmsChannel) else None

    @property
    def webpush_key(self) -> str:
        """The public key by which browsers subscribe; empty without Web Push."""
        channel = self.channels.get(ChannelKind.WEBPUSH)
        return channel.public_key if isinstance(channel, WebPushChannel) else ""

    def provider_template(self, name: str) -> str:
        """Return WeChat's id of a template by our name of it; the name itself if it has none."""
        return self.wechat.templates.get(name, name) if self.wechat is not None else name

    async def close(self) -> None:
        """Let go of every connection."""
        for channel in self.channels.values():
            await channel.close()


def read_providers(path: Path | None) -> Providers:
    """Return the channels of a file; `SettingsInvalid` names all that is wrong in it. None: no channels."""
    tables = _read(path) if path is not None else {}
    problems: list[str] = []
    channels: dict[ChannelKind, Channel] = {}
    wechat: WechatAccount | None = None
    for name, table in tables.items():
        try:
            if name == ChannelKind.WECHAT:
                wechat = build_wechat(table)
                channels[ChannelKind.WECHAT] = wechat.channel
            else:
                channels[ChannelKind(name)] = BUILDERS[ChannelKind(name)](table)
        except (KeyError, ValueError):
            problems.append(f"providers: [{name}] is no channel: use {', '.join(sorted(BUILDERS))} or wechat")
        except SettingsInvalid as error:
            problems += error.problems
    if problems:
        raise SettingsInvalid(problems)
    _log.info("providers_read", channels=sorted(channels))
    return Providers(channels, wechat)


def _read(path: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsInvalid([f"providers_file: {path} cannot be read ({type(error).__name__})"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # The words of the parser could hold a secret of the file.
        raise SettingsInvalid([f"providers_file: {path} is no TOML"]) from error
    wrong = sorted(name for name, table in tables.items() if not isinstance(table, dict))
    if wrong:
        raise SettingsInvalid([f"providers_file: {name} stands outside of a table" for name in wrong])
    return tables
