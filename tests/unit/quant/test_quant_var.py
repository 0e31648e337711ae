from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy import stats
from smartex_quant import HistoryTooShortError, InvalidInputError
from smartex_quant.arrays import FloatArray
from smartex_quant.var import Historical, Parametric
from smartex_quant.var.order_weights import tail_weights
from smartex_quant.var.parametric import degrees_of_freedom, normal_tail, student_tail

Make = Callable[[ArrayLike], Historical | Parametric]
Case = tuple[int, int, float, int]
MODELS: dict[str, Make] = {
    "filtered": Historical,
    "plain": lambda rows: Historical(rows, "none"),
    "student": Parametric,
    "normal": lambda rows: Parametric(rows, tail="normal"),
    "constant": lambda rows: Parametric(rows, "constant", "normal"),
}
SHRUNK = [MODELS[name] for name in ("student", "normal", "constant")]
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
coherent_model = pytest.mark.parametrize("make", [MODELS["plain"], MODELS["normal"]], ids=["plain", "normal"])
cases = st.tuples(
    st.integers(0, 2**32 - 1),
    st.integers(1, 6),
    st.sampled_from([0.9, 0.95, 0.975, 0.99]),
    st.sampled_from([1, 10]),
)
quick = settings(max_examples=25, deadline=None)


def market(seed: int, instruments: int = 4, days: int = 150) -> FloatArray:
    """Fat-tailed returns with a common factor and volatility that changes."""
    generator = np.random.default_rng(seed)
    calm = np.exp(np.cumsum(generator.normal(0, 0.05, (days, 1)), axis=0))
    factor = generator.standard_t(5, (days, 1))
    return 0.01 * calm * (0.6 * factor + generator.standard_t(5, (days, instruments)))


def book(seed: int, instruments: int = 4) -> FloatArray:
    return np.random.default_rng(seed + 1).normal(0, 1e6, instruments)


@every_model
@quick
@given(cases)
def test_shortfall_is_at_least_var_and_components_add_up(make: Make, case: Case) -> None:
    seed, instruments, level, horizon = case
    found = make(market(seed, instruments)).risk(book(seed, instruments), level, horizon)
    assert found.es >= found.var > 0.0
    assert found.component_var.sum() == pytest.approx(found.var)
    assert found.component_es.sum() == pytest.approx(found.es)


@every_model
@quick
@given(cases, st.floats(0.01, 1000.0))
def test_twice_the_book_is_twice_the_risk(make: Make, case: Case, factor: float) -> None:
    seed, instruments, level, horizon = case
    model, money = make(market(seed, instruments)), book(seed, instruments)
    one, many = model.risk(money, level, horizon), model.risk(factor * money, level, horizon)
    assert many.var == pytest.approx(factor * one.var, rel=1e-6)
    assert many.es == pytest.approx(factor * one.es, rel=1e-6)


@coherent_model
@quick
@given(cases)
def test_shortfall_of_the_whole_is_at_most_that_of_the_parts(make: Make, case: Case) -> None:
    seed, instruments, level, horizon = case
    model = make(market(seed, instruments))
    first, second = book(seed, instruments), book(seed + 7, instruments)
    parts = model.risk(first, level, horizon).es + model.risk(second, level, horizon).es
    assert model.risk(first + second, level, horizon).es <= parts * (1 + 1e-9)


@pytest.mark.parametrize("horizon", [1, 10])
@pytest.mark.parametrize("name", ["filtered", "plain", "normal", "constant"])
def test_marginals_are_the_derivatives_of_var_and_es(name: str, horizon: int) -> None:
    # The t multiplier is fitted on a grid and so is flat almost everywhere but not everywhere; it is left out here.
    rows = market(3)
    rows[40:80] *= 0.001  # days whose forecast falls under the floor of the filter
    model, money = MODELS[name](rows), np.array([2e6, -1e6, 0.0, 5e5])
    found = model.risk(money, 0.95, horizon)
    for holding in range(4):
        step = np.eye(4)[holding]
        up, down = model.risk(money + step, 0.95, horizon), model.risk(money - step, 0.95, horizon)
        assert found.marginal_var[holding] == pytest.approx((up.var - down.var) / 2, rel=1e-5, abs=1e-8)
        assert found.marginal_es[holding] == pytest.approx((up.es - down.es) / 2, rel=1e-5, abs=1e-8)


def test_plain_historical_by_hand() -> None:
    # Losses of 1, 2, ..., 100: the loss of rank i from the worst is 101 - i. The weights are those of ceil(100 x) with
    # x from a beta distribution of mean 0.05, so the mean rank is 5 + 1/2 and VaR is 95.5, halfway between 5th and 6th.
    # Beyond it the mean of the distributions' means is 0.025: about rank 3, 98, the mean of the five worst.
    losses = np.arange(1.0, 101.0)
    found = Historical(-losses[:, None], "none").risk([1.0], 0.95)
    assert found.var == pytest.approx(95.5, abs=1e-3)
    assert found.es == pytest.approx(98.0, abs=0.1)


def test_filtered_simulation_forgets_a_calm_that_is_over() -> None:
    generator = np.random.default_rng(5)
    rows = generator.normal(0, 0.01, (500, 1))
    rows[-60:] *= 3.0
    filtered, plain = Historical(rows).risk([1.0]).var, Historical(rows, "none").risk([1.0]).var
    assert filtered == pytest.approx(0.03 * 2.326, rel=0.2)
    assert filtered > 1.3 * plain  # which mixes both spells


def test_filtered_simulation_by_an_independent_loop() -> None:
    rows, money = market(11, 3, 120), np.array([1e6, -5e5, 2e5])
    gains = rows @ money
    variance = [np.average(gains[:t] ** 2, weights=0.94 ** np.arange(t)[::-1]) for t in range(1, 121)]
    floor = 0.04 * np.mean(gains**2)
    variance = [max(v, floor) for v in variance]
    scaled = np.array([gains[t] * np.sqrt(variance[119] / variance[t - 1]) for t in range(20, 120)])
    weights, _ = tail_weights(100, 1 - 0.95)
    expected = -weights @ np.sort(scaled - scaled.mean())
    assert Historical(rows).risk(money, 0.95).var == pytest.approx(expected)


def test_ten_days_of_independent_normal_returns_scale_with_the_root_of_time() -> None:
    rows = np.random.default_rng(8).normal(0, 0.01, (1000, 2))
    exact = 0.01 * np.sqrt(2) * stats.norm.ppf(0.99) * np.sqrt(10)
    for make in MODELS.values():
        assert make(rows).risk([1.0, 1.0], 0.99, 10).var == pytest.approx(exact, rel=0.2)
    one, ten = (Parametric(rows).risk([1.0, 1.0], 0.99, days).var for days in (1, 10))
    assert ten == pytest.approx(one * np.sqrt(10))


def test_parametric_normal_by_hand() -> None:
    # Two uncorrelated columns of +-1 % and +-2 %, in all four combinations: deviation sqrt(1 + 4) % on one unit each.
    rows = np.tile([[0.01, 0.02], [0.01, -0.02], [-0.01, 0.02], [-0.01, -0.02]], (20, 1))
    found = Parametric(rows, "constant", "normal").risk([1.0, 1.0], 0.95)
    z = 1.6448536269514722
    assert found.var == pytest.approx(z * np.sqrt(0.0005))
    np.testing.assert_allclose(found.component_var, z * np.array([0.0001, 0.0004]) / np.sqrt(0.0005))
    assert found.es == pytest.approx(stats.norm.pdf(z) / 0.05 * np.sqrt(0.0005))


def test_tails_of_t_approach_the_normal_and_agree_with_integration() -> None:
    np.testing.assert_allclose(student_tail(0.01, 1e7), normal_tail(0.01), rtol=1e-5)
    scale = np.sqrt(3 / 5)  # five degrees of freedom
    beyond = stats.t(5).expect(lambda x: -x, ub=stats.t.ppf(0.01, 5)) / 0.01
    np.testing.assert_allclose(
        student_tail(0.01, 5), [-stats.t.ppf(0.01, 5) * scale, beyond * scale], rtol=1e-6
    )


def test_degrees_of_freedom_are_found_again() -> None:
    residuals = np.random.default_rng(2).standard_t(5, 50_000) * np.sqrt(3 / 5)
    assert degrees_of_freedom(residuals) == pytest.approx(5, rel=0.1)
    assert degrees_of_freedom(np.random.default_rng(2).normal(size=50_000)) > 50


@given(st.integers(60, 3000), st.sampled_from([0.001, 0.01, 0.025, 0.033, 0.05, 0.1]))
@settings(max_examples=60, deadline=None)
def test_weights_of_the_tail_are_those_of_a_spectral_measure(count: int, probability: float) -> None:
    var, es = tail_weights(count, probability)
    assert var.sum() == pytest.approx(1.0)
    assert es.sum() == pytest.approx(1.0)
    assert (var >= 0.0).all()
    assert np.diff(es).max() <= 1e-12  # never rises from worse to better
    assert (np.cumsum(es) - np.cumsum(var)).min() >= -1e-9  # lies further in the tail than VaR


@every_model
def test_a_book_of_nothing_risks_nothing(make: Make) -> None:
    found = make(market(1)).risk(np.zeros(4))
    assert found.var == found.es == 0.0
    np.testing.assert_array_equal(found.marginal_var, np.zeros(4))


@every_model
def test_instruments_that_never_moved_add_nothing(make: Make) -> None:
    rows = market(1)
    rows[:, 1] = 0.0
    found = make(rows).risk([1e6, 1e6, 0.0, 0.0], 0.95)
    assert found.component_var[1] == pytest.approx(0.0, abs=1e-6)
    assert make(np.zeros((120, 1))).risk([1e6], 0.95).var == 0.0


@every_model
def test_more_instruments_than_days(make: Make) -> None:
    found = make(market(4, instruments=300, days=130)).risk(book(4, 300), 0.95)
    assert found.es > found.var > 0.0


@every_model
def test_a_short_hedge_has_a_negative_component(make: Make) -> None:
    own = market(2, 1)
    rows = np.hstack([own, own + np.random.default_rng(0).normal(0, 0.001, own.shape)])
    found = make(rows).risk([1e6, -4e5], 0.95)
    assert found.component_var[1] < 0.0 < found.component_var[0]


@every_model
def test_a_perfect_hedge_takes_the_risk_away(make: Make) -> None:
    own = market(2, 1)
    model = make(np.hstack([own, own]))
    hedged, alone = model.risk([1e6, -1e6], 0.95), model.risk([1e6, 0.0], 0.95)
    assert np.isfinite(hedged.marginal_var).all()
    # Historical simulation sees nothing left; shrinkage does not trust a correlation of one.
    assert hedged.var <= (0.6 * alone.var if make in SHRUNK else 1e-6)


def test_a_day_after_a_spell_without_trading_is_not_blown_up() -> None:
    rows = np.random.default_rng(1).normal(0, 0.02, (500, 1))
    rows[200:300] = 1e-9
    rows[300] = -0.10
    worst = -Historical(rows).risk([1.0], 0.99).es
    assert worst > -0.10 * 5  # the ratio of volatilities is at most 1 / 0.2


def test_equal_seeds_give_equal_figures_and_portfolios_meet_the_same_paths() -> None:
    rows = market(1)
    first, again = (
        Historical(rows, seed=3).risk(book(1), 0.95, 10),
        Historical(rows, seed=3).risk(book(1), 0.95, 10),
    )
    assert first.var == again.var
    assert first.var != Historical(rows, seed=4).risk(book(1), 0.95, 10).var


@every_model
def test_wrong_input_is_refused(make: Make) -> None:
    model = make(market(1))
    with pytest.raises(HistoryTooShortError) as short:
        make(market(1, days=59))
    assert (short.value.needed, short.value.given) == (60, 59)
    for rows in (
        [[np.nan] * 2] * 100,
        [[np.inf] * 2] * 100,
        np.zeros((100, 0)),
        np.zeros(100),
        [["x"]] * 100,
    ):
        with pytest.raises(InvalidInputError, match="returns"):
            make(rows)
    for money in ([1.0] * 3, [np.nan] * 4, [[1.0] * 4]):
        with pytest.raises(InvalidInputError, match="exposures"):
            model.risk(money)
    with pytest.raises(InvalidInputError, match="level"):
        model.risk(book(1), 0.5)
    for horizon in (0, 61, 1.5):
        with pytest.raises(InvalidInputError, match="horizon_days"):
            model.risk(book(1), 0.95, horizon)  # type: ignore[arg-type]  # wrong on purpose


def test_a_level_beyond_the_history_is_refused() -> None:
    with pytest.raises(HistoryTooShortError):
        Historical(market(1, days=99), "none").risk(book(1), 0.99)
    with pytest.raises(InvalidInputError, match="scaling"):
        Historical(market(1), "ewms")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(InvalidInputError, match="paths"):
        Historical(market(1), paths=0)
    for make in (Historical, Parametric):
        with pytest.raises(InvalidInputError, match="decay"):
            make(market(1), decay=1.0)
    with pytest.raises(InvalidInputError, match="tail"):
        Parametric(market(1), tail="fat")  # type: ignore[arg-type]  # wrong on purpose
