"""The face: an account's records in, its habits out."""

from __future__ import annotations

from .execution import aggressiveness, time_of_day
from .expertise import IndustryExpertise, expertise
from .familiarity import familiarity
from .following import chasing, panic
from .habit import Habit
from .holding import holding_time
from .losses import loss_cutting
from .overtrading import overtrading
from .proportions import averaging_down, disposition
from .records import AccountRecords, check
from .results import hit_rate, payoff
from .settings import HabitSettings
from .trips import History, build_history
from .turnover import turnover


def measure(records: AccountRecords, settings: HabitSettings | None = None) -> tuple[Habit, ...]:
    """Every habit of an account, in the order of `MINIMUMS`; raises `RecordError` for records that do not fit.

    A habit without enough to tell it by has no estimate. An account without fills has no habits: an empty tuple.
    """
    chosen = settings or HabitSettings()
    history = _history(records)
    if history is None:
        return ()
    return (
        disposition(history, chosen),
        turnover(history, chosen, records.flows),
        holding_time(history, chosen),
        chasing(history, chosen),
        panic(history, chosen),
        overtrading(history, chosen),
        averaging_down(history, chosen),
        loss_cutting(history, chosen),
        time_of_day(history, chosen),
        aggressiveness(history, chosen),
        hit_rate(history, chosen),
        payoff(history, chosen),
        familiarity(history, chosen, records.home_industry),
    )


def industry_expertise(
    records: AccountRecords, settings: HabitSettings | None = None
) -> tuple[IndustryExpertise, ...]:
    """Where the account's trades beat the industry's own return; raises `RecordError` like `measure`."""
    history = _history(records)
    return () if history is None else expertise(history, settings or HabitSettings())


def _history(records: AccountRecords) -> History | None:
    check(records)
    return build_history(records) if len(records.fills) else None
