"""Answers to advice: accepted with orders that are fresh for the book of now, or dismissed with a reason."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg
from smartex_chassis import FailedPrecondition
from smartex_store import Connection, Database

from positions import steps
from positions.advising.rules import Rules
from positions.advising.store import ACCEPTED, DISMISSED, OPEN, AdviceStore, write_orders
from positions.steps import Step


class Answering:
    """Takes answers. The numbers of the orders follow from the advice, so a repeat places them once."""

    def __init__(
        self, database: Database, store: AdviceStore, rules: Rules, clock: Callable[[], int]
    ) -> None:
        self._database = database
        self._store = store
        self._rules = rules
        self._clock = clock

    async def accept(self, advice: asyncpg.Record) -> asyncpg.Record | None:
        """Accept advice; its orders are sized anew. None if it is closed; the same again if it was accepted.

        FailedPrecondition, ADVICE_WAITS, if nothing can be done because trading is halted: it stays open.
        """
        if advice["state"] == ACCEPTED:
            return advice
        fresh = await self._rules.again(advice)
        if fresh is None and advice["state"] == OPEN:
            await self._check_trading(advice)
        async with self._database.transaction() as connection:
            accepted = await self._store.answer(connection, advice["advice_id"], ACCEPTED, self._clock())
            if accepted is not None:
                # Where nothing is to be done any more, none are handed out: the old ones would do too much.
                orders = fresh.orders if fresh is not None else ()
                await write_orders(connection, accepted["advice_id"], accepted["account_id"], orders)
                await self._step(connection, accepted, "accepted", "by the investor")
        if accepted is None:
            # Another call may have accepted it at the same time: then the answer is that one's.
            now = await self._store.get(advice["advice_id"])
            return now if now is not None and now["state"] == ACCEPTED else None
        return accepted

    async def dismiss(self, advice: asyncpg.Record, reason: str) -> asyncpg.Record | None:
        """Set advice aside; None if it is closed, the same again if it was dismissed."""
        if advice["state"] == DISMISSED:
            return advice
        async with self._database.transaction() as connection:
            dismissed = await self._store.answer(
                connection, advice["advice_id"], DISMISSED, self._clock(), reason
            )
            if dismissed is not None:
                await self._step(connection, dismissed, "dismissed", "by the investor")
        return dismissed

    async def _check_trading(self, advice: asyncpg.Record) -> None:
        suggested = (await self._store.orders([advice["advice_id"]]))[advice["advice_id"]]
        trading = self._rules.trading()
        halted = sorted({one["symbol"] for one in suggested if one["instrument_id"] not in trading})
        if halted:
            raise FailedPrecondition(
                f"{', '.join(halted)} cannot be traded now: accept again when trading resumes; nothing was ordered",
                reason="ADVICE_WAITS",
                metadata={"advice_id": advice["advice_id"]},
            )

    async def _step(self, connection: Connection, advice: asyncpg.Record, kind: str, detail: str) -> None:
        step = Step(
            advice["trace_id"],
            advice["account_id"],
            kind,
            advice["advice_id"],
            advice["answer_time_ns"],
            detail,
        )
        await steps.record(connection, [step])
