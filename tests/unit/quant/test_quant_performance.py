import math

import pytest
from smartex_quant import HistoryTooShortError, InvalidInputError
from smartex_quant.performance import performance, trades, turnover


def test_ratios_by_hand() -> None:
    # Two periods a year, +10 % and -5 %: growth 1.045 in one year; mean 2.5 %, sample deviation 0.15 / sqrt 2.
    found = performance([0.10, -0.05], periods_per_year=2)
    deviation = 0.15 / math.sqrt(2)
    assert found.annual_return == pytest.approx(0.045)
    assert found.volatility == pytest.approx(deviation * math.sqrt(2))
    assert found.sharpe == pytest.approx(0.025 / deviation * math.sqrt(2))
    # Below zero: sqrt((0 + 0.0025) / 2)
    assert found.sortino == pytest.approx(0.025 / math.sqrt(0.00125) * math.sqrt(2))
    assert found.max_drawdown == pytest.approx(0.05)
    assert found.calmar == pytest.approx(0.045 / 0.05)
    assert performance([0.10, -0.05], 2, risk_free=0.025).sharpe == pytest.approx(0.0)


def test_a_ratio_over_nothing_says_nothing() -> None:
    found = performance([0.001] * 30)
    assert math.isnan(found.sharpe)
    assert math.isnan(found.sortino)
    assert math.isnan(found.calmar)
    assert found.max_drawdown == 0.0


def test_losing_everything_is_a_return_of_minus_one() -> None:
    found = performance([0.1, -1.0, 0.0])
    assert (found.annual_return, found.max_drawdown) == (-1.0, 1.0)
    with pytest.raises(InvalidInputError, match="returns"):
        performance([0.1, -1.1])
    with pytest.raises(HistoryTooShortError):
        performance([0.1])


def test_trades_by_hand() -> None:
    # Gains 30 and 10, losses 5 and 15, one at zero: 2 of 5 hit; mean gain 20 over mean loss 10; 40 over 20.
    found = trades([30, -5, 0, 10, -15])
    assert (found.count, found.hit_rate, found.mean_gain, found.mean_loss) == (5, 0.4, 20, 10)
    assert (found.payoff, found.profit_factor) == (2.0, 2.0)


def test_trades_without_a_loss_or_without_a_gain() -> None:
    assert trades([1, 2]).hit_rate == 1.0
    for profits in ([1, 2], [-1, -2], [0]):
        found = trades(profits)
        assert math.isnan(found.payoff)
        assert math.isnan(found.profit_factor)
    with pytest.raises(HistoryTooShortError):
        trades([])


def test_turnover_by_hand() -> None:
    assert turnover(300, 100, 50, years=2) == pytest.approx(2.0)  # (400 / 2) / 50 / 2
    with pytest.raises(InvalidInputError):
        turnover(-1, 0, 1)
    with pytest.raises(InvalidInputError, match="mean_equity"):
        turnover(1, 0, 0)
