"""Both sides of every trade, kept until they are written: what habits are measured from."""

from __future__ import annotations

from typing import Any

from positions.domain.book import words
from positions.domain.book.compiled import inline
from positions.domain.book.tables import Tables


@inline
def note_fills(tables: Tables, event: Any, sequence: int, time_ns: int, previous: int) -> None:
    """Note the taker's and the maker's side of a trade; the seller pays the duty."""
    head = tables.header[0]
    for maker in range(2):
        fill = tables.fills[head["fills"] + maker]
        side = event["side"] if maker == 0 else words.BUY + words.SELL - event["side"]
        fill["sequence"] = sequence
        fill["time_ns"] = time_ns
        fill["instrument_id"] = event["instrument_id"]
        fill["side"] = side
        fill["price_ticks"] = event["price_ticks"]
        fill["quantity_lots"] = event["quantity_lots"]
        fill["tax_micros"] = event["tax_micros"] if side == words.SELL else 0
        fill["previous_ticks"] = previous
        fill["taker"] = maker == 0
        fill["order_type"] = words.LIMIT
    taker = tables.fills[head["fills"]]
    taker["account_id"] = event["account_id"]
    taker["order_id"] = event["order_id"]
    taker["client_order_id"] = event["client_order_id"]
    taker["fee_micros"] = event["fee_micros"]
    if event["order_id"] == head["arriving"]:
        taker["order_type"] = head["arriving_type"]
    resting = tables.fills[head["fills"] + 1]
    resting["account_id"] = event["counter_account_id"]
    resting["order_id"] = event["counter_order_id"]
    resting["client_order_id"] = event["counter_client_order_id"]
    resting["fee_micros"] = event["counter_fee_micros"]
    head["fills"] += 2
