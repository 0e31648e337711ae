"""The watch and the adviser on a real PostgreSQL and a real bus; events of the market are made by the tests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import positions
import pytest
import pytest_asyncio
from isolated import fresh_database
from one_loop import run_together
from oversight_setup import instrument
from positions.advising.adviser import Lifetimes
from positions.domain.book import Book
from positions.domain.book.valuing import Freshness
from positions.domain.book.words import DAY_ROLLED
from positions.domain.limits import HOUSE
from positions.intake import ended_day
from positions.outbox import NOTICES_TOPIC
from positions.oversight import Oversight, Surroundings
from positions.oversight_settings import OversightSettings
from positions.reporting import Curve
from positions_books import new_book, rules
from smartex.matching.v1 import types_pb2
from smartex.notifications.v1.notice_pb2 import Notice
from smartex.positions.v1 import portfolio_pb2
from smartex_bus import Bus, Topic, open_bus
from smartex_store import Database, EmbeddedPostgres, migrate

HOUR = 3600 * 10**9
DAY = 24 * HOUR
START = 1_764_000_000 * 10**9


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    run_together(items, __file__)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    async with EmbeddedPostgres(tmp_path_factory.mktemp("oversight-postgres")) as server:
        yield server


@dataclass
class Desk:
    """The parts, and a hand that feeds them events."""

    database: Database
    bus: Bus
    book: Book
    now_ns: int = START
    curves: dict[int, Curve] = field(default_factory=dict)
    oversight: Oversight = field(init=False)

    def __post_init__(self) -> None:
        around = Surroundings(
            book=self.book,
            freshness=lambda: Freshness(self.now_ns, 10**18, 10**18),
            curve=self._curve,
            totals=lambda number: portfolio_pb2.Totals(equity=str(number)),
            refresh=self._refresh,
            working=lambda: True,
            current=lambda: True,
            clock=lambda: self.now_ns,
        )
        settings = OversightSettings(
            house=HOUSE,
            zone=ZoneInfo("Asia/Shanghai"),
            digest_at=time(8, 30),
            profile_ns=365 * DAY,
            patience_ns=30 * 60 * 10**9,
            lifetimes=Lifetimes(alert_ns=DAY, review_ns=7 * DAY, cooldown_ns=DAY),
            slow_seconds=3600,
            minute_seconds=3600,
        )
        self.oversight = Oversight(self.database, self.bus, around, settings)

    async def _curve(self, account_id: int) -> Curve:
        return self.curves.get(account_id, Curve())

    async def _refresh(self) -> None:
        """There is no market to ask."""

    def enlist(self, *listed: types_pb2.Instrument) -> None:
        """Make instruments known."""
        self.oversight.learn(listed)
        self.book.learn(rules(one.instrument_id, one.industry) for one in listed)

    async def feed(self, *rows: Any, fail: bool = False, past_ns: int = 0) -> None:
        """Let events happen now, or have them read from a log that has gone on since: they are `past_ns` old. `fail`:
        the transaction breaks, and what was found is found again next time."""
        events = np.concatenate(rows)
        closes = {ended_day(one): self.book.last_prices() for one in events[events["kind"] == DAY_ROLLED]}
        self.book.fold(events, self.book.sequence + 1, self.now_ns - past_ns)
        touched, moved = self.book.take_touched()
        async with self.oversight.lock:
            if fail:
                with contextlib.suppress(ZeroDivisionError):
                    async with self.database.transaction() as connection:
                        await self.oversight.look(
                            connection, [(events, self.now_ns)], touched, moved, closes=closes
                        )
                        raise ZeroDivisionError
                self.book.tables.accounts["touched"][touched] = 1
                return
            async with self.database.transaction() as connection:
                seen = await self.oversight.look(
                    connection,
                    [(events, self.book.time_ns)],
                    touched,
                    moved,
                    behind=past_ns > 0,
                    closes=closes,
                )
            self.oversight.committed(seen)

    async def catch_up(self) -> None:
        """The log has ended."""
        async with self.oversight.lock:
            async with self.database.transaction() as connection:
                seen = await self.oversight.catch_up(connection)
            self.oversight.committed(seen)

    async def notices(self) -> list[Notice]:
        """Everything that has reached the bus, once the outbox is empty."""
        while await self.oversight.relay.relay():
            pass
        records = await self.bus.read(NOTICES_TOPIC, 0, 0)
        return [Notice.FromString(record.value) for record in records]


@pytest_asyncio.fixture(loop_scope="session")
async def desk(postgres: EmbeddedPostgres) -> AsyncIterator[Desk]:
    """Instruments 1 (Banks) and 2 (Steel); nothing runs by itself."""
    async with fresh_database(postgres) as url:
        await migrate(url, "positions", Path(positions.__file__).parent / "migrations")
        async with (
            Database.connect(url, name="positions", schema="positions") as database,
            await open_bus(url) as bus,
        ):
            made = Desk(database, bus, new_book())
            made.enlist(instrument(1, "Banks"), instrument(2, "Steel", 4), instrument(3, "Machinery", 3))
            await bus.ensure_topics(Topic(NOTICES_TOPIC))
            yield made
