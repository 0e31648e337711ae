import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex.matching.v1.types_pb2 import SIDE_BUY, SIDE_SELL, TIME_IN_FORCE_IOC
from smartex_agents import demo_instruments
from smartex_agents.rules import Rules
from smartex_agents.taking import Best, Trend, momentum_intent, noise_intent

RULES = [Rules.of(instrument) for instrument in demo_instruments()]
SEEDS = st.integers(0, 2**32 - 1)


def around(rules: Rules, tilt: float) -> Best:
    instrument = next(each for each in demo_instruments() if each.instrument_id == rules.instrument_id)
    middle = instrument.reference_price_ticks * tilt
    return Best(rules.at_most(middle * 0.999) or 0, rules.at_least(middle * 1.001) or 0)


@given(SEEDS, st.sampled_from(RULES), st.floats(0.9, 1.1), st.floats(1, 1e6))
def test_every_order_keeps_the_rules(seed: int, rules: Rules, tilt: float, lots: float) -> None:
    best = around(rules, tilt)
    trend = Trend(fast=1.01, slow=1.0)
    for intent in (
        noise_intent(np.random.default_rng(seed), rules, best, lots),
        momentum_intent(np.random.default_rng(seed), rules, best, trend, lots),
    ):
        if intent is not None:
            assert rules.is_valid(intent.price)
            assert intent.lots % rules.board_lot == 0
            assert 0 < intent.lots <= rules.max_order_lots


@given(SEEDS, st.sampled_from(RULES))
def test_a_seed_gives_the_same_orders_again(seed: int, rules: Rules) -> None:
    best = around(rules, 1.0)
    one, other = np.random.default_rng(seed), np.random.default_rng(seed)
    assert [noise_intent(one, rules, best, 1_000) for _ in range(20)] == [
        noise_intent(other, rules, best, 1_000) for _ in range(20)
    ]


def test_noise_comes_on_both_sides_and_both_takes_and_rests(rng: np.random.Generator) -> None:
    intents = [noise_intent(rng, RULES[0], Best(1_279, 1_281), 1_000) for _ in range(400)]
    found = [intent for intent in intents if intent is not None]
    assert len(found) == 400
    buys = sum(intent.side == SIDE_BUY for intent in found)
    takers = sum(intent.time_in_force == TIME_IN_FORCE_IOC for intent in found)
    assert 150 < buys < 250
    assert 150 < takers < 250


@pytest.mark.parametrize("best", [Best(), Best(bid=1_160), Best(ask=1_280), Best(1_160, 1_280)])
def test_nobody_trades_before_the_makers_quote(rng: np.random.Generator, best: Best) -> None:
    strong = Trend(fast=1.1, slow=1.0)
    assert all(noise_intent(rng, RULES[0], best, 1_000) is None for _ in range(50))
    assert momentum_intent(rng, RULES[0], best, strong, 1_000) is None


def test_momentum_follows_the_trend_and_rests_without_one(rng: np.random.Generator) -> None:
    best = Best(1_279, 1_281)
    up = momentum_intent(rng, RULES[0], best, Trend(fast=1_290, slow=1_280), 1_000)
    down = momentum_intent(rng, RULES[0], best, Trend(fast=1_270, slow=1_280), 1_000)
    assert up is not None
    assert (up.side, up.time_in_force) == (SIDE_BUY, TIME_IN_FORCE_IOC)
    assert down is not None
    assert down.side == SIDE_SELL
    assert momentum_intent(rng, RULES[0], best, Trend(fast=1_280, slow=1_280), 1_000) is None


def test_a_trend_shows_while_prices_move_and_fades_when_they_stay() -> None:
    trend = Trend()
    for price in range(1_000, 1_050):
        trend.see(Best(price - 1, price + 1), 1.0)
    rising = trend.strength
    for _ in range(600):
        trend.see(Best(1_048, 1_050), 1.0)
    assert rising > 0.005
    assert abs(trend.strength) < 1e-4
