"""A real market and the conversations of investors and traders, on one port and one real PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import smartex_client
from matching.settings import MatchingSettings
from matching.wiring import Pod
from notifications import store as tables
from notifications.api.conversations import ConversationApi
from notifications.conversations.hub import TalkHub
from notifications.conversations.placing import Placing
from notifications.conversations.store import TalkStore
from notifications.conversations.talking import Talking
from pydantic import SecretStr
from smartex.matching.v1 import types_pb2 as types
from smartex.notifications.v1 import conversation_service_pb2 as pb
from smartex.notifications.v1 import notice_pb2
from smartex.positions.v1.types_pb2 import OrderSuggestion
from smartex_chassis import ChassisServer, ChassisSettings, LocalIssuer, ServiceModule
from smartex_client import Market
from smartex_store import Database, EmbeddedPostgres

SIZES: dict[str, Any] = {
    "idempotency_window": 1 << 16,
    "max_orders": 1 << 16,
    "max_accounts": 1 << 10,
    "history_beside": False,
}


class House:
    """A market and conversations on one port. Tests move its clock by `now`, and find its notices."""

    def __init__(self, issuer: LocalIssuer, database: Database) -> None:
        self.issuer, self.database = issuer, database
        self.notices: list[notice_pb2.Notice] = []
        self.now: datetime | None = None
        self.talk, self.hub = TalkStore(database), TalkHub()
        self.placing = self.placing_at("")  # where the market is, is known once it is served
        self.talking = self.talking_by(self.placing)
        self.url = ""
        self._accounts = itertools.count(1001, 10)

    def clock(self) -> datetime:
        return self.now or datetime.now(UTC)

    async def enqueue(self, connection: Any, notice: notice_pb2.Notice) -> None:
        self.notices.append(notice)

    def placing_at(self, url: str) -> Placing:
        return Placing(url, self.issuer.jwks_path.parent)

    def talking_by(self, placing: Placing) -> Talking:
        return Talking(self.talk, self.enqueue, placing, self.clock)

    def client(self, subject: str, account_id: int | None, *scopes: str) -> Market:
        token = self.issuer.issue(subject=subject, account_id=account_id, scopes=scopes)
        return smartex_client.connect(self.url, token=token, retry=smartex_client.RetryPolicy(deadline=60.0))

    def operator(self) -> Market:
        return self.client("operator", None, "operate", "read")

    def investor(self, account_id: int) -> Market:
        return self.client(f"account-{account_id}", account_id, "trade")

    def trader(self, name: str = "zhang") -> Market:
        return self.client(name, None, "advise", "read")

    async def new_investor(self, cash: int = 0) -> int:
        """An investor whose trader zhang has a mandate."""
        number = next(self._accounts)
        if cash:
            async with self.operator() as operator:
                await operator.venue.deposit(number, cash, "CNY")
        async with self.investor(number) as investor:
            await investor.conversations.grant("zhang")
        self.notices.clear()
        return number

    async def propose(
        self, account: int, *orders: OrderSuggestion, expire: datetime | None = None
    ) -> pb.Message:
        """What zhang proposes in a new thread."""
        async with self.trader() as trader:
            thread = await trader.conversations.open(account_id=account, title="An idea")
            proposal = pb.Proposal(orders=orders or [order()], reason="Banks are cheap")
            if expire is not None:
                proposal.expire_time.FromDatetime(expire)
            return await trader.conversations.post(thread.thread_id, "What do you think?", proposal=proposal)


@asynccontextmanager
async def serve(folder: Path) -> AsyncIterator[House]:
    """Serve it until the block ends; one share, TALK, can be traded."""
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(EmbeddedPostgres(folder / "postgres"))
        pod = await Pod.open(
            MatchingSettings(database_url=SecretStr(postgres.url), matching_data=folder / "matching", **SIZES)
        )
        database = await stack.enter_async_context(Database.connect(postgres.url, name="talk"))
        await tables.migrate(database)
        house = House(LocalIssuer(folder / "keys"), database)
        api = ConversationApi(house.talk, house.talking, house.hub, house.clock)
        server = ChassisServer(
            [pod.module(), ServiceModule("talk", api.register, api.scopes)],
            ChassisSettings(port=0, metrics_port=None, jwks=str(house.issuer.jwks_path)),
        )
        await server.start()
        stack.push_async_callback(server.drain)
        house.url = house.placing._url = f"127.0.0.1:{server.port}"
        stack.push_async_callback(house.placing.stop)
        await _wake(stack, house)
        await _open_market(house)
        yield house


async def _wake(stack: AsyncExitStack, house: House) -> None:
    """Tell the streams what the tables signal."""
    listening = await stack.enter_async_context(house.database.acquire())

    def said(*_: object) -> None:
        house.hub.wake("")

    await listening.add_listener("notifications_conversations", said)
    stack.push_async_callback(listening.remove_listener, "notifications_conversations", said)


async def _open_market(house: House) -> None:
    async with house.operator() as operator:
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


def order(lots: int = 100, price: int = 1000, side: int = 1) -> OrderSuggestion:
    return OrderSuggestion(instrument_id=1, symbol="TALK", side=side, quantity_lots=lots, price_ticks=price)


async def quantities(investor: Market, at_least: int, **which: Any) -> list[Decimal]:
    """Quantities of the orders in the history, which follows the market by a moment."""
    async with asyncio.timeout(60):
        while (
            len(found := [each.quantity or Decimal() async for each in investor.orders(**which)]) < at_least
        ):
            await asyncio.sleep(0.02)
    return found
