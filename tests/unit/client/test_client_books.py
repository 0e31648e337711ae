"""A local book follows a book of orders, whatever happens to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex.matching.v1 import market_data_pb2 as md
from smartex.matching.v1 import types_pb2 as types
from smartex_client import BookGap, LocalBook

INSTRUMENT = types.Instrument(instrument_id=7, symbol="ACME", tick_size="0.01", lot_size="1")

changes = st.lists(
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 5), st.integers(98, 103)), min_size=1, max_size=6),
    max_size=12,
)


@given(
    before=st.dictionaries(st.integers(1, 12), st.tuples(st.integers(1, 5), st.integers(98, 103))),
    after=changes,
)
def test_orders_keep_or_lose_their_place(
    before: dict[int, tuple[int, int]], after: list[list[tuple[int, int, int]]]
) -> None:
    def order(number: int, lots: int, price: int) -> md.RestingOrder:
        side = types.SIDE_BUY if number % 2 else types.SIDE_SELL
        return md.RestingOrder(order_id=number, side=side, price_ticks=price, quantity_lots=lots)

    # The plain model: a list of (number, lots, price) in the order of priority.
    plain = [(number, lots, price) for number, (lots, price) in before.items()]
    local = LocalBook(INSTRUMENT)
    local.apply(md.BookSnapshot(instrument_id=7, sequence=1, orders=[order(*each) for each in plain]))
    for step, frame in enumerate(after, 2):
        for number, lots, price in frame:
            at = next((place for place, each in enumerate(plain) if each[0] == number), None)
            if at is not None and lots and plain[at][2] == price:
                plain[at] = (number, lots, price)
                continue
            if at is not None:
                del plain[at]
            if lots:
                plain.append((number, lots, price))
        update = md.OrderUpdate(
            instrument_id=7,
            sequence=step,
            previous_sequence=step - 1,
            orders=[order(*each) for each in frame],
        )
        local.apply(update)
    found = [(each.order_id, each.quantity_lots, each.price_ticks) for each in local.orders.values()]
    assert found == plain
    for side, levels in ((1, local.bids), (0, local.asks)):
        mine = [each for each in plain if each[0] % 2 == side]
        assert levels == {
            price: (
                sum(lots for _, lots, at in mine if at == price),
                sum(1 for _, _, at in mine if at == price),
            )
            for price in {each[2] for each in mine}
        }


def test_levels_are_shown_best_first_in_people_s_units() -> None:
    def level(price: int, lots: int) -> md.Level:
        return md.Level(price_ticks=price, quantity_lots=lots, order_count=1)

    local = LocalBook(INSTRUMENT)
    local.apply(
        md.BookSnapshot(
            instrument_id=7,
            sequence=4,
            bids=[level(99, 1), level(98, 2)],
            asks=[level(101, 3), level(102, 4)],
            last_price_ticks=98,
        )
    )
    local.apply(
        md.LevelUpdate(
            instrument_id=7,
            sequence=6,
            previous_sequence=4,
            bids=[level(99, 0), level(100, 7)],
            asks=[level(102, 5)],
            last_price_ticks=99,
        )
    )
    book = local.book()
    assert str(book.last_price) == "0.99"
    assert [(str(each.price), int(each.quantity)) for each in book.bids] == [("1.00", 7), ("0.98", 2)]
    assert [(str(each.price), int(each.quantity)) for each in book.asks] == [("1.01", 3), ("1.02", 5)]
    assert (book.sequence, len(local.book(1).bids)) == (6, 1)


def test_what_does_not_continue_is_a_gap() -> None:
    local = LocalBook(INSTRUMENT)
    update = md.LevelUpdate(instrument_id=7, sequence=6, previous_sequence=0)
    with pytest.raises(BookGap):
        local.apply(update)
    local.apply(md.BookSnapshot(instrument_id=7, sequence=5))
    with pytest.raises(BookGap, match="ACME: at 5"):
        local.apply(md.LevelUpdate(instrument_id=7, sequence=9, previous_sequence=8))


def test_changes_of_orders_do_not_tell_the_last_price() -> None:
    local = LocalBook(INSTRUMENT)
    local.apply(md.BookSnapshot(instrument_id=7, sequence=1, last_price_ticks=98))
    assert local.book().last_price is not None
    local.apply(md.OrderUpdate(instrument_id=7, sequence=2, previous_sequence=1))
    assert local.book().last_price is None
