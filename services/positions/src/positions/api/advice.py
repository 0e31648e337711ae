"""ListAdvice, GetAdvice, AcceptAdvice, DismissAdvice, ListAdviceRecords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol

import asyncpg
from smartex.positions.v1 import position_service_pb2 as pb
from smartex_chassis import FailedPrecondition, InvalidInput, NotFound, principal
from smartex_chassis.pages import make_token, page_size, read_token

from positions.advising.store import AdviceStore
from positions.api import told
from positions.domain.advice.habits import ADVISED
from positions.domain.outcomes import HORIZON_DAYS
from positions.supervision import Supervision

LONGEST_REASON = 500
_LARGEST = 2**63 - 1


class Answering(Protocol):
    """What takes answers to advice."""

    async def accept(self, advice: asyncpg.Record) -> asyncpg.Record | None:
        """Accept it with fresh orders; None if it is closed."""

    async def dismiss(self, advice: asyncpg.Record, reason: str) -> asyncpg.Record | None:
        """Set it aside; None if it is closed."""


class AdviceApi:
    """Advice of the caller's account, or of one given to a supervisor, who may look and not answer."""

    scopes: ClassVar[Mapping[str, str]] = {
        "ListAdvice": "read",
        "GetAdvice": "read",
        "AcceptAdvice": "trade",
        "DismissAdvice": "trade",
        "ListAdviceRecords": "read",
    }

    def __init__(self, store: AdviceStore, answering: Answering, supervision: Supervision) -> None:
        self._store = store
        self._answering = answering
        self._supervision = supervision

    async def ListAdvice(self, request: pb.ListAdviceRequest, context: object) -> pb.ListAdviceResponse:  # noqa: N802
        """A page of advice, newest first."""
        account = await self._supervision.account(principal(context), request.account_id)
        size = page_size(request.page_size)
        scope = ("advice", account, request.open_only)
        key = read_token(scope, request.page_token)
        found = await self._store.page(
            account, open_only=request.open_only, before=key[0] if key else _LARGEST, limit=size + 1
        )
        page = found[:size]
        orders = await self._store.orders([row["advice_id"] for row in page])
        records = await self._store.records(list({row["kind"] for row in page}))
        return pb.ListAdviceResponse(
            advice=[told.advice(row, orders[row["advice_id"]], records.get(row["kind"])) for row in page],
            next_page_token=make_token(scope, page[-1]["number"]) if len(found) > size else "",
        )

    async def GetAdvice(self, request: pb.GetAdviceRequest, context: object) -> pb.GetAdviceResponse:  # noqa: N802
        """One piece of advice."""
        row = await self._store.get(request.advice_id)
        if row is None or not await self._supervision.may_see(principal(context), row["account_id"]):
            raise _unknown()
        response = pb.GetAdviceResponse()
        await self._fill(response, row)
        return response

    async def AcceptAdvice(self, request: pb.AcceptAdviceRequest, context: object) -> pb.AcceptAdviceResponse:  # noqa: N802
        """Take it; answers the orders to place, the same ones when asked again."""
        row = await self._own(request.advice_id, context)
        accepted = await self._answering.accept(row)
        if accepted is None:
            raise _closed(row)
        response = pb.AcceptAdviceResponse()
        await self._fill(response, accepted)
        response.orders.extend(response.advice.orders)
        return response

    async def DismissAdvice(  # noqa: N802
        self, request: pb.DismissAdviceRequest, context: object
    ) -> pb.DismissAdviceResponse:
        """Set it aside, with the reason."""
        if len(request.reason) > LONGEST_REASON:
            raise InvalidInput(f"reason: give at most {LONGEST_REASON} characters", field="reason")
        if "\x00" in request.reason:
            raise InvalidInput("reason: leave out the zero character", field="reason")
        row = await self._own(request.advice_id, context)
        dismissed = await self._answering.dismiss(row, request.reason)
        if dismissed is None:
            raise _closed(row)
        response = pb.DismissAdviceResponse()
        await self._fill(response, dismissed)
        return response

    async def ListAdviceRecords(  # noqa: N802
        self, request: pb.ListAdviceRecordsRequest, context: object
    ) -> pb.ListAdviceRecordsResponse:
        """How every kind of advice did, over all accounts."""
        records = await self._store.records()
        kinds = [*HORIZON_DAYS, *(f"habit_{key}" for key in ADVISED)]
        return pb.ListAdviceRecordsResponse(
            records=[told.advice_record(kind, records.get(kind)) for kind in kinds]
        )

    async def _own(self, advice_id: str, context: object) -> asyncpg.Record:
        """Advice that the caller itself was given: nobody answers for another."""
        # First the account: who has none must not learn which ids exist.
        account = principal(context).require_account()
        row = await self._store.get(advice_id)
        if row is None or row["account_id"] != account:
            raise _unknown()
        return row

    async def _fill(
        self,
        response: pb.GetAdviceResponse | pb.AcceptAdviceResponse | pb.DismissAdviceResponse,
        row: asyncpg.Record,
    ) -> None:
        orders = await self._store.orders([row["advice_id"]])
        records = await self._store.records([row["kind"]])
        response.advice.CopyFrom(told.advice(row, orders[row["advice_id"]], records.get(row["kind"])))


def _unknown() -> NotFound:
    return NotFound("no such advice, or not yours", reason="ADVICE_UNKNOWN")


def _closed(row: asyncpg.Record) -> FailedPrecondition:
    return FailedPrecondition(
        "this advice is closed: look at what is open now",
        reason="ADVICE_CLOSED",
        metadata={"advice_id": row["advice_id"]},
    )
