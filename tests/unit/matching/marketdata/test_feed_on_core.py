"""The feed on the production core: what readers believe is what the core holds."""

import pytest
from matching.domain import Core
from matching.marketdata.feed import L2, L3, Feed
from matching.marketdata.settings import MarketDataSettings
from readside import LevelReader, ModelMarket, OrderReader, drain
from reference.bridge import command_array, definition_array
from reference.twin import core_settings

DEPTH = 5
ORDER = ["order_id", "side", "price_ticks", "leaves_lots"]
LEVEL = ["price_ticks", "quantity_lots", "order_count"]


@pytest.mark.parametrize(("seed", "profile"), [(1, 1), (2, 2), (3, 3)])
async def test_readers_know_the_books_of_the_core(seed: int, profile: int) -> None:
    model = ModelMarket(seed, profile)
    core = Core(core_settings(model.flow.profile.settings))
    feed = Feed(lambda: core, model, MarketDataSettings())
    by_order, by_level = OrderReader(), LevelReader()
    orders, levels = feed.subscribe_stream(L3, None, 0), feed.subscribe_book(L2, None, DEPTH)
    for number, (frame, _) in enumerate(model.flow.frames(2000)):
        events = core.apply(command_array(frame.commands), frame.time_ns, definition_array(frame.definitions))
        feed.on_applied(number, core.first_sequence, core.now, events)
        feed.tell()
        by_order.hear(drain(orders))
        if number % 4 == 0:
            for message in drain(levels):
                by_level.hear(message)
    for message in drain(levels):
        by_level.hear(message)
    assert model.all()
    for instrument in model.all():
        number = instrument.instrument_id
        assert by_order.in_priority(number) == [
            tuple(int(row[name]) for name in ORDER) for row in core.orders(number)
        ]
        expected = tuple(
            [tuple(int(row[name]) for name in LEVEL) for row in side] for side in core.book(number, DEPTH)
        )
        assert by_level.sides(number) == expected
