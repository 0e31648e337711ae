"""Messages of the contract as objects of `model`."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from smartex.matching.v1 import market_data_pb2 as md
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1.types_pb2 import Instrument

from . import model
from .convert import from_lots, from_micros, from_money, from_ns, from_ticks
from .messages import message, numbers
from .words import reason_name, word

ZERO = Decimal(0)


def time_of(owner: Message, field: str) -> datetime | None:
    """A timestamp field as a time; None if it is not set."""
    if not owner.HasField(field):
        return None
    stamp: Timestamp = getattr(owner, field)
    return from_ns(stamp.ToNanoseconds())


def fill_of(instrument: Instrument, report: types.Report) -> model.Fill:
    """A FILLED report."""
    return model.Fill(
        trade_id=report.trade_id,
        order_id=report.order_id,
        client_order_id=report.client_order_id,
        symbol=instrument.symbol,
        side=word(types.Side, report.side),
        price=from_ticks(instrument, report.price_ticks),
        quantity=from_lots(instrument, report.quantity_lots),
        liquidity=word(types.Liquidity, report.liquidity),
        fee=from_micros(report.fee_micros),
        tax=from_micros(report.tax_micros),
        time=from_ns(report.event_time_ns),
    )


def past_fill(instrument: Instrument, fill: types.Fill) -> model.Fill:
    """A fill of the history."""
    return model.Fill(
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        client_order_id=fill.client_order_id,
        symbol=instrument.symbol,
        side=word(types.Side, fill.side),
        price=from_ticks(instrument, fill.price_ticks),
        quantity=from_lots(instrument, fill.quantity_lots),
        liquidity=word(types.Liquidity, fill.liquidity),
        fee=from_money(fill.fee),
        tax=from_money(fill.tax),
        time=from_ns(fill.trade_time.ToNanoseconds()),
    )


def past_order(instrument: Instrument, order: types.Order) -> model.Order:
    """An order of the history."""
    return model.Order(
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        symbol=instrument.symbol,
        side=word(types.Side, order.side),
        type=word(types.OrderType, order.order_type),
        tif=word(types.TimeInForce, order.time_in_force),
        price=from_ticks(instrument, order.price_ticks),
        quantity=from_lots(instrument, order.quantity_lots),
        open_quantity=from_lots(instrument, order.leaves_lots),
        filled_quantity=from_lots(instrument, order.executed_lots),
        status=word(types.OrderStatus, order.status),
        reason=reason_name(types.Reason, order.reason),
        sequence=order.sequence,
        currency=instrument.currency_code,
        value=from_money(order.executed_value),
        fees=from_money(order.fees),
        create_time=time_of(order, "create_time"),
        update_time=time_of(order, "update_time"),
        expire_time=time_of(order, "expire_time"),
    )


def outcome_order(
    instrument: Instrument, outcome: types.Report, reports: Any, *, order_type: str = "", tif: str = ""
) -> model.Order:
    """An order from the answer that took or changed it: the outcome and what followed at once."""
    fills = tuple(fill_of(instrument, each) for each in reports if each.kind == types.REPORT_KIND_FILLED)
    taken = [each for each in reports if each.kind == types.REPORT_KIND_CANCELLED]
    leaves = from_lots(instrument, outcome.leaves_lots)
    filled_lots = outcome.quantity_lots - outcome.leaves_lots - sum(each.quantity_lots for each in taken)
    gone = bool(taken) and not outcome.leaves_lots
    filled = from_lots(instrument, filled_lots)
    # An amended order may have traded before: what that was worth is not in the answer.
    complete = sum((each.quantity for each in fills), ZERO) == filled
    return model.Order(
        order_id=outcome.order_id,
        client_order_id=outcome.client_order_id,
        symbol=instrument.symbol,
        side=word(types.Side, outcome.side),
        type=order_type,
        tif=tif,
        price=from_ticks(instrument, outcome.price_ticks),
        quantity=from_lots(instrument, outcome.quantity_lots),
        open_quantity=leaves,
        filled_quantity=filled,
        status="cancelled" if gone else _status(leaves, filled_lots),
        reason=reason_name(types.Reason, taken[-1].reason) if gone else "",
        sequence=max([outcome.sequence, *(each.sequence for each in reports)]),
        fills=fills,
        currency=instrument.currency_code,
        value=sum((each.price * each.quantity for each in fills), ZERO) if complete else None,
        fees=sum((each.fee + each.tax for each in fills), ZERO) if complete else None,
        repeated=outcome.repeated,
        kept_priority=outcome.kept_priority,
        update_time=from_ns(outcome.event_time_ns),
    )


def _status(leaves: Decimal, filled_lots: int) -> str:
    if not leaves:
        return "filled"
    return "partially_filled" if filled_lots else "open"


def report_of(instrument: Instrument | None, report: Any, language: str) -> model.Report:
    """A report, as a message or as a row of an array."""
    reason = int(report.reason)
    found = numbers(instrument, reason, int(report.required), int(report.available))

    def lots(count: int) -> Decimal:
        return from_lots(instrument, count) if instrument else Decimal(count)

    return model.Report(
        kind=word(types.ReportKind, report.kind),
        sequence=int(report.sequence),
        symbol=instrument.symbol if instrument else "",
        client_order_id=int(report.client_order_id),
        order_id=int(report.order_id),
        request_id=int(report.request_id),
        side=word(types.Side, report.side),
        price=from_ticks(instrument, int(report.price_ticks)) if instrument else ZERO,
        quantity=(
            Decimal(int(report.quantity_lots))
            if report.kind == types.REPORT_KIND_MASS_CANCELLED
            else lots(int(report.quantity_lots))
        ),
        open_quantity=lots(int(report.leaves_lots)),
        reason=reason_name(types.Reason, reason),
        message=message(instrument, reason, found, language) if reason else "",
        fee=from_micros(int(report.fee_micros)),
        tax=from_micros(int(report.tax_micros)),
        trade_id=int(report.trade_id),
        liquidity=word(types.Liquidity, report.liquidity),
        repeated=bool(report.repeated),
        kept_priority=bool(report.kept_priority),
        time=from_ns(int(report.event_time_ns)),
    )


def levels_of(instrument: Instrument, levels: Any) -> tuple[model.Level, ...]:
    """Levels as they come."""
    return tuple(
        model.Level(
            from_ticks(instrument, each.price_ticks),
            from_lots(instrument, each.quantity_lots),
            each.order_count,
        )
        for each in levels
    )


def book_of(instrument: Instrument, book: md.BookSnapshot) -> model.Book:
    """A snapshot."""
    return model.Book(
        symbol=instrument.symbol,
        sequence=book.sequence,
        bids=levels_of(instrument, book.bids),
        asks=levels_of(instrument, book.asks),
        last_price=from_ticks(instrument, book.last_price_ticks) if book.last_price_ticks else None,
        state=word(types.TradingState, book.trading_state),
        time=from_ns(book.market_time_ns),
    )


def trade_of(instrument: Instrument, trade: md.Trade) -> model.Trade:
    """A public trade."""
    return model.Trade(
        trade_id=trade.trade_id,
        symbol=instrument.symbol,
        price=from_ticks(instrument, trade.price_ticks),
        quantity=from_lots(instrument, trade.quantity_lots),
        taker_side=word(types.Side, trade.taker_side),
        time=from_ns(trade.trade_time_ns),
        maker_order_id=trade.maker_order_id,
        taker_order_id=trade.taker_order_id,
    )


def candle_of(instrument: Instrument, candle: md.Candle) -> model.Candle:
    """A candle."""
    return model.Candle(
        symbol=instrument.symbol,
        start_time=from_ns(candle.start_time.ToNanoseconds()),
        seconds=candle.interval_seconds,
        open=from_ticks(instrument, candle.open_ticks),
        high=from_ticks(instrument, candle.high_ticks),
        low=from_ticks(instrument, candle.low_ticks),
        close=from_ticks(instrument, candle.close_ticks),
        volume=from_lots(instrument, candle.volume_lots),
        value=from_micros(candle.value_micros),
        trades=candle.trade_count,
        closed=candle.closed,
    )
