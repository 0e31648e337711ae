"""GetPortfolio, StreamPortfolio, ListPortfolioHistory and GetPortfolioAt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from google.protobuf.timestamp_pb2 import Timestamp
from smartex.positions.v1 import portfolio_pb2
from smartex.positions.v1 import position_service_pb2 as pb
from smartex_chassis import InvalidInput, Unavailable, drain_started, principal
from smartex_chassis.pages import make_token, page_size, read_token

from positions.api import portfolio_messages as messages
from positions.domain.book import Book
from positions.domain.book.valuing import Freshness
from positions.naming import Instruments
from positions.points import LAST, Points
from positions.rewind import Moment, Rewind
from positions.supervision import Supervision, account_unknown

DEFAULT_INTERVAL_MS = 100
LONGEST_INTERVAL_MS = 60_000
LONGEST_WAIT_SECONDS = 2.0
"""How long `min_sequence` is waited for, as the history of the market waits."""
LOOK_SECONDS = 0.01


class PortfoliosApi:
    """Portfolios of the caller's account, or of one given to a supervisor."""

    scopes: ClassVar[Mapping[str, str]] = {
        "GetPortfolio": "read",
        "StreamPortfolio": "read",
        "ListPortfolioHistory": "read",
        "GetPortfolioAt": "read",
    }

    def __init__(
        self,
        book: Book,
        instruments: Instruments,
        freshness: Callable[[], Freshness],
        supervision: Supervision,
        points: Points,
        rewind: Rewind,
        ready: Callable[[], bool],
    ) -> None:
        self._book = book
        self._instruments = instruments
        self._freshness = freshness
        self._supervision = supervision
        self._points = points
        self._rewind = rewind
        self._ready = ready

    async def GetPortfolio(self, request: pb.GetPortfolioRequest, context: object) -> pb.GetPortfolioResponse:  # noqa: N802
        """The portfolio now."""
        account = await self._supervision.account(principal(context), request.account_id)
        await self._until_seen(request.min_sequence)
        return pb.GetPortfolioResponse(portfolio=self._portfolio(account, lots=request.lots))

    async def _until_seen(self, sequence: int) -> None:
        """Wait until the book is that far; the call's own deadline may end the wait before."""
        if sequence < 0:
            raise InvalidInput("min_sequence must not be negative", field="min_sequence")
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        while self._book.sequence < sequence:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"the book goes up to {self._book.sequence}, {sequence} was asked for: try again in a moment",
                    reason="BOOK_BEHIND",
                    retry_after=timedelta(milliseconds=500),
                )
            await asyncio.sleep(LOOK_SECONDS)

    async def StreamPortfolio(  # noqa: N802
        self, request: pb.StreamPortfolioRequest, context: object
    ) -> AsyncIterator[pb.StreamPortfolioResponse]:
        """The portfolio, then what changes. A reader who is slow is told less often, of the newest."""
        if not 0 <= request.interval_ms <= LONGEST_INTERVAL_MS:
            raise InvalidInput(
                f"interval_ms: give 1 to {LONGEST_INTERVAL_MS}, or 0 for {DEFAULT_INTERVAL_MS}",
                field="interval_ms",
            )
        caller = principal(context)
        account = await self._supervision.account(caller, request.account_id)
        drain = drain_started()
        seconds = (request.interval_ms or DEFAULT_INTERVAL_MS) / 1000
        version, known = self._book.version, self._portfolio(account, lots=False)
        update = 1
        yield pb.StreamPortfolioResponse(update=update, snapshot=known)
        while not drain.is_set():
            await asyncio.sleep(seconds)
            if self._book.version == version:
                continue
            version, now = self._book.version, self._portfolio(account, lots=False)
            delta = messages.delta(known, now)
            if delta is None:
                continue
            if not await self._supervision.may_see(caller, account):
                raise account_unknown()
            known, update = now, update + 1
            yield pb.StreamPortfolioResponse(update=update, delta=delta)

    async def ListPortfolioHistory(  # noqa: N802
        self, request: pb.ListPortfolioHistoryRequest, context: object
    ) -> pb.ListPortfolioHistoryResponse:
        """A page of points, newest first."""
        account = await self._supervision.account(principal(context), request.account_id)
        size = page_size(request.page_size)
        end_ns = _nanoseconds(request.end_time, "end_time") if request.HasField("end_time") else LAST
        scope = ("points", account, end_ns, request.days_only)
        key = read_token(scope, request.page_token)
        before = (key[0], bool(key[1])) if key else (LAST, True)
        found = await self._points.page(account, before, end_ns, days_only=request.days_only, limit=size + 1)
        page = found[:size]
        more = make_token(scope, page[-1]["sequence"], int(page[-1]["day_end"])) if len(found) > size else ""
        return pb.ListPortfolioHistoryResponse(
            points=[messages.point(row) for row in page], next_page_token=more
        )

    async def GetPortfolioAt(  # noqa: N802
        self, request: pb.GetPortfolioAtRequest, context: object
    ) -> pb.GetPortfolioAtResponse:
        """The portfolio as it was."""
        account = await self._supervision.account(principal(context), request.account_id)
        view = await self._rewind.portfolio(account, _moment(request))
        if view is None:
            raise account_unknown()
        return pb.GetPortfolioAtResponse(portfolio=messages.portfolio(view, self._instruments, lots=True))

    def _portfolio(self, account: int, *, lots: bool) -> portfolio_pb2.Portfolio:
        if not self._ready():
            raise Unavailable("the book is being read back: ask again in a moment", reason="BOOK_NOT_READY")
        view = self._book.view(account, self._freshness(), lots=lots)
        if view is None:
            raise account_unknown()
        return messages.portfolio(view, self._instruments, lots=lots)

    def totals(self, account: int) -> portfolio_pb2.Totals:
        """Sums of an account; zeros for one that the market has not named."""
        view = self._book.view(account, self._freshness(), lots=False)
        return messages.totals(view) if view is not None else portfolio_pb2.Totals()


def _moment(request: pb.GetPortfolioAtRequest) -> Moment:
    which = request.WhichOneof("moment")
    if which == "time":
        return Moment(time_ns=_nanoseconds(request.time, "time"))
    if which != "sequence" or request.sequence < 1:
        raise InvalidInput("give time, or a sequence of 1 or more", field="moment")
    return Moment(sequence=request.sequence)


def _nanoseconds(time: Timestamp, field: str) -> int:
    total: Any = time.seconds * 1_000_000_000 + time.nanos
    if not 0 <= time.nanos < 1_000_000_000 or not 0 <= total <= LAST:
        raise InvalidInput(f"{field} must lie between 1970 and 2262", field=field)
    return int(total)
