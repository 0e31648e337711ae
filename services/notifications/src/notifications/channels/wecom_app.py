"""Messages of a WeCom (企业微信) application to members of the company.

https://developer.work.weixin.qq.com/document/path/90236
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Final
from urllib.parse import quote

from pydantic import Field, SecretStr

from notifications.channels.delivery import Clock, utc_now
from notifications.channels.http import HttpCaller
from notifications.channels.http1 import Http1Caller
from notifications.channels.http_token import Token
from notifications.channels.table import ProviderTable, read_table
from notifications.channels.wechat.access import Reply, TokenApi, meaning, read_token
from notifications.channels.wechat.channel import callback_crypto
from notifications.channels.wechat.crypto import CallbackCrypto
from notifications.channels.wecom_errcodes import ERRCODES, TOKEN_ERRCODES
from notifications.domain.sending import (
    Address,
    AddressGone,
    ChannelKind,
    Failed,
    Limits,
    Message,
    Outcome,
    Refused,
    Sent,
)

DUPLICATE_SECONDS: Final = 4 * 3600
"""For so long WeCom drops a request that is the same byte for byte; it takes no more."""

_USER_ID: Final = re.compile(r"(?!@all$)[A-Za-z0-9_\-@.]{1,64}")


class WecomAppTable(ProviderTable):
    """`[wecom_app]` of the providers' file."""

    base_url: str = Field(default="https://qyapi.weixin.qq.com", description="where WeCom is")
    corp_id: str = Field(min_length=1, description="CorpID of the company")
    agent_id: int = Field(ge=0, description="AgentId of the application")
    secret: SecretStr = Field(description="Secret of the application; or secret_file")
    callback_token: SecretStr | None = Field(
        default=None, description="Token of 接收消息, which signs callbacks"
    )
    encoding_aes_key: SecretStr | None = Field(default=None, description="EncodingAESKey of 接收消息")


class WecomAppChannel:
    """Sends to one member by user id.

    WeCom drops a repeat by its content, not by an id: two deliveries with the same words and the same link to
    the same member within 4 hours are one.
    """

    kind = ChannelKind.WECOM_APP
    limits = Limits(title=128, body=512)
    idempotent = True

    def __init__(self, table: WecomAppTable, http: HttpCaller, clock: Clock) -> None:
        self._table, self._http = table, http
        self.crypto = _crypto(table)
        """For `wechat_callback`; None if the table says nothing of callbacks."""
        self._api = TokenApi(http, table.base_url, self._fetch_token, clock, token_errcodes=TOKEN_ERRCODES)

    async def send(self, address: Address, message: Message) -> Outcome:
        """Send a card if there is a link, else a text."""
        if not _USER_ID.fullmatch(address.value):
            # `@all` and `a|b` would reach others.
            return AddressGone("ADDRESS_INVALID")
        reply = await self._api.call("/cgi-bin/message/send", self._body(address.value, message))
        if not isinstance(reply, Reply):
            return reply
        if reply.errcode:
            return meaning(reply.errcode, ERRCODES)
        if reply.text("invaliduser"):
            return AddressGone("ADDRESS_UNKNOWN invaliduser")
        return Sent(reply.text("msgid"))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _body(self, user: str, message: Message) -> dict[str, object]:
        return {
            "touser": user,
            "agentid": self._table.agent_id,
            "enable_duplicate_check": 1,
            "duplicate_check_interval": DUPLICATE_SECONDS,
            **_content(message),
        }

    async def _fetch_token(self) -> Token | Failed | Refused:
        corp, secret = quote(self._table.corp_id), quote(self._table.secret.get_secret_value())
        url = f"{self._table.base_url.rstrip('/')}/cgi-bin/gettoken?corpid={corp}&corpsecret={secret}"
        return read_token(await self._http.post(url), ERRCODES)


def _content(message: Message) -> dict[str, object]:
    if not message.link:
        return {"msgtype": "text", "text": {"content": f"{message.title}\n{message.body}"}}
    card = {
        "title": message.title,
        # The description is read as HTML.
        "description": escape(message.body, quote=False),
        "url": message.link,
    }
    return {"msgtype": "textcard", "textcard": card}


def _crypto(table: WecomAppTable) -> CallbackCrypto | None:
    if table.callback_token is None or table.encoding_aes_key is None:
        return None
    return callback_crypto("wecom_app", table.callback_token, table.encoding_aes_key, receiver=table.corp_id)


def build(table: Mapping[str, object], *, clock: Clock = utc_now) -> WecomAppChannel:
    """Return the channel of a table; raises `SettingsInvalid`."""
    settings = read_table(WecomAppTable, "wecom_app", table)
    return WecomAppChannel(settings, Http1Caller(clock=clock, time_limit=settings.time_limit), clock)
