"""What goes into the model and comes out of it, with the contract's fields."""

from dataclasses import dataclass, field


@dataclass
class Command:
    """One request (`Command` of log.proto). Fields that its kind does not use are zero."""

    kind: int = 0
    account_id: int = 0
    instrument_id: int = 0
    client_order_id: int = 0
    side: int = 0
    order_type: int = 0
    time_in_force: int = 0
    price_ticks: int = 0
    quantity_lots: int = 0
    create_time_ns: int = 0
    order_id: int = 0
    request_id: int = 0
    post_only: int = 0
    self_trade_prevention: int = 0
    trading_state: int = 0
    min_quantity_lots: int = 0
    expire_time_ns: int = 0
    session_id: int = 0
    grace_ns: int = 0
    currency_id: int = 0
    amount_micros: int = 0
    trading_day: int = 0


@dataclass
class Event:
    """One thing that happened (`Event` of log.proto). Fields that its kind does not use are zero."""

    kind: int = 0
    command_index: int = 0
    instrument_id: int = 0
    account_id: int = 0
    order_id: int = 0
    client_order_id: int = 0
    side: int = 0
    price_ticks: int = 0
    quantity_lots: int = 0
    leaves_lots: int = 0
    reason: int = 0
    request_id: int = 0
    required: int = 0
    available: int = 0
    counter_account_id: int = 0
    counter_order_id: int = 0
    counter_client_order_id: int = 0
    counter_leaves_lots: int = 0
    fee_micros: int = 0
    counter_fee_micros: int = 0
    tax_micros: int = 0
    order_type: int = 0
    time_in_force: int = 0
    expire_time_ns: int = 0
    currency_id: int = 0
    trading_state: int = 0
    flags: int = 0


@dataclass
class Definition:
    """An instrument's rules in numbers. `bands` are (first price, step), ascending."""

    instrument_id: int = 0
    currency_id: int = 0
    tick_value: int = 1
    board_lot: int = 1
    odd_lot_rule: int = 1
    bands: list[tuple[int, int]] = field(default_factory=list)
    price_limit_ppm: int = 0
    reference_price_ticks: int = 1
    max_price_ticks: int = 1
    max_order_lots: int = 1
    market_band_ppm: int = 0
    settlement: int = 1
    maker_fee_ppm: int = 0
    taker_fee_ppm: int = 0
    stamp_duty_ppm: int = 0
    trading_state: int = 1
    request_id: int = 0


@dataclass(frozen=True)
class Settings:
    """The sizes of the venue."""

    window: int = 4_194_304
    max_orders: int = 4_194_304
    max_accounts: int = 65_536
    max_instruments: int = 4_096
    max_holdings: int = 16_777_216
    max_sessions: int = 65_536
    skew_ns: int = 2_000_000_000
