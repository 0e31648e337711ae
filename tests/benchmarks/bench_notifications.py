"""Push decisions a second, and deliveries out of a long queue into the stand-in of FCM.

Decisions: the pure function alone, and taking notices in durably (notice, inbox entry, deliveries), whose peer is
a bare asyncpg that inserts the same number of rows in transactions of the same size. Deliveries: the peer is the
channel alone, which sends as many at once and keeps no record. Single notices: from the call to the provider's yes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import uvloop
from notifications import store
from notifications.contract import notice as read_notice
from notifications.domain.decide import Target, decide
from notifications.domain.preferences import Preferences
from notifications.domain.sending import Address, ChannelKind, Message, Sent, Urgency
from notifications.engine.engine import Engine, EngineSettings
from notifications.engine.preparing import Links, Preparer
from notifications.intake import Intake
from notifications.providers import read_providers
from notifications.store.templates import TemplateStore
from notifications.templatebook import TemplateBook
from notifications.vault import open_vault
from servers import free_port
from smartex.notifications.v1 import notice_pb2 as pb
from smartex_store import Database, EmbeddedPostgres

DELIVERIES = 100_000
TAKEN_IN = 10_000
BATCH = 100
DRAIN_SECONDS = 300.0
"""How long the queue is drained at most; the rate is that of what was sent by then."""
POLL_SECONDS = 2.0
"""Between two looks at the queue: to count it costs the database as much as to send dozens."""
PER_READER = 50
"""Below the hourly limit."""
AT_ONCE = 64
"""Messages on their way at once; the service's own default."""
PEER_MESSAGES = 4_000
PURE = 20_000
SINGLE = 100
ROWS_OF_A_NOTICE = 4

Row = dict[str, Any]


def run() -> list[Row]:
    """Measure all of it, on the event loop that services run on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure())


async def measure() -> list[Row]:
    """All figures."""
    rows = [row("pure push decisions", pure_decisions(), "decisions/s")]
    async with place() as here:
        peer = await bare_inserts(here.url)
        rate = await here.take_in(TAKEN_IN)
        rows.append(row("durable push decisions", rate, "decisions/s", peer))
        await here.copy_queue(DELIVERIES - TAKEN_IN)
        peer = await here.send_alone(PEER_MESSAGES)
        rate, share = await here.drain()
        rows.append(row(f"out of a queue of {DELIVERIES:,} deliveries, FCM", rate, "deliveries/s", peer))
        rows.append(row(f"share of it sent, within {DRAIN_SECONDS:.0f} s at most", 100 * share, "%"))
        latencies = await here.singly(SINGLE)
        cuts = statistics.quantiles(latencies, n=100)
        rows.append(row("notice to provider's yes, p50", 1e3 * cuts[49], "ms"))
        rows.append(row("notice to provider's yes, p99", 1e3 * cuts[98], "ms"))
    return rows


def row(name: str, value: float, unit: str, peer: float | None = None) -> Row:
    """A figure, and the peer's."""
    return {"name": name, "value": value, "unit": unit, "peer": peer, "ratio": value / peer if peer else None}


def pure_decisions() -> float:
    """Decisions a second without a database."""
    now = datetime.now(UTC)
    read = read_notice(notice("n", 1))
    targets = [Target("a", ChannelKind.FCM), Target("b", ChannelKind.EMAIL)]
    configured = frozenset({ChannelKind.FCM, ChannelKind.EMAIL})
    began = time.perf_counter()
    for _ in range(PURE):
        decide(read, Preferences(), targets, configured, now)
    return PURE / (time.perf_counter() - began)


def notice(notice_id: str, account: int) -> pb.Notice:
    """An alert as positions writes it."""
    made = pb.Notice(
        notice_id=notice_id,
        account_id=account,
        kind="positions.concentration",
        urgency=pb.URGENCY_HIGH,
        trace_id=secrets.token_hex(16),
    )
    made.cause_time.GetCurrentTime()
    made.values.add(name="name").local_text.CopyFrom(pb.LocalText(zh="贵州茅台", en="Kweichow Moutai"))
    made.values.add(name="value", percent="0.62")
    made.values.add(name="threshold", percent="0.25")
    return made


async def bare_inserts(url: str) -> float:
    """Notices a second that asyncpg alone could write: so many rows of 300 bytes for each."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE TABLE bare (id text PRIMARY KEY, content bytea)")
        number = itertools.count()
        began = time.perf_counter()
        for _ in range(TAKEN_IN // BATCH):
            rows = [(f"r{next(number)}", bytes(300)) for _ in range(BATCH * ROWS_OF_A_NOTICE)]
            async with connection.transaction():
                await connection.executemany("INSERT INTO bare VALUES ($1, $2)", rows)
        return TAKEN_IN / (time.perf_counter() - began)
    finally:
        await connection.close()


class Place:
    """The engine on a real database, with the stand-in of FCM in a process of its own."""

    def __init__(self, url: str, database: Database, folder: Path, providers: Path, token: str) -> None:
        self.url = url
        self._database = database
        self._token = token
        self._vault = open_vault(folder / "addresses.key")
        self._channel = read_providers(providers).channels[ChannelKind.FCM]
        self._book = TemplateBook(TemplateStore(database))
        configured = frozenset({ChannelKind.FCM})
        self._intake = Intake(self._book, configured, _now)

    async def take_in(self, count: int) -> float:
        """Take notices in; returns how many a second."""
        readers = count // PER_READER
        await self._reach(1, readers)
        notices = [notice(f"n{number}", 1 + number % readers) for number in range(count)]
        began = time.perf_counter()
        for at in range(0, count, BATCH):
            async with self._database.transaction() as connection:
                await self._intake.take_in(connection, notices[at : at + BATCH])
        return count / (time.perf_counter() - began)

    async def _reach(self, first: int, readers: int) -> None:
        """Give readers a phone; all of them have the one that the stand-in knows."""
        rows = []
        for account in range(first, first + readers):
            sealed = self._vault.seal(f"a{account}", self._token, {})
            rows.append((f"a{account}", account, account.to_bytes(8, "big"), sealed))
        await self._database.executemany(
            """
            INSERT INTO notifications.addresses
                   (address_id, account_id, channel, fingerprint, sealed, masked, label, state, create_time)
            VALUES ($1, $2, 'fcm', $3, $4, '', '', 2, now())
            """,
            rows,
        )

    async def copy_queue(self, count: int) -> None:
        """Lengthen the queue by copies of what was taken in, for other readers."""
        readers = TAKEN_IN // PER_READER
        copies = count // TAKEN_IN
        await self._reach(1 + readers, readers * copies)
        for table, columns in (
            ("notices", "notice_id"),
            ("deliveries", "delivery_id, notice_id, address_id"),
        ):
            await self._database.execute(_copy(table, columns.split(", "), readers, copies))
        await self._database.execute("ANALYZE notifications.deliveries")

    async def send_alone(self, count: int) -> float:
        """Messages a second of the channel without the engine."""
        numbers = iter(range(count))

        async def work() -> None:
            for number in numbers:
                message = Message(
                    f"alone{number}", "positions.concentration", Urgency.HIGH, "title", "body", "en"
                )
                outcome = await self._channel.send(Address(ChannelKind.FCM, self._token), message)
                assert isinstance(outcome, Sent), outcome

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        return count / (time.perf_counter() - began)

    async def drain(self) -> tuple[float, float]:
        """Send the queue; returns how many deliveries a second, and the share that was sent. None of them fails.

        Those under way when the sending ends stay claimed, and do not count.
        """
        waiting = await self._count("state = 1")
        async with self._sending():
            began = time.perf_counter()
            while time.perf_counter() - began < DRAIN_SECONDS and await self._count("state = 1"):
                await asyncio.sleep(POLL_SECONDS)
            taken = time.perf_counter() - began
            sent = waiting - await self._count("state IN (1, 2)")
        others = await self._database.fetch(
            """
            SELECT state, state_reason, count(*) FROM notifications.deliveries
             WHERE channel = 'fcm' AND state NOT IN (1, 2, 3) GROUP BY state, state_reason
            """
        )
        assert not others, others
        await self._database.execute("UPDATE notifications.deliveries SET state = 6 WHERE state IN (1, 2)")
        return sent / taken, sent / waiting

    async def singly(self, count: int) -> list[float]:
        """Seconds from the call to the provider's yes, of one notice at a time."""
        account = 10_000_000
        await self._reach(account, count)
        async with self._sending() as engine:
            for number in range(count):
                async with self._database.transaction() as connection:
                    await self._intake.enqueue(connection, notice(f"single{number}", account + number))
                engine.wake()
                await asyncio.sleep(0.03)
            while await self._count("state IN (1, 2)"):
                await asyncio.sleep(0.05)
        rows = await self._database.fetch(
            """
            SELECT a.time + a.duration_ms * interval '1 ms' - d.create_time AS taken
              FROM notifications.deliveries d JOIN notifications.attempts a USING (delivery_id)
             WHERE d.account_id >= $1
            """,
            account,
        )
        return [found["taken"] / timedelta(seconds=1) for found in rows]

    @contextlib.asynccontextmanager
    async def _sending(self) -> AsyncIterator[Engine]:
        preparer = Preparer(self._book, self._vault, Links(), lambda name: name)
        settings = EngineSettings("bench", AT_ONCE)
        engine = Engine(self._database, {ChannelKind.FCM: self._channel}, preparer, settings, _now)
        await engine.start()
        try:
            yield engine
        finally:
            await engine.stop()

    async def _count(self, condition: str) -> int:
        query = f"SELECT count(*) FROM notifications.deliveries WHERE channel = 'fcm' AND {condition}"
        found: int = await self._database.fetchval(query)
        return found

    async def close(self) -> None:
        """Let go of connections."""
        await self._channel.close()


@contextlib.asynccontextmanager
async def place() -> AsyncIterator[Place]:
    """A place of its own, cleaned up at the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with EmbeddedPostgres(folder / "data") as server, standins(folder) as (url, providers):
            await store.migrate(server.url)
            async with httpx.AsyncClient(trust_env=False) as http:
                people = (await http.get(f"{url}/control/fcm/addresses")).json()
            async with Database.connect(server.url, max_size=12) as database:
                here = Place(server.url, database, folder, providers, people["alice"]["value"])
                try:
                    yield here
                finally:
                    await here.close()


@contextlib.asynccontextmanager
async def standins(folder: Path) -> AsyncIterator[tuple[str, Path]]:
    """The stand-ins, in a process of their own: the URL of their page, and the providers' file."""
    port = free_port()
    words = ["--data", str(folder), "--port", str(port), "--with-parent"]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "smartex_standins", *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=quiet,
        stderr=quiet,
    )
    try:
        providers = folder / "standins" / "providers.toml"
        async with asyncio.timeout(20), httpx.AsyncClient(trust_env=False) as http:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    await http.get(f"http://127.0.0.1:{port}/phone/state")
                    break
                await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}", providers
    finally:
        process.terminate()
        await process.wait()


def _copy(table: str, ids: list[str], readers: int, copies: int) -> str:
    """SQL that copies the rows of a table for other readers, under other ids."""
    changed = {name: f"{name} || '-' || g" for name in ids}
    if "address_id" in changed:
        changed["address_id"] = (
            f"CASE address_id WHEN '' THEN '' ELSE 'a' || (account_id + g * {readers}) END"
        )
        changed["delivery_id"] = "md5(delivery_id || g)"
    changed["account_id"] = f"account_id + g * {readers}"
    columns = {
        "notices": "notice_id, account_id, kind, urgency, cause_time, expire_time, supersede_key, withdrawn,"
        " card_id, trace_id, content, create_time",
        "deliveries": "delivery_id, notice_id, account_id, channel, address_id, kind, urgency, state,"
        " state_reason, create_time, due_time, expire_time, supersede_key, trace_id",
    }[table]
    values = ", ".join(changed.get(name.strip(), name.strip()) for name in columns.split(","))
    return (
        f"INSERT INTO notifications.{table} ({columns})"
        f" SELECT {values} FROM notifications.{table}, generate_series(1, {copies}) AS g"
    )


def _now() -> datetime:
    return datetime.now(UTC)
