"""The demo market as the launcher sees it: opened by the operator's profile, rolled daily, told in one line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog
from smartex_agents import PARTICIPANTS, Participant, demo_instruments, endowments, open_market
from smartex_client import FailedPrecondition, Market, SmartexError, connect_as

_log = structlog.get_logger("smartex.launcher")
_RETRY_SECONDS = 30.0

NEEDS = frozenset({"matching"})
"""Services without which there is no market to open."""


def participants() -> tuple[Participant, ...]:
    """The demo's participants."""
    return PARTICIPANTS


async def open_demo(profiles: Path) -> str:
    """Define instruments and pay in first balances where they are missing; says what the market holds."""
    async with _operator(profiles) as operator:
        opened = await open_market(operator, demo_instruments(), endowments())
    return f"demo market: {len(opened)} instruments, {len(PARTICIPANTS)} participants"


class DayRoller:
    """Ends the trading day at midnight of a time zone, once for each date, over restarts too.

    The date of the running day stands in a file; a start on a later date rolls once, however many days have
    passed, since nothing traded in between.
    """

    def __init__(self, profiles: Path, file: Path, zone: ZoneInfo) -> None:
        self._profiles = profiles
        self._file = file
        self._zone = zone

    async def run(self) -> None:
        """Roll now if a midnight was missed, then at each midnight. Never ends."""
        while True:
            try:
                await self.catch_up(datetime.now(self._zone).date())
                pause = seconds_to_midnight(datetime.now(self._zone))
            except (SmartexError, OSError) as error:
                _log.warning("the trading day could not be rolled", error=str(error))
                pause = _RETRY_SECONDS
            await asyncio.sleep(pause)

    async def catch_up(self, today: date) -> bool:
        """Roll if the running day is of an earlier date; returns whether it was."""
        running = self._running()
        if running is not None and running >= today:
            return False
        if running is not None:
            await self._roll()
        self._file.write_text(f"{today.isoformat()}\n")
        return running is not None

    async def _roll(self) -> None:
        async with _operator(self._profiles) as operator:
            try:
                day = await operator.venue.roll_day()
            except FailedPrecondition as error:
                if error.reason != "DAY_ALREADY_ROLLED":
                    raise
                return
        _log.info("trading day rolled", trading_day=day)

    def _running(self) -> date | None:
        try:
            return date.fromisoformat(self._file.read_text().strip())
        except (FileNotFoundError, ValueError):
            return None


def seconds_to_midnight(now: datetime) -> float:
    """Seconds from `now` to the next midnight of its zone, a little more so as not to wake before it."""
    tomorrow = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
    return (tomorrow.timestamp() - now.timestamp()) + 0.5


async def status_lines(profiles: Path, every: float) -> AsyncIterator[str]:
    """A line about the market, again and again."""
    before = 0
    async with _operator(profiles) as operator:
        while True:
            try:
                status = await operator.venue.status()
            except SmartexError as error:
                yield f"no answer: {error}"
            else:
                rate = f" · {(status.sequence - before) / every:,.0f} events/s" if before else ""
                before = status.sequence
                halted = f" · HALTED: {status.halt_reason}" if status.halt_reason else ""
                open_orders = f"{status.open_orders:,} open orders"
                yield f"day {status.trading_day} · {status.sequence:,} events{rate} · {open_orders}{halted}"
            await asyncio.sleep(every)


def _operator(profiles: Path) -> Market:
    return connect_as(profiles / "operator.toml")


def commands(running: Collection[str], *, demo: bool) -> list[str]:
    """Up to three commands to try, each of a service that runs."""
    symbol = demo_instruments()[0].symbol
    of_an_empty_market = [
        ("matching", ".venv/bin/smartex status"),
        ("matching", ".venv/bin/smartex --as operator instrument list"),
        ("matching", ".venv/bin/smartex --as operator venue status"),
    ]
    of_the_demo = [
        ("matching", f".venv/bin/smartex book {symbol}"),
        ("matching", f".venv/bin/smartex order buy {symbol} 100 --price 12.80"),
        ("positions", ".venv/bin/smartex portfolio show"),
    ]
    return [
        command for service, command in (of_the_demo if demo else of_an_empty_market) if service in running
    ]
