"""Industry expertise: worked by hand, shrunk, and found in simulated investors who have it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from habit_worlds import ANY_SAMPLE, auc, fill, market, records, told
from investors import Investor, population
from positions.domain.habits import (
    AccountRecords,
    HabitSettings,
    IndustryExpertise,
    industry_expertise,
)
from positions.domain.habits.expertise import expertise

NOON = (12 - 9.5) / 5.5  # of the session gone by


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-9)


def two_trips() -> AccountRecords:
    """In industry 0, which rises by 10 % on day 1: A is bought at 10 and sold at 12, B ends at 10.5."""
    returns = np.array([[0.0, 0.0], [0.1, 0.0]])
    closes: list[list[float]] = [[10, 10, 10], [12, 10.5, 10]]
    place = market(closes, industries=[0, 0, 1], industry_returns=returns)
    trades = [fill(0, 1, 100, 10), fill(0, 2, 50, 10), fill(1, 1, -100, 12), fill(1, 3, 10, 10)]
    return records(place, *trades)


def test_excess_over_the_industry_a_year_of_holding() -> None:
    # A: 20 % - 10 % in one day. B, still held: 5 % - 10 % in the rest of day 0 and day 1.
    # (0.10 - 0.05) / (1 + 2 - NOON) days, 244 days a year
    first, second = industry_expertise(two_trips(), ANY_SAMPLE)
    assert (first.industry, first.trips, first.positions) == (0, 2, 2)
    assert told(first.estimate).value == near(244 * 0.05 / (3 - NOON))
    assert (second.industry, second.trips, second.estimate) == (1, 1, None)  # one position has no interval


def test_shrinking_weighs_the_error_against_the_spread() -> None:
    # With a spread s and an error e, s^2 / (s^2 + e^2) of the figure is kept, and the root of it of the width.
    first = industry_expertise(two_trips(), ANY_SAMPLE)[0]
    wide = industry_expertise(two_trips(), replace(ANY_SAMPLE, expertise_spread=told(first.error)))[0]
    estimate, shrunk = told(wide.estimate), told(wide.shrunk)
    assert shrunk.value == near(estimate.value / 2)
    width = estimate.high - estimate.low
    assert shrunk.high - shrunk.low == near(width / np.sqrt(2))


def test_few_trips_are_too_little_to_tell() -> None:
    for found in industry_expertise(two_trips()):
        assert (found.estimate, found.error, found.shrunk, found.evident) == (None, None, None, False)


def expertise_at_home(investor: Investor, seed: int) -> list[IndustryExpertise]:
    found = [expertise(history, HabitSettings()) for history in population(investor, seed)]
    return [one for account in found for one in account if one.industry == 0 and one.estimate]


def test_an_expert_is_told_from_others_and_intervals_cover_the_truth() -> None:
    # Without skill the truth is no excess but for the costs of trading, which are small beside the error.
    none = expertise_at_home(Investor(), 1)
    expert = expertise_at_home(Investor(skill=0.003), 20)
    found = [told(one.estimate) for one in none]
    area = auc([told(one.estimate).value for one in expert], [one.value for one in found])
    covered = np.mean([one.low <= 0 <= one.high for one in found])
    print(f"expertise: AUC {area:.3f}, covered {covered:.3f} of {len(none)}")
    assert area >= 0.9
    assert abs(covered - 0.95) <= 0.02 + 2.58 * np.sqrt(0.95 * 0.05 / len(none))
    assert np.mean([one.evident for one in none]) <= 0.025
