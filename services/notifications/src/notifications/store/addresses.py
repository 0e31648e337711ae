"""Where investors are reached. Values lie here sealed; see `vault.py`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from smartex_store import Connection, Database

from notifications.domain.addresses import AddressState
from notifications.domain.decide import Target
from notifications.domain.sending import ChannelKind

_COLUMNS = (
    "address_id, account_id, channel, masked, label, state, create_time, consent_time, remove_reason, "
    "sealed, code_nonce, code_time, code_tries"
)


async def targets(connection: Connection, accounts: Collection[int]) -> dict[int, list[Target]]:
    """Return the verified addresses of accounts, oldest first."""
    rows = await connection.fetch(
        """
        SELECT account_id, address_id, channel FROM notifications.addresses
         WHERE account_id = ANY($1::bigint[]) AND state = 2 ORDER BY number
        """,
        list(accounts),
    )
    found: dict[int, list[Target]] = {}
    for row in rows:
        found.setdefault(row["account_id"], []).append(Target(row["address_id"], ChannelKind(row["channel"])))
    return found


async def lock_account(connection: Connection, account_id: int) -> None:
    """Let changes of an account's addresses wait for one another."""
    await connection.execute("SELECT pg_advisory_xact_lock(7402, hashint8($1))", account_id)


async def get(connection: Connection | Database, account_id: int, address_id: str) -> Any | None:
    """Return an account's address, removed or not; None if it is unknown or somebody else's."""
    return await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM notifications.addresses WHERE account_id = $1 AND address_id = $2",
        account_id,
        address_id,
    )


async def find(
    connection: Connection, account_id: int, channel: ChannelKind, fingerprint: bytes
) -> Any | None:
    """Return the address in use that has this fingerprint."""
    return await connection.fetchrow(
        f"""
        SELECT {_COLUMNS} FROM notifications.addresses
         WHERE account_id = $1 AND channel = $2 AND fingerprint = $3 AND state < 3
        """,
        account_id,
        channel,
        fingerprint,
    )


async def listed(database: Database, account_id: int) -> list[Any]:
    """Return an account's addresses, oldest first; of the removed ones the last hundred."""
    return await database.fetch(
        f"""
        SELECT {_COLUMNS}, number FROM (
            (SELECT * FROM notifications.addresses WHERE account_id = $1 AND state < 3)
             UNION ALL
            (SELECT * FROM notifications.addresses WHERE account_id = $1 AND state = 3 ORDER BY number DESC LIMIT 100)
        ) AS every ORDER BY number
        """,
        account_id,
    )


async def count(connection: Connection, account_id: int) -> int:
    """Return how many addresses an account has that are not removed."""
    found: int = await connection.fetchval(
        "SELECT count(*) FROM notifications.addresses WHERE account_id = $1 AND state < 3", account_id
    )
    return found


async def codes_since(connection: Connection, account_id: int, since: datetime) -> int:
    """Return how many codes an account was sent since a time."""
    found: int = await connection.fetchval(
        """
        SELECT count(*) FROM notifications.deliveries
         WHERE account_id = $1 AND direct AND channel <> 'inbox' AND create_time > $2
        """,
        account_id,
        since,
    )
    return found


async def insert(
    connection: Connection,
    address_id: str,
    account_id: int,
    channel: ChannelKind,
    fingerprint: bytes,
    sealed: bytes,
    masked: str,
    label: str,
    state: AddressState,
    now: datetime,
) -> None:
    """Add an address; one that is verified at once has its owner's consent."""
    await connection.execute(
        """
        INSERT INTO notifications.addresses
               (address_id, account_id, channel, fingerprint, sealed, masked, label, state, create_time, consent_time)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8::smallint, $9, CASE WHEN $8::smallint = 2 THEN $9::timestamptz END)
        """,
        address_id,
        account_id,
        channel,
        fingerprint,
        sealed,
        masked,
        label,
        int(state),
        now,
    )


async def renew(connection: Connection, address_id: str, sealed: bytes, label: str) -> None:
    """Note new secrets and the label of an address that was added again."""
    await connection.execute(
        """
        UPDATE notifications.addresses SET sealed = $2, label = coalesce(nullif($3, ''), label)
         WHERE address_id = $1
        """,
        address_id,
        sealed,
        label,
    )


async def set_code(connection: Connection, address_id: str, nonce: str, now: datetime) -> None:
    """Note a new code; tries begin again."""
    await connection.execute(
        "UPDATE notifications.addresses SET code_nonce = $2, code_time = $3, code_tries = 0 WHERE address_id = $1",
        address_id,
        nonce,
        now,
    )


async def count_try(connection: Connection, address_id: str) -> None:
    """Note a wrong code."""
    await connection.execute(
        "UPDATE notifications.addresses SET code_tries = code_tries + 1 WHERE address_id = $1", address_id
    )


async def verify(connection: Connection, address_id: str, now: datetime) -> None:
    """Note that an address is its account's; it has consented."""
    await connection.execute(
        """
        UPDATE notifications.addresses SET state = 2, consent_time = $2, code_nonce = '', code_time = NULL
         WHERE address_id = $1 AND state = 1
        """,
        address_id,
        now,
    )


async def remove(connection: Connection, address_ids: Collection[str], reason: str, now: datetime) -> None:
    """Remove addresses: what they hold is forgotten, that they were there and why they went is kept."""
    await connection.execute(
        """
        UPDATE notifications.addresses
           SET state = 3, remove_time = $3, remove_reason = $2, sealed = '', code_nonce = ''
         WHERE address_id = ANY($1::text[]) AND state < 3
        """,
        list(address_ids),
        reason,
        now,
    )


async def of_value(connection: Connection | Database, channel: ChannelKind, fingerprint: bytes) -> list[Any]:
    """Return the addresses in use of any account that have this fingerprint."""
    return await connection.fetch(
        f"SELECT {_COLUMNS} FROM notifications.addresses WHERE channel = $1 AND fingerprint = $2 AND state < 3",
        channel,
        fingerprint,
    )


async def put_scene(
    connection: Connection, digest: bytes, account_id: int, now: datetime, expire_time: datetime
) -> None:
    """Note the scene of a QR code; the account's older ones, and all that have expired, work no more."""
    await connection.execute(
        "DELETE FROM notifications.wechat_scenes WHERE account_id = $1 OR expire_time < $2", account_id, now
    )
    await connection.execute(
        "INSERT INTO notifications.wechat_scenes VALUES ($1, $2, $3, $4)",
        digest,
        account_id,
        now,
        expire_time,
    )


async def take_scene(connection: Connection, digest: bytes, now: datetime) -> int | None:
    """Return the account of a scene and let it work no more; None if it is unknown or has expired."""
    account: int | None = await connection.fetchval(
        "DELETE FROM notifications.wechat_scenes WHERE scene_digest = $1 AND expire_time > $2 RETURNING account_id",
        digest,
        now,
    )
    return account
