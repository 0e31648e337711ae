"""Each detector on a case small enough to work by hand; the arithmetic stands beside it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from habit_worlds import ANY_SAMPLE, fill, habits, market, records, told
from positions.domain.habits import FLOW, AccountRecords, Harm, Market, measure
from positions.domain.habits.records import Floats

HOUR = 3600


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-9)


def three_sales(**extremes: Floats) -> AccountRecords:
    """A, B and C bought at 10; A sold at 11, B at 8, half of C at 13."""
    closes = [[10, 10, 10], [11, 9, 12], [12, 8, 9], [10, 7, 13]]
    buys = [fill(0, instrument, 100, 10) for instrument in (1, 2, 3)]
    sales = [fill(1, 1, -100, 11), fill(2, 2, -100, 8), fill(3, 3, -50, 13)]
    return records(market(closes, **extremes), *buys, *sales)


def test_disposition_counts_gains_and_losses_on_days_with_a_sale() -> None:
    # day 1: A realised gain;  on paper C 12 > 10 gain, B 9 < 10 loss
    # day 2: B realised loss;  on paper C 9 < 10 loss
    # day 3: C realised gain, though half is kept; nothing else is held
    # PGR = 2 / (2 + 1), PLR = 1 / (1 + 2)
    habit = habits(three_sales())["disposition"]
    assert told(habit.estimate).value == near(2 / 3 - 1 / 3)
    assert (habit.parts["pgr"].value, habit.parts["plr"].value) == (near(2 / 3), near(1 / 3))
    assert habit.sample == 3
    assert (habit.harm, habit.neutral, habit.evident) == (Harm.ABOVE, 0.0, False)


def test_disposition_leaves_out_one_day_at_a_time() -> None:
    # (RG, RG + PG, RL, RL + PL) by day: (1,2,0,1) (0,0,1,2) (1,1,0,0), in all (2,3,1,3)
    # without day 1: 1/1 - 1/2 = 1/2; without day 2: 2/3 - 0/1 = 2/3; without day 3: 1/2 - 1/3 = 1/6; mean 4/9
    # squares of the distances: (1/18)^2 + (2/9)^2 + (5/18)^2 = 42/324;  error^2 = 2/3 * 42/324 = 7/81
    # t with 2 degrees of freedom at 97.5 %: 4.302653
    estimate = told(habits(three_sales())["disposition"].estimate)
    reach = 4.302652729911275 * np.sqrt(7) / 9
    assert (estimate.low, estimate.high) == (near(1 / 3 - reach), near(1 / 3 + reach))


def test_a_range_that_straddles_the_cost_is_neither_gain_nor_loss() -> None:
    # On day 1 C traded between 9.5 and 12.5, so that its gain on paper does not count: PGR = 2 / 2.
    # B's high of 9.5 on day 1 and C's of 9.9 on day 2 lie below 10: PLR = 1 / 3 as before.
    highs = [[10, 10, 10], [11, 9.5, 12.5], [12, 8, 9.9], [10, 7, 13]]
    lows = [[10, 10, 10], [11, 9, 9.5], [12, 8, 9], [10, 7, 13]]
    habit = habits(three_sales(highs=np.array(highs), lows=np.array(lows)))["disposition"]
    assert told(habit.estimate).value == near(1 - 1 / 3)


def test_the_cost_is_the_average_purchase_price() -> None:
    # 100 at 10 and 300 at 14 cost 13 on average: sales at 12 and 12.5 are losses, though the first lot gained.
    # Days 4 and 5: a realised gain each, and a loss on paper at the close of 12.5. PGR = 2 / 2, PLR = 2 / 4
    trades = [fill(0, 1, 100, 10), fill(1, 1, 300, 14), fill(1, 2, 100, 10)]
    trades += [fill(2, 1, -100, 12), fill(3, 1, -100, 12.5), fill(4, 2, -50, 11), fill(5, 2, -50, 11)]
    closes = np.tile([12.5, 10.0], (6, 1))
    habit = habits(records(market(closes), *trades))["disposition"]
    assert told(habit.estimate).value == near(1 - 1 / 2)


def test_averaging_down_counts_losers_and_gainers_added_to() -> None:
    # cost of A and B: 10. On each day with a purchase, at the closes:
    # day 1 (A 9, B 11): A is added to at 9; B is a gain left alone.         A now costs 9.5
    # day 2 (A 9, B 11): C is bought; A is a loss left alone, B a gain left alone
    # day 3 (A 8, B 12): A is added to at 8; B a gain left alone; C at its cost is neither
    # PLA = 2 / 3, PGA = 0 / 3
    closes = [[10, 10, 10], [9, 11, 10], [9, 11, 10], [8, 12, 10]]
    buys = [(0, 1, 10), (0, 2, 10), (1, 1, 9), (2, 3, 10), (3, 1, 8)]
    trades = [fill(day, instrument, 100, price) for day, instrument, price in buys]
    habit = habits(records(market(closes), *trades))["averaging_down"]
    assert told(habit.estimate).value == near(2 / 3)
    assert habit.parts["pla"].value == near(2 / 3)
    assert habit.parts["pga"].value == 0.0
    assert habit.sample == 3


def bought_and_sold(**more: Any) -> AccountRecords:
    trades = [
        fill(0, 1, 100, 10),
        fill(1, 2, 100, 10, fee=5, mid=9.9),
        fill(2, 1, -100, 10, fee=5, mid=10.1),
    ]
    return records(market(np.full((4, 2), 10.0)), *trades, **more)


def test_turnover_and_its_cost_a_year() -> None:
    # worth at the day's start: 0, 1000, 2000, 1000; day 0 does not count. Traded on the others: 1000 and 1000.
    # turnover = (2000 / 2) / 4000 a day, 244 days a year = 61
    # fees 10 / 4000 * 244 = 0.61;  spread (0.1 * 100 + 0.1 * 100) / 4000 * 244 = 1.22
    habit = habits(bought_and_sold())["turnover"]
    assert told(habit.estimate).value == near(61)
    assert [habit.parts[name].value for name in ("fees", "spread", "cost")] == [
        near(0.61),
        near(1.22),
        near(1.83),
    ]
    assert habit.sample == 3


def test_turnover_of_an_account_whose_cash_is_known() -> None:
    # cash 5000 on day 0: worth at the day's start 5000, 5000, 5000 - 5, 5000 - 10 after fees; 3000 traded
    flows = np.array([(0, 5000.0)], FLOW)
    habit = habits(bought_and_sold(flows=flows))["turnover"]
    assert told(habit.estimate).value == near(244 * 1500 / (5000 + 5000 + 4995 + 4990))


def test_holding_time_counts_what_is_still_held() -> None:
    # Four lots of day 0; they end after 2, 4 and 6 trading days, one is held to the end.
    # Survival 3/4, 2/4, 1/4: it is a half after 4 days. Without the one that is held it would be 1/3 after 4.
    buys = [fill(0, instrument, 100, 10) for instrument in (1, 2, 3, 4)]
    sales = [fill(2 * instrument, instrument, -100, 10 + instrument) for instrument in (1, 2, 3)]
    few = replace(ANY_SAMPLE, confidence=0.5)  # so few lots bound no 95 % interval
    habit = habits(records(market(np.full((9, 4), 10.0)), *buys, *sales), few)["holding_time"]
    estimate = told(habit.estimate)
    assert estimate.value == near(4)
    assert estimate.low <= 4 <= estimate.high
    assert habit.sample == 3


def test_a_lot_ends_when_half_of_it_is_sold() -> None:
    # Of 100 units, 40 go on day 1 and 20 on day 3: half is sold on day 3. The other lot goes on day 5.
    trades = [fill(0, 1, 100, 10), fill(0, 2, 100, 10), fill(1, 1, -40, 10), fill(3, 1, -20, 10)]
    trades += [fill(5, 2, -100, 10), fill(0, 3, 10, 10), fill(2, 3, -10, 10)]
    some = replace(ANY_SAMPLE, confidence=0.5)
    habit = habits(records(market(np.full((9, 3), 10.0)), *trades), some)["holding_time"]
    assert told(habit.estimate).value == near(3)  # of 2, 3 and 5


def zigzag() -> Market:
    """Two instruments that rise and fall by turns, and then go their ways."""
    return market([[10, 10], [11, 9], [10, 10], [11, 9], [12, 8]], market_returns=[0, 0.1, -0.1, 0.1, 0])


def test_chasing_is_measured_against_the_markets_own_rises() -> None:
    # The day before rose: A on days 3 and 5, B on day 4; it fell: B on days 3 and 5, A on day 4.
    # Bought: A on day 3 (rose), B on day 4 (rose), B on day 5 (fell): 2/3. Market since day 3: 3 of 6.
    # That both had risen by day 2 was before the first purchase.
    place = market([[8, 8], [10, 10], [11, 9], [10, 10], [11, 9], [12, 8]])
    trades = [fill(3, 1, 10, 10), fill(4, 2, 10, 9), fill(5, 2, 10, 8)]
    habit = habits(records(place, *trades), replace(ANY_SAMPLE, lookback_days=1))["chasing"]
    assert told(habit.estimate).value == near(2 / 3 - 1 / 2)
    assert (habit.parts["share"].value, habit.parts["chance"].value) == (near(2 / 3), near(1 / 2))
    assert habit.sample == 3


def test_panic_is_measured_against_what_was_held() -> None:
    # Held when the day began: A and B on day 3, B on day 4. The day before fell: A on day 3, B on day 4: 2 of 3.
    # Both sales came after a fall. Of the market, day 1 to 2 fell and day 2 to 3 rose: 1 of 2 sales, 2 of 3 days.
    trades = [fill(2, 1, 10, 10), fill(2, 2, 10, 10), fill(3, 1, -10, 11), fill(4, 2, -10, 8)]
    habit = habits(records(zigzag(), *trades), replace(ANY_SAMPLE, lookback_days=1))["panic"]
    assert told(habit.estimate).value == near(1 - 2 / 3)
    assert habit.parts["market"].value == near(1 / 2 - 2 / 3)
    assert habit.sample == 2


def test_overtrading_compares_the_days_after_losses_with_others() -> None:
    # Losses on days 2 and 5, fresh on the day after: days 3 and 6 with 2 + 1 purchases. Others: days 1, 4, 7 with
    # 0 + 1 + 1 (days 2 and 5 count as neither, day 0 founds the account). (3 / 2) / (2 / 3) = 2.25
    buys = [(0, 1), (0, 2), (3, 3), (3, 4), (4, 5), (6, 6), (7, 7), (5, 8)]
    trades = [fill(day, instrument, 10, 10) for day, instrument in buys]
    trades += [fill(2, 1, -10, 9), fill(5, 2, -10, 9)]
    account = records(market(np.full((8, 8), 10.0)), *trades)
    habit = habits(account, replace(ANY_SAMPLE, after_loss_days=1))["overtrading"]
    assert told(habit.estimate).value == near(2.25)
    assert habit.sample == 5


def test_loss_cutting_counts_losers_cut_and_ridden() -> None:
    # A: lowest close 9.5, sold at 9.5: cut.      B: a close at 9.0, sold at 9.8: ridden.
    # C: a close at 9.1, still held: ridden.      D: sold at 11: not decided.
    # E: no close below 9.6, sold at 9.0: ridden. F: down 4 %, still held: not decided.
    closes: list[list[float]] = [[10] * 6, [9.5, 9.0, 9.1, 10, 9.6, 9.6], [9.5, 9.8, 10, 11, 9.6, 9.6]]
    trades = [fill(0, instrument, 10, 10) for instrument in range(1, 7)]
    sales = [(1, 9.5), (2, 9.8), (4, 11), (5, 9.0)]
    trades += [fill(2, instrument, -10, price) for instrument, price in sales]
    habit = habits(records(market(closes), *trades))["loss_cutting"]
    assert told(habit.estimate).value == near(1 / 4)
    assert (habit.sample, habit.harm) == (4, Harm.BELOW)


def test_time_of_day_is_the_exchanges() -> None:
    # Beijing is 8 hours ahead: 01:40 UTC is 09:40 and in the first half hour, 06:30 UTC is 14:30 and in the last,
    # 02:00 UTC is 10:00, when the first half hour is over.
    place = replace(market(np.full((4, 1), 10.0)), utc_offset_seconds=np.full(4, 8 * HOUR))
    seconds = [HOUR + 40 * 60, 6 * HOUR + 30 * 60, 2 * HOUR, 5 * HOUR]
    trades = [fill(day, 1, 10, 10, second=second) for day, second in enumerate(seconds)]
    habit = habits(records(place, *trades))["time_of_day"]
    assert told(habit.estimate).value == near(2 / 4)
    assert (habit.parts["first"].value, habit.parts["last"].value) == (near(1 / 4), near(1 / 4))
    # Half hours 19 (09:30), 29 (14:30), 20 (10:00) and 26 (13:00): no two alike.
    assert habit.parts["concentration"].value == 0.0


def test_aggressiveness_counts_orders_not_fills() -> None:
    # Order 7 took 60 of its 100 units: a taking trade. Order 8 gave all of its units, in two fills.
    trades = [fill(0, 1, 60, 10, order_id=7, taker=True), fill(0, 1, 40, 10, order_id=7)]
    trades += [fill(1, 1, 10, 10, order_id=8), fill(1, 1, 10, 10, order_id=8)]
    trades += [fill(2, 1, 10, 10, taker=True, market=True)]
    habit = habits(records(market(np.full((3, 1), 10.0)), *trades))["aggressiveness"]
    assert told(habit.estimate).value == near(2 / 3)
    assert habit.parts["market"].value == near(1 / 3)
    assert habit.sample == 3


def winners_and_losers() -> AccountRecords:
    """Four sales: +20 %, +10 %, -5 %, and one whose fees eat its gain."""
    buys = [fill(0, instrument, 100, 10) for instrument in (1, 2, 3)]
    buys += [fill(0, 4, 100, 10, fee=30), fill(0, 5, 100, 10)]
    prices = [(1, 12), (2, 11), (3, 9.5), (4, 10.5), (5, 9)]
    sales = [fill(2, i, -100, price, fee=30 if i == 4 else 0) for i, price in prices]
    return records(market(np.full((3, 5), 10.0)), *buys, *sales)


def test_hit_rate_is_after_fees() -> None:
    # Instrument 4 gained 50 and paid 60 of fees: 2 of 5 earned.
    habit = habits(winners_and_losers())["hit_rate"]
    estimate = told(habit.estimate)
    assert estimate.value == near(2 / 5)
    assert 0 < estimate.low < 2 / 5 < estimate.high < 1


def test_payoff_is_the_average_gain_over_the_average_loss() -> None:
    # Gains 20 % and 10 %: 15 %. Losses 5 %, 1 % and 10 %: 16/3 %.
    habit = habits(winners_and_losers())["payoff"]
    assert told(habit.estimate).value == near(15 / (16 / 3))


def test_familiarity_is_the_chance_that_two_purchases_are_of_one_industry() -> None:
    # Equal purchases on days 0, 1 and 2 in industries 0, 0 and 1: of three pairs one is alike.
    place = market(np.full((3, 3), 10.0), industries=[0, 1, -1], industry_returns=np.zeros((3, 2)))
    trades = [fill(0, 1, 10, 10), fill(1, 1, 10, 10), fill(2, 2, 10, 10), fill(2, 3, 10, 10)]
    habit = habits(records(place, *trades, home_industry=1))["familiarity"]
    assert told(habit.estimate).value == near(1 / 3)
    assert habit.parts["home"].value == near(1 / 3)
    assert habit.sample == 3  # instrument 3 has no industry


def test_an_unnamed_home_is_found_in_the_first_half_and_measured_in_the_second() -> None:
    # First half: industries 1, 1; second half: 1, 0, 0. Home is 1, a third of the second half.
    place = market(np.full((5, 2), 10.0), industries=[0, 1], industry_returns=np.zeros((5, 2)))
    trades = [fill(day, instrument, 10, 10) for day, instrument in enumerate((2, 2, 2, 1, 1))]
    assert habits(records(place, *trades))["familiarity"].parts["home"].value == near(1 / 3)


def test_too_little_to_tell() -> None:
    for habit in measure(three_sales()):
        assert habit.estimate is None
        assert habit.parts == {}
        assert habit.sample < habit.minimum
        assert not habit.evident


def test_no_fills_no_habits() -> None:
    assert measure(records(market([[10.0]]))) == ()
