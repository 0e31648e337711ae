"""Orders of advice keep the rules of their instrument, whatever those are."""

from hypothesis import given
from hypothesis import strategies as st
from positions.domain.advice import BUY, SELL, Asset
from positions.domain.advice.orders import buy_orders, limit_price, sell_orders, step_at
from positions_accounts import PATIENT, asset, held


@st.composite
def assets(draw: st.DrawFn) -> Asset:
    reference = draw(st.integers(20, 100_000))
    limit = draw(st.sampled_from([50_000, 100_000, 200_000, 900_000]))
    bands = draw(
        st.sampled_from(
            [(), ((0, 1), (500, 5)), ((0, 1), (777, 10), (10_000, 100)), ((0, 3),), ((0, 2), (50, 7))]
        )
    )
    low = max(1, (reference * (1_000_000 - limit) + 500_000) // 1_000_000)
    high = (reference * (1_000_000 + limit) + 500_000) // 1_000_000
    return asset(
        price_ticks=draw(st.integers(low, high)),
        low_ticks=low,
        high_ticks=high,
        bands=bands,
        board_lot=draw(st.sampled_from([1, 7, 100])),
        sells_odd_rest=draw(st.booleans()),
        max_order_lots=draw(st.integers(1, 2_000)),
    )


def keeps_rules(of: Asset, price: int) -> bool:
    return of.low_ticks <= price <= of.high_ticks and price > 0 and price % step_at(of, price) == 0


def takes_lots(of: Asset, side: int, lots: int, available: int) -> bool:
    """Rule 7 of the market's RULES.md, §5."""
    if not 1 <= lots <= of.max_order_lots:
        return False
    odd_rest = of.sells_odd_rest and side == SELL and lots % of.board_lot == available % of.board_lot
    return lots % of.board_lot == 0 or odd_rest


@PATIENT
@given(assets(), st.sampled_from([BUY, SELL]))
def test_a_limit_is_on_a_step_and_within_the_day(of: Asset, side: int) -> None:
    price = limit_price(of, side)
    possible = any(keeps_rules(of, one) for one in range(of.low_ticks, of.high_ticks + 1))
    if price is None:
        mark = int(of.price_ticks)
        nearer = range(mark, of.high_ticks + 1) if side == SELL else range(of.low_ticks, mark)
        assert not possible or not any(keeps_rules(of, one) for one in nearer)
    else:
        assert keeps_rules(of, price)


@PATIENT
@given(assets(), st.integers(1, 5_000), st.integers(0, 5_000), st.integers(0, 6_000))
def test_sales_are_taken_one_after_the_other_and_never_oversell(
    of: Asset, lots: int, locked: int, wanted: int
) -> None:
    available = max(0, lots - locked)
    left = available
    for order in sell_orders(held(of, lots, available), wanted):
        assert keeps_rules(of, order.price_ticks)
        assert takes_lots(of, SELL, order.lots, left)
        left -= order.lots
        assert left >= 0


@PATIENT
@given(assets(), st.floats(0, 1e6))
def test_a_purchase_costs_no_more_than_the_money_fees_included(of: Asset, money: float) -> None:
    for order in buy_orders(of, money):
        assert takes_lots(of, BUY, order.lots, 0)
        paid = order.lots * order.price_ticks * of.unit_value * (1 + of.fee_ppm / 1e6)
        assert paid <= money * (1 + 1e-9)


def test_worked_prices() -> None:
    # 1 % below 10.00 is 9.90; 1 % above 10.10. Steps of 0.05 round them inwards: up for a sale, down for a purchase.
    assert limit_price(asset(), SELL) == 990
    assert limit_price(asset(), BUY) == 1010
    assert (
        limit_price(asset(price_ticks=1003, bands=((0, 5),)), SELL) == 995
    )  # floor(992.97) = 992, up to 995
    # At the lower limit of the day the limit itself is the lowest price there is.
    assert limit_price(asset(price_ticks=903), SELL) == 900
    # The reference price was halved for new shares, and the mark is of before: what sells best is the upper limit.
    assert limit_price(asset(price_ticks=2000), SELL) == 1100
    assert limit_price(asset(price_ticks=500), BUY) == 900


def test_worked_lots() -> None:
    # 1,234 sellable: 250 wanted become three boards; 1,230 wanted need all, and the odd 34 go with them.
    assert [order.lots for order in sell_orders(held(asset(), 1234), 250)] == [300]
    assert [order.lots for order in sell_orders(held(asset(), 1234), 1230)] == [1234]
    # Without the odd-lot rule the 34 stay.
    assert [order.lots for order in sell_orders(held(asset(sells_odd_rest=False), 1234), 1230)] == [1200]
    # Orders of at most 500: 34 + 400 in one, then 500, then 300.
    assert [order.lots for order in sell_orders(held(asset(max_order_lots=500), 1234), 1234)] == [
        434,
        500,
        300,
    ]
    # Bought today under T+1: nothing may be sold.
    assert sell_orders(held(asset(), 1000, available=0), 500) == ()
    assert sell_orders(held(asset(tradable=False), 1000), 500) == ()
