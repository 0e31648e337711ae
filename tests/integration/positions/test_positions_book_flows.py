"""The compiled book on random flows of everything, against the market's reference model and a plain book."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from positions.domain.book import Book, Listing, Rules
from positions.domain.book.valuing import Freshness
from positions.domain.figures import LotView
from positions_plain_book import PlainBook
from reference.bridge import event_rows
from reference.flows import Flow
from reference.profiles import PROFILES, Profile
from reference.words import EventKind
from smartex.matching.v1.log_pb2 import EventBatch
from smartex_wire import codec

COMMANDS = 6000
CURRENCIES = [f"C{number}" for number in range(16)]
EVENT = codec(EventBatch).row_dtype
KINDS = {kind.name: int(kind) for kind in EventKind}
FRESHNESS = Freshness(2**62, 0, 2**62)


def rules(definition: Any) -> Rules:
    return Rules(
        instrument_id=definition.instrument_id,
        symbol=f"I{definition.instrument_id}",
        currency=CURRENCIES[definition.currency_id],
        tick_value_micros=definition.tick_value,
        t1=definition.settlement == 2,
        fee_ppm=max(definition.maker_fee_ppm, definition.taker_fee_ppm),
        industry=f"Industry {definition.instrument_id % 3}",
        reference_ticks=definition.reference_price_ticks,
    )


class Held:
    """The book and what it is held against, on one flow."""

    def __init__(self, profile: Profile, seed: int) -> None:
        self.flow = Flow(seed, profile)
        self.plain = PlainBook()
        self.book = Book(Listing(CURRENCIES, {}, "C0"))
        self.book.tables.header["sequence"] = 0

    def run(self, commands: int) -> None:
        for at, (frame, events) in enumerate(self.flow.frames(commands)):
            self.define(frame.definitions, events)
            rows = np.array(event_rows(events), EVENT)
            if len(rows):
                assert self.book.unknown(rows) == set()
                self.book.fold(rows, self.plain.sequence + 1, self.flow.market.now)
            self.plain.fold(events, KINDS)
            if at % 50 == 0:
                self.compare()
        self.compare()

    def define(self, definitions: Any, events: Any) -> None:
        accepted = {event.command_index for event in events if event.kind == KINDS["INSTRUMENT_DEFINED"]}
        for index, definition in enumerate(definitions):
            if index in accepted:
                self.book.learn([rules(definition)])
                self.plain.define(
                    definition.instrument_id,
                    definition.tick_value,
                    definition.currency_id,
                    definition.reference_price_ticks,
                )

    def compare(self) -> None:
        market = self.flow.market
        assert self.book.sequence == market.sequence
        assert self.book.day == market.trading_day
        assert self.open_orders() == {
            order.order_id: (order.side, order.price, order.leaves) for order in market.orders.values()
        }
        references = self.book.tables.instruments["reference"]
        assert {number: int(references[number]) for number in market.instruments} == {
            number: listed.reference_price for number, listed in market.instruments.items()
        }
        for account in market.accounts:
            self.compare_account(account)

    def compare_account(self, account: int) -> None:
        market = self.flow.market
        view = self.book.view(account, FRESHNESS)
        assert view is not None
        cash = {CURRENCIES.index(each.currency): (each.total_micros, each.held_micros) for each in view.cash}
        assert cash == {
            number: (it.total, it.held)
            for (who, number), it in market.cash.items()
            if who == account and (it.total or it.held)
        }
        shown = {each.instrument_id: each for each in view.positions}
        for (who, number), it in market.holdings.items():
            if who != account or not it.total:
                continue
            found, plain = shown[number], self.plain.holdings[account, number]
            assert (found.quantity_lots, found.held_lots, found.bought_today_lots) == (
                it.total,
                it.held,
                it.bought_today,
            )
            assert found.available_lots >= 0
            assert found.fifo_cost_micros == plain.cost
            assert found.average_cost_micros == plain.average_cost
            assert found.realised_micros == plain.realised
            assert found.fees_micros == plain.fees
            lots = [LotView(lot.sequence, 0, lot.quantity, lot.cost) for lot in plain.lots]
            assert [
                LotView(lot.sequence, 0, lot.quantity_lots, lot.cost_micros) for lot in found.lots
            ] == lots
        assert view.open_orders == sum(order.account_id == account for order in market.orders.values())

    def open_orders(self) -> dict[int, tuple[int, int, int]]:
        rows = self.book.tables.orders
        return {
            int(row["order_id"]): (int(row["side"]), int(row["price"]), int(row["leaves"]))
            for row in rows[rows["order_id"] != 0]
        }


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_book_equals_the_market_and_a_plain_fold_to_the_micro(profile: Profile, seed: int) -> None:
    Held(profile, seed).run(COMMANDS)
