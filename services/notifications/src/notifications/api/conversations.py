"""ConversationService: contract in, use cases, contract out."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from typing import Final

import asyncpg
import grpc.aio
from smartex.notifications.v1 import conversation_service_pb2 as pb
from smartex.notifications.v1 import conversation_service_pb2_grpc as rpc
from smartex.notifications.v1 import notice_pb2 as notice_pb
from smartex_chassis import InvalidInput, PermissionDenied, Principal, drain_started, principal
from smartex_chassis.pages import make_token, page_size, read_token

from notifications.contract import Malformed, moment
from notifications.conversations import messages
from notifications.conversations.exporting import FORMS
from notifications.conversations.hub import TalkHub
from notifications.conversations.store import TalkStore
from notifications.conversations.talking import Clock, Said, Talking
from notifications.domain import talk
from notifications.domain.talk import Caller, Party

SERVICE: Final = "smartex.notifications.v1.ConversationService"
_WRITES = ("GrantMandate", "RevokeMandate", "AnswerProposal")
_READS = (
    "ListMandates",
    "OpenThread",
    "ListThreads",
    "PostMessage",
    "ListMessages",
    "StreamMessages",
    "SearchMessages",
    "ExportThread",
)
SCOPES: Final[Mapping[str, str]] = {
    **{f"/{SERVICE}/{name}": "trade" for name in _WRITES},
    # Traders hold `advise read`, investors `trade`; who may write is told apart below.
    **{f"/{SERVICE}/{name}": "read" for name in _READS},
}
_NEWEST = 2**62
_BATCH = 200
_POLL_SECONDS = 5.0
_MOST_EXPORTED = 100_000


class ConversationApi(rpc.ConversationServiceServicer):
    """The servicer."""

    def __init__(self, store: TalkStore, talking: Talking, hub: TalkHub, clock: Clock) -> None:
        self.scopes: Mapping[str, str] = SCOPES
        self._store = store
        self._talking = talking
        self._hub = hub
        self._clock = clock

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service to a server."""
        rpc.add_ConversationServiceServicer_to_server(self, server)  # type: ignore[no-untyped-call, unused-ignore]

    # -- mandates

    async def GrantMandate(self, request: pb.GrantMandateRequest, context: object) -> pb.GrantMandateResponse:  # noqa: N802
        """Let a trader see and write."""
        account = principal().require_account()
        return pb.GrantMandateResponse(
            mandate=await self._talking.grant(account, _trader_name(request.trader))
        )

    async def RevokeMandate(  # noqa: N802
        self, request: pb.RevokeMandateRequest, context: object
    ) -> pb.RevokeMandateResponse:
        """End it at once."""
        account = principal().require_account()
        mandate = await self._talking.revoke(account, _trader_name(request.trader))
        self._hub.wake("")
        return pb.RevokeMandateResponse(mandate=mandate)

    async def ListMandates(self, request: pb.ListMandatesRequest, context: object) -> pb.ListMandatesResponse:  # noqa: N802
        """Mandates given or received."""
        rows = await self._store.mandates(_caller())
        return pb.ListMandatesResponse(mandates=[messages.mandate(row) for row in rows])

    # -- threads

    async def OpenThread(self, request: pb.OpenThreadRequest, context: object) -> pb.OpenThreadResponse:  # noqa: N802
        """Begin a thread."""
        caller = _writer()
        _request_id(request.request_id)
        title = _line(request.title, talk.MOST_TITLE, "title")
        about = _card(request.about, "about") if request.HasField("about") else None
        if request.account_id:
            if caller.trader is None:
                raise _needs_advise()
            account, trader, opener = request.account_id, caller.trader, f"trader:{caller.trader}"
        else:
            account, trader = principal().require_account(), _trader_name(request.trader)
            opener = f"investor:{account}"
        thread = await self._talking.open(account, trader, title, about, opener, request.request_id)
        return pb.OpenThreadResponse(thread=thread)

    async def ListThreads(self, request: pb.ListThreadsRequest, context: object) -> pb.ListThreadsResponse:  # noqa: N802
        """Threads, last active first."""
        caller, size = _caller(), page_size(request.page_size)
        scope = ("threads", caller.account_id, caller.trader)
        key = read_token(scope, request.page_token)
        rows = await self._store.threads(caller, key[0] if key else _NEWEST, size + 1)
        page = rows[:size]
        return pb.ListThreadsResponse(
            threads=[messages.thread(row, row["unread"]) for row in page],
            next_page_token=make_token(scope, page[-1]["position"]) if len(rows) > size else "",
        )

    # -- messages

    async def PostMessage(self, request: pb.PostMessageRequest, context: object) -> pb.PostMessageResponse:  # noqa: N802
        """Say something."""
        caller = _writer()
        thread, party = await self._talking.thread(caller, request.thread_id)
        _may_write(principal(), party)
        said = Said(
            _text(request.text, talk.MOST_TEXT, "text"),
            _card(request.card, "card") if request.HasField("card") else None,
            await self._proposal(request.proposal, party) if request.HasField("proposal") else None,
            "api",
            f"{party.name.lower()}:{_name(caller, party)}:{_request_id(request.request_id)}",
        )
        if not (said.text or said.card or said.proposal):
            raise InvalidInput("say something: text, a card or a proposal", field="text")
        return pb.PostMessageResponse(message=await self._talking.post(thread, party, said))

    async def _proposal(self, proposal: pb.Proposal, party: Party) -> pb.Proposal:
        if party is not Party.TRADER:
            raise PermissionDenied("only traders propose orders", reason="NOT_A_TRADER")
        if not 1 <= len(proposal.orders) <= talk.MOST_ORDERS:
            raise InvalidInput(f"propose 1 to {talk.MOST_ORDERS} orders", field="proposal.orders")
        for at, order in enumerate(proposal.orders):
            for name in ("instrument_id", "quantity_lots", "price_ticks"):
                if getattr(order, name) <= 0:
                    raise InvalidInput(f"{name} must be positive", field=f"proposal.orders[{at}].{name}")
            if order.side not in (1, 2):
                raise InvalidInput("side is 1 (buy) or 2 (sell)", field=f"proposal.orders[{at}].side")
        _line(proposal.reason, talk.MOST_TITLE, "proposal.reason")
        if proposal.HasField("expire_time"):
            try:
                life = moment(proposal.expire_time) - self._clock()
            except Malformed as error:
                raise InvalidInput(error.why, field="proposal.expire_time") from error
            if not timedelta() < life <= talk.LONGEST_LIFE:
                raise InvalidInput(
                    "expire_time lies in the past or more than a week ahead", field="proposal.expire_time"
                )
        return await self._talking.named(proposal)

    async def ListMessages(self, request: pb.ListMessagesRequest, context: object) -> pb.ListMessagesResponse:  # noqa: N802
        """A thread's messages, newest first; it counts as read."""
        thread, party = await self._talking.thread(_caller(), request.thread_id)
        size, scope = page_size(request.page_size), ("messages", request.thread_id)
        key = read_token(scope, request.page_token)
        rows = await self._store.messages(thread["thread_id"], key[0] if key else _NEWEST, size + 1)
        page = rows[:size]
        if page and key is None:
            await self._talking.read(thread["thread_id"], party, page[0]["position"])
        now = self._clock()
        return pb.ListMessagesResponse(
            messages=[messages.message(row, now) for row in page],
            next_page_token=make_token(scope, page[-1]["position"]) if len(rows) > size else "",
        )

    async def StreamMessages(  # noqa: N802
        self, request: pb.StreamMessagesRequest, context: object
    ) -> AsyncIterator[pb.StreamMessagesResponse]:
        """What is new since a position, then what comes."""
        if request.after_position < 0:
            raise InvalidInput("after_position is a position, or 0", field="after_position")
        caller, drained = _caller(), drain_started()
        position = request.after_position or await self._store.position()
        with self._hub.reading() as woken:
            while not drained.is_set():
                woken.clear()
                for row in await self._unseen(caller, position):
                    position = row["position"]
                    yield pb.StreamMessagesResponse(message=messages.message(row, self._clock()))
                if not woken.is_set():
                    await _wait(woken, drained)

    async def _unseen(self, caller: Caller, position: int) -> list[asyncpg.Record]:
        rows = list(await self._store.after(caller, position, _BATCH))
        while len(rows) and len(rows) % _BATCH == 0:
            more = await self._store.after(caller, rows[-1]["position"], _BATCH)
            rows += more
            if len(more) < _BATCH or len(rows) >= 10 * _BATCH:
                break
        return rows

    # -- proposals, search, export

    async def AnswerProposal(  # noqa: N802
        self, request: pb.AnswerProposalRequest, context: object
    ) -> pb.AnswerProposalResponse:
        """Accept or decline."""
        account = principal().require_account()
        text = _text(request.text, talk.MOST_TEXT, "text")
        proposal = await self._talking.answer(
            account, request.proposal_id, accept=request.accept, text=text, origin="api"
        )
        return pb.AnswerProposalResponse(proposal=proposal)

    async def SearchMessages(  # noqa: N802
        self, request: pb.SearchMessagesRequest, context: object
    ) -> pb.SearchMessagesResponse:
        """Find words."""
        if len(request.query) > talk.MOST_QUERY:
            raise InvalidInput(f"a query has {talk.MOST_QUERY} characters at most", field="query")
        words = talk.query_words(request.query)
        if not words or any(len(word) < talk.LEAST_QUERY for word in words):
            raise InvalidInput("each word of a query has two characters or more", field="query")
        caller, size = _caller(), min(page_size(request.page_size or 20), 100)
        scope = ("search", caller.account_id, caller.trader, request.query)
        key = read_token(scope, request.page_token)
        pairs = sorted({pair for word in words for pair in talk.grams(word)})
        patterns = [f"%{_escaped(word)}%" for word in words]
        rows = await self._store.search(caller, pairs, patterns, key[0] if key else _NEWEST, size + 1)
        page, now = rows[:size], self._clock()
        return pb.SearchMessagesResponse(
            messages=[messages.message(row, now) for row in page],
            next_page_token=make_token(scope, page[-1]["position"]) if len(rows) > size else "",
        )

    async def ExportThread(self, request: pb.ExportThreadRequest, context: object) -> pb.ExportThreadResponse:  # noqa: N802
        """A thread as a file."""
        if (request.form or "json") not in FORMS:
            raise InvalidInput(f"form is one of {', '.join(FORMS)}", field="form")
        thread, _ = await self._talking.thread(_caller(), request.thread_id)
        rows = await self._store.messages(thread["thread_id"], _NEWEST, _MOST_EXPORTED)
        media_type, write = FORMS[request.form or "json"]
        now = self._clock()
        told = [messages.message(row, now) for row in reversed(rows)]
        content = await asyncio.to_thread(write, messages.thread(thread), told)
        return pb.ExportThreadResponse(
            content=content, media_type=media_type, sha256=hashlib.sha256(content).hexdigest()
        )


def _caller() -> Caller:
    who = principal()
    return Caller(who.account_id, who.subject if "advise" in who.scopes else None)


def _writer() -> Caller:
    who = principal()
    if not {"trade", "advise"} & who.scopes:
        raise PermissionDenied(
            "to write needs the scope `trade` (investors) or `advise` (traders)", reason="SCOPE_MISSING"
        )
    return _caller()


def _may_write(who: Principal, party: Party) -> None:
    who.require_scope("trade" if party is Party.INVESTOR else "advise")


def _needs_advise() -> PermissionDenied:
    return PermissionDenied("to name an account needs the scope `advise`", reason="SCOPE_MISSING")


def _name(caller: Caller, party: Party) -> str:
    return str(caller.account_id) if party is Party.INVESTOR else str(caller.trader)


def _trader_name(name: str) -> str:
    if not 1 <= len(name) <= 128 or not name.isprintable():
        raise InvalidInput("name the trader, as their token does", field="trader")
    return name


def _request_id(number: int) -> int:
    if number <= 0:
        raise InvalidInput("request_id is a positive number of yours", field="request_id")
    return number


def _text(text: str, most: int, field: str) -> str:
    if len(text) > most:
        raise InvalidInput(f"{field} has {len(text)} characters; {most} at most", field=field)
    if talk.has_controls(text, lines=True):
        raise _holds_controls(field)
    return text


def _line(text: str, most: int, field: str) -> str:
    if talk.has_controls(_text(text, most, field)):
        raise _holds_controls(field)
    return text


def _card(card: notice_pb.Card, field: str) -> notice_pb.Card:
    if len(card.lines) > talk.MOST_LINES:
        raise InvalidInput(f"a card has {talk.MOST_LINES} lines at most", field=f"{field}.lines")
    if card.ByteSize() > 4096:
        raise InvalidInput("a card has 4096 bytes at most", field=field)
    if card.kind not in notice_pb.CardKind.values():
        raise InvalidInput("give a CardKind", field=f"{field}.kind")
    if not card.kind or not 1 <= len(card.id) <= 128:
        raise InvalidInput("a card has a kind and an id", field=field)
    for name, text in _card_texts(card):
        if talk.has_controls(text):
            raise _holds_controls(f"{field}.{name}")
    return card


def _card_texts(card: notice_pb.Card) -> Iterator[tuple[str, str]]:
    yield "id", card.id
    yield from _local_texts(card.title, "title")
    for at, line in enumerate(card.lines):
        yield from _local_texts(line.name, f"lines[{at}].name")
        yield from _local_texts(line.value, f"lines[{at}].value")


def _local_texts(text: notice_pb.LocalText, name: str) -> Iterator[tuple[str, str]]:
    yield f"{name}.zh", text.zh
    yield f"{name}.en", text.en


def _holds_controls(field: str) -> InvalidInput:
    return InvalidInput(f"{field} holds control characters: leave them out", field=field)


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def _wait(woken: asyncio.Event, drained: asyncio.Event) -> None:
    """Until something may be new, the server drains, or a moment has passed."""
    waits = [asyncio.ensure_future(woken.wait()), asyncio.ensure_future(drained.wait())]
    try:
        await asyncio.wait(waits, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
