"""What a callback tells, as records.

Sources: developers.weixin.qq.com, 接收普通消息, 接收事件推送, 模板消息 (TEMPLATESENDJOBFINISH), 订阅通知的事件推送; and
developer.work.weixin.qq.com/document/path/90239 and 90240 for WeCom, whose messages have the same shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeAlias

from .crypto import CallbackRefused
from .xml import Node

_SCENE_PREFIX: Final = "qrscene_"


@dataclass(frozen=True)
class Event:
    """Common to all that a callback tells."""

    user: str
    """The openid, or the WeCom user id."""
    account: str
    """To whom it was sent: the account's original id (`gh_…`), or the corp id."""
    time: datetime
    key: str
    """The same when the provider sends the same again, as it does when it gets no answer in time: whoever
    handles events drops those whose key came before. `MsgId` of a message; user, time and kind of an event.
    """


@dataclass(frozen=True)
class TextReceived(Event):
    """The user wrote."""

    text: str


@dataclass(frozen=True)
class Followed(Event):
    """The user follows the account; `scene` is that of the QR code they scanned for it, or empty."""

    scene: str


@dataclass(frozen=True)
class Unfollowed(Event):
    """The user follows the account no more: nothing can be sent to them."""


@dataclass(frozen=True)
class Scanned(Event):
    """A user who already follows scanned a QR code."""

    scene: str


class ReceiptStatus(StrEnum):
    """What became of a template or subscription message."""

    DELIVERED = "delivered"
    BLOCKED = "blocked"
    """The user refuses messages of the account."""
    FAILED = "failed"


@dataclass(frozen=True)
class Receipt(Event):
    """A message has arrived or will not. `provider_id` is the `Sent.provider_id` of its delivery."""

    provider_id: str
    status: ReceiptStatus
    detail: str
    """The provider's own word or code."""


@dataclass(frozen=True)
class SubscriptionChanged(Event):
    """The user allowed subscription messages of these templates, or refuses them."""

    accepted: tuple[str, ...]
    rejected: tuple[str, ...]


@dataclass(frozen=True)
class Other(Event):
    """Anything else: a picture, a place, a menu."""

    kind: str


CallbackEvent: TypeAlias = (
    TextReceived | Followed | Unfollowed | Scanned | Receipt | SubscriptionChanged | Other
)


@dataclass(frozen=True)
class _Common:
    user: str
    account: str
    time: datetime
    key: str


def read_event(root: Node) -> CallbackEvent:
    """Return the event of a decrypted callback; CallbackRefused if it is none."""
    kind = root.get("MsgType")
    if not root.get("FromUserName") or not kind:
        raise CallbackRefused("MESSAGE_MALFORMED", 400)
    if kind == "event":
        return _read_pushed(root)
    common = _common(root, f"msg:{root.get('MsgId')}")
    if kind == "text":
        return TextReceived(**vars(common), text=root.get("Content"))
    return Other(**vars(common), kind=kind)


def _read_pushed(root: Node) -> CallbackEvent:
    kind, scene = root.get("Event"), root.get("EventKey")
    common = _common(root, f"event:{root.get('FromUserName')}:{root.get('CreateTime')}:{kind}")
    match kind.lower():
        case "subscribe":
            return Followed(**vars(common), scene=scene.removeprefix(_SCENE_PREFIX))
        case "unsubscribe":
            return Unfollowed(**vars(common))
        case "scan":
            return Scanned(**vars(common), scene=scene)
        case "templatesendjobfinish":
            return _template_receipt(root)
        case "subscribe_msg_sent_event":
            return _subscription_receipt(root)
        case "subscribe_msg_popup_event" | "subscribe_msg_change_event":
            return _subscription_change(root, common)
    return Other(**vars(common), kind=kind)


def _template_receipt(root: Node) -> Receipt:
    provider_id, detail = root.get("MsgID"), root.get("Status")
    status = ReceiptStatus.FAILED
    if detail == "success":
        status = ReceiptStatus.DELIVERED
    elif detail.replace(" ", "") == "failed:userblock":
        status = ReceiptStatus.BLOCKED
    common = _common(root, f"receipt:{provider_id}")
    return Receipt(**vars(common), provider_id=provider_id, status=status, detail=detail)


def _subscription_receipt(root: Node) -> Receipt:
    item = root.child("SubscribeMsgSentEvent").child("List")
    provider_id, code = item.get("MsgID"), item.get("ErrorCode")
    status = ReceiptStatus.DELIVERED if code == "0" else ReceiptStatus.FAILED
    common = _common(root, f"receipt:{provider_id}")
    return Receipt(**vars(common), provider_id=provider_id, status=status, detail=item.get("ErrorStatus"))


def _subscription_change(root: Node, common: _Common) -> SubscriptionChanged:
    # The documentation shows SubscribeMsgPopupEvent around the list of a change, too.
    lists = [
        item for child in root.children if child.name.startswith("SubscribeMsg") for item in child.children
    ]
    choices = [(item.get("TemplateId"), item.get("SubscribeStatusString")) for item in lists]
    return SubscriptionChanged(
        **vars(common),
        accepted=tuple(template for template, choice in choices if choice == "accept"),
        rejected=tuple(template for template, choice in choices if choice == "reject"),
    )


def _common(root: Node, key: str) -> _Common:
    seconds = root.get("CreateTime")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 11):
        raise CallbackRefused("MESSAGE_MALFORMED", 400)
    time = datetime.fromtimestamp(int(seconds), UTC)
    return _Common(root.get("FromUserName"), root.get("ToUserName"), time, key)
