"""What an account has, risks and is advised to do. Answers are the messages of `smartex.positions.v1`."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime

from smartex.matching.v1 import order_entry_pb2 as entry
from smartex.matching.v1 import types_pb2 as types
from smartex.positions.v1 import advice_pb2 as advice_pb
from smartex.positions.v1 import portfolio_pb2 as portfolio_pb
from smartex.positions.v1 import position_service_pb2 as pb
from smartex.positions.v1 import risk_pb2 as risk_pb
from smartex.positions.v1.types_pb2 import OrderSuggestion, Step

from . import model
from .base import PAGE, ServiceFace
from .convert import in_range, to_ms, to_ns
from .ids import checked_id
from .translate import outcome_order, report_of


class Positions(ServiceFace):
    """The supervision of one account; operators name accounts that were given to them."""

    service = "positions.v1.PositionService"

    async def portfolio(
        self, account_id: int = 0, *, lots: bool = False, min_sequence: int = 0
    ) -> portfolio_pb.Portfolio:
        """The portfolio now. `min_sequence` (an order's `sequence`) waits until that is in it."""
        request = pb.GetPortfolioRequest(
            account_id=in_range(account_id, "account", 32),
            lots=lots,
            min_sequence=in_range(min_sequence, "min_sequence"),
        )
        answer = await self._read("GetPortfolio", request, pb.GetPortfolioResponse)
        return answer.portfolio

    async def portfolio_at(self, moment: datetime | int, account_id: int = 0) -> portfolio_pb.Portfolio:
        """The portfolio as it was at a time or after a sequence of the market."""
        request = pb.GetPortfolioAtRequest(account_id=in_range(account_id, "account", 32))
        if isinstance(moment, int):
            request.sequence = in_range(moment, "moment")
        else:
            request.time.FromNanoseconds(to_ns(moment, "moment"))
        answer = await self._read("GetPortfolioAt", request, pb.GetPortfolioAtResponse)
        return answer.portfolio

    async def live_portfolio(
        self, account_id: int = 0, *, interval: float = 0.1
    ) -> AsyncIterator[portfolio_pb.Portfolio]:
        """The portfolio, and again whenever it changed, at most every `interval` seconds."""
        request = pb.StreamPortfolioRequest(
            account_id=in_range(account_id, "account", 32), interval_ms=to_ms(interval, "interval")
        )
        known = portfolio_pb.Portfolio()
        async for message in self._follow("StreamPortfolio", lambda: request, pb.StreamPortfolioResponse):
            if message.WhichOneof("content") == "snapshot":
                known = message.snapshot
            else:
                known = changed(known, message.delta)
            yield known

    async def history(
        self, account_id: int = 0, *, days_only: bool = False
    ) -> AsyncIterator[portfolio_pb.PortfolioPoint]:
        """The account in the past, newest first."""
        request = pb.ListPortfolioHistoryRequest(
            account_id=in_range(account_id, "account", 32), days_only=days_only, page_size=PAGE
        )
        async for page in self._pages("ListPortfolioHistory", request, pb.ListPortfolioHistoryResponse):
            for point in page.points:
                yield point

    async def risk(
        self,
        account_id: int = 0,
        *,
        scenarios: Sequence[risk_pb.Scenario] = (),
        html: bool = False,
    ) -> pb.GetRiskReportResponse:
        """The risk now; with `html` also as a page with plots, in the client's language."""
        request = pb.GetRiskReportRequest(
            account_id=in_range(account_id, "account", 32),
            scenarios=scenarios,
            html=html,
            language=self._language,
        )
        return await self._read("GetRiskReport", request, pb.GetRiskReportResponse)

    async def profile(self, account_id: int = 0) -> risk_pb.RiskProfile:
        """What was said of risk against what is done."""
        request = pb.GetRiskProfileRequest(account_id=in_range(account_id, "account", 32))
        return (await self._read("GetRiskProfile", request, pb.GetRiskProfileResponse)).profile

    async def questionnaire(self) -> risk_pb.Questionnaire:
        """What is asked about risk."""
        answer = await self._read(
            "GetQuestionnaire", pb.GetQuestionnaireRequest(), pb.GetQuestionnaireResponse
        )
        return answer.questionnaire

    async def answer_questionnaire(
        self, version: int, answers: Mapping[str, str], *, request_id: int | None = None
    ) -> risk_pb.RiskProfile:
        """Answer it, all of it; the profile that comes of it."""
        request = pb.AnswerQuestionnaireRequest(
            version=version, answers=answers, request_id=checked_id(request_id, self._ids.next, "request_id")
        )
        answer = await self._write("AnswerQuestionnaire", request, pb.AnswerQuestionnaireResponse)
        return answer.profile

    async def habits(self, account_id: int = 0) -> pb.ListHabitsResponse:
        """How the account trades."""
        return await self._read(
            "ListHabits",
            pb.ListHabitsRequest(account_id=in_range(account_id, "account", 32)),
            pb.ListHabitsResponse,
        )

    async def alerts(
        self, account_id: int = 0, *, standing_only: bool = False
    ) -> AsyncIterator[advice_pb.Alert]:
        """Alerts, newest first."""
        request = pb.ListAlertsRequest(
            account_id=in_range(account_id, "account", 32), standing_only=standing_only, page_size=PAGE
        )
        async for page in self._pages("ListAlerts", request, pb.ListAlertsResponse):
            for alert in page.alerts:
                yield alert

    async def acknowledge(self, alert_id: str) -> advice_pb.Alert:
        """Say that an alert was seen."""
        request = pb.AcknowledgeAlertRequest(alert_id=alert_id)
        return (await self._write("AcknowledgeAlert", request, pb.AcknowledgeAlertResponse)).alert

    async def list_advice(
        self, account_id: int = 0, *, open_only: bool = False
    ) -> AsyncIterator[advice_pb.Advice]:
        """Advice, newest first."""
        request = pb.ListAdviceRequest(
            account_id=in_range(account_id, "account", 32), open_only=open_only, page_size=PAGE
        )
        async for page in self._pages("ListAdvice", request, pb.ListAdviceResponse):
            for each in page.advice:
                yield each

    async def advice(self, advice_id: str) -> advice_pb.Advice:
        """One piece of advice."""
        request = pb.GetAdviceRequest(advice_id=advice_id)
        return (await self._read("GetAdvice", request, pb.GetAdviceResponse)).advice

    async def accept_advice(self, advice_id: str) -> pb.AcceptAdviceResponse:
        """Accept it; the orders in the answer are to be placed, e.g. by `place_suggested`."""
        request = pb.AcceptAdviceRequest(advice_id=advice_id)
        return await self._write("AcceptAdvice", request, pb.AcceptAdviceResponse)

    async def dismiss_advice(self, advice_id: str, reason: str) -> advice_pb.Advice:
        """Set it aside, and say why."""
        request = pb.DismissAdviceRequest(advice_id=advice_id, reason=reason)
        return (await self._write("DismissAdvice", request, pb.DismissAdviceResponse)).advice

    async def advice_records(self) -> Sequence[advice_pb.AdviceRecord]:
        """How each kind of advice has done so far."""
        answer = await self._read(
            "ListAdviceRecords", pb.ListAdviceRecordsRequest(), pb.ListAdviceRecordsResponse
        )
        return answer.records

    async def limits(self, account_id: int = 0) -> pb.GetLimitsResponse:
        """Thresholds of the alerts: the account's own, and those that hold."""
        return await self._read(
            "GetLimits",
            pb.GetLimitsRequest(account_id=in_range(account_id, "account", 32)),
            pb.GetLimitsResponse,
        )

    async def set_limits(self, limits: risk_pb.Limits, account_id: int = 0) -> pb.SetLimitsResponse:
        """Set all thresholds of the account's own."""
        request = pb.SetLimitsRequest(account_id=in_range(account_id, "account", 32), limits=limits)
        return await self._write("SetLimits", request, pb.SetLimitsResponse)

    async def supervised(self) -> AsyncIterator[pb.SupervisedAccount]:
        """Accounts given to this supervisor, riskiest first."""
        request = pb.ListSupervisedRequest(page_size=PAGE)
        async for page in self._pages("ListSupervised", request, pb.ListSupervisedResponse):
            for account in page.accounts:
                yield account

    async def assign_supervisor(
        self, supervisor: str, account_ids: Iterable[int], *, revoke: bool = False
    ) -> int:
        """Give accounts to a supervisor or take them away (admin); how many the supervisor has."""
        request = pb.AssignSupervisorRequest(
            supervisor=supervisor,
            account_ids=[in_range(each, "account", 32) for each in account_ids],
            revoke=revoke,
        )
        answer = await self._write("AssignSupervisor", request, pb.AssignSupervisorResponse)
        return answer.account_count

    async def import_prices(self, closes: Sequence[pb.DailyClose]) -> int:
        """Add daily closes of the time before the market's own (operators); how many were new."""
        answer = await self._write(
            "ImportPrices", pb.ImportPricesRequest(closes=closes), pb.ImportPricesResponse
        )
        return answer.added

    async def steps(self, id_: str) -> tuple[str, Sequence[Step]]:
        """The trace that an id belongs to, and what positions knows of it."""
        answer = await self._read("ListSteps", pb.ListStepsRequest(id=id_), pb.ListStepsResponse)
        return answer.trace_id, answer.steps

    async def place_suggested(
        self, orders: Sequence[OrderSuggestion]
    ) -> list[tuple[OrderSuggestion, model.Order | model.Report]]:
        """Place a list of orders, each once however often it is called; an order or the refusal for each."""
        return [(each, await self._place(each)) for each in orders]

    async def _place(self, suggestion: OrderSuggestion) -> model.Order | model.Report:
        instrument = await self._catalogue.get(suggestion.instrument_id)
        request = entry.PlaceOrderRequest(
            client_order_id=suggestion.client_order_id,
            instrument_id=suggestion.instrument_id,
            side=suggestion.side,  # type: ignore[arg-type]
            order_type=types.ORDER_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_DAY,
            price_ticks=suggestion.price_ticks,
            quantity_lots=suggestion.quantity_lots,
            create_time_ns=time.time_ns(),
        )
        answer = await self._connection.write(
            "OrderEntryService/PlaceOrder", request, entry.PlaceOrderResponse
        )
        if answer.outcome.kind == types.REPORT_KIND_REJECTED:
            return report_of(instrument, answer.outcome, self._language)
        return outcome_order(instrument, answer.outcome, answer.reports, order_type="limit", tif="day")


def changed(known: portfolio_pb.Portfolio, delta: pb.PortfolioDelta) -> portfolio_pb.Portfolio:
    """A portfolio with a delta taken in; the one given stays as it was."""
    new = portfolio_pb.Portfolio()
    new.CopyFrom(known)
    new.sequence = delta.sequence
    new.time.CopyFrom(delta.time)
    held = {each.instrument_id: each for each in known.positions}
    held |= {each.instrument_id: each for each in delta.positions}
    cash = {each.total.currency_code: each for each in known.cash}
    cash |= {each.total.currency_code: each for each in delta.cash}
    del new.positions[:], new.cash[:]
    kept = [each for each in held.values() if each.quantity_lots]
    new.positions.extend(sorted(kept, key=lambda each: -abs(each.weight)))
    new.cash.extend(cash.values())
    new.totals.CopyFrom(delta.totals)
    new.exposure.CopyFrom(delta.exposure)
    new.open_orders.CopyFrom(delta.open_orders)
    return new
