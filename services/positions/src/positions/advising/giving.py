"""Giving advice: the draft becomes a row, a step of its chain and a notice, and takes the place of what was open."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import asyncpg
from smartex_chassis import counter
from smartex_store import Connection, Database

from positions import notices, outbox, steps, wording
from positions.advising.store import AdviceStore, Given, Pauses, expire, stands, supersede, supersede_causes
from positions.domain.advice import BUY, Account, Draft
from positions.domain.advice.what_if import INDEX, MONEY, SHARE
from positions.domain.alerts import Standing
from positions.domain.outcomes import Basis, horizon_days
from positions.notices import Told
from positions.steps import Step

_given = counter("positions_advice_total", "Advice given", ["kind"])

DAY_NS = 86_400 * 10**9


@dataclass(frozen=True)
class Cause:
    """What advice is given for: the alert, or the habit or profile of an account."""

    cause_id: str
    trace_id: str
    lifetime_ns: int
    is_alert: bool


def advice_id(account: Account, draft: Draft, cause_id: str, create_ns: int) -> str:
    """An id that tells advice apart."""
    text = f"{account.account_id}/{draft.kind}/{draft.subject}/{cause_id}/{account.sequence}/{create_ns}"
    return f"ad-{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"


class Giving:
    """Writes advice. `wake` is called once notices wait for the bus."""

    def __init__(self, database: Database, store: AdviceStore, wake: Callable[[], None]) -> None:
        self._database = database
        self._store = store
        self._wake = wake

    async def give(self, account: Account, draft: Draft, cause: Cause, pauses: Pauses, now_ns: int) -> str:
        """Give advice; returns its id, or nothing if the same was answered lately or stays open."""
        if await self._store.rests(account.account_id, draft, pauses):
            return ""
        given = Given(
            advice_id=advice_id(account, draft, cause.cause_id, now_ns),
            account_id=account.account_id,
            draft=draft,
            basis=basis_of(account, draft),
            create_ns=now_ns,
            expire_ns=now_ns + cause.lifetime_ns,
            settle_ns=now_ns + horizon_days(draft.kind) * DAY_NS,
            sequence=account.sequence,
            cause_id=cause.cause_id,
            trace_id=cause.trace_id,
        )
        async with self._database.transaction() as connection:
            if cause.is_alert and not await stands(connection, cause.cause_id):
                return ""  # it was cleared while this was thought about
            await self._withdraw(
                connection, await supersede(connection, account.account_id, draft.kind, draft.subject), now_ns
            )
            await self._store.give(connection, given)
            await connection.execute(
                "UPDATE positions.alerts SET advice_id = $2 WHERE alert_id = $1",
                cause.cause_id,
                given.advice_id,
            )
            told = _told(given)
            await steps.record(connection, [_step(given, told.title.en)])
            await outbox.put(connection, [notices.of_advice(told, _figures(draft))])
        _given.labels(draft.kind).inc()
        self._wake()
        return given.advice_id

    async def alerts_cleared(self, connection: Connection, alerts: Iterable[Standing], now_ns: int) -> None:
        """Close the advice of alerts that are over, in the transaction that clears them."""
        closed = await supersede_causes(connection, [alert.alert_id for alert in alerts])
        await self._withdraw(connection, closed, now_ns)

    async def expire(self, now_ns: int) -> None:
        """Close the advice whose time has passed."""
        async with self._database.transaction() as connection:
            await self._withdraw(connection, await expire(connection, now_ns), now_ns)

    async def _withdraw(self, connection: Connection, closed: Iterable[asyncpg.Record], now_ns: int) -> None:
        await outbox.put(
            connection,
            [
                notices.of_withdrawn_advice(
                    row["account_id"], row["advice_id"], row["kind"], row["subject"], now_ns, row["trace_id"]
                )
                for row in closed
            ],
        )


def basis_of(account: Account, draft: Draft) -> Basis:
    """The portfolio as it is now, to settle the advice by."""
    assets = {number: held.asset for number, held in account.holdings.items()}
    assets |= {order.asset.instrument_id: order.asset for order in draft.orders}
    trades: dict[int, float] = {}
    for order in draft.orders:
        value = order.asset.value(order.lots) * (1 if order.side == BUY else -1)
        trades[order.asset.instrument_id] = trades.get(order.asset.instrument_id, 0.0) + value
    return Basis(
        values={number: held.value for number, held in account.holdings.items()},
        trades=trades,
        prices={number: asset.unit_price for number, asset in assets.items()},
        cash=sum(account.cash.values()),
        costs=sum(order.asset.cost(order.side, order.lots) for order in draft.orders),
    )


def _told(given: Given) -> Told:
    draft = given.draft
    return Told(
        given.advice_id,
        given.account_id,
        draft.kind,
        draft.subject,
        draft.severity,
        wording.title(draft.kind, draft.facts),
        wording.brief(draft.kind, draft.facts),
        wording.what(draft.facts),
        wording.reason(draft.kind, draft.facts),
        given.create_ns,
        given.expire_ns,
        given.trace_id,
    )


def _step(given: Given, title: str) -> Step:
    return Step(given.trace_id, given.account_id, "advice", given.advice_id, given.create_ns, title)


def _figures(draft: Draft) -> dict[str, tuple[str, str]]:
    return {one.key: (_written(one.before, one.unit), _written(one.after, one.unit)) for one in draft.what_if}


def _written(value: float, unit: str) -> str:
    """A figure of a what-if, in every language."""
    written = {MONEY: f"{value:,.2f}", INDEX: f"{value:.3f}", SHARE: f"{100 * value:.1f}%"}
    return written[unit]
