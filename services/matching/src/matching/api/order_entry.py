"""OrderEntryService: orders in, outcomes out."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, TypeAlias

import grpc
from smartex.matching.v1 import order_entry_pb2 as pb
from smartex.matching.v1.log_pb2 import (
    COMMAND_KIND_AMEND,
    COMMAND_KIND_CANCEL,
    COMMAND_KIND_MASS_CANCEL,
    COMMAND_KIND_REPLACE,
)

from matching.api.registration import register, unary
from matching.api.request_commands import place_command
from matching.api.trade_stream import TradeStreams
from matching.api.validation import check_amend, check_mass_cancel, check_target, own_account
from matching.frames import Rows, one_command
from matching.limits import TokenBuckets
from matching.replica import Applied
from matching.reports import messages_of
from matching.sequencer import Sequencer

SERVICE: Final = "smartex.matching.v1.OrderEntryService"
SCOPES: Final = {
    f"/{SERVICE}/{name}": "trade"
    for name in ("PlaceOrder", "CancelOrder", "AmendOrder", "MassCancel", "Trade")
}

Following: TypeAlias = pb.PlaceOrderResponse | pb.AmendOrderResponse


class OrderEntryApi:
    """The unary RPCs, and the registration of all. They answer with bytes, as most reports come from the kernel."""

    def __init__(self, sequencer: Sequencer, buckets: TokenBuckets, streams: TradeStreams) -> None:
        self._sequencer = sequencer
        self._buckets = buckets
        self._streams = streams

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service; the stream takes and gives raw bytes."""
        handlers = {
            "PlaceOrder": unary(self.place_order),
            "CancelOrder": unary(self.cancel_order, pb.CancelOrderRequest),
            "AmendOrder": unary(self.amend_order, pb.AmendOrderRequest),
            "MassCancel": unary(self.mass_cancel, pb.MassCancelRequest),
            "Trade": grpc.stream_stream_rpc_method_handler(self._streams.trade),
        }
        register(server, SERVICE, handlers)

    async def place_order(self, request: bytes, context: Any) -> bytes:
        """See the contract."""
        account_id = own_account()
        command = place_command(request, account_id)
        return _with_following(account_id, await self._applied(account_id, command), pb.PlaceOrderResponse())

    async def cancel_order(self, request: pb.CancelOrderRequest, context: Any) -> bytes:
        """See the contract."""
        account_id = own_account()
        check_target(request)
        command = one_command(
            kind=COMMAND_KIND_CANCEL,
            account_id=account_id,
            order_id=request.order_id,
            client_order_id=request.client_order_id,
            request_id=request.request_id,
        )
        return _outcome(account_id, await self._applied(account_id, command), 0)

    async def amend_order(self, request: pb.AmendOrderRequest, context: Any) -> bytes:
        """See the contract."""
        account_id = own_account()
        check_amend(request)
        command = one_command(
            kind=COMMAND_KIND_REPLACE if request.replace else COMMAND_KIND_AMEND,
            account_id=account_id,
            order_id=request.order_id,
            client_order_id=request.client_order_id,
            request_id=request.request_id,
            price_ticks=request.price_ticks,
            quantity_lots=request.quantity_lots,
            create_time_ns=request.create_time_ns,
        )
        return _with_following(account_id, await self._applied(account_id, command), pb.AmendOrderResponse())

    async def mass_cancel(self, request: pb.MassCancelRequest, context: Any) -> bytes:
        """See the contract."""
        account_id = own_account()
        check_mass_cancel(request)
        command = one_command(
            kind=COMMAND_KIND_MASS_CANCEL,
            account_id=account_id,
            instrument_id=request.instrument_id,
            side=int(request.side),
            request_id=request.request_id,
        )
        applied = await self._applied(account_id, command)
        return _outcome(account_id, applied, len(applied.events) - 1)

    def _applied(self, account_id: int, command: Rows) -> Awaitable[Applied]:
        """Send a command; what it brings about."""
        self._buckets.take(account_id)
        return self._sequencer.submit(command, early=True)


def _outcome(account_id: int, applied: Applied, place: int) -> bytes:
    """The answer that holds the report of one event and nothing else.

    In all four answers the outcome has the number that the reports have in a TradeResponse: with one report, the
    bytes are the same.
    """
    first, event = applied.first_sequence + place, applied.events[place : place + 1]
    (answer,) = messages_of(account_id, first, applied.time_ns, event)
    return answer


def _with_following(account_id: int, applied: Applied, answer: Following) -> bytes:
    """The answer that holds the first report, and what else happened to the order itself: not to other orders of the
    account that it met.
    """
    if len(applied.events) == 1:
        return _outcome(account_id, applied, 0)
    messages = messages_of(account_id, applied.first_sequence, applied.time_ns, applied.events)
    outcome, *others = [
        report for message in messages for report in pb.TradeResponse.FromString(message).reports
    ]
    answer.outcome.CopyFrom(outcome)
    answer.reports.extend(report for report in others if report.order_id == outcome.order_id)
    return answer.SerializeToString()
