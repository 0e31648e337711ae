"""Messages of a robot in a WeCom (企业微信) group.

https://developer.work.weixin.qq.com/document/path/91770: 20 messages a minute and robot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from pydantic import Field

from notifications.channels.delivery import Clock, utc_now
from notifications.channels.http import HttpCaller
from notifications.channels.http1 import Http1Caller
from notifications.channels.table import ProviderTable, read_table
from notifications.channels.wechat.access import Reply, meaning, post_json, quiet_urls, read_reply
from notifications.channels.wecom_errcodes import ERRCODES
from notifications.domain.sending import Address, ChannelKind, Limits, Message, Outcome, Refused, Sent

MAX_MARKDOWN_BYTES: Final = 4096


class WecomRobotTable(ProviderTable):
    """`[wecom_robot]` of the providers' file; the robots' keys are addresses."""

    base_url: str = Field(default="https://qyapi.weixin.qq.com", description="where WeCom is")


class WecomRobotChannel:
    """Writes to a group. The address is the robot's key. Nothing drops a repeat."""

    kind = ChannelKind.WECOM_ROBOT
    limits = Limits(title=128, body=900, payload_bytes=MAX_MARKDOWN_BYTES)
    idempotent = False

    def __init__(self, table: WecomRobotTable, http: HttpCaller) -> None:
        quiet_urls()
        self._url = f"{table.base_url.rstrip('/')}/cgi-bin/webhook/send?key="
        self._http = http

    async def send(self, address: Address, message: Message) -> Outcome:
        """Send as Markdown."""
        text = markdown(message)
        if len(text.encode()) > MAX_MARKDOWN_BYTES:
            return Refused("TOO_LONG")
        body = {"msgtype": "markdown", "markdown": {"content": text}}
        reply = read_reply(await post_json(self._http, self._url + quote(address.value, safe=""), body))
        if not isinstance(reply, Reply):
            return reply
        return meaning(reply.errcode, ERRCODES) if reply.errcode else Sent()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()


def markdown(message: Message) -> str:
    """Return the message as WeCom's Markdown."""
    lines = [f"**{_plain(message.title)}**"]
    lines += [f"> {_plain(line)}" for line in message.body.splitlines()]
    if message.link:
        lines.append(f"[{'查看' if message.language.startswith('zh') else 'Open'}]({message.link})")
    return "\n".join(lines)


def _plain(text: str) -> str:
    # `<@all>` would ring everybody's phone, `[…](…)` put a link under other words; WeCom has no escapes.
    return text.replace("<", "＜").replace("](", "] (").replace("**", "*")


def build(table: Mapping[str, object], *, clock: Clock = utc_now) -> WecomRobotChannel:
    """Return the channel of a table; raises `SettingsInvalid`."""
    settings = read_table(WecomRobotTable, "wecom_robot", table)
    return WecomRobotChannel(settings, Http1Caller(clock=clock, time_limit=settings.time_limit))
