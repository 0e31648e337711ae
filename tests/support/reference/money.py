"""Values, fees, reserves and settlement (RULES.md §1 and §3)."""

from reference.records import Definition
from reference.state import Instrument, Market, Order, RefusedError
from reference.words import Reason, Settlement, Side

MILLION = 1_000_000


def value(rules: Definition, price: int, lots: int) -> int:
    return price * lots * rules.tick_value


def fee(amount: int, ppm: int) -> int:
    """A share of an amount, rounded down to a micro."""
    return amount * ppm // MILLION


def fee_up(amount: int, ppm: int) -> int:
    """A share of an amount, rounded up to a micro."""
    return -(-amount * ppm // MILLION)


def needed_reserve(rules: Definition, side: int, price: int, lots: int) -> int:
    """What an order must hold: value and the larger fee of a buy, lots of a sell."""
    if side == Side.SELL:
        return lots
    worth = value(rules, price, lots)
    return worth + fee_up(worth, max(rules.maker_fee_ppm, rules.taker_fee_ppm))


def available_lots(market: Market, account_id: int, instrument_id: int) -> int:
    holding = market.holdings.get((account_id, instrument_id))
    return holding.available if holding else 0


def free_cash(market: Market, account_id: int, currency_id: int) -> int:
    cash = market.cash.get((account_id, currency_id))
    return cash.total - cash.held if cash else 0


def has_room_for_holding(market: Market) -> bool:
    """Whether one more order may come to hold lots of something new."""
    return len(market.holdings) + len(market.orders) < market.settings.max_holdings


def check_reserve(
    market: Market, instrument: Instrument, account_id: int, side: int, price: int, lots: int, own: int = 0
) -> None:
    """Refuse an order that its account cannot pay; `own` is what the order holds already."""
    rules = instrument.rules
    required = needed_reserve(rules, side, price, lots)
    if side == Side.BUY:
        available = free_cash(market, account_id, rules.currency_id) + own
        reason = Reason.INSUFFICIENT_FUNDS
    else:
        available = available_lots(market, account_id, rules.instrument_id) + own
        reason = Reason.INSUFFICIENT_HOLDINGS
    if required > available:
        raise RefusedError(reason, required, available)


def book_reserve(market: Market, order: Order) -> None:
    """Make what an order holds fit its price and leaves under the rules as they stand."""
    rules = market.instruments[order.instrument_id].rules
    needed = needed_reserve(rules, order.side, order.price, order.leaves) if order.leaves else 0
    change = needed - order.reserve
    if order.side == Side.BUY:
        market.cash_of(order.account_id, rules.currency_id).held += change
    else:
        market.holding_of(order.account_id, order.instrument_id).held += change
    order.reserve = needed


def settle(
    market: Market, buy: Order, sell: Order, price: int, lots: int, buy_ppm: int, sell_ppm: int
) -> int:
    """Move the money and the lots of a trade; return the duty. The orders' leaves are the new ones."""
    rules = market.instruments[buy.instrument_id].rules
    currency = rules.currency_id
    worth = value(rules, price, lots)
    duty = fee(worth, rules.stamp_duty_ppm)
    market.cash_of(buy.account_id, currency).total -= worth + fee(worth, buy_ppm)
    market.cash_of(sell.account_id, currency).total += worth - fee(worth, sell_ppm) - duty
    market.fees[currency] = market.fees.get(currency, 0) + fee(worth, buy_ppm) + fee(worth, sell_ppm)
    market.duties[currency] = market.duties.get(currency, 0) + duty
    market.holding_of(sell.account_id, sell.instrument_id).total -= lots
    bought = market.holding_of(buy.account_id, buy.instrument_id)
    bought.total += lots
    if rules.settlement == Settlement.T1:
        bought.bought_today += lots
    book_reserve(market, buy)
    book_reserve(market, sell)
    return duty
