"""The statistics: against textbook formulas, hand-worked values, and their own promises on known distributions."""

import numpy as np
import pytest
from habit_worlds import told
from positions.domain.habits.holding import median_time, survival_curve
from positions.domain.habits.intervals import (
    LOG,
    cluster_sums,
    concentration,
    freedom,
    jackknife,
    quantile,
    ratio,
    score_interval,
    share,
)
from smartex_quant.statistics import wilson


def test_the_score_interval_is_wilsons() -> None:
    # Newcombe 1998, table I: 81 of 263 at 95 %: 0.2553 to 0.3662; 0 of 20: 0 to 0.1611
    assert score_interval(81 / 263, 263, 1.959964) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert score_interval(0.0, 20, 1.959964) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert score_interval(0.3, 50, 2.0) == pytest.approx(wilson(15, 50, 0.954499736)[::2])


def test_the_jackknife_of_a_mean_is_the_classical_interval() -> None:
    values = np.random.default_rng(1).normal(3, 2, 25)
    estimate = told(jackknife(ratio, np.stack([values, np.ones(25)], axis=1), 0.95))
    reach = 2.063899 * values.std(ddof=1) / 5  # t with 24 degrees of freedom
    assert (estimate.low, estimate.high) == pytest.approx((values.mean() - reach, values.mean() + reach))


def test_clusters_that_repeat_themselves_do_not_make_surer() -> None:
    values = np.random.default_rng(2).normal(size=(20, 1))
    columns = np.hstack([values, np.ones((20, 1))])
    tenfold = cluster_sums(np.repeat(np.arange(20), 10), np.repeat(columns, 10, axis=0))
    once, ten = told(jackknife(ratio, columns, 0.95)), told(jackknife(ratio, tenfold, 0.95))
    assert (ten.low, ten.high) == pytest.approx((once.low, once.high))


def test_undefined_figures_are_not_told() -> None:
    assert jackknife(ratio, np.array([[1.0, 2.0]]), 0.95) is None  # one cluster
    assert jackknife(ratio, np.array([[1.0, 1.0], [0.5, 0.0]]), 0.95) is None  # hangs on the first
    assert jackknife(ratio, np.array([[1.0, 1.0], [-1.0, 1.0]]), 0.95, LOG) is None  # log of 0
    assert share(np.array([[1.0, 1.0]]), 0.95) is None
    assert concentration(np.array([1]), np.array([1]), np.ones(1), 0.1, 0.95) is None


def test_a_share_of_nothing_or_everything_has_width() -> None:
    nothing = told(share(np.array([[0.0, 1.0]] * 10), 0.95))
    everything = told(share(np.array([[1.0, 1.0]] * 10), 0.95))
    assert (nothing.low, everything.high) == (0.0, 1.0)
    assert 0.2 < nothing.high < 0.4
    assert everything.low == pytest.approx(1 - nothing.high)


def test_few_large_clusters_count_as_few() -> None:
    sizes = np.array([[1.0, 8.0], [1.0, 1.0], [1.0, 1.0]])
    assert freedom(sizes) == 2
    assert freedom(sizes, size=1) == pytest.approx(100 / 66 - 1 if 100 / 66 > 2 else 1)
    assert quantile(0.95, 1) == pytest.approx(12.7062, abs=1e-4)


def test_concentration_has_no_bias_in_small_samples() -> None:
    rng = np.random.default_rng(3)
    shares = np.array([0.5, 0.3, 0.2])
    found = [
        concentration(np.arange(8), rng.choice(3, 8, p=shares), np.ones(8), 1 / 3, 0.95) for _ in range(2000)
    ]
    values = [estimate.value for estimate in found if estimate is not None]
    assert len(values) > 1900
    assert np.mean(values) == pytest.approx(0.25 + 0.09 + 0.04, abs=0.012)


@pytest.mark.parametrize(
    "shares", [(0.34, 0.33, 0.33), (0.4, 0.35, 0.25), (0.6, 0.2, 0.2), (0.9, 0.05, 0.05)]
)
def test_concentration_is_covered_from_nearly_even_to_nearly_one(shares: tuple[float, ...]) -> None:
    rng = np.random.default_rng(6)
    truth, covered = float(np.square(shares).sum()), 0
    for _ in range(400):
        drawn = rng.choice(3, 120, p=shares)
        found = told(concentration(np.arange(120), drawn, np.ones(120), 1 / 3, 0.95))
        covered += found.low <= truth <= found.high
    assert covered / 400 >= 0.93 - 2.58 * np.sqrt(0.95 * 0.05 / 400)


def test_survival_with_a_lot_still_held() -> None:
    # Four lots: ended after 1, 3 and 4 days, one held for 2 so far.
    # S(1) = 3/4; two are left at 3: S(3) = 3/4 * 1/2 = 3/8; S(4) = 0
    ended = np.array([True, False, True, True])
    points, survival, error = survival_curve(np.array([1.0, 2.0, 3.0, 4.0]), ended, np.arange(4))
    assert points.tolist() == [1, 3, 4]
    assert survival.tolist() == [0.75, 0.375, 0.0]
    # At 1 day: (1/4 - 1/16) of the lot that ended and -1/16 of the other three, squared: 12/256; times 4/3 = 1/16
    assert error[0] == pytest.approx(1 / 4)


def test_the_survival_curves_error_is_greenwoods_where_lots_are_independent() -> None:
    rng = np.random.default_rng(4)
    life, watched = rng.exponential(10, 4000), rng.exponential(20, 4000)
    times, ended = np.minimum(life, watched), life <= watched
    points, _, error = survival_curve(times, ended, np.arange(4000))
    every = np.sort(times[ended])
    at_risk = len(times) - np.searchsorted(np.sort(times), every)
    variance = np.cumsum(1 / at_risk / np.maximum(at_risk - 1, 1))  # Greenwood 1926, one death at a time
    place = np.searchsorted(every, points)
    greenwood, at_risk = np.sqrt(variance)[place], at_risk[place]
    thick = at_risk > 200
    assert error[thick] == pytest.approx(greenwood[thick], rel=0.03)


def test_the_median_of_an_exponential_is_covered() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(1000):
        life, watched = rng.exponential(10, 100), rng.exponential(30, 100)
        estimate = told(median_time(np.minimum(life, watched), life <= watched, np.arange(100), 0.95))
        covered += estimate.low <= 10 * np.log(2) <= estimate.high
    assert 930 <= covered <= 970


def test_a_median_that_is_not_reached_is_not_told() -> None:
    times = np.arange(1.0, 11.0)
    assert median_time(times, times <= 3, np.arange(10), 0.95) is None
    assert median_time(times, np.zeros(10, bool), np.arange(10), 0.95) is None
