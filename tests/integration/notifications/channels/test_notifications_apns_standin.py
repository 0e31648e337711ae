"""The APNs channel against the stand-in, over HTTP/2: every reason, every fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from notifications.channels import apns
from notifications.domain.sending import Address, AddressGone, ChannelKind, Failed, Refused, Sent, Urgency
from smartex_standins.apns import ApnsStandin


class Bench:
    def __init__(self, desk: Any, channel: apns.ApnsChannel, address: Address, standin: ApnsStandin) -> None:
        self.desk, self.channel, self.address, self.standin = desk, channel, address, standin


@pytest.fixture
async def bench(running: Any, clock: Any) -> AsyncIterator[Bench]:
    standin = ApnsStandin(clock)
    async with running([standin]) as desk:
        channel = apns.build(desk.tables["apns"], clock=clock)
        yield Bench(desk, channel, await desk.address(ChannelKind.APNS, "apns"), standin)
        await channel.close()


async def test_push_reaches_the_phone(bench: Bench, message: Any, clock: Any) -> None:
    expire_time = clock() + timedelta(minutes=5)
    outcome = await bench.channel.send(bench.address, message(expire_time=expire_time))
    [shown] = await bench.desk.shown("apns")
    assert (shown["person"], shown["title"], shown["link"]) == (
        "alice",
        "集中度提醒",
        "https://exchange.example/advice/17",
    )
    asked = (await bench.desk.log("apns"))[0]
    assert outcome == Sent(asked["headers"]["apns-id"])
    # 2026-03-02 09:35 UTC
    assert asked["headers"]["apns-expiration"] == "1772444100"
    assert asked["headers"]["apns-topic"] == "exchange.smart.app"
    assert json.loads(asked["body"])["notice"] == "n-1"


async def test_the_id_is_the_same_at_every_attempt_and_the_phone_shows_a_repeat_once(
    bench: Bench, message: Any
) -> None:
    first = await bench.channel.send(bench.address, message())
    assert first == await bench.channel.send(bench.address, message())
    assert len(await bench.desk.shown("apns")) == 1


@pytest.mark.parametrize(
    ("urgency", "priority", "level"),
    [
        (Urgency.LOW, "5", "passive"),
        (Urgency.NORMAL, "10", "active"),
        (Urgency.HIGH, "10", "active"),
        (Urgency.CRITICAL, "10", "time-sensitive"),
    ],
)
async def test_urgency(bench: Bench, message: Any, urgency: Urgency, priority: str, level: str) -> None:
    await bench.channel.send(bench.address, message(urgency=urgency))
    asked = (await bench.desk.log("apns"))[0]
    assert asked["headers"]["apns-priority"] == priority
    assert json.loads(asked["body"])["aps"]["interruption-level"] == level


async def test_critical_alerts_sound_where_they_are_allowed(bench: Bench, message: Any, clock: Any) -> None:
    channel = apns.build(bench.desk.tables["apns"] | {"critical_alerts": True}, clock=clock)
    assert isinstance(await channel.send(bench.address, message(urgency=Urgency.CRITICAL)), Sent)
    await channel.close()
    aps = json.loads((await bench.desk.log("apns"))[0]["body"])["aps"]
    assert aps["interruption-level"] == "critical"
    assert aps["sound"]["critical"] == 1


async def test_many_pushes_share_a_connection_and_a_token(bench: Bench, message: Any) -> None:
    sends = [bench.channel.send(bench.address, message(delivery_id=f"d{n}")) for n in range(50)]
    assert all(isinstance(outcome, Sent) for outcome in await asyncio.gather(*sends))
    assert len({asked["headers"]["authorization"] for asked in await bench.desk.log("apns")}) == 1


async def test_token_is_renewed_after_40_minutes(bench: Bench, message: Any, clock: Any) -> None:
    for minutes in (0, 39, 2):
        clock.forward(timedelta(minutes=minutes))
        assert isinstance(await bench.channel.send(bench.address, message()), Sent)
    newest, middle, oldest = [a["headers"]["authorization"] for a in await bench.desk.log("apns")]
    assert middle == oldest != newest


async def test_token_that_expires_midway_is_renewed_once_in_20_minutes(
    bench: Bench, message: Any, clock: Any
) -> None:
    assert isinstance(await bench.channel.send(bench.address, message()), Sent)
    await bench.desk.faults("apns", token_expired=1)
    assert isinstance(await bench.channel.send(bench.address, message()), Sent)
    await bench.desk.faults("apns", token_expired=1)
    expired = Failed("NOT_ALLOWED 403 ExpiredProviderToken")
    assert await bench.channel.send(bench.address, message()) == expired
    clock.forward(timedelta(minutes=20))
    assert isinstance(await bench.channel.send(bench.address, message()), Sent)


async def test_too_many_token_updates(bench: Bench, message: Any) -> None:
    bench.standin.tokens.max_updates = 0
    outcome = await bench.channel.send(bench.address, message())
    assert outcome == Failed("RATE_LIMITED TooManyProviderTokenUpdates", timedelta(minutes=20))


async def test_an_old_clock_makes_an_expired_token(bench: Bench, message: Any, clock: Any) -> None:
    slow = apns.build(bench.desk.tables["apns"], clock=lambda: clock() - timedelta(hours=2))
    outcome = await slow.send(bench.address, message())
    await slow.close()
    assert outcome == Failed("NOT_ALLOWED 403 ExpiredProviderToken")


@pytest.mark.parametrize("changes", [{"key_id": "OTHERKEY12"}, {"team_id": "OTHERTEAM1"}])
async def test_a_wrong_key_is_not_believed(
    bench: Bench, message: Any, clock: Any, changes: dict[str, str]
) -> None:
    other = apns.build(bench.desk.tables["apns"] | changes, clock=clock)
    outcome = await other.send(bench.address, message())
    await other.close()
    assert outcome == Failed("NOT_ALLOWED 403 InvalidProviderToken")


async def test_another_topic_keeps_the_address(bench: Bench, message: Any, clock: Any) -> None:
    other = apns.build(bench.desk.tables["apns"] | {"topic": "another.app"}, clock=clock)
    outcome = await other.send(bench.address, message())
    await other.close()
    assert outcome == Refused("DeviceTokenNotForTopic")


async def test_a_removed_app_tells_since_when(bench: Bench, message: Any) -> None:
    await bench.desk.tell("apns/devices/remove", token=bench.address.value)
    # 2026-03-02 09:30 UTC in milliseconds
    assert await bench.channel.send(bench.address, message()) == AddressGone("Unregistered 1772443800000")


@pytest.mark.parametrize("token", ["ab" * 32, "../../evil", "zz" * 32, ""])
async def test_a_token_that_apns_never_gave_is_removed(bench: Bench, message: Any, token: str) -> None:
    outcome = await bench.channel.send(Address(ChannelKind.APNS, token), message())
    assert isinstance(outcome, AddressGone)


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("BadDeviceToken", AddressGone("BadDeviceToken")),
        ("ExpiredToken", AddressGone("ExpiredToken")),
        ("TopicDisallowed", Refused("TopicDisallowed")),
        ("PayloadTooLarge", Refused("PayloadTooLarge")),
        ("TooManyRequests", Failed("TooManyRequests")),
        ("InternalServerError", Failed("InternalServerError")),
        ("ServiceUnavailable", Failed("ServiceUnavailable")),
        ("Shutdown", Failed("Shutdown")),
    ],
)
async def test_every_reason(bench: Bench, message: Any, reason: str, outcome: object) -> None:
    await bench.desk.tell("apns/devices/fail", token=bench.address.value, error=reason)
    assert await bench.channel.send(bench.address, message()) == outcome


async def test_4096_bytes_fit_and_one_more_does_not(bench: Bench, message: Any) -> None:
    room = 4096 - len(apns.encode(message(body="")))
    assert isinstance(await bench.channel.send(bench.address, message(body="a" * room)), Sent)
    too_long = await bench.channel.send(bench.address, message(body="a" * (room + 1)))
    assert too_long == Refused("PAYLOAD_TOO_LARGE")


async def test_faults(bench: Bench, message: Any, clock: Any) -> None:
    await bench.desk.faults("apns", rate_limited=1)
    assert await bench.channel.send(bench.address, message()) == Failed("TooManyRequests")
    await bench.desk.faults("apns", server_error=1)
    assert await bench.channel.send(bench.address, message()) == Failed("PROVIDER_FAILED 503")
    await bench.desk.faults("apns", down=1)
    down = await bench.channel.send(bench.address, message())
    assert isinstance(down, Failed)
    assert down.maybe_sent
    assert await bench.desk.shown("apns") == []
    await bench.desk.faults("apns", slow_seconds=5)
    hasty = apns.build(bench.desk.tables["apns"] | {"time_limit": 1.0}, clock=clock)
    assert await hasty.send(bench.address, message()) == Failed("TIMEOUT", maybe_sent=True)
    await hasty.close()
    await bench.desk.faults("apns", slow_seconds=0)
    assert isinstance(await bench.channel.send(bench.address, message()), Sent)


async def test_connection_cut_after_send_says_that_it_may_have_arrived(bench: Bench, message: Any) -> None:
    await bench.desk.faults("apns", cut_after_send=1)
    outcome = await bench.channel.send(bench.address, message())
    assert isinstance(outcome, Failed)
    assert outcome.maybe_sent
    assert isinstance(await bench.channel.send(bench.address, message()), Sent)
    # The worst of a retry: APNs takes it twice, and the phone shows it once.
    assert len(await bench.desk.shown("apns")) == 1


async def test_apns_speaks_no_http_1(bench: Bench) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"{bench.desk.tables['apns']['base_url']}/3/device/{bench.address.value}"
        assert (await client.post(url, content=b"{}")).status_code == 505
