from typing import Any

import numpy as np
import pytest
from smartex.matching.v1 import types_pb2 as types
from smartex_agents.desk import Desk
from smartex_agents.quoting import Quote
from smartex_client import REPORT_DTYPE, connect


@pytest.fixture
async def desk() -> Desk:
    """A desk that is not opened: reports are handed to it."""
    return Desk(connect("127.0.0.1:1", token="none"), cancel_on_disconnect=True)


def report(kind: int, **fields: Any) -> Any:
    row = np.zeros(1, REPORT_DTYPE)
    row["kind"] = kind
    for name, value in {"instrument_id": 3, "side": types.SIDE_BUY, **fields}.items():
        row[name] = value
    return row.view(np.recarray)[0]


def accepted(key: int, leaves: int, **fields: Any) -> Any:
    return report(
        types.REPORT_KIND_ACCEPTED, client_order_id=key, price_ticks=10, leaves_lots=leaves, **fields
    )


def filled(key: int, lots: int, leaves: int, liquidity: int, **fields: Any) -> Any:
    return report(
        types.REPORT_KIND_FILLED,
        client_order_id=key,
        quantity_lots=lots,
        leaves_lots=leaves,
        liquidity=liquidity,
        **fields,
    )


async def test_an_order_rests_until_it_is_filled(desk: Desk) -> None:
    desk.see([accepted(1, 300)])
    assert desk.resting[3] == {1: Quote(types.SIDE_BUY, 10, 300)}
    desk.see([filled(1, 100, 200, types.LIQUIDITY_MAKER)])
    assert desk.resting[3] == {1: Quote(types.SIDE_BUY, 10, 200)}
    desk.see([filled(1, 200, 0, types.LIQUIDITY_MAKER)])
    assert desk.resting[3] == {}
    assert desk.position[3] == 300


async def test_an_arriving_orders_fills_count_but_what_rests_was_said_before(desk: Desk) -> None:
    desk.see(
        [
            accepted(1, 50),
            filled(1, 100, 150, types.LIQUIDITY_TAKER),
            filled(1, 100, 50, types.LIQUIDITY_TAKER),
        ]
    )
    assert desk.resting[3] == {1: Quote(types.SIDE_BUY, 10, 50)}
    assert desk.position[3] == 200


async def test_sales_count_negative(desk: Desk) -> None:
    desk.see([accepted(1, 0, side=types.SIDE_SELL)])
    desk.see([filled(1, 100, 0, types.LIQUIDITY_TAKER, side=types.SIDE_SELL)])
    assert desk.position[3] == -100
    assert desk.resting[3] == {}


async def test_a_cancelled_order_is_gone_and_a_part_taken_off_leaves_the_rest(desk: Desk) -> None:
    desk.see([accepted(1, 300), accepted(2, 300)])
    desk.see([report(types.REPORT_KIND_CANCELLED, client_order_id=1, quantity_lots=300)])
    desk.see([report(types.REPORT_KIND_CANCELLED, client_order_id=2, quantity_lots=100, leaves_lots=200)])
    assert desk.resting[3] == {2: Quote(types.SIDE_BUY, 10, 200)}


async def test_an_order_that_cannot_be_cancelled_is_forgotten_though_the_report_names_no_book(
    desk: Desk,
) -> None:
    desk.see([accepted(1, 300)])
    desk.see([report(types.REPORT_KIND_CANCEL_REJECTED, client_order_id=1, instrument_id=0)])
    assert desk.resting[3] == {}


async def test_rejections_are_counted_by_reason(desk: Desk) -> None:
    desk.see([report(types.REPORT_KIND_REJECTED, client_order_id=1, reason=types.REASON_PRICE_LIMIT)] * 2)
    assert desk.rejected == {types.REASON_PRICE_LIMIT: 2}
    assert desk.resting[3] == {}


async def test_the_oldest_orders_beyond_some_are_named(desk: Desk) -> None:
    desk.see([accepted(key, 100) for key in (5, 6, 7)])
    assert desk.oldest(3, 2) == [5]
    assert desk.oldest(3, 3) == []
