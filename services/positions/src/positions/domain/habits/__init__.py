"""Trading habits, measured from an account's fills: pure functions over arrays.

    habits = rank(measure(AccountRecords(fills, market)), peers)    # thirteen, each with figure and interval
    experts = industry_expertise(AccountRecords(fills, market))     # where trades beat the industry's own return

Each detector's module says what it counts, in which unit, which side harms, and by which source. The statistics are
in `intervals`: leave out one cluster of dependent observations at a time.
"""

from .expertise import IndustryExpertise
from .habit import Estimate, Habit, Harm, rank
from .measure import industry_expertise, measure
from .records import FILL, FLOW, AccountRecords, Market, RecordError
from .settings import MINIMUMS, HabitSettings

__all__ = [
    "FILL",
    "FLOW",
    "MINIMUMS",
    "AccountRecords",
    "Estimate",
    "Habit",
    "HabitSettings",
    "Harm",
    "IndustryExpertise",
    "Market",
    "RecordError",
    "industry_expertise",
    "measure",
    "rank",
]
