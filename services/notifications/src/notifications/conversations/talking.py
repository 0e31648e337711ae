"""What investors and traders do: mandates, threads, messages, proposals and their answers."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

import asyncpg
import structlog
from smartex.matching.v1.types_pb2 import Instrument
from smartex.notifications.v1 import conversation_service_pb2 as pb
from smartex.notifications.v1 import notice_pb2 as notice_pb
from smartex.positions.v1.types_pb2 import OrderSuggestion
from smartex_chassis import FailedPrecondition, InvalidInput, NotFound, counter
from smartex_store import Connection

from notifications.conversations import messages, notices, wording, writing
from notifications.conversations.placing import Placing, market_away
from notifications.conversations.store import TalkStore
from notifications.domain.talk import DEFAULT_LIFE, Caller, Party, ProposalState, grams

Clock: TypeAlias = Callable[[], datetime]
Enqueue: TypeAlias = Callable[[Connection, notice_pb.Notice], Awaitable[Any]]

_log = structlog.get_logger("notifications.conversations")
_said = counter("notifications_messages_total", "Messages said, by party", ("party",))
_answered = counter("notifications_proposals_answered_total", "Proposals answered", ("answer",))

_PLACE_WITHIN = timedelta(seconds=60)
"""Orders are placed only so soon after the answer; later they are only looked up."""
_SURELY_OVER = _PLACE_WITHIN + timedelta(seconds=30)
"""From then on they are: an order that was begun within its time is on its way for some seconds more, and the pods'
clocks differ."""
_MARK = 0x7A << 48
"""High bits of the numbers of orders that proposals place, apart from people's and from advice's."""


@dataclass(frozen=True)
class Said:
    """What somebody says: words, a card, a proposal, from where, by which request."""

    text: str
    card: notice_pb.Card | None
    proposal: pb.Proposal | None
    origin: str
    request_key: str


class Talking:
    """Every call checks what the caller may do; what is not theirs is `NotFound`."""

    def __init__(
        self,
        talk: TalkStore,
        enqueue: Enqueue,
        placing: Placing,
        clock: Clock,
        new_trace: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._talk = talk
        self._enqueue = enqueue
        self._placing = placing
        self._clock = clock
        self._new_trace = new_trace

    # -- mandates and threads

    async def grant(self, account_id: int, trader: str) -> pb.Mandate:
        """Let a trader see and write."""
        async with self._talk.database.transaction() as connection:
            return messages.mandate(await writing.grant(connection, account_id, trader, self._clock()))

    async def revoke(self, account_id: int, trader: str) -> pb.Mandate:
        """End a mandate at once. NotFound if none stands."""
        async with self._talk.database.transaction() as connection:
            row = await writing.revoke(connection, account_id, trader, self._clock())
        if row is None:
            raise NotFound(f"no mandate of {trader} stands", reason="MANDATE_UNKNOWN")
        return messages.mandate(row)

    async def open(
        self,
        account_id: int,
        trader: str,
        title: str,
        about: notice_pb.Card | None,
        opener: str,
        request_id: int,
    ) -> pb.Thread:
        """Open a thread; the same request opens it once.

        FailedPrecondition, MANDATE_MISSING; InvalidInput, REQUEST_ID_USED.
        """
        async with self._talk.database.transaction() as connection:
            if not await writing.lock_mandate(connection, account_id, trader):
                raise _mandate_missing()
            row = await writing.open_thread(
                connection,
                f"t{secrets.token_hex(8)}",
                account_id,
                trader,
                title,
                None if about is None else about.SerializeToString(),
                opener,
                request_id,
                self._clock(),
            )
        opened = messages.thread(row)
        asked = (account_id, trader, title, about or notice_pb.Card())
        if (opened.account_id, opened.trader, opened.title, opened.about) != asked:
            raise _request_id_used()
        return opened

    async def thread(self, caller: Caller, thread_id: str) -> tuple[asyncpg.Record, Party]:
        """A thread that the caller may see, and the caller's side of it. NotFound, THREAD_UNKNOWN."""
        row = await self._talk.thread(caller, thread_id)
        party = None if row is None else caller.party(row["account_id"], row["trader"])
        if row is None or party is None:
            raise NotFound("no such thread, or not one of yours", reason="THREAD_UNKNOWN")
        return row, party

    # -- messages

    async def post(self, thread: asyncpg.Record, party: Party, said: Said) -> pb.Message:
        """Say something; the same request says it once.

        FailedPrecondition, MANDATE_MISSING; InvalidInput, REQUEST_ID_USED.
        """
        now = self._clock()
        async with self._talk.database.transaction() as connection:
            before = await writing.said_before(connection, said.request_key)
            if before is not None:
                return _repeated(messages.message(before, now), thread["thread_id"], said)
            if not await writing.lock_mandate(connection, thread["account_id"], thread["trader"]):
                raise _mandate_missing()
            proposal_id, number, trace_id = None, 0, self._new_trace()
            if said.proposal is not None:
                proposal_id = f"p{secrets.token_hex(8)}"
                number = await self._propose(connection, thread, proposal_id, said.proposal, now, trace_id)
            row = await self._say(connection, thread["thread_id"], party, said, proposal_id, now)
            if party is Party.TRADER:
                notice = notices.of_message(
                    thread, row, said.text, said.card, said.proposal, number, now, trace_id
                )
                await self._enqueue(connection, notice)
        _said.labels(party.name).inc()
        return messages.message(row, now)

    async def named(self, proposal: pb.Proposal) -> pb.Proposal:
        """A proposal with the market's own symbols and units: what the investor reads is what will be traded.

        InvalidInput names an instrument that the market does not have.
        """
        market = await self._placing.instruments({order.instrument_id for order in proposal.orders})
        for at, order in enumerate(proposal.orders):
            if order.instrument_id not in market:
                raise InvalidInput(
                    f"there is no instrument {order.instrument_id}",
                    field=f"proposal.orders[{at}].instrument_id",
                )
        orders = [_named(order, market[order.instrument_id]) for order in proposal.orders]
        expire = proposal.expire_time if proposal.HasField("expire_time") else None
        return pb.Proposal(reason=proposal.reason, orders=orders, expire_time=expire)

    async def _propose(
        self,
        connection: Connection,
        thread: asyncpg.Record,
        proposal_id: str,
        proposal: pb.Proposal,
        now: datetime,
        trace_id: str,
    ) -> int:
        content = pb.Proposal(reason=proposal.reason, orders=proposal.orders)
        for place, order in enumerate(content.orders):
            order.client_order_id = order_number(proposal_id, place)
        expire = (
            proposal.expire_time.ToDatetime(now.tzinfo)
            if proposal.HasField("expire_time")
            else now + DEFAULT_LIFE
        )
        # One proposal at a time for each account, so that their numbers follow each other.
        await connection.execute("SELECT pg_advisory_xact_lock(7402, $1)", thread["account_id"] & 0x7FFFFFFF)
        number = await writing.propose(
            connection, proposal_id, thread, content.SerializeToString(), now, expire, trace_id
        )
        orders = "; ".join(wording.order(each, "en") for each in content.orders)
        detail = f"{orders}, proposed by {thread['trader']}"
        await writing.record_step(
            connection, trace_id, thread["account_id"], "proposal", proposal_id, now, detail
        )
        return number

    async def _say(
        self,
        connection: Connection,
        thread_id: str,
        party: Party,
        said: Said,
        proposal_id: str | None,
        now: datetime,
    ) -> Any:
        return await writing.say(
            connection,
            thread_id,
            party,
            said.origin,
            said.text,
            None if said.card is None else said.card.SerializeToString(),
            proposal_id,
            said.request_key,
            grams(said.text),
            now,
        )

    async def read(self, thread_id: str, party: Party, position: int) -> None:
        """Note that a party has read up to a position."""
        async with self._talk.database.transaction() as connection:
            await writing.mark_read(connection, thread_id, party, position)

    # -- proposals

    async def answer(
        self, account_id: int, proposal_id: str, *, accept: bool, text: str, origin: str
    ) -> pb.Proposal:
        """Answer a proposal of the investor's; accepting places its orders. The same answer again tells the same.

        NotFound, PROPOSAL_UNKNOWN; FailedPrecondition, PROPOSAL_CLOSED or DELEGATION_MISSING.
        """
        row = await self._talk.proposal(proposal_id)
        if row is None or row["account_id"] != account_id:
            raise NotFound("no such proposal, or not one of yours", reason="PROPOSAL_UNKNOWN")
        if accept:
            self._placing.check()
        wanted = ProposalState.ACCEPTED if accept else ProposalState.DECLINED
        answered = await self._take_answer(row, wanted, text, origin)
        if answered is None:
            return await self._answered_before(proposal_id, wanted)
        _answered.labels(wanted.name).inc()
        return await self.settle(answered) if accept else messages.proposal(answered, self._clock())

    async def _take_answer(self, row: asyncpg.Record, wanted: ProposalState, text: str, origin: str) -> Any:
        now = self._clock()
        async with self._talk.database.transaction() as connection:
            answered = await writing.answer(connection, row["proposal_id"], wanted, now)
            if answered is None:
                return None
            said = Said(
                text
                or wording.say(
                    wanted.name.lower(), "zh-CN" if origin == "wechat" else "en", number=row["number"]
                ),
                None,
                None,
                origin,
                f"answer:{row['proposal_id']}",
            )
            await self._say(connection, row["thread_id"], Party.INVESTOR, said, None, now)
            await writing.record_step(
                connection,
                row["trace_id"],
                row["account_id"],
                wanted.name.lower(),
                row["proposal_id"],
                now,
                f"by the investor, from {origin}",
            )
            return answered

    async def _answered_before(self, proposal_id: str, wanted: ProposalState) -> pb.Proposal:
        row = await self._talk.proposal(proposal_id)
        assert row is not None
        if row["state"] != wanted:
            raise FailedPrecondition(
                f"proposal {row['number']} is closed",
                reason="PROPOSAL_CLOSED",
                metadata={"state": row["state"]},
            )
        if wanted is ProposalState.ACCEPTED and row["results"] is None:
            return await self.settle(row)
        return messages.proposal(row, self._clock())

    async def settle(self, row: asyncpg.Record) -> pb.Proposal:
        """Place the orders of an accepted proposal and write what became of them. Safe to repeat."""
        found = await self._place_or_find(row)
        now = self._clock()
        async with self._talk.database.transaction() as connection:
            done = pb.Proposal(results=found).SerializeToString()
            if await writing.settle(connection, row["proposal_id"], done):
                await self._tell_results(connection, row, found, now)
        settled = await self._talk.proposal(row["proposal_id"])
        assert settled is not None
        return messages.proposal(settled, now)

    async def _place_or_find(self, row: asyncpg.Record) -> list[pb.OrderResult]:
        orders = pb.Proposal.FromString(row["content"]).orders
        answer_time: datetime = row["answer_time"]

        def age() -> timedelta:
            return self._clock() - answer_time

        if age() <= _PLACE_WITHIN:
            return await self._placing.place(row["account_id"], orders, lambda: age() <= _PLACE_WITHIN)
        if age() < _SURELY_OVER:
            raise market_away()
        return await self._placing.look_up(row["account_id"], orders)

    async def settle_left(self) -> int:
        """Settle what a crash or a slow market left unsettled; returns how many could be."""
        settled = 0
        for row in await self._talk.unsettled():
            try:
                await self.settle(row)
                settled += 1
            except Exception as error:
                # One that cannot be settled now must not hold up those behind it.
                _log.warning("proposal_waits", proposal=row["proposal_id"], why=str(error))
        return settled

    async def _tell_results(
        self, connection: Connection, row: asyncpg.Record, found: list[pb.OrderResult], now: datetime
    ) -> None:
        orders = pb.Proposal.FromString(row["content"]).orders
        lines = [
            f"{chinese} / {english}"
            for chinese, english in zip(
                wording.results(orders, found, "zh-CN"), wording.results(orders, found, "en"), strict=True
            )
        ]
        said = Said("\n".join(lines), None, None, "api", f"results:{row['proposal_id']}")
        await self._say(connection, row["thread_id"], Party.EXCHANGE, said, None, now)
        ordered = {order.client_order_id: order for order in orders}
        for each in found:
            order = ordered.get(each.client_order_id, OrderSuggestion())
            filled = wording.amount(order, each.filled_lots, "en")
            detail = f"order {each.order_id}, {filled} at once" if each.accepted else each.reason
            await writing.record_step(
                connection,
                row["trace_id"],
                row["account_id"],
                "order" if each.accepted else "refused",
                str(each.client_order_id),
                now,
                detail,
            )


def order_number(proposal_id: str, place: int) -> int:
    """The number of an order of a proposal: the same however often it is accepted."""
    digest = hashlib.blake2b(f"{proposal_id}/{place}".encode(), digest_size=6).digest()
    return _MARK | int.from_bytes(digest, "big")


def _named(order: OrderSuggestion, instrument: Instrument) -> OrderSuggestion:
    """An order as the market calls and counts it."""
    return OrderSuggestion(
        instrument_id=order.instrument_id,
        symbol=instrument.symbol,
        side=order.side,
        quantity_lots=order.quantity_lots,
        price_ticks=order.price_ticks,
        quantity=f"{order.quantity_lots * Decimal(instrument.lot_size):f}",
        price=f"{order.price_ticks * Decimal(instrument.tick_size):f}",
        currency_code=instrument.currency_code,
    )


def _repeated(told: pb.Message, thread_id: str, said: Said) -> pb.Message:
    """What a request said before; InvalidInput if it says something else now."""
    asked = (thread_id, said.text, said.card or notice_pb.Card(), _asked(said.proposal or pb.Proposal()))
    if (told.thread_id, told.text, told.card, _asked(told.proposal)) != asked:
        raise _request_id_used()
    return told


def _asked(proposal: pb.Proposal) -> tuple[Any, ...]:
    # Not until when: a client that asks again may count an hour from now.
    orders = [
        (order.instrument_id, order.side, order.quantity_lots, order.price_ticks) for order in proposal.orders
    ]
    return (proposal.reason, orders)


def _request_id_used() -> InvalidInput:
    return InvalidInput(
        "another request had this number: take a new one", reason="REQUEST_ID_USED", field="request_id"
    )


def _mandate_missing() -> FailedPrecondition:
    return FailedPrecondition(
        "no mandate stands between you: the investor grants one first", reason="MANDATE_MISSING"
    )
