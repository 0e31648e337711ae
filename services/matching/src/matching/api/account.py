"""AccountService: cash and holdings, from the core; deposits and withdrawals, through the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from smartex.matching.v1 import account_pb2 as pb
from smartex.matching.v1.log_pb2 import (
    COMMAND_KIND_DEPOSIT_CASH,
    COMMAND_KIND_DEPOSIT_SHARES,
    COMMAND_KIND_WITHDRAW_CASH,
    COMMAND_KIND_WITHDRAW_SHARES,
    EVENT_FLAG_FIRST_REJECTED,
    EVENT_KIND_COMMAND_REJECTED,
    EVENT_KIND_REPEATED,
)
from smartex.matching.v1.types_pb2 import Money
from smartex_chassis import FailedPrecondition, Unavailable, principal

from matching.api.outcomes import refusal
from matching.api.registration import register, unary
from matching.api.validation import LARGEST_ACCOUNT, own_account, positive, refuse
from matching.frames import one_command
from matching.money import from_micros, to_micros
from matching.sequencer import Sequencer

SERVICE: Final = "smartex.matching.v1.AccountService"
SCOPES: Final = {
    # An operator's token has `operate` alone, so the scope of reads is looked at inside.
    f"/{SERVICE}/GetAccount": "read",
    f"/{SERVICE}/ListLedgerEntries": "read",
    f"/{SERVICE}/Deposit": "operate",
    f"/{SERVICE}/Withdraw": "operate",
}

ListLedger = Callable[[pb.ListLedgerEntriesRequest, Any], Awaitable[pb.ListLedgerEntriesResponse]]
FindTransfer = Callable[[int, int, int], Awaitable[tuple[int, int, int] | None]]
Move = pb.DepositRequest | pb.WithdrawRequest
_OUT: Final = (COMMAND_KIND_WITHDRAW_CASH, COMMAND_KIND_WITHDRAW_SHARES)


class AccountApi:
    """The servicer; the ledger comes from the history, if there is one, and so does what a deposit or withdrawal of a
    number was."""

    def __init__(
        self,
        sequencer: Sequencer,
        list_ledger: ListLedger | None,
        find_transfer: FindTransfer | None = None,
    ) -> None:
        self._sequencer = sequencer
        self._list_ledger = list_ledger
        self._find_transfer = find_transfer

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service."""
        handlers = {
            "GetAccount": unary(self.get_account, pb.GetAccountRequest),
            "ListLedgerEntries": unary(self.list_ledger_entries, pb.ListLedgerEntriesRequest),
            "Deposit": unary(self.deposit, pb.DepositRequest),
            "Withdraw": unary(self.withdraw, pb.WithdrawRequest),
        }
        register(server, SERVICE, handlers)

    async def get_account(self, request: pb.GetAccountRequest, context: Any) -> pb.GetAccountResponse:
        """See the contract."""
        caller = principal()
        if request.account_id and request.account_id != caller.account_id:
            caller.require_scope("operate")
        account_id = request.account_id or own_account()
        core, catalogue = self._sequencer.replica.core, self._sequencer.replica.catalogue
        response = pb.GetAccountResponse(
            account_id=account_id,
            sequence=core.sequence,
            open_order_count=len(core.account_orders(account_id)),
            trading_state=core.account_state(account_id),  # type: ignore[arg-type]
        )
        for currency_id, total, held in core.cash(account_id):
            code = catalogue.currency_code(int(currency_id))
            amounts = {"total": total, "held": held, "free": total - held}
            response.cash.add(
                **{
                    name: Money(currency_code=code, amount=from_micros(int(micros)))
                    for name, micros in amounts.items()
                }
            )
        for instrument_id, total, held, bought_today in core.holdings(account_id).tolist():
            response.holdings.add(
                instrument_id=instrument_id,
                total_lots=total,
                held_lots=held,
                bought_today_lots=bought_today,
                available_lots=total - held - bought_today,
            )
        return response

    async def list_ledger_entries(
        self, request: pb.ListLedgerEntriesRequest, context: Any
    ) -> pb.ListLedgerEntriesResponse:
        """See the contract."""
        if self._list_ledger is None:
            raise Unavailable("this pod has no history; ask another one", reason="NO_HISTORY")
        return await self._list_ledger(request, context)

    async def deposit(self, request: pb.DepositRequest, context: Any) -> pb.DepositResponse:
        """See the contract."""
        kinds = (COMMAND_KIND_DEPOSIT_CASH, COMMAND_KIND_DEPOSIT_SHARES)
        sequence, repeated = await self._move(request, *kinds)
        return pb.DepositResponse(sequence=sequence, repeated=repeated)

    async def withdraw(self, request: pb.WithdrawRequest, context: Any) -> pb.WithdrawResponse:
        """See the contract."""
        kinds = (COMMAND_KIND_WITHDRAW_CASH, COMMAND_KIND_WITHDRAW_SHARES)
        sequence, repeated = await self._move(request, *kinds)
        return pb.WithdrawResponse(sequence=sequence, repeated=repeated)

    async def _move(self, request: Move, cash_kind: int, shares_kind: int) -> tuple[int, bool]:
        positive(request, "account_id", "request_id")
        fields = {
            "account_id": min(request.account_id, LARGEST_ACCOUNT),
            "request_id": request.request_id,
            "create_time_ns": _create_time(request),
        }
        asset = request.WhichOneof("asset")
        if asset == "cash":
            fields.update(kind=cash_kind, **self._cash(request.cash))
        elif asset == "shares":
            if request.shares.instrument_id == 0:
                raise refuse("shares.instrument_id", "say which instrument")
            if request.shares.quantity_lots <= 0:
                raise refuse("shares.quantity_lots", "give a positive number of lots")
            fields.update(
                kind=shares_kind,
                instrument_id=request.shares.instrument_id,
                quantity_lots=request.shares.quantity_lots,
            )
        else:
            raise refuse("asset", "give cash or shares")
        applied = await self._sequencer.submit(one_command(**fields))
        outcome = applied.events[0]
        repeated = bool(outcome["kind"] == EVENT_KIND_REPEATED)
        if repeated and _is_of_another(outcome, fields):
            raise _used(request)
        if outcome["kind"] == EVENT_KIND_COMMAND_REJECTED or outcome["flags"] & EVENT_FLAG_FIRST_REJECTED:
            raise refusal(outcome)
        if repeated and self._find_transfer is not None:
            ids = fields["account_id"], fields["request_id"]
            first = await self._find_transfer(*ids, applied.first_sequence)
            if first is not None and _moved_otherwise(first, fields):
                raise _used(request)
        return applied.first_sequence, repeated

    def _cash(self, money: Money) -> dict[str, int]:
        try:
            micros = to_micros(money.amount)
        except ValueError as error:
            raise refuse("cash.amount", str(error)) from error
        if micros <= 0:
            raise refuse("cash.amount", "give a positive amount")
        if not money.currency_code:
            raise refuse("cash.currency_code", 'say which currency, such as "CNY"')
        currency_id = self._sequencer.replica.catalogue.currency_id(money.currency_code)
        if currency_id is None:
            known = ", ".join(self._sequencer.replica.catalogue.currencies) or "none yet"
            raise FailedPrecondition(
                f"no instrument trades in {money.currency_code[:8]!r}; the venue's currencies are: {known}",
                reason="UNKNOWN_CURRENCY",
            )
        return {"currency_id": currency_id, "amount_micros": micros}


def _is_of_another(first: Any, fields: dict[str, int]) -> bool:
    """Whether the first outcome of a number is that of another request, as far as it says what was asked for."""
    said = [("account_id", "account_id"), ("instrument_id", "instrument_id")]
    if not first["flags"] & EVENT_FLAG_FIRST_REJECTED:  # a refusal does not say how much
        said += [("quantity_lots", "quantity_lots"), ("required", "amount_micros")]
    return any(first[name] != fields.get(asked, 0) for name, asked in said)


def _moved_otherwise(first: tuple[int, int, int], fields: dict[str, int]) -> bool:
    """Whether the first request of a number went the other way or was of another currency, which its outcome does not
    say."""
    sign = -1 if fields["kind"] in _OUT else 1
    asked = sign * fields.get("amount_micros", 0), sign * fields.get("quantity_lots", 0)
    return first != (*asked, fields.get("currency_id", 0))


def _used(request: Move) -> FailedPrecondition:
    return FailedPrecondition(
        f"request_id {request.request_id} was used before, for another deposit or withdrawal: "
        "nothing was moved; take another number",
        reason="REQUEST_ID_USED",
    )


def _create_time(request: Move) -> int:
    if not request.HasField("create_time"):
        raise refuse("create_time", "say when the request was made")
    time: Timestamp = request.create_time
    if not 0 <= time.nanos < 10**9 or not 0 < time.seconds < 9_000_000_000:
        raise refuse("create_time", "give a time between 1970 and 2255")
    return time.seconds * 10**9 + time.nanos
