"""What we sign, the reference library of Standard Webhooks verifies; what it signs, the stand-in believes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from notifications.channels import webhook
from notifications.domain.sending import ChannelKind, Sent
from smartex_standins.webhook import WebhookStandin, refusal
from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.fixture
def signed(message: Any) -> tuple[bytes, dict[str, str]]:
    body = webhook.encode(message())
    now = int(datetime.now(UTC).timestamp())
    keys = [webhook.decode_secret(OTHER), webhook.decode_secret(SECRET)]
    return body, webhook.sign(keys, "d-0001", now, body)


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_the_library_verifies_with_either_secret(signed: tuple[bytes, dict[str, str]], secret: str) -> None:
    body, headers = signed
    assert Webhook(secret).verify(body, headers)["data"]["title"] == "集中度提醒"


def test_the_library_refuses_what_was_changed(signed: tuple[bytes, dict[str, str]]) -> None:
    body, headers = signed
    for changed, told in (
        (body + b" ", headers),
        (body, headers | {"webhook-id": "d-0002"}),
        (body, headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}),
        (body, headers | {"webhook-timestamp": "1614265330"}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(changed, told)


def test_the_library_signs_alike(message: Any) -> None:
    body, now = webhook.encode(message()), datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    ours = webhook.sign([webhook.decode_secret(SECRET)], "m1", int(now.timestamp()), body)
    assert ours["webhook-signature"] == Webhook(SECRET).sign("m1", now, body.decode())


def test_the_stand_in_believes_the_library() -> None:
    now = datetime.now(UTC)
    body = json.dumps({"a": 1})
    headers = {
        "webhook-id": "m1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("m1", now, body),
    }
    assert refusal(SECRET, headers, body.encode(), now) == ""
    assert refusal(OTHER, headers, body.encode(), now) == "webhook-signature is not ours"


async def test_the_library_verifies_what_came_over_the_wire(running: Any, message: Any) -> None:
    async with running([WebhookStandin()]) as desk:
        address = await desk.address(ChannelKind.WEBHOOK, "webhook")
        channel = webhook.build(desk.tables["webhook"])
        assert await channel.send(address, message()) == Sent()
        await channel.close()
        received = (await desk.log("webhook"))[0]
    assert Webhook(address.secrets["secret"]).verify(received["body"], received["headers"])
