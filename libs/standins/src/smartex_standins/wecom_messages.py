"""What WeCom takes as a message, and how a phone shows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import unescape
from typing import Any, Final

from .standin import Look, PhoneMessage
from .wechat_errcodes import Errcode

MAX_TEXT_BYTES: Final = 2048
MAX_ROBOT_MARKDOWN_BYTES: Final = 4096
MAX_TITLE: Final = 128
MAX_DESCRIPTION: Final = 512


def app_message(body: Mapping[str, Any], sender: str) -> Callable[[str], PhoneMessage]:
    """Return what each member's phone shows of a message; Errcode."""
    kind = body.get("msgtype")
    part = body.get(kind) if isinstance(kind, str) else None
    if kind not in ("text", "markdown", "textcard") or not isinstance(part, dict):
        raise Errcode(40008)
    if kind == "textcard":
        return _card(part, sender)
    # The application's texts are cut, where the robot's are refused.
    text = _content(part).encode()[:MAX_TEXT_BYTES].decode("utf-8", "ignore")
    return lambda user: PhoneMessage(user, Look.CHAT, sender, "", text)


def robot_message(body: Mapping[str, Any], group: str) -> PhoneMessage:
    """Return what the group's phones show; Errcode."""
    kind = body.get("msgtype")
    part = body.get(kind) if isinstance(kind, str) else None
    if kind not in ("text", "markdown") or not isinstance(part, dict):
        raise Errcode(40008)
    text = _content(part)
    if len(text.encode()) > (MAX_TEXT_BYTES if kind == "text" else MAX_ROBOT_MARKDOWN_BYTES):
        raise Errcode(40058, f"{kind}.content exceed max length")
    return PhoneMessage(group, Look.ROBOT, "交易所机器人", "", text)


def _content(part: Mapping[str, Any]) -> str:
    content = part.get("content")
    if not isinstance(content, str) or not content.strip():
        raise Errcode(44004)
    return content


def _card(part: Mapping[str, Any], sender: str) -> Callable[[str], PhoneMessage]:
    title, description, url = (part.get(name) for name in ("title", "description", "url"))
    if not (isinstance(title, str) and isinstance(description, str) and isinstance(url, str)):
        raise Errcode(40058, "title, description and url are needed")
    if not title or not description or not url.startswith(("http://", "https://")):
        raise Errcode(40058, "title, description and url are needed")
    text = unescape(re.sub(r"<[^>]*>", "", description))[:MAX_DESCRIPTION]
    return lambda user: PhoneMessage(user, Look.CARD, sender, title[:MAX_TITLE], text, link=url)
