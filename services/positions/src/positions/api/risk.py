"""GetRiskReport."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from smartex.positions.v1 import position_service_pb2 as pb
from smartex.positions.v1 import risk_pb2, types_pb2
from smartex_chassis import InvalidInput, Overloaded, principal

from positions import reports, wording
from positions.api.told import words
from positions.domain.risk import RiskReport, Scenario
from positions.domain.risk.report import HISTORICAL
from positions.domain.risk.scenarios import Stressed, answer
from positions.naming import Instruments
from positions.reporting import Reporting
from positions.supervision import Supervision, account_unknown
from positions.texts import LANGUAGES, Text

MOST_SCENARIOS = 20
MOST_SHOCKS = 1000
LONGEST_NAME = 100
LONGEST_LIMIT_RUN = 60
MOST_PAGES = 8
"""Pages that may wait to be drawn on this pod."""


class RiskApi:
    """Reports of the caller's account, or of one given to a supervisor."""

    scopes: ClassVar[Mapping[str, str]] = {"GetRiskReport": "read"}

    def __init__(self, reporting: Reporting, supervision: Supervision, instruments: Instruments) -> None:
        self._reporting = reporting
        self._supervision = supervision
        self._instruments = instruments
        # One at a time: a page takes a good part of a second, and the drawing library's settings are global.
        self._drawing = asyncio.Lock()
        self._pages = 0

    async def GetRiskReport(  # noqa: N802
        self, request: pb.GetRiskReportRequest, context: object
    ) -> pb.GetRiskReportResponse:
        """The risk now, with the caller's scenarios, and a page if asked for."""
        account = await self._supervision.account(principal(context), request.account_id)
        language = request.language or "en"
        if language not in LANGUAGES:
            raise InvalidInput(f"language: give one of {', '.join(LANGUAGES)}", field="language")
        asked = _scenarios(request.scenarios)
        report = await self._reporting.report(account)
        if report is None:
            raise account_unknown()
        full = replace(report, stresses=[*report.stresses, *(answer(report.exposed, one) for one in asked)])
        names = [*(wording.scenario(one.scenario) for one in report.stresses)]
        names += [Text(one.name.zh or one.name.en, one.name.en or one.name.zh) for one in request.scenarios]
        response = pb.GetRiskReportResponse(report=_message(full, names))
        if request.html:
            response.html = await self._draw(full, names, language)
        return response

    async def _draw(self, report: RiskReport, names: Sequence[Text], language: str) -> str:
        if self._pages >= MOST_PAGES:
            raise Overloaded(
                "too many pages are being drawn: ask again a little later, or without html",
                reason="TOO_MANY_PAGES",
                retry_after=timedelta(seconds=2),
            )
        self._pages += 1
        try:
            async with self._drawing:
                return await asyncio.to_thread(self._page, report, names, language)
        finally:
            self._pages -= 1

    def _page(self, report: RiskReport, names: Sequence[Text], language: str) -> str:
        held = (one.instrument_id for one in report.portfolio.positions)
        called = {number: self._instruments.name(number) for number in held}
        return reports.render(report, called, names, language)


def _scenarios(asked: Sequence[risk_pb2.Scenario]) -> list[Scenario]:
    if len(asked) > MOST_SCENARIOS:
        raise InvalidInput(f"scenarios: give at most {MOST_SCENARIOS}", field="scenarios")
    return [_scenario(one, f"scenarios[{at}]") for at, one in enumerate(asked)]


def _scenario(asked: risk_pb2.Scenario, field: str) -> Scenario:
    if not 1 <= max(len(asked.name.zh), len(asked.name.en)) <= LONGEST_NAME:
        raise InvalidInput(f"name: give 1 to {LONGEST_NAME} characters", field=f"{field}.name")
    if len(asked.industries) + len(asked.instruments) > MOST_SHOCKS:
        raise InvalidInput(f"give at most {MOST_SHOCKS} shocks", field=field)
    for shock in (asked.market, *asked.industries.values(), *asked.instruments.values()):
        if not (math.isfinite(shock) and -1 <= shock <= 10):
            raise InvalidInput("a change is −1 (all is lost) to 10", field=field)
    if not 0 <= asked.limit_down_days <= LONGEST_LIMIT_RUN:
        raise InvalidInput(
            f"limit_down_days: give 0 to {LONGEST_LIMIT_RUN}", field=f"{field}.limit_down_days"
        )
    return Scenario(
        market=asked.market,
        industries=dict(asked.industries),
        instruments=dict(asked.instruments),
        limit_down_days=asked.limit_down_days,
    )


def _message(report: RiskReport, names: Sequence[Text]) -> risk_pb2.RiskReport:
    portfolio = report.portfolio
    value, low, high = report.beta
    message = risk_pb2.RiskReport(
        account_id=portfolio.account_id,
        sequence=portfolio.sequence,
        base_currency_code=portfolio.currency,
        equity=portfolio.equity,
        tail_risks=[
            risk_pb2.TailRisk(
                method=_method(tail.method),
                horizon_days=tail.risk.horizon_days,
                level=tail.risk.level,
                value_at_risk=tail.risk.var,
                expected_shortfall=tail.risk.es,
            )
            for tail in report.tails
        ],
        components=_components(report),
        volatility=report.volatility,
        beta=types_pb2.Estimate(value=value, low=low, high=high, sample_size=report.days),
        drawdown_now=report.drawdown_now,
        drawdown_worst=report.drawdown_worst,
        stresses=[_stress(report, one, name) for one, name in zip(report.stresses, names, strict=True)],
        liquidity=_liquidity(report),
        history_days=report.days,
        proxied_share=report.proxied_share,
        backtests=_backtests(report),
        caveats=[words(wording.caveat(one)) for one in report.caveats],
    )
    message.time.FromNanoseconds(portfolio.time_ns)
    return message


def _method(method: str) -> risk_pb2.RiskMethod.ValueType:
    return risk_pb2.RISK_METHOD_HISTORICAL if method == HISTORICAL else risk_pb2.RISK_METHOD_PARAMETRIC


def _components(report: RiskReport) -> list[risk_pb2.ComponentRisk]:
    total = float(report.components.sum())
    if total == 0:
        return []
    return [
        risk_pb2.ComponentRisk(
            instrument_id=one.instrument_id,
            symbol=one.symbol,
            value_at_risk=float(part),
            share=float(part) / total,
        )
        for one, part in zip(report.portfolio.positions, report.components, strict=True)
    ]


def _stress(report: RiskReport, stressed: Stressed, name: Text) -> risk_pb2.StressResult:
    scenario, equity = stressed.scenario, report.portfolio.equity
    positions = report.portfolio.positions
    return risk_pb2.StressResult(
        scenario=risk_pb2.Scenario(
            name=words(name),
            market=scenario.market,
            industries=dict(scenario.industries),
            instruments=dict(scenario.instruments),
            limit_down_days=scenario.limit_down_days,
        ),
        change=stressed.change,
        change_share=_over(stressed.change, equity),
        worst=[
            types_pb2.Share(
                name=positions[at].symbol,
                instrument_id=positions[at].instrument_id,
                value=float(stressed.gains[at]),
                weight=_over(float(stressed.gains[at]), equity),
            )
            for at in stressed.worst()
        ],
    )


def _liquidity(report: RiskReport) -> list[risk_pb2.LiquidityRisk]:
    rows = zip(report.portfolio.positions, report.days_to_leave, report.cost_to_leave, strict=True)
    return [
        risk_pb2.LiquidityRisk(
            instrument_id=one.instrument_id, symbol=one.symbol, days_to_leave=float(days), cost=float(cost)
        )
        for one, days, cost in rows
    ]


def _backtests(report: RiskReport) -> list[risk_pb2.VarBacktest]:
    return [
        risk_pb2.VarBacktest(
            method=_method(one.method),
            level=one.test.level,
            days=one.test.days,
            violations=one.test.violations,
            kupiec_p=one.test.coverage.p_value,
            christoffersen_p=one.test.conditional_coverage.p_value,
        )
        for one in report.backtests
    ]


def _over(value: float, whole: float) -> float:
    return value / whole if whole > 0 else 0.0
