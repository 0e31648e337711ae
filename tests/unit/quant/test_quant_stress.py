import numpy as np
import pytest
from smartex_quant import InvalidInputError, stress
from smartex_quant.stress import Scenario

NAN = float("nan")


def test_three_price_limits_by_hand() -> None:
    # 10 %: 0.9^3 - 1 = -27.1 %; 20 %: 0.8^3 - 1 = -48.8 %; without a limit -30 %; the short one gains.
    found = stress.price_limits([1000, 1000, 1000, -1000], [0.10, 0.20, NAN, 0.10], days=3, otherwise=0.30)
    np.testing.assert_allclose(found.gains, [-271, -488, -300, 271])
    assert found.total == pytest.approx(-788)


def test_limits_against_the_holder_rise_for_the_short() -> None:
    # 1.1^3 - 1 = 33.1 %
    found = stress.price_limits([1000, -1000, -1000], [0.10, 0.10, NAN], otherwise=0.5, direction="against")
    np.testing.assert_allclose(found.gains, [-271, -331, -500])
    rising = stress.price_limits([1000, -1000], [0.10, 0.10], days=1, otherwise=0.5, direction="up")
    np.testing.assert_allclose(rising.gains, [100, -100])


def test_market_shock_flat_and_through_beta() -> None:
    np.testing.assert_allclose(stress.market([1000, -500]).gains, [-100, 50])
    found = stress.market([1000, 1000], -0.6, betas=[0.5, 2.0])
    np.testing.assert_allclose(found.gains, [-300, -1000])  # 2 * -60 % ends at -100 %


def test_industry_shock() -> None:
    found = stress.industry([100, 200, 300], ["bank", "steel", "bank"], {"bank": -0.2, "unknown": -1.0})
    np.testing.assert_allclose(found.gains, [-20, 0, -60])
    assert found.total == pytest.approx(-80)


def test_the_most_specific_shock_of_a_scenario_holds() -> None:
    found = stress.scenario(
        [100, 100, 100],
        ["A", "B", "C"],
        ["bank", "bank", "steel"],
        Scenario(instruments={"A": 0.5}, industries={"bank": -0.2}, market=-0.1),
        betas=[1, 1, 2],
    )
    np.testing.assert_allclose(found.shocks, [0.5, -0.2, -0.2])
    assert stress.scenario([100], ["A"], ["bank"], Scenario()).total == 0.0


def test_wrong_input_is_refused() -> None:
    for limits in ([0.0], [1.0], [-0.1]):
        with pytest.raises(InvalidInputError, match="limits"):
            stress.price_limits([1], limits, otherwise=0.1)
    with pytest.raises(InvalidInputError, match="days"):
        stress.price_limits([1], [0.1], days=0, otherwise=0.1)
    with pytest.raises(InvalidInputError, match="otherwise"):
        stress.price_limits([1], [0.1], otherwise=-0.1)
    with pytest.raises(InvalidInputError, match="direction"):
        stress.price_limits([1], [0.1], otherwise=0.1, direction="sideways")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(InvalidInputError, match="industries"):
        stress.industry([1, 2], ["bank"], {})
    with pytest.raises(InvalidInputError, match="shocks"):
        stress.market([1], NAN)
