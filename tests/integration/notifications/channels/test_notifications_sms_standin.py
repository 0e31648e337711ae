"""The SMS channel against both doors of the stand-in: signatures, codes, receipts, faults."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from notifications.channels import sms
from notifications.channels.sms_receipts import Callback, SmsReceipt
from notifications.domain.sending import Address, AddressGone, ChannelKind, Failed, Refused, Sent
from smartex_chassis import InvalidInput, Unauthenticated
from smartex_standins.connections import serve_connections
from smartex_standins.sms import SmsStandin
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ALICE = Address(ChannelKind.SMS, "+8613800000001")


class Bench:
    def __init__(
        self, desk: Any, standin: SmsStandin, callbacks: asyncio.Queue[Callback], clock: Any
    ) -> None:
        self.desk, self.standin, self.callbacks = desk, standin, callbacks
        self.tables = {"aliyun": desk.tables["sms"], "plain": dict(standin.http_settings())}
        self.aliyun = sms.build(self.tables["aliyun"], clock=clock)
        self.plain = sms.build(self.tables["plain"], clock=clock)

    async def callback(self) -> Callback:
        return await asyncio.wait_for(self.callbacks.get(), 60)


@pytest.fixture
async def bench(running: Any, clock: Any) -> AsyncIterator[Bench]:
    kept: asyncio.Queue[Callback] = asyncio.Queue()

    async def take(request: Request) -> Response:
        kept.put_nowait(
            Callback(dict(request.headers), dict(request.query_params), await request.body(), clock())
        )
        return Response(sms.RECEIPT_ANSWER)

    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/callbacks"
    app = Starlette(routes=[Route("/callbacks/sms", take, methods=["POST"])])
    standin = SmsStandin(clock, receipt_seconds=0.01)
    async with serve_connections(app, listening), running([standin], url) as desk:
        bench = Bench(desk, standin, kept, clock)
        yield bench
        await bench.aliyun.close()
        await bench.plain.close()


async def test_aliyun_message_and_its_receipt(bench: Bench, message: Any) -> None:
    outcome = await bench.aliyun.send(ALICE, message())
    assert isinstance(outcome, Sent)
    [shown] = await bench.desk.shown("sms")
    assert (shown["person"], shown["body"]) == (
        "alice",
        "【智能交易所】集中度提醒：609018.SH 占您持仓的 62 %。",
    )
    receipt = SmsReceipt("d-0001", outcome.provider_id, delivered=True, reason="DELIVERED", gone=False)
    assert bench.aliyun.receipts(await bench.callback()) == [receipt]


async def test_aliyun_template_of_the_message(bench: Bench, message: Any) -> None:
    fields = {"title": "提醒 & 更多", "body": "100 % = 全部~*'"}
    assert isinstance(await bench.aliyun.send(ALICE, message(template="SMS_100000001", fields=fields)), Sent)
    [shown] = await bench.desk.shown("sms")
    assert shown["body"] == "【智能交易所】提醒 & 更多：100 % = 全部~*'"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"template": "SMS_0"}, "isv.SMS_TEMPLATE_ILLEGAL"),
        ({"template": "SMS_100000001", "fields": {"title": "x"}}, "isv.TEMPLATE_MISSING_PARAMETERS"),
        ({"body": "长" * 501}, "isv.PARAM_LENGTH_LIMIT"),
    ],
)
async def test_aliyun_never_takes(bench: Bench, message: Any, changes: dict[str, Any], code: str) -> None:
    assert await bench.aliyun.send(ALICE, message(**changes)) == Refused(code)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("isv.MOBILE_NUMBER_ILLEGAL", AddressGone("isv.MOBILE_NUMBER_ILLEGAL")),
        ("isv.AMOUNT_NOT_ENOUGH", Failed("isv.AMOUNT_NOT_ENOUGH")),
        ("isv.BLACK_KEY_CONTROL_LIMIT", Refused("isv.BLACK_KEY_CONTROL_LIMIT")),
        ("isp.SYSTEM_ERROR", Failed("isp.SYSTEM_ERROR")),
        ("Throttling.User", Failed("RATE_LIMITED Throttling.User")),
    ],
)
async def test_aliyun_codes(bench: Bench, message: Any, code: str, outcome: object) -> None:
    await bench.desk.tell("sms/numbers", phone=ALICE.value, code=code)
    assert await bench.aliyun.send(ALICE, message()) == outcome


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"access_key_id": "LTAIother"}, "404 InvalidAccessKeyId.NotFound"),
        ({"access_key_secret": "other"}, "400 SignatureDoesNotMatch"),
    ],
)
async def test_aliyun_checks_the_signature(
    bench: Bench, message: Any, clock: Any, changes: dict[str, str], code: str
) -> None:
    other = sms.build(bench.desk.tables["sms"] | changes, clock=clock)
    assert await other.send(ALICE, message()) == Failed(f"NOT_ALLOWED {code}")
    await other.close()
    assert await bench.desk.shown("sms") == []


async def test_aliyun_refuses_an_old_date(bench: Bench, message: Any, clock: Any) -> None:
    slow = sms.build(bench.desk.tables["sms"], clock=lambda: clock() - timedelta(minutes=16))
    assert await slow.send(ALICE, message()) == Failed("NOT_ALLOWED 400 InvalidTimeStamp.Expired")
    await slow.close()


async def test_a_failed_receipt_removes_the_number(bench: Bench, message: Any) -> None:
    await bench.desk.tell("sms/numbers", phone=ALICE.value, receipt="INVALID_NUMBER")
    for channel in (bench.aliyun, bench.plain):
        assert isinstance(await channel.send(ALICE, message()), Sent)
        [receipt] = channel.receipts(await bench.callback())
        assert (receipt.delivered, receipt.gone, receipt.reason) == (False, True, "INVALID_NUMBER")


async def test_lost_receipts(bench: Bench, message: Any) -> None:
    await bench.desk.faults("sms", lose_receipts=1)
    for delivery_id in ("lost", "kept"):
        await bench.aliyun.send(ALICE, message(delivery_id=delivery_id))
    [receipt] = bench.aliyun.receipts(await bench.callback())
    assert receipt.delivery_id == "kept"


async def test_plain_gateway_drops_repeats(bench: Bench, message: Any) -> None:
    first = await bench.plain.send(ALICE, message())
    assert isinstance(first, Sent)
    assert first == await bench.plain.send(ALICE, message())
    assert len(await bench.desk.shown("sms")) == 1
    assert bench.plain.idempotent
    [receipt] = bench.plain.receipts(await bench.callback())
    assert receipt == SmsReceipt("d-0001", first.provider_id, delivered=True, reason="", gone=False)


async def test_plain_gateway_codes(bench: Bench, message: Any, clock: Any) -> None:
    await bench.desk.tell("sms/numbers", phone=ALICE.value, code="UNSUBSCRIBED")
    assert await bench.plain.send(ALICE, message()) == AddressGone("UNSUBSCRIBED")
    await bench.desk.tell("sms/numbers", phone=ALICE.value, code="TEXT_FORBIDDEN")
    assert await bench.plain.send(ALICE, message()) == Refused("REFUSED 422 TEXT_FORBIDDEN")
    other = sms.build(dict(bench.standin.http_settings()) | {"api_key": "other"}, clock=clock)
    assert await other.send(ALICE, message()) == Failed("NOT_ALLOWED 401 UNAUTHENTICATED")
    await other.close()


async def test_forged_and_replayed_receipts_are_not_believed(bench: Bench, message: Any, clock: Any) -> None:
    await bench.plain.send(ALICE, message())
    real = await bench.callback()
    assert len(bench.plain.receipts(real)) == 1
    forged = real.body.replace(b"delivered", b"failed")
    for callback in (
        Callback(real.headers, real.query, forged, clock()),
        Callback({}, {}, real.body, clock()),
        Callback(real.headers, {}, real.body, clock() + timedelta(minutes=6)),
    ):
        with pytest.raises(Unauthenticated):
            bench.plain.receipts(callback)
    await bench.aliyun.send(ALICE, message())
    pushed = await bench.callback()
    with pytest.raises(Unauthenticated):
        bench.aliyun.receipts(Callback(pushed.headers, {"key": "wrong"}, pushed.body, clock()))
    with pytest.raises(InvalidInput):
        bench.aliyun.receipts(Callback(pushed.headers, pushed.query, b"[1]", clock()))


@pytest.mark.parametrize("door", ["aliyun", "plain"])
async def test_faults(bench: Bench, message: Any, clock: Any, door: str) -> None:
    channel = getattr(bench, door)
    limited = {
        "aliyun": Failed("isv.BUSINESS_LIMIT_CONTROL"),
        "plain": Failed("RATE_LIMITED 429 RATE_LIMITED", timedelta(seconds=10)),
    }
    await bench.desk.faults("sms", rate_limited=1)
    assert await channel.send(ALICE, message()) == limited[door]
    await bench.desk.faults("sms", server_error=1)
    assert await channel.send(ALICE, message()) == Failed("PROVIDER_FAILED 503")
    await bench.desk.faults("sms", down=1)
    down = await channel.send(ALICE, message())
    assert isinstance(down, Failed)
    assert down.maybe_sent
    assert await bench.desk.shown("sms") == []
    await bench.desk.faults("sms", slow_seconds=5)
    hasty = sms.build(bench.tables[door] | {"time_limit": 1.0}, clock=clock)
    assert await hasty.send(ALICE, message()) == Failed("TIMEOUT", maybe_sent=True)
    await hasty.close()


@pytest.mark.parametrize(("door", "messages"), [("aliyun", 2), ("plain", 1)])
async def test_worst_duplicate_after_a_cut(bench: Bench, message: Any, door: str, messages: int) -> None:
    channel = getattr(bench, door)
    await bench.desk.faults("sms", cut_after_send=1)
    outcome = await channel.send(ALICE, message())
    assert isinstance(outcome, Failed)
    assert outcome.maybe_sent
    assert isinstance(await channel.send(ALICE, message()), Sent)
    assert len(await bench.desk.shown("sms")) == messages


@pytest.mark.parametrize(
    "phone", ["13800000001", "+0123456789", "+86138x", "", "+8613800000001;", "+１３８０００００００１"]
)
async def test_what_is_no_number_is_removed(bench: Bench, message: Any, phone: str) -> None:
    assert await bench.aliyun.send(Address(ChannelKind.SMS, phone), message()) == AddressGone("BAD_NUMBER")
