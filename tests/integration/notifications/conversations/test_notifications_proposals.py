"""Traders propose orders, and the real market gets them once an investor accepts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from notifications.conversations.placing import Placing
from notifications.domain.talk import ProposalState
from smartex.notifications.v1 import conversation_service_pb2 as pb
from smartex.positions.v1.types_pb2 import OrderSuggestion
from smartex_chassis import Unavailable
from smartex_client import FailedPrecondition, InvalidInput
from talk_house import House, order, quantities


async def test_a_proposal_shows_what_it_trades(house: House, account: int) -> None:
    disguised = order()
    disguised.symbol, disguised.quantity, disguised.price = "GOLD" * 100_000, "1", "0.01"
    message = await house.propose(account, disguised)
    assert [each.symbol for each in message.proposal.orders] == ["TALK"]
    async with house.investor(account) as investor:
        told = [each async for each in investor.conversations.messages(message.thread_id)]
        (shown,) = told[0].proposal.orders
        assert (shown.symbol, shown.quantity, shown.price) == ("TALK", "100", "10.00")


async def test_an_accepted_proposal_places_its_orders_once(house: House, account: int) -> None:
    message = await house.propose(account, order(100, 1000), order(200, 990), order(10_000_000, 1000))
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
        assert told[0].text.splitlines()[1:] == [
            "TALK：已提交，成交 0 / TALK: placed, 0 traded",
            "TALK：被拒绝（数量超过上限） / TALK: refused (the quantity is over the largest)",
        ]
    steps = await house.database.fetch(
        "SELECT kind, detail FROM notifications.steps WHERE account_id = $1 ORDER BY number", account
    )
    assert [row["kind"] for row in steps] == ["proposal", "accepted", "order", "order", "refused"]
    proposed = "buy TALK 100 @ 10.00; buy TALK 200 @ 9.90; buy TALK 10,000,000 @ 10.00, proposed by zhang"
    assert (steps[0]["detail"], steps[4]["detail"]) == (proposed, "QUANTITY_TOO_LARGE")
    assert house.notices[0].kind == "conversations.proposal"
    assert house.notices[0].card.id == message.proposal.proposal_id


async def test_what_a_crash_left_is_placed_once_if_it_is_fresh_and_looked_up_if_not(
    house: House, account: int
) -> None:
    fresh, late = await house.propose(account), await house.propose(account)
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
    message = await house.propose(account, order(100), order(200), order(300))
    slow = SlowMarket(house, house.talking.settle_left)
    talking = house.talking_by(slow)
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
    seller = await house.new_investor()
    async with house.operator() as operator:
        await operator.venue.deposit_shares(seller, 100, "TALK")
    async with house.investor(seller) as other:
        await other.sell("TALK", 100, "10.50")  # above what others bid
    wanted = order(100, 1050)
    wanted.client_order_id = 4711
    found = [await house.placing.place(account, [wanted], lambda: True) for _ in range(2)]
    assert [(each.accepted, each.filled_lots) for [each] in found] == [(True, 100)] * 2


async def test_one_that_cannot_be_settled_does_not_hold_up_the_others(house: House, account: int) -> None:
    first, second = await house.propose(account), await house.propose(account)
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
        row = await house.talk.proposal(second.proposal.proposal_id)
        assert row is not None
        assert row["results"] is not None
    finally:
        await house.database.execute(
            "UPDATE notifications.proposals SET results = '' WHERE account_id = $1 AND results IS NULL",
            account,
        )


async def test_declined_expired_and_withdrawn_proposals_place_nothing(house: House, account: int) -> None:
    declined = await house.propose(account)
    expired = await house.propose(account, expire=datetime.now(UTC) + timedelta(minutes=1))
    withdrawn = await house.propose(account)
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


UNKNOWN = OrderSuggestion(instrument_id=77, symbol="TALK", side=1, quantity_lots=100, price_ticks=1000)


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


async def test_an_absent_market_is_told_and_nothing_is_lost(house: House, account: int) -> None:
    message = await house.propose(account)
    away = house.placing_at("127.0.0.1:1")
    with pytest.raises(Unavailable, match="the market does not answer"):
        await house.talking_by(away).answer(
            account, message.proposal.proposal_id, accept=True, text="", origin="api"
        )
    await away.stop()
    assert await house.talking.settle_left() == 1
    async with house.investor(account) as investor:
        assert (await investor.account()).open_orders == 1
