"""ListInbox, StreamInbox and MarkRead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from smartex.notifications.v1 import notice_pb2 as notice_pb
from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex_chassis import InvalidInput
from smartex_chassis.pages import make_token, page_size, read_token

from notifications.api.validation import checked_id, own_account
from notifications.contract import stamp
from notifications.hub import InboxHub
from notifications.store.inbox import Inbox

MOST_MARKED = 1000
_LARGEST = 2**63 - 1
_BATCH = 500


class InboxApi:
    """The caller's own inbox."""

    scopes: ClassVar[Mapping[str, str]] = {"ListInbox": "read", "StreamInbox": "read", "MarkRead": "trade"}

    def __init__(self, inbox: Inbox, hub: InboxHub, clock: Callable[[], datetime]) -> None:
        self._inbox = inbox
        self._hub = hub
        self._clock = clock

    async def ListInbox(self, request: pb.ListInboxRequest, context: object) -> pb.ListInboxResponse:  # noqa: N802
        """A page of entries, newest first."""
        account = own_account(context)
        size = page_size(request.page_size)
        scope = ("inbox", account, request.unread_only)
        key = read_token(scope, request.page_token)
        found = await self._inbox.page(
            account, before=key[0] if key else _LARGEST, limit=size + 1, unread_only=request.unread_only
        )
        page = found[:size]
        return pb.ListInboxResponse(
            entries=[_entry(row) for row in page],
            next_page_token=make_token(scope, page[-1]["arrival"]) if len(found) > size else "",
            unread_count=(await self._inbox.standing(account)).unread,
        )

    async def StreamInbox(  # noqa: N802
        self, request: pb.StreamInboxRequest, context: object
    ) -> AsyncIterator[pb.StreamInboxResponse]:
        """What is new since a position, then what comes."""
        account = own_account(context)
        if request.after_position < 0:
            raise InvalidInput(
                "after_position: give a position, or 0 for what comes from now on", field="after_position"
            )
        with self._hub.reading(account) as reader:
            standing = await self._inbox.standing(account)
            # A position from the future would hide all that comes until then.
            seen = min(request.after_position or standing.position, standing.position)
            if seen == standing.position:
                yield pb.StreamInboxResponse(unread_count=standing.unread)
            while True:
                rows = await self._inbox.since(account, seen, _BATCH)
                unread = (await self._inbox.standing(account)).unread if rows else 0
                for row in rows:
                    yield pb.StreamInboxResponse(entry=_entry(row), unread_count=unread)
                    seen = row["position"]
                if len(rows) < _BATCH:
                    await reader.changed()

    async def MarkRead(self, request: pb.MarkReadRequest, context: object) -> pb.MarkReadResponse:  # noqa: N802
        """Mark entries as read on every device. Ids that are unknown or somebody else's have no effect."""
        account = own_account(context)
        if len(request.notice_ids) > MOST_MARKED:
            raise InvalidInput(f"notice_ids: give at most {MOST_MARKED}", field="notice_ids")
        if request.up_to_position < 0:
            raise InvalidInput("up_to_position: must not be negative", field="up_to_position")
        if not request.notice_ids and not request.up_to_position:
            raise InvalidInput("notice_ids: say which, or give up_to_position", field="notice_ids")
        ids = [checked_id(one, f"notice_ids[{at}]") for at, one in enumerate(request.notice_ids)]
        unread = await self._inbox.mark_read(account, ids, request.up_to_position, self._clock())
        return pb.MarkReadResponse(unread_count=unread)


def _entry(row: Any) -> pb.InboxEntry:
    card = notice_pb.Notice.FromString(row["content"]).card
    return pb.InboxEntry(
        position=row["position"],
        notice_id=row["notice_id"],
        kind=row["kind"],
        urgency=row["urgency"],
        title=row["title"],
        body=row["body"],
        card=card if card.ByteSize() else None,
        create_time=stamp(row["create_time"]),
        read_time=stamp(row["read_time"]),
        expire_time=stamp(row["expire_time"]),
        superseded=row["superseded"],
        trace_id=row["trace_id"],
    )
