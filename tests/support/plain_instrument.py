"""An instrument of the simplest rules, for tests that need one and do not care which."""

from __future__ import annotations

from smartex.matching.v1 import types_pb2 as types


def plain_instrument() -> types.Instrument:
    """One price, one lot, no limits, no fees, open."""
    return types.Instrument(
        symbol="A",
        name="A",
        currency_code="USD",
        tick_size="1",
        lot_size="1",
        board_lot=1,
        odd_lot_rule=types.ODD_LOT_RULE_NONE,
        reference_price_ticks=1,
        max_price_ticks=1,
        max_order_lots=1,
        settlement=types.SETTLEMENT_T0,
        trading_state=types.TRADING_STATE_OPEN,
    )
