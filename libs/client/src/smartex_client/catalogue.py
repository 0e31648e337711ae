"""The instruments that a client has met, asked from the exchange once."""

from __future__ import annotations

import asyncio

from smartex.matching.v1.market_data_pb2 import ListInstrumentsRequest, ListInstrumentsResponse
from smartex.matching.v1.types_pb2 import Instrument

from .connection import Connection
from .errors import InvalidInput, NotFound

_PAGE = 1000


class Catalogue:
    """Instruments by number and by symbol."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._by_id: dict[int, Instrument] = {}
        self._by_symbol: dict[str, Instrument] = {}
        self._asking = asyncio.Lock()

    async def get(self, which: str | int) -> Instrument:
        """The instrument with this symbol (in any case) or number. NotFound says what to do."""
        if isinstance(which, str) and not which.strip():
            raise InvalidInput("instrument is empty: give a symbol or a number", field="instrument")
        found = self.known(which)
        if found is None:
            async with self._asking:
                found = self.known(which)
                if found is None:
                    await self._load(which)
                    found = self.known(which)
        if found is None:
            raise NotFound(
                f"there is no instrument {which}: `smartex instrument list` shows them",
                reason="INSTRUMENT_NOT_FOUND",
            )
        return found

    def known(self, which: str | int) -> Instrument | None:
        """The instrument if it is known already."""
        return self._by_id.get(which) if isinstance(which, int) else self._by_symbol.get(which.upper())

    async def refreshed(self, instrument: Instrument) -> Instrument:
        """The instrument with its rules as they are now."""
        await self._load(instrument.symbol)
        return self._by_id[instrument.instrument_id]

    async def all(self) -> list[Instrument]:
        """All instruments by number, as they are now."""
        await self._load("")
        return [self._by_id[number] for number in sorted(self._by_id)]

    async def ensure(self, numbers: set[int]) -> None:
        """Have these known, as far as they exist."""
        if any(number and number not in self._by_id for number in numbers):
            await self._load("")

    def learn(self, instrument: Instrument) -> None:
        """Keep an instrument that the exchange told."""
        self._by_id[instrument.instrument_id] = instrument
        self._by_symbol[instrument.symbol.upper()] = instrument

    async def _load(self, which: str | int) -> None:
        symbol = which.upper() if isinstance(which, str) else ""
        token = ""
        while True:
            request = ListInstrumentsRequest(symbol=symbol, page_size=_PAGE, page_token=token)
            page = await self._connection.read(
                "MarketDataService/ListInstruments", request, ListInstrumentsResponse
            )
            for instrument in page.instruments:
                self.learn(instrument)
            token = page.next_page_token
            if not token:
                return
