"""Advice from the alert to the fill and the settlement, on the tables."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import positions
import pytest
from oversight_setup import instrument
from positions import steps
from positions.domain.book.words import STATE_CHANGED
from positions.domain.limits import Limits
from positions.domain.questionnaire import QUESTIONS
from positions.prices import Close
from positions.steps import Chains
from positions_books import cash, event, shares, trade
from smartex.matching.v1.types_pb2 import TRADING_STATE_HALTED, TRADING_STATE_OPEN
from smartex_chassis import FailedPrecondition

HOUR = 3600 * 10**9
DAY = 24 * HOUR
BOLD = {question.key: list(question.choices)[-1] for question in QUESTIONS}
CAREFUL = BOLD | {"loss_tolerance": "none"}


async def advice(desk: Any, account: int = 7) -> list[dict[str, Any]]:
    rows = await desk.database.fetch(
        "SELECT * FROM positions.advice WHERE account_id = $1 ORDER BY number", account
    )
    return [dict(row) for row in rows]


async def concentrated(desk: Any) -> dict[str, Any]:
    """Account 7 with 55.6 % in S1, account 8 that can buy; the advice that answers it."""
    await desk.feed(cash(7, 40_000), shares(7, 1, 5000), cash(8, 500_000))
    assert await desk.oversight.adviser.answer_alerts() == 1
    (given,) = await advice(desk)
    return given


async def fill(desk: Any, orders: list[Any], price: int = 1000) -> None:
    """The market takes the orders and fills them against account 8."""
    for order in orders:
        sold = trade(8, 7, order["instrument_id"], price, order["quantity_lots"])
        sold["counter_client_order_id"] = order["client_order_id"]
        accepted = event(
            1,
            account_id=7,
            client_order_id=order["client_order_id"],
            instrument_id=order["instrument_id"],
            side=order["side"],
            price_ticks=order["price_ticks"],
            quantity_lots=order["quantity_lots"],
        )
        await desk.feed(accepted, sold)


async def test_from_the_alert_to_the_fill(desk: Any) -> None:
    given = await concentrated(desk)
    assert (given["kind"], given["subject"], given["state"]) == ("reduce_concentration", "S1", 1)
    alert = await desk.database.fetchrow("SELECT * FROM positions.alerts")
    assert (alert["advice_id"], alert["trace_id"]) == (given["advice_id"], given["trace_id"])
    told = [one for one in await desk.notices() if one.kind == "positions.advice"]
    assert [one.notice_id for one in told] == [f"advice:{given['advice_id']}"]
    assert "Share 1" in told[0].values[0].local_text.en
    assert "股票1" in told[0].values[0].local_text.zh
    # Accepted twice: the same orders, by number too.
    answering = desk.oversight.answering
    accepted = await answering.accept(await desk.oversight.advice.get(given["advice_id"]))
    again = await answering.accept(await desk.oversight.advice.get(given["advice_id"]))
    assert accepted["state"] == again["state"] == 2
    orders = (await desk.oversight.advice.orders([given["advice_id"]]))[given["advice_id"]]
    assert [one["client_order_id"] for one in orders] == [steps.client_order_id(given["advice_id"], 0)]
    await fill(desk, orders)
    assert (await desk.database.fetchrow("SELECT * FROM positions.alerts"))["state"] == 3
    figures = desk.book.figures([0], desk.oversight._around.freshness())
    assert figures["largest_weight"][0] < 0.36
    # The chain, by any of its ids.
    chains = Chains(desk.database)
    for id_ in (given["trace_id"], alert["alert_id"], given["advice_id"], str(orders[0]["client_order_id"])):
        assert await chains.find(id_) == [(given["trace_id"], 7)]
    chain = await chains.steps(given["trace_id"], 7)
    assert [step.kind for step in chain] == ["event", "alert", "advice", "accepted", "order", "fill", "alert"]
    assert [step.detail for step in chain[4:6]] == ["sell S1 1,800 @ 9.90", "sell S1 1,800 @ 10.00"]
    order = (await desk.oversight.advice.orders([given["advice_id"]]))[given["advice_id"]][0]
    assert order["traded_lots"] == order["quantity_lots"]


async def test_the_concentration_index_is_a_bare_number_everywhere(desk: Any) -> None:
    given = await concentrated(desk)
    shown = {one[0]: one[1:] for one in given["what_if"]}
    assert shown["hhi"] == ["index", 1.0, 1.0]
    told = [one for one in await desk.notices() if one.kind == "positions.advice"]
    lines = {line.name.en: line.value.en for line in told[0].card.lines}
    assert lines["Concentration index"] == "1.000 → 1.000"
    assert lines["Largest weight"].endswith("%")
    # Advice that was given before said "share".
    await desk.database.execute(
        'UPDATE positions.advice SET what_if = \'[["hhi", "share", 0.5, 0.4]]\'::jsonb'
    )
    script = Path(positions.__file__).parent / "migrations" / "0007_index.sql"
    async with desk.database.transaction() as connection:
        await connection.execute("SET LOCAL search_path TO positions")
        await connection.execute(script.read_text("utf-8"))
    assert (await advice(desk))[0]["what_if"] == [["hhi", "index", 0.5, 0.4]]


async def test_accepting_sizes_the_orders_by_the_book_of_then(desk: Any) -> None:
    given = await concentrated(desk)
    (first,) = (await desk.oversight.advice.orders([given["advice_id"]]))[given["advice_id"]]
    await desk.feed(shares(7, 1, 1000))  # more of it meanwhile
    await desk.oversight.answering.accept(await desk.oversight.advice.get(given["advice_id"]))
    (fresh,) = (await desk.oversight.advice.orders([given["advice_id"]]))[given["advice_id"]]
    assert fresh["quantity_lots"] > first["quantity_lots"]
    assert fresh["client_order_id"] == first["client_order_id"]


async def test_advice_falls_with_its_alert(desk: Any) -> None:
    given = await concentrated(desk)
    await desk.feed(trade(8, 7, 1, 1000, 4100))  # sold by the investor's own hand
    (closed,) = await advice(desk)
    assert closed["state"] == 5
    assert await desk.oversight.answering.accept(closed) is None
    assert (await desk.notices())[-1].withdrawn or any(
        one.notice_id == f"advice:{given['advice_id']}:closed" and one.withdrawn
        for one in await desk.notices()
    )


async def test_a_worse_alert_brings_newer_advice(desk: Any) -> None:
    await desk.feed(cash(7, 55_000), shares(7, 1, 4500), cash(8, 500_000))
    await desk.oversight.adviser.answer_alerts()
    await desk.feed(shares(7, 1, 3000))  # 45 % to 58 %: a warning becomes critical
    await desk.oversight.adviser.answer_alerts()
    first, second = await advice(desk)
    assert (first["state"], second["state"]) == (5, 1)
    assert second["severity"] == 3
    assert await desk.oversight.adviser.answer_alerts() == 0


async def test_a_dismissal_is_respected_for_a_while(desk: Any) -> None:
    given = await concentrated(desk)
    row = await desk.oversight.answering.dismiss(
        await desk.oversight.advice.get(given["advice_id"]), "I know the company"
    )
    assert (row["state"], row["dismiss_reason"]) == (3, "I know the company")
    again = "UPDATE positions.alerts SET advised = false"
    await desk.database.execute(again)
    await desk.oversight.adviser.answer_alerts()
    assert len(await advice(desk)) == 1
    desk.now_ns += DAY + 1
    await desk.database.execute(again)
    await desk.oversight.adviser.answer_alerts()
    assert [one["state"] for one in await advice(desk)] == [3, 1]


async def test_advice_expires(desk: Any) -> None:
    await concentrated(desk)
    desk.now_ns += DAY + 1
    stale = await desk.oversight.advice.get((await advice(desk))[0]["advice_id"])
    assert (
        await desk.oversight.answering.accept(stale) is None
    )  # its time is over, though nobody closed it yet
    await desk.oversight.giving.expire(desk.now_ns)
    assert (await advice(desk))[0]["state"] == 4


async def test_settled_by_what_prices_did(desk: Any) -> None:
    given = await concentrated(desk)
    day = datetime.fromtimestamp(desk.now_ns / 1e9, UTC).date()
    falls = [Close(1, day + timedelta(days=at), 10.0 - at) for at in range(1, 4)]
    await desk.oversight.prices.bring_in(falls)
    assert await desk.oversight.settling.settle_due() == 0
    desk.now_ns += 11 * DAY
    assert await desk.oversight.settling.settle_due() == 1
    (settled,) = await advice(desk)
    # 50,000 of 90,000 in S1, sold down to 35.64 %: 1,800 shares in hundreds. It fell by 30 %: the sale saves 5,400
    # less 18,000 · 0.075 % = 13.50 of costs, of 90,000.
    (order,) = (await desk.oversight.advice.orders([given["advice_id"]]))[given["advice_id"]]
    assert order["quantity_lots"] == 1800
    assert settled["benefit"] == pytest.approx((5400 - 13.5) / 90_000)
    assert (settled["helped"], settled["taken_share"]) == (True, 0.0)
    record = (await desk.oversight.advice.records())["reduce_concentration"]
    assert (record["given"], record["settled"], record["helped"]) == (1, 1, 1)
    assert await desk.oversight.settling.settle_due() == 0


async def test_reviews_keep_to_suitability(desk: Any) -> None:
    await desk.feed(cash(7, 100_000), shares(7, 1, 3000))
    review = desk.oversight.adviser.review
    assert await review(7, ()) == 0  # nothing is recommended without an answer
    await desk.oversight.preferences.answer(7, 1, CAREFUL, desk.now_ns)
    assert await review(7, ()) == 1  # C1 holds a product of R2
    (given,) = await advice(desk)
    assert (given["kind"], given["subject"]) == ("sell_unsuitable", "S1")
    assert await review(7, ()) == 0  # it is open
    desk.now_ns += 1
    await desk.oversight.preferences.answer(7, 2, BOLD | {"knowledge": "none"}, desk.now_ns)  # C2
    await desk.feed(event(18, instrument_id=3, price_ticks=1000))
    assert await review(7, ()) == 0  # S3 is R3
    desk.now_ns += 1
    await desk.oversight.preferences.answer(7, 3, BOLD, desk.now_ns)
    assert await review(7, ()) == 1
    spread = (await advice(desk))[-1]
    assert spread["kind"] == "diversify"
    orders = (await desk.oversight.advice.orders([spread["advice_id"]]))[spread["advice_id"]]
    assert {order["side"] for order in orders} == {1}
    assert {order["symbol"] for order in orders} <= {"S2", "S3"}


async def test_answers_expire(desk: Any) -> None:
    await desk.oversight.preferences.answer(7, 1, BOLD, desk.now_ns)
    await desk.oversight.preferences.answer(7, 1, CAREFUL, desk.now_ns)  # the same request: no effect
    stated = await desk.oversight.preferences.stated(7)
    assert stated.level_at(desk.now_ns) == 5
    assert stated.level_at(desk.now_ns + 365 * DAY) == 0


async def test_what_was_bought_today_is_advised_tomorrow(desk: Any) -> None:
    desk.enlist(*[one for one in desk.oversight.instruments.all() if one.instrument_id != 1])
    table = desk.book.tables.instruments
    table[1]["t1"] = 1
    await desk.feed(cash(7, 90_000), shares(8, 1, 9000), cash(8, 1_000_000))
    await desk.feed(trade(7, 8, 1, 1000, 5000))
    await desk.oversight.adviser.answer_alerts()
    assert await advice(desk) == []
    await desk.feed(event(19, available=2))
    await desk.oversight.adviser.answer_alerts()
    assert [one["kind"] for one in await advice(desk)] == ["reduce_concentration"]
    closes = await desk.oversight.prices.closes([1])
    assert closes.prices.tolist() == [[10.0]]


async def test_an_alert_of_a_halted_instrument_is_advised_when_trading_resumes(desk: Any) -> None:
    await desk.feed(event(STATE_CHANGED, instrument_id=1, trading_state=TRADING_STATE_HALTED))
    await desk.feed(cash(7, 40_000), shares(7, 1, 5000))
    answer = desk.oversight.adviser.answer_alerts
    assert [await answer(), await answer()] == [1, 0]
    assert await advice(desk) == []
    await desk.feed(event(STATE_CHANGED, instrument_id=2, trading_state=TRADING_STATE_OPEN))
    assert await answer() == 0  # another one trades
    await desk.feed(event(STATE_CHANGED, instrument_id=1, trading_state=TRADING_STATE_OPEN))
    assert [await answer(), await answer()] == [1, 0]
    assert [one["subject"] for one in await advice(desk)] == ["S1"]


async def test_advice_on_what_is_halted_stays_open_until_it_can_be_followed(desk: Any) -> None:
    given = await concentrated(desk)
    await desk.feed(event(STATE_CHANGED, instrument_id=1, trading_state=TRADING_STATE_HALTED))
    with pytest.raises(FailedPrecondition) as refused:
        await desk.oversight.answering.accept(await desk.oversight.advice.get(given["advice_id"]))
    assert (refused.value.reason, "S1" in str(refused.value)) == ("ADVICE_WAITS", True)
    await desk.feed(event(STATE_CHANGED, instrument_id=1, trading_state=TRADING_STATE_OPEN))
    accepted = await desk.oversight.answering.accept(await desk.oversight.advice.get(given["advice_id"]))
    assert accepted["state"] == 2
    assert len((await desk.oversight.advice.orders([given["advice_id"]]))[given["advice_id"]]) == 1


async def test_a_halt_that_only_the_definition_tells_of_ends_too(desk: Any) -> None:
    desk.enlist(instrument(1, "Banks", trading_state=TRADING_STATE_HALTED))
    await desk.feed(cash(7, 40_000), shares(7, 1, 5000))
    await desk.oversight.adviser.answer_alerts()
    assert await advice(desk) == []
    desk.enlist(instrument(1, "Banks"))
    assert desk.oversight.adviser._wake.is_set()
    await desk.oversight.adviser.answer_alerts()
    assert [one["subject"] for one in await advice(desk)] == ["S1"]


async def test_advice_comes_when_what_was_offered_is_not_any_more(desk: Any) -> None:
    rests = event(1, account_id=7, order_id=5, instrument_id=1, side=2, price_ticks=1090, leaves_lots=2000)
    await desk.feed(cash(7, 40_000), shares(7, 1, 5000), rests)
    answer = desk.oversight.adviser.answer_alerts
    assert [await answer(), await answer()] == [1, 0]
    assert await advice(desk) == []  # 1,800 are too many, and 2,000 are offered
    await desk.feed(event(4, account_id=7, order_id=5, instrument_id=1))
    assert [await answer(), await answer()] == [1, 0]
    (given,) = await advice(desk)
    (order,) = (await desk.oversight.advice.orders([given["advice_id"]]))[given["advice_id"]]
    assert order["quantity_lots"] == 1800
    # Offered again by the investor's own hand before the advice is accepted: nothing is left to do.
    await desk.feed(rests)
    await desk.oversight.answering.accept(await desk.oversight.advice.get(given["advice_id"]))
    assert (await desk.oversight.advice.orders([given["advice_id"]]))[given["advice_id"]] == []


@pytest.mark.parametrize(("part", "advised"), [(1.0, 1), (0.5, 2)])
async def test_risk_is_not_halved_again_on_every_day_of_a_drawdown(
    desk: Any, part: float, advised: int
) -> None:
    only = Limits(concentration=0, industry_concentration=0, loss_today=0, stop_loss=0, drawdown=0.05)
    desk.oversight.watch.set_limits(7, only)
    await desk.feed(cash(7, 50_000), shares(7, 1, 5000), cash(8, 500_000), shares(8, 1, 1000))
    await desk.feed(event(19, available=2))
    await desk.feed(trade(8, 8, 1, 880, 100))
    await desk.oversight.adviser.answer_alerts()
    (given,) = await advice(desk)
    assert (given["kind"], given["subject"]) == ("reduce_risk", "drawdown")
    await desk.oversight.answering.accept(given)
    orders = (await desk.oversight.advice.orders([given["advice_id"]]))[given["advice_id"]]
    traded = [{**order, "quantity_lots": int(order["quantity_lots"] * part)} for order in orders]
    await fill(desk, traded, price=880)
    desk.now_ns += 2 * HOUR
    await desk.feed(event(19, available=3))
    await desk.oversight.adviser.answer_alerts()
    assert len(await advice(desk)) == advised


async def test_digest_once_a_morning(desk: Any) -> None:
    await concentrated(desk)
    digest = next(one for one in desk.oversight._timed() if one.name == "digest").work
    sent = [await digest() for _ in range(2)]
    # 2025-11-25 00:00 in Shanghai: not yet 08:30.
    assert sent == [0, 0]
    desk.now_ns += 9 * HOUR
    assert [await digest(), await digest()] == [1, 0]  # account 8 holds nothing
    again = next(one for one in desk.oversight._timed() if one.name == "digest").work
    assert await again() == 0  # another pod, or after a restart
    told = [one for one in await desk.notices() if one.kind == "positions.digest"]
    values = {value.name: value for value in told[0].values}
    assert (values["holdings"].number, values["standing_alerts"].number, values["open_advice"].number) == (
        "1",
        "1",
        "1",
    )


async def test_no_advice_for_what_was_over_meanwhile(desk: Any) -> None:
    await desk.feed(cash(7, 40_000), shares(7, 1, 5000), cash(8, 500_000))
    (row,) = await desk.oversight.alerts.unadvised(10)
    await desk.feed(trade(8, 7, 1, 1000, 4100))
    await desk.oversight.adviser._answer(row)
    assert await advice(desk) == []


async def test_watch_and_adviser_do_not_wait_for_each_other(desk: Any) -> None:
    """Alerts come and go while advice is given, answered and superseded: nothing deadlocks, and what stands agrees."""
    accounts = range(10, 30)
    await desk.feed(cash(8, 100_000_000), shares(8, 1, 1_000_000))
    await desk.feed(*(cash(number, 40_000) for number in accounts))

    async def trading() -> None:
        for turn in range(24):
            sides = [(number, 8) if turn % 2 == 0 else (8, number) for number in accounts]
            await desk.feed(*(trade(buyer, seller, 1, 1000, 3000) for buyer, seller in sides))
            await asyncio.sleep(0)

    async def advising() -> None:
        while not done.is_set():
            await desk.oversight.adviser.answer_alerts()
            await asyncio.sleep(0)

    async def answering() -> None:
        while not done.is_set():
            for row in await desk.database.fetch("SELECT * FROM positions.advice WHERE state = 1 LIMIT 3"):
                await desk.oversight.answering.accept(row)
            await asyncio.sleep(0)

    done = asyncio.Event()
    beside = [asyncio.create_task(advising()), asyncio.create_task(answering())]
    await trading()
    done.set()
    await asyncio.gather(*beside)
    standing = await desk.database.fetchval("SELECT count(*) FROM positions.alerts WHERE state <> 3")
    assert standing == len(desk.oversight.watch._standing) == 0
    assert await desk.database.fetchval("SELECT count(*) FROM positions.advice WHERE state = 1") == 0
