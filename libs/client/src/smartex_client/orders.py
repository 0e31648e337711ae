"""Orders in, outcomes out, one call each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from smartex.matching.v1 import order_entry_pb2 as pb
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1.types_pb2 import Instrument

from . import model
from .base import Face
from .convert import Number, from_ns, from_ticks, in_range, to_lots, to_ns, to_ticks
from .errors import InvalidInput, NotFound, OffLot, OffTick, Retryable
from .ids import checked_id
from .messages import rejection
from .translate import outcome_order, past_fill, past_order
from .words import reason_name, value, word

SERVICE = "OrderEntryService"
_SETTLING = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A new order, in people's units. Without a price it is a market order."""

    instrument: str | int
    """Symbol or number."""
    side: str
    """"buy" or "sell"."""
    quantity: Number
    price: Number | None = None
    tif: str | None = None
    """"gtc", "day", "gtd", "ioc" or "fok". Left out: gtc with a price, ioc without."""
    post_only: str | bool | None = None
    """"reject" (or True) or "slide": how to keep it from taking."""
    self_trade: str | None = None
    """"none", "cancel_newest", "cancel_oldest", "cancel_both" or "decrement_and_cancel"."""
    min_quantity: Number | None = None
    """IOC only: smallest quantity to trade at once."""
    expire_time: datetime | None = None
    """GTD only: when it ends."""
    client_order_id: int | None = None
    """Your number of it, positive, never used before; made if left out."""

    def request(self, instrument: Instrument, fresh_id: Callable[[], int]) -> pb.PlaceOrderRequest:
        """The order as the contract has it. InvalidInput, OffTick or OffLot if it cannot be said there."""
        side = value(types.Side, self.side, "side")
        market = self.price is None
        tif = value(types.TimeInForce, ("ioc" if market else "gtc") if self.tif is None else self.tif, "tif")
        post_only = (
            "reject" if self.post_only is True else None if self.post_only is False else self.post_only
        )
        selling = side == types.SIDE_SELL
        return pb.PlaceOrderRequest(
            client_order_id=checked_id(self.client_order_id, fresh_id, "client_order_id"),
            instrument_id=instrument.instrument_id,
            side=side,  # type: ignore[arg-type]
            order_type=types.ORDER_TYPE_MARKET if market else types.ORDER_TYPE_LIMIT,
            time_in_force=tif,  # type: ignore[arg-type]
            price_ticks=0 if self.price is None else to_ticks(instrument, self.price),
            quantity_lots=to_lots(instrument, self.quantity, selling=selling),
            create_time_ns=time.time_ns(),
            post_only=value(types.PostOnly, post_only, "post_only"),  # type: ignore[arg-type]
            self_trade_prevention=value(types.SelfTradePrevention, self.self_trade, "self_trade"),  # type: ignore[arg-type]
            min_quantity_lots=0
            if self.min_quantity is None
            else to_lots(instrument, self.min_quantity, selling=True, field="min_quantity"),
            expire_time_ns=0 if self.expire_time is None else to_ns(self.expire_time, "expire_time"),
        )


class Orders(Face):
    """Place, cancel and amend. All calls repeat themselves safely until their deadline."""

    async def buy(
        self,
        instrument: str | int,
        quantity: Number,
        price: Number | None = None,
        *,
        tif: str | None = None,
        post_only: str | bool | None = None,
        self_trade: str | None = None,
        min_quantity: Number | None = None,
        expire_time: datetime | None = None,
        client_order_id: int | None = None,
    ) -> model.Order:
        """Buy at `price` or better; without a price at once within the market band. See `place`."""
        return await self.place(
            NewOrder(
                instrument,
                "buy",
                quantity,
                price,
                tif,
                post_only,
                self_trade,
                min_quantity,
                expire_time,
                client_order_id,
            )
        )

    async def sell(
        self,
        instrument: str | int,
        quantity: Number,
        price: Number | None = None,
        *,
        tif: str | None = None,
        post_only: str | bool | None = None,
        self_trade: str | None = None,
        min_quantity: Number | None = None,
        expire_time: datetime | None = None,
        client_order_id: int | None = None,
    ) -> model.Order:
        """Sell at `price` or better; without a price at once within the market band. See `place`."""
        return await self.place(
            NewOrder(
                instrument,
                "sell",
                quantity,
                price,
                tif,
                post_only,
                self_trade,
                min_quantity,
                expire_time,
                client_order_id,
            )
        )

    async def place(self, order: NewOrder) -> model.Order:
        """Enter an order; the order as it stands, with the trades that it made at once.

        Repeating a `client_order_id` gives the first outcome. OrderRejected if the market says no, OffTick and
        OffLot before it is asked, OutcomeUnknown if no answer came: then repeat with the same id, or `get_order`.
        """
        instrument = await self._catalogue.get(order.instrument)
        try:
            request = order.request(instrument, self._ids.next)
        except (OffTick, OffLot):
            # The rules may have changed since they were asked.
            instrument = await self._catalogue.refreshed(instrument)
            request = order.request(instrument, self._ids.next)
        answer = await self._connection.write(f"{SERVICE}/PlaceOrder", request, pb.PlaceOrderResponse)
        outcome = answer.outcome
        if outcome.kind == types.REPORT_KIND_REJECTED:
            raise self._rejected(instrument, outcome)
        taken = outcome_order(
            instrument,
            outcome,
            answer.reports,
            order_type=word(types.OrderType, request.order_type),
            tif=word(types.TimeInForce, request.time_in_force),
        )
        return await self._as_it_stands(taken) if outcome.repeated else taken

    async def cancel(self, order_id: int = 0, *, client_order_id: int = 0) -> model.Order:
        """Take an open order off. OrderRejected with UNKNOWN_ORDER if it is not open, or not yours.

        The answer does not tell what had traded: those amounts are None, `get_order` has them.
        A cancel whose first answer was lost may find the order gone: then `get_order` says how it ended.
        """
        request = pb.CancelOrderRequest(
            order_id=in_range(order_id, "order_id"),
            client_order_id=in_range(client_order_id, "client_order_id"),
            request_id=self._ids.next(),
        )
        answer = await self._connection.write(f"{SERVICE}/CancelOrder", request, pb.CancelOrderResponse)
        outcome = answer.outcome
        if outcome.kind == types.REPORT_KIND_CANCEL_REJECTED:
            raise self._rejected(None, outcome)
        instrument = await self._catalogue.get(outcome.instrument_id)
        return model.Order(
            order_id=outcome.order_id,
            client_order_id=outcome.client_order_id,
            symbol=instrument.symbol,
            side=word(types.Side, outcome.side),
            type="",
            tif="",
            price=from_ticks(instrument, outcome.price_ticks),
            quantity=None,
            open_quantity=Decimal(0),
            filled_quantity=None,
            status="cancelled",
            reason=reason_name(types.Reason, outcome.reason),
            sequence=outcome.sequence,
            currency=instrument.currency_code,
            value=None,
            fees=None,
            update_time=from_ns(outcome.event_time_ns),
        )

    async def amend(
        self,
        order_id: int = 0,
        *,
        client_order_id: int = 0,
        price: Number | None = None,
        quantity: Number | None = None,
        replace: bool = False,
        request_id: int | None = None,
    ) -> model.Order:
        """Change an open order in one step; what is left out stays.

        `quantity` is the new total, what has traded included; with `replace` the new open quantity, and the
        place in the queue is lost. Less at the same price keeps the place. OrderRejected leaves it as it was.
        """
        if price is None and quantity is None:
            raise InvalidInput("nothing to change: give price, quantity or both", field="price")
        instrument = await self._instrument_of(order_id, client_order_id)
        request = pb.AmendOrderRequest(
            order_id=order_id,
            client_order_id=client_order_id,
            request_id=checked_id(request_id, self._ids.next, "request_id"),
            price_ticks=0 if price is None else to_ticks(instrument, price),
            quantity_lots=0 if quantity is None else to_lots(instrument, quantity, selling=True),
            create_time_ns=time.time_ns(),
            replace=replace,
        )
        answer = await self._connection.write(f"{SERVICE}/AmendOrder", request, pb.AmendOrderResponse)
        if answer.outcome.kind == types.REPORT_KIND_AMEND_REJECTED:
            raise self._rejected(instrument, answer.outcome)
        changed = outcome_order(instrument, answer.outcome, answer.reports)
        return await self._as_it_stands(changed) if answer.outcome.repeated else changed

    async def mass_cancel(
        self, instrument: str | int | None = None, side: str | None = None
    ) -> model.MassCancelled:
        """Take all open orders of the account off, or those of an instrument and side."""
        number = await self._number(instrument)
        request = pb.MassCancelRequest(
            instrument_id=number,
            side=value(types.Side, side, "side"),  # type: ignore[arg-type]
            request_id=self._ids.next(),
        )
        answer = await self._connection.write(f"{SERVICE}/MassCancel", request, pb.MassCancelResponse)
        return model.MassCancelled(answer.outcome.quantity_lots, answer.outcome.sequence)

    def _rejected(self, instrument: Instrument | None, outcome: types.Report) -> Exception:
        return rejection(instrument, outcome.reason, outcome.required, outcome.available, self._language)

    async def _instrument_of(self, order_id: int, client_order_id: int) -> Instrument:
        """The instrument of an order. The history may be a moment behind the market that took it."""
        end = time.monotonic() + _SETTLING.total_seconds()
        while True:
            try:
                found = await self._find_order(order_id, client_order_id)
                return await self._catalogue.get(found.instrument_id)
            except NotFound:
                if time.monotonic() >= end:
                    raise
            await self._pause(0.05)

    async def _as_it_stands(self, taken: model.Order) -> model.Order:
        """A repeated order from the history; as far as the first outcome says if that cannot be read now."""
        try:
            found = await self._find_order(taken.order_id, 0, taken.sequence)
            instrument = await self._catalogue.get(found.instrument_id)
            fills = tuple(
                [
                    past_fill(instrument, each)
                    async for each in self._fill_pages(found.order_id, found.sequence)
                ]
            )
        except (Retryable, NotFound):
            return replace(taken, status="accepted", filled_quantity=None, value=None, fees=None)
        return replace(past_order(instrument, found), fills=fills, repeated=True)
