"""WeCom (企业微信): an application's API and the robots of two groups.

Source: developer.work.weixin.qq.com/document/path/90236 (发送应用消息), 91770 (群机器人), 90313 (全局错误码).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .control import read_json, text_of
from .people import PEOPLE, People
from .standin import Look, PhoneMessage, Place, Settings, Standin
from .wechat_callbacks import Callbacks
from .wechat_crypto import CallbackSealer, encoding_aes_key
from .wechat_errcodes import Errcode, answered, read_body
from .wechat_limits import Repeats, Windows
from .wechat_tokens import Tokens
from .wecom_messages import app_message, robot_message

APP_NAME: Final = "智能交易所"
AGENT_ID: Final = 1_000_002
MEMBER_LIMIT: Final = 30
"""Messages a minute to one member; what is more is dropped without a word, as the real thing does."""
ROBOT_LIMIT: Final = 20
"""Messages a minute of one robot."""
REPEAT_SECONDS: Final = 1800
MAX_REPEAT_SECONDS: Final = 14_400
GROUPS: Final = ("风控群", "交易群")


class WecomStandin(Standin):
    """One company with one application."""

    name = "wecom"
    title = "企业微信 · WeCom"

    def __init__(self) -> None:
        super().__init__()
        self.tokens = Tokens()
        self.members = set(PEOPLE)
        self.callbacks: Callbacks
        self._per_member = Windows(60, MEMBER_LIMIT)
        self._per_robot = Windows(60, ROBOT_LIMIT)
        self._repeats = Repeats()
        self._ids = count(1)

    async def start(self, place: Place, people: People) -> None:
        """Draw the credentials and begin to send callbacks."""
        await super().start(place, people)
        self.corp_id = "ww" + place.secret("wecom corp id")[:16]
        self._secret = place.secret("wecom secret")[:43]
        self._token = place.secret("wecom callback token")[:32]
        self._aes_key = encoding_aes_key(place.secret("wecom aes key"))
        self.robots = {place.secret(f"wecom robot {group}")[:36]: group for group in GROUPS}
        self.callbacks = Callbacks(
            CallbackSealer(self._token, self._aes_key, self.corp_id), place.callback_url
        )

    async def stop(self) -> None:
        """Send no more callbacks."""
        await self.callbacks.close()

    def provider_settings(self) -> Mapping[str, Settings]:
        """The tables `[wecom_app]` and `[wecom_robot]`."""
        app: Settings = {
            "base_url": self.place.base_url,
            "corp_id": self.corp_id,
            "agent_id": AGENT_ID,
            "secret": self._secret,
            "callback_token": self._token,
            "encoding_aes_key": self._aes_key,
        }
        return {"wecom_app": app, "wecom_robot": {"base_url": self.place.base_url}}

    def routes(self) -> Sequence[BaseRoute]:
        """The API below `/cgi-bin`."""
        return [
            Route("/cgi-bin/gettoken", answered(self._get_token), methods=["GET", "POST"]),
            Route("/cgi-bin/message/send", answered(self._send), methods=["POST"]),
            Route("/cgi-bin/webhook/send", answered(self._send_robot), methods=["POST"]),
        ]

    def controls(self) -> Sequence[BaseRoute]:
        """What members do, and the company's console."""
        return [
            Route("/text", self._write, methods=["POST"]),
            Route("/members", self._change_members, methods=["POST"]),
            Route("/callback", self._enter_callback, methods=["POST"]),
            Route("/state", self._state, methods=["GET"]),
            Route("/callbacks", self._sent, methods=["GET"]),
        ]

    async def _get_token(self, request: Request) -> dict[str, Any]:
        if request.query_params.get("corpid") != self.corp_id:
            raise Errcode(40013)
        if request.query_params.get("corpsecret") != self._secret:
            raise Errcode(40001)
        token, seconds = self.tokens.give()
        return {"access_token": token, "expires_in": seconds}

    async def _send(self, request: Request) -> dict[str, Any]:
        self._check_token(request.query_params.get("access_token", ""))
        body = await read_body(request)
        if body.get("agentid") != AGENT_ID:
            raise Errcode(40056)
        message = app_message(body, APP_NAME)
        asked = [user for user in str(body.get("touser", "")).split("|") if user]
        users = sorted(self.members) if asked == ["@all"] else asked
        unknown = [user.lower() for user in users if user not in self.members]
        if len(unknown) == len(users):
            raise Errcode(81013)
        msgid = self._deliver(
            await request.body(), body, [user for user in users if user in self.members], message
        )
        return {"invaliduser": "|".join(unknown), "msgid": msgid}

    def _deliver(
        self, raw: bytes, body: Mapping[str, Any], users: list[str], message: Callable[[str], PhoneMessage]
    ) -> str:
        checks = body.get("enable_duplicate_check") == 1
        key = raw.decode("utf-8", "replace")
        given = self._repeats.find(key) if checks else None
        if given is not None:
            return given
        msgid = f"wecom-{next(self._ids)}"
        if checks:
            seconds = body.get("duplicate_check_interval", REPEAT_SECONDS)
            seconds = seconds if isinstance(seconds, int) else REPEAT_SECONDS
            self._repeats.keep(key, msgid, min(max(seconds, 1), MAX_REPEAT_SECONDS))
        for user in users:
            if self._per_member.take(user):
                self.show(message(user))
        return msgid

    async def _send_robot(self, request: Request) -> dict[str, Any]:
        key = request.query_params.get("key", "")
        if key not in self.robots:
            raise Errcode(93000)
        message = robot_message(await read_body(request), self.robots[key])
        if self.faults.take("rate_limited") or not self._per_robot.take(key):
            raise Errcode(45009)
        self.show(message)
        return {}

    def _check_token(self, token: str) -> None:
        if not token:
            raise Errcode(41001)
        state = self.tokens.state(token, self.faults)
        if state != "good":
            raise Errcode(42001 if state == "expired" else 40014)
        if self.faults.take("rate_limited"):
            raise Errcode(45009)

    async def _write(self, request: Request) -> Response:
        """`{person, text}`: a member writes to the application."""
        values = await read_json(request)
        person, text = text_of(values, "person"), text_of(values, "text")
        if person not in self.members:
            raise HTTPException(409, "no member")
        self.show(PhoneMessage(person, Look.CHAT, APP_NAME, "", text, outgoing=True))
        event = {
            "ToUserName": self.corp_id,
            "FromUserName": person,
            "CreateTime": int(time.time()),
            "MsgType": "text",
            "Content": text,
            "MsgId": time.time_ns(),
            "AgentID": AGENT_ID,
        }
        reply = await self.callbacks.send(event)
        if reply:
            self.show(PhoneMessage(person, Look.CHAT, APP_NAME, "", reply))
        return JSONResponse({"taken": reply is not None, "reply": reply or ""})

    async def _change_members(self, request: Request) -> Response:
        """`{person, member}`: someone joins the company, or leaves it."""
        values = await read_json(request)
        change = self.members.add if values.get("member", True) is True else self.members.discard
        change(text_of(values, "person"))
        return JSONResponse({"members": sorted(self.members)})

    async def _enter_callback(self, request: Request) -> Response:
        """`{url}`: enter the address for callbacks; answers whether it proved to be ours."""
        self.callbacks.url = text_of(await read_json(request), "url")
        return JSONResponse({"verified": await self.callbacks.verify(encrypted=True)})

    async def _state(self, _: Request) -> Response:
        """Answer with the members and the robots' keys by group."""
        robots = {group: key for key, group in self.robots.items()}
        return JSONResponse(
            {"members": sorted(self.members), "robots": robots, "callback": self.callbacks.url}
        )

    async def _sent(self, _: Request) -> Response:
        return JSONResponse(self.callbacks.sent())
