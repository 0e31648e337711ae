"""From events to rows of the history: arrays in, arrays out.

Everything is done by columns over a whole batch. What happens to an order within the batch is summed up to
one row, so that an order that comes and goes at once is written once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import smartex_wire

from matching.history.copying import CANDLE, CHANGE, ORDER, TRADE, TRANSFER
from matching.sources import Rows

Ints: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

ACCEPTED, REJECTED, TRADED, CANCELLED, AMENDED, REDUCED = 1, 2, 3, 4, 5, 9
CASH_IN, CASH_OUT, SHARES_IN, SHARES_OUT = 20, 21, 22, 23
OPEN, PARTIALLY_FILLED, FILLED, STATUS_CANCELLED, STATUS_REJECTED = 1, 2, 3, 4, 5
SELL = 2
SECONDS = (1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400)


@dataclass(frozen=True)
class Batch:
    """Rows to write: new orders, changes of known ones, trades, transfers, candles."""

    orders: Rows
    changes: Rows
    trades: Rows
    transfers: Rows
    candles: Rows


@dataclass(frozen=True)
class Piece:
    """Events of one record, with the sequence of the first and the time of all."""

    first_sequence: int
    time_ns: int
    events: Rows


def build(pieces: Iterable[Piece], shard: int) -> Batch:
    """The rows of these events, which are in order and without repeats."""
    parts = list(pieces)
    events = smartex_wire.joined([part.events for part in parts])
    sequence = np.concatenate(
        [np.arange(part.first_sequence, part.first_sequence + len(part.events)) for part in parts]
    )
    time_ns = np.repeat(
        np.array([part.time_ns for part in parts], np.int64), [len(part.events) for part in parts]
    )
    orders, changes = _orders(events, sequence, time_ns, shard)
    trades = _trades(events, sequence, time_ns, shard)
    return Batch(orders, changes, trades, _transfers(events, sequence, time_ns, shard), _candles(trades))


def _trades(events: Rows, sequence: Ints, time_ns: Ints, shard: int) -> Rows:
    at = np.flatnonzero(events["kind"] == TRADED)
    traded = events[at]
    rows = np.zeros(len(at), TRADE)
    rows["sequence"], rows["time_ns"], rows["shard"] = sequence[at], time_ns[at], shard
    for name in ("price_ticks", "quantity_lots", "tax_micros", "instrument_id"):
        rows[name] = traded[name]
    rows["taker_side"] = traded["side"]
    for name, source in (
        ("order_id", "order_id"),
        ("client_order_id", "client_order_id"),
        ("fee_micros", "fee_micros"),
        ("account_id", "account_id"),
    ):
        rows[f"taker_{name}"] = traded[source]
        rows[f"maker_{name}"] = traded[f"counter_{source}"]
    return rows


def _transfers(events: Rows, sequence: Ints, time_ns: Ints, shard: int) -> Rows:
    kind = events["kind"]
    at = np.flatnonzero((kind >= CASH_IN) & (kind <= SHARES_OUT))
    moved = events[at]
    rows = np.zeros(len(at), TRANSFER)
    rows["sequence"], rows["time_ns"], rows["shard"] = sequence[at], time_ns[at], shard
    sign = np.where((moved["kind"] == CASH_IN) | (moved["kind"] == SHARES_IN), 1, -1)
    cash = (moved["kind"] == CASH_IN) | (moved["kind"] == CASH_OUT)
    rows["amount_micros"] = np.where(cash, sign * moved["required"], 0)
    rows["quantity_lots"] = np.where(cash, 0, sign * moved["quantity_lots"])
    rows["instrument_id"] = np.where(cash, 0, moved["instrument_id"])
    for name in ("request_id", "account_id", "currency_id"):
        rows[name] = moved[name]
    return rows


def _orders(events: Rows, sequence: Ints, time_ns: Ints, shard: int) -> tuple[Rows, Rows]:
    steps = _steps(events, sequence, time_ns)
    starts = np.flatnonzero(np.diff(steps["order_id"], prepend=-1))
    changes = _summed(steps, starts)
    rejected = np.flatnonzero(events["kind"] == REJECTED)
    created = np.flatnonzero(events["kind"] == ACCEPTED)
    if len(created):
        # Changes are sorted by order id, and every new order has one.
        own = np.searchsorted(changes["order_id"], events["order_id"][created])
        known = np.ones(len(changes), bool)
        known[own] = False
        new = _new_orders(events[created], sequence[created], time_ns[created], shard)
        for name in CHANGE.names or ():
            if name in (ORDER.names or ()) and not name.endswith("_length"):
                new[name] = changes[own][name]
        changes = changes[known]
    else:
        new = np.zeros(0, ORDER)
    refused = _new_orders(events[rejected], sequence[rejected], time_ns[rejected], shard)
    refused["status"] = STATUS_REJECTED
    refused["reason"] = events["reason"][rejected]
    refused["price_ticks"] = events["price_ticks"][rejected]
    refused["quantity_lots"] = events["quantity_lots"][rejected]
    refused["order_id"] = 0
    return np.concatenate((new, refused)), changes


_STEP = np.dtype(
    [
        ("order_id", "i8"),
        ("sequence", "i8"),
        ("time_ns", "i8"),
        ("kind", "i8"),
        ("price_ticks", "i8"),
        ("quantity_lots", "i8"),
        ("leaves_lots", "i8"),
        ("executed_lots", "i8"),
        ("executed_value", "i8"),
        ("fees_micros", "i8"),
        ("reason", "i8"),
    ]
)


def _steps(events: Rows, sequence: Ints, time_ns: Ints) -> Rows:
    """What happened to each order, by order and sequence. A trade is a step of both its orders."""
    kind = events["kind"]
    own = np.flatnonzero(np.isin(kind, (ACCEPTED, TRADED, CANCELLED, AMENDED, REDUCED)))
    maker = np.flatnonzero(kind == TRADED)
    steps = np.zeros(len(own) + len(maker), _STEP)
    at = np.concatenate((own, maker))
    steps["sequence"], steps["time_ns"], steps["kind"] = sequence[at], time_ns[at], kind[at]
    head, tail = steps[: len(own)], steps[len(own) :]
    for name in ("order_id", "price_ticks", "quantity_lots", "leaves_lots", "reason"):
        head[name] = events[name][own]
    tail["order_id"] = events["counter_order_id"][maker]
    tail["leaves_lots"] = events["counter_leaves_lots"][maker]
    traded = steps["kind"] == TRADED
    for part, index, side_of_tax, fee in (
        (head, own, events["side"] == SELL, "fee_micros"),
        (tail, maker, events["side"] != SELL, "counter_fee_micros"),
    ):
        here = events["kind"][index] == TRADED
        source = events[index]
        part["executed_lots"] = np.where(here, source["quantity_lots"], 0)
        part["executed_value"] = np.where(here, source["price_ticks"] * source["quantity_lots"], 0)
        tax = np.where(side_of_tax[index], source["tax_micros"], 0)
        part["fees_micros"] = np.where(here, source[fee] + tax, 0)
    steps["price_ticks"][traded] = 0
    steps["quantity_lots"][traded] = 0
    return steps[np.lexsort((steps["sequence"], steps["order_id"]))]


def _summed(steps: Rows, starts: Ints) -> Rows:
    """One change for each order of the steps, which are sorted by order."""
    changes = np.zeros(len(starts), CHANGE)
    if len(starts) == 0:
        return changes
    last = steps[np.append(starts[1:], len(steps)) - 1]
    changes["order_id"] = last["order_id"]
    changes["sequence"], changes["update_time_ns"] = last["sequence"], last["time_ns"]
    changes["leaves_lots"] = last["leaves_lots"]
    for name in ("executed_lots", "executed_value", "fees_micros"):
        changes[name] = np.add.reduceat(steps[name], starts)
    # Terms: the last event that set them, if one did; prevention takes lots off the quantity after that.
    position = np.where(np.isin(steps["kind"], (ACCEPTED, AMENDED)), np.arange(len(steps)), -1)
    setter = np.maximum.reduceat(position, starts)
    group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(steps))))
    reduced = (steps["kind"] == REDUCED) & (np.arange(len(steps)) > setter[group])
    taken = np.add.reduceat(np.where(reduced, steps["quantity_lots"], 0), starts)
    changes["terms"] = setter >= 0
    changes["price_ticks"] = np.where(setter >= 0, steps["price_ticks"][setter], 0)
    changes["quantity_lots"] = np.where(setter >= 0, steps["quantity_lots"][setter], 0) - taken
    gone = last["kind"] == CANCELLED
    changes["reason"] = np.where(gone, last["reason"], 0)
    changes["open"] = last["leaves_lots"] > 0
    executed = changes["executed_lots"] > 0
    changes["status"] = np.where(
        last["leaves_lots"] > 0,
        np.where(executed, PARTIALLY_FILLED, OPEN),
        np.where(gone, STATUS_CANCELLED, FILLED),
    )
    return changes


def _new_orders(events: Rows, sequence: Ints, time_ns: Ints, shard: int) -> Rows:
    rows = np.zeros(len(events), ORDER)
    rows["created_sequence"] = rows["sequence"] = sequence
    rows["create_time_ns"] = rows["update_time_ns"] = time_ns
    rows["shard"] = shard
    for name in (
        "order_id",
        "client_order_id",
        "account_id",
        "instrument_id",
        "side",
        "order_type",
        "time_in_force",
        "expire_time_ns",
    ):
        rows[name] = events[name]
    return rows


def _candles(trades: Rows) -> Rows:
    """What the trades add to the candles of every length."""
    if len(trades) == 0:
        return np.zeros(0, CANDLE)
    trades = trades[np.argsort(trades["instrument_id"], kind="stable")]
    return np.concatenate([_candles_of(trades, seconds) for seconds in SECONDS])


def _candles_of(trades: Rows, seconds: int) -> Rows:
    span = seconds * 1_000_000_000
    start = trades["time_ns"].astype(np.int64) // span * span
    instrument = trades["instrument_id"]
    new = np.ones(len(trades), bool)
    new[1:] = (start[1:] != start[:-1]) | (instrument[1:] != instrument[:-1])
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(trades)) - 1
    price = trades["price_ticks"].astype(np.int64)
    lots = trades["quantity_lots"].astype(np.int64)
    rows = np.zeros(len(first), CANDLE)
    rows["instrument_id"], rows["seconds"], rows["start_ns"] = instrument[first], seconds, start[first]
    rows["open_ticks"], rows["close_ticks"] = price[first], price[last]
    rows["high_ticks"] = np.maximum.reduceat(price, first)
    rows["low_ticks"] = np.minimum.reduceat(price, first)
    rows["volume_lots"] = np.add.reduceat(lots, first)
    rows["value"] = np.add.reduceat(price * lots, first)
    rows["trade_count"] = last - first + 1
    rows["sequence"] = trades["sequence"][last]
    return rows
