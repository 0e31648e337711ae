"""What each event does, worked out by hand; money in micros."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from positions.domain.book import Book, Listing, Rules, changes, words
from positions.domain.book.valuing import Freshness
from positions.domain.figures import MarkSource, PortfolioView
from positions_books import event
from smartex.matching.v1 import log_pb2, types_pb2

YUAN = 1_000_000
FRESH = Freshness(1_000, 0, 2**62)
ALICE, BOB = 7, 8
TAKEN = {number for name, number in vars(words).items() if name.isupper()}


def new_book(*, t1: bool = False, fee_ppm: int = 300) -> Book:
    """Instrument 1: ticks of a cent, lots of one share, reference 10.00; instrument 2 in dollars of 7 yuan."""
    book = Book(Listing(["CNY", "USD"], {"USD": 7.0}, "CNY"))
    book.learn(
        [
            Rules(1, "ONE", "CNY", 10_000, t1, fee_ppm, "Banks", 1000),
            Rules(2, "TWO", "USD", 10_000, False, fee_ppm, "Chips", 500),
        ]
    )
    return book


def fold(book: Book, *events: Any) -> None:
    book.fold(np.concatenate(events), book.sequence + 1, 1_000)


def cash_in(account: int, yuan: int, currency: int = 0) -> Any:
    return event(words.CASH_DEPOSITED, account_id=account, required=yuan * YUAN, currency_id=currency)


def reference_set(ticks: int) -> Any:
    return event(words.REFERENCE_PRICE_SET, instrument_id=1, price_ticks=ticks)


def shares_in(account: int, lots: int, number: int = 1) -> Any:
    return event(words.SHARES_DEPOSITED, account_id=account, instrument_id=number, quantity_lots=lots)


def trade(buyer: int, seller: int, price: int, lots: int, **fields: Any) -> Any:
    sides = {"account_id": buyer, "counter_account_id": seller, "side": words.BUY}
    return event(words.TRADE, instrument_id=1, price_ticks=price, quantity_lots=lots, **(sides | fields))


def accepted(account: int, order: int, side: int, price: int, leaves: int, **fields: Any) -> Any:
    named = {"account_id": account, "order_id": order, "side": side, "instrument_id": 1}
    return event(
        words.ACCEPTED, price_ticks=price, quantity_lots=leaves, leaves_lots=leaves, **(named | fields)
    )


def seen(book: Book, account: int, freshness: Freshness = FRESH) -> PortfolioView:
    view = book.view(account, freshness)
    assert view is not None
    return view


def holding(book: Book, account: int, number: int = 1) -> Any:
    return next(one for one in seen(book, account).positions if one.instrument_id == number)


def test_the_numbers_are_those_of_the_contract() -> None:
    for name, number in vars(words).items():
        if name.isupper() and name not in ("BUY", "SELL", "LIMIT", "LAST_KIND", "KEPT_PRIORITY"):
            assert log_pb2.EventKind.Value(f"EVENT_KIND_{name}") == number
    assert (types_pb2.SIDE_BUY, types_pb2.SIDE_SELL) == (words.BUY, words.SELL)
    assert types_pb2.ORDER_TYPE_LIMIT == words.LIMIT
    assert log_pb2.EVENT_FLAG_KEPT_PRIORITY == words.KEPT_PRIORITY


def test_lots_leave_first_in_first_out_and_cost_stays_whole_to_the_micro() -> None:
    book = new_book()
    fold(book, cash_in(ALICE, 10_000), shares_in(BOB, 1000))
    # 3 at 10.00 + fee 1 micro = 30,000,001; 2 at 11.00 = 22,000,000
    fold(book, trade(ALICE, BOB, 1000, 3, fee_micros=1), trade(ALICE, BOB, 1100, 2))
    mine = holding(book, ALICE)
    assert (mine.quantity_lots, mine.fifo_cost_micros, mine.average_cost_micros) == (
        5,
        52_000_001,
        52_000_001,
    )
    # One of the first lot: ⌊30,000,001 / 3⌋ = 10,000,000; two are left at 20,000,001. Average: ⌊52,000,001 / 5⌋.
    fold(book, trade(BOB, ALICE, 1200, 1, counter_fee_micros=7, tax_micros=5))
    mine = holding(book, ALICE)
    assert mine.fifo_cost_micros == 42_000_001
    assert mine.average_cost_micros == 52_000_001 - 10_400_000
    assert mine.realised_micros == 12_000_000 - 7 - 5 - 10_000_000
    assert mine.fees_micros == 1 + 7 + 5
    # The other two of it take the micro that did not divide, then one of the second: 20,000,001 + 11,000,000.
    fold(book, trade(BOB, ALICE, 1000, 3))
    mine = holding(book, ALICE)
    assert mine.fifo_cost_micros == 11_000_000
    assert [(lot.quantity_lots, lot.cost_micros) for lot in mine.lots] == [(1, 11_000_000)]
    assert mine.realised_micros == 1_999_988 + 30_000_000 - 31_000_001


def test_a_trade_with_oneself_sells_before_it_buys() -> None:
    book = new_book()
    fold(book, cash_in(ALICE, 1000), shares_in(ALICE, 10))
    fold(book, trade(ALICE, ALICE, 1500, 4, fee_micros=10, counter_fee_micros=20, tax_micros=30))
    mine = holding(book, ALICE)
    # Sold: 4 × 15 − 50 micros − 4 × 10; bought again at 4 × 15 + 10 micros.
    assert mine.realised_micros == 60 * YUAN - 50 - 40 * YUAN
    assert mine.fifo_cost_micros == 60 * YUAN + 60 * YUAN + 10
    assert mine.quantity_lots == 10
    assert seen(book, ALICE).cash[0].total_micros == 1000 * YUAN - 60


def test_shares_come_at_the_mark_and_go_without_profit() -> None:
    book = new_book()
    fold(book, shares_in(ALICE, 10))  # at the reference of 10.00
    fold(book, cash_in(BOB, 1000), trade(BOB, ALICE, 1200, 1))  # now the mark is 12.00
    fold(book, shares_in(ALICE, 10))
    mine = holding(book, ALICE)
    assert mine.fifo_cost_micros == 90 * YUAN + 120 * YUAN
    fold(book, event(words.SHARES_WITHDRAWN, account_id=ALICE, instrument_id=1, quantity_lots=10))
    mine = holding(book, ALICE)
    assert mine.realised_micros == 2 * YUAN
    assert mine.fifo_cost_micros == 210 * YUAN - 90 * YUAN - 12 * YUAN
    view = seen(book, ALICE)
    assert float(view.figures["net_deposits"]) == 100.0 + 120.0 - 120.0


def test_what_rests_binds_cash_with_the_fee_rounded_up_and_lots() -> None:
    book = new_book(fee_ppm=333)
    fold(book, cash_in(ALICE, 1000), shares_in(ALICE, 50))
    fold(book, accepted(ALICE, 1, words.BUY, 1001, 3), accepted(ALICE, 2, words.SELL, 1100, 20))
    view = seen(book, ALICE)
    # 3 × 10.01 = 30,030,000 micros; × 333 / 10⁶ = 9,999.99 → 10,000
    assert view.cash[0].held_micros == 30_030_000 + 10_000
    mine = holding(book, ALICE)
    assert (mine.held_lots, mine.available_lots, mine.open_buy_lots) == (20, 30, 3)
    assert view.open_orders == 2
    assert float(view.figures["open_sell_value"]) == 220.0
    fold(
        book,
        event(
            words.AMENDED,
            account_id=ALICE,
            instrument_id=1,
            order_id=2,
            side=2,
            price_ticks=1200,
            leaves_lots=5,
        ),
    )
    assert holding(book, ALICE).held_lots == 5
    fold(
        book,
        event(words.REDUCED, account_id=ALICE, order_id=1, leaves_lots=1),
        event(words.CANCELLED, order_id=2),
    )
    view = seen(book, ALICE)
    assert view.cash[0].held_micros == 10_010_000 + 3334  # 3,333.33 up
    assert (holding(book, ALICE).held_lots, view.open_orders) == (0, 1)


def test_a_maker_shrinks_by_its_trades_and_a_taker_rests_as_its_acceptance_says() -> None:
    book = new_book(fee_ppm=0)
    fold(book, cash_in(ALICE, 1000), shares_in(BOB, 50), accepted(BOB, 1, words.SELL, 1000, 30))
    fold(
        book,
        accepted(ALICE, 2, words.BUY, 1000, 10),
        trade(ALICE, BOB, 1000, 30, order_id=2, leaves_lots=10, counter_order_id=1),
    )
    assert holding(book, BOB).held_lots == 0
    assert seen(book, BOB).open_orders == 0
    assert seen(book, ALICE).cash[0].held_micros == 100 * YUAN


def test_what_was_bought_today_is_sold_tomorrow_and_profit_begins_anew_each_day() -> None:
    book = new_book(t1=True)
    fold(book, cash_in(ALICE, 1000), shares_in(BOB, 50), trade(ALICE, BOB, 1000, 10))
    assert holding(book, ALICE).available_lots == 0
    fold(book, trade(ALICE, BOB, 1100, 10))
    # 20 at 11.00 less 210.00 paid
    assert holding(book, ALICE).profit_today_micros == 10 * YUAN
    fold(book, event(words.DAY_ROLLED, available=2))
    mine = holding(book, ALICE)
    assert (mine.available_lots, mine.profit_today_micros, book.day) == (20, 0, 2)
    fold(book, trade(BOB, ALICE, 1200, 5))
    assert holding(book, ALICE).profit_today_micros == 20 * YUAN
    assert float(seen(book, ALICE).figures["profit_today"]) == pytest.approx(20.0)


def test_growth_takes_deposits_out() -> None:
    book = new_book()
    fold(book, shares_in(ALICE, 100), cash_in(BOB, 10_000))  # 100 × 10.00
    fold(book, trade(BOB, ALICE, 1500, 1))  # + 50 %
    fold(book, cash_in(ALICE, 100_000))  # counts for nothing
    figures = seen(book, ALICE).figures
    assert float(figures["growth"]) == pytest.approx(1.5)
    fold(book, trade(BOB, ALICE, 750, 1))  # 98 × 7.5 left of 99 × 15 − …: the rest is cash
    figures = seen(book, ALICE).figures
    # 101,500 before; 99 × 15.00 became 98 × 7.50 + 7.50.
    assert float(figures["growth"]) == pytest.approx(1.5 * (101_500 - 99 * 7.5) / 101_500)
    assert float(figures["drawdown"]) == pytest.approx(1 - float(figures["growth"]) / 1.5)


def test_figures_are_in_the_base_currency() -> None:
    book = new_book()
    fold(book, cash_in(ALICE, 100, currency=1), shares_in(ALICE, 10, number=2), shares_in(ALICE, 4, number=1))
    figures = seen(book, ALICE).figures
    # 100 dollars and 10 × 5 dollars at 7, and 4 × 10 yuan
    assert float(figures["equity"]) == pytest.approx(700 + 350 + 40)
    assert float(figures["largest_weight"]) == pytest.approx(350 / 1090)
    assert int(figures["largest_instrument_id"]) == 2


def test_a_middle_counts_while_it_is_fresh_and_halves_ticks() -> None:
    book = new_book()
    fold(book, shares_in(ALICE, 4))
    book.set_mid(1, 1000.5, 900)
    view = seen(book, ALICE, Freshness(1_000, 100, 50))
    assert (view.positions[0].mark.source, view.positions[0].mark.age_ns) == (MarkSource.MID, 100)
    assert view.positions[0].value_micros == 40_020_000
    assert view.positions[0].mark.stale
    view = seen(book, ALICE, Freshness(1_001, 100, 50))
    assert view.positions[0].mark.source is MarkSource.REFERENCE


def test_both_sides_of_a_trade_are_fills() -> None:
    book = new_book()
    fold(book, cash_in(ALICE, 1000), shares_in(BOB, 50))
    book.take_changes()
    market = accepted(ALICE, 5, words.BUY, 1000, 0, order_type=types_pb2.ORDER_TYPE_MARKET)
    sides = {"order_id": 5, "client_order_id": 50, "counter_order_id": 6, "counter_client_order_id": 60}
    fold(book, market, trade(ALICE, BOB, 990, 2, fee_micros=1, counter_fee_micros=2, tax_micros=3, **sides))
    taker, maker = book.take_changes().fills
    assert taker.tolist() == (ALICE, 4, 1, 1000, 1, 5, 50, 2, 990, 2, 1, 0, 1000, True)
    assert maker.tolist() == (BOB, 4, 2, 1000, 1, 6, 60, 1, 990, 2, 2, 3, 1000, False)
    assert len(book.take_changes().fills) == 0


def test_events_that_concern_nobody_change_nothing_but_the_sequence() -> None:
    book = new_book()
    fold(book, cash_in(ALICE, 100))
    before = seen(book, ALICE)
    others = [
        event(kind, account_id=ALICE, instrument_id=1, order_id=9, quantity_lots=3, price_ticks=900)
        for kind in set(log_pb2.EventKind.values()) - TAKEN
    ]
    fold(book, *others)
    after = seen(book, ALICE)
    assert (after.cash, after.positions, after.sequence) == (before.cash, [], before.sequence + len(others))


def test_a_day_begins_with_the_reference_that_was_set_after_the_last_trade() -> None:
    """As RULES.md of the market has it: on the day of a dividend the operator says what the day begins with."""
    book = new_book()
    fold(book, cash_in(ALICE, 1_000), shares_in(BOB, 100), trade(ALICE, BOB, 1020, 1))
    fold(book, event(words.DAY_ROLLED, available=2))
    assert book.tables.instruments[1]["reference"] == 1020
    fold(book, reference_set(510), event(words.DAY_ROLLED, available=3))
    assert book.tables.instruments[1]["reference"] == 510
    again = Book(book.listing)
    again.restore(changes.all_rows(book.tables), book.listing.rules.values())
    for one in (book, again):
        fold(one, event(words.DAY_ROLLED, available=4))
        assert one.tables.instruments[1]["reference"] == 510
        fold(one, trade(ALICE, BOB, 520, 1), event(words.DAY_ROLLED, available=5))
        assert one.tables.instruments[1]["reference"] == 520
