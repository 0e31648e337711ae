"""Advice on habits: no orders, but what a habit is, how sure that is, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from positions.domain.advice.draft import Draft
from positions.domain.alerts import Severity
from positions.domain.habits import Habit, Harm

ADVISED = ("disposition", "overtrading", "chasing", "panic", "averaging_down", "turnover")
"""Habits that there is something to say about."""

COSTLY = 0.01
"""Turnover is worth a word if it costs surely more than this part of what the account is worth, a year."""


def habit_advice(habits: Sequence[Habit], worth: float) -> Iterable[Draft]:
    """One draft for each harmful habit that is beyond doubt; `worth` is the account's equity in money."""
    cost = _cost(habits)
    for habit in habits:
        if habit.key in ADVISED and harmful(habit) and habit.estimate is not None:
            one = habit.estimate
            facts: dict[str, object] = {
                "value": one.value,
                "low": one.low,
                "high": one.high,
                "sample": habit.sample,
                "percentile": habit.percentile,
                "cost_share": cost,
                "cost_money": None if cost is None else cost * worth,
            }
            yield Draft(f"habit_{habit.key}", habit.key, Severity.INFO, facts, caveats=("past", "habit"))


def harmful(habit: Habit) -> bool:
    """Whether the whole interval lies on the harmful side; turnover harms by what it surely costs."""
    if habit.key != "turnover":
        return habit.evident
    cost = habit.parts.get("cost")
    return cost is not None and cost.low > COSTLY


def better(before: float, after: float, harm: Harm, neutral: float | None) -> bool:
    """Whether a habit's figure moved away from harm: towards the neutral one, or beyond it."""
    if neutral is not None:
        before = max(before, neutral) if harm is Harm.ABOVE else min(before, neutral)
    return after < before if harm is Harm.ABOVE else after > before


def _cost(habits: Sequence[Habit]) -> float | None:
    """What trading costs a year, as a share of what the account is worth."""
    for habit in habits:
        if habit.key == "turnover" and "cost" in habit.parts:
            return habit.parts["cost"].value
    return None
