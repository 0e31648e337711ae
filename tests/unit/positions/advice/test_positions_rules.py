"""Rules of advice: worked cases, and what holds for any account."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from positions.domain.advice import (
    Account,
    compare,
    cut_loss,
    diversify,
    figures,
    reduce_concentration,
    reduce_industry,
    reduce_risk,
    sell_unsuitable,
)
from positions.domain.alerts import Severity
from positions_accounts import PATIENT, LinearRisk, account, asset, held

RISK = LinearRisk()


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    count = draw(st.integers(1, 6))
    holdings = []
    for number in range(1, count + 1):
        lots = draw(st.integers(1, 50_000))
        of = asset(
            number,
            price_ticks=draw(st.integers(900, 1100)),
            industry=draw(st.sampled_from(["Banks", "Steel", "Machinery"])),
            risk_level=draw(st.integers(0, 5)),
        )
        available = draw(st.integers(0, lots))
        offered = draw(st.integers(0, lots - available))
        cost = draw(st.floats(0.5, 2.0)) * of.value(lots)
        holdings.append(held(of, lots, available, cost, offered))
    return account(*holdings, cash=draw(st.floats(0, 1e6)))


def test_concentration_is_sold_down_to_where_its_alert_clears() -> None:
    # 10,000 shares at 10.00 are 100,000 of 160,000 in all: 62.5 %. The target is 0.4 · 0.9 · 0.99 = 35.64 %.
    # To sell: x ≥ (100,000 − 0.3564 · 160,000) / (1 − 0.00075 · 0.3564) = 42,976 / 0.9997327 = 42,987.49: 4,299
    # shares, in whole hundreds 4,300. After: 57,000 / (160,000 − 43,000 · 0.00075 = 159,967.75) = 35.632 %.
    start = account(held(asset(), 10_000), cash=60_000)
    draft = reduce_concentration(start, 1, 0.4, Severity.WARNING, RISK)
    assert draft is not None
    assert [(order.lots, order.price_ticks) for order in draft.orders] == [(4300, 990)]
    told = {figure.key: (figure.before, figure.after) for figure in draft.what_if}
    assert told["largest_weight"] == pytest.approx((0.625, 57_000 / 159_967.75))
    assert told["value_at_risk"] == pytest.approx((3000, 1710))
    assert told["worst_stress"] == pytest.approx((-27_100, -15_447))
    assert draft.caveats == ("past",)


def test_what_was_bought_today_is_left_and_said_so() -> None:
    start = account(held(asset(), 10_000, available=1_000), cash=60_000)
    draft = reduce_concentration(start, 1, 0.4, Severity.WARNING, RISK)
    assert draft is not None
    assert [order.lots for order in draft.orders] == [1000]
    assert "partly_sellable" in draft.caveats


def test_nothing_sellable_is_no_advice() -> None:
    start = account(held(asset(), 10_000, available=0), cash=60_000)
    assert reduce_concentration(start, 1, 0.4, Severity.WARNING, RISK) is None
    assert reduce_concentration(start, 99, 0.4, Severity.WARNING, RISK) is None


def test_what_is_offered_already_is_not_offered_again() -> None:
    # 4,300 are to be sold (see above). 4,000 of them are offered: once those are sold, 60,000 of 159,970 in all are
    # left, x ≥ (60,000 − 0.3564 · 159,970) / 0.9997327 = 2,987.5: 299 shares, in hundreds 300.
    start = account(held(asset(), 10_000, 6_000, offered=4_000), cash=60_000)
    draft = reduce_concentration(start, 1, 0.4, Severity.WARNING, RISK)
    assert draft is not None
    assert [order.lots for order in draft.orders] == [300]
    assert draft.caveats == ("past", "offered")
    # The figures are those of now and of the proposal alone: nobody knows when the open order trades.
    assert draft.facts["weight"] == pytest.approx(0.625)
    assert draft.facts["after"] == pytest.approx(97_000 / (160_000 - 3_000 * 0.00075))
    enough = account(held(asset(), 10_000, 5_000, offered=5_000), cash=60_000)
    assert reduce_concentration(enough, 1, 0.4, Severity.WARNING, RISK) is None
    whole = account(held(asset(), 10_000, 0, offered=10_000), cash=60_000)
    assert reduce_concentration(whole, 1, 0.4, Severity.WARNING, RISK) is None
    assert reduce_industry(enough, "Banks", 0.4, Severity.WARNING, RISK) is None
    assert reduce_risk(enough, "value_at_risk", 0.02, 0.015, Severity.WARNING, RISK) is None
    assert cut_loss(whole, 1, 0.1, Severity.WARNING, RISK) is None
    assert list(sell_unsuitable(whole, 1, RISK)) == []


@given(accounts(), st.floats(0.05, 0.9))
@settings(PATIENT, max_examples=100)
def test_open_sells_never_make_a_proposal_larger(of: Account, limit: float) -> None:
    number = of.by_value()[0].asset.instrument_id

    def proposed(one: Account) -> list[int]:
        drafts = (
            reduce_concentration(one, number, limit, Severity.WARNING, RISK),
            reduce_industry(one, "Banks", limit, Severity.WARNING, RISK),
            cut_loss(one, number, limit, Severity.WARNING, RISK),
        )
        return [sum(order.lots for order in draft.orders) if draft else 0 for draft in drafts]

    silent = replace(of, holdings={n: replace(one, offered_lots=0) for n, one in of.holdings.items()})
    assert all(beside <= alone for beside, alone in zip(proposed(of), proposed(silent), strict=True))


def test_an_industry_is_sold_largest_first() -> None:
    # Banks: 60,000 + 30,000 of 120,000. The target is 0.5 · 0.9 · 0.99 = 44.55 % = 53,460: 36,540 over, all from the
    # larger one: 36,540 / (1 − 0.00075 · 0.4455) = 36,552.2, in hundreds of ten yuan 3,700 shares.
    start = account(held(asset(1), 6_000), held(asset(2), 3_000), held(asset(3, industry="Steel"), 3_000))
    draft = reduce_industry(start, "Banks", 0.5, Severity.WARNING, RISK)
    assert draft is not None
    assert [(order.asset.instrument_id, order.lots) for order in draft.orders] == [(1, 3700)]
    assert float(str(draft.facts["after"])) < 0.45


def test_a_due_stop_sells_all() -> None:
    # Cost 12,000, worth 10,000: a loss of 16.7 %.
    start = account(held(asset(), 1_000, cost=12_000))
    draft = cut_loss(start, 1, 0.1, Severity.WARNING, RISK)
    assert draft is not None
    assert [order.lots for order in draft.orders] == [1000]
    assert draft.facts["loss"] == pytest.approx(1 / 6)
    assert draft.facts["money"] == pytest.approx(2_000)


def test_risk_is_taken_from_the_riskiest_first() -> None:
    # Value at risk 0.05 · 50,000 + 0.01 · 50,000 = 3,000 of 100,000. Limit 2 %: the target is 1,782.
    # The riskier one alone brings it there: (3,000 − 1,782) / 0.05 = 24,360 of money.
    risk = LinearRisk({1: 0.05, 2: 0.01})
    start = account(held(asset(1), 5_000), held(asset(2), 5_000))
    draft = reduce_risk(start, "value_at_risk", 0.03, 0.02, Severity.WARNING, risk)
    assert draft is not None
    assert {order.asset.instrument_id for order in draft.orders} == {1}
    after = start.after(draft.orders)
    assert risk.value_at_risk({n: one.value for n, one in after.holdings.items()}) <= 1_782
    # A step is a twentieth, 250 shares: no more than one step over the least, and that in whole hundreds.
    assert 24_360 <= draft.facts["sold"] < 24_360 + 2_500 + 1_000  # type: ignore[operator]


def test_leverage_is_brought_below_its_limit() -> None:
    start = account(held(asset(1), 20_000), cash=-100_000.0)  # 200,000 held on 100,000 of equity
    draft = reduce_risk(start, "leverage", 2.0, 1.5, Severity.WARNING, RISK)
    assert draft is not None
    assert start.after(draft.orders).gross <= 1.5 * 0.9 * 100_000


def test_spreading_buys_what_suits_within_cash() -> None:
    # One holding (HHI 1), 100,000 free. C3: R3 at most. A buy takes 10 % of 200,000 at most, all of them half the cash.
    listed = [
        asset(2, industry="Steel", risk_level=5),
        asset(3, industry="Machinery", risk_level=3),
        asset(4, industry="Beverages", risk_level=2),
        asset(5, industry="Banks", risk_level=1),  # the industry that is held already
        asset(6, industry="Energy", risk_level=0),  # not rated
    ]
    start = account(held(asset(1), 10_000), cash=100_000)
    draft = diversify(start, 3, listed, {"Beverages"}, RISK)
    assert draft is not None
    assert [order.asset.instrument_id for order in draft.orders] == [4, 3]  # the known industry first
    # At 10.10 with fee: 20,000 / 10.1025… = 1,979 shares, in boards 1,900.
    assert [order.lots for order in draft.orders] == [1900, 1900]


def test_what_was_sold_since_counts_when_advice_after_a_loss_is_sized_anew() -> None:
    # 3,000 at risk of 100,000, to be halved. Half of it was sold since: nothing is left to do, not half of the rest.
    start = account(held(asset(), 10_000))
    first = reduce_risk(start, "drawdown", 0.25, 0.2, Severity.WARNING, RISK)
    assert first is not None
    told = first.facts["at_risk"]
    assert isinstance(told, float)
    assert sum(order.lots for order in first.orders) == 5000
    left = account(held(asset(), 5_000), cash=50_000)
    assert reduce_risk(left, "drawdown", 0.25, 0.2, Severity.WARNING, RISK, told) is None
    assert reduce_risk(left, "drawdown", 0.25, 0.2, Severity.WARNING, RISK) is not None


def test_spreading_leaves_out_what_is_on_its_way() -> None:
    listed = [asset(3, industry="Machinery", risk_level=1), asset(4, industry="Beverages", risk_level=1)]
    start = account(held(asset(1), 10_000), cash=100_000)
    draft = diversify(replace(start, bids={3}), 3, listed, (), RISK)
    assert draft is not None
    assert [order.asset.instrument_id for order in draft.orders] == [4]


def test_spreading_needs_an_answered_questionnaire_and_cash() -> None:
    listed = [asset(3, industry="Machinery", risk_level=1)]
    assert diversify(account(held(asset(1), 10_000), cash=100_000), 0, listed, (), RISK) is None
    assert diversify(account(held(asset(1), 10_000), cash=5_000), 5, listed, (), RISK) is None
    assert diversify(account(cash=5_000), 5, listed, (), RISK) is None


@given(accounts(), st.integers(0, 5))
@settings(PATIENT, max_examples=200)
def test_never_contrary_to_suitability(of: Account, stated: int) -> None:
    """Nothing above the class is ever bought, and only what lies above it is called unsuitable."""
    listed = [asset(n, industry=f"I{n}", risk_level=n % 6) for n in range(10, 22)]
    draft = diversify(of, stated, listed, {"I11", "I17"}, RISK)
    bought = draft.orders if draft is not None else ()
    assert all(1 <= order.asset.risk_level <= stated for order in bought)
    for one in sell_unsuitable(of, stated, RISK):
        assert all(order.asset.risk_level > stated > 0 for order in one.orders)


@given(accounts(), st.floats(0.05, 0.9))
@settings(PATIENT, max_examples=200)
def test_what_if_is_what_filling_brings_and_nothing_is_oversold(of: Account, limit: float) -> None:
    drafts = [
        reduce_concentration(of, of.by_value()[0].asset.instrument_id, limit, Severity.WARNING, RISK),
        reduce_industry(of, "Banks", limit, Severity.WARNING, RISK),
        cut_loss(of, 1, limit, Severity.WARNING, RISK),
        reduce_risk(of, "value_at_risk", 0.05, limit / 20, Severity.WARNING, RISK),
        *sell_unsuitable(of, 1, RISK),
    ]
    for draft in drafts:
        if draft is None:
            continue
        filled = of
        for order in draft.orders:  # one by one, as the market would
            assert order.lots <= filled.holdings[order.asset.instrument_id].available_lots
            filled = filled.after([order])
        recomputed = figures(filled, RISK)
        for figure in draft.what_if:
            assert figure.after == pytest.approx(recomputed[figure.key][1], rel=1e-9, abs=1e-9)
            assert figure.before == pytest.approx(figures(of, RISK)[figure.key][1])


@PATIENT
@given(accounts())
def test_sales_pay_their_costs(of: Account) -> None:
    """Selling turns value into cash, less fee and duty; equity changes by the costs alone."""
    draft = cut_loss(of, 1, 0.1, Severity.WARNING, RISK)
    if draft is None:
        return
    after = of.after(draft.orders)
    costs = sum(order.asset.cost(order.side, order.lots) for order in draft.orders)
    assert after.equity == pytest.approx(of.equity - costs)
    assert compare(of, of, RISK) == tuple(
        type(one)(one.key, one.unit, one.before, one.before) for one in compare(of, after, RISK)
    )
