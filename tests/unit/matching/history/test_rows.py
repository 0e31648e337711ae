"""Rows of the history by columns are those of a history written event by event."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching.history.copying import CANDLE, ORDER, columns, definition, payload
from matching.history.rows import Batch, Piece, build
from plain_history import PlainHistory, PlainOrder
from readside import ModelMarket

SUMS = ("executed_lots", "executed_value", "fees_micros")
NEWEST = ("leaves_lots", "sequence", "update_time_ns", "reason", "open")
TERMS = ("price_ticks", "quantity_lots")


class Tables:
    """Does what the SQL of the projection does."""

    def __init__(self) -> None:
        self.orders: dict[int, dict[str, int]] = {}
        self.by_id: dict[int, dict[str, int]] = {}

    def write(self, batch: Batch) -> None:
        for row in batch.orders:
            order = {name: int(row[name]) for name in columns(ORDER)}
            self.orders[order["created_sequence"]] = order
            if order["order_id"]:
                self.by_id[order["order_id"]] = order
        for row in batch.changes:
            order = self.by_id[int(row["order_id"])]
            status = int(row["status"])
            order["status"] = 2 if status == 1 and order["executed_lots"] else status
            for name in NEWEST:
                order[name] = int(row[name])
            for name in SUMS:
                order[name] += int(row[name])
            if row["terms"]:
                order["price_ticks"] = 0
                order["quantity_lots"] = 0
            order["price_ticks"] += int(row["price_ticks"])
            order["quantity_lots"] += int(row["quantity_lots"])


@pytest.mark.parametrize(("seed", "profile"), [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4), (6, 1)])
def test_orders_are_those_of_a_plain_history(seed: int, profile: int) -> None:
    market, plain, tables, random = ModelMarket(seed, profile), PlainHistory(), Tables(), Random(seed)
    pieces: list[Piece] = []
    for first, time_ns, events in market.frames(2500):
        plain.apply(first, time_ns, events)
        pieces.append(Piece(first, time_ns, events))
        if random.random() < 0.1:
            tables.write(build(pieces, 0))
            pieces = []
    if pieces:
        tables.write(build(pieces, 0))
    expected = plain.all()
    assert len(tables.orders) == len(expected) > 20
    for order in expected:
        row = tables.orders[order.created_sequence]
        assert PlainOrder(**{name: row[name] for name in vars(order)}) == order
        assert row["open"] == (order.leaves_lots > 0)


@pytest.mark.parametrize("seed", [1, 2])
def test_trades_and_transfers_are_those_of_a_plain_history(seed: int) -> None:
    market, plain = ModelMarket(seed, 1), PlainHistory()
    pieces = []
    for first, time_ns, events in market.frames(2500):
        plain.apply(first, time_ns, events)
        pieces.append(Piece(first, time_ns, events))
    batch = build(pieces, 0)
    fills = []
    for row in batch.trades:
        for role, part in (("taker", 2), ("maker", 1)):
            side = int(row["taker_side"]) if role == "taker" else 3 - int(row["taker_side"])
            fills.append(
                (
                    int(row[f"{role}_account_id"]),
                    int(row["sequence"]),
                    part,
                    int(row[f"{role}_order_id"]),
                    side,
                    int(row["quantity_lots"]),
                    int(row[f"{role}_fee_micros"]),
                    int(row["tax_micros"]) if side == 2 else 0,
                )
            )
    assert fills == plain.fills
    assert fills
    moved = [entry for entry in plain.ledger if entry[2] <= 2]
    assert [
        (
            int(row["account_id"]),
            int(row["sequence"]),
            1 if row["amount_micros"] + row["quantity_lots"] > 0 else 2,
            int(row["amount_micros"]),
            int(row["quantity_lots"]),
            int(row["request_id"]),
        )
        for row in batch.transfers
    ] == moved


def test_the_copy_stream_is_what_the_format_says() -> None:
    rows = np.zeros(2, CANDLE)
    rows["instrument_id"], rows["seconds"], rows["start_ns"] = 7, 60, -5
    stream = payload(rows).getvalue()
    assert stream.startswith(b"PGCOPY\n\xff\r\n\x00" + bytes(8))
    names = columns(CANDLE)
    row = stream[19:-2][: (len(stream) - 21) // 2]
    assert row.startswith(
        len(names).to_bytes(2)
        + (4).to_bytes(4)
        + (7).to_bytes(4)
        + (4).to_bytes(4)
        + (60).to_bytes(4)
        + (8).to_bytes(4)
        + (-5).to_bytes(8, signed=True)
    )
    assert stream.endswith(b"\xff\xff")
    assert definition(CANDLE).startswith("instrument_id integer, seconds integer, start_ns bigint")


@given(st.lists(st.integers(0, 3), max_size=6))
def test_a_batch_of_nothing_to_tell_has_no_rows(kinds: list[int]) -> None:
    from matching.event_rows import empty

    events = empty(len(kinds) + 1)
    events["kind"][1:] = [kind + 16 for kind in kinds]
    batch = build([Piece(1, 5, events)], 0)
    assert [len(part) for part in (batch.orders, batch.changes, batch.trades, batch.candles)] == [0] * 4
