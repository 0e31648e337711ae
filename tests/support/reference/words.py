"""The words of the contract that the model speaks: kinds, reasons and modes, with the contract's numbers."""

from enum import IntEnum


class Kind(IntEnum):
    """What a command does (`CommandKind`)."""

    PLACE = 1
    CANCEL = 2
    AMEND = 3
    REPLACE = 4
    MASS_CANCEL = 5
    CLOCK = 16
    SESSION_OPEN = 17
    SESSION_BEAT = 18
    SET_TRADING_STATE = 19
    SET_REFERENCE_PRICE = 20
    ROLL_DAY = 21
    DEPOSIT_CASH = 22
    WITHDRAW_CASH = 23
    DEPOSIT_SHARES = 24
    WITHDRAW_SHARES = 25
    CHECKPOINT = 26
    CANCEL_ORDERS = 27
    SET_ACCOUNT_STATE = 28


class EventKind(IntEnum):
    """What happened (`EventKind`)."""

    ACCEPTED = 1
    REJECTED = 2
    TRADE = 3
    CANCELLED = 4
    AMENDED = 5
    AMEND_REJECTED = 6
    CANCEL_REJECTED = 7
    MASS_CANCELLED = 8
    REDUCED = 9
    REPEATED = 10
    INSTRUMENT_DEFINED = 16
    STATE_CHANGED = 17
    REFERENCE_PRICE_SET = 18
    DAY_ROLLED = 19
    CASH_DEPOSITED = 20
    CASH_WITHDRAWN = 21
    SHARES_DEPOSITED = 22
    SHARES_WITHDRAWN = 23
    COMMAND_REJECTED = 24
    SESSION_OPENED = 25
    SESSION_ENDED = 26
    ORDERS_CANCELLED = 27
    ACCOUNT_STATE_CHANGED = 28


class Reason(IntEnum):
    """Why (`Reason`)."""

    INVALID_ID = 1
    REQUEST_TOO_OLD = 2
    REQUEST_FROM_FUTURE = 3
    INVALID_SIDE = 4
    INVALID_ORDER_TYPE = 5
    INVALID_TIME_IN_FORCE = 6
    INVALID_POST_ONLY = 7
    INVALID_SELF_TRADE_PREVENTION = 8
    INVALID_MIN_QUANTITY = 9
    INVALID_EXPIRE_TIME = 10
    UNKNOWN_INSTRUMENT = 11
    INSTRUMENT_HALTED = 12
    INSTRUMENT_CLOSED = 13
    INVALID_QUANTITY = 14
    QUANTITY_TOO_LARGE = 15
    OFF_LOT = 16
    INVALID_PRICE = 17
    OFF_TICK = 18
    PRICE_LIMIT = 19
    NO_LIQUIDITY = 20
    POST_ONLY_WOULD_TRADE = 21
    INSUFFICIENT_FUNDS = 22
    INSUFFICIENT_HOLDINGS = 23
    VENUE_FULL = 24
    UNKNOWN_ORDER = 25
    QUANTITY_BELOW_EXECUTED = 26
    UNKNOWN_SESSION = 27
    INVALID_COMMAND = 28
    INVALID_AMOUNT = 29
    UNKNOWN_CURRENCY = 30
    INVALID_INSTRUMENT = 31
    LIMIT_REACHED = 32
    ACCOUNT_HALTED = 33
    UNKNOWN_ACCOUNT = 34
    CANCELLED_BY_OWNER = 64
    IOC_REST = 65
    FOK_NOT_FILLABLE = 66
    MIN_QUANTITY_NOT_MET = 67
    SELF_TRADE = 68
    MASS_CANCEL = 69
    EXPIRED = 70
    DAY_ENDED = 71
    DISCONNECTED = 72
    LIMITS_MOVED = 73
    CANCELLED_BY_OPERATOR = 74


class Side(IntEnum):
    """Side of an order (`Side`)."""

    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    """How an order is priced (`OrderType`)."""

    LIMIT = 1
    MARKET = 2


class TimeInForce(IntEnum):
    """How long an order stays (`TimeInForce`)."""

    GTC = 1
    DAY = 2
    GTD = 3
    IOC = 4
    FOK = 5


class PostOnly(IntEnum):
    """What keeps an order from taking (`PostOnly`)."""

    REJECT = 1
    SLIDE = 2


class Prevention(IntEnum):
    """What happens when an order meets one of its own account (`SelfTradePrevention`)."""

    NONE = 1
    CANCEL_NEWEST = 2
    CANCEL_OLDEST = 3
    CANCEL_BOTH = 4
    DECREMENT_AND_CANCEL = 5


class OddLots(IntEnum):
    """What may be sold that is no multiple of the board lot (`OddLotRule`)."""

    NONE = 1
    SELL_REST = 2


class Settlement(IntEnum):
    """When bought holdings may be sold (`Settlement`)."""

    T0 = 1
    T1 = 2


class State(IntEnum):
    """Whether an instrument trades (`TradingState`)."""

    OPEN = 1
    HALTED = 2
    CLOSED = 3


class Flag(IntEnum):
    """What an event's kind leaves open (`EventFlag`)."""

    KEPT_PRIORITY = 1
    FIRST_REJECTED = 2
    FIRST_AMEND = 4
