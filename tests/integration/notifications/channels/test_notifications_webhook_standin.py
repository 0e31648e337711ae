"""The webhook channel against programs that check its signatures: every status, every fault."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from notifications.channels import webhook
from notifications.domain.sending import Address, AddressGone, ChannelKind, Failed, Refused, Sent
from smartex_standins.webhook import WebhookStandin

OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret of 24 byte").decode()


class Bench:
    def __init__(self, desk: Any, channel: webhook.WebhookChannel, address: Address) -> None:
        self.desk, self.channel, self.address = desk, channel, address


@pytest.fixture
async def bench(running: Any, clock: Any) -> AsyncIterator[Bench]:
    async with running([WebhookStandin(clock)]) as desk:
        channel = webhook.build(desk.tables["webhook"], clock=clock)
        yield Bench(desk, channel, await desk.address(ChannelKind.WEBHOOK, "webhook"))
        await channel.close()


async def test_a_signed_message_is_taken(bench: Bench, message: Any) -> None:
    assert await bench.channel.send(bench.address, message()) == Sent()
    [shown] = await bench.desk.shown("webhook")
    assert (shown["person"], shown["title"]) == ("alice", "集中度提醒")


async def test_a_receiver_that_keeps_ids_takes_a_repeat_once(bench: Bench, message: Any, clock: Any) -> None:
    await bench.channel.send(bench.address, message())
    clock.forward(timedelta(minutes=2))
    assert await bench.channel.send(bench.address, message()) == Sent()
    assert len(await bench.desk.shown("webhook")) == 1
    again, first = await bench.desk.log("webhook")
    assert again["body"] == first["body"]
    assert again["headers"]["webhook-id"] == first["headers"]["webhook-id"]


async def test_two_secrets_let_a_receiver_change_them(bench: Bench, message: Any) -> None:
    secrets = {"secret": OTHER_SECRET, "secret_old": bench.address.secrets["secret"]}
    rotating = Address(ChannelKind.WEBHOOK, bench.address.value, secrets)
    assert await bench.channel.send(rotating, message()) == Sent()


async def test_a_forged_signature_is_refused_by_the_receiver(bench: Bench, message: Any) -> None:
    forged = Address(ChannelKind.WEBHOOK, bench.address.value, {"secret": OTHER_SECRET})
    assert await bench.channel.send(forged, message()) == Failed("RECEIVER_FAILED 401")
    assert await bench.desk.shown("webhook") == []


async def test_an_old_timestamp_is_refused_by_the_receiver(bench: Bench, message: Any, clock: Any) -> None:
    slow = webhook.build({"allow_private": True}, clock=lambda: clock() - timedelta(minutes=6))
    assert await slow.send(bench.address, message()) == Failed("RECEIVER_FAILED 401")
    await slow.close()


@pytest.mark.parametrize("secrets", [{}, {"secret": "whsec_not base64"}, {"secret": ""}])
async def test_without_a_secret_nothing_is_sent(bench: Bench, message: Any, secrets: dict[str, str]) -> None:
    unsigned = Address(ChannelKind.WEBHOOK, bench.address.value, secrets)
    assert await bench.channel.send(unsigned, message()) == Refused("BAD_SECRET")
    assert await bench.desk.log("webhook") == []


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (204, Sent()),
        (404, Failed("RECEIVER_FAILED 404")),
        (410, AddressGone("GONE 410")),
        (500, Failed("RECEIVER_FAILED 500")),
        (502, Failed("RECEIVER_FAILED 502", maybe_sent=True)),
    ],
)
async def test_every_status(bench: Bench, message: Any, status: int, outcome: object) -> None:
    await bench.desk.tell("webhook/hooks", person="alice", status=status)
    assert await bench.channel.send(bench.address, message()) == outcome


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(bench: Bench, message: Any, status: int) -> None:
    bob = await bench.desk.address(ChannelKind.WEBHOOK, "webhook", "bob")
    await bench.desk.tell("webhook/hooks", person="alice", status=status, location=bob.value)
    assert await bench.channel.send(bench.address, message()) == Failed(f"RECEIVER_FAILED {status}")
    assert [asked["path"] for asked in await bench.desk.log("webhook")] == ["/webhook/hooks/alice"]


async def test_faults(bench: Bench, message: Any, clock: Any) -> None:
    await bench.desk.faults("webhook", rate_limited=1)
    limited = await bench.channel.send(bench.address, message())
    assert limited == Failed("RATE_LIMITED 429", timedelta(seconds=5))
    await bench.desk.faults("webhook", server_error=1)
    assert await bench.channel.send(bench.address, message()) == Failed("RECEIVER_FAILED 503")
    await bench.desk.faults("webhook", down=1)
    assert isinstance(await bench.channel.send(bench.address, message()), Failed)
    assert await bench.desk.shown("webhook") == []
    await bench.desk.faults("webhook", slow_seconds=5)
    hasty = webhook.build(bench.desk.tables["webhook"] | {"time_limit": 1.0}, clock=clock)
    assert await hasty.send(bench.address, message()) == Failed("TIMEOUT", maybe_sent=True)
    await hasty.close()


async def test_connection_cut_after_send_says_that_it_may_have_arrived(bench: Bench, message: Any) -> None:
    await bench.desk.faults("webhook", cut_after_send=1)
    outcome = await bench.channel.send(bench.address, message())
    assert isinstance(outcome, Failed)
    assert outcome.maybe_sent
    assert await bench.channel.send(bench.address, message()) == Sent()
    assert len(await bench.desk.shown("webhook")) == 1
