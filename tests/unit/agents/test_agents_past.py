"""The invented past of the demo market."""

from datetime import date
from decimal import Decimal

import numpy as np
from smartex_agents import demo_instruments, past_closes
from smartex_agents.past import weekdays_before

TODAY = date(2026, 11, 25)


def test_it_ends_at_the_reference_prices_and_keeps_tick_and_limits() -> None:
    instruments = demo_instruments()
    closes = past_closes(instruments, TODAY, 250, seed=23)
    assert len(closes) == 250 * len(instruments)
    for each in instruments:
        prices = [close.price for close in closes if close.instrument_id == each.instrument_id]
        tick = Decimal(each.tick_size)
        assert prices[-1] == each.reference_price_ticks * tick
        assert all(price > 0 and price % tick == 0 for price in prices)
        if each.price_limit_ppm:
            moves = np.diff(np.log(np.array(prices, dtype=float)))
            # Half a tick of rounding on each side of a day.
            slack = float(tick) / float(min(prices))
            assert np.abs(moves).max() <= np.log1p(each.price_limit_ppm / 1e6) + slack


def test_the_same_seed_gives_the_same_past_and_another_gives_another() -> None:
    instruments = demo_instruments()
    assert past_closes(instruments, TODAY, 30, 1) == past_closes(instruments, TODAY, 30, 1)
    assert past_closes(instruments, TODAY, 30, 1) != past_closes(instruments, TODAY, 30, 2)


def test_riskier_products_move_more() -> None:
    instruments = demo_instruments()
    closes = past_closes(instruments, TODAY, 1000, seed=5)

    def volatility(instrument_id: int) -> float:
        prices = [float(close.price) for close in closes if close.instrument_id == instrument_id]
        return float(np.diff(np.log(prices)).std())

    bank, semiconductors = volatility(1), volatility(4)
    assert 0.008 < bank < semiconductors < 0.06


def test_weekends_are_left_out() -> None:
    days = weekdays_before(date(2026, 11, 23), 6)  # a Monday
    assert days == [date(2026, 11, day) for day in (13, 16, 17, 18, 19, 20)]
