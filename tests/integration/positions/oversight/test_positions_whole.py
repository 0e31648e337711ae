"""From the order that makes an account lopsided to the fill that mends it, through the real exchange."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import grpc
import numpy as np
import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToDict
from isolated import fresh_database
from oversight_setup import instrument
from positions.domain.questionnaire import QUESTIONS
from positions.outbox import NOTICES_TOPIC
from positions_whole import Whole, serve
from refusals import reason
from smartex.notifications.v1.notice_pb2 import Notice
from smartex.positions.v1 import advice_pb2, risk_pb2, types_pb2
from smartex.positions.v1 import position_service_pb2 as pb
from smartex_bus import open_bus
from smartex_store import EmbeddedPostgres
from waiting import until

INVESTOR, MAKER = 1001, 1002
BOLD = {question.key: list(question.choices)[-1] for question in QUESTIONS}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def whole(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Whole]:
    """A market of two shares; the maker quotes the first at 9.99 and 10.01."""
    async with fresh_database(postgres) as url, serve(url, tmp_path_factory.mktemp("whole")) as served:
        async with served.market(None, "operate", "read") as operator:
            for one in (instrument(1, "Banks", 2), instrument(2, "Steel", 4)):
                await operator.venue.define(one)
            await operator.venue.deposit(INVESTOR, "100000", "CNY")
            await operator.venue.deposit(MAKER, "10000000", "CNY")
            await operator.venue.deposit_shares(MAKER, "1000000", "S1")
        async with served.market(MAKER) as maker:
            await maker.sell("S1", 100_000, "10.01")
            await maker.buy("S1", 100_000, "9.99")
        yield served


@dataclass(frozen=True)
class Mended:
    """What an investor was told who bought too much of the first share and took the advice."""

    alert: advice_pb2.Alert
    seen: advice_pb2.Alert
    """The same once it was acknowledged."""
    advice: advice_pb2.Advice
    accepted: pb.AcceptAdviceResponse


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mended(whole: Whole) -> Mended:
    """Buy, alert, advice, accept, fill, clear."""
    investor = whole.caller(INVESTOR)
    async with whole.market(INVESTOR) as market:
        await market.buy("S1", 6000, "10.01")

    async def alert() -> Any:
        listed = await investor("ListAlerts", pb.ListAlertsRequest(standing_only=True))
        return next((one for one in listed.alerts if one.kind == "concentration" and one.advice_id), None)

    raised = await until(alert)
    given = (await investor("GetAdvice", pb.GetAdviceRequest(advice_id=raised.advice_id))).advice
    seen = (await investor("AcknowledgeAlert", pb.AcknowledgeAlertRequest(alert_id=raised.alert_id))).alert
    accepted = await investor("AcceptAdvice", pb.AcceptAdviceRequest(advice_id=given.advice_id))
    async with whole.market(INVESTOR) as market:
        for order in accepted.orders:
            sold = await market.sell(
                order.symbol,
                Decimal(order.quantity_lots),
                Decimal(order.price_ticks) / 100,
                client_order_id=order.client_order_id,
            )
            assert str(sold.status) == "filled"

    async def cleared() -> bool:
        listed = await investor("ListAlerts", pb.ListAlertsRequest(standing_only=True))
        return all(one.alert_id != raised.alert_id for one in listed.alerts)

    await until(cleared)
    return Mended(raised, seen, given, accepted)


async def test_the_alert_and_its_advice_say_what_is_wrong_and_what_would_help(mended: Mended) -> None:
    raised, given = mended.alert, mended.advice
    assert raised.subject == "S1"
    assert raised.state == advice_pb2.ALERT_STATE_RAISED
    assert (mended.seen.alert_id, mended.seen.state) == (raised.alert_id, advice_pb2.ALERT_STATE_ACKNOWLEDGED)
    assert raised.value > 0.55
    assert "Share 1" in raised.text.en
    assert "股票1" in raised.text.zh
    assert (given.kind, given.state, given.cause_id) == (
        "reduce_concentration",
        advice_pb2.ADVICE_STATE_OPEN,
        raised.alert_id,
    )
    figures = {one.key: one for one in given.what_if}
    assert figures["largest_weight"].after < 0.36 < figures["largest_weight"].before


async def test_what_was_advised_helped_and_is_told_as_one_chain(whole: Whole, mended: Mended) -> None:
    investor = whole.caller(INVESTOR)
    assert (await portfolio(investor)).exposure.largest_weight < 0.36

    async def chain() -> Any:
        number = str(mended.accepted.orders[0].client_order_id)
        found = await investor("ListSteps", pb.ListStepsRequest(id=number))
        kinds = [step.kind for step in found.steps]
        return found if {"order", "fill"} <= set(kinds) and kinds.count("alert") >= 2 else None

    found = await until(chain)
    assert found.trace_id == mended.alert.trace_id == mended.advice.trace_id
    kinds = [step.kind for step in found.steps]
    assert {"event", "alert", "advice", "accepted", "order", "fill"} == set(kinds)


async def test_advice_that_was_taken_is_closed(whole: Whole, mended: Mended) -> None:
    investor, number = whole.caller(INVESTOR), mended.advice.advice_id
    again = await investor("AcceptAdvice", pb.AcceptAdviceRequest(advice_id=number))
    assert again.orders == mended.accepted.orders
    closed = (await investor("GetAdvice", pb.GetAdviceRequest(advice_id=number))).advice
    assert closed.outcome.taken_share == 1.0
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await investor("DismissAdvice", pb.DismissAdviceRequest(advice_id=number, reason="late"))
    assert reason(failure.value) == "ADVICE_CLOSED"


@pytest.mark.usefixtures("mended")
async def test_notices_are_on_the_bus(whole: Whole) -> None:
    async with await open_bus(whole.pod.settings.bus()) as bus:

        async def told() -> Any:
            records = await bus.read(NOTICES_TOPIC, 0, 0)
            notices = [Notice.FromString(record.value) for record in records]
            assert {record.key for record in records} <= {str(INVESTOR).encode(), str(MAKER).encode()}
            kinds = [one.kind for one in notices if one.account_id == INVESTOR]
            return {"positions.concentration", "positions.advice"} <= set(kinds)

        await until(told)


@pytest.mark.usefixtures("mended")
async def test_report_with_the_user_s_scenarios(whole: Whole) -> None:
    operator, investor = whole.caller(None, "operate", "read"), whole.caller(INVESTOR)
    draw = np.random.default_rng(4)
    closes = []
    for number in (1, 2):
        prices = 10 * np.cumprod(1 + draw.normal(0, 0.015, 320))
        closes += [
            pb.DailyClose(
                instrument_id=number,
                date=(date(2025, 1, 1) + timedelta(days=at)).isoformat(),
                price=f"{price:.4f}",
                volume=1e6,
            )
            for at, price in enumerate(prices)
        ]
    assert (await operator("ImportPrices", pb.ImportPricesRequest(closes=closes))).added == 640
    assert (await operator("ImportPrices", pb.ImportPricesRequest(closes=closes))).added == 0
    crash = risk_pb2.Scenario(name=types_pb2.Text(en="Crash", zh="崩盘"), instruments={1: -0.5})
    request = pb.GetRiskReportRequest(scenarios=[crash], html=True, language="zh-CN")

    async def value() -> float:
        (held,) = (one for one in (await portfolio(investor)).positions if one.instrument_id == 1)
        return float(held.value.amount)

    async def at_one_mark() -> Any:
        # The mark of a moment ago is the last trade's, and once that is old the middle of the book.
        before = await value()
        made = await investor("GetRiskReport", request)
        return (made, before) if await value() == before else None

    answer, worth = await until(at_one_mark)
    report = answer.report
    assert report.history_days == 319
    assert len(report.tail_risks) == 8
    assert sum(one.value_at_risk for one in report.components) == pytest.approx(
        next(one.value_at_risk for one in report.tail_risks)
    )
    assert report.stresses[-1].change == pytest.approx(-0.5 * worth, rel=1e-6)
    assert report.stresses[-1].scenario.name.zh == "崩盘"
    assert "崩盘" in answer.html
    assert "股票1" in answer.html
    assert MessageToDict(report)


async def portfolio(investor: Any) -> Any:
    return (await investor("GetPortfolio", pb.GetPortfolioRequest())).portfolio


@pytest.mark.usefixtures("mended")
async def test_profile_from_stated_to_revealed(whole: Whole) -> None:
    investor = whole.caller(INVESTOR)
    before = (await investor("GetRiskProfile", pb.GetRiskProfileRequest())).profile
    assert (before.stated_level, before.highest_suitable_risk) == (0, 0)
    asked = (await investor("GetQuestionnaire", pb.GetQuestionnaireRequest())).questionnaire
    assert len(asked.questions) == 10
    answered = pb.AnswerQuestionnaireRequest(
        version=asked.version, answers=BOLD | {"loss_tolerance": "none"}, request_id=1
    )
    after = (await investor("AnswerQuestionnaire", answered)).profile
    assert after.stated_level == 1
    assert [one.name for one in after.unsuitable] == ["S1"]
    assert after.distance > 0
    assert "C1" in after.verdict.en
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await investor(
            "AnswerQuestionnaire", pb.AnswerQuestionnaireRequest(version=asked.version + 1, request_id=2)
        )
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.usefixtures("mended")
async def test_habits_with_few_fills(whole: Whole) -> None:
    answer = await whole.caller(INVESTOR)("ListHabits", pb.ListHabitsRequest())
    assert answer.fill_count >= 2
    assert len(answer.habits) == 13
    assert all(one.percentile == -1 for one in answer.habits)
    assert not any(one.HasField("estimate") for one in answer.habits)
    assert answer.habits[0].verdict.en.startswith("Too little to tell")
    turnover = next(one for one in answer.habits if one.key == "turnover")
    assert (turnover.unit, turnover.unit_title.en, turnover.unit_title.zh) == (
        "times a year",
        "times a year",
        "次/年",
    )
    assert [one.industry for one in answer.expertise] == ["Banks"]
    assert answer.expertise[0].turnover_share == pytest.approx(1.0)


@pytest.mark.usefixtures("mended")
async def test_a_supervisor_sees_what_was_given_and_no_more(whole: Whole) -> None:
    admin = whole.caller(None, "admin")
    clerk = whole.caller(None, "operate", "read", subject="clerk")
    for method, request in (
        ("GetPortfolio", pb.GetPortfolioRequest(account_id=INVESTOR)),
        ("ListAlerts", pb.ListAlertsRequest(account_id=INVESTOR)),
        ("GetRiskReport", pb.GetRiskReportRequest(account_id=987_654)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await clerk(method, request)
        assert (failure.value.code(), reason(failure.value)) == (
            grpc.StatusCode.NOT_FOUND,
            "ACCOUNT_UNKNOWN",
        )
    given = pb.AssignSupervisorRequest(supervisor="clerk", account_ids=[INVESTOR, MAKER, 555])
    assert (await admin("AssignSupervisor", given)).account_count == 3
    listed = (await clerk("ListSupervised", pb.ListSupervisedRequest())).accounts
    assert {one.account_id for one in listed} == {INVESTOR, MAKER, 555}
    assert [one.risk_score for one in listed] == sorted((one.risk_score for one in listed), reverse=True)
    assert next(one for one in listed if one.account_id == MAKER).totals.equity
    first = await clerk("ListSupervised", pb.ListSupervisedRequest(page_size=2))
    rest = await clerk(
        "ListSupervised", pb.ListSupervisedRequest(page_size=2, page_token=first.next_page_token)
    )
    assert len(first.accounts) + len(rest.accounts) == 3
    assert (await clerk("ListAlerts", pb.ListAlertsRequest(account_id=INVESTOR))).alerts
    taken = pb.AssignSupervisorRequest(supervisor="clerk", account_ids=[555, MAKER], revoke=True)
    assert (await admin("AssignSupervisor", taken)).account_count == 1


@pytest.mark.usefixtures("mended")
async def test_limits_tighten_and_loosen(whole: Whole) -> None:
    investor, admin = whole.caller(INVESTOR), whole.caller(None, "admin")
    clerk = whole.caller(None, "operate", "read", subject="keeper")
    await admin("AssignSupervisor", pb.AssignSupervisorRequest(supervisor="keeper", account_ids=[INVESTOR]))
    own = risk_pb2.Limits(concentration=0.3, leverage=0)
    answer = await investor("SetLimits", pb.SetLimitsRequest(limits=own))
    assert answer.effective.concentration == 0.3
    assert answer.effective.leverage == 0
    assert answer.effective.drawdown == 0.2
    assert not answer.own.HasField("drawdown")
    tighter = risk_pb2.Limits(concentration=0.2, leverage=1.2)
    request = pb.SetLimitsRequest(account_id=INVESTOR, limits=tighter)
    assert (await clerk("SetLimits", request)).effective.concentration == 0.2
    looser = pb.SetLimitsRequest(account_id=INVESTOR, limits=risk_pb2.Limits(concentration=0.5, leverage=1.2))
    for caller, wrong in (
        (clerk, looser),
        (investor, pb.SetLimitsRequest(limits=risk_pb2.Limits(drawdown=2))),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await caller("SetLimits", wrong)
        assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    reader = whole.caller(INVESTOR, "read")
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await reader("SetLimits", pb.SetLimitsRequest())
    assert failure.value.code() is grpc.StatusCode.PERMISSION_DENIED
    again = await reader("GetLimits", pb.GetLimitsRequest())
    assert again.own.concentration == 0.2


@pytest.mark.usefixtures("mended")
async def test_what_is_not_the_caller_s_is_unknown(whole: Whole) -> None:
    stranger = whole.caller(MAKER)
    advice = (await whole.caller(INVESTOR)("ListAdvice", pb.ListAdviceRequest())).advice[0]
    for method, request, expected in (
        ("GetAdvice", pb.GetAdviceRequest(advice_id=advice.advice_id), "ADVICE_UNKNOWN"),
        ("AcceptAdvice", pb.AcceptAdviceRequest(advice_id=advice.advice_id), "ADVICE_UNKNOWN"),
        ("DismissAdvice", pb.DismissAdviceRequest(advice_id=advice.advice_id), "ADVICE_UNKNOWN"),
        ("GetAdvice", pb.GetAdviceRequest(advice_id="ad-none"), "ADVICE_UNKNOWN"),
        ("AcknowledgeAlert", pb.AcknowledgeAlertRequest(alert_id=advice.cause_id), "ALERT_UNKNOWN"),
        ("GetLimits", pb.GetLimitsRequest(account_id=INVESTOR), "ACCOUNT_UNKNOWN"),
        ("ListAdvice", pb.ListAdviceRequest(account_id=INVESTOR), "ACCOUNT_UNKNOWN"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await stranger(method, request)
        assert (failure.value.code(), reason(failure.value)) == (grpc.StatusCode.NOT_FOUND, expected)
    steps = await stranger("ListSteps", pb.ListStepsRequest(id=advice.trace_id))
    assert (steps.trace_id, list(steps.steps)) == ("", [])


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("ListAlerts", pb.ListAlertsRequest(page_size=1001)),
        ("ListAdvice", pb.ListAdviceRequest(page_token="x")),
        ("DismissAdvice", pb.DismissAdviceRequest(advice_id="a", reason="x" * 501)),
        ("ListSteps", pb.ListStepsRequest(id="")),
        ("ListSteps", pb.ListStepsRequest(id="x" * 129)),
        ("GetRiskReport", pb.GetRiskReportRequest(language="fr")),
        ("GetRiskReport", pb.GetRiskReportRequest(scenarios=[risk_pb2.Scenario()])),
        (
            "GetRiskReport",
            pb.GetRiskReportRequest(
                scenarios=[risk_pb2.Scenario(name=types_pb2.Text(en="x"), market=float("nan"))]
            ),
        ),
        (
            "GetRiskReport",
            pb.GetRiskReportRequest(
                scenarios=[risk_pb2.Scenario(name=types_pb2.Text(en="x"), limit_down_days=99)]
            ),
        ),
        ("AnswerQuestionnaire", pb.AnswerQuestionnaireRequest(version=1, answers=BOLD)),
        ("AnswerQuestionnaire", pb.AnswerQuestionnaireRequest(version=1, answers={"age": "x"}, request_id=9)),
    ],
)
async def test_wrong_input_is_named(whole: Whole, method: str, request_: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await whole.caller(INVESTOR)(method, request_)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(failure.value) == "INVALID_INPUT"


@pytest.mark.parametrize(
    "close",
    [
        pb.DailyClose(instrument_id=99, date="2025-01-01", price="1"),
        pb.DailyClose(instrument_id=1, date="01.01.2025", price="1"),
        pb.DailyClose(instrument_id=1, date="2025-01-01", price="-1"),
        pb.DailyClose(instrument_id=1, date="2025-01-01", price="NaN"),
        pb.DailyClose(instrument_id=1, date="2025-01-01", price="1", volume=float("inf")),
    ],
)
async def test_a_wrong_close_imports_nothing(whole: Whole, close: pb.DailyClose) -> None:
    operator = whole.caller(None, "operate", "read")
    good = pb.DailyClose(instrument_id=1, date="2020-01-01", price="1")
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await operator("ImportPrices", pb.ImportPricesRequest(closes=[good, close]))
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (await operator("ImportPrices", pb.ImportPricesRequest(closes=[good]))).added == 1
    await whole.pod.database.execute("DELETE FROM positions.daily_closes WHERE date = '2020-01-01'")


@pytest.mark.usefixtures("mended")
async def test_records_are_public(whole: Whole) -> None:
    records = (await whole.caller(MAKER, "read")("ListAdviceRecords", pb.ListAdviceRecordsRequest())).records
    by_kind = {one.kind: one for one in records}
    assert by_kind["reduce_concentration"].given >= 1
    assert by_kind["reduce_concentration"].taken >= 1
    assert (by_kind["cut_loss"].hit_rate.low, by_kind["cut_loss"].hit_rate.high) == (0.0, 1.0)
    assert all(one.definition.zh and one.definition.en for one in records)


@pytest.mark.usefixtures("mended")
async def test_pages_of_alerts(whole: Whole) -> None:
    investor = whole.caller(INVESTOR)
    all_of_them = (await investor("ListAlerts", pb.ListAlertsRequest())).alerts
    paged, token = [], ""
    while True:
        page = await investor("ListAlerts", pb.ListAlertsRequest(page_size=1, page_token=token))
        paged += page.alerts
        token = page.next_page_token
        if not token:
            break
    assert len(all_of_them) > 1
    assert [one.alert_id for one in paged] == [one.alert_id for one in all_of_them]


async def test_an_alert_of_a_halted_share_is_advised_when_it_trades_again(whole: Whole) -> None:
    late = 1003
    async with whole.market(None, "operate", "read") as operator:
        await operator.venue.halt("S1")
        await until(lambda: 1 not in whole.pod.oversight.instruments.open())
        await operator.venue.deposit_shares(late, "1000", "S1")
        waiting = "SELECT waits FROM positions.alerts WHERE account_id = $1 AND kind = $2 AND advised"

        async def looked_at() -> Any:
            return await whole.pod.database.fetchval(waiting, late, "concentration")

        assert await until(looked_at) == {"halted": [1], "offered": {}}
        listed = await whole.caller(late)("ListAdvice", pb.ListAdviceRequest())
        assert not listed.advice
        await operator.venue.open("S1")

        async def advised() -> bool:
            found = await whole.caller(late)("ListAdvice", pb.ListAdviceRequest(open_only=True))
            return "reduce_concentration" in {one.kind for one in found.advice}

        await until(advised)
