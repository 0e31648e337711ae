"""What all participants of a process share: rules, prices and the values that the market makers believe in."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
from smartex.matching.v1.market_data_pb2 import BookSnapshot, Quote
from smartex.matching.v1.types_pb2 import Instrument
from smartex_client import Market

from .fundamental import Fundamental, Mood
from .rules import Rules
from .taking import Best, Trend

_STEP_SECONDS = 0.2
_RULES_SECONDS = 30.0
_L1_SECONDS = 0.1


class Floor:
    """Follows the market: `rules`, `best`, `trend` and `value` by instrument number."""

    def __init__(self, market: Market, symbols: set[str], anchors: dict[str, int], seed: int) -> None:
        self._market = market
        self._symbols = symbols
        self._anchors = anchors
        self._seed = seed
        self._fundamentals: dict[int, Fundamental] = {}
        self.rules: dict[int, Rules] = {}
        self.instruments: dict[int, Instrument] = {}
        self.best: dict[int, Best] = {}
        self.trend: dict[int, Trend] = {}

    def value(self, instrument_id: int) -> float:
        """What the instrument is worth now, in ticks."""
        return self._fundamentals[instrument_id].value

    async def open(self) -> None:
        """Learn the instruments and where they trade now, so that values go on from there."""
        await self._learn_rules()
        for number, instrument in self.instruments.items():
            book = await self._market.book(instrument.symbol, depth=1)
            anchor = self._anchors[instrument.symbol]
            last = book.last_price
            start = anchor if last is None else float(last) / float(instrument.tick_size)
            rng = np.random.default_rng([self._seed, number])
            self._fundamentals[number] = Fundamental(rng, anchor, start, _mood(instrument))
            self.best[number], self.trend[number] = Best(), Trend()

    async def run(self) -> None:
        """Follow the market until cancelled; raises what the SDK raises when it cannot."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_prices())
            group.create_task(self._follow_rules())
            group.create_task(self._let_time_pass())

    async def _follow_prices(self) -> None:
        symbols = [instrument.symbol for instrument in self.instruments.values()]
        updates = self._market.subscribe(symbols, "L1", interval=_L1_SECONDS)
        async with aclosing(updates) as changes:  # type: ignore[type-var]
            async for update in changes:
                if isinstance(update, Quote):
                    self.best[update.instrument_id] = Best(update.bid_price_ticks, update.ask_price_ticks)
                elif isinstance(update, BookSnapshot):
                    bid = update.bids[0].price_ticks if update.bids else 0
                    ask = update.asks[0].price_ticks if update.asks else 0
                    self.best[update.instrument_id] = Best(bid, ask)

    async def _follow_rules(self) -> None:
        while True:
            await asyncio.sleep(_RULES_SECONDS)
            await self._learn_rules()

    async def _learn_rules(self) -> None:
        for instrument in await self._market.instruments():
            if instrument.symbol in self._symbols:
                self.instruments[instrument.instrument_id] = instrument
                self.rules[instrument.instrument_id] = Rules.of(instrument)

    async def _let_time_pass(self) -> None:
        while True:
            await asyncio.sleep(_STEP_SECONDS)
            for number, fundamental in self._fundamentals.items():
                fundamental.step(_STEP_SECONDS)
                self.trend[number].see(self.best[number], _STEP_SECONDS)


def _mood(instrument: Instrument) -> Mood:
    """Calm where the day's limits are near, livelier where there are none."""
    if not instrument.price_limit_ppm:
        return Mood(spread=0.025, jump=0.005)
    return Mood(spread=0.15 * instrument.price_limit_ppm / 1_000_000)
