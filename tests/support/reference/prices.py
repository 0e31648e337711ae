"""Which prices and quantities an instrument takes (RULES.md §2 and §5.6 to §5.9)."""

from reference.records import Definition
from reference.state import Instrument, RefusedError
from reference.words import OddLots, PostOnly, Reason, Side

MILLION = 1_000_000


def cut(rules: Definition, price: int) -> int:
    return min(max(price, 1), rules.max_price_ticks)


def day_limits(instrument: Instrument) -> tuple[int, int]:
    """Lowest and highest price of the day."""
    rules = instrument.rules
    if rules.price_limit_ppm == 0:
        return 1, rules.max_price_ticks
    up = (instrument.reference_price * (MILLION + rules.price_limit_ppm) + 500_000) // MILLION
    down = (instrument.reference_price * (MILLION - rules.price_limit_ppm) + 500_000) // MILLION
    # A tick at least, where there is one.
    down = min(down, largest_valid_below(rules, instrument.reference_price) or 1)
    up = max(up, smallest_valid_above(rules, instrument.reference_price) or up)
    return cut(rules, max(1, down)), cut(rules, up)


def step_at(rules: Definition, price: int) -> int:
    step = 1
    for from_price, band_step in rules.bands:
        if from_price <= price:
            step = band_step
    return step


def bands_of(rules: Definition) -> list[tuple[int, int, int]]:
    """(first price, last price, step) of each band, ascending; one with step 1 where there is none."""
    bands = rules.bands or [(0, 1)]
    ends = [first - 1 for first, _ in bands[1:]] + [2**62]
    return [(first, end, step) for (first, step), end in zip(bands, ends, strict=True)]


def largest_valid_below(rules: Definition, price: int) -> int | None:
    for first, last, step in reversed(bands_of(rules)):
        candidate = min(last, price - 1) // step * step
        if candidate >= max(first, 1):
            return candidate
    return None


def smallest_valid_above(rules: Definition, price: int) -> int | None:
    for first, last, step in bands_of(rules):
        candidate = -(-max(first, price + 1) // step) * step
        if candidate <= last:
            return candidate
    return None


def crosses(side: int, price: int, opposite_price: int) -> bool:
    return price >= opposite_price if side == Side.BUY else price <= opposite_price


def check_price(instrument: Instrument, price: int) -> None:
    """Range, step and the day's limits of a limit price."""
    rules = instrument.rules
    if not 1 <= price <= rules.max_price_ticks:
        raise RefusedError(Reason.INVALID_PRICE, rules.max_price_ticks)
    step = step_at(rules, price)
    if price % step:
        raise RefusedError(Reason.OFF_TICK, step)
    down, up = day_limits(instrument)
    if price > up:
        raise RefusedError(Reason.PRICE_LIMIT, up, price)
    if price < down:
        raise RefusedError(Reason.PRICE_LIMIT, down, price)


def protecting_price(instrument: Instrument, side: int) -> int:
    """How far a market order may go from the best opposite price."""
    queue = instrument.opposite(side)
    if not queue:
        raise RefusedError(Reason.NO_LIQUIDITY)
    best, band = queue[0].price, instrument.rules.market_band_ppm
    down, up = day_limits(instrument)
    if side == Side.BUY:
        return min(up, best * (MILLION + band) // MILLION)
    return max(down, -(-best * (MILLION - band) // MILLION), 1)


def post_only_price(instrument: Instrument, side: int, post_only: int, price: int) -> int:
    """The price at which a post-only order may rest: its own, or the one that it slides to."""
    queue = instrument.opposite(side)
    if not post_only or not queue or not crosses(side, price, queue[0].price):
        return price
    best = queue[0].price
    if post_only == PostOnly.REJECT:
        raise RefusedError(Reason.POST_ONLY_WOULD_TRADE, best)
    beside = largest_valid_below if side == Side.BUY else smallest_valid_above
    slid = beside(instrument.rules, best)
    down, up = day_limits(instrument)
    if slid is None or not down <= slid <= up:
        raise RefusedError(Reason.POST_ONLY_WOULD_TRADE, best)
    return slid


def check_lots(rules: Definition, side: int, quantity: int, leaves: int, available: int) -> None:
    """Largest open quantity and the lot rule; `available` is what the account may sell, and has sold by this order."""
    if leaves > rules.max_order_lots:
        raise RefusedError(Reason.QUANTITY_TOO_LARGE, rules.max_order_lots, leaves)
    board_lot = rules.board_lot
    if quantity % board_lot == 0:
        return
    sells_rest = rules.odd_lot_rule == OddLots.SELL_REST and side == Side.SELL
    if not sells_rest or quantity % board_lot != available % board_lot:
        raise RefusedError(Reason.OFF_LOT, board_lot, available if side == Side.SELL else 0)
