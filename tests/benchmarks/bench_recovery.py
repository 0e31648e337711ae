"""Recovery from a real log: how fast a pod reads, decodes and applies what is in PostgreSQL, against reading it only.

SMARTEX_BENCH_COMMANDS sets the length of the log (default 10,000,000).
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from matching import domain
from matching.domain import COMMAND, Core, CoreSettings
from matching.frames import COMMANDS_TOPIC, Frame
from matching.prefault import Prefault, populate
from matching.recovery import replay
from matching.replica import Replica
from order_load import OrderLoad, Rows
from smartex.matching.v1 import log_pb2
from smartex_bus import Bus, Record, StoredRecord, Topic, open_bus
from smartex_store import EmbeddedPostgres
from venue_setup import ACCOUNTS, INSTRUMENT, rules

COMMANDS = int(os.environ.get("SMARTEX_BENCH_COMMANDS", "10000000"))
FRAME = 1000
FUNDS_MICROS = 10**17
RESTING = 1_000_000

Row = dict[str, Any]


def run() -> list[Row]:
    """Replay in memory, recovery from PostgreSQL, and the memory of a million resting orders."""
    domain.warm_up()
    return [*asyncio.run(_measure()), _memory()]


async def _measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            EmbeddedPostgres(Path(folder, "postgres")) as postgres,
            await open_bus(postgres.url) as bus,
        ):
            await bus.ensure_topics(Topic(COMMANDS_TOPIC))
            records = [frame.encode() for frame in _frames(COMMANDS)]
            await _append(bus, records)
            began = time.perf_counter()
            await _read_all(bus)
            reading = time.perf_counter() - began
            replica, prefault = Replica(Core(CoreSettings())), Prefault()
            began = time.perf_counter()
            prefault.start(replica.core.filled_by_orders())  # as a pod does
            recovered = await replay(bus, 0, replica)
            recovery = time.perf_counter() - began
            await prefault.stop()
        in_memory = statistics.median([await _replay_in_memory(records) for _ in range(3)])
    return [
        {
            "name": f"recovery of {recovered:,} commands from PostgreSQL",
            "value": recovered / recovery,
            "unit": "commands/s",
            "peer": recovered / reading,
            "ratio": reading / recovery,
        },
        {
            "name": "replay of frames in memory (decode and apply), median",
            "value": in_memory,
            "unit": "commands/s",
            "peer": None,
            "ratio": None,
        },
    ]


async def _append(bus: Bus, records: list[bytes]) -> None:
    appender = bus.appender(COMMANDS_TOPIC)
    for start in range(0, len(records), 32):
        await appender.append(*(Record(value) for value in records[start : start + 32]))
    await appender.close()


async def _read_all(bus: Bus) -> None:
    offset, end = await bus.offsets(COMMANDS_TOPIC, 0)
    while offset < end:
        offset = (await bus.read(COMMANDS_TOPIC, 0, offset, max_records=4000))[-1].offset + 1


class _Records:
    """A bus that holds the records in memory."""

    def __init__(self, records: list[bytes]) -> None:
        self._records = records

    async def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, len(self._records)

    async def read(
        self, topic: str, partition: int, offset: int, *, max_records: int, max_bytes: int
    ) -> list[StoredRecord]:
        found: list[StoredRecord] = []
        for value in self._records[offset : offset + max_records]:
            found.append(StoredRecord(topic, partition, offset + len(found), value, b"", {}, 0))
            max_bytes -= len(value)
            if max_bytes < 0:
                break
        return found


async def _replay_in_memory(records: list[bytes]) -> float:
    """Commands a second, decoded and applied as a pod does it, whose memory is there already."""
    replica = Replica(Core(CoreSettings()))
    for address, size in replica.core.filled_by_orders():
        populate(address, size)
    began = time.perf_counter()
    commands = await replay(_Records(records), 0, replica)  # type: ignore[arg-type]
    return commands / (time.perf_counter() - began)


def _frames(commands: int) -> Iterator[Frame]:
    """A market's log: the instrument, deposits, then orders of eight accounts in turn that rest, trade and cancel.

    A million commands a second by the log's clock: more than two million, and the window could not vouch for them.
    """
    now = time.time_ns()
    definition = log_pb2.InstrumentDefinition(instrument=rules(), request_id=1)
    yield Frame(1, 1, now, np.zeros(0, COMMAND), (definition,))
    yield Frame(1, 2, now, _deposits(now))
    loads = [OrderLoad(INSTRUMENT, FRAME, 1 + index) for index in range(len(ACCOUNTS))]
    for number in range(commands // FRAME):
        now += FRAME * 1000
        place = number % len(loads)
        rows = _commands(loads[place].rows(), ACCOUNTS[place])
        rows["create_time_ns"] = now
        yield Frame(1, 3 + number, now, rows)


def _commands(orders: Rows, account_id: int) -> Rows:
    rows = np.zeros(len(orders), COMMAND)
    for name in orders.dtype.names or ():
        rows[name] = orders[name]
    rows["account_id"] = account_id
    return rows


def _deposits(now: int) -> Rows:
    rows = np.zeros(2 * len(ACCOUNTS), COMMAND)
    rows["account_id"] = np.repeat(ACCOUNTS, 2)
    rows["request_id"] = np.arange(1, len(rows) + 1)
    rows["create_time_ns"] = now
    rows["kind"][0::2], rows["amount_micros"][0::2] = log_pb2.COMMAND_KIND_DEPOSIT_CASH, FUNDS_MICROS
    rows["kind"][1::2], rows["quantity_lots"][1::2] = log_pb2.COMMAND_KIND_DEPOSIT_SHARES, 10**12
    rows["instrument_id"][1::2] = INSTRUMENT
    return rows


def _memory() -> Row:
    """What a million resting orders occupy, ids remembered and all, against their 40 bytes of plain numbers each."""
    process = psutil.Process()
    replica = Replica(Core(CoreSettings()))
    for offset, frame in enumerate(_frames(0)):
        replica.apply(offset, frame)
    gc.collect()
    before = process.memory_info().rss
    rows = np.zeros(FRAME, COMMAND)
    rows["kind"], rows["account_id"], rows["instrument_id"] = 1, ACCOUNTS[0], INSTRUMENT
    rows["side"], rows["order_type"], rows["time_in_force"], rows["quantity_lots"] = 1, 1, 1, 1
    rows["price_ticks"] = np.arange(FRAME) + 1
    for number in range(RESTING // FRAME):
        rows["client_order_id"] = np.arange(FRAME) + 1 + number * FRAME
        rows["create_time_ns"] = time.time_ns()
        replica.core.apply(rows, time.time_ns())
    if replica.core.open_order_count != RESTING:
        raise RuntimeError(f"{replica.core.open_order_count} orders rest, not {RESTING}")
    used = (process.memory_info().rss - before) / RESTING
    return {
        "name": "memory of a resting order",
        "value": used,
        "unit": "bytes",
        "peer": 40,
        "ratio": used / 40,
    }
