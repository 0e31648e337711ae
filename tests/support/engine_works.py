"""The parts behind the API on a real PostgreSQL, with a clock that is set by hand and channels that follow a script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from notifications.addressbook import AddressBook
from notifications.domain.notice import State
from notifications.domain.preferences import Preferences
from notifications.domain.sending import Address, ChannelKind, Limits, Message, Outcome, Sent
from notifications.engine.engine import Engine, EngineSettings
from notifications.engine.preparing import Links, Preparer
from notifications.intake import Intake
from notifications.receipts import Receipts
from notifications.store.preferences import PreferenceStore
from notifications.store.templates import TemplateStore
from notifications.store.told import DeliveryReader
from notifications.templatebook import TemplateBook
from notifications.vault import open_vault
from smartex.notifications.v1 import notice_pb2 as pb
from smartex_store import Database

START = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
"""Noon in Shanghai."""
TOKENS = {ChannelKind.FCM: "f", ChannelKind.APNS: "a", ChannelKind.EMAIL: "e", ChannelKind.SMS: "s"}


class Clock:
    """Tells the time that was set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **parts: float) -> None:
        self.now += timedelta(**parts)


@dataclass
class Scripted:
    """A channel that answers by a script, then with `Sent`."""

    kind: ChannelKind
    script: list[Outcome] = field(default_factory=list)
    idempotent: bool = False
    limits: Limits = field(default_factory=Limits)
    sent: list[tuple[str, Message]] = field(default_factory=list)
    on_send: Callable[[Message], Any] | None = None

    async def send(self, address: Address, message: Message) -> Outcome:
        if (
            message.kind == "account.verification"
        ):  # a code of `reach`: the engine may be faster than its removal
            return Sent("code")
        self.sent.append((address.value, message))
        if self.on_send is not None:
            await self.on_send(message)
        return self.script.pop(0) if self.script else Sent(f"{self.kind}-{len(self.sent)}")

    async def close(self) -> None:
        """Nothing to close."""

    @property
    def ids(self) -> list[str]:
        """The deliveries that were sent, in their order."""
        return [message.delivery_id for _, message in self.sent]


class Works:
    """Everything but the API."""

    def __init__(self, database: Database, folder: Path, *channels: Scripted, pod: str = "one") -> None:
        self.database = database
        self.clock = Clock()
        self.channels = {channel.kind: channel for channel in channels}
        self.vault = open_vault(folder / "addresses.key")
        self.book = TemplateBook(TemplateStore(database))
        configured = frozenset(self.channels)
        self.intake = Intake(self.book, configured, self.clock)
        self.addresses = AddressBook(database, self.vault, configured, self.clock)
        self.reader = DeliveryReader(database)
        self.engine = self.new_engine(pod)
        self.receipts = Receipts(self.engine.recorder, self.clock)

    def new_engine(self, pod: str, *, lease: float = 30.0) -> Engine:
        preparer = Preparer(self.book, self.vault, Links(), lambda name: name)
        settings = EngineSettings(pod, max_sending=16, lease_seconds=lease, stop_seconds=2.0)
        return Engine(self.database, self.channels, preparer, settings, self.clock, lambda: 0.0)

    async def reach(self, account: int, *channels: ChannelKind, devices: int = 1) -> None:
        """Give an account verified addresses."""
        for channel in channels:
            for device in range(devices):
                value = f"{TOKENS[channel]}{account}-{device}".ljust(20, "x")
                value = {
                    ChannelKind.EMAIL: f"{value}@example.com",
                    ChannelKind.SMS: f"+86138{account:04d}{device:04d}",
                    ChannelKind.APNS: f"{account:032x}{device:032x}",
                }.get(channel, value)
                await self.addresses.add(account, channel, value, {}, "")
        await self.database.execute(
            "UPDATE notifications.addresses SET state = 2, consent_time = create_time WHERE state = 1"
        )
        # The codes are none of these tests' business.
        await self.database.execute("DELETE FROM notifications.deliveries WHERE direct")

    async def prefer(self, account: int, wanted: Preferences) -> None:
        await PreferenceStore(self.database).set(account, wanted, self.clock())

    async def tell(self, *notices: pb.Notice) -> None:
        async with self.database.transaction() as connection:
            await self.intake.take_in(connection, notices)
        self.engine.wake()

    def notice(
        self, notice_id: str, account: int = 1, urgency: int = pb.URGENCY_HIGH, **fields: Any
    ) -> pb.Notice:
        made = pb.Notice(
            notice_id=notice_id,
            account_id=account,
            kind=fields.pop("kind", "positions.concentration"),
            urgency=urgency,  # type: ignore[arg-type]
            **fields,
        )
        made.cause_time.FromDatetime(self.clock())
        made.values.add(name="name").local_text.CopyFrom(pb.LocalText(zh="茅台", en="Moutai"))
        return made

    async def deliveries(self, notice_id: str = "") -> list[Any]:
        """Deliveries but those of the inbox, oldest first."""
        rows = await self.reader.page(0, notice_id, 0, before=2**63 - 1, limit=10_000)
        return [row for row in reversed(rows) if row["channel"] != "inbox"]

    async def settle(self, *states: State, within: float = 60.0) -> list[Any]:
        """Wait until every delivery stands in one of these states; returns them."""
        waited = 0.0
        while True:
            rows = await self.deliveries()
            if rows and all(row["state"] in states for row in rows):
                return rows
            if waited > within:
                raise TimeoutError([(row["channel"], row["state"], row["state_reason"]) for row in rows])
            self.engine.wake()
            await asyncio.sleep(0.02)
            waited += 0.02

    async def later(self, within: float = 60.0, **parts: float) -> list[Any]:
        """Set the clock ahead and wait until nothing that is due waits any more."""
        self.clock.advance(**parts)
        waited = 0.0
        while True:
            rows = await self.deliveries()
            due = [
                row
                for row in rows
                if row["state"] == State.SENDING
                or (row["state"] == State.WAITING and row["due_time"] <= self.clock.now)
            ]
            if not due:
                return rows
            if waited > within:
                raise TimeoutError([(row["channel"], row["state"], row["state_reason"]) for row in due])
            self.engine.wake()
            await asyncio.sleep(0.02)
            waited += 0.02


def states(rows: Sequence[Any]) -> list[State]:
    """The states of deliveries."""
    return [State(row["state"]) for row in rows]
