"""Threads between investors and traders. Answers are the messages of `smartex.notifications.v1`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from smartex.notifications.v1 import conversation_service_pb2 as pb
from smartex.notifications.v1.notice_pb2 import Card

from .base import PAGE, ServiceFace
from .convert import in_range
from .ids import checked_id


class Conversations(ServiceFace):
    """Talk between an investor and the traders who have a mandate."""

    service = "notifications.v1.ConversationService"

    async def grant(self, trader: str) -> pb.Mandate:
        """Let a trader see and write."""
        request = pb.GrantMandateRequest(trader=trader)
        answer = await self._write("GrantMandate", request, pb.GrantMandateResponse)
        return answer.mandate

    async def revoke(self, trader: str) -> pb.Mandate:
        """End a mandate at once."""
        request = pb.RevokeMandateRequest(trader=trader)
        answer = await self._write("RevokeMandate", request, pb.RevokeMandateResponse)
        return answer.mandate

    async def mandates(self) -> Sequence[pb.Mandate]:
        """Mandates given, or for a trader received."""
        answer = await self._read("ListMandates", pb.ListMandatesRequest(), pb.ListMandatesResponse)
        return answer.mandates

    async def open(
        self,
        *,
        trader: str = "",
        account_id: int = 0,
        title: str = "",
        about: Card | None = None,
        request_id: int | None = None,
    ) -> pb.Thread:
        """Begin a thread: investors name a trader, traders an account."""
        request = pb.OpenThreadRequest(
            trader=trader,
            account_id=in_range(account_id, "account", 32),
            title=title,
            about=about,
            request_id=checked_id(request_id, self._ids.next, "request_id"),
        )
        answer = await self._write("OpenThread", request, pb.OpenThreadResponse)
        return answer.thread

    async def threads(self) -> AsyncIterator[pb.Thread]:
        """Threads, last active first."""
        request = pb.ListThreadsRequest(page_size=PAGE)
        async for page in self._pages("ListThreads", request, pb.ListThreadsResponse):
            for thread in page.threads:
                yield thread

    async def post(
        self,
        thread_id: str,
        text: str = "",
        *,
        card: Card | None = None,
        proposal: pb.Proposal | None = None,
        request_id: int | None = None,
    ) -> pb.Message:
        """Say something, show a thing, or propose orders."""
        request = pb.PostMessageRequest(
            thread_id=thread_id,
            text=text,
            card=card,
            proposal=proposal,
            request_id=checked_id(request_id, self._ids.next, "request_id"),
        )
        answer = await self._write("PostMessage", request, pb.PostMessageResponse)
        return answer.message

    async def messages(self, thread_id: str) -> AsyncIterator[pb.Message]:
        """Messages of a thread, newest first; it counts as read."""
        request = pb.ListMessagesRequest(thread_id=thread_id, page_size=PAGE)
        async for page in self._pages("ListMessages", request, pb.ListMessagesResponse):
            for message in page.messages:
                yield message

    async def live_messages(self, after_position: int = 0) -> AsyncIterator[pb.Message]:
        """New messages of all threads as they come; nothing is missed over a broken connection."""
        seen = in_range(after_position, "after")

        def request() -> pb.StreamMessagesRequest:
            return pb.StreamMessagesRequest(after_position=seen)

        async for answer in self._follow("StreamMessages", request, pb.StreamMessagesResponse):
            if answer.HasField("message"):
                seen = max(seen, answer.message.position)
                yield answer.message

    async def answer(self, proposal_id: str, *, accept: bool, text: str = "") -> pb.Proposal:
        """Accept a proposed order list, whose orders are placed at once, or decline it."""
        request = pb.AnswerProposalRequest(proposal_id=proposal_id, accept=accept, text=text)
        answer = await self._write("AnswerProposal", request, pb.AnswerProposalResponse)
        return answer.proposal

    async def search(self, query: str) -> AsyncIterator[pb.Message]:
        """Messages that hold the words, newest first."""
        request = pb.SearchMessagesRequest(query=query, page_size=100)
        async for page in self._pages("SearchMessages", request, pb.SearchMessagesResponse):
            for message in page.messages:
                yield message

    async def export(self, thread_id: str, form: str = "json") -> pb.ExportThreadResponse:
        """A thread as a file: "json", "html" or "text"."""
        request = pb.ExportThreadRequest(thread_id=thread_id, form=form)
        return await self._read("ExportThread", request, pb.ExportThreadResponse)
