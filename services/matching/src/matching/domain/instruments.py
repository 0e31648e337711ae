"""Instruments: their definition, trading state and reference price."""

from __future__ import annotations

from typing import Any

from .book import book_of, key_of, open_book
from .compiled import I64, hot, inner, rows
from .events import refuse_command, say
from .orders import cancel_resting
from .rules import set_limits
from .state import (
    BANDS,
    INSTRUMENT,
    INSTRUMENT_IDS,
    WORD,
    band_at,
    book_at,
    head,
    level_at,
    listed_at,
    rules_at,
)
from .words import (
    BUY,
    CLOSED,
    COMMAND_REJECTED,
    CURRENCIES,
    DEFINED,
    INSTRUMENT_DEFINED,
    INVALID_COMMAND,
    INVALID_INSTRUMENT,
    INVALID_PRICE,
    LARGEST_FEE_PPM,
    LARGEST_ORDER_VALUE,
    LIMIT_REACHED,
    LIMITS_MOVED,
    MILLION,
    ODD_NONE,
    ODD_SELL_REST,
    OK,
    OPEN,
    REFERENCE_PRICE_SET,
    REFERENCE_SET,
    SELL,
    STATE_CHANGED,
    T0,
    T1,
    UNKNOWN_INSTRUMENT,
)

_PRICE_END = 1 << 40
_fields: Any = INSTRUMENT.fields
band_from_at = rows(WORD, int(_fields["band_from"][1]))
band_step_at = rows(WORD, int(_fields["band_step"][1]))


@hot
def is_instrument(b: int, instrument: int) -> bool:
    """Whether an instrument is defined."""
    return 0 < instrument < INSTRUMENT_IDS and rules_at(b, instrument).marks != 0


@inner
def define(b: int, address: int, definition: Any) -> None:
    """Set the rules of a new or known instrument; `address` is where the definition's row stands."""
    h = head(b)
    instrument = I64(definition.instrument_id)
    known = is_instrument(b, instrument)
    reason = I64(OK)
    if not _is_sound(address, definition, not known) or (
        known and not _may_follow(b, instrument, definition)
    ):
        reason = I64(INVALID_INSTRUMENT)
    elif not known and h.instruments >= h.max_instruments:
        reason = I64(LIMIT_REACHED)
    if reason == OK:
        _write_rules(b, instrument, address, definition, not known)
    event = say(b, INSTRUMENT_DEFINED if reason == OK else COMMAND_REJECTED)
    event.instrument_id = instrument
    event.request_id = definition.request_id
    event.reason = reason
    if reason == OK:
        cancel_beyond_limits(b, instrument)


@inner
def _is_sound(address: int, d: Any, new: bool) -> bool:
    """Whether rules make sense by themselves."""
    if d.instrument_id < 1 or d.instrument_id >= INSTRUMENT_IDS or d.currency_id >= CURRENCIES:
        return False
    if d.board_lot < 1 or d.odd_lot_rule < ODD_NONE or d.odd_lot_rule > ODD_SELL_REST:
        return False
    if (
        d.settlement < T0
        or d.settlement > T1
        or (new and (d.trading_state < OPEN or d.trading_state > CLOSED))
    ):
        return False
    if d.price_limit_ppm < 0 or d.price_limit_ppm >= MILLION:
        return False
    if d.market_band_ppm < 0 or d.market_band_ppm > MILLION:
        return False
    if not (_is_fee(d.maker_fee_ppm) and _is_fee(d.taker_fee_ppm) and _is_fee(d.stamp_duty_ppm)):
        return False
    if d.max_price_ticks < 1 or d.max_price_ticks >= _PRICE_END:
        return False
    if d.reference_price_ticks < 1 or d.reference_price_ticks > d.max_price_ticks:
        return False
    if d.max_order_lots < 1 or d.max_order_lots >= _PRICE_END:
        return False
    # Division, since the product of the three may not fit in 64 bits.
    if d.tick_value < 1 or d.tick_value > LARGEST_ORDER_VALUE // d.max_price_ticks // d.max_order_lots:
        return False
    return _bands_are_sound(address, I64(d.band_count))


@inner
def _is_fee(ppm: int) -> bool:
    return 0 <= ppm <= LARGEST_FEE_PPM


@inner
def _bands_are_sound(address: int, count: int) -> bool:
    if count > BANDS:
        return False
    for band in range(count):
        first = band_from_at(address, band).value
        if band_step_at(address, band).value < 1:
            return False
        if band == 0 and first != 0:
            return False
        if band > 0 and first <= band_from_at(address, band - 1).value:
            return False
    return True


@inner
def _may_follow(b: int, instrument: int, d: Any) -> bool:
    """Whether rules may take the place of those that there are: what rests must stay covered and countable."""
    rules = rules_at(b, instrument)
    if (
        rules.currency_id != d.currency_id
        or rules.tick_value != d.tick_value
        or rules.settlement != d.settlement
        or rules.reference_price > d.max_price_ticks
    ):
        return False
    if rules.open_orders == 0:
        return True
    if d.maker_fee_ppm > rules.maker_fee_ppm or d.taker_fee_ppm > rules.taker_fee_ppm:
        return False
    if d.stamp_duty_ppm > rules.stamp_duty_ppm:
        return False
    return d.max_price_ticks >= rules.max_price_ticks and d.max_order_lots >= rules.max_order_lots  # type: ignore[no-any-return]


@inner
def _write_rules(b: int, instrument: int, address: int, d: Any, new: bool) -> None:
    rules = rules_at(b, instrument)
    if new:
        rules.marks = DEFINED
        rules.trading_state = d.trading_state
        rules.reference_price = d.reference_price_ticks
        open_book(b, instrument)
        _list(b, instrument)
    rules.currency_id = d.currency_id
    rules.tick_value = d.tick_value
    rules.board_lot = d.board_lot
    rules.odd_lot_rule = d.odd_lot_rule
    rules.price_limit_ppm = d.price_limit_ppm
    rules.max_price_ticks = d.max_price_ticks
    rules.max_order_lots = d.max_order_lots
    rules.market_band_ppm = d.market_band_ppm
    rules.settlement = d.settlement
    rules.maker_fee_ppm = d.maker_fee_ppm
    rules.taker_fee_ppm = d.taker_fee_ppm
    rules.stamp_duty_ppm = d.stamp_duty_ppm
    rules.reserve_ppm = max(d.maker_fee_ppm, d.taker_fee_ppm)
    rules.band_count = d.band_count
    for band in range(d.band_count):
        row = band_at(b, instrument * BANDS + band)
        row.from_price = band_from_at(address, band).value
        row.step = band_step_at(address, band).value
    set_limits(b, instrument)


@inner
def _list(b: int, instrument: int) -> None:
    """Put an instrument into the list of all, which is sorted."""
    h = head(b)
    place = I64(h.instruments)
    while place > 0 and listed_at(b, place - 1).slot > instrument:
        listed_at(b, place).slot = listed_at(b, place - 1).slot
        place -= 1
    listed_at(b, place).slot = instrument
    h.instruments += 1


@inner
def set_trading_state(b: int, command: Any) -> None:
    """SET_TRADING_STATE of one or all instruments."""
    instrument = I64(command.instrument_id)
    if instrument != 0 and not is_instrument(b, instrument):
        refuse_command(b, command, UNKNOWN_INSTRUMENT, 0, 0)
        return
    if command.trading_state < OPEN or command.trading_state > CLOSED:
        refuse_command(b, command, INVALID_COMMAND, 0, 0)
        return
    if instrument != 0:
        _change_state(b, instrument, command)
        return
    for place in range(head(b).instruments):
        _change_state(b, I64(listed_at(b, place).slot), command)


@inner
def _change_state(b: int, instrument: int, command: Any) -> None:
    rules_at(b, instrument).trading_state = command.trading_state
    event = say(b, STATE_CHANGED)
    event.instrument_id = instrument
    event.trading_state = command.trading_state
    event.request_id = command.request_id


@inner
def set_reference_price(b: int, command: Any) -> None:
    """SET_REFERENCE_PRICE."""
    instrument = I64(command.instrument_id)
    if not is_instrument(b, instrument):
        refuse_command(b, command, UNKNOWN_INSTRUMENT, 0, 0)
        return
    rules = rules_at(b, instrument)
    if command.price_ticks < 1 or command.price_ticks > rules.max_price_ticks:
        refuse_command(b, command, INVALID_PRICE, I64(rules.max_price_ticks), 0)
        return
    rules.reference_price = command.price_ticks
    rules.marks = DEFINED | REFERENCE_SET
    set_limits(b, instrument)
    event = say(b, REFERENCE_PRICE_SET)
    event.instrument_id = instrument
    event.price_ticks = command.price_ticks
    event.request_id = command.request_id
    cancel_beyond_limits(b, instrument)


@inner
def cancel_beyond_limits(b: int, instrument: int) -> None:
    """Cancel what would trade outside the day's limits now that they have moved: bids above them, asks below.

    Nobody's order can meet those beyond the other limit meanwhile. They stay.
    """
    rules = rules_at(b, instrument)
    _cancel_better(b, instrument, I64(BUY), I64(rules.upper_limit))
    _cancel_better(b, instrument, I64(SELL), I64(rules.lower_limit))


@inner
def _cancel_better(b: int, instrument: int, side: int, limit: int) -> None:
    """Cancel a side's orders at better prices than a limit, in priority."""
    book = book_at(b, book_of(instrument, side))
    while book.best_key < key_of(side, limit):
        cancel_resting(b, I64(level_at(b, I64(book.best_level)).first), LIMITS_MOVED, 0)
