"""The strings of the market: symbols, names and currency codes, and which numbers the core knows them by.

The core takes numbers only. The catalogue turns definitions from the log into its rows, and keeps the rest of
each one that the core took. It depends on the log alone, is in the snapshot and part of the state's hash.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from smartex.matching.v1.log_pb2 import InstrumentDefinition
from smartex.matching.v1.types_pb2 import Instrument

from matching.domain import INSTRUMENT
from matching.money import tick_value

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]

MAX_CURRENCIES: Final = 16
_UNKNOWN_CURRENCY: Final = 255
_LARGEST_ID: Final = 65_535
_SYMBOL = re.compile(r"[A-Z0-9._-]{1,32}")
_CURRENCY = re.compile(r"[A-Z]{3,8}")
_TEXT_LIMIT: Final = 128
_BANDS: Final = 16
_COPIED = (
    "board_lot",
    "price_limit_ppm",
    "reference_price_ticks",
    "max_price_ticks",
    "max_order_lots",
    "market_band_ppm",
    "maker_fee_ppm",
    "taker_fee_ppm",
    "stamp_duty_ppm",
)
_ENUMS = ("odd_lot_rule", "settlement", "trading_state")
_RUNTIME_FIELDS = ("instrument_id", "trading_state", "reference_price_ticks", "version")


class Catalogue:
    """Instruments by number and symbol, currencies by number and code."""

    def __init__(self) -> None:
        self._instruments: dict[int, Instrument] = {}
        self._symbols: dict[str, int] = {}
        self._currencies: list[str] = []

    # -- what is known

    def all(self) -> list[Instrument]:
        """Every instrument as it was last defined, ascending by number."""
        return [self._instruments[number] for number in sorted(self._instruments)]

    def get(self, instrument_id: int) -> Instrument | None:
        """One instrument as it was last defined, or None."""
        return self._instruments.get(instrument_id)

    @property
    def currencies(self) -> tuple[str, ...]:
        """Currency codes by number."""
        return tuple(self._currencies)

    def currency_id(self, code: str) -> int | None:
        """The number of a currency, or None."""
        return self._currencies.index(code) if code in self._currencies else None

    def currency_code(self, currency_id: int) -> str:
        """The code of a currency; IndexError if there is none."""
        return self._currencies[currency_id]

    # -- what the log brings

    def resolve(self, definitions: Sequence[InstrumentDefinition]) -> tuple[Rows, list[Instrument]]:
        """Turn a frame's definitions into rows for the core, and instruments for `adopt`.

        What no row can say (a symbol that is taken, a changed lot size, …) becomes a row that the core
        refuses, so that every replica refuses it alike.
        """
        rows = np.zeros(len(definitions), INSTRUMENT)
        instruments = []
        symbols, highest = dict(self._symbols), max(self._instruments, default=0)
        for row, definition in zip(rows, definitions, strict=True):
            instrument = Instrument()
            instrument.CopyFrom(definition.instrument)
            if instrument.instrument_id == 0:
                known = symbols.get(instrument.symbol)
                instrument.instrument_id = known if known is not None else highest + 1
                is_new_name = known is None or same_rules(instrument, self._instruments.get(known))
            else:
                is_new_name = symbols.get(instrument.symbol) in (None, instrument.instrument_id)
            highest = max(highest, min(instrument.instrument_id, _LARGEST_ID))
            symbols.setdefault(instrument.symbol, instrument.instrument_id)
            self._fill(row, instrument, definition.request_id)
            if not is_new_name or not self._is_sound(instrument):
                row["tick_value"] = 0
            instruments.append(instrument)
        return rows, instruments

    def adopt(self, instrument: Instrument, version: int) -> None:
        """Keep an instrument that the core took; `version` is the sequence of its event."""
        old = self._instruments.get(instrument.instrument_id)
        if old is not None and old.symbol != instrument.symbol:
            del self._symbols[old.symbol]
        instrument.version = version
        self._instruments[instrument.instrument_id] = instrument
        self._symbols[instrument.symbol] = instrument.instrument_id

    def forget_unused_currencies(self) -> None:
        """Give back the numbers of currencies that only refused definitions named."""
        used = {instrument.currency_code for instrument in self._instruments.values()}
        while self._currencies and self._currencies[-1] not in used:
            self._currencies.pop()

    def _fill(self, row: Any, instrument: Instrument, request_id: int) -> None:
        row["instrument_id"] = instrument.instrument_id
        row["currency_id"] = self._number_of(instrument.currency_code)
        row["request_id"] = request_id
        for name in _COPIED:
            row[name] = getattr(instrument, name)
        for name in _ENUMS:
            value = getattr(instrument, name)
            row[name] = value if 0 <= value < 255 else 255
        row["band_count"] = len(instrument.tick_bands)
        for place, band in enumerate(instrument.tick_bands[:_BANDS]):
            row["band_from"][place] = band.from_price_ticks
            row["band_step"][place] = band.step_ticks
        try:
            row["tick_value"] = tick_value(instrument.tick_size, instrument.lot_size)
        except ValueError:
            row["tick_value"] = 0

    def _number_of(self, code: str) -> int:
        known = self.currency_id(code)
        if known is not None:
            return known
        if len(self._currencies) == MAX_CURRENCIES or not _CURRENCY.fullmatch(code):
            return _UNKNOWN_CURRENCY
        self._currencies.append(code)
        return len(self._currencies) - 1

    def _is_sound(self, instrument: Instrument) -> bool:
        old = self._instruments.get(instrument.instrument_id)
        same_sizes = old is None or (
            (old.tick_size, old.lot_size) == (instrument.tick_size, instrument.lot_size)
        )
        return same_sizes and not problems_of(instrument)

    # -- snapshot and hash

    def dump(self) -> bytes:
        """The whole catalogue as bytes: equal catalogues give equal bytes."""
        parts = [code.encode() for code in self._currencies]
        parts = [len(parts).to_bytes(4, "little"), *map(_sized, parts)]
        parts += (_sized(each.SerializeToString(deterministic=True)) for each in self.all())
        return b"".join(parts)

    @classmethod
    def load(cls, data: bytes) -> Catalogue:
        """The inverse of `dump`; ValueError for bytes that are cut short."""
        catalogue = cls()
        count, pieces = int.from_bytes(data[:4], "little"), list(_pieces(data[4:]))
        catalogue._currencies = [piece.decode() for piece in pieces[:count]]
        for piece in pieces[count:]:
            instrument = Instrument.FromString(piece)
            catalogue.adopt(instrument, instrument.version)
        return catalogue

    def digest(self) -> bytes:
        """A hash of the whole catalogue."""
        return hashlib.blake2b(self.dump(), digest_size=16).digest()


def problems_of(instrument: Instrument) -> list[tuple[str, str]]:
    """What is wrong with the strings of an instrument: (field, what to write instead)."""
    found = []
    if not _SYMBOL.fullmatch(instrument.symbol):
        found.append(("symbol", "write 1 to 32 of A-Z, 0-9, '.', '-' and '_'"))
    if not _CURRENCY.fullmatch(instrument.currency_code):
        found.append(("currency_code", 'write three to eight capitals, such as "CNY"'))
    if not instrument.name.strip():
        found.append(("name", "give a name"))
    for name in ("name", "name_zh", "industry"):
        text = getattr(instrument, name)
        if len(text) > _TEXT_LIMIT or not (text.isprintable() or not text):
            found.append((name, f"write at most {_TEXT_LIMIT} printable characters"))
    try:
        tick_value(instrument.tick_size, instrument.lot_size)
    except ValueError as error:
        found.append(("tick_size", str(error)))
    if instrument.risk_level > 5:
        found.append(("risk_level", "write 0 to 5"))
    if len(instrument.tick_bands) > _BANDS:
        found.append(("tick_bands", f"write at most {_BANDS} bands"))
    return found


def same_rules(one: Instrument, other: Instrument | None) -> bool:
    """Whether two definitions say the same but for what their own commands change."""
    if other is None:
        return False
    copies = []
    for instrument in (one, other):
        copy = Instrument()
        copy.CopyFrom(instrument)
        for name in _RUNTIME_FIELDS:
            copy.ClearField(name)  # type: ignore[arg-type]
        copies.append(copy)
    return copies[0] == copies[1]


def _sized(piece: bytes) -> bytes:
    return len(piece).to_bytes(4, "little") + piece


def _pieces(data: bytes) -> Iterable[bytes]:
    at = 0
    while at < len(data):
        start = at + 4
        at = start + int.from_bytes(data[at:start], "little")
        if at > len(data):
            raise ValueError("the catalogue is cut short")
        yield data[start:at]
