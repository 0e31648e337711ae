"""What operators do: instruments, sessions of trading, money and shares in and out."""

from __future__ import annotations

import time
from typing import Any

from smartex.matching.v1 import account_pb2 as acc
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1 import venue_pb2 as pb
from smartex.matching.v1.types_pb2 import Instrument

from . import model
from .base import Face
from .convert import Number, from_ns, in_range, to_lots, to_money, to_ticks
from .errors import InvalidInput
from .ids import checked_id
from .words import value


class Venue(Face):
    """Runs the market. Needs the scope `operate`, but for `status` (`read`)."""

    async def status(self) -> model.VenueStatus:
        """How the venue is, seen from the pod that answers."""
        answer = await self._connection.read(
            "VenueService/GetVenueStatus", pb.GetVenueStatusRequest(), pb.GetVenueStatusResponse
        )
        return model.VenueStatus(
            pod=answer.pod,
            shard=answer.shard,
            offset=answer.offset,
            sequence=answer.sequence,
            published_sequence=answer.published_sequence,
            projected_sequence=answer.projected_sequence,
            open_orders=answer.open_order_count,
            accounts=answer.account_count,
            instruments=answer.instrument_count,
            trading_day=answer.trading_day,
            publisher=answer.publisher,
            halt_reason=answer.halt_reason,
            bus=answer.bus_engine,
            version=answer.version,
            market_time=from_ns(answer.market_time.ToNanoseconds()),
            start_time=from_ns(answer.start_time.ToNanoseconds()),
        )

    async def state_hash(self, offset: int = 0) -> model.StateHash:
        """The hash of the state at a checkpoint; 0 makes a checkpoint now."""
        answer = await self._connection.write(
            "VenueService/GetStateHash",
            pb.GetStateHashRequest(offset=in_range(offset, "offset")),
            pb.GetStateHashResponse,
        )
        return model.StateHash(
            answer.pod,
            answer.offset,
            answer.sequence,
            answer.state_hash,
            tuple((each.pod, each.state_hash) for each in answer.pods),
        )

    async def define(self, instrument: Instrument, *, request_id: int | None = None) -> Instrument:
        """Add an instrument (number 0: the next free one) or change its rules; the instrument as defined."""
        number = checked_id(request_id, self._ids.next, "request_id")
        request = pb.DefineInstrumentRequest(instrument=instrument, request_id=number)
        answer = await self._connection.write(
            "VenueService/DefineInstrument", request, pb.DefineInstrumentResponse
        )
        self._catalogue.learn(answer.instrument)
        return answer.instrument

    async def set_state(self, state: str, instrument: str | int | None = None) -> int:
        """Make an instrument, or all, "open", "halted" or "closed"; the sequence of it."""
        request = pb.SetTradingStateRequest(
            instrument_id=await self._number(instrument),
            trading_state=value(types.TradingState, state, "state"),  # type: ignore[arg-type]
            request_id=self._ids.next(),
        )
        answer = await self._connection.write(
            "VenueService/SetTradingState", request, pb.SetTradingStateResponse
        )
        return answer.sequence

    async def open(self, instrument: str | int | None = None) -> int:
        """Open an instrument, or all."""
        return await self.set_state("open", instrument)

    async def halt(self, instrument: str | int | None = None) -> int:
        """Halt an instrument, or all: only cancels work."""
        return await self.set_state("halted", instrument)

    async def close(self, instrument: str | int | None = None) -> int:
        """Close an instrument, or all: only cancels work."""
        return await self.set_state("closed", instrument)

    async def set_reference_price(self, instrument: str | int, price: Number) -> int:
        """Set the price that the day's limits are measured from; the sequence of it."""
        found = await self._catalogue.get(instrument)
        request = pb.SetReferencePriceRequest(
            instrument_id=found.instrument_id,
            price_ticks=to_ticks(found, price),
            request_id=self._ids.next(),
        )
        answer = await self._connection.write(
            "VenueService/SetReferencePrice", request, pb.SetReferencePriceResponse
        )
        return answer.sequence

    async def roll_day(self, trading_day: int | None = None) -> int:
        """End the trading day (the one that runs, unless named) and begin the next; the new day."""
        day = trading_day if trading_day is not None else (await self.status()).trading_day
        request = pb.RollTradingDayRequest(
            trading_day=in_range(day, "trading_day"), request_id=self._ids.next()
        )
        answer = await self._connection.write(
            "VenueService/RollTradingDay", request, pb.RollTradingDayResponse
        )
        return answer.trading_day

    async def cancel_orders(
        self,
        account_id: int | None = None,
        *,
        instrument: str | int | None = None,
        side: str | None = None,
    ) -> model.MassCancelled:
        """Take off the open orders of an account, or of an instrument whose they are, or both, in one step."""
        if account_id is None and instrument is None:
            raise InvalidInput("say whose orders, or of which instrument", field="account")
        request = pb.CancelOrdersRequest(
            account_id=0 if account_id is None else _account(account_id),
            instrument_id=await self._number(instrument),
            side=value(types.Side, side, "side"),  # type: ignore[arg-type]
            request_id=self._ids.next(),
        )
        answer = await self._connection.write("VenueService/CancelOrders", request, pb.CancelOrdersResponse)
        return model.MassCancelled(answer.cancelled_order_count, answer.sequence)

    async def halt_account(self, account_id: int) -> int:
        """Let an account place and change no orders: only cancels work. What rests stays; the sequence of it."""
        return await self._set_account_state(account_id, "halted")

    async def open_account(self, account_id: int) -> int:
        """Let an account that was halted trade again; the sequence of it."""
        return await self._set_account_state(account_id, "open")

    async def _set_account_state(self, account_id: int, state: str) -> int:
        request = pb.SetAccountStateRequest(
            account_id=_account(account_id),
            trading_state=value(types.TradingState, state, "state"),  # type: ignore[arg-type]
            request_id=self._ids.next(),
        )
        answer = await self._connection.write(
            "VenueService/SetAccountState", request, pb.SetAccountStateResponse
        )
        return answer.sequence

    async def deposit(
        self, account_id: int, amount: Number, currency: str, *, request_id: int | None = None
    ) -> model.Moved:
        """Put cash into an account, opening it if it is new. A `request_id` counts once: `repeated` says so."""
        request = acc.DepositRequest(account_id=_account(account_id), cash=to_money(amount, currency))
        return await self._move("Deposit", request, acc.DepositResponse, request_id)

    async def withdraw(
        self, account_id: int, amount: Number, currency: str, *, request_id: int | None = None
    ) -> model.Moved:
        """Take free cash out of an account. FailedPrecondition, INSUFFICIENT_FUNDS if there is too little."""
        request = acc.WithdrawRequest(account_id=_account(account_id), cash=to_money(amount, currency))
        return await self._move("Withdraw", request, acc.WithdrawResponse, request_id)

    async def deposit_shares(
        self, account_id: int, quantity: Number, instrument: str | int, *, request_id: int | None = None
    ) -> model.Moved:
        """Put holdings into an account, opening it if it is new."""
        request = acc.DepositRequest(
            account_id=_account(account_id), shares=await self._shares(quantity, instrument)
        )
        return await self._move("Deposit", request, acc.DepositResponse, request_id)

    async def withdraw_shares(
        self, account_id: int, quantity: Number, instrument: str | int, *, request_id: int | None = None
    ) -> model.Moved:
        """Take free holdings out of an account."""
        request = acc.WithdrawRequest(
            account_id=_account(account_id), shares=await self._shares(quantity, instrument)
        )
        return await self._move("Withdraw", request, acc.WithdrawResponse, request_id)

    async def _move(self, method: str, request: Any, answer: Any, request_id: int | None) -> model.Moved:
        request.request_id = checked_id(request_id, self._ids.next, "request_id")
        request.create_time.FromNanoseconds(time.time_ns())
        done = await self._connection.write(f"AccountService/{method}", request, answer)
        return model.Moved(done.sequence, done.repeated)

    async def _shares(self, quantity: Number, instrument: str | int) -> acc.ShareAmount:
        found = await self._catalogue.get(instrument)
        single = Instrument()
        single.CopyFrom(found)
        single.board_lot = 1  # balances know no board lots
        return acc.ShareAmount(
            instrument_id=found.instrument_id, quantity_lots=to_lots(single, quantity, selling=True)
        )


def _account(number: int) -> int:
    return in_range(number, "account", 32, least=1)
