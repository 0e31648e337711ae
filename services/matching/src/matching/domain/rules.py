"""What an instrument takes: lots, prices, steps, the day's limits. Checks give (reason, required, available)."""

from __future__ import annotations

from .book import best_price, opposite
from .compiled import I64, hot, inner
from .state import BANDS, band_at, rules_at
from .words import (
    BUY,
    FAR,
    HALTED,
    INSTRUMENT_CLOSED,
    INSTRUMENT_HALTED,
    INVALID_PRICE,
    MILLION,
    NONE,
    ODD_SELL_REST,
    OFF_LOT,
    OFF_TICK,
    OK,
    OPEN,
    POST_ONLY_REJECT,
    POST_ONLY_WOULD_TRADE,
    PRICE_LIMIT,
    QUANTITY_TOO_LARGE,
    SELL,
)


@inner
def set_limits(b: int, instrument: int) -> None:
    """The day's limits, kept with the rules, since every order is checked against them.

    At least one valid price lies on each side of the reference, where there is one: a limit that is nearer than a tick
    is a tick away (trading rules of the Shenzhen and Shanghai exchanges, 2023). Else a low price could never change.
    """
    rules = rules_at(b, instrument)
    lower = I64(1)
    upper = I64(rules.max_price_ticks)
    if rules.price_limit_ppm != 0:
        lower = (rules.reference_price * (MILLION - rules.price_limit_ppm) + MILLION // 2) // MILLION
        upper = (rules.reference_price * (MILLION + rules.price_limit_ppm) + MILLION // 2) // MILLION
        lower = min(lower, max(valid_price_below(b, instrument, I64(rules.reference_price)), 1))
        upper = max(upper, valid_price_above(b, instrument, I64(rules.reference_price)))
    rules.lower_limit = min(max(lower, 1), rules.max_price_ticks)
    rules.upper_limit = min(max(upper, 1), rules.max_price_ticks)


@hot
def check_trading_state(b: int, instrument: int) -> int:
    """Reason why an instrument takes no orders, or OK."""
    state = rules_at(b, instrument).trading_state
    if state == OPEN:
        return OK
    return INSTRUMENT_HALTED if state == HALTED else INSTRUMENT_CLOSED


@hot
def check_lots(
    b: int, instrument: int, side: int, lots: int, open_lots: int, available: int
) -> tuple[int, int, int]:
    """Largest order, of the lots that are still to trade, and lot rule; `available` is what the account may sell, and
    has sold by this order."""
    rules = rules_at(b, instrument)
    if open_lots > rules.max_order_lots:
        return I64(QUANTITY_TOO_LARGE), I64(rules.max_order_lots), open_lots
    board_lot = I64(rules.board_lot)
    if board_lot == 1 or lots % board_lot == 0:
        return I64(OK), I64(0), I64(0)
    if rules.odd_lot_rule == ODD_SELL_REST and side == SELL and lots % board_lot == available % board_lot:
        return I64(OK), I64(0), I64(0)
    return I64(OFF_LOT), board_lot, available if side == SELL else I64(0)


@hot
def check_price(b: int, instrument: int, price: int) -> tuple[int, int, int]:
    """Range, step and limits of a limit price."""
    rules = rules_at(b, instrument)
    if price < 1 or price > rules.max_price_ticks:
        return I64(INVALID_PRICE), I64(rules.max_price_ticks), I64(0)
    if rules.band_count != 0:
        step = step_at(b, instrument, price)
        if price % step != 0:
            return I64(OFF_TICK), step, I64(0)
    if price > rules.upper_limit:
        return I64(PRICE_LIMIT), I64(rules.upper_limit), price
    if price < rules.lower_limit:
        return I64(PRICE_LIMIT), I64(rules.lower_limit), price
    return I64(OK), I64(0), I64(0)


@inner
def band_of(b: int, instrument: int, price: int) -> int:
    """Index of the tick band that a price lies in, NONE if the instrument has no bands."""
    band = I64(rules_at(b, instrument).band_count) - 1
    while band > 0 and band_at(b, instrument * BANDS + band).from_price > price:
        band -= 1
    return band


@inner
def step_at(b: int, instrument: int, price: int) -> int:
    """Valid prices around a price are multiples of this."""
    band = band_of(b, instrument, price)
    return I64(1) if band == NONE else I64(band_at(b, instrument * BANDS + band).step)


@inner
def valid_price_below(b: int, instrument: int, price: int) -> int:
    """Largest valid price under a price; 0 if there is none."""
    candidate = price - 1
    while candidate > 0:
        band = band_of(b, instrument, candidate)
        if band == NONE:
            return I64(candidate)
        first = I64(band_at(b, instrument * BANDS + band).from_price)
        candidate -= candidate % band_at(b, instrument * BANDS + band).step
        if candidate >= first:
            return I64(candidate)
        candidate = first - 1
    return I64(0)


@inner
def valid_price_above(b: int, instrument: int, price: int) -> int:
    """Smallest valid price over a price; FAR if there is none."""
    candidate = price + 1
    count = I64(rules_at(b, instrument).band_count)
    limit = I64(rules_at(b, instrument).max_price_ticks)
    while candidate <= limit:
        band = band_of(b, instrument, candidate)
        if band == NONE:
            return candidate
        step = I64(band_at(b, instrument * BANDS + band).step)
        beyond = (candidate - 1) % step
        if beyond != step - 1 and candidate > FAR - step:
            return I64(FAR)
        candidate += step - 1 - beyond
        if band + 1 == count:
            return candidate
        following = I64(band_at(b, instrument * BANDS + band + 1).from_price)
        if candidate < following:
            return candidate
        candidate = following
    return I64(FAR)


@inner
def would_trade(side: int, price: int, best: int) -> bool:
    """Whether a limit price meets the best opposite price (or NONE)."""
    if best == NONE:
        return False
    return best <= price if side == BUY else best >= price


@inner
def post_only_price(b: int, instrument: int, side: int, mode: int, price: int) -> tuple[int, int]:
    """Price at which a post-only order rests without trading, or the reason why it cannot, with the best opposite
    price.

    (OK, price) or (reason, best opposite).
    """
    best = best_price(b, instrument, opposite(side))
    if not would_trade(side, price, best):
        return I64(OK), price
    if mode == POST_ONLY_REJECT:
        return I64(POST_ONLY_WOULD_TRADE), best
    rules = rules_at(b, instrument)
    slid = valid_price_below(b, instrument, best) if side == BUY else valid_price_above(b, instrument, best)
    if slid < rules.lower_limit or slid > rules.upper_limit:
        return I64(POST_ONLY_WOULD_TRADE), best
    return I64(OK), slid


@inner
def protecting_price(b: int, instrument: int, side: int, best: int) -> int:
    """How far a market order may walk from the best opposite price."""
    rules = rules_at(b, instrument)
    if side == BUY:
        return I64(min(rules.upper_limit, best * (MILLION + rules.market_band_ppm) // MILLION))
    lowest = (best * (MILLION - rules.market_band_ppm) + MILLION - 1) // MILLION
    return I64(max(max(rules.lower_limit, lowest), 1))
