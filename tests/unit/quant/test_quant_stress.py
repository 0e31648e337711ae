import numpy as np
import pytest
from smartex_quant import InvalidInputError, stress

NAN = float("nan")


def test_three_price_limits_by_hand() -> None:
    # 10 %: 0.9^3 - 1 = -27.1 %; 20 %: 0.8^3 - 1 = -48.8 %; without a limit -30 %; the short one gains.
    found = stress.price_limits([1000, 1000, 1000, -1000], [0.10, 0.20, NAN, 0.10], days=3, otherwise=0.30)
    np.testing.assert_allclose(found.gains, [-271, -488, -300, 271])


def test_market_shock_flat_and_through_beta() -> None:
    np.testing.assert_allclose(stress.market([1000, -500]).gains, [-100, 50])
    found = stress.market([1000, 1000], -0.6, betas=[0.5, 2.0])
    np.testing.assert_allclose(found.gains, [-300, -1000])  # 2 * -60 % ends at -100 %


def test_wrong_input_is_refused() -> None:
    for limits in ([0.0], [1.0], [-0.1]):
        with pytest.raises(InvalidInputError, match="limits"):
            stress.price_limits([1], limits, otherwise=0.1)
    with pytest.raises(InvalidInputError, match="days"):
        stress.price_limits([1], [0.1], days=0, otherwise=0.1)
    with pytest.raises(InvalidInputError, match="otherwise"):
        stress.price_limits([1], [0.1], otherwise=-0.1)
    with pytest.raises(InvalidInputError, match="shocks"):
        stress.market([1], NAN)
