"""Commands of the venue: instruments, balances, sessions, clock and days (RULES.md §2, §3 and §7)."""

from collections.abc import Iterable

from reference.memory import balance_key, check_time, remember, repeat
from reference.money import available_lots, free_cash, has_room_for_holding
from reference.prices import day_limits
from reference.records import Command, Definition, Event
from reference.state import Instrument, Market, Order, RefusedError, Session
from reference.trading import cancel_resting
from reference.words import EventKind, Kind, OddLots, Reason, Settlement, Side, State, TimeInForce

LARGEST_SUM = 4 * 10**18
LARGEST_ORDER_VALUE = 10**18
LARGEST_FEE_PPM = 100_000
CURRENCIES = range(16)
SHORTEST_GRACE_NS = 10**8
MILLION = 1_000_000


def refuse_command(market: Market, command: Command, refused: RefusedError) -> Event:
    return market.say(
        Event(
            kind=EventKind.COMMAND_REJECTED,
            account_id=command.account_id,
            instrument_id=command.instrument_id,
            request_id=command.request_id,
            reason=refused.reason,
            required=refused.required,
            available=refused.available,
        )
    )


def define(market: Market, definition: Definition) -> None:
    old = market.instruments.get(definition.instrument_id)
    refusal = None
    if not is_sound(definition, new=old is None) or (old and not may_follow(old, definition)):
        refusal = Reason.INVALID_INSTRUMENT
    elif old is None and len(market.instruments) >= market.settings.max_instruments:
        refusal = Reason.LIMIT_REACHED
    outcome = Event(instrument_id=definition.instrument_id, request_id=definition.request_id)
    if refusal:
        outcome.kind, outcome.reason = EventKind.COMMAND_REJECTED, refusal
    else:
        outcome.kind = EventKind.INSTRUMENT_DEFINED
        if old:
            old.rules = definition
        else:
            market.instruments[definition.instrument_id] = Instrument(
                definition, definition.trading_state, definition.reference_price_ticks
            )
    market.say(outcome)
    if not refusal:
        cancel_beyond_limits(market, market.instruments[definition.instrument_id])


def is_sound(rules: Definition, *, new: bool) -> bool:
    """Whether the rules of an instrument make sense by themselves."""
    fees = (rules.maker_fee_ppm, rules.taker_fee_ppm, rules.stamp_duty_ppm)
    return (
        1 <= rules.instrument_id <= 65_535
        and rules.board_lot >= 1
        and rules.odd_lot_rule in list(OddLots)
        and rules.settlement in list(Settlement)
        and (not new or rules.trading_state in list(State))
        and bands_are_sound(rules.bands)
        and 0 <= rules.price_limit_ppm < MILLION
        and 1 <= rules.reference_price_ticks <= rules.max_price_ticks < 2**40
        and 1 <= rules.max_order_lots < 2**40
        and rules.tick_value >= 1
        and rules.max_price_ticks * rules.max_order_lots * rules.tick_value <= LARGEST_ORDER_VALUE
        and 0 <= rules.market_band_ppm <= MILLION
        and all(0 <= fee <= LARGEST_FEE_PPM for fee in fees)
        and rules.currency_id in CURRENCIES
    )


def bands_are_sound(bands: list[tuple[int, int]]) -> bool:
    firsts = [first for first, _ in bands]
    return (
        len(bands) <= 16
        and firsts == sorted(set(firsts))
        and firsts[:1] in ([], [0])
        and all(step >= 1 for _, step in bands)
    )


def may_follow(instrument: Instrument, new: Definition) -> bool:
    """Whether new rules may take the place of an instrument's old ones."""
    old = instrument.rules
    if (old.currency_id, old.tick_value, old.settlement) != (new.currency_id, new.tick_value, new.settlement):
        return False
    if instrument.reference_price > new.max_price_ticks:
        return False
    if not instrument.bids and not instrument.asks:
        return True
    return (
        new.maker_fee_ppm <= old.maker_fee_ppm
        and new.taker_fee_ppm <= old.taker_fee_ppm
        and new.stamp_duty_ppm <= old.stamp_duty_ppm
        and new.max_price_ticks >= old.max_price_ticks
        and new.max_order_lots >= old.max_order_lots
    )


def set_trading_state(market: Market, command: Command) -> None:
    if command.instrument_id and command.instrument_id not in market.instruments:
        refuse_command(market, command, RefusedError(Reason.UNKNOWN_INSTRUMENT))
        return
    if command.trading_state not in list(State):
        refuse_command(market, command, RefusedError(Reason.INVALID_COMMAND))
        return
    for instrument_id in [command.instrument_id] if command.instrument_id else sorted(market.instruments):
        market.instruments[instrument_id].trading_state = command.trading_state
        market.say(
            Event(
                kind=EventKind.STATE_CHANGED,
                instrument_id=instrument_id,
                trading_state=command.trading_state,
                request_id=command.request_id,
            )
        )


def set_reference_price(market: Market, command: Command) -> None:
    instrument = market.instruments.get(command.instrument_id)
    if instrument is None:
        refuse_command(market, command, RefusedError(Reason.UNKNOWN_INSTRUMENT))
        return
    largest = instrument.rules.max_price_ticks
    if not 1 <= command.price_ticks <= largest:
        refuse_command(market, command, RefusedError(Reason.INVALID_PRICE, largest))
        return
    instrument.reference_price = command.price_ticks
    instrument.traded_since = False
    market.say(
        Event(
            kind=EventKind.REFERENCE_PRICE_SET,
            instrument_id=command.instrument_id,
            price_ticks=command.price_ticks,
            request_id=command.request_id,
        )
    )
    cancel_beyond_limits(market, instrument)


def cancel_beyond_limits(market: Market, instrument: Instrument) -> None:
    """The day's limits have moved: whoever would trade outside them goes."""
    down, up = day_limits(instrument)
    bids = [order for order in instrument.bids if order.price > up]
    asks = [order for order in instrument.asks if order.price < down]
    for order in bids + asks:
        cancel_resting(market, order, Reason.LIMITS_MOVED)


def cancel_orders(market: Market, command: Command) -> None:
    """CANCEL_ORDERS."""
    if command.side not in [0, *Side]:
        refuse_command(market, command, RefusedError(Reason.INVALID_SIDE))
        return
    if not command.account_id and not command.instrument_id:
        refuse_command(market, command, RefusedError(Reason.INVALID_COMMAND))
        return
    if command.account_id:
        found = [
            order for _, order in sorted(market.orders.items()) if order.account_id == command.account_id
        ]
    else:
        instrument = market.instruments.get(command.instrument_id)
        found = instrument.bids + instrument.asks if instrument else []
    meant = [
        order
        for order in found
        if command.instrument_id in (0, order.instrument_id) and command.side in (0, order.side)
    ]
    for order in meant:
        cancel_resting(market, order, Reason.CANCELLED_BY_OPERATOR, command.request_id)
    market.say(
        Event(
            kind=EventKind.ORDERS_CANCELLED,
            account_id=command.account_id,
            instrument_id=command.instrument_id,
            side=command.side,
            quantity_lots=len(meant),
            request_id=command.request_id,
        )
    )


def set_account_state(market: Market, command: Command) -> None:
    """SET_ACCOUNT_STATE."""
    if command.trading_state not in (State.OPEN, State.HALTED):
        refuse_command(market, command, RefusedError(Reason.INVALID_COMMAND))
        return
    if command.account_id not in market.accounts:
        refuse_command(market, command, RefusedError(Reason.UNKNOWN_ACCOUNT))
        return
    if command.trading_state == State.HALTED:
        market.halted_accounts.add(command.account_id)
    else:
        market.halted_accounts.discard(command.account_id)
    market.say(
        Event(
            kind=EventKind.ACCOUNT_STATE_CHANGED,
            account_id=command.account_id,
            trading_state=command.trading_state,
            request_id=command.request_id,
        )
    )


def move_balance(market: Market, command: Command) -> None:
    """DEPOSIT_CASH, WITHDRAW_CASH, DEPOSIT_SHARES and WITHDRAW_SHARES."""
    if command.request_id <= 0 or command.account_id == 0:
        refuse_command(market, command, RefusedError(Reason.INVALID_ID))
        return
    key = balance_key(command)
    if repeat(market, key):
        return
    try:
        check_time(market, command.create_time_ns)
    except RefusedError as refused:
        refuse_command(market, command, refused)
        return
    move = move_cash if command.kind in (Kind.DEPOSIT_CASH, Kind.WITHDRAW_CASH) else move_shares
    try:
        outcome = move(market, command)
    except RefusedError as refused:
        outcome = refuse_command(market, command, refused)
    remember(market, key, outcome)


def check_room(market: Market, account_id: int) -> None:
    if account_id not in market.accounts and len(market.accounts) >= market.settings.max_accounts:
        raise RefusedError(Reason.LIMIT_REACHED)


def move_cash(market: Market, command: Command) -> Event:
    account_id, currency, amount = command.account_id, command.currency_id, command.amount_micros
    deposit = command.kind == Kind.DEPOSIT_CASH
    if currency not in CURRENCIES:
        raise RefusedError(Reason.UNKNOWN_CURRENCY)
    if amount <= 0 or (deposit and market.cash_brought_in.get(currency, 0) + amount > LARGEST_SUM):
        raise RefusedError(Reason.INVALID_AMOUNT)
    if deposit:
        check_room(market, account_id)
        market.accounts.add(account_id)
    elif amount > free_cash(market, account_id, currency):
        raise RefusedError(Reason.INSUFFICIENT_FUNDS, amount, free_cash(market, account_id, currency))
    change = amount if deposit else -amount
    cash = market.cash_of(account_id, currency)
    cash.total += change
    market.cash_brought_in[currency] = market.cash_brought_in.get(currency, 0) + change
    return market.say(
        Event(
            kind=EventKind.CASH_DEPOSITED if deposit else EventKind.CASH_WITHDRAWN,
            account_id=account_id,
            currency_id=currency,
            required=amount,
            available=cash.total,
            request_id=command.request_id,
        )
    )


def move_shares(market: Market, command: Command) -> Event:
    account_id, instrument_id, lots = command.account_id, command.instrument_id, command.quantity_lots
    deposit = command.kind == Kind.DEPOSIT_SHARES
    if instrument_id not in market.instruments:
        raise RefusedError(Reason.UNKNOWN_INSTRUMENT)
    if lots <= 0 or (deposit and market.shares_brought_in.get(instrument_id, 0) + lots > LARGEST_SUM):
        raise RefusedError(Reason.INVALID_AMOUNT)
    if deposit:
        check_room(market, account_id)
        if not has_room_for_holding(market):
            raise RefusedError(Reason.LIMIT_REACHED)
        market.accounts.add(account_id)
    elif lots > available_lots(market, account_id, instrument_id):
        available = available_lots(market, account_id, instrument_id)
        raise RefusedError(Reason.INSUFFICIENT_HOLDINGS, lots, available)
    change = lots if deposit else -lots
    holding = market.holding_of(account_id, instrument_id)
    holding.total += change
    market.shares_brought_in[instrument_id] = market.shares_brought_in.get(instrument_id, 0) + change
    return market.say(
        Event(
            kind=EventKind.SHARES_DEPOSITED if deposit else EventKind.SHARES_WITHDRAWN,
            account_id=account_id,
            instrument_id=instrument_id,
            quantity_lots=lots,
            available=holding.total,
            request_id=command.request_id,
        )
    )


def cancel_all(market: Market, orders: Iterable[Order], reason: Reason) -> int:
    """Cancel orders by ascending id; returns how many."""
    meant = sorted(orders, key=lambda order: order.order_id)
    for order in meant:
        cancel_resting(market, order, reason)
    return len(meant)


def clock(market: Market) -> None:
    """What is due happens: GTD orders expire, silent sessions end."""
    due = [
        order
        for order in market.orders.values()
        if order.time_in_force == TimeInForce.GTD and order.expire_time_ns <= market.now
    ]
    for order in sorted(due, key=lambda order: (order.expire_time_ns, order.order_id)):
        cancel_resting(market, order, Reason.EXPIRED)
    for session_id, session in sorted(market.sessions.items()):
        if session.last_beat_ns + session.grace_ns < market.now:
            end_session(market, session_id, session)


def end_session(market: Market, session_id: int, session: Session) -> None:
    own = [order for order in market.orders.values() if order.session_id == session_id]
    count = cancel_all(market, own, Reason.DISCONNECTED)
    del market.sessions[session_id]
    market.say(
        Event(
            kind=EventKind.SESSION_ENDED,
            account_id=session.account_id,
            order_id=session_id,
            quantity_lots=count,
        )
    )


def open_session(market: Market, command: Command) -> None:
    session = market.sessions.get(command.session_id)
    refusal = None
    if command.session_id <= 0 or command.grace_ns < SHORTEST_GRACE_NS:
        refusal = Reason.INVALID_ID
    elif session and session.account_id != command.account_id:
        refusal = Reason.UNKNOWN_SESSION
    elif not session and len(market.sessions) >= market.settings.max_sessions:
        refusal = Reason.LIMIT_REACHED
    if refusal:
        refuse_command(market, command, RefusedError(refusal))
        return
    market.sessions[command.session_id] = Session(command.account_id, command.grace_ns, market.now)
    market.say(
        Event(
            kind=EventKind.SESSION_OPENED,
            account_id=command.account_id,
            order_id=command.session_id,
            request_id=command.request_id,
        )
    )


def beat(market: Market, command: Command) -> None:
    session = market.sessions.get(command.session_id)
    if session is None or session.account_id != command.account_id:
        refuse_command(market, command, RefusedError(Reason.UNKNOWN_SESSION))
        return
    session.last_beat_ns = market.now


def roll_day(market: Market, command: Command) -> None:
    if command.trading_day != market.trading_day:
        refused = RefusedError(Reason.INVALID_COMMAND, market.trading_day, command.trading_day)
        refuse_command(market, command, refused)
        return
    of_the_day = [order for order in market.orders.values() if order.time_in_force == TimeInForce.DAY]
    count = cancel_all(market, of_the_day, Reason.DAY_ENDED)
    for holding in market.holdings.values():
        holding.bought_today = 0
    for _, instrument in sorted(market.instruments.items()):
        if instrument.traded_since:
            instrument.reference_price = min(instrument.last_price, instrument.rules.max_price_ticks)
        cancel_beyond_limits(market, instrument)
    market.trading_day += 1
    market.say(
        Event(
            kind=EventKind.DAY_ROLLED,
            quantity_lots=count,
            available=market.trading_day,
            request_id=command.request_id,
        )
    )
