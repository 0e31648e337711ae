"""WeChat official account (服务号): the provider's API.

Source: developers.weixin.qq.com/doc/service/api. What it does not know of the real thing: media, menus, mini
programs.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import segno
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from .people import People, openid_of
from .standin import Look, PhoneMessage, Place, Settings, Standin
from .wechat_account import Account, Sending
from .wechat_callbacks import Callbacks
from .wechat_controls import wechat_controls
from .wechat_crypto import CallbackSealer, encoding_aes_key
from .wechat_errcodes import Call, Errcode, answered, read_body

ACCOUNT_NAME: Final = "智能交易所"
RECEIPT_SECONDS: Final = 0.05
"""After which the receipt of a message is sent."""

BodyCall: TypeAlias = Callable[[Mapping[str, Any]], dict[str, Any]]


class WechatStandin(Standin):
    """One official account and the phones of its users."""

    name = "wechat"
    title = "微信公众号 · WeChat"

    def __init__(self) -> None:
        super().__init__()
        self.account = Account()
        self.original_id = "gh_smartex00001"
        self.callbacks: Callbacks

    async def start(self, place: Place, people: People) -> None:
        """Draw the account's credentials and begin to send callbacks."""
        await super().start(place, people)
        self.app_id = "wx" + place.secret("wechat app id")[:16]
        self._secret = place.secret("wechat app secret")[:32]
        self._token = place.secret("wechat callback token")[:32]
        self._aes_key = encoding_aes_key(place.secret("wechat aes key"))
        self.account.add_defaults(place.secret)
        self.account.users.keep_in(place.folder / "wechat-users.json")
        sealer = CallbackSealer(self._token, self._aes_key, self.app_id)
        self.callbacks = Callbacks(sealer, place.callback_url)

    async def stop(self) -> None:
        """Send no more callbacks."""
        await self.callbacks.close()

    def provider_settings(self) -> Mapping[str, Settings]:
        """The table `[wechat]`."""
        table: Settings = {
            "base_url": self.place.base_url,
            "app_id": self.app_id,
            "app_secret": self._secret,
            "callback_token": self._token,
            "encoding_aes_key": self._aes_key,
            "templates": self.account.names,
        }
        return {"wechat": table}

    def routes(self) -> Sequence[BaseRoute]:
        """The API below `/cgi-bin`."""
        posts: dict[str, BodyCall] = {
            "/cgi-bin/message/template/send": self._send_template,
            "/cgi-bin/message/subscribe/bizsend": self._send_subscription,
            "/cgi-bin/message/custom/send": self._send_text,
            "/cgi-bin/qrcode/create": self._create_code,
        }
        return [
            Route("/cgi-bin/stable_token", answered(self._stable_token), methods=["POST"]),
            Route("/cgi-bin/token", answered(self._plain_token), methods=["GET"]),
            Route("/cgi-bin/showqrcode", self._show_code, methods=["GET"]),
            Route(
                "/cgi-bin/template/get_all_private_template", answered(self._list_templates), methods=["GET"]
            ),
            *(Route(path, answered(self._guarded(call)), methods=["POST"]) for path, call in posts.items()),
        ]

    def controls(self) -> Sequence[BaseRoute]:
        """What users do, and the account's console."""
        return wechat_controls(self)

    def openid(self, person: str) -> str:
        """Return the openid of a person; that of somebody else is given as it is."""
        return person if person.startswith("o") and len(person) == 28 else openid_of(person)

    def event(self, openid: str, kind: str, **values: Any) -> dict[str, Any]:
        """Return a message to the application: an event, unless `kind` is `text`."""
        head = {"ToUserName": self.original_id, "FromUserName": openid, "CreateTime": int(time.time())}
        if kind == "text":
            return {**head, "MsgType": "text", **values}
        return {**head, "MsgType": "event", "Event": kind, **values}

    def chat(self, openid: str, text: str, *, outgoing: bool = False) -> None:
        """Show a line of the conversation."""
        self.show(PhoneMessage(openid, Look.CHAT, ACCOUNT_NAME, "", text, outgoing=outgoing))

    def _send_template(self, body: Mapping[str, Any]) -> dict[str, Any]:
        sending = self.account.send_template(body)
        if sending.new:
            blocked = sending.user.blocks
            status = "failed:user block" if blocked else "success"
            values = {"MsgID": sending.msgid, "Status": status}
            self._deliver(sending, body.get("url"), "TEMPLATESENDJOBFINISH", values, shown=not blocked)
        return {"msgid": int(sending.msgid)}

    def _send_subscription(self, body: Mapping[str, Any]) -> dict[str, Any]:
        sending = self.account.send_subscription(body)
        item = {
            "TemplateId": sending.template.template_id,
            "MsgID": sending.msgid,
            "ErrorCode": 0,
            "ErrorStatus": "success",
        }
        values = {"SubscribeMsgSentEvent": {"List": item}}
        self._deliver(sending, body.get("page"), "subscribe_msg_sent_event", values)
        return {"msgid": int(sending.msgid)}

    def _deliver(
        self, sending: Sending, link: object, receipt: str, values: Mapping[str, Any], *, shown: bool = True
    ) -> None:
        if shown:
            self.show(
                PhoneMessage(
                    sending.user.openid,
                    Look.CARD,
                    ACCOUNT_NAME,
                    sending.template.title,
                    fields=sending.template.lines(sending.data),
                    link=link if isinstance(link, str) else "",
                )
            )
        if not self.faults.take("lose_receipts"):
            event = self.event(sending.user.openid, receipt, **values)
            asyncio.get_running_loop().call_later(RECEIPT_SECONDS, self.callbacks.later, event)

    def _send_text(self, body: Mapping[str, Any]) -> dict[str, Any]:
        user, text = self.account.send_text(body)
        self.chat(user.openid, text)
        return {}

    def _create_code(self, body: Mapping[str, Any]) -> dict[str, Any]:
        code = self.account.create_code(body)
        left = {"expire_seconds": int(body.get("expire_seconds", 60))} if code.end else {}
        return {"ticket": code.ticket, "url": code.url, **left}

    async def _show_code(self, request: Request) -> Response:
        code = self.account.find_code(request.query_params.get("ticket", ""))
        if code is None:
            return Response(status_code=404)
        image = io.BytesIO()
        segno.make(code.url).save(image, kind="png", scale=8)
        return Response(image.getvalue(), media_type="image/png")

    async def _list_templates(self, request: Request) -> dict[str, Any]:
        self._check_token(request)
        templates = self.account.templates.values()
        listed = [
            {"template_id": template.template_id, "title": template.title, "content": template.content}
            for template in templates
        ]
        return {"template_list": listed}

    async def _stable_token(self, request: Request) -> dict[str, Any]:
        body = await read_body(request)
        return self._token_answer(body, force=body.get("force_refresh") is True)

    async def _plain_token(self, request: Request) -> dict[str, Any]:
        return self._token_answer(request.query_params, force=False)

    def _token_answer(self, given: Mapping[str, Any], *, force: bool) -> dict[str, Any]:
        if given.get("appid") != self.app_id:
            raise Errcode(40013)
        if given.get("secret") != self._secret:
            raise Errcode(40125)
        issued = self.account.tokens.force() if force else self.account.tokens.give()
        if issued is None:
            raise Errcode(45009)
        token, seconds = issued
        return {"access_token": token, "expires_in": seconds}

    def _guarded(self, call: BodyCall) -> Call:
        async def guarded(request: Request) -> dict[str, Any]:
            self._check_token(request)
            body = await read_body(request)
            if self.faults.take("rate_limited"):
                raise Errcode(45009)
            return call(body)

        return guarded

    def _check_token(self, request: Request) -> None:
        token = request.query_params.get("access_token", "")
        if not token:
            raise Errcode(41001)
        state = self.account.tokens.state(token, self.faults)
        if state != "good":
            raise Errcode(42001 if state == "expired" else 40001)
