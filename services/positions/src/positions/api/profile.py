"""GetRiskProfile, GetQuestionnaire, AnswerQuestionnaire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar

from smartex.positions.v1 import position_service_pb2 as pb
from smartex.positions.v1 import risk_pb2, types_pb2
from smartex_chassis import InvalidInput, principal

from positions import wording
from positions.accounts import Accounts
from positions.api.told import words
from positions.domain import profile, questionnaire, suitability
from positions.domain.profile import Profile
from positions.domain.questionnaire import AnswerError
from positions.preferences import Preferences, Stated
from positions.supervision import Supervision
from positions.texts import text

Volatility = Callable[[int], Awaitable[float | None]]
"""Volatility a year of an account's returns; None while there are too few days."""


class ProfileApi:
    """Stated and revealed risk preference."""

    scopes: ClassVar[Mapping[str, str]] = {
        "GetRiskProfile": "read",
        "GetQuestionnaire": "read",
        "AnswerQuestionnaire": "trade",
    }

    def __init__(
        self,
        preferences: Preferences,
        accounts: Accounts,
        volatility: Volatility,
        supervision: Supervision,
        clock: Callable[[], int],
    ) -> None:
        self._preferences = preferences
        self._accounts = accounts
        self._volatility = volatility
        self._supervision = supervision
        self._clock = clock

    async def GetRiskProfile(  # noqa: N802
        self, request: pb.GetRiskProfileRequest, context: object
    ) -> pb.GetRiskProfileResponse:
        """What was said against what is done."""
        account = await self._supervision.account(principal(context), request.account_id)
        return pb.GetRiskProfileResponse(profile=await self._profile(account))

    async def GetQuestionnaire(  # noqa: N802
        self, request: pb.GetQuestionnaireRequest, context: object
    ) -> pb.GetQuestionnaireResponse:
        """What to ask."""
        questions = [
            risk_pb2.Question(
                key=question.key,
                text=words(text(f"question.{question.key}.text")),
                choices=[
                    risk_pb2.Choice(key=choice, text=words(text(f"question.{question.key}.{choice}")))
                    for choice in question.choices
                ],
            )
            for question in questionnaire.QUESTIONS
        ]
        asked = risk_pb2.Questionnaire(version=questionnaire.VERSION, questions=questions)
        return pb.GetQuestionnaireResponse(questionnaire=asked)

    async def AnswerQuestionnaire(  # noqa: N802
        self, request: pb.AnswerQuestionnaireRequest, context: object
    ) -> pb.AnswerQuestionnaireResponse:
        """State a risk preference; the same request again changes nothing."""
        account = principal(context).require_account()
        if request.version != questionnaire.VERSION:
            raise InvalidInput(
                f"version {questionnaire.VERSION} is asked now: get the questionnaire again", field="version"
            )
        if request.request_id <= 0:
            raise InvalidInput("request_id: give a positive number", field="request_id")
        answers = dict(request.answers)
        try:
            questionnaire.check(answers)
        except AnswerError as error:
            raise InvalidInput(str(error), field=f"answers.{error.field}") from error
        await self._preferences.answer(account, request.request_id, answers, self._clock())
        return pb.AnswerQuestionnaireResponse(profile=await self._profile(account))

    async def _profile(self, account_id: int) -> risk_pb2.RiskProfile:
        stated = await self._preferences.stated(account_id)
        behaviour = self._accounts.behaviour(account_id, await self._volatility(account_id))
        found = profile.assess(stated.level_at(self._clock()), behaviour)
        return _message(account_id, stated, found)


def _message(account_id: int, stated: Stated, found: Profile) -> risk_pb2.RiskProfile:
    message = risk_pb2.RiskProfile(
        account_id=account_id,
        stated_level=found.stated_level,
        revealed_level=found.revealed_level,
        distance=found.distance,
        signs=[
            risk_pb2.RiskSign(key=one.key, value=one.value, level=one.level, text=words(wording.sign(one)))
            for one in found.signs
        ],
        highest_suitable_risk=suitability.highest_suitable_risk(found.stated_level),
        unsuitable=[
            types_pb2.Share(
                name=one.symbol, instrument_id=one.instrument_id, value=one.value, weight=one.weight
            )
            for one in found.unsuitable
        ],
        verdict=words(wording.verdict(found)),
    )
    if stated.level:
        message.answer_time.FromNanoseconds(stated.answer_ns)
        message.expire_time.FromNanoseconds(stated.expire_ns)
    return message
