"""What each event of the market does to the book. `fold` is the whole flow; everything else is in named steps."""

from __future__ import annotations

from typing import Any

from positions.domain.book import words
from positions.domain.book.compiled import inline, kernel, total, whole
from positions.domain.book.fills import note_fills
from positions.domain.book.marking import equity_of, growth_at, in_base, mark_ticks, take_flow, worth
from positions.domain.book.orders import rest, shrink
from positions.domain.book.places import account_place
from positions.domain.book.tables import Tables
from positions.domain.book.trading import bring_in, buy, sell, take_out, trade_value


@kernel
def fold(tables: Tables, events: Any, first_sequence: int, time_ns: int) -> None:
    """Take events in, of one batch of the log. `with_room` must have made room for them."""
    head = tables.header[0]
    for at in range(len(events)):
        event = events[at]
        kind = event["kind"]
        if kind == words.TRADE:
            _trade(tables, event, first_sequence + at, time_ns)
        elif kind == words.ACCEPTED:
            # Its leaves are what rests once the whole command is done: trades and reductions that follow are in them.
            head["arriving"] = event["order_id"]
            head["arriving_type"] = event["order_type"]
            _rest(tables, event)
        elif kind == words.AMENDED:
            if not event["flags"] & words.KEPT_PRIORITY:
                head["arriving"] = event["order_id"]
                head["arriving_type"] = words.LIMIT  # no other rests
            _rest(tables, event)
        elif kind == words.CANCELLED:
            shrink(tables, event["order_id"], 0)
        elif kind == words.REDUCED:
            if event["order_id"] != head["arriving"]:
                shrink(tables, event["order_id"], event["leaves_lots"])
        elif kind >= words.REFERENCE_PRICE_SET:
            _venue_event(tables, event, first_sequence + at, time_ns)
    head["sequence"] = first_sequence + len(events) - 1
    head["time_ns"] = time_ns


@kernel
def fold_batches(tables: Tables, events: Any, ends: Any, first_sequences: Any, times_ns: Any) -> None:
    """Take several batches in: the events of all, where those of each end, the sequence of its first, and its time."""
    begin = 0
    for batch in range(len(ends)):
        fold(tables, events[begin : ends[batch]], first_sequences[batch], times_ns[batch])
        begin = ends[batch]


@inline
def _venue_event(tables: Tables, event: Any, sequence: int, time_ns: int) -> None:
    kind = event["kind"]
    if kind == words.CASH_DEPOSITED:
        _move_cash(tables, event, event["required"])
    elif kind == words.CASH_WITHDRAWN:
        _move_cash(tables, event, -event["required"])
    elif kind == words.SHARES_DEPOSITED:
        account = account_place(tables, whole(event["account_id"]))
        bring_in(tables, account, whole(event["instrument_id"]), event["quantity_lots"], sequence, time_ns)
    elif kind == words.SHARES_WITHDRAWN:
        account = account_place(tables, whole(event["account_id"]))
        take_out(tables, account, whole(event["instrument_id"]), event["quantity_lots"])
    elif kind == words.REFERENCE_PRICE_SET:
        instrument = tables.instruments[event["instrument_id"]]
        instrument["reference"] = event["price_ticks"]
        instrument["reference_set"] = 1
        instrument["changed"] = 1
        instrument["moved"] = 1
    elif kind == words.DAY_ROLLED:
        _roll_day(tables, event["available"])


@inline
def _trade(tables: Tables, event: Any, sequence: int, time_ns: int) -> None:
    number = whole(event["instrument_id"])
    price = event["price_ticks"]
    quantity = event["quantity_lots"]
    instrument = tables.instruments[number]
    note_fills(tables, event, sequence, time_ns, mark_ticks(tables, number))
    instrument["last"] = price
    instrument["reference_set"] = 0
    instrument["last_time_ns"] = time_ns
    instrument["volume_today"] = total(instrument["volume_today"], quantity)
    instrument["changed"] = 1
    instrument["moved"] = 1
    value = trade_value(tables, number, price, quantity)
    taker = account_place(tables, whole(event["account_id"]))
    maker = account_place(tables, whole(event["counter_account_id"]))
    # Both sides may be one account: it sells what it had before it buys.
    if event["side"] == words.BUY:
        sell(tables, maker, number, quantity, value, event["counter_fee_micros"], event["tax_micros"])
        buy(tables, taker, number, quantity, value, event["fee_micros"], sequence, time_ns)
    else:
        sell(tables, taker, number, quantity, value, event["fee_micros"], event["tax_micros"])
        buy(tables, maker, number, quantity, value, event["counter_fee_micros"], sequence, time_ns)
    shrink(tables, event["counter_order_id"], event["counter_leaves_lots"])


@inline
def _rest(tables: Tables, event: Any) -> None:
    rest(
        tables,
        whole(event["account_id"]),
        whole(event["instrument_id"]),
        event["order_id"],
        whole(event["side"]),
        event["price_ticks"],
        event["leaves_lots"],
    )


@inline
def _move_cash(tables: Tables, event: Any, amount: int) -> None:
    account = account_place(tables, whole(event["account_id"]))
    currency = whole(event["currency_id"])
    take_flow(tables, account, in_base(tables, currency, amount))
    cash = tables.cash[account, currency]
    cash["total"] = total(cash["total"], amount)


@inline
def _roll_day(tables: Tables, new_day: int) -> None:
    head = tables.header[0]
    head["day"] = new_day
    for number in range(len(tables.instruments)):
        instrument = tables.instruments[number]
        if instrument["tick_value"] == 0:
            continue
        if instrument["last"] > 0 and not instrument["reference_set"]:
            instrument["reference"] = instrument["last"]
        instrument["volume_today"] = 0
        instrument["changed"] = 1
    for place in range(head["holdings"]):
        holding = tables.holdings[place]
        holding["bought_today"] = 0
        holding["day_flow"] = 0
        holding["day_start_value"] = worth(tables, holding["instrument"], holding["quantity"])
        holding["changed"] = 1
    for place in range(head["accounts"]):
        account = tables.accounts[place]
        equity = equity_of(tables, place)
        account["peak_growth"] = max(
            account["peak_growth"], growth_at(account["growth"], account["base"], equity)
        )
        account["day_start_equity"] = equity
        account["day_flow"] = 0.0
        account["changed"] = 1
        account["touched"] = 1
        account["active"] = 1
