"""Reviews of habits from the table of fills, ranked among peers, and their settlement."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from positions.prices import Close
from positions_books import cash, shares

DAY = 86_400 * 10**9
DAYS = 400
START = date(2024, 6, 3)


def walk(seed: int) -> np.ndarray[Any, Any]:
    """Closes of three instruments."""
    return 10 * np.cumprod(1 + np.random.default_rng(seed).normal(0, 0.02, (DAYS, 3)), axis=0)


def day_ns(at: int) -> int:
    return int(datetime(START.year, START.month, START.day, 5, tzinfo=UTC).timestamp()) * 10**9 + at * DAY


def disposed(account: int, prices: Any, seed: int, keep: float) -> list[tuple[Any, ...]]:
    """Fills of an investor who buys something every other day and sells winners the day after; a loser is kept with the
    chance `keep`, day by day."""
    draw = np.random.default_rng(seed)
    rows: list[tuple[Any, ...]] = []
    held: list[tuple[int, float]] = []
    sequence = account * 10_000
    for at in range(DAYS):
        for lot in list(held):
            number, price = lot
            winner = prices[at, number] > price
            if draw.uniform() < (0.7 if winner else 1 - keep):
                held.remove(lot)
                sequence += 1
                rows.append(fill(account, sequence, at, number, 2, prices[at, number]))
        if at % 2 == 0:
            number = int(draw.integers(3))
            held.append((number, prices[at, number]))
            sequence += 1
            rows.append(fill(account, sequence, at, number, 1, prices[at, number]))
    return rows


def fill(account: int, sequence: int, at: int, number: int, side: int, price: float) -> tuple[Any, ...]:
    ticks = max(1, round(float(price) * 100))
    value = ticks * 100 * 10_000
    return (
        account,
        sequence,
        side,
        day_ns(at) + sequence % 1000,
        number + 1,
        sequence,
        ticks,
        100,
        value // 4000,
        0,
        ticks,
    )


async def bring_in(desk: Any, prices: Any, rows: list[tuple[Any, ...]]) -> None:
    closes = [
        Close(number + 1, START + timedelta(days=at), float(prices[at, number]), 1e6)
        for at in range(DAYS)
        for number in range(3)
    ]
    await desk.oversight.prices.bring_in(closes)
    await desk.database.executemany(
        """
        INSERT INTO positions.fills (account_id, sequence, side, time_ns, instrument_id, order_id, client_order_id,
                                     order_type, price_ticks, quantity_lots, fee_micros, tax_micros, previous_ticks,
                                     taker)
        VALUES ($1, $2, $3, $4, $5, $6, 0, 1, $7, $8, $9, $10, $11, true)
        """,
        rows,
    )


async def test_a_keeper_of_losers_is_told_and_others_are_not(desk: Any) -> None:
    prices = walk(11)
    keeper, even = disposed(7, prices, 1, keep=0.97), disposed(8, prices, 2, keep=0.3)
    peers = [row for account in range(20, 32) for row in disposed(account, prices, account, keep=0.5)]
    await bring_in(desk, prices, keeper + even + peers)
    await desk.feed(cash(7, 50_000), shares(7, 1, 1000), cash(8, 50_000), shares(8, 1, 1000))
    desk.now_ns = day_ns(DAYS - 1) + 1
    await desk.oversight.review()
    given = await desk.database.fetch("SELECT * FROM positions.advice ORDER BY number")
    told = {(row["account_id"], row["kind"]) for row in given}
    assert (7, "habit_disposition") in told
    assert (8, "habit_disposition") not in told
    mine = await desk.oversight.habits.of(7)
    habit = next(one for one in mine.habits if one.key == "disposition")
    assert habit.evident
    assert habit.percentile is not None
    assert habit.percentile > 90
    # Asked again nothing is repeated: nobody has traded since, and what is open stays so.
    assert await desk.oversight.habits.changed(desk.now_ns + DAY) == []
    desk.oversight._reviewed_ns = 0
    await desk.oversight.review()
    assert len(await desk.database.fetch("SELECT * FROM positions.advice")) == len(given)
    # Settled after 60 days by the figure of then.
    await desk.database.execute(
        "UPDATE positions.habit_figures SET value = 0.0 WHERE account_id = 7 AND key = 'disposition'"
    )
    desk.now_ns += 61 * DAY
    await desk.oversight.settling.settle_due()
    row = await desk.database.fetchrow(
        "SELECT * FROM positions.advice WHERE account_id = 7 AND kind = 'habit_disposition'"
    )
    assert (row["settled"], row["helped"]) == (True, True)
