"""What must agree once a session is over: orders, fills, ledger, balances, reports, trades, book and candles."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

from smartex.matching.v1 import account_pb2, market_data_pb2
from smartex.matching.v1 import types_pb2 as types

REFERENCE = 1000
TERMS = (types.REPORT_KIND_ACCEPTED, types.REPORT_KIND_AMENDED)
RULES: dict[str, Any] = {
    "name": "Test",
    "board_lot": 1,
    "odd_lot_rule": types.ODD_LOT_RULE_NONE,
    "reference_price_ticks": REFERENCE,
    "max_price_ticks": 100_000,
    "max_order_lots": 100_000,
    "market_band_ppm": 50_000,
    "trading_state": types.TRADING_STATE_OPEN,
}
SHARE: dict[str, Any] = {
    "instrument_id": 1,
    "symbol": "SHARE",
    "currency_code": "CNY",
    "tick_size": "0.01",
    "lot_size": "1",
    "board_lot": 100,
    "odd_lot_rule": types.ODD_LOT_RULE_SELL_REST,
    "price_limit_ppm": 100_000,
    "settlement": types.SETTLEMENT_T1,
    "maker_fee_ppm": 251,
    "taker_fee_ppm": 337,
    "stamp_duty_ppm": 503,
}
COIN: dict[str, Any] = {
    "instrument_id": 2,
    "symbol": "COIN",
    "currency_code": "USD",
    "tick_size": "0.0001",
    "lot_size": "0.07",
    "settlement": types.SETTLEMENT_T0,
    "maker_fee_ppm": 13,
    "taker_fee_ppm": 977,
}
TICK_VALUES = {1: 10_000, 2: 7}
"""Micros by instrument."""
CURRENCIES = {1: "CNY", 2: "USD"}


def micros(money: types.Money) -> int:
    return int(Decimal(money.amount) * 1_000_000)


def told_fill(report: types.Report) -> tuple[int, ...]:
    return (
        report.trade_id,
        report.order_id,
        report.client_order_id,
        report.instrument_id,
        report.side,
        report.price_ticks,
        report.quantity_lots,
        report.liquidity,
        report.fee_micros,
        report.tax_micros,
        report.event_time_ns,
    )


def listed_fill(fill: types.Fill) -> tuple[int, ...]:
    return (
        fill.trade_id,
        fill.order_id,
        fill.client_order_id,
        fill.instrument_id,
        fill.side,
        fill.price_ticks,
        fill.quantity_lots,
        fill.liquidity,
        micros(fill.fee),
        micros(fill.tax),
        fill.trade_time.ToNanoseconds(),
    )


def value_of(fill: types.Fill) -> int:
    return fill.price_ticks * fill.quantity_lots * TICK_VALUES[fill.instrument_id]


def check_orders(orders: list[types.Order], fills: list[types.Fill], reports: list[types.Report]) -> None:
    """Every order is what the reports made of it and the sum of its fills."""
    by_order = defaultdict(list)
    for fill in fills:
        by_order[fill.order_id].append(fill)
    news = defaultdict(list)
    for report in reports:
        if not report.repeated:
            news[report.order_id].append(report)
    taken = [order for order in orders if order.order_id]
    assert {order.order_id for order in taken} == {
        report.order_id for report in reports if report.kind == types.REPORT_KIND_ACCEPTED
    }
    for order in taken:
        check_order(order, by_order[order.order_id], news[order.order_id])
    refused = Counter(
        (report.client_order_id, report.reason, report.sequence)
        for report in reports
        if report.kind == types.REPORT_KIND_REJECTED and not report.repeated
    )
    assert refused == Counter(
        (order.client_order_id, order.reason, order.sequence)
        for order in orders
        if order.status == types.ORDER_STATUS_REJECTED
    )


def check_order(order: types.Order, fills: list[types.Fill], news: list[types.Report]) -> None:
    executed = sum(fill.quantity_lots for fill in fills)
    assert order.executed_lots == executed
    assert micros(order.executed_value) == sum(map(value_of, fills))
    assert micros(order.fees) == sum(micros(fill.fee) + micros(fill.tax) for fill in fills)
    changing = [report for report in news if report.kind != types.REPORT_KIND_AMEND_REJECTED]
    last = changing[-1]
    assert (order.sequence, order.update_time.ToNanoseconds()) == (last.sequence, last.event_time_ns)
    assert (order.create_time.ToNanoseconds(), order.client_order_id) == (
        changing[0].event_time_ns,
        changing[0].client_order_id,
    )
    terms = [report for report in changing if report.kind in TERMS][-1]
    assert order.price_ticks == terms.price_ticks
    resting = last.leaves_lots > 0
    assert order.leaves_lots == last.leaves_lots
    if resting:
        assert order.quantity_lots == executed + order.leaves_lots
        expected = types.ORDER_STATUS_PARTIALLY_FILLED if executed else types.ORDER_STATUS_OPEN
        assert (order.status, order.reason) == (expected, types.REASON_UNSPECIFIED)
    elif last.kind == types.REPORT_KIND_CANCELLED:
        assert (order.status, order.reason) == (types.ORDER_STATUS_CANCELLED, last.reason)
    else:
        assert (order.status, order.quantity_lots) == (types.ORDER_STATUS_FILLED, executed)


def check_ledger(
    entries: list[account_pb2.LedgerEntry],
    fills: list[types.Fill],
    account: account_pb2.GetAccountResponse,
) -> None:
    """Entries are the fills and the transfers, and add up to the balances."""
    moved: Counter[tuple[int, int, Any]] = Counter()
    cash: Counter[str] = Counter()
    lots: Counter[int] = Counter()
    for entry in entries:
        cash[entry.cash.currency_code] += micros(entry.cash) if entry.HasField("cash") else 0
        lots[entry.instrument_id] += entry.quantity_lots
        amount = micros(entry.cash) if entry.HasField("cash") else 0
        if entry.order_id:
            moved[entry.sequence, entry.order_id, entry.kind] += amount
    expected: Counter[tuple[int, int, Any]] = Counter()
    for fill in fills:
        sign = 1 if fill.side == types.SIDE_SELL else -1
        for kind, amount in (
            (account_pb2.LEDGER_ENTRY_KIND_TRADE, sign * value_of(fill)),
            (account_pb2.LEDGER_ENTRY_KIND_FEE, -micros(fill.fee)),
            (account_pb2.LEDGER_ENTRY_KIND_TAX, -micros(fill.tax)),
        ):
            expected[fill.trade_id, fill.order_id, kind] += amount
    assert {key: amount for key, amount in moved.items() if amount} == {
        key: amount for key, amount in expected.items() if amount
    }
    assert {row.total.currency_code: micros(row.total) for row in account.cash} == {
        code: cash[code] for code in CURRENCIES.values()
    }
    assert {row.instrument_id: row.total_lots for row in account.holdings} == {
        number: lots[number] for number in CURRENCIES
    }


def check_holds(
    account: account_pb2.GetAccountResponse, orders: list[types.Order], fills: list[types.Fill], day: int
) -> None:
    """What is held is what the open orders may need; T+1 holds the day's purchases too."""
    open_orders = [order for order in orders if order.leaves_lots]
    assert account.open_order_count == len(open_orders)
    held: Counter[str] = Counter()
    lots: Counter[int] = Counter()
    for order in open_orders:
        if order.side == types.SIDE_SELL:
            lots[order.instrument_id] += order.leaves_lots
            continue
        value = order.price_ticks * order.leaves_lots * TICK_VALUES[order.instrument_id]
        rules = (SHARE, COIN)[order.instrument_id - 1]
        fee = -(-value * max(rules["maker_fee_ppm"], rules["taker_fee_ppm"]) // 1_000_000)
        held[CURRENCIES[order.instrument_id]] += value + fee
    bought = sum(
        fill.quantity_lots
        for fill in fills
        if (fill.instrument_id, fill.side) == (1, types.SIDE_BUY) and fill.trade_id > day
    )
    for row in account.cash:
        assert micros(row.held) == held[row.held.currency_code]
        assert micros(row.free) == micros(row.total) - micros(row.held)
    for holding in account.holdings:
        assert holding.held_lots == lots[holding.instrument_id]
        assert holding.bought_today_lots == (bought if holding.instrument_id == 1 else 0)
        free = holding.total_lots - holding.held_lots - holding.bought_today_lots
        assert holding.available_lots == free


def check_market(
    instrument_id: int,
    trades: list[market_data_pb2.Trade],
    book: market_data_pb2.BookSnapshot,
    fills: list[types.Fill],
    orders: list[types.Order],
) -> None:
    """Each public trade is one fill that rested and one that arrived, and the book is the open orders."""
    sides = {(fill.trade_id, fill.liquidity): fill for fill in fills if fill.instrument_id == instrument_id}
    assert len(sides) == 2 * len(trades)
    for traded in trades:
        maker = sides[traded.trade_id, types.LIQUIDITY_MAKER]
        taker = sides[traded.trade_id, types.LIQUIDITY_TAKER]
        assert {maker.side, taker.side} == {types.SIDE_BUY, types.SIDE_SELL}
        assert (traded.maker_order_id, traded.taker_order_id) == (maker.order_id, taker.order_id)
        for fill in (maker, taker):
            assert (fill.price_ticks, fill.quantity_lots) == (traded.price_ticks, traded.quantity_lots)
        assert traded.taker_side == taker.side
    assert sorted((row.order_id, row.side, row.price_ticks, row.quantity_lots) for row in book.orders) == (
        sorted(
            (order.order_id, order.side, order.price_ticks, order.leaves_lots)
            for order in orders
            if order.leaves_lots and order.instrument_id == instrument_id
        )
    )
    assert [trade.trade_id for trade in trades] == sorted({trade.trade_id for trade in trades}, reverse=True)


def check_candles(
    candles: list[market_data_pb2.Candle], trades: list[market_data_pb2.Trade], seconds: int
) -> None:
    spans = defaultdict(list)
    for traded in reversed(trades):
        spans[traded.trade_time_ns // (seconds * 10**9) * seconds].append(traded)
    assert [candle.start_time.seconds for candle in candles] == sorted(spans, reverse=True)
    for candle in candles:
        span = spans[candle.start_time.seconds]
        prices = [traded.price_ticks for traded in span]
        assert (candle.open_ticks, candle.high_ticks, candle.low_ticks, candle.close_ticks) == (
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
        )
        assert candle.volume_lots == sum(traded.quantity_lots for traded in span)
        value = sum(traded.price_ticks * traded.quantity_lots for traded in span)
        assert candle.value_micros == value * TICK_VALUES[candle.instrument_id]
        assert (candle.trade_count, candle.sequence) == (len(span), span[-1].trade_id)
