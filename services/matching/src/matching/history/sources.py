"""What the queries need of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from smartex.matching.v1.types_pb2 import Instrument


class Catalogue(Protocol):
    """Instruments and currencies by number."""

    def all(self) -> Sequence[Instrument]:
        """Every instrument, ascending by number."""

    def get(self, instrument_id: int) -> Instrument | None:
        """One instrument, or None."""

    def currency_id(self, code: str) -> int | None:
        """The number of a currency, or None."""

    def currency_code(self, currency_id: int) -> str:
        """The code of a currency; IndexError if there is none."""
