"""The risk report: worked scenarios, figures that add up, and what is said where the history is short."""

import numpy as np
import pytest
from positions.domain.risk import (
    Scenario,
    build_history,
    make_report,
)
from positions.domain.risk.history import average_volumes
from positions.domain.risk.scenarios import Exposed, answer, house_scenarios
from positions_risks import portfolio, random_history, risk_of

NAN = float("nan")


EXPOSED = Exposed(
    [1, 2, 3],
    ["Banks", "Steel", "Steel"],
    np.array([1000.0, 500.0, 200.0]),
    np.array([0.5, 1.0, 2.0]),
    np.array([0.1, 0.2, NAN]),
)


def test_scenarios_by_hand() -> None:
    # Market −10 % through betas 0.5, 1, 2: −50, −50, −40.
    assert answer(EXPOSED, Scenario(market=-0.1)).gains.tolist() == pytest.approx([-50, -50, -40])
    # Steel −20 %: −100 and −40; banks stand still.
    assert answer(EXPOSED, Scenario(industries={"Steel": -0.2})).gains.tolist() == pytest.approx(
        [0, -100, -40]
    )
    # Three limits down: 1 − 0.9³ = 27.1 %, 1 − 0.8³ = 48.8 %; without a limit the market's −27 %.
    three = answer(EXPOSED, Scenario(market=-0.27, limit_down_days=3))
    assert three.gains.tolist() == pytest.approx([-271, -244, -54])
    assert three.change == pytest.approx(-569)
    # An instrument's own shock wins over its industry's, which wins over the market's.
    mixed = Scenario(market=-0.1, industries={"Steel": -0.2}, instruments={3: 0.5})
    assert answer(EXPOSED, mixed).gains.tolist() == pytest.approx([-50, -100, 100])
    assert answer(EXPOSED, mixed).worst() == [1, 0]
    # No price falls below zero.
    assert answer(EXPOSED, Scenario(market=-1.0)).gains.tolist() == pytest.approx([-500, -500, -200])


def test_house_scenarios_name_the_largest_industries() -> None:
    assert [(one.key, one.industry) for one in house_scenarios(EXPOSED)] == [
        ("limit_down_3", ""),
        ("market_10", ""),
        ("industry_20", "Banks"),
        ("industry_20", "Steel"),
    ]


def test_components_add_up_and_longer_is_riskier() -> None:
    report = make_report(portfolio(50_000, 60_000, 20_000), risk_of(random_history(600)))
    risks = {(one.method, one.risk.horizon_days, one.risk.level): one.risk for one in report.tails}
    assert len(risks) == 8
    assert report.components.sum() == pytest.approx(risks["historical", 1, 0.95].var)
    for method in ("historical", "parametric"):
        for horizon in (1, 10):
            assert risks[method, horizon, 0.95].var < risks[method, horizon, 0.99].var
            assert risks[method, horizon, 0.95].var < risks[method, horizon, 0.95].es
        assert risks[method, 10, 0.95].var > 2 * risks[method, 1, 0.95].var
    assert [(one.method, one.test.level) for one in report.backtests] == [
        ("historical", 0.95),
        ("historical", 0.99),
        ("parametric", 0.95),
        ("parametric", 0.99),
    ]
    assert all(one.test.days == 250 for one in report.backtests)


def test_volatility_and_beta_of_the_market_itself() -> None:
    history = random_history(600)
    # Thirds of each instrument, as much as the equity: the market, so beta is one. Its volatility by NumPy:
    report = make_report(portfolio(50_000, 50_000, 50_000, equity=150_000), risk_of(history))
    assert report.beta[0] == pytest.approx(1.0)
    assert report.volatility == pytest.approx(np.std(history.market, ddof=1) * np.sqrt(244))


def test_liquidity_by_hand() -> None:
    # 5,000 units at 10 % of 50,000 a day: one day.
    report = make_report(portfolio(50_000), risk_of(random_history(100)))
    assert report.days_to_leave.tolist() == pytest.approx([1.0])
    # Half the spread of 0.2 % and volatility · √(5,000 / 50,000), of 50,000.
    deviation = risk_of(random_history(100)).history.returns[:, 0].std()
    assert report.cost_to_leave[0] == pytest.approx(50_000 * (0.001 + deviation * np.sqrt(0.1)))


def test_average_volume_leaves_unknown_days_out() -> None:
    assert average_volumes(np.array([[100.0, NAN], [300.0, NAN]])).tolist() == [200.0, 0.0]


@pytest.mark.parametrize(("days", "caveat", "tails"), [(30, "no_history", 0), (90, "short_history", 6)])
def test_short_history_is_said(days: int, caveat: str, tails: int) -> None:
    # Of 90 days 70 are scenarios: too few for the worst of a hundred, so 99 % historical is left out.
    report = make_report(portfolio(50_000, 10_000), risk_of(random_history(days)))
    assert [one.key for one in report.caveats] == [caveat]
    assert len(report.tails) == tails
    assert report.backtests == []


def test_what_stands_in_is_told() -> None:
    moves = np.random.default_rng(3).normal(0, 0.01, (300, 2))
    prices = np.asarray(np.cumprod(1 + moves, axis=0), np.float64)
    prices[:150, 1] = NAN  # listed half way
    history = build_history(prices, prices, (1, 2), ("Banks", "Banks"))
    report = make_report(portfolio(50_000, 50_000), risk_of(history))
    assert report.proxied_share == pytest.approx(150 / 299 / 2, abs=0.01)
    assert "proxied" in [one.key for one in report.caveats]


def test_drawdown_is_of_the_account_s_growth() -> None:
    risk = risk_of(random_history(100))
    report = make_report(portfolio(50_000, growth=(1.0, 1.2, 0.9, 1.08), drawdown=0.12), risk)
    assert (report.drawdown_now, report.drawdown_worst) == pytest.approx((0.12, 0.25))
    # Of today, before its end; and from the first day, that began with one unit.
    assert make_report(portfolio(50_000, growth=(1.2,), drawdown=0.3), risk).drawdown_worst == 0.3
    assert make_report(portfolio(50_000, growth=(0.8, 1.1)), risk).drawdown_worst == pytest.approx(0.2)


def test_an_empty_account() -> None:
    report = make_report(portfolio(equity=0.0), risk_of(random_history(100)))
    assert (report.tails, report.backtests, report.volatility, report.beta) == ([], [], 0.0, (0.0, 0.0, 0.0))
    assert report.proxied_share == 0.0


def test_no_market_history_at_all() -> None:
    nothing = build_history(np.zeros((0, 2)), np.zeros((0, 2)), (1, 2), ("Banks", ""))
    report = make_report(portfolio(50_000, 10_000), risk_of(nothing))
    assert [one.key for one in report.caveats] == ["no_history"]
    assert np.isinf(report.days_to_leave).all()


def test_the_flat_model_where_history_is_short() -> None:
    flat = risk_of(random_history(30))
    # 1.645 · 2 % of 100,000.
    assert not flat.known
    assert flat.value_at_risk({1: 60_000, 2: 40_000}) == pytest.approx(3290)
    assert flat.marginals({1: 60_000, 9: 1.0}) == pytest.approx({1: 0.0329, 9: 0.0329})


def test_marginals_predict_small_changes() -> None:
    model = risk_of(random_history(600))
    values = {1: 50_000.0, 2: 60_000.0, 3: 20_000.0}
    before = model.value_at_risk(values)
    slope = model.marginals(values)[3]
    assert model.value_at_risk(values | {3: 19_000.0}) == pytest.approx(before - 1000 * slope, rel=2e-3)
    assert model.worst_stress(values) < 0
    assert model.value_at_risk({}) == 0
