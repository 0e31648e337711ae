"""Preferences over the API, and what they change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from notifications_exchange import BOB, Exchange, serving, settings_of
from refusals import violations
from smartex.notifications.v1 import notice_pb2
from smartex.notifications.v1 import notification_service_pb2 as pb


@pytest.fixture
async def exchange(database: str, tmp_path: Path) -> AsyncIterator[Exchange]:
    async with serving(settings_of(database, tmp_path, None), tmp_path) as one:
        yield one


async def test_who_has_said_nothing_has_the_houses_preferences(exchange: Exchange) -> None:
    told = await exchange.stub.GetPreferences(pb.GetPreferencesRequest(), metadata=exchange.investor())
    assert told.preferences == pb.Preferences(
        language="zh-CN",
        time_zone="Asia/Shanghai",
        digest_times=["08:30"],
        hourly_limit=60,
        morning_digest=True,
    )


async def test_what_was_set_is_what_holds_and_only_for_its_account(exchange: Exchange) -> None:
    wanted = pb.Preferences(
        language="en",
        time_zone="Europe/Berlin",
        quiet_hours=pb.QuietHours(begin="22:00", end="07:00", critical_bypasses=True),
        rules=[
            pb.ChannelRule(
                kind="positions.*",
                channels=[pb.CHANNEL_WECHAT, pb.CHANNEL_EMAIL],
                all_at_once=True,
                least_urgency=notice_pb2.URGENCY_HIGH,
            ),
            pb.ChannelRule(kind="*", muted=True, least_urgency=notice_pb2.URGENCY_LOW),
        ],
        digest_times=["08:00", "17:30"],
        hourly_limit=5,
    )
    request = pb.SetPreferencesRequest(preferences=wanted)
    told = await exchange.stub.SetPreferences(request, metadata=exchange.investor())
    assert told.preferences == wanted
    own = await exchange.stub.GetPreferences(pb.GetPreferencesRequest(), metadata=exchange.investor())
    assert own.preferences == wanted
    other = await exchange.stub.GetPreferences(pb.GetPreferencesRequest(), metadata=exchange.investor(BOB))
    assert other.preferences.language == "zh-CN"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"language": "fr"}, "preferences.language"),
    ({"time_zone": "Europe/Atlantis"}, "preferences.time_zone"),
    ({"time_zone": "../../etc/passwd"}, "preferences.time_zone"),
    ({"quiet_hours": {"begin": "22:00", "end": "22:00"}}, "preferences.quiet_hours"),
    ({"quiet_hours": {"begin": "25:00", "end": "07:00"}}, "preferences.quiet_hours.begin"),
    ({"quiet_hours": {"begin": "22:00"}}, "preferences.quiet_hours.end"),
    ({"digest_times": ["8:30"]}, "preferences.digest_times[0]"),
    ({"digest_times": [f"{hour:02d}:00" for hour in range(13)]}, "preferences.digest_times"),
    ({"hourly_limit": -1}, "preferences.hourly_limit"),
    ({"hourly_limit": 1001}, "preferences.hourly_limit"),
    ({"rules": [{"kind": "Positions"}]}, "preferences.rules[0].kind"),
    ({"rules": [{"kind": "*"}, {"kind": "*"}]}, "preferences.rules[1].kind"),
    ({"rules": [{"kind": f"a.b{n}"} for n in range(101)]}, "preferences.rules"),
    ({"rules": [{"kind": "*", "channels": [99]}]}, "preferences.rules[0].channels"),
    ({"rules": [{"kind": "*", "channels": [0]}]}, "preferences.rules[0].channels"),
    ({"rules": [{"kind": "*", "channels": [2, 2]}]}, "preferences.rules[0].channels"),
    ({"rules": [{"kind": "*", "least_urgency": 9}]}, "preferences.rules[0].least_urgency"),
]


async def test_what_is_wrong_is_named_and_changes_nothing(exchange: Exchange) -> None:
    await exchange.prefer(hourly_limit=7)
    for changes, field in WRONG:
        request = pb.SetPreferencesRequest(preferences=pb.Preferences(**changes))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await exchange.stub.SetPreferences(request, metadata=exchange.investor())
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert field in violations(refused.value), changes
        told = await exchange.stub.GetPreferences(pb.GetPreferencesRequest(), metadata=exchange.investor())
        assert told.preferences.hourly_limit == 7


async def test_nothing_at_all_is_refused(exchange: Exchange) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await exchange.stub.SetPreferences(pb.SetPreferencesRequest(), metadata=exchange.investor())
    assert violations(refused.value) == ["preferences"]
