"""Investors and traders talk on a real PostgreSQL and a real market: threads, words, cards, mandates."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from smartex.notifications.v1 import conversation_service_pb2 as pb
from smartex.notifications.v1 import notice_pb2
from smartex_client import FailedPrecondition, InvalidInput, NotFound, PermissionDenied
from talk_house import House, order


async def test_words_go_both_ways_and_are_counted_until_read(house: House, account: int) -> None:
    async with house.investor(account) as investor, house.trader() as trader:
        thread = await investor.conversations.open(trader="zhang", title="Hello")
        await investor.conversations.post(thread.thread_id, "What about the bank?")
        await trader.conversations.post(thread.thread_id, "Hold it.")
        listed = [each async for each in trader.conversations.threads() if each.account_id == account]
        assert [(each.title, each.unread_count) for each in listed] == [("Hello", 1)]
        told = [each async for each in trader.conversations.messages(thread.thread_id)]
        assert [(each.author, each.text) for each in told] == [
            (pb.PARTY_TRADER, "Hold it."),
            (pb.PARTY_INVESTOR, "What about the bank?"),
        ]
        listed = [each async for each in trader.conversations.threads() if each.account_id == account]
        assert listed[0].unread_count == 0
    assert [notice.kind for notice in house.notices] == ["conversations.message"]
    assert house.notices[0].account_id == account


async def test_the_same_request_says_it_once(house: House, account: int) -> None:
    async with house.investor(account) as investor:
        threads = [
            await investor.conversations.open(trader="zhang", title="Once", request_id=5) for _ in range(2)
        ]
        assert threads[0].thread_id == threads[1].thread_id
        said = [await investor.conversations.post(threads[0].thread_id, "Hi", request_id=6) for _ in range(2)]
        assert said[0].position == said[1].position


async def test_a_request_id_says_nothing_of_another_thread(house: House, account: int) -> None:
    other = await house.new_investor()
    async with house.investor(account) as investor, house.trader() as trader:
        secret = await trader.conversations.open(account_id=account, title="For one", request_id=account)
        elsewhere = await trader.conversations.open(account_id=other, title="For another")
        proposal = pb.Proposal(orders=[order()], reason="Banks are cheap")
        await trader.conversations.post(secret.thread_id, proposal=proposal, request_id=account)
        await investor.conversations.revoke("zhang")
        for repeated in (
            trader.conversations.post(elsewhere.thread_id, "Hello", request_id=account),
            trader.conversations.post(elsewhere.thread_id, proposal=proposal, request_id=account),
            trader.conversations.open(account_id=other, title="For one", request_id=account),
        ):
            with pytest.raises(InvalidInput) as refused:
                await repeated
            assert (refused.value.reason, refused.value.field) == ("REQUEST_ID_USED", "request_id")
        assert [each async for each in trader.conversations.messages(elsewhere.thread_id)] == []


async def test_a_request_id_is_spent_on_the_words_it_came_with(house: House, account: int) -> None:
    card = notice_pb2.Card(kind=notice_pb2.CARD_KIND_SIGNAL, id="s1")
    async with house.trader() as trader:
        thread = await trader.conversations.open(account_id=account, title="Once", request_id=account)
        said: dict[str, Any] = {"card": card, "proposal": pb.Proposal(orders=[order()])}
        first = await trader.conversations.post(thread.thread_id, "Hi", request_id=account, **said)
        again = await trader.conversations.post(thread.thread_id, "Hi", request_id=account, **said)
        assert again.position == first.position
        for text, changes in (
            ("Ho", {}),
            ("Hi", {"card": None}),
            ("Hi", {"proposal": None}),
            ("Hi", {"proposal": pb.Proposal(orders=[order(200)])}),
        ):
            with pytest.raises(InvalidInput) as refused:
                await trader.conversations.post(
                    thread.thread_id, text, request_id=account, **{**said, **changes}
                )
            assert refused.value.field == "request_id"
        with pytest.raises(InvalidInput):
            await trader.conversations.open(account_id=account, title="Twice", request_id=account)


BOTH = notice_pb2.LocalText(zh="价", en="Price")
BENT = notice_pb2.LocalText(en="\x9b2J")


@pytest.mark.parametrize(
    ("field", "card"),
    [
        ("card.kind", {"kind": 99}),
        ("card", {"kind": 0}),
        ("card.lines", {"lines": [notice_pb2.CardLine(name=BOTH)] * 51}),
        ("card.id", {"id": "a\nb"}),
        ("card.title.en", {"title": BENT}),
        ("card.lines[1].value.en", {"lines": [notice_pb2.CardLine(), notice_pb2.CardLine(value=BENT)]}),
    ],
)
async def test_wrong_cards_name_the_field(
    house: House, account: int, field: str, card: dict[str, Any]
) -> None:
    async with house.trader() as trader:
        thread = await trader.conversations.open(account_id=account)
        wrong = notice_pb2.Card(**{"kind": notice_pb2.CARD_KIND_SIGNAL, "id": "s1", **card})
        with pytest.raises(InvalidInput) as refused:
            await trader.conversations.post(thread.thread_id, card=wrong)
        assert refused.value.field == field
    assert house.notices == []


@pytest.mark.parametrize("control", ["\x00", "\x1b[2J", "\x07", "\r", "\x7f", "\x9b", "\u202e", "\u2066"])
async def test_nobody_writes_what_moves_a_screen(house: House, account: int, control: str) -> None:
    async with house.trader() as trader:
        with pytest.raises(InvalidInput) as title:
            await trader.conversations.open(account_id=account, title=f"An {control}idea")
        thread = await trader.conversations.open(account_id=account, title="An idea")
        with pytest.raises(InvalidInput) as text:
            await trader.conversations.post(thread.thread_id, f"A{control}B")
        assert (title.value.field, text.value.field) == ("title", "text")
        posted = await trader.conversations.post(thread.thread_id, "Two\n\tlines 👨‍👩‍👧")
        assert posted.text == "Two\n\tlines 👨‍👩‍👧"


async def test_a_withdrawn_mandate_ends_everything_at_once(house: House, account: int) -> None:
    async with house.investor(account) as investor, house.trader() as trader:
        thread = await trader.conversations.open(account_id=account, title="Soon over")
        heard: asyncio.Queue[str] = asyncio.Queue()
        first = await investor.conversations.post(thread.thread_id, "one")

        async def listen() -> None:
            async for message in trader.conversations.live_messages(first.position):
                await heard.put(message.text)

        listening = asyncio.create_task(listen())
        for text in ("two", "three"):  # the second comes to a stream that runs
            await investor.conversations.post(thread.thread_id, text)
            assert await asyncio.wait_for(heard.get(), 60) == text
        await investor.conversations.revoke("zhang")
        with pytest.raises(FailedPrecondition) as missing:
            await investor.conversations.post(thread.thread_id, "after")
        assert missing.value.reason == "MANDATE_MISSING"
        for refused in (
            trader.conversations.post(thread.thread_id, "still there?"),
            trader.conversations.export(thread.thread_id),
        ):
            with pytest.raises(NotFound):
                await refused
        assert [each async for each in trader.conversations.threads() if each.account_id == account] == []
        assert [each async for each in trader.conversations.search("three")] == []
        assert not listening.done()
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
        assert heard.empty()
        # The investor keeps what was said.
        assert len([each async for each in investor.conversations.messages(thread.thread_id)]) == 3


async def test_nobody_reads_or_answers_what_is_not_theirs(house: House, account: int) -> None:
    message = await house.propose(account)
    async with house.investor(account + 1) as stranger, house.trader("wang") as rival:
        for other in (stranger, rival):
            for thread_id in (message.thread_id, "t0000"):
                with pytest.raises(NotFound) as refused:
                    await anext(aiter(other.conversations.messages(thread_id)))
                assert refused.value.reason == "THREAD_UNKNOWN"
        for proposal_id in (message.proposal.proposal_id, "p0000"):
            with pytest.raises(NotFound) as unknown:
                await stranger.conversations.answer(proposal_id, accept=True)
            assert unknown.value.reason == "PROPOSAL_UNKNOWN"
        with pytest.raises(FailedPrecondition):
            await rival.conversations.open(account_id=account, title="Cold call")
    async with house.trader() as trader:
        with pytest.raises(PermissionDenied):
            await trader.conversations.answer(message.proposal.proposal_id, accept=True)
    async with house.client("reader", account, "read") as reader:
        with pytest.raises(PermissionDenied):
            await reader.conversations.post(message.thread_id, "I may only read")


async def test_words_are_found_in_chinese_and_english(house: House, account: int) -> None:
    async with house.investor(account) as investor, house.trader() as trader:
        thread = await trader.conversations.open(account_id=account)
        for text in ("我想买入银行股", "Sell the 100% STEEL now", "钢铁太贵"):
            await investor.conversations.post(thread.thread_id, text)

        async def found(query: str) -> list[str]:
            return [each.text async for each in investor.conversations.search(query)]

        assert await found("银行") == ["我想买入银行股"]
        assert await found("steel SELL") == ["Sell the 100% STEEL now"]
        assert await found("100%") == ["Sell the 100% STEEL now"]
        assert await found("10_%") == []
        with pytest.raises(InvalidInput):
            await found("股")


async def test_an_export_is_whole_and_safe(house: House, account: int) -> None:
    message = await house.propose(account)
    async with house.investor(account) as investor:
        await investor.conversations.post(message.thread_id, "<script>alert(1)</script>")
        page = await investor.conversations.export(message.thread_id, "html")
        assert b"<script>alert" not in page.content
        assert b"&lt;script&gt;" in page.content
        text = (await investor.conversations.export(message.thread_id, "text")).content.decode()
        proposed = ["proposal 1, open: Banks are cheap", "buy TALK 100 @ 10.00"]
        assert "\n".join(f"    {line}" for line in proposed) in text
        assert all(f"<li>{line}</li>" in page.content.decode() for line in proposed)
        assert "What do you think?" in text
        with pytest.raises(InvalidInput):
            await investor.conversations.export(message.thread_id, "pdf")
