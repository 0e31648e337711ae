"""ListHabits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from smartex.positions.v1 import advice_pb2, types_pb2
from smartex.positions.v1 import position_service_pb2 as pb
from smartex_chassis import principal

from positions import wording
from positions.api.told import words
from positions.domain.advice.habits import harmful
from positions.domain.habits import Habit, IndustryExpertise
from positions.habit_records import Habits
from positions.supervision import Supervision
from positions.texts import text

NO_PEERS = -1.0


class HabitsApi:
    """How the caller's account trades, or one given to a supervisor."""

    scopes: ClassVar[Mapping[str, str]] = {"ListHabits": "read"}

    def __init__(self, habits: Habits, supervision: Supervision) -> None:
        self._habits = habits
        self._supervision = supervision

    async def ListHabits(self, request: pb.ListHabitsRequest, context: object) -> pb.ListHabitsResponse:  # noqa: N802
        """Habits among peers, and industry expertise."""
        account = await self._supervision.account(principal(context), request.account_id)
        measured = await self._habits.of(account)
        response = pb.ListHabitsResponse(
            habits=[_habit(one) for one in measured.habits],
            expertise=[
                _expertise(one, measured.industries[one.industry], measured.turnover[one.industry])
                for one in measured.expertise
            ],
            fill_count=measured.fills,
        )
        if measured.fills:
            response.start_time.FromNanoseconds(measured.start_ns)
        return response


def _habit(one: Habit) -> advice_pb2.Habit:
    bad = harmful(one)
    message = advice_pb2.Habit(
        key=one.key,
        name=words(text(f"habit.{one.key}.name")),
        definition=words(text(f"habit.{one.key}.definition")),
        unit=one.unit,
        percentile=NO_PEERS if one.percentile is None else one.percentile / 100,
        harmful=bad,
        verdict=words(wording.habit(one, harmful=bad)),
        unit_title=words(text(f"habit.{one.key}.unit")),
    )
    if one.estimate is not None:
        estimate = one.estimate
        message.estimate.CopyFrom(
            types_pb2.Estimate(
                value=estimate.value, low=estimate.low, high=estimate.high, sample_size=one.sample
            )
        )
    return message


def _expertise(one: IndustryExpertise, industry: str, share: float) -> advice_pb2.IndustryExpertise:
    message = advice_pb2.IndustryExpertise(
        industry=industry, turnover_share=share, industry_title=words(wording.industry(industry))
    )
    if one.shrunk is not None:
        estimate = one.shrunk
        message.excess_return.CopyFrom(
            types_pb2.Estimate(
                value=estimate.value, low=estimate.low, high=estimate.high, sample_size=one.trips
            )
        )
    return message
