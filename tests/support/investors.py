"""Simulated investors whose habits are known because they are built in.

Every day an investor buys each instrument with a small chance and sells each holding, whole, with another. A habit
multiplies the chance, 1 is no habit. Prices are geometric random walks of a market, an industry and an own part.
All accounts of a call are simulated at once, each in a market of its own.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TypedDict

import numpy as np
from positions.domain.habits import FILL, AccountRecords, Market
from positions.domain.habits.records import Flags, Floats, Integers, Rows
from positions.domain.habits.trips import History, build_history

ACCOUNTS = int(os.environ.get("SMARTEX_HABIT_ACCOUNTS", "200"))
TRADES = 200

INSTRUMENTS, INDUSTRIES, LEAD = 40, 8, 6
MARKET_VOLATILITY, INDUSTRY_VOLATILITY, OWN_VOLATILITY = 0.008, 0.006, 0.015
OPEN, SESSION, EDGE = 34_200, 19_800, 1_800 / 19_800
ORDER, FEE, HALF_SPREAD = 10_000.0, 0.0003, 0.0005
BEIJING = 8 * 3600


@dataclass(frozen=True)
class Investor:
    """Chances a day, and what multiplies them."""

    purchases: float = 0.5  # a day, over all instruments
    sale: float = 0.03  # a day, of each holding
    at_gain: float = 1.0  # sales of gains
    after_rise: float = 1.0  # purchases after a rise over five days
    after_fall: float = 1.0  # sales after a fall over five days
    after_loss: float = 1.0  # purchases on the three days after a realised loss
    of_loser: float = 1.0  # purchases of what is held at a loss
    small_loss: float = 1.0  # sales of holdings that lost 2 to 8 %
    home: float = 1.0  # purchases in industry 0
    edges: float = 2 * EDGE  # share of trades in the first and last half hour
    taking: float = 0.5  # share of trades
    invested: bool = False  # begins with as much as there will be in the long run
    skill: float = 0.0  # drift a day of what is held in industry 0, beyond the industry


class World(TypedDict):
    """Markets of all accounts: accounts x days, and x instruments or industries."""

    logs: Floats
    market: Floats
    industry: Floats
    of: Integers


@lru_cache(maxsize=3)
def population(investor: Investor, seed: int) -> list[History]:
    """Histories of `ACCOUNTS` investors alike, each cut after `TRADES` trades."""
    days = round(175 / investor.purchases)  # enough, with as many sales as purchases
    return [build_history(account) for account in simulate(investor, ACCOUNTS, days, seed, TRADES)]


@lru_cache(maxsize=1)
def long_lives(investor: Investor) -> list[History]:
    """Histories of a few investors alike over thousands of trades each: where figures come to rest."""
    return [build_history(account) for account in simulate(investor, 12, 3000, seed=7)]


def simulate(
    investor: Investor, accounts: int, days: int, seed: int, trades: int | None = None
) -> list[AccountRecords]:
    """Records of `accounts` investors alike over `days`, or cut after so many trades."""
    rng = np.random.default_rng(seed)
    world = _world(rng, accounts, days, investor.skill)
    rows = _trade(rng, investor, world["logs"])
    return [_records(world, rows[rows["account"] == account], account, trades) for account in range(accounts)]


def _world(rng: np.random.Generator, accounts: int, days: int, skill: float) -> World:
    industries = np.arange(INSTRUMENTS) % INDUSTRIES
    market = rng.normal(0, MARKET_VOLATILITY, (accounts, days, 1))
    industry = market + rng.normal(0, INDUSTRY_VOLATILITY, (accounts, days, INDUSTRIES))
    own = OWN_VOLATILITY * rng.standard_normal((accounts, days, INSTRUMENTS), np.float32)
    own += skill * (industries == 0) - OWN_VOLATILITY**2 / 2
    logs = np.cumsum(industry[:, :, industries] + own, axis=1)
    return {
        "logs": logs,
        "market": np.expm1(market[..., 0]),
        "industry": np.expm1(industry),
        "of": industries,
    }


ROW = np.dtype(
    [("account", "i4"), ("column", "i4"), ("part", "f8"), *[(n, FILL[n]) for n in FILL.names or ()]]
)


def _trade(rng: np.random.Generator, investor: Investor, logs: Floats) -> Rows:
    accounts, days, instruments = logs.shape
    shape = (accounts, instruments)
    held, cost = np.zeros(shape), np.ones(shape)
    last_loss = np.full(accounts, -100)
    found = []
    for day in range(LEAD, days):
        part = _parts(rng, investor, shape)
        mid = 100 * np.exp((1 - part) * logs[:, day - 1] + part * logs[:, day])
        taker = rng.random(shape) < investor.taking
        chance = _purchase_chance(investor, logs, day, held, cost, last_loss, mid)
        order = ORDER
        if day == LEAD and investor.invested:
            chance = chance / (chance + investor.sale)
            order = ORDER * (1 + investor.purchases / instruments / investor.sale)
        buys = rng.random(shape) < chance
        sells = (rng.random(shape) < _sale_chance(investor, logs, day, cost, mid)) & (held > 0) & ~buys
        side = buys.astype(int) - sells
        price = mid * (1 + HALF_SPREAD * side * np.where(taker, 1, -1))
        quantity = np.where(buys, order / price, held)
        found.append(_rows(day, side, part, price, quantity, taker, mid))
        lost = sells & (price * (1 - FEE) < cost * (1 + FEE))
        last_loss[lost.any(axis=1)] = day
        cost = np.where(buys, (held * cost + quantity * price) / np.maximum(held + quantity, 1e-9), cost)
        held = np.where(sells, 0.0, held + np.where(buys, quantity, 0.0))
    rows = np.concatenate(found)
    return rows[np.lexsort((rows["time_ns"], rows["account"]))]


def _parts(rng: np.random.Generator, investor: Investor, shape: int | tuple[int, ...]) -> Floats:
    """The part of the session gone by at a trade."""
    at_edge = rng.random(shape) < investor.edges
    edge = rng.random(shape) * EDGE
    edge = np.where(rng.random(shape) < 0.5, edge, 1 - edge)
    return np.where(at_edge, edge, EDGE + rng.random(shape) * (1 - 2 * EDGE))


def _purchase_chance(
    investor: Investor,
    logs: Floats,
    day: int,
    held: Floats,
    cost: Floats,
    last_loss: Integers,
    mid: Floats,
) -> Floats:
    chance = np.full(held.shape, investor.purchases / held.shape[1])
    chance *= np.where(logs[:, day - 1] > logs[:, day - 6], investor.after_rise, 1)
    chance *= np.where((day - last_loss <= 3) & (day > last_loss), investor.after_loss, 1)[:, None]
    chance *= np.where((held > 0) & (mid < cost), investor.of_loser, 1)
    return chance * np.where(np.arange(held.shape[1]) % INDUSTRIES == 0, investor.home, 1)


def _sale_chance(investor: Investor, logs: Floats, day: int, cost: Floats, mid: Floats) -> Floats:
    chance = np.full(cost.shape, investor.sale)
    chance *= np.where(mid > cost, investor.at_gain, 1)
    chance *= np.where(logs[:, day - 1] < logs[:, day - 6], investor.after_fall, 1)
    gone = mid / cost - 1
    return chance * np.where((gone > -0.08) & (gone < -0.02), investor.small_loss, 1)


def _rows(
    day: int, side: Integers, part: Floats, price: Floats, quantity: Floats, taker: Flags, mid: Floats
) -> Rows:
    account, column = np.nonzero(side)
    rows = np.zeros(len(account), ROW)
    rows["account"], rows["column"], rows["day"], rows["instrument_id"] = account, column, day, column + 1
    for name, values in {
        "side": side, "part": part, "price": price, "quantity": quantity, "taker": taker, "mid": mid
    }.items():  # fmt: skip
        rows[name] = values[account, column]
    rows["market"] = rows["taker"]
    rows["fee"] = FEE * rows["price"] * rows["quantity"]
    rows["time_ns"] = ((day * 86_400 + OPEN - BEIJING + rows["part"] * SESSION) * 1e9).astype(np.int64)
    return rows


def _records(world: World, rows: Rows, account: int, trades: int | None) -> AccountRecords:
    days = world["logs"].shape[1]
    if trades is not None:
        assert len(rows) >= trades, "simulate more days"
        rows = rows[:trades]
        days = rows["day"][-1] + 1
    fills = np.zeros(len(rows), FILL)
    for name in FILL.names or ():
        fills[name] = rows[name]
    market = Market(
        instrument_ids=np.arange(1, INSTRUMENTS + 1),
        closes=100 * np.exp(world["logs"][account, :days]),
        industries=world["of"],
        industry_returns=world["industry"][account, :days],
        market_returns=world["market"][account, :days],
        utc_offset_seconds=np.full(days, BEIJING),
    )
    return AccountRecords(fills, market)
