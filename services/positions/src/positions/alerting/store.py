"""SQL of alerts and limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import asyncpg
from smartex_store import Connection, Database

from positions.domain.advice import Waiting
from positions.domain.alerts import ALL, Change, Severity, Standing, Transition
from positions.domain.limits import KINDS, Limits

RAISED, ACKNOWLEDGED, CLEARED = 1, 2, 3
"""States, as the contract numbers them."""

_COLUMN = {kind.name: at for at, kind in enumerate(ALL)}

_RAISE = """
    INSERT INTO positions.alerts (alert_id, account_id, kind, subject, subject_id, severity, state, value, threshold,
                                  worst, raise_time_ns, risen_time_ns, sequence, trace_id, told_severity)
    VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10, $11, $12, $13, $14)
        ON CONFLICT (alert_id) DO UPDATE
       SET state = 1, severity = excluded.severity, value = excluded.value, threshold = excluded.threshold,
           worst = excluded.worst, risen_time_ns = excluded.risen_time_ns, clear_time_ns = NULL, advised = false,
           told_severity = excluded.told_severity
"""
_CHANGE = """
    UPDATE positions.alerts
       SET severity = $2, value = $3, threshold = $4, worst = $5, risen_time_ns = $6,
           advised = advised AND severity = $2, told_severity = $7
     WHERE alert_id = $1
"""
_CLEAR = """
    UPDATE positions.alerts SET state = 3, value = $2, worst = $3, clear_time_ns = $4 WHERE alert_id = $1
"""
_ACKNOWLEDGE = """
    UPDATE positions.alerts SET state = 2 WHERE alert_id = $1 AND state = 1 RETURNING *
"""
_LOOK_AGAIN = """
    UPDATE positions.alerts a SET advised = false
     WHERE state <> 3
       AND NOT EXISTS (SELECT FROM positions.advice g WHERE g.advice_id = a.advice_id AND g.state = 1)
       AND NOT (a.kind = 'drawdown' AND EXISTS (
               SELECT FROM positions.advice g JOIN positions.advice_orders o USING (advice_id)
                WHERE g.advice_id = a.advice_id AND g.state = 2
               HAVING count(*) > 0 AND bool_and(o.traded_lots >= o.quantity_lots)))
"""
# A drawdown stands long after its advice was followed to the end: the risk is not to be halved again every day.
_SET_LIMITS = f"""
    INSERT INTO positions.limits (account_id, {", ".join(KINDS)})
    VALUES ($1, {", ".join(f"${at + 2}" for at in range(len(KINDS)))})
        ON CONFLICT (account_id) DO UPDATE
       SET {", ".join(f"{kind} = excluded.{kind}" for kind in KINDS)}, change_time = now()
"""


class AlertStore:
    """The table of alerts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def standing(self) -> list[Standing]:
        """Every alert that stands."""
        rows = await self._database.fetch("SELECT * FROM positions.alerts WHERE state <> 3")
        return [_standing(row) for row in rows]

    async def write(
        self,
        connection: Connection,
        transitions: Iterable[Transition],
        subjects: Mapping[int, str],
        now_ns: int,
    ) -> None:
        """Write what changed, in the transaction of its cause. `subjects`: symbol or industry by the alerts' keys."""
        by_change: dict[Change, list[Standing]] = {change: [] for change in Change}
        for one in transitions:
            by_change[one.change].append(one.alert)
        await connection.executemany(
            _RAISE, [_columns(alert, subjects.get(alert.key, "")) for alert in by_change[Change.RAISED]]
        )
        await connection.executemany(
            _CHANGE,
            [
                _moved(alert)
                for change in (Change.MOVED, Change.ESCALATED, Change.TOLD)
                for alert in by_change[change]
            ],
        )
        await connection.executemany(
            _CLEAR,
            [(alert.alert_id, alert.value, alert.worst, now_ns) for alert in by_change[Change.CLEARED]],
        )

    async def get(self, alert_id: str) -> asyncpg.Record | None:
        """One alert. No id holds a zero character, which the database refuses to look for."""
        if "\x00" in alert_id:
            return None
        return await self._database.fetchrow("SELECT * FROM positions.alerts WHERE alert_id = $1", alert_id)

    async def page(
        self, account_id: int, *, standing_only: bool, before: int, limit: int
    ) -> list[asyncpg.Record]:
        """Alerts of an account with a number below `before`, newest first."""
        return await self._database.fetch(
            """
            SELECT * FROM positions.alerts
             WHERE account_id = $1 AND number < $2 AND (state <> 3 OR NOT $3)
             ORDER BY number DESC LIMIT $4
            """,
            account_id,
            before,
            standing_only,
            limit,
        )

    async def acknowledge(self, alert_id: str) -> asyncpg.Record | None:
        """Note that it was seen; None if it does not stand unseen."""
        return await self._database.fetchrow(_ACKNOWLEDGE, alert_id)

    async def acknowledged(self) -> list[str]:
        """Standing alerts that were seen."""
        rows = await self._database.fetch("SELECT alert_id FROM positions.alerts WHERE state = 2")
        return [row["alert_id"] for row in rows]

    async def unadvised(self, limit: int) -> list[asyncpg.Record]:
        """Standing alerts that nobody has looked for advice for, oldest first."""
        return await self._database.fetch(
            "SELECT * FROM positions.alerts WHERE state <> 3 AND NOT advised ORDER BY number LIMIT $1", limit
        )

    async def looked_at(self, alert_id: str, severity: int, waiting: Waiting) -> None:
        """Note that advice was looked for at this severity, and what it waits for. An alert that got worse meanwhile is
        looked at again."""
        await self._database.execute(
            "UPDATE positions.alerts SET advised = true, waits = $3 WHERE alert_id = $1 AND severity = $2",
            alert_id,
            severity,
            _waits(waiting),
        )

    async def waiting(self) -> list[tuple[str, int, Waiting]]:
        """Standing alerts whose advice waits for something: their ids, accounts, and what for."""
        rows = await self._database.fetch(
            """
            SELECT alert_id, account_id, waits FROM positions.alerts
             WHERE state <> 3 AND waits IS NOT NULL AND advised
            """
        )
        return [(row["alert_id"], row["account_id"], _waiting(row["waits"])) for row in rows]

    async def resume(self, alert_ids: Sequence[str]) -> None:
        """Have advice looked for again for these alerts."""
        await self._database.execute(
            "UPDATE positions.alerts SET advised = false WHERE alert_id = ANY($1::text[])", alert_ids
        )

    async def look_again(self, connection: Connection) -> None:
        """Have advice looked for again for alerts that have none open: on a new day what was bought may be sold."""
        await connection.execute(_LOOK_AGAIN)

    async def worst_by_account(self, account_ids: Sequence[int]) -> Mapping[int, tuple[int, int]]:
        """Standing alerts of accounts: how many, and the worst severity."""
        rows = await self._database.fetch(
            """
            SELECT account_id, count(*) AS count, max(severity) AS worst FROM positions.alerts
             WHERE state <> 3 AND account_id = ANY($1::bigint[]) GROUP BY account_id
            """,
            list(account_ids),
        )
        return {row["account_id"]: (row["count"], row["worst"]) for row in rows}


class LimitStore:
    """The table of the accounts' own limits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Mapping[int, Limits]:
        """The own limits of every account that set some."""
        rows = await self._database.fetch("SELECT * FROM positions.limits")
        return {row["account_id"]: _limits(row) for row in rows}

    async def changed(self, within_seconds: float) -> Mapping[int, Limits]:
        """Those that were set lately, by any pod."""
        rows = await self._database.fetch(
            "SELECT * FROM positions.limits WHERE change_time > now() - make_interval(secs => $1)",
            within_seconds,
        )
        return {row["account_id"]: _limits(row) for row in rows}

    async def get(self, account_id: int) -> Limits:
        """An account's own."""
        row = await self._database.fetchrow(
            "SELECT * FROM positions.limits WHERE account_id = $1", account_id
        )
        return Limits() if row is None else _limits(row)

    async def set(self, account_id: int, own: Limits) -> None:
        """Replace an account's own."""
        await self._database.execute(_SET_LIMITS, account_id, *asdict(own).values())


def _waits(waiting: Waiting) -> dict[str, Any] | None:
    if not waiting:
        return None
    offered = {str(number): lots for number, lots in waiting.offered.items()}
    return {"halted": list(waiting.halted), "offered": offered}


def _waiting(stored: Mapping[str, Any]) -> Waiting:
    return Waiting(stored["halted"], {int(number): lots for number, lots in stored["offered"].items()})


def _limits(row: asyncpg.Record) -> Limits:
    return Limits(**{kind: row[kind] for kind in KINDS})


def _columns(alert: Standing, subject: str) -> tuple[Any, ...]:
    return (
        alert.alert_id,
        alert.account_id,
        ALL[alert.kind].name,
        subject,
        alert.subject,
        int(alert.severity),
        alert.value,
        alert.threshold,
        alert.worst,
        alert.raise_ns,
        alert.risen_ns,
        alert.sequence,
        alert.trace_id,
        int(alert.told),
    )


def _moved(alert: Standing) -> tuple[Any, ...]:
    return (
        alert.alert_id,
        int(alert.severity),
        alert.value,
        alert.threshold,
        alert.worst,
        alert.risen_ns,
        int(alert.told),
    )


def _standing(row: asyncpg.Record) -> Standing:
    return Standing(
        alert_id=row["alert_id"],
        account_id=row["account_id"],
        kind=_COLUMN[row["kind"]],
        subject=row["subject_id"],
        severity=Severity(row["severity"]),
        value=row["value"],
        threshold=row["threshold"],
        worst=row["worst"],
        raise_ns=row["raise_time_ns"],
        risen_ns=row["risen_time_ns"],
        sequence=row["sequence"],
        acknowledged=row["state"] == ACKNOWLEDGED,
        trace_id=row["trace_id"],
        told=Severity(row["told_severity"]),
    )
