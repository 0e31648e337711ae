"""The past from checkpoints equals the past from the log's beginning, whatever happens to the checkpoints."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import positions
import pytest
from positions.checkpoints import Checkpoints, Keeper
from positions.domain.book import Book, Listing, changes, packing, words
from positions.domain.book.valuing import Freshness
from positions.intake import EVENTS, EVENTS_TOPIC, Intake
from positions.market import Definitions
from positions.rewind import Moment, Rewind
from positions.store import LeaseLost
from positions_flows import ACCOUNTS, INSTRUMENTS, equal, flow
from smartex.matching.v1.types_pb2 import Instrument
from smartex_bus import Bus, Record, Topic, open_bus
from smartex_chassis import OutOfRange
from smartex_store import Database, migrate

LAYOUT = packing.layout({}, "CNY")
FIRST_NS = 10**18
FRESHNESS = Freshness(2 * FIRST_NS, -(2**62), 2**62)


class Past:
    """A log of random events in records of random sizes and times, a pod's book that folds it, and what rewinds it."""

    def __init__(self, database: Database, bus: Bus, seed: int) -> None:
        self.database, self.bus = database, bus
        self.dice = np.random.default_rng(seed)
        self.definitions = Definitions(database, grpc.aio.insecure_channel("127.0.0.1:1"))
        self.book = Book(Listing([], {}, "CNY"))
        self.intake = Intake(self.book, 0, 60 * 10**9, 10**18)
        self.checkpoints = Checkpoints(database, 0, LAYOUT, 6)
        self.rewind = Rewind(bus, self.definitions, self.checkpoints, 0, self.book.listing, 10**18, 10**6)

    async def write(self, seed: int) -> None:
        await self.bus.ensure_topics(Topic(EVENTS_TOPIC))
        await self.define()
        events, at, time_ns = flow(seed, 400), 0, FIRST_NS
        events["order_id"][events["kind"] == words.TRADE] = 10**6
        while at < len(events):
            some = events[at : at + int(self.dice.integers(1, 40))]
            header = {"version": 1, "shard": 0, "offset": 0, "first_sequence": at + 1, "time_ns": time_ns}
            await self.bus.appender(EVENTS_TOPIC).append(Record(EVENTS.encode(some, header)))
            at += len(some)
            time_ns += int(self.dice.integers(0, 3)) * 10**9
        self.last, self.last_ns = len(events), time_ns

    async def define(self) -> None:
        """Instruments, each with a second version that moves it to another industry on the way."""
        rows = [
            (number, version, definition(number, version, industry).SerializeToString())
            for number in range(1, INSTRUMENTS + 1)
            for version, industry in ((1, "Banks"), (100 * number, "Steel"))
        ]
        await self.database.executemany("INSERT INTO positions.definitions VALUES ($1, $2, $3)", rows)
        await self.definitions.load()
        await self.database.execute("INSERT INTO positions.projection (shard, epoch) VALUES (0, 1)")

    async def fold(self, every: int) -> None:
        """Fold everything as a pod does, and keep checkpoints on the way."""
        keeper = Keeper(self.checkpoints, every)
        for record in await self.bus.read(EVENTS_TOPIC, 0, 0, max_records=10_000):
            stop = self.intake.fold([record])
            assert not stop.why
            if stop.read is not None:
                self.book.learn(await self.definitions.needed(self.book, stop.read))
                self.intake.fold_one(stop.read, record.offset + 1)
            if keeper.due(self.book.sequence):
                keeper.keep(1, self.intake.snapshot())
                assert keeper._task is not None
                await keeper._task

    async def kept(self) -> list[int]:
        rows = await self.database.fetch("SELECT sequence FROM positions.checkpoints ORDER BY 1")
        return [row["sequence"] for row in rows]

    def moments(self, count: int) -> list[Moment]:
        sequences = self.dice.integers(1, self.last + 2, count).tolist()
        times = (FIRST_NS + self.dice.integers(-1, self.last_ns - FIRST_NS + 2, count)).tolist()
        return [Moment(sequence=each) for each in sequences] + [Moment(time_ns=each) for each in times]

    async def same(self, moment: Moment) -> None:
        """A rewind equals a fold from the beginning, row for row and view for view."""
        short, whole = await self.rewind.book(moment), await self.rewind.book(moment, from_beginning=True)
        equal(changes.all_rows(short.tables), changes.all_rows(whole.tables))
        assert [short.sequence, short.time_ns, short.day] == [whole.sequence, whole.time_ns, whole.day]
        for account in range(1, ACCOUNTS + 1):
            assert seen(short, account) == seen(whole, account)


def seen(book: Book, account: int) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """An account's view and its figures; industries have numbers of each book's own, so by their names."""
    view = book.view(account, FRESHNESS)
    if view is None:
        return None
    figures = {name: view.figures[name].item() for name in view.figures.dtype.names or ()}
    largest = figures["largest_industry"]
    figures["largest_industry"] = book.listing.industries[largest] if largest >= 0 else ""
    others = {one.name: getattr(view, one.name) for one in dataclasses.fields(view) if one.name != "figures"}
    return others, figures


def definition(number: int, version: int, industry: str) -> Instrument:
    return Instrument(
        instrument_id=number,
        version=version,
        symbol=f"S{number}",
        currency_code="CNY",
        tick_size="0.01",
        lot_size="1",
        reference_price_ticks=1000,
        industry=industry,
    )


@asynccontextmanager
async def past(url: str, seed: int) -> AsyncIterator[Past]:
    await migrate(url, "positions", Path(positions.__file__).parent / "migrations")
    async with (
        Database.connect(url, name="positions", schema="positions") as database,
        await open_bus(url) as bus,
    ):
        made = Past(database, bus, seed)
        await made.write(seed)
        yield made


@pytest.mark.parametrize("seed", range(4))
async def test_any_moment_from_a_checkpoint_is_the_same_as_from_the_beginning(
    fresh: AbstractAsyncContextManager[str], seed: int
) -> None:
    async with fresh as url, past(url, seed) as world:
        await world.fold(int(world.dice.integers(20, 60)))
        assert 3 <= len(await world.kept()) <= 6
        for moment in world.moments(15):
            await world.same(moment)
        for sequence in await world.kept():
            for near in (sequence - 1, sequence, sequence + 1):
                await world.same(Moment(sequence=near))


async def test_damaged_and_foreign_ones_are_passed_over(fresh: AbstractAsyncContextManager[str]) -> None:
    async with fresh as url, past(url, 1) as world:
        await world.fold(50)
        first, *others, newest = await world.kept()
        parts = "UPDATE positions.checkpoint_parts SET body = {} WHERE sequence = $1"
        await world.database.execute(parts.format("set_byte(body, 99, get_byte(body, 99) # 1)"), newest)
        await world.database.execute(parts.format("substr(body, 1, 100)"), others[-1])
        await world.database.execute(
            "DELETE FROM positions.checkpoint_parts WHERE sequence = ANY($1::bigint[])", others[:-1]
        )
        found = await world.checkpoints.before(2**62, 2**62)
        assert found is not None
        assert found.sequence == first
        await world.same(Moment(sequence=world.last))
        await world.database.execute("UPDATE positions.checkpoints SET layout = 'of another version'")
        assert await world.checkpoints.before(2**62, 2**62) is None
        await world.same(Moment(sequence=world.last))
        # They go once there are some that can be read.
        await world.fold(50)
        await world.checkpoints.write(1, world.intake.snapshot(), packing.pack(world.intake.snapshot().rows))
        assert await world.kept() == [world.last]


async def test_what_is_broken_off_leaves_nothing(
    fresh: AbstractAsyncContextManager[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fresh as url, past(url, 2) as world:
        await world.fold(10**9)
        snapshot = world.intake.snapshot()
        body = packing.pack(snapshot.rows)
        monkeypatch.setattr("positions.checkpoints._PART_BYTES", 1000)
        with pytest.raises(LeaseLost):
            await world.checkpoints.write(7, snapshot, body)

        async def broken(*_: Any) -> None:
            raise asyncio.CancelledError

        with monkeypatch.context() as patch:
            patch.setattr(world.checkpoints, "_thin", broken)
            with pytest.raises(asyncio.CancelledError):
                await world.checkpoints.write(1, snapshot, body)
        assert await world.kept() == []
        assert await world.database.fetchval("SELECT count(*) FROM positions.checkpoint_parts") == 0
        for _ in range(2):
            await world.checkpoints.write(1, snapshot, body)
        assert await world.kept() == [world.last]
        await world.same(Moment(sequence=world.last))


async def test_a_log_whose_beginning_was_cut_is_rewound_where_a_checkpoint_helps(
    fresh: AbstractAsyncContextManager[str],
) -> None:
    async with fresh as url, past(url, 3) as world:
        await world.fold(60)
        rows = await world.database.fetch("SELECT * FROM positions.checkpoints ORDER BY sequence")
        third = rows[2]
        whole = {
            at: await world.rewind.book(Moment(sequence=at), from_beginning=True)
            for at in (third["sequence"], third["sequence"] + 30, world.last)
        }
        await world.bus.trim(EVENTS_TOPIC, 0, third["next_offset"])
        for at, book in whole.items():
            again = await world.rewind.book(Moment(sequence=at))
            equal(changes.all_rows(again.tables), changes.all_rows(book.tables))
        for lost in (Moment(sequence=third["sequence"] - 1), Moment(sequence=1), Moment(time_ns=FIRST_NS)):
            with pytest.raises(OutOfRange) as error:
                await world.rewind.book(lost)
            assert error.value.reason == "LOG_TRIMMED"


async def test_what_is_read_is_counted_from_the_checkpoint(fresh: AbstractAsyncContextManager[str]) -> None:
    async with fresh as url, past(url, 4) as world:
        await world.fold(60)
        world.rewind._max_events = 150
        assert (await world.rewind.book(Moment(sequence=world.last))).sequence == world.last
        with pytest.raises(OutOfRange) as error:
            await world.rewind.book(Moment(sequence=world.last), from_beginning=True)
        assert error.value.reason == "TOO_FAR"
