"""What the users of the official account do on their phones, and its owner on the console."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .control import read_json, text_of
from .wechat_templates import read_template
from .wechat_users import FOREVER, WROTE, User

if TYPE_CHECKING:
    from .wechat import WechatStandin

Post: TypeAlias = Callable[[Request], Awaitable[Response]]


def wechat_controls(standin: WechatStandin) -> Sequence[BaseRoute]:
    """Routes below `/control/wechat`."""
    controls = _Controls(standin)
    posts = (
        controls.scan,
        controls.follow,
        controls.unfollow,
        controls.text,
        controls.allow,
        controls.refuse,
        controls.block,
        controls.account,
        controls.templates,
        controls.callback,
    )
    return [
        *(Route(f"/{post.__name__}", controls.kept(post), methods=["POST"]) for post in posts),
        Route("/state", controls.state, methods=["GET"]),
        Route("/callbacks", controls.sent, methods=["GET"]),
    ]


class _Controls:
    def __init__(self, standin: WechatStandin) -> None:
        self._standin = standin
        self._account = standin.account

    def kept(self, post: Post) -> Post:
        """The control, after which the users are written down."""

        async def call(request: Request) -> Response:
            try:
                return await post(request)
            finally:
                self._account.users.save()

        return call

    async def scan(self, request: Request) -> Response:
        """`{person, code}`: scan a QR code, given by its scene, ticket or URL."""
        values = await read_json(request)
        code = self._account.find_code(text_of(values, "code"))
        if code is None:
            raise HTTPException(404, "no such code, or it has expired")
        user, came = self._account.scan(self._openid(values))
        scene = f"qrscene_{code.scene}" if came else code.scene
        return await self._tell(user, "subscribe" if came else "SCAN", EventKey=scene, Ticket=code.ticket)

    async def follow(self, request: Request) -> Response:
        """`{person}`: follow the account."""
        user, came = self._account.scan(self._openid(await read_json(request)))
        return await self._tell(user, "subscribe", EventKey="") if came else JSONResponse({"taken": True})

    async def unfollow(self, request: Request) -> Response:
        """`{person}`: follow it no more."""
        user = self._follower(await read_json(request))
        user.follows, user.open_until = False, 0.0
        user.allowed.clear()
        return await self._tell(user, "unsubscribe", EventKey="")

    async def text(self, request: Request) -> Response:
        """`{person, text}`: write to the account."""
        values = await read_json(request)
        user, text = self._follower(values), text_of(values, "text")
        user.may_write(time.time(), WROTE)
        self._standin.chat(user.openid, text, outgoing=True)
        return await self._tell(user, "text", Content=text, MsgId=self._account.next_id())

    async def allow(self, request: Request) -> Response:
        """`{person, template, accept, times}`: answer the question for subscription messages.

        `times`: how many messages are allowed, 1 unless said; -1 for good.
        """
        values = await read_json(request)
        user, template = self._follower(values), self._template(values)
        accept, times = values.get("accept", True) is True, values.get("times", 1)
        if not isinstance(times, int) or times < FOREVER:
            raise HTTPException(400, "times: a number is needed")
        user.allowed[template] = times if accept else 0
        choice = {"TemplateId": template, "SubscribeStatusString": "accept" if accept else "reject"}
        listed = {"List": {**choice, "PopupScene": 1}}
        return await self._tell(user, "subscribe_msg_popup_event", SubscribeMsgPopupEvent=listed)

    async def refuse(self, request: Request) -> Response:
        """`{person, template, refused}`: switch a template off or on in the settings of the account."""
        values = await read_json(request)
        user, template = self._follower(values), self._template(values)
        if values.get("refused", True) is not True:
            user.refused.discard(template)
            return JSONResponse({"taken": True})
        user.refused.add(template)
        listed = {"List": {"TemplateId": template, "SubscribeStatusString": "reject"}}
        return await self._tell(user, "subscribe_msg_change_event", SubscribeMsgChangeEvent=listed)

    async def block(self, request: Request) -> Response:
        """`{person, blocked}`: refuse all messages of the account, or take them again."""
        values = await read_json(request)
        self._follower(values).blocks = values.get("blocked", True) is True
        return JSONResponse({})

    async def account(self, request: Request) -> Response:
        """`{token_seconds, daily_quota}`: how long new tokens live, how many messages a day there are."""
        values = await read_json(request)
        life = values.get("token_seconds", self._account.tokens.life)
        quota = values.get("daily_quota", self._account.quota.limit)
        if not isinstance(life, int | float) or not isinstance(quota, int) or life <= 0 or quota < 0:
            raise HTTPException(400, "token_seconds, daily_quota: numbers are needed")
        self._account.tokens.life, self._account.quota.limit = float(life), quota
        return JSONResponse({"token_seconds": life, "daily_quota": quota})

    async def templates(self, request: Request) -> Response:
        """`{template_id, title, content}`: add a template, with a line `label：{{thing1.DATA}}` for a field."""
        values = await read_json(request)
        try:
            template = read_template(*(text_of(values, name) for name in ("template_id", "title", "content")))
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        self._account.templates[template.template_id] = template
        return JSONResponse({})

    async def callback(self, request: Request) -> Response:
        """`{url}`: enter the address for callbacks; answers whether it proved to be ours."""
        self._standin.callbacks.url = text_of(await read_json(request), "url")
        return JSONResponse({"verified": await self._standin.callbacks.verify(encrypted=False)})

    async def state(self, _: Request) -> Response:
        """Answer with the users, the codes that can be scanned, and the templates."""
        account = self._account
        return JSONResponse(
            {
                "users": [_shown(user) for user in account.users.all()],
                "codes": [{"scene": code.scene, "ticket": code.ticket} for code in account.codes()[:20]],
                "templates": [
                    {"id": template.template_id, "title": template.title}
                    for template in account.templates.values()
                ],
                "callback": self._standin.callbacks.url,
            }
        )

    async def sent(self, _: Request) -> Response:
        """Answer with the callbacks that were sent, newest first."""
        return JSONResponse(self._standin.callbacks.sent())

    async def _tell(self, user: User, kind: str, **values: Any) -> Response:
        reply = await self._standin.callbacks.send(self._standin.event(user.openid, kind, **values))
        if reply:
            self._standin.chat(user.openid, reply)
        return JSONResponse({"openid": user.openid, "taken": reply is not None, "reply": reply or ""})

    def _openid(self, values: dict[str, Any]) -> str:
        openid = self._standin.openid(text_of(values, "person"))
        if not openid.isascii() or len(openid) != 28:
            raise HTTPException(400, "person: a short name or an openid is needed")
        return openid

    def _follower(self, values: dict[str, Any]) -> User:
        user = self._account.users.find(self._openid(values))
        if user is None or not user.follows:
            raise HTTPException(409, "follows the account not")
        return user

    def _template(self, values: dict[str, Any]) -> str:
        template = text_of(values, "template")
        found = self._account.names.get(template, template)
        if found not in self._account.templates:
            raise HTTPException(404, "no such template")
        return found


def _shown(user: User) -> dict[str, Any]:
    return {
        "openid": user.openid,
        "follows": user.follows,
        "blocks": user.blocks,
        "refused": sorted(user.refused),
        "allowed": user.allowed,
    }
