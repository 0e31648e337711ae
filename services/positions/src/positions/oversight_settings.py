"""What watching and advising can be told. The settings of the service include these."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator
from smartex_chassis import Settings

from positions.advising.adviser import Lifetimes
from positions.domain.limits import HOUSE, KINDS, Limits

_SECOND_NS = 10**9
_HOUR_NS = 3600 * _SECOND_NS
_DAY_NS = 24 * _HOUR_NS


@dataclass(frozen=True)
class OversightSettings:
    """The same, as the parts take it."""

    house: Limits
    zone: ZoneInfo
    digest_at: time
    profile_ns: int
    """For how long answers to the questionnaire hold."""
    patience_ns: int
    """How long an alert may stand unseen before it presses harder."""
    lifetimes: Lifetimes
    slow_seconds: float
    """Between two looks at value at risk."""
    minute_seconds: float = 60.0
    """Between two looks at what expires, is due to be settled or to be sent."""
    review_seconds: float = 6 * 3600.0
    """Between two reviews of all accounts' profiles and habits."""


def _house(kind: str) -> float:
    value = getattr(HOUSE, kind)
    return float(value)


class OversightFields(Settings):
    """Limits of the house, and how alerts and advice keep time."""

    house_loss_today: float = Field(
        default=_house("loss_today"),
        ge=0,
        le=1,
        description="house limit: loss of the day over equity; 0: off",
    )
    house_drawdown: float = Field(
        default=_house("drawdown"), ge=0, le=1, description="house limit: fall from the highest value; 0: off"
    )
    house_concentration: float = Field(
        default=_house("concentration"),
        ge=0,
        le=1,
        description="house limit: weight of one instrument; 0: off",
    )
    house_industry_concentration: float = Field(
        default=_house("industry_concentration"),
        ge=0,
        le=1,
        description="house limit: weight of one industry; 0: off",
    )
    house_value_at_risk: float = Field(
        default=_house("value_at_risk"),
        ge=0,
        le=1,
        description="house limit: 1-day 95 % value at risk over equity; 0: off",
    )
    house_price_limit_distance: float = Field(
        default=_house("price_limit_distance"),
        ge=-1,
        le=1,
        description="house limit: distance to the price limit that counts as hit; negative: off",
    )
    house_stop_loss: float = Field(
        default=_house("stop_loss"),
        ge=0,
        le=1,
        description="house limit: loss of a holding over its cost; 0: off",
    )
    house_leverage: float = Field(
        default=_house("leverage"), ge=0, le=100, description="house limit: holdings over equity; 0: off"
    )
    alert_max_age_seconds: float = Field(
        default=120,
        gt=0,
        description="age of the market's events, by this pod's clock, beyond which a book that has more of them to "
        "read is behind: alerts follow, and what still stands is told once the book has caught up",
    )
    escalate_minutes: float = Field(
        default=30, gt=0, description="time that an alert may stand unseen before it presses harder"
    )
    value_at_risk_seconds: float = Field(
        default=60, gt=0, description="time between two looks at value at risk of all accounts"
    )
    advice_hours: float = Field(default=24, gt=0, description="time for which advice on an alert holds")
    cooldown_hours: float = Field(
        default=24, ge=0, description="time after a dismissal in which the same is not advised again"
    )
    review_hours: float = Field(
        default=6, gt=0, description="time between two reviews of all accounts' profiles and habits"
    )
    profile_days: float = Field(
        default=365, gt=0, description="time after which the questionnaire must be answered anew"
    )
    digest_time: str = Field(default="08:30", description="time of day of the morning's digest, in time_zone")
    time_zone: str = Field(default="Asia/Shanghai", description="zone of the market's dates")

    @field_validator("digest_time")
    @classmethod
    def _is_a_time(cls, value: str) -> str:
        time.fromisoformat(value)
        return value

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, OSError) as error:
            raise ValueError(f"{value!r} is no time zone such as Asia/Shanghai") from error
        return value

    def oversight(self) -> OversightSettings:
        """As the parts take it."""
        return OversightSettings(
            house=Limits(**{kind: getattr(self, f"house_{kind}") for kind in KINDS}),
            zone=ZoneInfo(self.time_zone),
            digest_at=time.fromisoformat(self.digest_time),
            profile_ns=int(self.profile_days * _DAY_NS),
            patience_ns=int(self.escalate_minutes * 60 * _SECOND_NS),
            lifetimes=Lifetimes(
                alert_ns=int(self.advice_hours * _HOUR_NS),
                review_ns=7 * _DAY_NS,
                cooldown_ns=int(self.cooldown_hours * _HOUR_NS),
            ),
            slow_seconds=self.value_at_risk_seconds,
            review_seconds=self.review_hours * 3600,
        )
