"""The command against a scripted exchange: what it asks for, and what it shows of the answers."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import smartex_client
from smartex.matching.v1 import account_pb2 as acc
from smartex.matching.v1 import market_data_pb2 as md
from smartex.matching.v1 import order_entry_pb2 as pb
from smartex.matching.v1 import order_query_pb2 as query
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1 import venue_pb2 as venue
from smartex.notifications.v1 import conversation_service_pb2 as talk
from smartex.positions.v1 import position_service_pb2 as positions
from smartex_client import InvalidInput
from smartex_client.cli.app import app, hoisted
from typer.testing import CliRunner, Result

Exchange = Any
Command = Callable[..., Awaitable[Result]]


@pytest.fixture
def command(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("LANG", "C")
    monkeypatch.setenv("COLUMNS", "200")

    async def run(*words: str) -> Result:
        line = hoisted(["--url", exchange.url, "--token", "secret", *words])
        return await asyncio.to_thread(lambda: CliRunner().invoke(app, line))

    return run


@pytest.fixture
def asked(exchange: Exchange) -> list[Any]:
    """What reached the exchange of all that an empty argument could widen."""
    seen: list[Any] = []

    def answer(method: str, request: type[Any], response: type[Any]) -> None:
        async def handler(message: Any, context: Any) -> Any:
            seen.append(message)
            return response()

        exchange.answer(method, request, handler)

    answer("OrderEntryService/PlaceOrder", pb.PlaceOrderRequest, pb.PlaceOrderResponse)
    answer("OrderEntryService/MassCancel", pb.MassCancelRequest, pb.MassCancelResponse)
    answer("OrderEntryService/CancelOrder", pb.CancelOrderRequest, pb.CancelOrderResponse)
    answer("VenueService/SetTradingState", venue.SetTradingStateRequest, venue.SetTradingStateResponse)
    return seen


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("order", "buy", "ACME", "1", "@", ""), "price"),
        (("order", "buy", "ACME", "1", "@"), "price"),
        (("order", "buy", "ACME", "1", "@", "@"), "price"),
        (("order", "sell", "ACME", "1", "--price", ""), "price"),
        (("order", "buy", "ACME", "1", "--tif", ""), "tif"),
        (("order", "buy", "ACME", "1", "@", "1", "--expires", ""), "expires"),
        (("order", "buy", "ACME", "1", "@", "1", "--post-only", ""), "post_only"),
        (("order", "buy", "ACME", "1", "@", "1", "--self-trade", ""), "self_trade"),
        (("order", "buy", "", "1", "@", "1"), "instrument"),
        (("order", "cancel", "--all", "--symbol", ""), "instrument"),
        (("order", "cancel", "--all", "--side", ""), "side"),
        (("order", "cancel", "12345", "--all"), "order_id"),
        (("order", "cancel", "--client-id", "5", "--all"), "order_id"),
        (("order", "cancel", "12345", "--symbol", "ACME"), "all"),
        (("order", "list", ""), "instrument"),
        (("order", "list", "--status", ""), "status"),
        (("account", "ledger", "--symbol", ""), "instrument"),
        (("venue", "halt", ""), "instrument"),
        (("venue", "open", ""), "instrument"),
    ],
    ids=" ".join,
)
async def test_an_empty_argument_asks_for_nothing_wider(
    command: Command, asked: list[Any], words: tuple[str, ...], field: str
) -> None:
    done = await command("--json", *words)
    assert (done.exit_code, done.stdout, asked) == (2, "", [])
    assert json.loads(done.stderr)["field"] == field


async def test_an_empty_instrument_cancels_nothing(exchange: Exchange, asked: list[Any]) -> None:
    async with exchange.market() as market:
        for wrong in ("", " "):
            with pytest.raises(InvalidInput, match="instrument is empty"):
                await market.mass_cancel(wrong)
        await market.mass_cancel()
    assert len(asked) == 1


async def test_a_repeated_deposit_says_that_nothing_moved(exchange: Exchange, command: Command) -> None:
    seen: set[int] = set()

    async def deposit(request: acc.DepositRequest, context: Any) -> acc.DepositResponse:
        repeated = request.request_id in seen
        seen.add(request.request_id)
        return acc.DepositResponse(sequence=9, repeated=repeated)

    exchange.answer("AccountService/Deposit", acc.DepositRequest, deposit)
    words = ("account", "deposit", "1001", "5", "CNY", "--request-id", "77")
    first, again = await command(*words), await command(*words)
    assert "repeated" not in first.stdout
    assert "#9 (repeated, nothing moved)" in again.stdout
    assert json.loads((await command("--json", *words)).stdout) == {"sequence": 9, "repeated": True}


async def test_what_people_wrote_is_shown_as_it_is(exchange: Exchange, command: Command) -> None:
    async def threads(request: Any, context: Any) -> talk.ListThreadsResponse:
        thread = talk.Thread(thread_id="t1", account_id=7, trader="[red]", title="[/] :smile: [bold]x[/bold]")
        return talk.ListThreadsResponse(threads=[thread])

    exchange.answer("notifications.v1.ConversationService/ListThreads", talk.ListThreadsRequest, threads)
    done = await command("chat", "threads")
    assert done.exit_code == 0, done.output
    assert "[red]" in done.stdout
    assert "[/] :smile: [bold]x[/bold]" in done.stdout


async def test_a_shock_names_what_there_is(exchange: Exchange, command: Command) -> None:
    asked: list[Any] = []

    async def report(request: positions.GetRiskReportRequest, context: Any) -> Any:
        asked.append(request.scenarios[0])
        return positions.GetRiskReportResponse()

    async def instruments(request: Any, context: Any) -> md.ListInstrumentsResponse:
        acme = types.Instrument(instrument_id=7, symbol="ACME.SH", industry="Banks")
        return md.ListInstrumentsResponse(instruments=[acme])

    exchange.answer("positions.v1.PositionService/GetRiskReport", positions.GetRiskReportRequest, report)
    exchange.answer("MarketDataService/ListInstruments", md.ListInstrumentsRequest, instruments)
    shocks = ("--shock", "acme.sh=-0.3", "--shock", "banks=-20%", "--shock", "market=-0.1")
    assert (await command("risk", "report", *shocks)).exit_code == 0
    assert (dict(asked[0].instruments), dict(asked[0].industries)) == ({7: -0.3}, {"Banks": -0.2})
    assert asked[0].market == -0.1
    done = await command("--json", "risk", "report", "--shock", "acne.sh=-0.3")
    assert (done.exit_code, json.loads(done.stderr)["field"], len(asked)) == (2, "shock", 1)


async def test_every_cancel_is_tried(exchange: Exchange, command: Command) -> None:
    tried: list[int] = []

    async def cancel(request: pb.CancelOrderRequest, context: Any) -> pb.CancelOrderResponse:
        tried.append(request.order_id)
        bad = request.order_id == 1
        kind = types.REPORT_KIND_CANCEL_REJECTED if bad else types.REPORT_KIND_CANCELLED
        reason = types.REASON_UNKNOWN_ORDER if bad else types.REASON_CANCELLED_BY_OWNER
        report = types.Report(kind=kind, reason=reason, order_id=request.order_id, instrument_id=7)
        return pb.CancelOrderResponse(outcome=report)

    async def behind(request: query.GetOrderRequest, context: Any) -> query.GetOrderResponse:
        if request.order_id == 2:
            await context.abort(grpc.StatusCode.INTERNAL, "a bug")
        order = types.Order(
            order_id=3,
            instrument_id=7,
            quantity_lots=200,
            executed_lots=50,
            status=types.ORDER_STATUS_CANCELLED,
        )
        return query.GetOrderResponse(order=order)

    exchange.answer("OrderEntryService/CancelOrder", pb.CancelOrderRequest, cancel)
    exchange.answer("OrderQueryService/GetOrder", query.GetOrderRequest, behind)
    done = await command("order", "cancel", "1", "2", "3")
    assert (tried, done.exit_code) == ([1, 2, 3], 3)
    assert done.stderr.startswith("error: 1: ")
    assert done.stdout.count("cancelled") == 2
    words = done.stdout.split()
    assert "200" in words
    assert "50" in words


HUGE = "9" * 20


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("order", "cancel", HUGE), "order_id"),
        (("order", "cancel", "--", "-1"), "order_id"),
        (("order", "show", HUGE), "order_id"),
        (("order", "amend", HUGE, "-q", "1"), "order_id"),
        (("order", "show", "--client-id", HUGE), "client_order_id"),
        (("order", "buy", "ACME", "1", "@", "1", "--client-id", HUGE), "client_order_id"),
        (("account", "show", "99999999999"), "account"),
        (("account", "show", "--", "-1"), "account"),
        (("account", "ledger", "99999999999"), "account"),
        (("account", "deposit", "99999999999", "1", "CNY"), "account"),
        (("account", "deposit", "1", "1", "CNY", "--request-id", HUGE), "request_id"),
        (("order", "buy", "ACME", "1", "@", "1", "--expires", "9999-12-31"), "expire_time"),
        (("order", "buy", "ACME", "1", "@", "1", "--expires", "0001-01-01T00:00+00:00"), "expire_time"),
        (("order", "buy", "ACME", "1", "@", "1", "--expires", "5000000d"), "expires"),
        (("order", "buy", "ACME", "1", "@", "1", "--expires", "1e18"), "expires"),
        (("portfolio", "watch", "--interval", "inf"), "interval"),
        (("portfolio", "show", "--account", "99999999999"), "account"),
        (("portfolio", "at", HUGE), "moment"),
        (("candles", "ACME", "-i", "999999999d"), "interval"),
        (("venue", "roll", "--day", HUGE), "trading_day"),
        (("venue", "hash", "--offset", HUGE), "offset"),
        (("inbox", "watch", "--after", HUGE), "after"),
        (("chat", "open", "99999999999"), "account"),
        (("notify", "send", "1001", "a.b", "--expires", "1e18"), "expires"),
        (("notify", "send", "99999999999", "a.b"), "account"),
        (("notify", "deliveries", "--account", "99999999999"), "account"),
    ],
    ids=" ".join,
)
async def test_numbers_that_do_not_fit_are_told(
    command: Command, asked: list[Any], words: tuple[str, ...], field: str
) -> None:
    done = await command("--json", *words)
    assert (done.exit_code, done.stdout, asked) == (2, "", []), done.exception
    assert json.loads(done.stderr)["field"] == field


@pytest.mark.parametrize("text", ["9999-12-31", "0001-01-01", "0001-01-01T00:00", "9999-12-31T23:59"])
async def test_moments_at_the_ends_of_the_calendar_are_told(command: Command, text: str) -> None:
    for words in (("order", "buy", "ACME", "1", "@", "1", "--expires", text), ("portfolio", "at", text)):
        done = await command(*words)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.exception


@pytest.mark.parametrize("token", ["tökén", "two\nlines"])
async def test_a_token_that_cannot_be_sent_is_told(exchange: Exchange, token: str) -> None:
    async with smartex_client.connect(exchange.url, token=token) as market:
        with pytest.raises(InvalidInput, match="printable ASCII") as error:
            await market.instruments()
        assert error.value.field == "token"
        with pytest.raises(InvalidInput, match="printable ASCII"):
            await market.trade_stream().__aenter__()


async def test_a_file_that_cannot_be_written_is_told(
    exchange: Exchange, command: Command, tmp_path: Path
) -> None:
    async def report(request: Any, context: Any) -> positions.GetRiskReportResponse:
        return positions.GetRiskReportResponse(html="<html>")

    async def export(request: Any, context: Any) -> talk.ExportThreadResponse:
        return talk.ExportThreadResponse(content=b"{}")

    exchange.answer("positions.v1.PositionService/GetRiskReport", positions.GetRiskReportRequest, report)
    exchange.answer("notifications.v1.ConversationService/ExportThread", talk.ExportThreadRequest, export)
    none = str(tmp_path / "none" / "file.json")
    for words in (("risk", "report", "--html", none), ("chat", "export", "t1", none)):
        done = await command(*words)
        assert (done.exit_code, done.stdout) == (2, ""), done.exception
        assert f"cannot write {none}: No such file" in done.stderr
