"""Running a roster of participants until told to stop; each comes back by itself after a failure."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from smartex_client import Market, SmartexError, connect_as

from .desk import Desk
from .floor import Floor
from .instruments import demo_instruments
from .opening import endowed_lots
from .quoting import Style
from .roster import PARTICIPANTS, Participant, Role, endowments
from .trading import MarketMaker, MomentumTrader, NoiseTrader, Trader

_log = structlog.get_logger("smartex.agents")

_SHARE: dict[Role, float] = {"maker": 0.75, "noise": 0.2, "momentum": 0.05}
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 15.0  # seconds


@dataclass(frozen=True)
class Orders:
    """What the participants are told."""

    profiles: Path
    """Folder with a profile `<name>.toml` for each participant."""
    rate: float
    """Commands of all of them together per second."""
    seed: int
    """What their decisions depend on, beside the market's answers."""


async def run_all(orders: Orders, participants: tuple[Participant, ...] = PARTICIPANTS) -> None:
    """Run until cancelled. Losing the exchange is no end: everybody comes back, with growing pauses."""
    pause = _FIRST_PAUSE
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await _run_once(orders, participants)
        except* (SmartexError, OSError) as group:
            reasons = sorted({str(error) for error in _leaves(group)})
            _log.warning("participants left", reasons=reasons, back_in_seconds=pause)
        if asyncio.get_running_loop().time() - began > 60:
            pause = _FIRST_PAUSE
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LAST_PAUSE)


async def _run_once(orders: Orders, participants: tuple[Participant, ...]) -> None:
    async with AsyncExitStack() as stack:
        instruments = demo_instruments()
        anchors = {each.symbol: each.reference_price_ticks for each in instruments}
        market = await stack.enter_async_context(_connect(orders, participants[0]))
        floor = Floor(market, set(anchors), anchors, orders.seed)
        await floor.open()
        traders = [
            await _trader(each, _rate(each, orders.rate, participants), orders, floor, stack)
            for each in participants
        ]
        _log.info("participants trade", count=len(traders), instruments=len(floor.rules), rate=orders.rate)
        async with asyncio.TaskGroup() as group:
            group.create_task(floor.run())
            for trader in traders:
                group.create_task(trader.run())


async def _trader(
    who: Participant, rate: float, orders: Orders, floor: Floor, stack: AsyncExitStack
) -> Trader:
    market = await stack.enter_async_context(_connect(orders, who))
    desk = await stack.enter_async_context(Desk(market, cancel_on_disconnect=who.role == "maker"))
    rng = rng_of(orders.seed, who.name)
    if who.role == "maker":
        return MarketMaker(desk, floor, rng, rate, await _inventory(market, who, floor), _style(rng))
    if who.role == "noise":
        return NoiseTrader(desk, floor, rng, rate)
    return MomentumTrader(desk, floor, rng, rate)


def rng_of(seed: int, name: str) -> np.random.Generator:
    """The random numbers of a participant, independent of how many others there are."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _style(rng: np.random.Generator) -> Style:
    return Style(half_spread=0.0004 + 0.0004 * rng.random(), gap=0.0004 + 0.0003 * rng.random())


def _rate(who: Participant, total: float, participants: tuple[Participant, ...]) -> float:
    alike = sum(each.role == who.role for each in participants)
    return total * _SHARE[who.role] / alike


async def _inventory(market: Market, who: Participant, floor: Floor) -> dict[int, int]:
    """Lots held beyond what the participant was given at first."""
    given = next(each for each in endowments() if each.account_id == who.account_id)
    holdings = {each.symbol: each.total for each in (await market.account()).holdings}
    at_first = {each.symbol: each for each in demo_instruments()}
    return {
        number: round(float(holdings.get(each.symbol, 0)) / float(each.lot_size))
        - endowed_lots(at_first[each.symbol], given)
        for number, each in floor.instruments.items()
    }


def _connect(orders: Orders, who: Participant) -> Market:
    return connect_as(orders.profiles / f"{who.name}.toml")


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


async def until_stopped(orders: Orders, stop: asyncio.Event) -> None:
    """Run the participants until `stop` is set."""
    running = asyncio.create_task(run_all(orders), name="participants")
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
    finally:
        stopping.cancel()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
