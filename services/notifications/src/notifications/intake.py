"""Notices taken in: written once, put in the inbox, and decided upon, all in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from opentelemetry import trace
from smartex.notifications.v1 import notice_pb2 as pb
from smartex_chassis import counter
from smartex_store import Connection

from notifications import contract
from notifications.domain import supersede
from notifications.domain.decide import Planned, Target, decide
from notifications.domain.notice import Notice, State
from notifications.domain.preferences import Preferences
from notifications.domain.sending import ChannelKind
from notifications.domain.supersede import Key, Newest
from notifications.store import addresses, deliveries, inbox, notices
from notifications.store import preferences as preference_store
from notifications.store.deliveries import Row
from notifications.store.inbox import Counter, Entry
from notifications.store.notices import Taken
from notifications.templatebook import TemplateBook

Clock: TypeAlias = Callable[[], datetime]

_taken = counter("notifications_notices_total", "Notices taken in")
_repeats = counter("notifications_repeated_notices_total", "Notices that had been taken in before")
_decided = counter(
    "notifications_deliveries_decided_total", "Deliveries decided, by channel and state", ("channel", "state")
)


@dataclass(frozen=True)
class _Readers:
    """What is known of the readers of a batch."""

    preferences: dict[int, Preferences]
    targets: dict[int, list[Target]]

    def wants(self, account_id: int) -> Preferences:
        return self.preferences.get(account_id, preference_store.HOUSE)


class Intake:
    """Takes notices in. `configured` are the channels that have credentials.

    Ids are remembered for as long as notices are kept, `kept`. What happened before that counts as taken in before,
    so that a repeat is known however late it comes. None: for ever.
    """

    def __init__(
        self,
        book: TemplateBook,
        configured: frozenset[ChannelKind],
        clock: Clock,
        kept: timedelta | None = None,
    ) -> None:
        self._book = book
        self._configured = configured
        self._clock = clock
        self._kept = kept

    async def enqueue(self, connection: Connection, message: pb.Notice) -> bool:
        """Take one notice in within a transaction; False if it had been taken before. `contract.Malformed`."""
        return bool(await self._take_in(connection, {message.notice_id: _read(message, _trace_of_caller())}))

    async def take_in(self, connection: Connection, messages: Sequence[pb.Notice]) -> set[str]:
        """Take notices in within a transaction; returns the ids of the new ones. `contract.Malformed`."""
        taken: dict[str, Taken] = {}
        for message in messages:
            taken.setdefault(message.notice_id, _read(message, ""))
        _repeats.inc(len(messages) - len(taken))
        return await self._take_in(connection, taken)

    async def _take_in(self, connection: Connection, taken: Mapping[str, Taken]) -> set[str]:
        now = self._clock()
        young = [one for one in taken.values() if not self._is_forgotten(one.notice, now)]
        new = await notices.insert(connection, young, now) if young else set()
        _taken.inc(len(new))
        _repeats.inc(len(taken) - len(new))
        fresh = [one.notice for one in taken.values() if one.notice.notice_id in new]
        if fresh:
            await self._write(connection, fresh, now)
        return new

    def _is_forgotten(self, notice: Notice, now: datetime) -> bool:
        return self._kept is not None and notice.cause_time < now - self._kept

    async def _write(self, connection: Connection, fresh: list[Notice], now: datetime) -> None:
        accounts = {notice.account_id for notice in fresh}
        counters = await inbox.lock(connection, accounts)
        newest = await _newest(connection, fresh)
        await inbox.supersede(connection, counters, ((key, one.notice_id) for key, one in newest.items()))
        await deliveries.supersede(connection, newest)
        readers = _Readers(
            await preference_store.of_accounts(connection, accounts),
            await addresses.targets(connection, accounts),
        )
        told = [notice for notice in fresh if not notice.withdrawn]
        entries = [self._entry(notice, newest, counters, readers) for notice in told]
        await inbox.insert(connection, entries, now)
        await inbox.save(connection, counters)
        rows = [row for notice in told for row in self._deliveries(notice, newest, readers, now)]
        await deliveries.insert(connection, rows, now)
        for row in rows:
            _decided.labels(row.channel, row.state.name).inc()
        due = any(row.state is State.WAITING for row in rows)
        await notices.tell(connection, accounts, due=due)

    def _entry(
        self, notice: Notice, newest: dict[Key, Newest], counters: dict[int, Counter], readers: _Readers
    ) -> Entry:
        counter_ = counters[notice.account_id]
        said = self._book.say(notice, readers.wants(notice.account_id))
        replaced = bool(supersede.replaced_by(notice, newest))
        counter_.unread += not replaced
        return Entry(
            notice.account_id,
            notice.notice_id,
            counter_.next(),
            said.title,
            said.body,
            replaced,
            notice.supersede_key,
        )

    def _deliveries(
        self, notice: Notice, newest: dict[Key, Newest], readers: _Readers, now: datetime
    ) -> list[Row]:
        targets = readers.targets.get(notice.account_id, [])
        plans = decide(notice, readers.wants(notice.account_id), targets, self._configured, now)
        replaced = supersede.replaced_by(notice, newest)
        if replaced:
            plans = [_replaced(plan, replaced) for plan in plans]
        in_inbox = Planned(ChannelKind.INBOX, "", State.DELIVERED, "", now)
        return [deliveries.row_of(notice, plan) for plan in (in_inbox, *plans)]


async def _newest(connection: Connection, fresh: Sequence[Notice]) -> dict[Key, Newest]:
    keys = {key for notice in fresh if (key := supersede.key_of(notice)) is not None}
    stored = await notices.newest(connection, keys, [notice.notice_id for notice in fresh])
    return supersede.newest(fresh, stored)


def _replaced(plan: Planned, reason: str) -> Planned:
    return replace(plan, state=State.SUPERSEDED, reason=reason) if plan.state is State.WAITING else plan


def _read(message: pb.Notice, trace_id: str) -> Taken:
    """A notice of a message. One that belongs to no chain is given `trace_id`, or begins one of its own."""
    notice = contract.notice(message)
    if not notice.trace_id:
        told = pb.Notice()
        told.CopyFrom(message)
        told.trace_id = trace_id or secrets.token_hex(16)
        message, notice = told, replace(notice, trace_id=told.trace_id)
    return Taken(notice, message.SerializeToString())


def _trace_of_caller() -> str:
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""
