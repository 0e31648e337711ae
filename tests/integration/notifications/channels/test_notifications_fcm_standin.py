"""The FCM channel against the stand-in: every error, every fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from notifications.channels import fcm
from notifications.domain.sending import (
    Address,
    AddressGone,
    ChannelKind,
    Failed,
    Refused,
    Sent,
    Urgency,
)
from smartex_standins.fcm import FcmStandin


class Bench:
    def __init__(self, desk: Any, channel: fcm.FcmChannel, address: Address, standin: FcmStandin) -> None:
        self.desk, self.channel, self.address, self.standin = desk, channel, address, standin


@pytest.fixture
async def bench(running: Any, clock: Any) -> AsyncIterator[Bench]:
    standin = FcmStandin(clock)
    async with running([standin]) as desk:
        channel = fcm.build(desk.tables["fcm"], clock=clock)
        yield Bench(desk, channel, await desk.address(ChannelKind.FCM, "fcm"), standin)
        await channel.close()


async def test_push_reaches_the_phone(bench: Bench, message: Any, clock: Any) -> None:
    expire_time = clock() + timedelta(minutes=5)
    outcome = await bench.channel.send(bench.address, message(expire_time=expire_time))
    assert isinstance(outcome, Sent)
    assert outcome.provider_id.startswith("projects/smartex-standin/messages/")
    [shown] = await bench.desk.shown("fcm")
    assert (shown["person"], shown["title"], shown["urgent"]) == ("alice", "集中度提醒", True)
    assert shown["link"] == "https://exchange.example/advice/17"
    sent = json.loads((await bench.desk.log("fcm"))[0]["body"])["message"]
    assert sent["android"]["ttl"] == "300s"
    assert sent["data"] == {
        "notice": "n-1",
        "link": "https://exchange.example/advice/17",
        "delivery_id": "d-0001",
    }


async def test_a_repeat_takes_the_place_of_the_first(bench: Bench, message: Any) -> None:
    await bench.channel.send(bench.address, message())
    await bench.channel.send(bench.address, message())
    assert len(await bench.desk.shown("fcm")) == 1


async def test_low_urgency_does_not_wake_the_phone(bench: Bench, message: Any) -> None:
    await bench.channel.send(bench.address, message(urgency=Urgency.LOW))
    assert [shown["urgent"] for shown in await bench.desk.shown("fcm")] == [False]


async def test_one_token_serves_many_messages_and_is_renewed_before_it_ends(
    bench: Bench, message: Any, clock: Any
) -> None:
    sends = [bench.channel.send(bench.address, message(delivery_id=f"d{n}")) for n in range(20)]
    assert all(isinstance(outcome, Sent) for outcome in await asyncio.gather(*sends))
    assert bench.standin.oauth.given == 1
    clock.forward(timedelta(minutes=59, seconds=10))
    assert isinstance(await bench.channel.send(bench.address, message()), Sent)
    assert bench.standin.oauth.given == 2


async def test_token_that_expires_midway_is_renewed_once(bench: Bench, message: Any) -> None:
    assert isinstance(await bench.channel.send(bench.address, message()), Sent)
    await bench.desk.faults("fcm", token_expired=1)
    assert isinstance(await bench.channel.send(bench.address, message(delivery_id="d2")), Sent)
    assert bench.standin.oauth.given == 2
    await bench.desk.faults("fcm", token_expired=True)
    outcome = await bench.channel.send(bench.address, message(delivery_id="d3"))
    assert outcome == Failed("NOT_ALLOWED 401 UNAUTHENTICATED")


async def test_a_dead_phone_is_removed(bench: Bench, message: Any) -> None:
    await bench.desk.tell("fcm/devices/remove", token=bench.address.value)
    assert await bench.channel.send(bench.address, message()) == AddressGone("UNREGISTERED")


@pytest.mark.parametrize("token", ["short", "nobody-has-this-token-at-all", "中" * 30])
async def test_a_token_that_fcm_never_gave_is_removed(bench: Bench, message: Any, token: str) -> None:
    outcome = await bench.channel.send(Address(ChannelKind.FCM, token), message())
    assert outcome == AddressGone("INVALID_TOKEN")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ("SENDER_ID_MISMATCH", Refused("SENDER_ID_MISMATCH")),
        ("QUOTA_EXCEEDED", Failed("RATE_LIMITED QUOTA_EXCEEDED", timedelta(seconds=30))),
        ("UNAVAILABLE", Failed("PROVIDER_FAILED 503 UNAVAILABLE", timedelta(seconds=30))),
        ("INTERNAL", Failed("PROVIDER_FAILED 500 INTERNAL")),
        ("THIRD_PARTY_AUTH_ERROR", Failed("NOT_ALLOWED 401 THIRD_PARTY_AUTH_ERROR")),
    ],
)
async def test_every_error_of_fcm(bench: Bench, message: Any, error: str, outcome: object) -> None:
    await bench.desk.tell("fcm/devices/fail", token=bench.address.value, error=error)
    assert await bench.channel.send(bench.address, message()) == outcome
    assert bench.standin.oauth.given == 1


@pytest.mark.parametrize(
    "changes", [{"data": {"from": "x"}}, {"body": "长" * 1500}, {"data": {"google.x": "1"}}]
)
async def test_what_fcm_never_takes_is_refused(bench: Bench, message: Any, changes: dict[str, Any]) -> None:
    assert await bench.channel.send(bench.address, message(**changes)) == Refused("INVALID_ARGUMENT")


async def test_faults(bench: Bench, message: Any, clock: Any) -> None:
    assert isinstance(await bench.channel.send(bench.address, message()), Sent)
    await bench.desk.faults("fcm", rate_limited=1)
    limited = await bench.channel.send(bench.address, message())
    assert limited == Failed("RATE_LIMITED QUOTA_EXCEEDED", timedelta(seconds=30))
    await bench.desk.faults("fcm", server_error=1)
    assert await bench.channel.send(bench.address, message()) == Failed("PROVIDER_FAILED 503")
    await bench.desk.faults("fcm", down=1)
    down = await bench.channel.send(bench.address, message())
    assert isinstance(down, Failed)
    assert down.maybe_sent
    hasty = fcm.build(bench.desk.tables["fcm"] | {"time_limit": 2.0}, clock=clock)
    assert isinstance(await hasty.send(bench.address, message()), Sent)
    await bench.desk.faults("fcm", slow_seconds=5)
    assert await hasty.send(bench.address, message()) == Failed("TIMEOUT", maybe_sent=True)
    await hasty.close()


async def test_connection_cut_after_send_says_that_it_may_have_arrived(bench: Bench, message: Any) -> None:
    assert isinstance(await bench.channel.send(bench.address, message()), Sent)
    await bench.desk.faults("fcm", cut_after_send=1)
    outcome = await bench.channel.send(bench.address, message(delivery_id="cut"))
    assert isinstance(outcome, Failed)
    assert outcome.maybe_sent
    # The worst of a retry: FCM takes it twice, and the phone shows it once.
    assert isinstance(await bench.channel.send(bench.address, message(delivery_id="cut")), Sent)
    assert len(await bench.desk.shown("fcm")) == 2


async def test_token_endpoint_in_trouble_sends_nothing(bench: Bench, message: Any) -> None:
    await bench.desk.faults("fcm", down=1)
    outcome = await bench.channel.send(bench.address, message())
    assert isinstance(outcome, Failed)
    assert not outcome.maybe_sent
    await bench.desk.faults("fcm", server_error=1)
    assert await bench.channel.send(bench.address, message()) == Failed("PROVIDER_FAILED 503")
    assert await bench.desk.shown("fcm") == []


async def test_a_wrong_clock_gets_no_token(bench: Bench, message: Any, clock: Any) -> None:
    ahead = fcm.build(bench.desk.tables["fcm"], clock=lambda: clock() + timedelta(hours=2))
    outcome = await ahead.send(bench.address, message())
    await ahead.close()
    assert outcome == Failed("REFUSED 400 invalid_grant")
