"""The inbox: pages, a live stream, and read marks on every device."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import grpc
import pytest
from notifications_exchange import ALICE, BOB, Exchange, a_notice, serving, settings_of
from smartex.notifications.v1 import notification_service_pb2 as pb

Exchanging = Callable[..., AbstractAsyncContextManager[Exchange]]


@pytest.fixture
async def exchange(database: str, tmp_path: Path) -> AsyncIterator[Exchange]:
    """Without any provider: the inbox is always on."""
    async with serving(settings_of(database, tmp_path, None), tmp_path) as one:
        yield one


class Device:
    """An open stream."""

    def __init__(self, exchange: Exchange, account: int = ALICE, after: int = 0) -> None:
        request = pb.StreamInboxRequest(after_position=after)
        self._call: Any = exchange.stub.StreamInbox(request, metadata=exchange.investor(account))

    async def next(self, within: float = 60.0) -> pb.StreamInboxResponse:
        told: pb.StreamInboxResponse = await asyncio.wait_for(self._call.read(), within)
        return told

    async def nothing(self, within: float = 1.3) -> None:
        """Longer than the poll: nothing comes by itself."""
        waiting = asyncio.ensure_future(self._call.read())
        done, _ = await asyncio.wait((waiting,), timeout=within)
        assert not done
        self._call.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    def close(self) -> None:
        self._call.cancel()


async def test_entries_come_newest_first_and_page_by_page(exchange: Exchange) -> None:
    for n in range(5):
        await exchange.send(a_notice(f"n-{n}"))
    first = await exchange.inbox(page_size=2)
    assert [entry.notice_id for entry in first.entries] == ["n-4", "n-3"]
    assert first.unread_count == 5
    second = await exchange.inbox(page_size=2, page_token=first.next_page_token)
    third = await exchange.inbox(page_size=2, page_token=second.next_page_token)
    assert [entry.notice_id for entry in [*second.entries, *third.entries]] == ["n-2", "n-1", "n-0"]
    assert not third.next_page_token


async def test_an_entry_holds_what_an_app_shows(exchange: Exchange) -> None:
    notice = a_notice()
    await exchange.prefer(language="en")
    await exchange.send(notice)
    (entry,) = (await exchange.inbox()).entries
    assert entry.title == "Moutai is 62% of your account"
    assert "CN¥1,234,567.80" in entry.body
    assert entry.card.id == "alert-7"
    assert entry.trace_id == notice.trace_id
    assert entry.HasField("expire_time")
    assert not entry.HasField("read_time")


async def test_reading_on_one_device_is_seen_on_another_at_once(exchange: Exchange) -> None:
    phone, tablet = Device(exchange), Device(exchange)
    for device in (phone, tablet):
        assert (await device.next()).unread_count == 0
    await exchange.send(a_notice("n-1"))
    await exchange.send(a_notice("n-2"))
    for device in (phone, tablet):
        assert [(await device.next()).entry.notice_id for _ in range(2)] == ["n-1", "n-2"]
    request = pb.MarkReadRequest(notice_ids=["n-1"])
    told = await exchange.stub.MarkRead(request, metadata=exchange.investor())
    assert told.unread_count == 1
    for device in (phone, tablet):
        seen = await device.next()
        assert seen.entry.notice_id == "n-1"
        assert seen.entry.HasField("read_time")
        assert seen.unread_count == 1
        device.close()


async def test_a_stream_goes_on_where_it_was_cut(exchange: Exchange) -> None:
    for n in range(3):
        await exchange.send(a_notice(f"n-{n}"))
    device = Device(exchange, after=1)
    seen = [(await device.next()).entry for _ in range(2)]
    assert [entry.notice_id for entry in seen] == ["n-1", "n-2"]
    assert [entry.position for entry in seen] == [2, 3]
    device.close()


async def test_a_stream_tells_nothing_of_others(exchange: Exchange) -> None:
    device = Device(exchange, account=BOB)
    await device.next()
    await exchange.send(a_notice(account=ALICE))
    await device.nothing()


async def test_what_came_through_another_pod_is_streamed(
    exchange: Exchange, database: str, tmp_path: Path
) -> None:
    other = settings_of(database, tmp_path, None, pod="pod-2")
    async with serving(other, tmp_path) as second:
        device = Device(exchange)
        await device.next()
        await second.send(a_notice())
        assert (await device.next()).entry.notice_id == "n-1"
        device.close()


async def test_all_up_to_a_position_are_read(exchange: Exchange) -> None:
    for n in range(4):
        await exchange.send(a_notice(f"n-{n}"))
    told = await exchange.stub.MarkRead(pb.MarkReadRequest(up_to_position=3), metadata=exchange.investor())
    assert told.unread_count == 1
    (left,) = (await exchange.inbox(unread_only=True)).entries
    assert left.notice_id == "n-3"
    again = await exchange.stub.MarkRead(pb.MarkReadRequest(up_to_position=3), metadata=exchange.investor())
    assert again.unread_count == 1


async def test_somebody_elses_entries_stay_unread(exchange: Exchange) -> None:
    await exchange.send(a_notice(account=ALICE))
    request = pb.MarkReadRequest(notice_ids=["n-1", "unknown"], up_to_position=100)
    await exchange.stub.MarkRead(request, metadata=exchange.investor(BOB))
    assert (await exchange.inbox()).unread_count == 1


async def test_many_at_once_take_positions_of_their_own(exchange: Exchange) -> None:
    await asyncio.gather(*(exchange.send(a_notice(f"n-{n}")) for n in range(40)))
    entries = (await exchange.inbox()).entries
    assert sorted(entry.position for entry in entries) == list(range(1, 41))


async def test_one_account_opens_so_many_streams_and_no_more(exchange: Exchange) -> None:
    devices = [Device(exchange) for _ in range(16)]
    for device in devices:
        await device.next()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await Device(exchange).next()
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for device in devices:
        device.close()
