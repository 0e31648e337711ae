"""The state of the official account, and what its API does with it."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from .wechat_errcodes import Errcode
from .wechat_limits import Repeats, Windows
from .wechat_templates import DEFAULTS, Template, read_template
from .wechat_tokens import Tokens
from .wechat_users import CAME, FOREVER, User, Users

KEPT_CODES: Final = 1000
DAILY_QUOTA: Final = 100_000
REPEAT_SECONDS: Final = 600.0
MAX_TEXT_BYTES: Final = 2048
MAX_CODE_SECONDS: Final = 2_592_000
MAX_SCENE: Final = 64


@dataclass(frozen=True)
class Code:
    """A QR code with a scene."""

    ticket: str
    url: str
    scene: str
    end: float
    """When it expires; 0 never."""


@dataclass(frozen=True)
class Sending:
    """A message that was taken. `new` is False for a repeat, which nobody sees."""

    msgid: str
    user: User
    template: Template
    data: Mapping[str, Any]
    new: bool = True


class Account:
    """One official account: its users, templates, codes, tokens and quotas."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.tokens = Tokens(now)
        self.users = Users(now)
        self.quota = Windows(86_400, DAILY_QUOTA, now)
        self.templates: dict[str, Template] = {}
        self.names: dict[str, str] = {}
        """Ids of the default templates by their names."""
        self._codes: OrderedDict[str, Code] = OrderedDict()
        self._repeats = Repeats(now)
        self._ids = count(int(now() * 1000))

    def add_defaults(self, draw: Callable[[str], str]) -> None:
        """Add the default templates; `draw` gives an id for a name."""
        for name, (title, content) in DEFAULTS.items():
            template = read_template(draw(f"template {name}")[:43], title, content)
            self.templates[template.template_id] = template
            self.names[name] = template.template_id

    def next_id(self) -> str:
        """Return the id of a message."""
        return str(next(self._ids))

    def send_template(self, body: Mapping[str, Any]) -> Sending:
        """Take a template message; Errcode."""
        user, template, data = self._addressed(body)
        if template.template_id in user.refused:
            raise Errcode(43101)
        repeat = str(body.get("client_msg_id", ""))
        key = f"{user.openid} {repeat}"
        if repeat and (given := self._repeats.find(key)) is not None:
            return Sending(given, user, template, data, new=False)
        self._take_quota("template")
        sending = Sending(self.next_id(), user, template, data)
        if repeat:
            self._repeats.keep(key, sending.msgid, REPEAT_SECONDS)
        return sending

    def send_subscription(self, body: Mapping[str, Any]) -> Sending:
        """Take a subscription message; Errcode."""
        user, template, data = self._addressed(body)
        left = user.allowed.get(template.template_id, 0)
        if left == 0 or template.template_id in user.refused:
            raise Errcode(43101)
        self._take_quota("bizsend")
        if left != FOREVER:
            user.allowed[template.template_id] = left - 1
        return Sending(self.next_id(), user, template, data)

    def send_text(self, body: Mapping[str, Any]) -> tuple[User, str]:
        """Take a text to a user who wrote; Errcode."""
        user = self._user(body)
        text = body["text"].get("content") if isinstance(body.get("text"), dict) else None
        if body.get("msgtype") != "text":
            raise Errcode(40008)
        if not isinstance(text, str) or not text or len(text.encode()) > MAX_TEXT_BYTES:
            raise Errcode(45002)
        if not user.follows or self._now() >= user.open_until:
            raise Errcode(45015)
        if user.replies_left <= 0:
            raise Errcode(45047)
        user.replies_left -= 1
        return user, text

    def create_code(self, body: Mapping[str, Any]) -> Code:
        """Make a QR code; Errcode."""
        action = str(body.get("action_name"))
        if action not in ("QR_SCENE", "QR_STR_SCENE", "QR_LIMIT_SCENE", "QR_LIMIT_STR_SCENE"):
            raise Errcode(47001)
        shown = _scene(action, body.get("action_info"))
        if not 1 <= len(shown) <= MAX_SCENE:
            raise Errcode(47001, "scene")
        seconds = body.get("expire_seconds", 60)
        if not isinstance(seconds, int) or not 1 <= seconds <= MAX_CODE_SECONDS:
            raise Errcode(47001, "expire_seconds")
        end = 0.0 if "LIMIT" in action else self._now() + seconds
        name = secrets.token_urlsafe(24)
        code = Code(f"g{secrets.token_urlsafe(71)}", f"http://weixin.qq.com/q/{name}", shown, end)
        self._codes[code.ticket] = code
        if len(self._codes) > KEPT_CODES:
            self._codes.popitem(last=False)
        return code

    def codes(self) -> list[Code]:
        """Return the codes that are good, newest first."""
        now = self._now()
        return [code for code in reversed(self._codes.values()) if code.end == 0 or now < code.end]

    def find_code(self, given: str) -> Code | None:
        """Return the good code of a ticket, a URL or a scene."""
        return next((code for code in self.codes() if given in (code.ticket, code.url, code.scene)), None)

    def scan(self, openid: str) -> tuple[User, bool]:
        """Let a user scan a code; the user, and whether they follow only now."""
        user = self.users.meet(openid)
        came, user.follows = not user.follows, True
        user.may_write(self._now(), CAME)
        return user, came

    def _addressed(self, body: Mapping[str, Any]) -> tuple[User, Template, Mapping[str, Any]]:
        user = self._user(body)
        template = self.templates.get(str(body.get("template_id")))
        if template is None:
            raise Errcode(40037)
        if not user.follows:
            raise Errcode(43004)
        data = body.get("data")
        if not isinstance(data, dict):
            raise Errcode(47001)
        if misfit := template.misfit(data):
            raise Errcode(47003, f"data.{misfit}.value invalid")
        return user, template, data

    def _user(self, body: Mapping[str, Any]) -> User:
        user = self.users.find(str(body.get("touser")))
        if user is None:
            raise Errcode(40003)
        return user

    def _take_quota(self, name: str) -> None:
        if not self.quota.take(name):
            raise Errcode(45009)


def _scene(action: str, info: object) -> str:
    scene = info.get("scene") if isinstance(info, dict) else None
    name = "scene_str" if "STR" in action else "scene_id"
    return str(scene.get(name, "")) if isinstance(scene, dict) else ""
