"""The words and numbers that the command shows: what each means in Chinese, and people's units, not lots."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from smartex.matching.v1 import account_pb2 as acc
from smartex.matching.v1 import market_data_pb2 as md
from smartex.matching.v1 import order_query_pb2 as query
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1 import venue_pb2 as venue
from smartex.notifications.v1 import conversation_service_pb2 as talk
from smartex.positions.v1 import advice_pb2, portfolio_pb2, risk_pb2
from smartex.positions.v1 import position_service_pb2 as pb
from smartex.positions.v1.types_pb2 import OrderSuggestion, Share, Text
from smartex_client.cli.app import app, hoisted
from smartex_client.cli.labels import label
from smartex_client.cli.session import Session, _Console
from smartex_client.messages import CHINESE, ENGLISH
from typer.testing import CliRunner, Result

POSITIONS = "positions.v1.PositionService"
TALK = "notifications.v1.ConversationService"
COIN = types.Instrument(
    instrument_id=9,
    symbol="COIN-USD",
    currency_code="USD",
    tick_size="0.01",
    lot_size="0.0001",
    board_lot=1,
    odd_lot_rule=types.ODD_LOT_RULE_NONE,
    trading_state=types.TRADING_STATE_OPEN,
)
HALF = OrderSuggestion(
    instrument_id=9, symbol="COIN-USD", side=1, quantity_lots=5_000, price_ticks=200_000, client_order_id=3
)

Exchange = Any
Command = Callable[..., Awaitable[Result]]


@pytest.fixture
def command(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command line against a market in which a coin trades in fractions."""
    monkeypatch.setenv("LANG", "C")

    async def instruments(request: Any, context: Any) -> md.ListInstrumentsResponse:
        return md.ListInstrumentsResponse(instruments=[COIN])

    exchange.answer("MarketDataService/ListInstruments", md.ListInstrumentsRequest, instruments)

    async def run(*words: str) -> Result:
        line = hoisted([*words, "--url", exchange.url, "--token", "secret"])
        done = await asyncio.to_thread(CliRunner().invoke, app, line)
        assert done.exit_code == 0, done.output
        return done

    return run


def answers(exchange: Exchange, method: str, request: type[Any], response: Any) -> None:
    async def answer(message: Any, context: Any) -> Any:
        return response

    exchange.answer(method, request, answer)


def heads(done: Result) -> list[str]:
    return done.output.splitlines()[0].split()


@pytest.mark.parametrize(
    ("key", "english", "chinese"),
    [
        ("open", "open", "未成交"),
        ("open|price", "open", "开盘"),
        ("open|trading", "open", "交易中"),
        ("unheard of|here", "unheard of", "unheard of"),
    ],
)
def test_one_english_word_may_mean_several_things(key: str, english: str, chinese: str) -> None:
    assert label(key, ENGLISH) == english
    assert label(key, CHINESE) == chinese


async def test_an_open_instrument_trades(exchange: Exchange, command: Command) -> None:
    done = await command("--lang", "zh-CN", "instrument", "list")
    assert heads(done)[-1] == "交易状态"
    assert done.output.split()[-1] == "交易中"
    answers(
        exchange,
        "VenueService/SetTradingState",
        venue.SetTradingStateRequest,
        venue.SetTradingStateResponse(),
    )
    done = await command("--lang", "zh-CN", "venue", "resume", "COIN-USD")
    assert done.output == "COIN-USD: 交易中\n"


async def test_the_columns_of_candles(exchange: Exchange, command: Command) -> None:
    candles = md.ListCandlesResponse(candles=[md.Candle(instrument_id=9, interval_seconds=60)])
    answers(exchange, "MarketDataService/ListCandles", md.ListCandlesRequest, candles)
    chinese = ["时间", "开盘", "最高", "最低", "收盘", "成交量", "成交额", "成交笔数"]
    assert heads(await command("--lang", "zh-CN", "candles", "COIN-USD")) == chinese
    english = ["time", "open", "high", "low", "close", "volume", "value", "trades"]
    assert heads(await command("candles", "COIN-USD")) == english


async def test_the_columns_of_alerts(exchange: Exchange, command: Command) -> None:
    alerts = pb.ListAlertsResponse(alerts=[advice_pb2.Alert(alert_id="al-1", value=0.4)])
    answers(exchange, f"{POSITIONS}/ListAlerts", pb.ListAlertsRequest, alerts)
    chinese = ["预警", "时间", "级别", "状态", "当前值", "阈值", "内容", "建议"]
    assert heads(await command("--lang", "zh-CN", "alert", "list")) == chinese


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("zh-CN", ["换手率", "次/年", "数据太少。", "银行"]),
        ("en", ["Turnover", "a year", "Too little.", "Banks"]),
    ],
)
async def test_habits_are_told_in_the_reader_s_language(
    exchange: Exchange, command: Command, language: str, shown: list[str]
) -> None:
    habit = advice_pb2.Habit(
        key="turnover",
        name=Text(zh="换手率", en="Turnover"),
        unit="times a year",
        unit_title=Text(zh="次/年", en="a year"),
        verdict=Text(zh="数据太少。", en="Too little."),
    )
    known = advice_pb2.IndustryExpertise(industry="Banks", industry_title=Text(zh="银行", en="Banks"))
    found = pb.ListHabitsResponse(habits=[habit], expertise=[known])
    answers(exchange, f"{POSITIONS}/ListHabits", pb.ListHabitsRequest, found)
    done = await command("--lang", language, "habits")
    assert [word for word in shown if word not in done.output] == []
    assert ("times" in done.output, "Banks" in done.output) == (False, language == "en")


@pytest.mark.parametrize("width", [60, 80, 100])
async def test_what_was_found_of_a_habit_is_never_cut(
    exchange: Exchange, command: Command, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(Session, "console", property(lambda _: _Console(width=width)))
    verdict = Text(en="Too little to tell: 3 of 20.")
    habit = advice_pb2.Habit(name=Text(en="Familiar industries"), unit="Herfindahl index", verdict=verdict)
    found = pb.ListHabitsResponse(habits=[habit])
    answers(exchange, f"{POSITIONS}/ListHabits", pb.ListHabitsRequest, found)
    words = (await command("habits")).output.split()
    assert [word for word in verdict.en.split() if word not in words] == []


async def test_a_portfolio_s_industries_are_told_in_the_reader_s_language(
    exchange: Exchange, command: Command
) -> None:
    shares = [Share(name="Banks", value=5, title=Text(zh="银行", en="Banks")), Share(name="Chips", value=4)]
    found = portfolio_pb2.Portfolio(exposure=portfolio_pb2.Exposure(by_industry=shares))
    answer = pb.GetPortfolioResponse(portfolio=found)
    answers(exchange, f"{POSITIONS}/GetPortfolio", pb.GetPortfolioRequest, answer)
    shown = (await command("--lang", "zh-CN", "portfolio", "show")).output.splitlines()
    assert [line.split()[0] for line in shown[-2:]] == ["银行", "Chips"]
    assert "Banks" in (await command("portfolio", "show")).output


@pytest.fixture
def portfolio(exchange: Exchange) -> None:
    held = portfolio_pb2.Position(
        instrument_id=9, symbol="COIN-USD", quantity_lots=5_000, available_lots=2_500
    )
    found = portfolio_pb2.Portfolio(account_id=7, positions=[held])
    answers(
        exchange,
        f"{POSITIONS}/GetPortfolio",
        pb.GetPortfolioRequest,
        pb.GetPortfolioResponse(portfolio=found),
    )


@pytest.mark.usefixtures("portfolio")
async def test_a_portfolio_counts_in_peoples_units(command: Command) -> None:
    done = await command("--lang", "zh-CN", "portfolio", "show")
    assert next(line for line in done.output.splitlines() if "代码" in line).split()[1:6] == [
        "数量",
        "可卖",
        "成本价",
        "现价",
        "市值",
    ]
    assert next(line for line in done.output.splitlines() if "COIN" in line).split()[1:3] == [
        "0.5000",
        "0.2500",
    ]


@pytest.mark.usefixtures("portfolio")
async def test_a_portfolio_is_watched_once_without_a_terminal(command: Command) -> None:
    done = await command("portfolio", "watch")
    assert "0.5000" in done.output


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_a_proposal_is_read_back_as_it_was_made(
    exchange: Exchange, command: Command, language: str
) -> None:
    async def post(request: talk.PostMessageRequest, context: Any) -> talk.PostMessageResponse:
        return talk.PostMessageResponse(message=talk.Message(proposal=request.proposal))

    exchange.answer(f"{TALK}/PostMessage", talk.PostMessageRequest, post)
    done = await command("--lang", language, "chat", "propose", "th-1", "buy:COIN-USD:0.5@2000")
    assert done.output.splitlines()[-1].split()[1:] == ["COIN-USD", "0.5000", "@", "2,000.00"]


async def test_a_proposal_goes_by_the_number_of_its_instrument(exchange: Exchange, command: Command) -> None:
    named = OrderSuggestion()
    named.CopyFrom(HALF)
    named.symbol = "ACME"
    unknown = OrderSuggestion(instrument_id=8, symbol="NEW", side=2, quantity_lots=5, price_ticks=6)
    message = talk.Message(proposal=talk.Proposal(orders=[named, unknown]))
    listed = talk.ListMessagesResponse(messages=[message])
    answers(exchange, f"{TALK}/ListMessages", talk.ListMessagesRequest, listed)
    lines = (await command("chat", "show", "th-1")).output.splitlines()
    assert lines[-2].split() == ["buy", "COIN-USD", "0.5000", "@", "2,000.00"]
    assert lines[-1].split() == ["sell", "NEW", "5", "lots", "@", "6", "ticks"]


async def test_what_an_accepted_proposal_traded(exchange: Exchange, command: Command) -> None:
    result = talk.OrderResult(client_order_id=3, order_id=17, accepted=True, filled_lots=2_500)
    proposal = talk.Proposal(state=talk.PROPOSAL_STATE_ACCEPTED, orders=[HALF], results=[result])
    answer = talk.AnswerProposalResponse(proposal=proposal)
    answers(exchange, f"{TALK}/AnswerProposal", talk.AnswerProposalRequest, answer)
    assert (await command("chat", "accept", "pr-1")).output.split()[-3:] == ["17", "accepted", "0.2500"]


async def test_advised_orders_are_in_peoples_units(exchange: Exchange, command: Command) -> None:
    advice = advice_pb2.Advice(advice_id="ad-1", orders=[HALF])
    answers(exchange, f"{POSITIONS}/GetAdvice", pb.GetAdviceRequest, pb.GetAdviceResponse(advice=advice))
    answers(
        exchange,
        f"{POSITIONS}/AcceptAdvice",
        pb.AcceptAdviceRequest,
        pb.AcceptAdviceResponse(advice=advice, orders=[HALF]),
    )
    assert "buy COIN-USD 0.5000 @ 2,000.00" in (await command("advice", "show", "ad-1")).output
    accepted = (await command("advice", "accept", "ad-1", "--no-place")).output
    assert accepted.splitlines()[-1].split() == ["3", "buy", "COIN-USD", "0.5000"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("instrument", "show", "NOPE"), "没有这个品种：可用 `smartex instrument list` 查看"),
        (("order", "buy", "COIN-USD", "0.5", "@", "1.005"), "最近的有效价格为 1.00 和 1.01"),
        (("order", "buy", "COIN-USD", "0.00015", "@", "1"), "最近的有效数量为 0.0001 和 0.0002"),
        (("advice", "show", "ad-1"), "没有这条建议"),
    ],
)
async def test_what_went_wrong_is_told_in_chinese(
    exchange: Exchange, fail: Any, info: Any, command: Command, words: tuple[str, ...], said: str
) -> None:
    async def unknown(request: Any, context: Any) -> None:
        await fail(context, grpc.StatusCode.NOT_FOUND, "no such advice, or not yours", info("ADVICE_UNKNOWN"))

    async def instruments(request: Any, context: Any) -> md.ListInstrumentsResponse:
        wanted = request.symbol in ("", COIN.symbol)
        return md.ListInstrumentsResponse(instruments=[COIN] if wanted else [])

    exchange.answer(f"{POSITIONS}/GetAdvice", pb.GetAdviceRequest, unknown)
    exchange.answer("MarketDataService/ListInstruments", md.ListInstrumentsRequest, instruments)
    line = hoisted(["--lang", "zh-CN", *words, "--url", exchange.url, "--token", "secret"])
    done = await asyncio.to_thread(CliRunner().invoke, app, line)
    assert done.exit_code in (2, 4)
    assert done.output.startswith("错误: ")
    assert done.output.strip().endswith(said)


async def test_codes_have_words_in_chinese(exchange: Exchange, command: Command) -> None:
    cancelled, rest = types.ORDER_STATUS_CANCELLED, types.REASON_IOC_REST
    order = types.Order(order_id=5, instrument_id=9, status=cancelled, reason=rest)
    listed = query.ListOrdersResponse(orders=[order])
    answers(exchange, "OrderQueryService/ListOrders", query.ListOrdersRequest, listed)
    entry = acc.LedgerEntry(instrument_id=9, kind=acc.LEDGER_ENTRY_KIND_TAX)
    moved = acc.ListLedgerEntriesResponse(entries=[entry])
    answers(exchange, "AccountService/ListLedgerEntries", acc.ListLedgerEntriesRequest, moved)
    limits = pb.GetLimitsResponse(effective=risk_pb2.Limits(stop_loss=0.1))
    answers(exchange, f"{POSITIONS}/GetLimits", pb.GetLimitsRequest, limits)
    chinese = ("--lang", "zh-CN")
    assert (await command(*chinese, "order", "list")).output.split()[-1] == "剩余未能立即成交"
    assert "印花税" in (await command(*chinese, "account", "ledger")).output
    assert "stop_loss 止损" in (await command(*chinese, "risk", "limits")).output
    assert (await command("order", "list")).output.split()[-1] == "IOC_REST"
    assert "止损" not in (await command("risk", "limits")).output


async def test_what_was_not_stated_has_no_distance(exchange: Exchange, command: Command) -> None:
    profile = risk_pb2.RiskProfile(revealed_level=3.7)
    answers(
        exchange,
        f"{POSITIONS}/GetRiskProfile",
        pb.GetRiskProfileRequest,
        pb.GetRiskProfileResponse(profile=profile),
    )
    shown = dict(line.split()[:2] for line in (await command("risk", "profile")).output.splitlines()[:3])
    assert shown == {"stated": "—", "revealed": "3.7", "distance": "—"}


async def test_an_instrument_without_limits_shows_none(exchange: Exchange, command: Command) -> None:
    shown = (await command("instrument", "show", "COIN-USD")).output.splitlines()
    assert next(line for line in shown if line.startswith("limits")).split() == ["limits", "—"]


async def test_questions_that_nobody_answers(exchange: Exchange) -> None:
    question = risk_pb2.Question(key="age", choices=[risk_pb2.Choice(key="young")])
    asked = pb.GetQuestionnaireResponse(questionnaire=risk_pb2.Questionnaire(questions=[question]))
    answers(exchange, f"{POSITIONS}/GetQuestionnaire", pb.GetQuestionnaireRequest, asked)
    line = hoisted(["risk", "questionnaire", "--url", exchange.url, "--token", "secret"])
    done = await asyncio.to_thread(lambda: CliRunner().invoke(app, line, input=""))
    assert done.exit_code == 2
    assert "--answer question=choice" in done.output
