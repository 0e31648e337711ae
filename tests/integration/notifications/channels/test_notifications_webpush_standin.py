"""The Web Push channel against the stand-in's push service and browsers: every status, every fault."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from notifications.channels import webpush
from notifications.domain.sending import Address, AddressGone, ChannelKind, Failed, Refused, Sent, Urgency
from smartex_standins.webpush import WebPushStandin


class Bench:
    def __init__(self, desk: Any, channel: webpush.WebPushChannel, address: Address) -> None:
        self.desk, self.channel, self.address = desk, channel, address


@pytest.fixture
async def bench(running: Any, clock: Any) -> AsyncIterator[Bench]:
    async with running([WebPushStandin(clock)]) as desk:
        channel = webpush.build(desk.tables["webpush"], clock=clock)
        yield Bench(desk, channel, await desk.address(ChannelKind.WEBPUSH, "webpush"))
        await channel.close()


async def test_the_browser_reads_what_was_sent(bench: Bench, message: Any, clock: Any) -> None:
    expire_time = clock() + timedelta(minutes=5)
    outcome = await bench.channel.send(bench.address, message(expire_time=expire_time))
    assert isinstance(outcome, Sent)
    assert "/webpush/message/" in outcome.provider_id
    [shown] = await bench.desk.shown("webpush")
    assert (shown["person"], shown["title"], shown["body"], shown["link"]) == (
        "alice",
        "集中度提醒",
        "609018.SH 占您持仓的 62 %。",
        "https://exchange.example/advice/17",
    )
    asked = (await bench.desk.log("webpush"))[0]
    assert (asked["headers"]["ttl"], asked["headers"]["urgency"]) == ("300", "high")
    assert "集中度" not in asked["body"]


async def test_a_repeat_takes_the_place_of_the_first(bench: Bench, message: Any) -> None:
    for _ in range(2):
        assert isinstance(await bench.channel.send(bench.address, message()), Sent)
    assert len(await bench.desk.shown("webpush")) == 1


async def test_low_urgency_spares_the_battery(bench: Bench, message: Any) -> None:
    await bench.channel.send(bench.address, message(urgency=Urgency.LOW))
    asked = (await bench.desk.log("webpush"))[0]
    # Four weeks: it does not expire.
    assert (asked["headers"]["ttl"], asked["headers"]["urgency"]) == ("2419200", "low")


async def test_token_is_kept_for_six_hours(bench: Bench, message: Any, clock: Any) -> None:
    for hours in (0, 5, 2):
        clock.forward(timedelta(hours=hours))
        assert isinstance(await bench.channel.send(bench.address, message()), Sent)
    newest, middle, oldest = [a["headers"]["authorization"] for a in await bench.desk.log("webpush")]
    assert middle == oldest != newest


async def test_token_that_expires_midway_is_renewed_once(bench: Bench, message: Any, clock: Any) -> None:
    assert isinstance(await bench.channel.send(bench.address, message()), Sent)
    clock.forward(timedelta(minutes=1))
    await bench.desk.faults("webpush", token_expired=1)
    assert isinstance(await bench.channel.send(bench.address, message()), Sent)
    await bench.desk.faults("webpush", token_expired=True)
    assert await bench.channel.send(bench.address, message()) == Failed("NOT_ALLOWED 401")


async def test_unsubscribed_and_unknown(bench: Bench, message: Any) -> None:
    await bench.desk.tell("webpush/subscriptions/remove", endpoint=bench.address.value)
    assert await bench.channel.send(bench.address, message()) == AddressGone("UNSUBSCRIBED 410")
    unknown = Address(ChannelKind.WEBPUSH, bench.address.value + "x", bench.address.secrets)
    assert await bench.channel.send(unknown, message()) == AddressGone("UNSUBSCRIBED 404")


async def test_a_subscription_made_with_another_key_is_not_ours(bench: Bench, message: Any) -> None:
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    key = urlsafe_b64encode(point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)).decode()
    made = await bench.desk.tell("webpush/subscriptions", person="bob", key=key)
    other = Address(ChannelKind.WEBPUSH, made["endpoint"], made["keys"])
    assert await bench.channel.send(other, message()) == Failed("NOT_ALLOWED 403")


@pytest.mark.parametrize(
    "secrets",
    [{}, {"p256dh": "AAAA", "auth": "AAAA"}, {"p256dh": "!", "auth": "!"}],
)
async def test_a_broken_subscription_is_removed(bench: Bench, message: Any, secrets: dict[str, str]) -> None:
    broken = Address(ChannelKind.WEBPUSH, bench.address.value, secrets)
    assert await bench.channel.send(broken, message()) == AddressGone("BAD_SUBSCRIPTION")


async def test_the_largest_payload_fits_and_one_byte_more_does_not(bench: Bench, message: Any) -> None:
    room = bench.channel.limits.payload_bytes - len(webpush.encode(message(body="")))
    assert isinstance(await bench.channel.send(bench.address, message(body="a" * room)), Sent)
    [shown] = await bench.desk.shown("webpush")
    assert shown["body"] == "a" * room
    too_long = await bench.channel.send(bench.address, message(body="a" * (room + 1)))
    assert too_long == Refused("PAYLOAD_TOO_LARGE")


async def test_faults(bench: Bench, message: Any, clock: Any) -> None:
    await bench.desk.faults("webpush", rate_limited=1)
    limited = await bench.channel.send(bench.address, message())
    assert limited == Failed("RATE_LIMITED 429", timedelta(seconds=30))
    await bench.desk.faults("webpush", server_error=1)
    assert await bench.channel.send(bench.address, message()) == Failed("PROVIDER_FAILED 503")
    await bench.desk.faults("webpush", down=1)
    assert isinstance(await bench.channel.send(bench.address, message()), Failed)
    assert await bench.desk.shown("webpush") == []
    await bench.desk.faults("webpush", slow_seconds=5)
    hasty = webpush.build(bench.desk.tables["webpush"] | {"time_limit": 1.0}, clock=clock)
    assert await hasty.send(bench.address, message()) == Failed("TIMEOUT", maybe_sent=True)
    await hasty.close()


async def test_connection_cut_after_send_says_that_it_may_have_arrived(bench: Bench, message: Any) -> None:
    await bench.desk.faults("webpush", cut_after_send=1)
    outcome = await bench.channel.send(bench.address, message())
    assert isinstance(outcome, Failed)
    assert outcome.maybe_sent
    assert isinstance(await bench.channel.send(bench.address, message()), Sent)
    assert len(await bench.desk.shown("webpush")) == 1
