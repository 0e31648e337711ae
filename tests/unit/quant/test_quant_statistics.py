from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from smartex_quant import HistoryTooShortError, InvalidInputError, statistics
from smartex_quant.arrays import FloatArray
from smartex_quant.statistics import Interval

Maker = Callable[[np.random.Generator], Interval]


def covered(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def coverage(make: Maker, truth: float, repeats: int) -> float:
    """Share of seeded samples whose interval holds the truth."""
    generator = np.random.default_rng(2024)
    return float(np.mean([covered(make(generator), truth) for _ in range(repeats)]))


def test_wilson_by_hand() -> None:
    # 8 of 10, z = 1.96: centre (0.8 + 0.19207) / 1.38415 = 0.71674; half 1.95996 / 1.38415 * sqrt(0.016 + 0.0096037)
    found = statistics.wilson(8, 10)
    assert found.estimate == 0.8
    np.testing.assert_allclose([found.low, found.high], [0.49016, 0.94332], atol=2e-5)
    assert statistics.wilson(0, 10).low == 0.0
    assert statistics.wilson(10, 10).high == 1.0


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.99))
@settings(deadline=None)
def test_proportions_agree_with_scipy(case: tuple[int, int], confidence: float) -> None:
    successes, trials = case
    test = stats.binomtest(successes, trials)
    for own, name in ((statistics.wilson, "wilson"), (statistics.clopper_pearson, "exact")):
        found, other = own(successes, trials, confidence), test.proportion_ci(confidence, name)
        np.testing.assert_allclose([found.low, found.high], [other.low, other.high], atol=1e-9)


def test_clopper_pearson_without_a_success() -> None:
    # (1 - high)^10 = 0.025
    found = statistics.clopper_pearson(0, 10)
    assert (found.low, found.estimate) == (0.0, 0.0)
    assert found.high == pytest.approx(1 - 0.025**0.1)


def test_exact_coverage_of_both_proportions() -> None:
    trials, truth = 50, 0.2
    chances = stats.binom.pmf(np.arange(trials + 1), trials, truth)
    for make, low, high in ((statistics.wilson, 0.93, 0.97), (statistics.clopper_pearson, 0.95, 0.99)):
        held = [covered(make(count, trials), truth) for count in range(trials + 1)]
        assert low <= chances @ held <= high


def test_mean_by_hand() -> None:
    # 1, 2, 3: mean 2, s = 1, t with 2 degrees 4.30265
    found = statistics.mean([1, 2, 3])
    assert found.high - found.estimate == pytest.approx(4.30265 / np.sqrt(3), abs=1e-5)
    assert statistics.mean([5.0, 5.0]) == (5.0, 5.0, 5.0)


def test_winsorised_mean_by_hand() -> None:
    # A tenth of ten at each end: 1 becomes 2 and 1000 becomes 9; mean (2 + 2 + ... + 9 + 9) / 10 = 5.5
    sample = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1000]
    found = statistics.winsorised_mean(sample, 0.1)
    clipped = np.array([2, 2, 3, 4, 5, 6, 7, 8, 9, 9])
    error = 9 / 7 * clipped.std(ddof=1) / np.sqrt(10)
    assert found.estimate == 5.5
    assert found.high - found.estimate == pytest.approx(stats.t.ppf(0.975, 7) * error)
    assert statistics.winsorised_mean(sample, 0.0) == pytest.approx(statistics.mean(sample))
    with pytest.raises(InvalidInputError, match="share"):
        statistics.winsorised_mean(sample, 0.5)
    with pytest.raises(HistoryTooShortError):
        statistics.winsorised_mean([1, 2, 3], 0.4)


def test_ratio_of_means_by_hand() -> None:
    # R = 6/12 = 0.5; residuals 1 - 1, 2 - 2.5, 3 - 2.5: sum of squares 0.5; error sqrt(3/2 * 0.5) / 12
    found = statistics.ratio_of_means([1, 2, 3], [2, 5, 5])
    error = np.sqrt(0.75) / 12
    assert found.estimate == 0.5
    assert found.high - found.estimate == pytest.approx(stats.t.ppf(0.975, 2) * error)
    # In clusters {1, 2} and {3} the residuals are -0.5 and 0.5: error sqrt(2 * 0.5) / 12, one degree of freedom
    clustered = statistics.ratio_of_means([1, 2, 3], [2, 5, 5], clusters=["a", "a", "b"])
    assert clustered.high - clustered.estimate == pytest.approx(stats.t.ppf(0.975, 1) / 12)
    with pytest.raises(InvalidInputError, match="denominators"):
        statistics.ratio_of_means([1, 1], [1, -1])
    with pytest.raises(HistoryTooShortError):
        statistics.ratio_of_means([1, 1], [1, 1], clusters=["a", "a"])


def clustered_rows(generator: np.random.Generator, clusters: int = 40, size: int = 5) -> FloatArray:
    """Rows whose means differ by cluster, about 1."""
    means = generator.normal(1.0, 1.0, clusters).repeat(size)
    return means + generator.normal(0, 0.5, clusters * size)


CLUSTERS = [str(number) for number in np.arange(40).repeat(5)]


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    makers: dict[str, tuple[Maker, float]] = {
        "mean": (lambda g: statistics.mean(g.normal(3, 2, 15)), 3.0),
        "winsorised": (lambda g: statistics.winsorised_mean(g.standard_t(3, 60), 0.1), 0.0),
        "ratio": (lambda g: statistics.ratio_of_means(g.binomial(9, 0.3, 80), np.full(80, 9)), 0.3),
        "clustered ratio": (
            lambda g: statistics.ratio_of_means(clustered_rows(g), np.ones(200), CLUSTERS),
            1.0,
        ),
        "auc": (
            lambda g: statistics.auc(g.normal(1, 1, 60), g.normal(0, 1, 80)),
            stats.norm.cdf(np.sqrt(0.5)),
        ),
    }
    for name, (make, truth) in makers.items():
        assert 0.93 <= coverage(make, truth, 2000) <= 0.97, name


def test_bootstraps_cover_the_truth_as_often_as_they_say() -> None:
    plain = coverage(lambda g: statistics.bootstrap(g.normal(3, 2, 25), np.mean, g, draws=200), 3.0, 300)
    assert 0.92 <= plain <= 0.98
    clusters = coverage(
        lambda g: statistics.bootstrap(clustered_rows(g), np.mean, g, clusters=CLUSTERS, draws=200), 1.0, 300
    )
    assert 0.92 <= clusters <= 0.98


def test_rows_that_go_together_must_be_drawn_together() -> None:
    ignored = coverage(lambda g: statistics.bootstrap(clustered_rows(g), np.mean, g, draws=200), 1.0, 200)
    assert ignored < 0.8


def test_bootstrap_is_repeatable_and_takes_matrices() -> None:
    rows = np.random.default_rng(1).normal([1.0, 2.0], 1.0, size=(30, 2))

    def ratio(sample: FloatArray) -> float:
        return float(sample[:, 0].sum() / sample[:, 1].sum())

    first, again = (statistics.bootstrap(rows, ratio, np.random.default_rng(5)) for _ in range(2))
    assert first == again
    assert first.low < first.estimate < first.high
    delta = statistics.ratio_of_means(rows[:, 0], rows[:, 1])
    assert first.low == pytest.approx(delta.low, abs=0.05)
    assert first.high == pytest.approx(delta.high, abs=0.05)


def test_bootstrap_refuses_what_has_no_answer() -> None:
    generator = np.random.default_rng(1)
    with pytest.raises(InvalidInputError, match="statistic"):
        statistics.bootstrap([1.0, 2.0], lambda sample: float("nan"), generator, draws=10)
    with pytest.raises(InvalidInputError, match="rows"):
        statistics.bootstrap([1.0, float("nan")], np.mean, generator)
    for rows in ([], [1.0]):
        with pytest.raises(HistoryTooShortError):
            statistics.bootstrap(rows, np.mean, generator)


def test_percentile_rank_by_hand() -> None:
    # Of 1, 2, 2, 3: one below 2, two equal: (1 + 2/2) / 4
    assert statistics.percentile_rank(2, [1, 2, 2, 3]) == 50.0
    assert statistics.percentile_rank(9, [1, 2]) == 100.0
    assert statistics.percentile_rank(1, [1]) == 50.0
    assert statistics.percentile_rank(2, [3, 1, 2]) == stats.percentileofscore([3, 1, 2], 2, "mean")
    with pytest.raises(HistoryTooShortError):
        statistics.percentile_rank(1, [])


def test_auc_by_hand() -> None:
    # Pairs: 3 beats 1 and 2; 2 beats 1 and ties 2: 3.5 of 4. Placements of positives 1, 0.75; of negatives 1, 0.75.
    found = statistics.auc([3, 2], [1, 2])
    assert found.estimate == pytest.approx(0.875)
    error = np.sqrt(0.03125 / 2 + 0.03125 / 2)
    assert found.low == pytest.approx(0.875 - 1.959964 * error, abs=1e-6)
    assert found.high == 1.0


@given(
    st.lists(st.integers(0, 6), min_size=2, max_size=20), st.lists(st.integers(0, 6), min_size=2, max_size=20)
)
def test_auc_is_the_share_of_pairs_won(positives: list[int], negatives: list[int]) -> None:
    won = [(a > b) + 0.5 * (a == b) for a in positives for b in negatives]
    found = statistics.auc(positives, negatives)
    assert found.estimate == pytest.approx(np.mean(won))
    assert 0.0 <= found.low <= found.estimate <= found.high <= 1.0
    assert statistics.auc(negatives, positives).estimate == pytest.approx(1 - found.estimate)


def test_scores_that_separate_are_not_taken_for_certain() -> None:
    found = statistics.auc([3, 4, 5], [0, 1, 2])
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 3))
    assert statistics.auc([0, 1, 2], [3, 4, 5]).high == pytest.approx(1 - 0.025 ** (1 / 3))
    assert statistics.auc([1, 1], [1, 1]) == (0.5, 0.5, 0.5)


def test_wrong_input_is_refused() -> None:
    for make in (statistics.wilson, statistics.clopper_pearson):
        with pytest.raises(InvalidInputError, match="successes"):
            make(3, 2)
        with pytest.raises(InvalidInputError, match="successes"):
            make(0, 0)
        with pytest.raises(InvalidInputError, match="confidence"):
            make(1, 2, 1.0)
    with pytest.raises(HistoryTooShortError):
        statistics.mean([1.0])
    with pytest.raises(InvalidInputError, match="clusters"):
        statistics.ratio_of_means([1, 2], [1, 2], clusters=["a"])
