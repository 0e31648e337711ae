from hypothesis import given, settings
from hypothesis import strategies as st
from smartex_agents.rules import Rules


def bands(pairs: list[tuple[int, int]], low: int, high: int, board: int = 1) -> Rules:
    return Rules(1, "X", tuple(pairs), low, high, board, 1_000_000)


RULES = st.builds(
    lambda steps, starts, low, width: bands(
        list(zip([0, *sorted(starts)][: len(steps)], steps, strict=False)), low, low + width
    ),
    st.lists(st.sampled_from([1, 2, 5, 7, 10, 100]), min_size=1, max_size=4),
    st.lists(st.integers(2, 900), min_size=3, max_size=3, unique=True),
    st.integers(1, 600),
    st.integers(0, 600),
)


@given(RULES, st.floats(-10, 1_500, allow_nan=False))
@settings(max_examples=400)
def test_nearest_valid_prices_are_those_of_a_search(rules: Rules, price: float) -> None:
    valid = [ticks for ticks in range(1, 1_300) if rules.is_valid(ticks)]
    assert rules.at_most(price) == max((ticks for ticks in valid if ticks <= price), default=None)
    assert rules.at_least(price) == min((ticks for ticks in valid if ticks >= price), default=None)


@given(st.floats(0, 1e9), st.sampled_from([1, 100, 300]))
def test_lots_are_whole_boards_within_the_largest_order(wanted: float, board: int) -> None:
    lots = bands([(0, 1)], 1, 10, board).lots(wanted)
    assert lots % board == 0
    assert board <= lots <= 1_000_000


def test_limits_of_a_share_are_rounded_like_the_markets(demo_rules: list[Rules]) -> None:
    bank, _, special, star, *_ = demo_rules
    assert (bank.lowest, bank.highest) == (1_152, 1_408)
    assert (special.lowest, special.highest) == (329, 363)
    assert (star.lowest, star.highest) == (6_920, 10_380)


def test_without_a_limit_any_price_up_to_the_largest_is_allowed(demo_rules: list[Rules]) -> None:
    assert (demo_rules[5].lowest, demo_rules[5].highest) == (1, 10_000_000)
