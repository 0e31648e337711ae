from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st
from smartex.matching.v1.types_pb2 import SIDE_BUY, SIDE_SELL
from smartex_agents import demo_instruments
from smartex_agents.quoting import Quote, Style, changes, ladder
from smartex_agents.rules import Rules

RULES = [Rules.of(instrument) for instrument in demo_instruments()]
SHARE_OF_REFERENCE = st.floats(0.5, 2.0)
INVENTORY = st.floats(-5, 5)
STYLES = st.builds(Style, st.integers(1, 8), st.floats(0.0001, 0.01), st.floats(0.0, 0.01))


def reference(rules: Rules) -> int:
    instrument = next(each for each in demo_instruments() if each.instrument_id == rules.instrument_id)
    return instrument.reference_price_ticks


def prices(quotes: Iterable[Quote], side: int) -> list[int]:
    return [quote.price for quote in quotes if quote.side == side]


@given(st.sampled_from(RULES), SHARE_OF_REFERENCE, st.floats(0.1, 1e7), INVENTORY, STYLES)
@settings(max_examples=500)
def test_a_ladder_never_crosses_itself_and_keeps_every_rule(
    rules: Rules, share: float, lots: float, inventory: float, style: Style
) -> None:
    quotes = ladder(rules, reference(rules) * share, lots, inventory, style)
    buys, sells = prices(quotes, SIDE_BUY), prices(quotes, SIDE_SELL)
    assert quotes
    assert max(buys, default=0) < min(sells, default=rules.highest + 1)
    assert buys == sorted(set(buys), reverse=True)
    assert sells == sorted(set(sells))
    for quote in quotes:
        assert rules.is_valid(quote.price)
        assert quote.lots % rules.board_lot == 0
        assert 0 < quote.lots <= rules.max_order_lots


@given(st.sampled_from(RULES), st.floats(0.97, 1.03), st.floats(-1, 1), st.floats(-1, 1))
def test_more_inventory_never_moves_a_quote_up(rules: Rules, share: float, one: float, other: float) -> None:
    less, more = sorted((one, other))
    value = reference(rules) * share
    before = ladder(rules, value, 1_000, less, Style())
    after = ladder(rules, value, 1_000, more, Style())
    for side in (SIDE_BUY, SIDE_SELL):
        assert prices(after, side)[:1] <= prices(before, side)[:1]


QUOTES = st.lists(
    st.builds(Quote, st.sampled_from([SIDE_BUY, SIDE_SELL]), st.integers(1, 12), st.integers(1, 100)),
    max_size=12,
)


@given(QUOTES, QUOTES)
def test_changes_lead_from_what_rests_to_what_is_wanted(resting: list[Quote], targets: list[Quote]) -> None:
    orders = dict(enumerate(resting))
    wanted = {(quote.side, quote.price): quote for quote in targets}
    cancels, places = changes(orders, wanted.values())
    kept = [order for key, order in orders.items() if key not in cancels]
    after = [(quote.side, quote.price) for quote in (*kept, *places)]
    assert sorted(after) == sorted(wanted)
    for order in kept:
        assert 2 * order.lots >= wanted[order.side, order.price].lots
    assert all(wanted[quote.side, quote.price] == quote for quote in places)


def test_what_rests_as_wanted_is_left_alone() -> None:
    quotes = ladder(RULES[0], 1_280.0, 3_000, 0.0, Style())
    assert changes(dict(enumerate(quotes)), quotes) == ([], [])
