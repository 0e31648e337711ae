"""Small adversarial flows: hypothesis looks for the shortest commands on which core and model differ."""

import os

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from reference.flows import INT64_EDGES, Frame
from reference.records import Command, Definition, Settings
from reference.scenario import SHARE, START_NS, kinds
from reference.twin import Twin
from reference.words import (
    Kind,
    OddLots,
    OrderType,
    PostOnly,
    Prevention,
    Settlement,
    Side,
    State,
    TimeInForce,
)

pytestmark = pytest.mark.once

LONG = bool(float(os.environ.get("SMARTEX_FLOW_SECONDS", "0")))
STEP_NS = 50_000_000
SIZES = Settings(12, 4, max_accounts=3, max_instruments=2, max_sessions=2, skew_ns=STEP_NS)


CLIENT_IDS = st.integers(1, 20)
USUAL: dict[str, st.SearchStrategy[int]] = {
    "account_id": st.integers(1, 2),
    "instrument_id": st.sampled_from([1, 1, 1, 2]),
    "client_order_id": CLIENT_IDS,
    "side": st.sampled_from(Side),
    "order_type": st.sampled_from([1, 1, 1, 1, 2]),
    "time_in_force": st.sampled_from((TimeInForce.GTC, TimeInForce.GTC, *TimeInForce)),
    "price_ticks": st.sampled_from([100, 99, 101, 98, 102, 97, 103]),
    "quantity_lots": st.sampled_from([5, 1, 2, 7, 10, 11]),
    "order_id": st.builds(lambda count, slot: count << 24 | slot, st.integers(0, 4), st.integers(0, 2)),
    "request_id": CLIENT_IDS,
    "post_only": st.sampled_from([0, 0, 0, 0, *PostOnly]),
    "self_trade_prevention": st.sampled_from([0, *Prevention]),
    "trading_state": st.sampled_from([1] * 6 + [2, 3]),
    "min_quantity_lots": st.sampled_from([0, 0, 1, 5]),
    "expire_time_ns": st.sampled_from([START_NS + 30 * STEP_NS, START_NS + 15 * STEP_NS]),
    "session_id": st.sampled_from([0] * 8 + [1, 2]),
    "grace_ns": st.sampled_from([10**8, 10**8, 3 * 10**8]),
    "currency_id": st.integers(0, 1),
    "amount_micros": st.integers(1, 10**4),
    "trading_day": st.integers(1, 3),
}
BYTES = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 255])
NUMBERS = st.sampled_from([0, 1, 2, 3, 15, 16, 2**32 - 1])
ODD = {
    "side": BYTES,
    "order_type": BYTES,
    "time_in_force": BYTES,
    "post_only": BYTES,
    "self_trade_prevention": BYTES,
    "trading_state": BYTES,
    "account_id": NUMBERS,
    "instrument_id": NUMBERS,
    "currency_id": NUMBERS,
}
EDGES = st.sampled_from(INT64_EDGES)

USED = {
    Kind.PLACE: "account_id instrument_id client_order_id side order_type time_in_force price_ticks"
    " quantity_lots post_only self_trade_prevention min_quantity_lots expire_time_ns session_id",
    Kind.CANCEL: "account_id order_id client_order_id request_id",
    Kind.AMEND: "account_id order_id client_order_id request_id price_ticks quantity_lots",
    Kind.REPLACE: "account_id order_id client_order_id request_id price_ticks quantity_lots",
    Kind.MASS_CANCEL: "account_id instrument_id side request_id",
    Kind.CLOCK: "",
    Kind.SESSION_OPEN: "account_id session_id grace_ns",
    Kind.SESSION_BEAT: "account_id session_id",
    Kind.SET_TRADING_STATE: "instrument_id trading_state",
    Kind.SET_REFERENCE_PRICE: "instrument_id price_ticks",
    Kind.ROLL_DAY: "trading_day",
    Kind.DEPOSIT_CASH: "account_id currency_id amount_micros request_id",
    Kind.WITHDRAW_CASH: "account_id currency_id amount_micros request_id",
    Kind.DEPOSIT_SHARES: "account_id instrument_id quantity_lots request_id",
    Kind.WITHDRAW_SHARES: "account_id instrument_id quantity_lots request_id",
    Kind.CANCEL_ORDERS: "account_id instrument_id side request_id",
    Kind.SET_ACCOUNT_STATE: "account_id trading_state request_id",
}


@st.composite
def commands(draw: st.DrawFn, now: int) -> Command:
    """A command that makes sense by itself, in one of eight with a field that does not."""
    kind = draw(st.sampled_from([Kind.PLACE] * 40 + [Kind.AMEND, Kind.REPLACE, Kind.CANCEL] * 5 + list(USED)))
    command = Command(kind=kind, create_time_ns=now + draw(st.sampled_from([STEP_NS, STEP_NS // 2, 0, 1])))
    for name in USED[kind].split():
        setattr(command, name, draw(USUAL[name]))
    if kind == Kind.PLACE:
        make_sense(command)
    elif kind in (Kind.CANCEL, Kind.AMEND, Kind.REPLACE) and draw(st.booleans()):
        command.order_id = 0
    if kind in (Kind.AMEND, Kind.REPLACE):
        command.price_ticks *= draw(st.integers(0, 1))
        command.quantity_lots *= draw(st.integers(0, 1))
    if draw(st.integers(0, 7)) == 7:
        name = draw(st.sampled_from(["create_time_ns", *USED[kind].split()]))
        setattr(command, name, draw(ODD.get(name, EDGES)))
    return command


def make_sense(command: Command) -> None:
    """Set what does not go together with the rest of a new order to zero."""
    if command.order_type == OrderType.MARKET:
        command.price_ticks = 0
        command.time_in_force = max(command.time_in_force, TimeInForce.IOC)
    if command.time_in_force >= TimeInForce.IOC:
        command.post_only = 0
    if command.time_in_force != TimeInForce.GTD:
        command.expire_time_ns = 0
    if command.time_in_force != TimeInForce.IOC or command.min_quantity_lots > command.quantity_lots:
        command.min_quantity_lots = 0


@st.composite
def definitions(draw: st.DrawFn, instrument_id: int) -> Definition:
    fee = st.sampled_from([0, 1, 50_000, 99_999])
    bands = st.sampled_from([[], [(0, 1)], [(0, 1), (100, 2)], [(0, 2), (99, 5), (102, 1)]])
    return Definition(
        instrument_id=instrument_id,
        currency_id=draw(st.integers(0, 1)),
        tick_value=draw(st.sampled_from([1, 3])),
        board_lot=draw(st.sampled_from([1, 1, 5])),
        odd_lot_rule=draw(st.sampled_from(OddLots)),
        bands=draw(bands),
        price_limit_ppm=draw(st.sampled_from([0, 0, 20_000])),
        reference_price_ticks=100,
        max_price_ticks=SHARE.max_price_ticks,
        max_order_lots=draw(st.sampled_from([100, 10])),
        market_band_ppm=draw(st.sampled_from([0, 10_000, 10**6])),
        settlement=draw(st.sampled_from(Settlement)),
        maker_fee_ppm=draw(fee),
        taker_fee_ppm=draw(fee),
        stamp_duty_ppm=draw(fee),
        trading_state=State.OPEN,
    )


@st.composite
def flows(draw: st.DrawFn) -> list[Frame]:
    """Two instruments, balances of two accounts, and frames of a few commands each."""
    now = START_NS
    frames = [Frame(now, [], [draw(definitions(1)), draw(definitions(2))])]
    for request, (account, number) in enumerate(((1, 1), (2, 1), (1, 2), (2, 2)), start=100):
        now += 2 * STEP_NS
        common = {"account_id": account, "create_time_ns": now}
        cash = Command(kind=Kind.DEPOSIT_CASH, currency_id=number - 1, amount_micros=8_000, **common)
        lots = Command(kind=Kind.DEPOSIT_SHARES, instrument_id=number, quantity_lots=37, **common)
        cash.request_id, lots.request_id = request, request + 100
        frames.append(Frame(now, [cash, lots]))
    for _ in range(draw(st.integers(3, 20))):
        now += draw(st.sampled_from([2 * STEP_NS, STEP_NS, 3 * STEP_NS, 1, 0]))
        frames.append(Frame(now, draw(st.lists(commands(now), min_size=1, max_size=4))))
        if draw(st.integers(0, 20)) == 0:
            frames[-1].definitions.append(draw(definitions(draw(st.integers(1, 3)))))
    return frames


@settings(
    max_examples=5_000 if LONG else 250,
    derandomize=not LONG,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(flows())
def test_core_and_model_agree_on_small_flows(frames: list[Frame]) -> None:
    twin = Twin(SIZES)
    for frame in frames:
        found = twin.apply(frame)
        assert not found, found
        twin.model.verify()
        for name in kinds(twin.model.market.events):
            event(name)
    assert twin.compare_state() == ""
