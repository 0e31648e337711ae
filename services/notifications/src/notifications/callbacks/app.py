"""The HTTP side as one application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from smartex_store import Database
from starlette.applications import Starlette
from starlette.routing import Route

from notifications.addressbook import AddressBook
from notifications.callbacks.events import Events
from notifications.callbacks.links import PATH
from notifications.callbacks.pages import unsubscribe, webpush_key
from notifications.callbacks.replies import Replies
from notifications.callbacks.sms import sms_receipts
from notifications.channels.wechat.callback import wechat_callback
from notifications.channels.wechat.crypto import CallbackCrypto
from notifications.domain.sending import ChannelKind
from notifications.providers import Providers
from notifications.receipts import Receipts
from notifications.vault import Vault


@dataclass(frozen=True)
class Parts:
    """What the endpoints work with."""

    database: Database
    vault: Vault
    book: AddressBook
    receipts: Receipts
    replies: Replies
    providers: Providers
    clock: Callable[[], datetime]


def build_app(parts: Parts) -> Starlette:
    """Join the endpoints of the providers that have credentials."""
    routes = [
        Route(
            PATH + "/{address_id}/{proof}",
            unsubscribe(parts.vault, parts.book),
            methods=["GET", "POST"],
        ),
        Route("/callbacks/webpush/key", webpush_key(parts.providers.webpush_key)),
    ]
    wechat, wecom, sms = parts.providers.wechat, parts.providers.wecom, parts.providers.sms
    if wechat is not None:
        routes.append(_events(parts, "/callbacks/wechat", ChannelKind.WECHAT, wechat.crypto))
    if wecom is not None and wecom.crypto is not None:
        routes.append(_events(parts, "/callbacks/wecom", ChannelKind.WECOM_APP, wecom.crypto))
    if sms is not None:
        receipts = sms_receipts(sms, parts.database, parts.receipts, parts.clock)
        routes.append(Route("/callbacks/sms", receipts, methods=["POST"]))
    return Starlette(routes=routes)


def _events(parts: Parts, path: str, channel: ChannelKind, crypto: CallbackCrypto) -> Route:
    events = Events(channel, parts.database, parts.book, parts.receipts, parts.replies, parts.clock)
    callback = wechat_callback(crypto, events.handle, clock=parts.clock)
    return Route(path, callback, methods=["GET", "POST"])
