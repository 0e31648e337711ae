"""ImportPrices: daily closes of the time before the market's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import ClassVar

from smartex.positions.v1 import position_service_pb2 as pb
from smartex_chassis import InvalidInput

from positions.prices import Close, Prices

MOST_CLOSES = 20_000


class PricesApi:
    """Takes closes in. `changed` is called once there are new ones."""

    scopes: ClassVar[Mapping[str, str]] = {"ImportPrices": "operate"}

    def __init__(self, prices: Prices, listed: Callable[[int], bool], changed: Callable[[], None]) -> None:
        self._prices = prices
        self._listed = listed
        self._changed = changed

    async def ImportPrices(self, request: pb.ImportPricesRequest, context: object) -> pb.ImportPricesResponse:  # noqa: N802
        """Add closes; all of them, or none if one is wrong."""
        if not 1 <= len(request.closes) <= MOST_CLOSES:
            raise InvalidInput(f"give 1 to {MOST_CLOSES} closes", field="closes")
        added = await self._prices.bring_in(
            [self._close(close, f"closes[{at}]") for at, close in enumerate(request.closes)]
        )
        if added:
            self._changed()
        return pb.ImportPricesResponse(added=added)

    def _close(self, close: pb.DailyClose, field: str) -> Close:
        if not self._listed(close.instrument_id):
            raise InvalidInput(f"{close.instrument_id} is no instrument", field=f"{field}.instrument_id")
        if not (math.isfinite(close.volume) and close.volume >= 0):
            raise InvalidInput("volume: give units traded, 0 if not known", field=f"{field}.volume")
        return Close(close.instrument_id, _day(close.date, field), _price(close.price, field), close.volume)


def _day(written: str, field: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise InvalidInput("date: give YYYY-MM-DD", field=f"{field}.date") from None


def _price(written: str, field: str) -> float:
    try:
        price = Decimal(written)
    except InvalidOperation:
        price = Decimal(0)
    if not (price.is_finite() and 0 < price < Decimal(10) ** 12):
        raise InvalidInput("price: give a positive decimal", field=f"{field}.price")
    return float(price)
