"""A pod that folds a long log: it says that it is not of now yet, and stops when it is told to."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import numpy as np
import positions
from isolated import free_port
from positions.domain.book import words
from positions.intake import EVENTS, EVENTS_TOPIC
from smartex.matching.v1.types_pb2 import Instrument
from smartex_bus import Record, Topic, open_bus
from smartex_chassis import LocalIssuer
from smartex_store import Database, migrate

# Raise it to see that nothing depends on the length: 5000000 takes a minute more.
EVENTS_IN_ALL = int(os.environ.get("SMARTEX_LONG_LOG_EVENTS", "1000000"))
PER_RECORD = 10_000
ACCOUNTS, INSTRUMENTS = 2_000, 50
STOP_SECONDS = 5.0
"""A few seconds, on a machine that has other things to do."""


def piece(first: int) -> Any:
    """A record's events: shares come in first, then orders that rest and go, one in ten of them traded."""
    rows, at = np.zeros(PER_RECORD, EVENTS.row_dtype), np.arange(first, first + PER_RECORD)
    deposits = at <= ACCOUNTS * INSTRUMENTS
    rows["account_id"], rows["instrument_id"] = at % ACCOUNTS + 1, at // ACCOUNTS % INSTRUMENTS + 1
    rows["quantity_lots"] = np.where(deposits, 1_000_000, 10)
    rows["kind"] = np.select(
        [deposits, at % 20 == 0, at % 2 == 0],
        [words.SHARES_DEPOSITED, words.TRADE, words.ACCEPTED],
        words.CANCELLED,
    )
    rows["order_id"] = at // 2 + 1
    rows["side"], rows["price_ticks"], rows["leaves_lots"] = words.BUY, 1000, 10
    rows["counter_account_id"] = (at + 1) % ACCOUNTS + 1
    return rows


async def write_log(url: str) -> None:
    """Everything is a day old."""
    await migrate(url, "positions", Path(positions.__file__).parent / "migrations")
    old = time.time_ns() - 86_400 * 10**9
    async with Database.connect(url, name="positions", schema="positions") as database:
        rows = [(number, 1, definition(number).SerializeToString()) for number in range(1, INSTRUMENTS + 1)]
        await database.executemany("INSERT INTO positions.definitions VALUES ($1, $2, $3)", rows)
    async with await open_bus(url) as bus:
        await bus.ensure_topics(Topic(EVENTS_TOPIC))
        appender = bus.appender(EVENTS_TOPIC)
        for first in records():
            header = {"version": 1, "shard": 0, "offset": 0, "first_sequence": first, "time_ns": old + first}
            await appender.append(Record(EVENTS.encode(piece(first), header)))


def definition(number: int) -> Instrument:
    return Instrument(
        instrument_id=number,
        version=1,
        symbol=f"S{number}",
        currency_code="CNY",
        tick_size="0.01",
        lot_size="1",
        reference_price_ticks=1000,
        industry=f"Industry {number % 7}",
    )


class Running:
    """`python -m positions` by itself, and what it says of itself."""

    def __init__(self, process: asyncio.subprocess.Process, metrics: int, log: Path) -> None:
        self.process, self._metrics, self._log = process, metrics, log

    async def page(self, name: str) -> tuple[int, str]:
        return await asyncio.to_thread(self._page, name)

    def _page(self, name: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics}/{name}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, ""
        except OSError:
            return 0, ""

    async def folded(self) -> float:
        """Events that it has folded since it started."""
        _, text = await self.page("metrics")
        found = [line for line in text.splitlines() if line.startswith("positions_events_total ")]
        return float(found[0].split()[1]) if found else 0.0

    async def until(self, check: Callable[[], Any], seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while not await check():
                assert self.process.returncode is None, self._log.read_text()[-3000:]
                await asyncio.sleep(0.05)

    async def stop(self) -> float:
        """Seconds from SIGTERM to the end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        await self.process.wait()
        return time.monotonic() - began


@asynccontextmanager
async def running(url: str, issuer: LocalIssuer, folder: Path) -> AsyncIterator[Running]:
    metrics, log = free_port(), folder / "positions.log"
    settings = {
        "PORT": str(free_port()),
        "METRICS_PORT": str(metrics),
        "DATABASE_URL": url,
        "EXCHANGE_URL": f"127.0.0.1:{free_port()}",
        "JWKS": str(issuer.jwks_path),
        "POD": "long",
    }
    environment = os.environ | {f"SMARTEX_{name}": value for name, value in settings.items()}
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "positions", env=environment, stdout=output, stderr=output
        )
    try:
        yield Running(process, metrics, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_long_log_neither_delays_a_stop_nor_counts_as_being_of_now(
    fresh: AbstractAsyncContextManager[str], issuer: LocalIssuer, tmp_path: Path
) -> None:
    async with fresh as url:
        await write_log(url)
        async with running(url, issuer, tmp_path) as pod:
            await pod.until(lambda: reached(pod, 0.2 * EVENTS_IN_ALL), 120)
            status, _ = await pod.page("readyz")
            assert status == 503
            assert await pod.stop() < STOP_SECONDS
            assert pod.process.returncode == 0
        async with running(url, issuer, tmp_path) as pod:
            await pod.until(lambda: is_ready(pod), 240)
            _, text = await pod.page("metrics")
            assert "positions_behind_info 0.0" in text
            assert await pod.stop() < STOP_SECONDS
        async with Database.connect(url) as database:
            row = await database.fetchrow("SELECT sequence FROM positions.projection")
            assert row is not None
            assert row["sequence"] == EVENTS_IN_ALL
            fills = await database.fetchval("SELECT count(*) FROM positions.fills")
            assert fills == 2 * sum(int((piece(first)["kind"] == words.TRADE).sum()) for first in records())


def records() -> range:
    return range(1, EVENTS_IN_ALL + 1, PER_RECORD)


async def reached(pod: Running, events: float) -> bool:
    return await pod.folded() >= events


async def is_ready(pod: Running) -> bool:
    return (await pod.page("readyz"))[0] == 200
