"""What WeChat and WeCom tell: links, farewells, receipts and words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog
from smartex_chassis import FailedPrecondition
from smartex_store import Connection, Database

from notifications.addressbook import AddressBook
from notifications.callbacks.replies import LINK_EXPIRED, LINKED, NOT_LINKED, TOO_MANY_ADDRESSES, Replies
from notifications.channels.wechat import events as told
from notifications.domain.sending import ChannelKind
from notifications.receipts import Receipt, Receipts
from notifications.store.receipts import first_time

_LONGEST_TEXT: Final = 4000

_log = structlog.get_logger("notifications.callbacks")


class Events:
    """Handles the events of one provider. One that comes again has no second effect: its key is kept with it."""

    def __init__(
        self,
        channel: ChannelKind,
        database: Database,
        book: AddressBook,
        receipts: Receipts,
        replies: Replies,
        clock: Callable[[], datetime],
    ) -> None:
        self._channel = channel
        self._database = database
        self._book, self._receipts, self._replies = book, receipts, replies
        self._clock = clock

    async def handle(self, event: told.CallbackEvent) -> str:
        """Take an event; returns the text to answer the user with. What raises is told again by the provider."""
        async with self._database.transaction() as connection:
            if not await first_time(connection, f"{self._channel}:{event.key}", self._clock()):
                return ""
            return await self._take(connection, event)

    async def _take(self, connection: Connection, event: told.CallbackEvent) -> str:
        match event:
            case told.Followed(scene=scene) | told.Scanned(scene=scene):
                return await self._scanned(connection, event.user, scene)
            case told.Unfollowed():
                await self._book.forget(connection, self._channel, event.user, "UNFOLLOWED")
            case told.Receipt():
                await self._receipt(connection, event)
            case told.TextReceived():
                return await self._text(connection, event)
        return ""

    async def _scanned(self, connection: Connection, openid: str, scene: str) -> str:
        if not scene:
            # Who is linked may follow again, or be told of again: nothing is asked of them.
            linked_to = await self._book.account_of(connection, self._channel, openid)
            return NOT_LINKED if linked_to is None else ""
        try:
            linked = await self._book.link(connection, openid, scene) is not None
        except FailedPrecondition:
            # Told again by WeChat it would fail again; the reader can do something about it.
            return TOO_MANY_ADDRESSES
        _log.info("wechat_scanned", linked=linked)
        return LINKED if linked else LINK_EXPIRED

    async def _receipt(self, connection: Connection, event: told.Receipt) -> None:
        delivered = event.status is told.ReceiptStatus.DELIVERED
        if event.status is told.ReceiptStatus.BLOCKED:
            await self._book.forget(connection, self._channel, event.user, "BLOCKED by the reader")
        await self._receipts.take(
            connection, Receipt(self._channel, event.provider_id, delivered, event.detail)
        )

    async def _text(self, connection: Connection, event: told.TextReceived) -> str:
        account = await self._book.account_of(connection, self._channel, event.user)
        if account is None:
            return NOT_LINKED
        return await self._replies.on_text(account, event.text[:_LONGEST_TEXT], event.key)
