"""Batches for Kafka: byte for byte those that aiokafka makes."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from hypothesis import given
from hypothesis import strategies as st
from smartex_bus import Record
from smartex_bus.kafka.batch import RecordBatch
from smartex_bus.kafka.records import fill

ROOM, LARGE = 1 << 20, 1 << 24
TIME_MS = 1_764_200_000_123
_VALUES = st.builds(bytes.__mul__, st.binary(max_size=5), st.sampled_from([1, 13, 40, 1700]))
"""Lengths that take one, two and three bytes, from few bytes that are drawn."""
_HEADERS = st.dictionaries(st.text(max_size=3), _VALUES, max_size=2)
_KINDS = st.lists(st.builds(Record, _VALUES, key=_VALUES, headers=_HEADERS), min_size=1, max_size=4)
_RECORDS = st.builds(list.__mul__, _KINDS, st.sampled_from([1, 2, 66]))
_PRODUCERS = st.tuples(st.integers(-1, 2**63 - 1), st.integers(-1, 2**15 - 1), st.integers(0, 2**31 - 1))


def bytes_of(batch: Any, producer: tuple[int, int, int]) -> bytes:
    """As the producer asks for them: told who it is, and perhaps a second time."""
    batch._set_producer_state(*producer)
    built = bytes(batch._build())
    assert bytes(batch._build()) == built
    return built


@given(_RECORDS, _PRODUCERS)
def test_the_bytes_are_those_of_aiokafka(records: list[Record], producer: tuple[int, int, int]) -> None:
    theirs = BatchBuilder(LARGE, 0)
    fill(theirs, records, TIME_MS)
    ours = RecordBatch(records, TIME_MS, LARGE)
    assert (ours.closed(), ours.record_count()) == (theirs.closed(), theirs.record_count())
    assert ours.size() == theirs.size()
    built = bytes_of(ours, producer)
    assert built == bytes_of(theirs, producer)
    assert ours.size() == len(built)


def test_what_a_producer_asks_of_a_batch() -> None:
    """It may ask for no more than `RecordBatch` has: private names of aiokafka's are among it."""
    asked = {name for name in vars(BatchBuilder) if not name.startswith("__")} - {"_serialize"}
    assert asked <= set(dir(RecordBatch))


def test_nothing_more_fits_into_a_batch() -> None:
    batch = RecordBatch([Record(b"x")], TIME_MS, ROOM)
    answer: Any = batch.append(timestamp=None, key=None, value=b"y", headers=[])  # type: ignore[func-returns-value]
    assert answer is None
    assert batch.record_count() == 1


def test_too_much_for_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="2 records do not fit"):
        RecordBatch([Record(bytes(ROOM // 2)), Record(bytes(ROOM // 2))], TIME_MS, ROOM)
