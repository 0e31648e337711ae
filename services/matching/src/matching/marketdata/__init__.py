"""Market data of one pod: books, trades and candles from its own core, to any number of readers.

    data = marketdata.build(market=lambda: core, instruments=catalogue, past=history.past)
    await data.recall(bus, shard, core.sequence, core.now)    # once, before the first frame, also of a replay
    sequencer.listeners.append(data)    # data.on_applied(offset, first_sequence, time_ns, events)
    data.register(server)               # scopes: data.scopes
    await data.start() … await data.stop()

`on_applied` runs on the event loop right after the core applied the frame, and costs one compiled pass over
its events. Call it for replayed frames too: `recall` and the replay together let a reader resume over a
restart as if there had been none. Between two frames
the core is read (`book`, `orders`, `instrument`), also on the event loop, so it must not be applying in a
thread then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import grpc
from smartex_bus import Bus

from matching.event_rows import empty
from matching.marketdata import messages
from matching.marketdata.api import SCOPES, MarketDataApi
from matching.marketdata.candles import SECONDS as CANDLE_SECONDS
from matching.marketdata.deltas import Deltas
from matching.marketdata.feed import Feed
from matching.marketdata.listing import Listing
from matching.marketdata.recall import recall
from matching.marketdata.settings import MarketDataSettings
from matching.sources import Instruments, Market, NoPast, Past, Rows


@dataclass(frozen=True)
class MarketData:
    """The parts, wired."""

    feed: Feed
    api: MarketDataApi
    scopes: Mapping[str, str]

    def on_applied(self, offset: int, first_sequence: int, time_ns: int, events: Rows) -> None:
        """Take an applied frame in; see `Feed.on_applied`."""
        self.feed.on_applied(offset, first_sequence, time_ns, events)

    def filled_by_orders(self) -> list[tuple[int, int]]:
        """(address, size) of the memory that what happens is kept in."""
        rings = (self.feed.deltas.orders, self.feed.deltas.trades)
        return [(ring.rows.ctypes.data, ring.rows.nbytes) for ring in rings]

    async def recall(self, bus: Bus, shard: int, sequence: int, time_ns: int = 0) -> None:
        """Begin after `sequence`, at the market's time, with what was published before; see
        `matching.marketdata.recall`."""
        await recall(self.feed, bus, shard, sequence)
        self.feed.time_ns = max(self.feed.time_ns, time_ns)

    def register(self, server: grpc.aio.Server) -> None:
        """Add MarketDataService to a server."""
        self.api.register(server)

    async def start(self) -> None:
        """Start heartbeats."""
        await self.feed.start()

    async def stop(self) -> None:
        """Stop heartbeats; subscriptions end with the server."""
        await self.feed.stop()


def build(
    *,
    market: Callable[[], Market],
    instruments: Instruments,
    past: Past | None = None,
    reach: Callable[[int], Awaitable[None]] | None = None,
    settings: MarketDataSettings | None = None,
) -> MarketData:
    """Wire the market data. `market` gives the core of this pod; `past` is `History.past`; `reach` waits until this pod
    has come to a sequence, if there may be others that are ahead of it."""
    feed = Feed(market, instruments, settings or MarketDataSettings())
    api = MarketDataApi(feed, Listing(feed, past or NoPast()), reach)
    return MarketData(feed, api, SCOPES)


def warm_up() -> None:
    """Compile what market data needs, or load it from the cache."""
    messages.warm_up()
    Deltas(16, 16).apply(1, 0, empty(1))


__all__ = [
    "CANDLE_SECONDS",
    "Instruments",
    "Market",
    "MarketData",
    "MarketDataSettings",
    "Past",
    "build",
    "warm_up",
]
