"""Replay of a log that the test holds."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest
from matching import recovery
from matching.domain import COMMAND, Core, CoreSettings
from matching.frames import Frame, FrameError, decode_frame
from matching.recovery import replay
from matching.replica import Applied, Replica
from plain_instrument import plain_instrument
from smartex.matching.v1.log_pb2 import COMMAND_KIND_DEPOSIT_CASH, InstrumentDefinition
from smartex_bus import StoredRecord

MASS_CANCEL = 5


class HeldLog:
    """A bus whose records are given; `missing` is an offset that it leaves out."""

    def __init__(self, values: list[bytes], missing: int = -1) -> None:
        self._records = [
            StoredRecord("commands", 0, offset, value, b"", {}, 0)
            for offset, value in enumerate(values)
            if offset != missing
        ]

    async def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, self._records[-1].offset + 1

    async def read(
        self, topic: str, partition: int, offset: int, *, max_records: int, max_bytes: int
    ) -> list[StoredRecord]:
        await asyncio.sleep(0)
        return [record for record in self._records if record.offset >= offset][:max_records]


def frames(count: int) -> list[bytes]:
    rows = np.zeros(3, COMMAND)
    rows["kind"], rows["account_id"] = MASS_CANCEL, 1
    return [Frame(1, number, number, rows).encode() for number in range(count)]


def empty() -> Replica:
    return Replica(Core(CoreSettings(window=64, max_orders=64, max_accounts=16)))


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("matching-")]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many batches of few frames, so that all buffers come around."""
    monkeypatch.setattr(recovery, "_READ_RECORDS", 3)


@pytest.mark.parametrize(("count", "up_to"), [(1, None), (7, None), (50, None), (50, 20)])
async def test_every_frame_is_applied_once_and_in_order(count: int, up_to: int | None) -> None:
    log: Any = HeldLog(frames(count))
    replica, seen = empty(), []

    def on_applied(applied: Applied) -> None:
        seen.append((applied.offset, applied.first_sequence, len(applied.events)))

    wanted = count if up_to is None else up_to + 1
    assert await replay(log, 0, replica, up_to=up_to, on_applied=on_applied) == 3 * wanted
    assert seen == [(offset, 1 + 3 * offset, 3) for offset in range(wanted)]
    assert (replica.next_offset, replica.core.sequence) == (wanted, 3 * wanted)


async def test_a_replay_that_nobody_reads_gives_the_state_of_each_frame_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Frames run together, also around definitions, and no buffer is filled again before it is applied."""
    instrument = plain_instrument()
    made = []
    for number in range(1, 41):
        rows = np.zeros(2, COMMAND)
        rows["kind"], rows["account_id"] = COMMAND_KIND_DEPOSIT_CASH, [1, 2 + number % 8]
        rows["request_id"], rows["amount_micros"] = [2 * number, 2 * number + 1], number
        rows["create_time_ns"] = 10**18 + number
        definition = InstrumentDefinition(instrument=instrument, request_id=number)
        made.append(Frame(1, number, 10**18 + number, rows, (definition,) if number % 5 == 2 else ()))
    apply = recovery._apply

    def slowly(*arguments: Any) -> int:
        time.sleep(0.01)
        return apply(*arguments)

    monkeypatch.setattr(recovery, "_apply", slowly)
    log: Any = HeldLog([frame.encode() for frame in made])
    replica, expected = empty(), empty()
    for offset, frame in enumerate(made):
        expected.apply(offset, decode_frame(frame.encode()))
    assert await replay(log, 0, replica) == 80
    assert expected.core.account_count == 9
    assert replica.state_hash() == expected.state_hash()


@pytest.mark.parametrize("missing", [1, 10, 48])
async def test_nothing_is_applied_behind_a_gap(missing: int) -> None:
    log: Any = HeldLog(frames(50), missing)
    replica = empty()
    with pytest.raises(FrameError, match="gap"):
        await replay(log, 0, replica)
    assert replica.next_offset == missing
    assert not workers()


async def test_a_record_that_cannot_be_read_ends_the_replay() -> None:
    values = frames(50)
    values[30] = b"\xff" * 10
    log: Any = HeldLog(values)
    replica = empty()
    with pytest.raises(FrameError, match="cannot be read"):
        await replay(log, 0, replica)
    assert replica.next_offset <= 30
    assert not workers()


async def test_who_is_stopped_applies_nothing_afterwards() -> None:
    log: Any = HeldLog(frames(500))
    replica, begun = empty(), asyncio.Event()
    loop = asyncio.get_running_loop()
    replaying = asyncio.ensure_future(
        replay(log, 0, replica, on_applied=lambda _: loop.call_soon_threadsafe(begun.set))  # type: ignore[arg-type]
    )
    await begun.wait()
    replaying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await replaying
    reached = replica.next_offset
    await asyncio.sleep(0.05)
    assert replica.next_offset == reached < 500
    assert not workers()
