"""Databases and instruments for the tests of the watch."""

from __future__ import annotations

from typing import Any

from smartex.matching.v1 import types_pb2


def instrument(number: int, industry: str, risk_level: int = 2, **changes: Any) -> types_pb2.Instrument:
    """A share under A-share rules that settles at once."""
    fields: dict[str, Any] = {
        "instrument_id": number,
        "symbol": f"S{number}",
        "name": f"Share {number}",
        "name_zh": f"股票{number}",
        "currency_code": "CNY",
        "tick_size": "0.01",
        "lot_size": "1",
        "board_lot": 100,
        "odd_lot_rule": types_pb2.ODD_LOT_RULE_SELL_REST,
        "price_limit_ppm": 100_000,
        "reference_price_ticks": 1000,
        "max_price_ticks": 1_000_000,
        "max_order_lots": 1_000_000,
        "settlement": types_pb2.SETTLEMENT_T0,
        "taker_fee_ppm": 250,
        "stamp_duty_ppm": 500,
        "trading_state": types_pb2.TRADING_STATE_OPEN,
        "industry": industry,
        "risk_level": risk_level,
    }
    return types_pb2.Instrument(**(fields | changes))
