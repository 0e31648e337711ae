"""Messages of a subscription as bytes, made once and sent to many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import smartex_wire
from smartex.matching.v1.market_data_pb2 import (
    BookSnapshot,
    Candle,
    Heartbeat,
    Level,
    LevelUpdate,
    OrderUpdate,
    Quote,
    SubscribeResponse,
    Trade,
    TradeBatch,
)

from matching.sources import Bar, PastTrade, Rows

LevelTuple: TypeAlias = tuple[int, int, int]
"""Price in ticks, lots, orders."""

SNAPSHOT, QUOTE, LEVELS, ORDERS, TRADES, CANDLE, HEARTBEAT = range(1, 8)
"""Field numbers of the payload in SubscribeResponse."""

_order_updates = smartex_wire.codec(OrderUpdate)
_trade_batches = smartex_wire.codec(TradeBatch)
_snapshot_orders = smartex_wire.codec(BookSnapshot, ignore=("bids", "asks"))
_LARGEST = 2**63 - 1


def warm_up() -> None:
    """Compile or load what encodes."""
    _order_updates.encode(np.zeros(1, _order_updates.row_dtype))


def wrapped(field: int, payload: bytes) -> bytes:
    """A SubscribeResponse around the encoded payload."""
    head = bytearray((field << 3 | 2,))
    size = len(payload)
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + payload


def order_update(rows: Rows) -> bytes:
    """An OrderUpdate of rows of one instrument and frame."""
    out = np.zeros(len(rows), _order_updates.row_dtype)
    for name in ("order_id", "side", "price_ticks", "quantity_lots"):
        out[name] = rows[name]
    last = rows[-1]
    header = {
        "instrument_id": int(last["instrument_id"]),
        "sequence": int(last["sequence"]),
        "previous_sequence": int(last["previous"]),
        "market_time_ns": int(last["time_ns"]),
    }
    return wrapped(ORDERS, _order_updates.encode(out, header))


def trade_batch(rows: Rows) -> bytes:
    """A TradeBatch of rows of one instrument and frame."""
    out = np.zeros(len(rows), _trade_batches.row_dtype)
    for name in ("instrument_id", "price_ticks", "quantity_lots", "maker_order_id", "taker_order_id"):
        out[name] = rows[name]
    out["trade_id"] = rows["sequence"]
    out["trade_time_ns"] = rows["time_ns"]
    out["taker_side"] = rows["side"]
    last = rows[-1]
    header = {
        "instrument_id": int(last["instrument_id"]),
        "sequence": int(last["sequence"]),
        "previous_sequence": int(last["previous"]),
    }
    return wrapped(TRADES, _trade_batches.encode(out, header))


def resting(orders: Rows) -> Rows:
    """Rows of the core's resting orders as the messages carry them."""
    out = np.zeros(len(orders), _order_updates.row_dtype)
    out["order_id"] = orders["order_id"]
    out["side"] = orders["side"]
    out["price_ticks"] = orders["price_ticks"]
    out["quantity_lots"] = orders["leaves_lots"]
    return out


def levels(rows: Rows) -> tuple[LevelTuple, ...]:
    """Rows of the core's levels as tuples."""
    return tuple(
        zip(
            rows["price_ticks"].tolist(),
            rows["quantity_lots"].tolist(),
            rows["order_count"].tolist(),
            strict=True,
        )
    )


def with_orders(book: BookSnapshot, orders: Rows) -> bytes:
    """The bytes of a snapshot with these orders; concatenated messages merge."""
    return book.SerializeToString() + _snapshot_orders.encode(orders)


def snapshot_parts(book: BookSnapshot, orders: Rows, size: int) -> Iterator[bytes]:
    """An L3 snapshot in messages of at most `size` orders: the snapshot, then updates that add the rest."""
    yield wrapped(SNAPSHOT, with_orders(book, orders[:size]))
    header = {
        "instrument_id": book.instrument_id,
        "sequence": book.sequence,
        "previous_sequence": book.sequence,
        "market_time_ns": book.market_time_ns,
    }
    for at in range(size, len(orders), size):
        yield wrapped(ORDERS, _order_updates.encode(orders[at : at + size], header))


def level_messages(rows: Sequence[LevelTuple]) -> list[Level]:
    """Levels as messages."""
    return [Level(price_ticks=price, quantity_lots=lots, order_count=count) for price, lots, count in rows]


def level_update(
    instrument_id: int,
    sequence: int,
    previous: int,
    bids: Sequence[LevelTuple],
    asks: Sequence[LevelTuple],
    time_ns: int,
    last_price_ticks: int = 0,
) -> bytes:
    """A LevelUpdate."""
    update = LevelUpdate(
        instrument_id=instrument_id,
        sequence=sequence,
        previous_sequence=previous,
        bids=level_messages(bids),
        asks=level_messages(asks),
        market_time_ns=time_ns,
        last_price_ticks=last_price_ticks,
    )
    return wrapped(LEVELS, update.SerializeToString())


def quote(message: Quote) -> bytes:
    """A Quote."""
    return wrapped(QUOTE, message.SerializeToString())


def snapshot(message: BookSnapshot) -> bytes:
    """A snapshot."""
    return wrapped(SNAPSHOT, message.SerializeToString())


def candle_message(instrument_id: int, seconds: int, tick_value: int, bar: Bar, now_ns: int) -> Candle:
    """A Candle, closed if its time is over at `now_ns`."""
    message = Candle(
        instrument_id=instrument_id,
        interval_seconds=seconds,
        open_ticks=bar.open_ticks,
        high_ticks=bar.high_ticks,
        low_ticks=bar.low_ticks,
        close_ticks=bar.close_ticks,
        volume_lots=min(bar.volume_lots, _LARGEST),
        value_micros=min(bar.value_ticks * tick_value, _LARGEST),
        trade_count=bar.trade_count,
        sequence=bar.sequence,
        closed=now_ns >= bar.start_ns + seconds * 1_000_000_000,
    )
    message.start_time.FromNanoseconds(bar.start_ns)
    return message


def candle(message: Candle) -> bytes:
    """A Candle in a subscription."""
    return wrapped(CANDLE, message.SerializeToString())


def heartbeat(sequence: int, time_ns: int) -> bytes:
    """A heartbeat."""
    return SubscribeResponse(
        heartbeat=Heartbeat(sequence=sequence, market_time_ns=time_ns)
    ).SerializeToString()


def trade_message(instrument_id: int, trade: PastTrade) -> Trade:
    """A Trade of a list."""
    return Trade(
        trade_id=trade.trade_id,
        instrument_id=instrument_id,
        price_ticks=trade.price_ticks,
        quantity_lots=trade.quantity_lots,
        taker_side=trade.taker_side,  # type: ignore[arg-type]
        trade_time_ns=trade.time_ns,
        maker_order_id=trade.maker_order_id,
        taker_order_id=trade.taker_order_id,
    )
