"""A request of millions of things is refused by their count: looking at each would hold up everybody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from notifications.api.addresses import AddressesApi
from notifications.api.conversations import ConversationApi
from notifications.api.inbox import InboxApi
from notifications.api.preferences import PreferencesApi
from smartex.notifications.v1 import conversation_service_pb2 as talk
from smartex.notifications.v1 import notice_pb2
from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex_chassis import InvalidInput, Principal
from smartex_chassis.call import Call, set_current

MANY = 1_000_000
NOTHING: Any = None


@contextmanager
def refused_at_once(field: str) -> Iterator[None]:
    """A caller with account 7 is told the field, and little work is done for it."""
    task = asyncio.current_task()
    assert task is not None
    call = Call("test", task, asyncio.Event())
    call.principal = Principal("x", 7, frozenset({"trade", "read"}), time.time() + 60)
    set_current(call)
    began = time.process_time()
    with pytest.raises(InvalidInput) as refused:
        yield
    assert time.process_time() - began < 0.2
    assert field in [violation.field for violation in refused.value.field_violations]


async def test_preferences_with_a_million_rules() -> None:
    request = pb.SetPreferencesRequest.FromString(_field(1, b"\x22\x00" * MANY))
    with refused_at_once("preferences.rules"):
        await PreferencesApi(NOTHING, NOTHING).SetPreferences(request, NOTHING)


async def test_preferences_with_a_million_times() -> None:
    request = pb.SetPreferencesRequest(preferences=pb.Preferences(digest_times=["08:30"] * MANY))
    with refused_at_once("preferences.digest_times"):
        await PreferencesApi(NOTHING, NOTHING).SetPreferences(request, NOTHING)


async def test_a_rule_with_a_million_channels() -> None:
    rule = pb.ChannelRule(kind="*", channels=[pb.CHANNEL_EMAIL] * MANY)
    request = pb.SetPreferencesRequest(preferences=pb.Preferences(rules=[rule]))
    with refused_at_once("preferences.rules[0].channels"):
        await PreferencesApi(NOTHING, NOTHING).SetPreferences(request, NOTHING)


async def test_a_million_ids_to_mark() -> None:
    request = pb.MarkReadRequest(notice_ids=["n"] * MANY)
    with refused_at_once("notice_ids"):
        await InboxApi(NOTHING, NOTHING, NOTHING).MarkRead(request, NOTHING)


async def test_an_address_with_a_million_secrets() -> None:
    request = pb.AddAddressRequest(
        channel=pb.CHANNEL_WEBHOOK,
        value="https://a.example",
        secrets={str(number): "" for number in range(MANY)},
    )
    with refused_at_once("secrets"):
        await AddressesApi(NOTHING, NOTHING).AddAddress(request, NOTHING)


async def test_a_query_that_grows_when_it_is_folded() -> None:
    request = talk.SearchMessagesRequest(query="\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * MANY)
    with refused_at_once("query"):
        await _conversations().SearchMessages(request, NOTHING)


async def test_a_card_with_a_million_lines() -> None:
    lines = [notice_pb2.CardLine()] * MANY
    card = notice_pb2.Card(kind=notice_pb2.CARD_KIND_SIGNAL, id="s", lines=lines)
    request = talk.OpenThreadRequest(trader="zhang", about=card, request_id=1)
    with refused_at_once("about.lines"):
        await _conversations().OpenThread(request, NOTHING)


def _conversations() -> ConversationApi:
    return ConversationApi(NOTHING, NOTHING, NOTHING, NOTHING)


def _field(number: int, content: bytes) -> bytes:
    """A message field of a protobuf."""
    length, size = len(content), b""
    while length > 127:
        size += bytes([length & 127 | 128])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content
