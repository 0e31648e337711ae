"""The official account's API: token, template and subscription messages, replies, QR codes.

Source: developers.weixin.qq.com/doc/service/api (getStableAccessToken, sendTemplateMessage,
sendNewSubscribeMsg, sendCustomMessage, createQRCode).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from pydantic import Field, SecretStr

from notifications.channels.delivery import Clock, delivery_uuid
from notifications.channels.http import HttpCaller
from notifications.channels.http_token import Token
from notifications.channels.table import ProviderTable
from notifications.domain.sending import Failed, Message, Outcome, Refused, Sent

from .access import Reply, TokenApi, meaning, post_json, read_token
from .errcodes import ERRCODES, TOKEN_ERRCODES

MAX_QR_LIFE: Final = timedelta(days=30)
MAX_SCENE: Final = 64


class WechatTable(ProviderTable):
    """`[wechat]` of the providers' file."""

    base_url: str = Field(default="https://api.weixin.qq.com", description="where the API is")
    app_id: str = Field(min_length=1, description="AppID of the official account")
    app_secret: SecretStr = Field(description="AppSecret; or app_secret_file")
    callback_token: SecretStr = Field(description="Token of the server settings, which signs callbacks")
    encoding_aes_key: SecretStr = Field(description="EncodingAESKey of the server settings, 43 characters")
    subscription: bool = Field(
        default=False, description="send subscription messages (订阅通知) instead of template messages"
    )
    templates: Mapping[str, str] = Field(
        default_factory=dict, description="ids of the account's templates, by our name of each"
    )


@dataclass(frozen=True)
class QrCode:
    """A QR code that carries a scene: who scans it is told to the callback with it."""

    url: str
    """What the code encodes."""
    ticket: str = field(repr=False)
    life: timedelta


class WechatApi:
    """Calls of one account. All of them share one token."""

    def __init__(self, table: WechatTable, http: HttpCaller, clock: Clock) -> None:
        self._table, self._http = table, http
        self._api = TokenApi(http, table.base_url, self._fetch_token, clock, token_errcodes=TOKEN_ERRCODES)

    async def send_template(self, openid: str, message: Message) -> Outcome:
        """Send a template message. A repeat of a delivery within 10 minutes is dropped by WeChat."""
        body = {
            "touser": openid,
            "template_id": message.template,
            "client_msg_id": delivery_uuid(message.delivery_id),
            "data": _data(message.fields),
            **({"url": message.link} if message.link else {}),
        }
        return _outcome(await self._api.call("/cgi-bin/message/template/send", body))

    async def send_subscription(self, openid: str, message: Message) -> Outcome:
        """Send a subscription message to a user who has allowed its template. Nothing drops a repeat."""
        body = {
            "touser": openid,
            "template_id": message.template,
            "data": _data(message.fields),
            **({"page": message.link} if message.link else {}),
        }
        return _outcome(await self._api.call("/cgi-bin/message/subscribe/bizsend", body))

    async def create_qr(self, scene: str, life: timedelta) -> QrCode | Failed | Refused:
        """Make a QR code whose scan is told to the callback with `scene`, 1 to 64 characters."""
        if not 1 <= len(scene) <= MAX_SCENE:
            return Refused("SCENE_INVALID")
        seconds = int(min(life, MAX_QR_LIFE).total_seconds())
        body = {
            "expire_seconds": seconds,
            "action_name": "QR_STR_SCENE",
            "action_info": {"scene": {"scene_str": scene}},
        }
        reply = await self._api.call("/cgi-bin/qrcode/create", body)
        if not isinstance(reply, Reply):
            return reply
        if reply.errcode:
            told = meaning(reply.errcode, ERRCODES)
            return told if isinstance(told, Failed) else Refused(f"REFUSED {reply.errcode}")
        return QrCode(reply.text("url"), reply.text("ticket"), timedelta(seconds=seconds))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _fetch_token(self) -> Token | Failed | Refused:
        body = {
            "grant_type": "client_credential",
            "appid": self._table.app_id,
            "secret": self._table.app_secret.get_secret_value(),
        }
        url = f"{self._table.base_url.rstrip('/')}/cgi-bin/stable_token"
        return read_token(await post_json(self._http, url, body), ERRCODES)


def _data(fields: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"value": value} for name, value in fields.items()}


def _outcome(reply: Reply | Failed | Refused) -> Outcome:
    if not isinstance(reply, Reply):
        return reply
    return meaning(reply.errcode, ERRCODES) if reply.errcode else Sent(reply.text("msgid"))
