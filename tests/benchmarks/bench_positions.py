"""Events folded per second into the live book of 100,000 accounts: `make bench ONLY=positions`.

The events come from the production core, which is given orders, replacements and cancels of 100,000 accounts in sixteen
instruments, four for each account, frame by frame, as records of the event log. The peer is the same decoding alone,
and one pass that adds up the same bytes: what reading the log costs whoever does nothing with it.

Then the whole service on a real PostgreSQL, alerts included: events per second until their rows are committed. Its peer
is a COPY of as many fills into a table without an index: what the database does with the rows that must be added.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from flow_core import NEW, START_PRICE, TIME_NS, Rows, commands_of, frames_of, swing_flow
from matching.domain import COMMAND, INSTRUMENT, Core, CoreSettings
from matching.frames import encode_events
from positions.domain.book import Book, Listing, Rules, warm_up
from positions.domain.book.valuing import Freshness
from positions.intake import EVENTS_TOPIC
from positions.settings import PositionsSettings
from positions.wiring import Pod
from pydantic import SecretStr
from smartex.matching.v1 import log_pb2, types_pb2
from smartex_bus import Record
from smartex_store import Database, EmbeddedPostgres
from smartex_wire import codec

EVENTS = codec(log_pb2.EventBatch)
ACCOUNTS = 100_000
INSTRUMENTS = 16
EACH = 4
"""Instruments that an account trades."""
MESSAGES = 1_000_000
FRAME = 256
PASSES = 3
DURABLE = 150
"""Records of the trading that are made durable."""


async def run() -> list[dict[str, Any]]:
    """Fold the log in memory, then with rows."""
    warm_up(EVENTS.row_dtype)
    deposits, log = records()
    return [*folding(deposits, log), *await writing(deposits, log[:DURABLE])]


def folding(deposits: list[bytes], log: list[bytes]) -> list[dict[str, Any]]:
    """Fold the whole log several times, each into a new book; the best pass counts, as do those of the peers."""
    count = sum(EVENTS.count(value) for value in log)
    folded, decoded, added = [], [], []
    for _ in range(PASSES):
        book = ready_book(deposits)
        folded.append(count / fold_seconds(book, log))
        decoded.append(count / decode_seconds(log))
        added.append(count / add_seconds(log))
    places = np.arange(book.accounts)
    freshness = Freshness(TIME_NS, 0, 2**62)
    began = time.perf_counter()
    book.figures(places, freshness)
    valued = len(places) / (time.perf_counter() - began)
    return [
        row("decode and fold, 100,000 accounts", max(folded), "events/s", max(decoded)),
        row("decode alone over adding the bytes", max(decoded), "events/s", max(added)),
        row("figures of all accounts", valued, "accounts/s", None),
    ]


async def writing(deposits: list[bytes], log: list[bytes]) -> list[dict[str, Any]]:
    """Let the service write the deposits, then the trading that it finds in the log at its next start."""
    events = sum(EVENTS.count(value) for value in log)
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedPostgres(Path(folder)) as server:
            async with service(server.url, deposits) as (pod, opening):
                await written(pod)
                opened = time.perf_counter() - opening
            async with service(server.url, log) as (pod, began):
                while not pod.follower.ready:
                    await asyncio.sleep(0.01)
                ready = time.perf_counter()
                await written(pod)
                seconds = time.perf_counter() - ready
                peer = await copy_seconds(pod.database)
    return [
        row("durable, rows and alerts", events / seconds, "events/s", events / peer),
        row("durable, new accounts and holdings", ACCOUNTS * (1 + EACH) / opened, "events/s", None),
        row("reading 100,000 accounts back", ready - began, "s", None),
    ]


@asynccontextmanager
async def service(url: str, log: list[bytes]) -> AsyncIterator[tuple[Pod, float]]:
    """The service on a log with these records more, and when it was started. It knows the definitions."""
    pod = await Pod.open(
        PositionsSettings(database_url=SecretStr(url), exchange_url="127.0.0.1:1", pod="bench")
    )
    await pod.database.executemany(
        "INSERT INTO positions.definitions VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        [(one.instrument_id, one.version, one.SerializeToString()) for one in definitions()],
    )
    for begin in range(0, len(log), 50):
        await pod.bus.appender(EVENTS_TOPIC).append(*(Record(value) for value in log[begin : begin + 50]))
    began = time.perf_counter()
    await pod.start()
    try:
        yield pod, began
    finally:
        await pod.stop()


def definitions() -> list[types_pb2.Instrument]:
    """The instruments as the market would tell them."""
    return [
        types_pb2.Instrument(
            instrument_id=number,
            symbol=f"S{number}",
            currency_code="CNY",
            tick_size="0.001",
            lot_size="0.001",
            settlement=types_pb2.SETTLEMENT_T0,
            maker_fee_ppm=100,
            taker_fee_ppm=300,
            industry=f"Industry {number % 5}",
            reference_price_ticks=START_PRICE,
            max_price_ticks=1 << 29,
            version=number,
        )
        for number in range(1, INSTRUMENTS + 1)
    ]


async def written(pod: Pod) -> None:
    """Wait until the rows are as of the end of the log."""
    _, end = await pod.bus.offsets(EVENTS_TOPIC, 0)
    while await pod.database.fetchval("SELECT next_offset FROM positions.projection") != end:
        await asyncio.sleep(0.02)


async def copy_seconds(database: Database) -> float:
    """Seconds to add as many fills as there are to a plain table."""
    fills = [tuple(each) for each in await database.fetch("SELECT * FROM positions.fills")]
    async with database.transaction() as connection:
        await connection.execute("CREATE TABLE positions.plain (LIKE positions.fills)")
        began = time.perf_counter()
        await connection.copy_records_to_table("plain", schema_name="positions", records=fills)
    return time.perf_counter() - began


def row(name: str, value: float, unit: str, peer: float | None) -> dict[str, Any]:
    """A line of the table."""
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": peer,
        "ratio": value / peer if peer else None,
    }


def records() -> tuple[list[bytes], list[bytes]]:
    """The log of the deposits, and that of the trading."""
    core = Core(CoreSettings())
    commands = trading()
    opening = [encoded(core, frame, definitions) for frame, definitions in openings()]
    trades = [encoded(core, frame, None) for frame in frames_of(commands, FRAME)]
    return [value for part in opening for value in part], [value for part in trades for value in part]


def encoded(core: Core, frame: Rows, definitions: Rows | None) -> list[bytes]:
    """What the publisher would append of a frame."""
    first = core.sequence + 1
    events = core.apply(frame, TIME_NS) if definitions is None else core.apply(frame, TIME_NS, definitions)
    return [value for _, _, value in encode_events(0, first, first, TIME_NS, events)]


def openings() -> list[tuple[Rows, Rows | None]]:
    """Definitions, cash for everybody, and shares of what each trades."""
    rules = np.zeros(INSTRUMENTS, INSTRUMENT)
    for name in ("tick_value", "board_lot", "odd_lot_rule", "settlement", "trading_state"):
        rules[name] = 1
    rules["instrument_id"] = np.arange(1, INSTRUMENTS + 1)
    rules["reference_price_ticks"] = START_PRICE
    rules["max_price_ticks"] = rules["max_order_lots"] = 1 << 29
    rules["maker_fee_ppm"], rules["taker_fee_ppm"], rules["stamp_duty_ppm"] = 100, 300, 500
    deposits = np.zeros(ACCOUNTS * (1 + EACH), COMMAND)
    deposits["kind"] = log_pb2.COMMAND_KIND_DEPOSIT_SHARES
    deposits["kind"][:ACCOUNTS] = log_pb2.COMMAND_KIND_DEPOSIT_CASH
    accounts = np.arange(1, ACCOUNTS + 1)
    deposits["account_id"] = np.tile(accounts, 1 + EACH)
    deposits["request_id"] = np.arange(1, len(deposits) + 1)
    deposits["create_time_ns"] = TIME_NS
    deposits["amount_micros"][:ACCOUNTS] = 10**13
    deposits["quantity_lots"][ACCOUNTS:] = 10**6
    turns = np.repeat(np.arange(EACH), ACCOUNTS)
    deposits["instrument_id"][ACCOUNTS:] = instrument_of(np.tile(accounts, EACH), turns)
    frames = frames_of(deposits, 50_000)
    return [(frames[0], rules), *((frame, None) for frame in frames[1:])]


def instrument_of(account: Any, turn: Any) -> Any:
    """The instrument that an account trades at one of its turns."""
    return (account * EACH + turn % EACH) % INSTRUMENTS + 1


def trading() -> Rows:
    """A flow of orders, replacements and cancels, dealt out to all accounts in turn."""
    flow = swing_flow(0.02, MESSAGES)
    commands = commands_of(flow)
    orders = flow["order_id"].astype(np.int64)
    commands["account_id"] = orders % ACCOUNTS + 1
    new = flow["type"] == NEW
    commands["instrument_id"][new] = instrument_of(orders % ACCOUNTS + 1, orders // ACCOUNTS)[new]
    return commands


def ready_book(deposits: list[bytes]) -> Book:
    """A book that knows the instruments and the deposits."""
    book = Book(Listing(["CNY"], {}, "CNY"))
    book.learn(
        Rules(number, f"S{number}", "CNY", 1, False, 300, f"Industry {number % 5}", START_PRICE)
        for number in range(1, INSTRUMENTS + 1)
    )
    fold_seconds(book, deposits)
    return book


def fold_seconds(book: Book, log: list[bytes]) -> float:
    """Seconds to decode and fold records."""
    began = time.perf_counter()
    for value in log:
        header, events = EVENTS.decode(value)
        book.fold(events, int(header["first_sequence"]), int(header["time_ns"]))
    return time.perf_counter() - began


def decode_seconds(log: list[bytes]) -> float:
    """Seconds to decode records and leave it at that."""
    began = time.perf_counter()
    for value in log:
        EVENTS.decode(value)
    return time.perf_counter() - began


def add_seconds(log: list[bytes]) -> float:
    """Seconds to add up the bytes of records, eight at a time."""
    began = time.perf_counter()
    for value in log:
        np.frombuffer(value, np.int64, count=len(value) // 8).sum()
    return time.perf_counter() - began


if __name__ == "__main__":
    for each in asyncio.run(run()):
        print(f"{each['name']:40} {each['value']:>14,.0f} {each['unit']}  peer {each['peer']}")
