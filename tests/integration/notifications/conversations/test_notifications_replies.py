"""What an investor writes in WeChat answers a proposal, or is passed on to the trader."""

from __future__ import annotations

from datetime import UTC, datetime

from notifications.conversations.replies import TalkReplies
from talk_house import House, order, quantities


async def test_replies_from_wechat_answer_or_are_passed_on(house: House, account: int) -> None:
    async def chinese(account_id: int) -> str:
        return "zh-CN"

    replies = TalkReplies(house.talk, house.talking, chinese, lambda: datetime.now(UTC))
    assert await replies.on_text(account, "同意", "m1") == "没有等待您回复的交易建议。"
    first, second = await house.propose(account), await house.propose(account, order(300))
    assert "请写明编号" in await replies.on_text(account, "同意", "m2")
    assert "没有编号为 99" in await replies.on_text(account, "同意99", "m3")
    said = await replies.on_text(account, f"同意{second.proposal.number}", "m4")
    assert said == f"已同意交易建议 {second.proposal.number}。\nTALK：已提交，成交 0"
    assert "已拒绝" in await replies.on_text(account, "拒绝", "m5")
    assert "已失效" in await replies.on_text(account, f"同意{first.proposal.number}", "m6")
    assert await replies.on_text(account, "下周再说", "m7") == "已转给您的交易员。"
    assert await replies.on_text(account, "下周再说", "m7") == "已转给您的交易员。"
    assert await replies.on_text(account, "\u202e\x9b", "m9") == "您还没有授权交易员，消息未转达。"
    async with house.investor(account) as investor:
        assert await quantities(investor, 1) == [300]
        # The thread that was last active: that of the proposal declined just before.
        told = [each async for each in investor.conversations.messages(first.thread_id)]
        assert [(each.text, each.origin) for each in told if each.text == "下周再说"] == [
            ("下周再说", "wechat")
        ]
        await investor.conversations.revoke("zhang")
    assert await replies.on_text(account, "在吗", "m8") == "您还没有授权交易员，消息未转达。"


async def test_a_reply_told_again_is_passed_on_once_though_the_talk_moved_on(
    house: House, account: int
) -> None:
    async def english(account_id: int) -> str:
        return "en"

    replies = TalkReplies(house.talk, house.talking, english, lambda: datetime.now(UTC))
    async with house.investor(account) as investor:
        threads = [await investor.conversations.open(trader="zhang", title=title) for title in ("A", "B")]
        key = f"again-{account}"
        assert await replies.on_text(account, "later\u202e", key) == "Passed on to your trader."
        await investor.conversations.post(threads[0].thread_id, "The other one")
        assert await replies.on_text(account, "later\u202e", key) == "Passed on to your trader."
        told = [
            each.text
            for thread in threads
            async for each in investor.conversations.messages(thread.thread_id)
        ]
        assert told == ["The other one", "later"]


async def test_an_ok_to_other_words_of_the_trader_trades_nothing(house: House, account: int) -> None:
    async def english(account_id: int) -> str:
        return "en"

    replies = TalkReplies(house.talk, house.talking, english, lambda: datetime.now(UTC))
    message = await house.propose(account)
    number = message.proposal.number
    async with house.trader() as trader:
        await trader.conversations.post(message.thread_id, "I will call you tomorrow at nine.")
    said = await replies.on_text(account, "OK", f"ok-{account}")
    assert said == f"Passed on to your trader.\nTo accept proposal {number}, say its number: ok {number}"
    async with house.investor(account) as investor:
        assert (await investor.account()).open_orders == 0
        told = [each async for each in investor.conversations.messages(message.thread_id)]
        assert (told[0].text, told[0].origin) == ("OK", "wechat")
        assert "is accepted" in await replies.on_text(account, f"ok {number}", f"ok2-{account}")
        assert (await investor.account()).open_orders == 1


async def test_an_ok_to_the_proposal_itself_needs_no_number(house: House, account: int) -> None:
    async def english(account_id: int) -> str:
        return "en"

    replies = TalkReplies(house.talk, house.talking, english, lambda: datetime.now(UTC))
    message = await house.propose(account)
    async with house.investor(account) as investor:
        await investor.conversations.post(message.thread_id, "Let me think.")
        assert "is accepted" in await replies.on_text(account, "ok", f"ok-{account}")
        assert (await investor.account()).open_orders == 1
