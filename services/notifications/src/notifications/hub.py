"""Open inbox streams of this pod, and which of them have something new."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final

from smartex_chassis import Overloaded, gauge
from smartex_store import Database

from notifications.signals import EVERYTHING, Refreshing

MOST_PER_ACCOUNT: Final = 16
MOST_STREAMS: Final = 20_000

_POSITIONS = "SELECT account_id, position FROM notifications.inboxes WHERE account_id = ANY($1::bigint[])"

_open = gauge("notifications_inbox_subscribers", "Inbox streams that are open on this pod")


class Reader:
    """One open stream. It looks into the tables itself; this only tells when."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Tell the stream to look."""
        self._changed.set()

    async def changed(self) -> None:
        """Wait until there may be something new since the last call."""
        await self._changed.wait()
        self._changed.clear()


class InboxHub:
    """Wakes readers by the signals of the tables; where some may have been missed, by the inboxes' positions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._readers: dict[int, list[Reader]] = {}
        self._positions: dict[int, int] = {}
        self._looking = Refreshing("notifications-hub", self._wake_changed)

    @contextlib.contextmanager
    def reading(self, account_id: int) -> Iterator[Reader]:
        """A reader of an account's inbox; `Overloaded` if it has too many open."""
        mine = self._readers.get(account_id, [])
        if len(mine) >= MOST_PER_ACCOUNT:
            raise Overloaded(
                f"this account has {MOST_PER_ACCOUNT} inbox streams open: close one",
                reason="TOO_MANY_STREAMS",
            )
        if sum(map(len, self._readers.values())) >= MOST_STREAMS:
            raise Overloaded(
                "this pod has too many inbox streams open: try another", reason="TOO_MANY_STREAMS"
            )
        reader = Reader()
        self._readers.setdefault(account_id, []).append(reader)
        _open.inc()
        try:
            yield reader
        finally:
            _open.dec()
            self._drop(account_id, reader)

    def wake(self, payload: str) -> None:
        """Wake the readers of the accounts in a signal of `notifications_inbox`; of `*` look which."""
        if payload == EVERYTHING:
            self._looking.wake(payload)
            return
        for account in payload.split(","):
            for reader in self._readers.get(int(account), ()):
                reader.wake()

    async def start(self) -> None:
        """Begin to look."""
        await self._looking.start()

    async def stop(self) -> None:
        """Stop looking; streams end by themselves."""
        await self._looking.stop()

    async def _wake_changed(self) -> None:
        rows = await self._database.fetch(_POSITIONS, list(self._readers)) if self._readers else []
        for row in rows:
            account, position = row["account_id"], row["position"]
            readers = self._readers.get(account, [])
            if readers and self._positions.get(account) != position:
                self._positions[account] = position
                for reader in readers:
                    reader.wake()

    def _drop(self, account_id: int, reader: Reader) -> None:
        readers = self._readers[account_id]
        readers.remove(reader)
        if not readers:
            del self._readers[account_id]
            self._positions.pop(account_id, None)
