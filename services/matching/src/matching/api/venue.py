"""VenueService: running the market."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import grpc
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1 import venue_pb2 as pb
from smartex.matching.v1.log_pb2 import (
    COMMAND_KIND_CANCEL_ORDERS,
    COMMAND_KIND_ROLL_DAY,
    COMMAND_KIND_SET_ACCOUNT_STATE,
    COMMAND_KIND_SET_REFERENCE_PRICE,
    COMMAND_KIND_SET_TRADING_STATE,
    EVENT_KIND_COMMAND_REJECTED,
    InstrumentDefinition,
)
from smartex_chassis import FailedPrecondition, FieldViolation, InvalidInput, NotFound

from matching.api.instrument_rules import instrument_problems
from matching.api.outcomes import refusal
from matching.api.registration import register, unary
from matching.api.validation import one_of, positive, refuse
from matching.checkpoints import Checkpoints
from matching.frames import one_command
from matching.publisher import Publisher
from matching.replica import Applied, LiveInstruments
from matching.sequencer import Sequencer

SERVICE: Final = "smartex.matching.v1.VenueService"
_OPERATE = (
    "GetStateHash",
    "DefineInstrument",
    "SetTradingState",
    "SetReferencePrice",
    "RollTradingDay",
    "CancelOrders",
    "SetAccountState",
    "ListSessions",
)
SCOPES: Final = {f"/{SERVICE}/{name}": "operate" for name in _OPERATE} | {
    f"/{SERVICE}/GetVenueStatus": "read"
}
_STATES = (types.TRADING_STATE_OPEN, types.TRADING_STATE_HALTED, types.TRADING_STATE_CLOSED)
_ACCOUNT_STATES = (types.TRADING_STATE_OPEN, types.TRADING_STATE_HALTED)


@dataclass(frozen=True)
class Facts:
    """What a pod is."""

    pod: str
    shard: int
    bus_engine: str
    start_time_ns: int
    projected_sequence: Callable[[], Awaitable[int]]


class VenueApi:
    """The servicer."""

    def __init__(
        self,
        facts: Facts,
        sequencer: Sequencer,
        publisher: Publisher,
        checkpoints: Checkpoints,
        instruments: LiveInstruments,
    ) -> None:
        self._facts = facts
        self._sequencer = sequencer
        self._publisher = publisher
        self._checkpoints = checkpoints
        self._instruments = instruments

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service."""
        handlers = {
            "GetVenueStatus": unary(self.get_venue_status, pb.GetVenueStatusRequest),
            "GetStateHash": unary(self.get_state_hash, pb.GetStateHashRequest),
            "DefineInstrument": unary(self.define_instrument, pb.DefineInstrumentRequest),
            "SetTradingState": unary(self.set_trading_state, pb.SetTradingStateRequest),
            "SetReferencePrice": unary(self.set_reference_price, pb.SetReferencePriceRequest),
            "RollTradingDay": unary(self.roll_trading_day, pb.RollTradingDayRequest),
            "CancelOrders": unary(self.cancel_orders, pb.CancelOrdersRequest),
            "SetAccountState": unary(self.set_account_state, pb.SetAccountStateRequest),
            "ListSessions": unary(self.list_sessions, pb.ListSessionsRequest),
        }
        register(server, SERVICE, handlers)

    async def get_venue_status(
        self, request: pb.GetVenueStatusRequest, context: Any
    ) -> pb.GetVenueStatusResponse:
        """See the contract."""
        projected = await self._facts.projected_sequence()
        replica, facts = self._sequencer.replica, self._facts
        status = pb.GetVenueStatusResponse(
            pod=facts.pod,
            shard=facts.shard,
            offset=replica.next_offset - 1,
            sequence=replica.core.sequence,
            published_sequence=self._publisher.published,
            projected_sequence=projected,
            open_order_count=replica.core.open_order_count,
            account_count=replica.core.account_count,
            instrument_count=replica.core.instrument_count,
            trading_day=replica.core.trading_day,
            publisher=self._publisher.leading,
            halt_reason=self._sequencer.halt_reason,
            bus_engine=facts.bus_engine,
            version=_version(),
        )
        status.market_time.FromNanoseconds(replica.core.now)
        status.start_time.FromNanoseconds(facts.start_time_ns)
        return status

    async def get_state_hash(self, request: pb.GetStateHashRequest, context: Any) -> pb.GetStateHashResponse:
        """See the contract."""
        if request.offset < 0:
            raise refuse("offset", "must not be negative")
        checkpoint = (
            self._checkpoints.get(request.offset) if request.offset else await self._checkpoints.make()
        )
        if checkpoint is None:
            raise NotFound(
                f"this pod remembers no checkpoint at offset {request.offset}; ask with offset 0 for a new one",
                reason="CHECKPOINT_NOT_FOUND",
            )
        others = {pod: said for pod, said in checkpoint.said.items() if pod != self._facts.pod}
        return pb.GetStateHashResponse(
            pod=self._facts.pod,
            offset=checkpoint.offset,
            sequence=checkpoint.sequence,
            state_hash=checkpoint.own,
            pods=[pb.PodHash(pod=pod, state_hash=said) for pod, said in others.items()],
        )

    async def define_instrument(
        self, request: pb.DefineInstrumentRequest, context: Any
    ) -> pb.DefineInstrumentResponse:
        """See the contract."""
        positive(request, "request_id")
        _check_instrument(request.instrument)
        definition = InstrumentDefinition(instrument=request.instrument, request_id=request.request_id)
        applied = await self._sequencer.submit_definition(definition)
        outcome = _accepted(applied)
        defined = self._instruments.get(int(outcome["instrument_id"]))
        return pb.DefineInstrumentResponse(instrument=defined, sequence=applied.first_sequence)

    async def set_trading_state(
        self, request: pb.SetTradingStateRequest, context: Any
    ) -> pb.SetTradingStateResponse:
        """See the contract."""
        positive(request, "request_id")
        one_of(request, "trading_state", _STATES)
        if request.instrument_id:
            self._known(request.instrument_id)
        applied = await self._sequencer.submit(
            one_command(
                kind=COMMAND_KIND_SET_TRADING_STATE,
                instrument_id=request.instrument_id,
                trading_state=int(request.trading_state),
                request_id=request.request_id,
            )
        )
        if len(applied.events):
            _accepted(applied)
        return pb.SetTradingStateResponse(sequence=applied.last_sequence)

    async def set_reference_price(
        self, request: pb.SetReferencePriceRequest, context: Any
    ) -> pb.SetReferencePriceResponse:
        """See the contract."""
        positive(request, "instrument_id", "price_ticks", "request_id")
        largest = self._known(request.instrument_id).max_price_ticks
        if request.price_ticks > largest:
            raise refuse("price_ticks", f"give at most {largest}, the instrument's max_price_ticks")
        applied = await self._sequencer.submit(
            one_command(
                kind=COMMAND_KIND_SET_REFERENCE_PRICE,
                instrument_id=request.instrument_id,
                price_ticks=request.price_ticks,
                request_id=request.request_id,
            )
        )
        _accepted(applied)
        return pb.SetReferencePriceResponse(sequence=applied.first_sequence)

    async def roll_trading_day(
        self, request: pb.RollTradingDayRequest, context: Any
    ) -> pb.RollTradingDayResponse:
        """See the contract."""
        positive(request, "trading_day", "request_id")
        if request.trading_day != self._sequencer.replica.core.trading_day:
            raise _wrong_day(self._sequencer.replica.core.trading_day, request.trading_day)
        applied = await self._sequencer.submit(
            one_command(
                kind=COMMAND_KIND_ROLL_DAY, trading_day=request.trading_day, request_id=request.request_id
            )
        )
        outcome = applied.events[-1]
        if outcome["kind"] == EVENT_KIND_COMMAND_REJECTED:
            raise _wrong_day(int(outcome["required"]), request.trading_day)
        return pb.RollTradingDayResponse(
            trading_day=int(outcome["available"]),
            cancelled_order_count=int(outcome["quantity_lots"]),
            sequence=applied.last_sequence,
        )

    async def cancel_orders(self, request: pb.CancelOrdersRequest, context: Any) -> pb.CancelOrdersResponse:
        """See the contract."""
        positive(request, "request_id")
        one_of(request, "side", range(3))
        if not request.account_id and not request.instrument_id:
            raise refuse("account_id", "say whose orders, or of which instrument_id")
        if request.instrument_id:
            self._known(request.instrument_id)
        applied = await self._sequencer.submit(
            one_command(
                kind=COMMAND_KIND_CANCEL_ORDERS,
                account_id=request.account_id,
                instrument_id=request.instrument_id,
                side=int(request.side),
                request_id=request.request_id,
            )
        )
        return pb.CancelOrdersResponse(
            cancelled_order_count=int(applied.events[-1]["quantity_lots"]),
            sequence=applied.last_sequence,
        )

    async def set_account_state(
        self, request: pb.SetAccountStateRequest, context: Any
    ) -> pb.SetAccountStateResponse:
        """See the contract."""
        positive(request, "account_id", "request_id")
        one_of(request, "trading_state", _ACCOUNT_STATES)
        if not self._sequencer.replica.core.account_state(request.account_id):
            # Said early, so that nothing is logged.
            raise NotFound(
                f"there is no account {request.account_id}: it begins with its first deposit",
                reason="UNKNOWN_ACCOUNT",
            )
        applied = await self._sequencer.submit(
            one_command(
                kind=COMMAND_KIND_SET_ACCOUNT_STATE,
                account_id=request.account_id,
                trading_state=int(request.trading_state),
                request_id=request.request_id,
            )
        )
        _accepted(applied)
        return pb.SetAccountStateResponse(sequence=applied.first_sequence)

    def _known(self, instrument_id: int) -> types.Instrument:
        """An instrument by number. NotFound if there is none: said early, so that nothing is logged."""
        instrument = self._instruments.get(instrument_id)
        if instrument is None:
            raise NotFound(f"there is no instrument {instrument_id}", reason="UNKNOWN_INSTRUMENT")
        return instrument

    async def list_sessions(self, request: pb.ListSessionsRequest, context: Any) -> pb.ListSessionsResponse:
        """See the contract."""
        response = pb.ListSessionsResponse()
        for row in sorted(self._sequencer.replica.core.sessions().tolist()):
            session_id, account_id, grace_ns, last_beat_ns = row
            session = response.sessions.add(
                session_id=session_id, account_id=account_id, grace_ms=grace_ns // 1_000_000
            )
            session.last_beat_time.FromNanoseconds(last_beat_ns)
        return response


def _wrong_day(running: int, asked: int) -> FailedPrecondition:
    return FailedPrecondition(
        f"day {running} is running, not day {asked}; look at GetVenueStatus",
        reason="DAY_ALREADY_ROLLED" if asked < running else "DAY_NOT_REACHED",
        metadata={"trading_day": running},
    )


def _accepted(applied: Applied) -> Any:
    outcome = applied.events[0]
    if outcome["kind"] == EVENT_KIND_COMMAND_REJECTED:
        raise refusal(outcome)
    return outcome


def _check_instrument(instrument: types.Instrument) -> None:
    violations = [
        FieldViolation(f"instrument.{field}", remedy) for field, remedy in instrument_problems(instrument)
    ]
    if violations:
        raise InvalidInput(
            "; ".join(f"{each.field}: {each.description}" for each in violations[:3]),
            field_violations=violations,
        )


def _version() -> str:
    try:
        return version("smartex-matching")
    except PackageNotFoundError:
        return "unknown"
