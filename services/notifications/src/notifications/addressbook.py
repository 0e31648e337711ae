"""Addresses added, proved, linked and removed; every change in one transaction."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from smartex.notifications.v1 import notice_pb2 as pb
from smartex_chassis import FailedPrecondition, FieldViolation, InvalidInput, NotFound, Overloaded
from smartex_store import Connection, Database

from notifications import contract
from notifications.domain import addresses
from notifications.domain.addresses import (
    CODE_LIFE,
    CODE_PAUSE,
    DEVICES,
    MOST_ADDRESSES,
    MOST_CODES_A_DAY,
    MOST_TRIES,
    SPOKEN_FROM,
    AddressState,
)
from notifications.domain.decide import Planned
from notifications.domain.notice import VERIFICATION, State
from notifications.domain.sending import ChannelKind
from notifications.domain.supersede import Newest
from notifications.store import addresses as store
from notifications.store import deliveries, notices
from notifications.vault import Vault

SCENE_LIFE: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class Scene:
    """What a QR code carries, once: who scans it is linked."""

    text: str
    expire_time: datetime


class AddressBook:
    """The addresses of all accounts."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        configured: frozenset[ChannelKind],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._vault = vault
        self._configured = configured
        self._clock = clock

    async def listed(self, account_id: int) -> list[Any]:
        """An account's addresses, oldest first."""
        return await store.listed(self._database, account_id)

    async def add(
        self, account_id: int, channel: ChannelKind, value: str, hidden: Mapping[str, str], label: str
    ) -> Any:
        """Add an address; one that is there already is the same one. A code is sent unless it is a device."""
        value = value.strip()
        wrong = list(addresses.problems(channel, value, hidden, label))
        if wrong:
            raise InvalidInput(
                "; ".join(f"{field}: {why}" for field, why in wrong),
                field_violations=[FieldViolation(field, why) for field, why in wrong],
            )
        if channel not in self._configured:
            raise FailedPrecondition(
                f"this exchange cannot send on {channel}: ask its operator", reason="NO_CREDENTIALS"
            )
        value = addresses.canonical(channel, value)
        async with self._database.transaction() as connection:
            await store.lock_account(connection, account_id)
            address_id = await self._put(connection, account_id, channel, value, hidden, label)
            row = await self._own(connection, account_id, address_id)
            if row["state"] == AddressState.UNVERIFIED:
                await self._send_code(connection, row)
            return await store.get(connection, account_id, address_id)

    async def verify(self, account_id: int, address_id: str, given: str) -> Any:
        """Prove an address by its code."""
        now = self._clock()
        async with self._database.transaction() as connection:
            await store.lock_account(connection, account_id)
            row = await self._own(connection, account_id, address_id)
            if row["state"] == AddressState.VERIFIED:
                return row
            if not _code_lives(row, now):
                raise FailedPrecondition(
                    "the code has expired, or five wrong ones ended it: add the address again for another",
                    reason="CODE_EXPIRED",
                )
            expected = addresses.code(self._vault.codes, address_id, row["code_nonce"])
            right = addresses.code_fits(expected, given.strip())
            if right:
                await self._take_from_others(connection, row)
                await store.verify(connection, address_id, now)
            else:
                await store.count_try(connection, address_id)
        if not right:
            left = MOST_TRIES - row["code_tries"] - 1
            raise FailedPrecondition(
                f"this is not the code; {left} tries are left", reason="CODE_WRONG", metadata={"left": left}
            )
        return await store.get(self._database, account_id, address_id)

    async def remove(self, account_id: int, address_id: str) -> None:
        """Remove an address of an account; again, it stays removed."""
        async with self._database.transaction() as connection:
            row = await self._own(connection, account_id, address_id, removed=True)
            await store.remove(connection, [row["address_id"]], "REMOVED by its owner", self._clock())

    async def unsubscribe(self, address_id: str) -> bool:
        """Remove an address by the link in a message; False if it was removed before."""
        async with self._database.transaction() as connection:
            return await self._remove_any(connection, address_id, "UNSUBSCRIBED by its owner")

    async def make_scene(self, account_id: int) -> Scene:
        """Return a new scene for linking WeChat; an older one of the account works no more."""
        now = self._clock()
        scene = Scene(f"link-{secrets.token_urlsafe(24)}", now + SCENE_LIFE)
        async with self._database.transaction() as connection:
            await store.put_scene(connection, _digest(scene.text), account_id, now, scene.expire_time)
        return scene

    async def link(self, connection: Connection, openid: str, scene: str) -> int | None:
        """Link who scanned a scene; returns the account, or None if the scene does not work."""
        account_id = await store.take_scene(connection, _digest(scene), self._clock())
        if account_id is None:
            return None
        await store.lock_account(connection, account_id)
        await self._put(connection, account_id, ChannelKind.WECHAT, openid, {}, "WeChat")
        return account_id

    async def account_of(
        self, connection: Connection | Database, channel: ChannelKind, value: str
    ) -> int | None:
        """Return the account that a user of WeChat or WeCom speaks for."""
        fingerprint = self._vault.fingerprint(channel, value)
        rows = await store.of_value(connection, channel, fingerprint)
        return next((row["account_id"] for row in rows if row["state"] == AddressState.VERIFIED), None)

    async def forget(self, connection: Connection, channel: ChannelKind, value: str, reason: str) -> int:
        """Remove an address wherever it is used, e.g. of who follows no more; returns how many there were."""
        rows = await store.of_value(connection, channel, self._vault.fingerprint(channel, value))
        await store.remove(connection, [row["address_id"] for row in rows], reason, self._clock())
        return len(rows)

    async def _own(
        self, connection: Connection, account_id: int, address_id: str, *, removed: bool = False
    ) -> Any:
        row = await store.get(connection, account_id, address_id)
        if row is None or (row["state"] == AddressState.REMOVED and not removed):
            raise NotFound("no such address, or not yours", reason="ADDRESS_UNKNOWN")
        return row

    async def _remove_any(self, connection: Connection, address_id: str, reason: str) -> bool:
        state = await connection.fetchval(
            "SELECT state FROM notifications.addresses WHERE address_id = $1", address_id
        )
        await store.remove(connection, [address_id], reason, self._clock())
        return state is not None and state != AddressState.REMOVED

    async def _put(
        self,
        connection: Connection,
        account_id: int,
        channel: ChannelKind,
        value: str,
        hidden: Mapping[str, str],
        label: str,
    ) -> str:
        """Write an address, if it is not there, and take a device from who had it before; returns its id."""
        fingerprint = self._vault.fingerprint(channel, value)
        at_once = channel in DEVICES or channel is ChannelKind.WECHAT
        if at_once:
            await self._move(connection, account_id, channel, fingerprint)
        known = await store.find(connection, account_id, channel, fingerprint)
        if known is not None:
            sealed = self._vault.seal(known["address_id"], value, hidden)
            await store.renew(connection, known["address_id"], sealed, label)
            return str(known["address_id"])
        if await store.count(connection, account_id) >= MOST_ADDRESSES:
            raise FailedPrecondition(
                f"an account has at most {MOST_ADDRESSES} addresses: remove one", reason="TOO_MANY_ADDRESSES"
            )
        address_id = secrets.token_hex(16)
        await store.insert(
            connection,
            address_id,
            account_id,
            channel,
            fingerprint,
            self._vault.seal(address_id, value, hidden),
            addresses.masked(channel, value),
            label,
            AddressState.VERIFIED if at_once else AddressState.UNVERIFIED,
            self._clock(),
        )
        return address_id

    async def _take_from_others(self, connection: Connection, row: Any) -> None:
        """Let an address that readers answer from, and that was just proved, be of this account alone."""
        channel = ChannelKind(row["channel"])
        if channel in SPOKEN_FROM:
            value = self._vault.open(row["address_id"], row["sealed"]).value
            await self._move(connection, row["account_id"], channel, self._vault.fingerprint(channel, value))

    async def _move(
        self, connection: Connection, account_id: int, channel: ChannelKind, fingerprint: bytes
    ) -> None:
        others = await store.of_value(connection, channel, fingerprint)
        moved = [row["address_id"] for row in others if row["account_id"] != account_id]
        await store.remove(connection, moved, "MOVED to another account", self._clock())

    async def _send_code(self, connection: Connection, row: Any) -> None:
        """Send a code unless one was sent a moment ago."""
        now = self._clock()
        if row["code_time"] is not None and now - row["code_time"] < CODE_PAUSE:
            return
        if (
            await store.codes_since(connection, row["account_id"], now - timedelta(days=1))
            >= MOST_CODES_A_DAY
        ):
            raise Overloaded(
                "too many codes were sent today: try again tomorrow",
                reason="TOO_MANY_CODES",
                retry_after=timedelta(days=1),
            )
        nonce = secrets.token_hex(8)
        await store.set_code(connection, row["address_id"], nonce, now)
        await _enqueue_code(connection, row, nonce, now)


def _code_lives(row: Any, now: datetime) -> bool:
    lives = row["code_time"] is not None and now - row["code_time"] < CODE_LIFE
    return lives and row["code_tries"] < MOST_TRIES


async def _enqueue_code(connection: Connection, row: Any, nonce: str, now: datetime) -> None:
    """Put the delivery of a code into the queue; the code itself is worked out when it is sent."""
    message = pb.Notice(
        notice_id=f"verify:{row['address_id']}:{nonce}",
        account_id=row["account_id"],
        kind=VERIFICATION,
        urgency=pb.URGENCY_HIGH,
        supersede_key=f"verify:{row['address_id']}",
        trace_id=secrets.token_hex(16),
        cause_time=contract.stamp(now),
        expire_time=contract.stamp(now + CODE_LIFE),
    )
    notice = contract.notice(message)
    await notices.insert(connection, [notices.Taken(notice, message.SerializeToString())], now)
    newest = Newest(notice.notice_id, notice.cause_time, withdrawn=False)
    await deliveries.supersede(connection, {(notice.account_id, notice.supersede_key): newest})
    plan = Planned(ChannelKind(row["channel"]), row["address_id"], State.WAITING, "", now)
    await deliveries.insert(connection, [deliveries.row_of(notice, plan, direct=True)], now)
    await notices.tell(connection, due=True)


def _digest(scene: str) -> bytes:
    return hashlib.sha256(scene.encode()).digest()
