"""A measured habit: the figure, how sure it is, which way harms, and where it stands among peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType

from smartex_quant.statistics import percentile_rank

from .records import Floats
from .settings import HabitSettings


class Harm(Enum):
    """On which side of the neutral figure a habit harms."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval, in the unit of what it belongs to."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Habit:
    """One habit of one account.

    `estimate` is None if there is too little to tell: `sample` is below `minimum`, or the figure is not
    defined (no loss was ever realised, say). `neutral` is the figure of somebody without the habit, None where
    there is no such figure and only peers compare. `parts` are figures that explain the main one.
    `percentile` is the share of peers below, 0 to 100, None until `rank` set it.
    """

    key: str
    unit: str
    harm: Harm
    neutral: float | None
    sample: int
    minimum: int
    estimate: Estimate | None
    parts: Mapping[str, Estimate]
    percentile: float | None = None

    @property
    def evident(self) -> bool:
        """Whether the whole interval lies on the harmful side of neutral."""
        if self.estimate is None or self.neutral is None:
            return False
        if self.harm is Harm.ABOVE:
            return self.estimate.low > self.neutral
        return self.estimate.high < self.neutral


def rank(habits: tuple[Habit, ...], peers: Mapping[str, Floats]) -> tuple[Habit, ...]:
    """The habits with their percentiles, from each habit's table of peers' figures.

    A habit without a figure, or without peers, stays without a percentile.
    """
    return tuple(_ranked(habit, peers.get(habit.key)) for habit in habits)


def _ranked(habit: Habit, peers: Floats | None) -> Habit:
    if habit.estimate is None or peers is None or len(peers) == 0:
        return habit
    return replace(habit, percentile=percentile_rank(habit.estimate.value, peers))


@dataclass(frozen=True)
class Kind:
    """What is the same for everybody's habit of this kind."""

    key: str
    unit: str
    harm: Harm
    neutral: float | None

    def tell(
        self,
        settings: HabitSettings,
        sample: int,
        estimate: Estimate | None,
        parts: Mapping[str, Estimate | None] = MappingProxyType({}),
    ) -> Habit:
        """The habit; too little to tell below its minimum sample. Parts that are not defined are left out."""
        minimum = settings.minimums[self.key]
        enough = sample >= minimum and estimate is not None
        known = {name: part for name, part in parts.items() if part is not None} if enough else {}
        return Habit(
            key=self.key,
            unit=self.unit,
            harm=self.harm,
            neutral=self.neutral,
            sample=sample,
            minimum=minimum,
            estimate=estimate if enough else None,
            parts=known,
        )
