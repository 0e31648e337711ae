"""Investors and traders on a real PostgreSQL and a real market: mandates, proposals that place orders, replies."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import smartex_client
from notifications import store as tables
from notifications.api.conversations import ConversationApi
from notifications.conversations.hub import TalkHub
from notifications.conversations.placing import Placing
from notifications.conversations.replies import TalkReplies
from notifications.conversations.store import TalkStore
from notifications.conversations.talking import Talking
from notifications.domain.talk import ProposalState
from pydantic import SecretStr
from smartex.matching.v1 import types_pb2 as types
from smartex.notifications.v1 import conversation_service_pb2 as pb
from smartex.notifications.v1 import notice_pb2
from smartex.positions.v1.types_pb2 import OrderSuggestion
from smartex_chassis import ChassisServer, ChassisSettings, LocalIssuer, ServiceModule, Unavailable
from smartex_client import FailedPrecondition, InvalidInput, Market, NotFound, PermissionDenied
from smartex_store import Database, EmbeddedPostgres

from matching.settings import MatchingSettings  # isort: skip
from matching.wiring import Pod  # isort: skip

pytestmark = pytest.mark.asyncio(loop_scope="module")
_accounts = itertools.count(1001, 10)


class House:
    """A market and conversations on one port."""

    def __init__(self, url: str, issuer: LocalIssuer, database: Database, talking: Talking, placing: Placing):
        self.url, self.issuer, self.database, self.talking, self.placing = (
            url,
            issuer,
            database,
            talking,
            placing,
        )
        self.notices: list[notice_pb2.Notice] = []
        self.now: datetime | None = None

    def client(self, subject: str, account_id: int | None, *scopes: str) -> Market:
        token = self.issuer.issue(subject=subject, account_id=account_id, scopes=scopes)
        return smartex_client.connect(self.url, token=token)

    def investor(self, account_id: int) -> Market:
        return self.client(f"account-{account_id}", account_id, "trade")

    def trader(self, name: str = "zhang") -> Market:
        return self.client(name, None, "advise", "read")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("talk")
    issuer = LocalIssuer(folder / "keys")
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(EmbeddedPostgres(folder / "postgres"))
        sizes: dict[str, Any] = {
            "idempotency_window": 1 << 16,
            "max_orders": 1 << 16,
            "max_accounts": 1 << 10,
            "history_beside": False,
        }
        pod = await Pod.open(
            MatchingSettings(database_url=SecretStr(postgres.url), matching_data=folder / "matching", **sizes)
        )
        database = await stack.enter_async_context(Database.connect(postgres.url, name="talk"))
        await tables.migrate(database)
        houses: list[House] = []

        async def enqueue(connection: Any, notice: notice_pb2.Notice) -> None:
            houses[0].notices.append(notice)

        def clock() -> datetime:
            return houses[0].now or datetime.now(UTC)

        talk, hub = TalkStore(database), TalkHub()
        placing = Placing("", issuer.jwks_path.parent)
        talking = Talking(talk, enqueue, placing, clock)
        api = ConversationApi(talk, talking, hub, clock)
        server = ChassisServer(
            [pod.module(), ServiceModule("talk", api.register, api.scopes)],
            ChassisSettings(port=0, metrics_port=None, jwks=str(issuer.jwks_path)),
        )
        await server.start()
        stack.push_async_callback(server.drain)
        placing._url = f"127.0.0.1:{server.port}"
        stack.push_async_callback(placing.stop)
        listening = await stack.enter_async_context(database.acquire())

        def said(*_: object) -> None:
            hub.wake("")

        await listening.add_listener("notifications_conversations", said)
        stack.push_async_callback(listening.remove_listener, "notifications_conversations", said)
        houses.append(House(placing._url, issuer, database, talking, placing))
        await _open_market(houses[0])
        yield houses[0]


async def _open_market(house: House) -> None:
    async with house.client("operator", None, "operate", "read") as operator:
        await operator.venue.define(
            types.Instrument(
                instrument_id=1,
                symbol="TALK",
                name="Talk",
                currency_code="CNY",
                tick_size="0.01",
                lot_size="1",
                board_lot=100,
                odd_lot_rule=types.ODD_LOT_RULE_SELL_REST,
                reference_price_ticks=1000,
                max_price_ticks=100_000,
                max_order_lots=1_000_000,
                settlement=types.SETTLEMENT_T0,
                trading_state=types.TRADING_STATE_OPEN,
            )
        )


@pytest_asyncio.fixture(loop_scope="module")
async def account(house: House) -> int:
    """An investor with money whose trader zhang has a mandate."""
    number = next(_accounts)
    async with house.client("operator", None, "operate", "read") as operator:
        await operator.venue.deposit(number, 100_000, "CNY")
    async with house.investor(number) as investor:
        await investor.conversations.grant("zhang")
    house.notices.clear()
    return number


def order(lots: int = 100, price: int = 1000, side: int = 1) -> OrderSuggestion:
    return OrderSuggestion(instrument_id=1, symbol="TALK", side=side, quantity_lots=lots, price_ticks=price)


UNKNOWN = OrderSuggestion(instrument_id=77, symbol="TALK", side=1, quantity_lots=100, price_ticks=1000)


async def quantities(investor: Market, at_least: int, **which: Any) -> list[Decimal]:
    """Quantities of the orders in the history, which follows the market by a moment."""
    async with asyncio.timeout(10):
        while (
            len(found := [each.quantity or Decimal() async for each in investor.orders(**which)]) < at_least
        ):
            await asyncio.sleep(0.02)
    return found


async def propose(
    house: House, account: int, *orders: OrderSuggestion, expire: datetime | None = None
) -> pb.Message:
    async with house.trader() as trader:
        thread = await trader.conversations.open(account_id=account, title="An idea")
        proposal = pb.Proposal(orders=orders or [order()], reason="Banks are cheap")
        if expire is not None:
            proposal.expire_time.FromDatetime(expire)
        return await trader.conversations.post(thread.thread_id, "What do you think?", proposal=proposal)


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
    other = next(_accounts)
    async with house.investor(other) as investor:
        await investor.conversations.grant("zhang")
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


async def test_a_proposal_shows_what_it_trades(house: House, account: int) -> None:
    disguised = order()
    disguised.symbol = "GOLD" * 100_000
    message = await propose(house, account, disguised)
    assert [each.symbol for each in message.proposal.orders] == ["TALK"]
    async with house.investor(account) as investor:
        told = [each async for each in investor.conversations.messages(message.thread_id)]
        assert [each.symbol for each in told[0].proposal.orders] == ["TALK"]


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


async def test_an_accepted_proposal_places_its_orders_once(house: House, account: int) -> None:
    message = await propose(house, account, order(100, 1000), order(200, 990), order(10_000_000, 1000))
    async with house.investor(account) as investor:
        answers = await asyncio.gather(
            *(investor.conversations.answer(message.proposal.proposal_id, accept=True) for _ in range(3))
        )
        for answer in answers:
            assert answer.state == pb.PROPOSAL_STATE_ACCEPTED
            assert [each.accepted for each in answer.results] == [True, True, False]
            assert answer.results[2].reason == "QUANTITY_TOO_LARGE"
        assert sorted(await quantities(investor, 2, status="open")) == [100, 200]
        told = [each async for each in investor.conversations.messages(message.thread_id)]
        assert [each.author for each in told] == [pb.PARTY_EXCHANGE, pb.PARTY_INVESTOR, pb.PARTY_TRADER]
    steps = await house.database.fetch(
        "SELECT kind FROM notifications.steps WHERE account_id = $1 ORDER BY number", account
    )
    assert [row["kind"] for row in steps] == ["proposal", "accepted", "order", "order", "refused"]
    assert house.notices[0].kind == "conversations.proposal"
    assert house.notices[0].card.id == message.proposal.proposal_id


async def test_what_a_crash_left_is_placed_once_if_it_is_fresh_and_looked_up_if_not(
    house: House, account: int
) -> None:
    fresh, late = await propose(house, account), await propose(house, account)
    await house.database.execute(
        """
        UPDATE notifications.proposals SET state = $2, answer_time = CASE proposal_id WHEN $3 THEN now()
                                                                     ELSE now() - interval '5 minutes' END
         WHERE account_id = $1
        """,
        account,
        int(ProposalState.ACCEPTED),
        fresh.proposal.proposal_id,
    )
    await house.talking.settle_left()
    assert await house.talking.settle_left() == 0
    async with house.investor(account) as investor:
        found = [
            await investor.conversations.answer(each.proposal.proposal_id, accept=True)
            for each in (fresh, late)
        ]
        assert [each.results[0].accepted for each in found] == [True, False]
        assert found[1].results[0].reason == "NOT_PLACED"
        assert len(await quantities(investor, 1)) == 1


class SlowMarket(Placing):
    """A market that takes 70 seconds for an order, on the clock of the house; `meanwhile` comes after each."""

    def __init__(self, house: House, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(house.url, house.issuer.jwks_path.parent)
        self._house, self._meanwhile = house, meanwhile

    async def _place(self, stub: Any, account_id: int, order: OrderSuggestion) -> pb.OrderResult:
        result = await super()._place(stub, account_id, order)
        assert self._house.now is not None
        self._house.now += timedelta(seconds=70)
        await self._meanwhile()
        return result


async def test_nothing_is_placed_after_its_time_and_nothing_is_told_while_it_may_be(
    house: House, account: int
) -> None:
    message = await propose(house, account, order(100), order(200), order(300))
    slow = SlowMarket(house, house.talking.settle_left)
    talking = Talking(house.talking._talk, house.talking._enqueue, slow, house.talking._clock)
    house.now = datetime.now(UTC)
    try:
        with pytest.raises(Unavailable):
            await talking.answer(account, message.proposal.proposal_id, accept=True, text="", origin="api")
        house.now += timedelta(minutes=1)
        await house.talking.settle_left()
    finally:
        house.now = None
        await slow.stop()
    async with house.investor(account) as investor:
        told = await investor.conversations.answer(message.proposal.proposal_id, accept=True)
        assert [(each.accepted, each.reason) for each in told.results] == [
            (True, ""),
            (False, "NOT_PLACED"),
            (False, "NOT_PLACED"),
        ]
        assert (await investor.account()).open_orders == 1


async def test_an_order_that_is_placed_again_tells_what_it_traded(house: House, account: int) -> None:
    seller = next(_accounts)
    async with house.client("operator", None, "operate", "read") as operator:
        await operator.venue.deposit_shares(seller, 100, "TALK")
    async with house.investor(seller) as other:
        await other.sell("TALK", 100, "10.50")  # above what others bid
    wanted = order(100, 1050)
    wanted.client_order_id = 4711
    found = [await house.placing.place(account, [wanted], lambda: True) for _ in range(2)]
    assert [(each.accepted, each.filled_lots) for [each] in found] == [(True, 100)] * 2


async def test_one_that_cannot_be_settled_does_not_hold_up_the_others(house: House, account: int) -> None:
    first, second = await propose(house, account), await propose(house, account)
    await house.database.execute(
        """
        UPDATE notifications.proposals SET state = $2, answer_time = now() - interval '5 minutes',
               content = CASE proposal_id WHEN $3 THEN '\x0a0108'::bytea ELSE content END
         WHERE account_id = $1
        """,
        account,
        int(ProposalState.ACCEPTED),
        first.proposal.proposal_id,
    )
    try:
        assert await house.talking.settle_left() == 1
        row = await house.talking._talk.proposal(second.proposal.proposal_id)
        assert row is not None
        assert row["results"] is not None
    finally:
        await house.database.execute(
            "UPDATE notifications.proposals SET results = '' WHERE account_id = $1 AND results IS NULL",
            account,
        )


async def test_declined_expired_and_withdrawn_proposals_place_nothing(house: House, account: int) -> None:
    declined = await propose(house, account)
    expired = await propose(house, account, expire=datetime.now(UTC) + timedelta(minutes=1))
    withdrawn = await propose(house, account)
    async with house.investor(account) as investor:
        answer = await investor.conversations.answer(declined.proposal.proposal_id, accept=False)
        assert answer.state == pb.PROPOSAL_STATE_DECLINED
        house.now = datetime.now(UTC) + timedelta(minutes=2)
        try:
            with pytest.raises(FailedPrecondition) as closed:
                await investor.conversations.answer(expired.proposal.proposal_id, accept=True)
        finally:
            house.now = None
        assert closed.value.reason == "PROPOSAL_CLOSED"
        await investor.conversations.revoke("zhang")
        for each in (declined, withdrawn):
            with pytest.raises(FailedPrecondition):
                await investor.conversations.answer(each.proposal.proposal_id, accept=True)
        assert [each async for each in investor.orders()] == []


async def test_a_withdrawn_mandate_ends_everything_at_once(house: House, account: int) -> None:
    async with house.investor(account) as investor, house.trader() as trader:
        thread = await trader.conversations.open(account_id=account, title="Soon over")
        heard: list[str] = []

        async def listen() -> None:
            async for message in trader.conversations.live_messages():
                heard.insert(len(heard), message.text)

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0.3)
        await investor.conversations.post(thread.thread_id, "before")
        async with asyncio.timeout(10):
            while not heard:
                await asyncio.sleep(0.02)
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
        assert [each async for each in trader.conversations.search("before")] == []
        listening.cancel()
        assert heard == ["before"]
        # The investor keeps what was said.
        assert len([each async for each in investor.conversations.messages(thread.thread_id)]) == 1


async def test_nobody_reads_or_answers_what_is_not_theirs(house: House, account: int) -> None:
    message = await propose(house, account)
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


@pytest.mark.parametrize(
    ("field", "proposal"),
    [
        ("proposal.orders", pb.Proposal()),
        ("proposal.orders", pb.Proposal(orders=[order()] * 51)),
        ("proposal.orders[0].side", pb.Proposal(orders=[order(side=3)])),
        ("proposal.orders[0].quantity_lots", pb.Proposal(orders=[order(lots=0)])),
        ("proposal.orders[1].price_ticks", pb.Proposal(orders=[order(), order(price=-1)])),
        ("proposal.reason", pb.Proposal(orders=[order()], reason="x" * 201)),
        ("proposal.reason", pb.Proposal(orders=[order()], reason="\u202e")),
        ("proposal.orders[1].instrument_id", pb.Proposal(orders=[order(), UNKNOWN])),
    ],
)
async def test_wrong_proposals_name_the_field(
    house: House, account: int, field: str, proposal: pb.Proposal
) -> None:
    async with house.trader() as trader:
        thread = await trader.conversations.open(account_id=account)
        with pytest.raises(InvalidInput) as refused:
            await trader.conversations.post(thread.thread_id, proposal=proposal)
        assert refused.value.field == field
        assert [each async for each in trader.conversations.messages(thread.thread_id)] == []


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
    message = await propose(house, account)
    async with house.investor(account) as investor:
        await investor.conversations.post(message.thread_id, "<script>alert(1)</script>")
        page = await investor.conversations.export(message.thread_id, "html")
        assert b"<script>alert" not in page.content
        assert b"&lt;script&gt;" in page.content
        text = (await investor.conversations.export(message.thread_id, "text")).content.decode()
        assert "BUY TALK 100 @ 1000" in text
        assert "What do you think?" in text
        with pytest.raises(InvalidInput):
            await investor.conversations.export(message.thread_id, "pdf")


async def test_replies_from_wechat_answer_or_are_passed_on(house: House, account: int) -> None:
    async def chinese(account_id: int) -> str:
        return "zh-CN"

    replies = TalkReplies(TalkStore(house.database), house.talking, chinese, lambda: datetime.now(UTC))
    assert await replies.on_text(account, "同意", "m1") == "没有等待您回复的交易建议。"
    first, second = await propose(house, account), await propose(house, account, order(300))
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


async def test_an_ok_to_other_words_of_the_trader_trades_nothing(house: House, account: int) -> None:
    async def english(account_id: int) -> str:
        return "en"

    replies = TalkReplies(TalkStore(house.database), house.talking, english, lambda: datetime.now(UTC))
    message = await propose(house, account)
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

    replies = TalkReplies(TalkStore(house.database), house.talking, english, lambda: datetime.now(UTC))
    message = await propose(house, account)
    async with house.investor(account) as investor:
        await investor.conversations.post(message.thread_id, "Let me think.")
        assert "is accepted" in await replies.on_text(account, "ok", f"ok-{account}")
        assert (await investor.account()).open_orders == 1


async def test_an_absent_market_is_told_and_nothing_is_lost(house: House, account: int) -> None:
    message = await propose(house, account)
    away = Placing("127.0.0.1:1", house.issuer.jwks_path.parent)
    talking = Talking(house.talking._talk, house.talking._enqueue, away, lambda: datetime.now(UTC))
    with pytest.raises(Unavailable, match="the market does not answer"):
        await talking.answer(account, message.proposal.proposal_id, accept=True, text="", origin="api")
    await away.stop()
    assert await house.talking.settle_left() == 1
    async with house.investor(account) as investor:
        assert (await investor.account()).open_orders == 1


async def test_a_reply_told_again_is_passed_on_once_though_the_talk_moved_on(
    house: House, account: int
) -> None:
    async def english(account_id: int) -> str:
        return "en"

    replies = TalkReplies(TalkStore(house.database), house.talking, english, lambda: datetime.now(UTC))
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
