"""What needs no server: headers, trace context, backoff, assignment, letters, the tail, URLs."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from smartex_bus import (
    DeadLetter,
    Final,
    KafkaCompression,
    KafkaSecurity,
    KafkaSettings,
    OffsetTrimmed,
    Overloaded,
    PostgresSettings,
    Record,
    RecordTooLarge,
    Retryable,
    StoredRecord,
    batch_links,
    extract_trace,
    inject_trace,
    open_bus,
    origin,
)
from smartex_bus.backoff import Backoff
from smartex_bus.headers import decode_headers, encode_headers
from smartex_bus.kafka.dead_letters import check_whole, mark_redriven, open_letters, to_letter, to_record
from smartex_bus.letters import redriven
from smartex_bus.opening import known_url, service_settings, settings_of
from smartex_bus.postgres.groups import assign
from smartex_bus.tail import Tail

HEADERS = st.dictionaries(st.text(max_size=40), st.binary(max_size=300), max_size=6)


@given(HEADERS)
def test_headers_survive(headers: dict[str, bytes]) -> None:
    assert dict(decode_headers(encode_headers(headers))) == headers


@given(HEADERS.filter(bool), st.data())
def test_headers_cut_short_are_refused_or_fewer(headers: dict[str, bytes], data: st.DataObject) -> None:
    encoded = encode_headers(headers)
    assert encoded is not None
    cut = data.draw(st.integers(0, len(encoded) - 1))
    try:
        decoded = decode_headers(encoded[:cut])
    except ValueError:
        return
    assert len(decoded) < len(headers)
    assert decoded.items() <= headers.items()


def test_no_headers_take_no_bytes() -> None:
    assert encode_headers({}) is None
    assert dict(decode_headers(None)) == {}
    with pytest.raises(ValueError, match="255 bytes"):
        encode_headers({"x" * 256: b""})


def stored(offset: int, headers: dict[str, bytes] | None = None, topic: str = "t") -> StoredRecord:
    return StoredRecord(topic, 0, offset, b"v%d" % offset, b"k", headers or {}, 5)


def test_trace_context_survives() -> None:
    assert inject_trace({"a": b"b"}) == {"a": b"b"}
    span = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1))
    with trace.use_span(NonRecordingSpan(span)):
        headers = inject_trace()
    found = trace.get_current_span(extract_trace(headers)).get_span_context()
    assert (found.trace_id, found.span_id) == (1, 2)
    links = batch_links(
        [stored(0, headers), stored(1), stored(2, headers), stored(3, {"traceparent": b"junk"})]
    )
    assert [link.context.span_id for link in links] == [2]
    assert batch_links([stored(0, headers)], limit=0) == []


def test_backoff_doubles_with_jitter_up_to_its_limit() -> None:
    backoff = Backoff(0.1, 1.0, random.Random(1))
    waits = [backoff.next() for _ in range(100)]
    for wait, full in zip(waits, [0.1, 0.2, 0.4, 0.8] + [1.0] * 96, strict=True):
        assert full / 2 <= wait <= full
    backoff.reset()
    assert backoff.next() <= 0.1


@given(
    st.dictionaries(st.integers(1, 5), st.integers(1, 8), min_size=1, max_size=4),
    st.integers(1, 6),
    st.randoms(use_true_random=False),
)
def test_partitions_are_spread_evenly(
    partitions: dict[int, int], members: int, chance: random.Random
) -> None:
    places = [(topic, p) for topic, count in partitions.items() for p in range(count)]
    table = {uuid.UUID(int=chance.getrandbits(128)): list(partitions) for _ in range(members)}
    owners = assign(places, table)
    assert set(owners) == set(places)
    shuffled = list(table.items())
    chance.shuffle(shuffled)
    assert assign(reversed(places), dict(shuffled)) == owners
    for topic, count in partitions.items():
        held = [sum(1 for (t, _), o in owners.items() if t == topic and o == member) for member in table]
        assert max(held) - min(held) <= 1
        assert sum(held) == count


def test_members_get_only_what_they_want() -> None:
    one, two = uuid.UUID(int=1), uuid.UUID(int=2)
    assert assign([(1, 0), (2, 0), (3, 0)], {one: [1], two: [2]}) == {(1, 0): one, (2, 0): two}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=30), st.integers(1, 4))
def test_the_tail_gives_consecutive_records_or_nothing(groups: list[tuple[int, int]], most: int) -> None:
    """Other processes append between the groups of this one; what was not handed over must be read."""

    async def run() -> None:
        tail = Tail("t", 0)
        end = 0
        for gap, count in groups:
            end += gap
            tail.hand_over(end, [Record(b"%d" % (end + i)) for i in range(count)], 1)
            end += count
        position = 0
        while position < end:
            records = tail.take(position, most)
            if not records:
                assert tail.must_look()
                tail.tell()
                position += 1
                continue
            assert len(records) <= most
            assert [r.offset for r in records] == list(range(position, position + len(records)))
            assert [int(r.value) for r in records] == [r.offset for r in records]
            position += len(records)

    asyncio.run(run())


async def test_the_tail_is_bounded() -> None:
    tail = Tail("t", 0)
    tail.must_look()
    for i in range(1000):
        tail.hand_over(i, [Record(bytes(1 << 16))], 1)
        assert tail.held_bytes <= 8 << 20
    assert tail.must_look()


async def test_the_tail_wakes_its_follower() -> None:
    tail = Tail("t", 0)
    assert tail.must_look()
    assert not tail.must_look()
    waiting = asyncio.create_task(tail.wait(3600))
    await asyncio.sleep(0)
    tail.hand_over(0, [Record(b"0")], 1)
    await waiting
    assert not tail.must_look()
    assert [r.value for r in tail.take(0, 10)] == [b"0"]
    await tail.wait(0.001)


async def test_the_tail_wakes_nobody_for_what_is_known() -> None:
    known = 3
    tail = Tail("t", 0, known=lambda: known)
    tail.must_look()
    waiting = asyncio.create_task(tail.wait(3600))
    await asyncio.sleep(0)
    tail.hand_over(0, [Record(b"0"), Record(b"1")], 1)
    tail.hand_over(2, [Record(b"2")], 1)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert tail.held_bytes == 0
    tail.hand_over(3, [Record(b"3")], 1)
    await waiting
    assert [r.value for r in tail.take(3, 10)] == [b"3"]


async def test_who_waits_at_the_log_is_told_of_what_is_known_too() -> None:
    """Or it would read back from the log what this process appends."""
    tail = Tail("t", 0, known=lambda: 1)
    assert tail.must_look()
    waiting = asyncio.create_task(tail.handed())
    await asyncio.sleep(0)
    tail.hand_over(0, [Record(b"0")], 1)
    await asyncio.wait_for(waiting, 60)
    assert tail.holds
    assert tail.take(1, 10) == []
    assert not tail.must_look()
    assert not tail.holds


def test_letters_as_records() -> None:
    record = stored(7, {"a": b"1"})
    letter = to_letter("g", 3, to_record(record, "cannot parse", 10_000))
    assert (letter.id, letter.group, letter.reason, letter.record) == (3, "g", "cannot parse", record)
    again = redriven(letter)
    assert (again.value, again.key, again.headers["a"]) == (record.value, record.key, b"1")
    back = StoredRecord("g.redrive", 0, 0, again.value, again.key, again.headers, 9)
    assert origin(back) == ("t", 0, 7)
    assert origin(record) == ("t", 0, 7)
    # A letter of a redriven record still tells where it was first.
    second = redriven(DeadLetter(4, "g", "again", 1, back))
    assert origin(StoredRecord("g.redrive", 0, 1, b"", b"", second.headers, 9)) == ("t", 0, 7)


def test_a_record_that_is_too_large_for_a_letter_stays_where_it_is() -> None:
    record = StoredRecord("t", 0, 7, b"x" * 5000, b"k", {"a": b"1"}, 5)
    whole = to_record(record, "r" * 9000, 10_000)
    assert to_record(record, "r" * 9000, whole.size()).value == record.value
    letter = to_letter("g", 1, whole)
    assert (letter.record, letter.reason) == (record, "r" * 2000)
    check_whole(letter)
    rest = to_letter("g", 1, to_record(record, "cannot parse", 5000))
    assert (rest.record.topic, rest.record.offset, rest.record.value) == ("t", 7, b"")
    assert "5000 bytes" in rest.reason
    with pytest.raises(RecordTooLarge, match=r"t\[0\]@7"):
        check_whole(rest)


async def test_of_letters_for_one_record_the_newest_counts() -> None:
    log = [to_record(stored(offset), f"{offset} {n}", 10_000) for n in range(2) for offset in range(2)]

    async def read(topic: str, offset: int, most: int) -> list[StoredRecord]:
        page = enumerate(log[offset : offset + most], offset)
        return [StoredRecord(topic, 0, at, r.value, r.key, r.headers, 1) for at, r in page]

    assert [letter.reason for letter in await open_letters("g", 0, read, 10)] == ["0 1", "1 1"]


async def test_open_letters_forget_what_was_redriven() -> None:
    letters = [to_record(stored(i), f"reason {i}", 10_000) for i in range(3)]
    first = to_letter("g", 0, letters[0])
    superseded = to_letter("g", 1, letters[1])
    log = [*letters, mark_redriven(first), to_record(stored(1), "newer", 10_000), mark_redriven(superseded)]

    async def read(topic: str, offset: int, most: int) -> list[StoredRecord]:
        assert topic == "g.dead-letters"
        page = enumerate(log[offset : offset + min(most, 2)], offset)
        return [StoredRecord(topic, 0, at, r.value, r.key, r.headers, 1) for at, r in page]

    found = await open_letters("g", 0, read, 10)
    assert [(letter.id, letter.reason) for letter in found] == [(2, "reason 2"), (4, "newer")]
    assert await open_letters("g", 0, read, 1) == found[:1]
    assert await open_letters("g", 3, read, 10) == found[1:]
    assert await open_letters("g", len(log), read, 10) == []


@dataclass(frozen=True)
class Hidden:
    """A URL as settings keep it."""

    url: str

    def get_secret_value(self) -> str:
        return self.url


async def test_urls() -> None:
    assert settings_of("postgresql://h/db") == PostgresSettings("postgresql://h/db")
    assert settings_of("kafka://a:1,b:2") == KafkaSettings("a:1,b:2")
    assert settings_of("postgres://h/db") == PostgresSettings("postgres://h/db")
    for url in ("redis://x", "kafka://", "postgresql://", "nonsense"):
        with pytest.raises(ValueError, match="a bus is"):
            await open_bus(url)
        with pytest.raises(ValueError, match="a bus is"):
            known_url(Hidden(url))
    assert known_url(None) is None
    assert "secret" not in repr(PostgresSettings("postgresql://user:secret@h/db"))


@dataclass
class Chosen:
    url: str
    pod: str = "pod-0"
    kafka_replication: int = 3
    kafka_compression: KafkaCompression = "lz4"

    def bus(self) -> str:
        return self.url


def test_a_service_wants_most_copies_to_have_an_append() -> None:
    assert service_settings("matching", Chosen("kafka://a:1,b:2")) == KafkaSettings(
        "a:1,b:2", replication=3, min_insync=2, compression="lz4", client_id="matching-pod-0"
    )
    guarded = "kafka://me:hidden@a:1?security=SASL_PLAINTEXT"
    login = KafkaSecurity("SASL_PLAINTEXT", user="me", password="hidden")
    found = service_settings("matching", Chosen(guarded))
    assert isinstance(found, KafkaSettings)
    assert found.security == login
    assert service_settings("matching", Chosen("postgresql://h/db")) == PostgresSettings("postgresql://h/db")


def test_errors_say_what_to_do() -> None:
    error = OffsetTrimmed("t", 1, 5, 9)
    assert "restart from 9" in str(error)
    assert isinstance(error, Final)
    assert issubclass(Overloaded, Retryable)
