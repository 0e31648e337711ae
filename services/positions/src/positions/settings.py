"""What the positions service can be told."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator
from smartex_bus import known_url
from smartex_chassis import BackingSettings, PeerSettings

from positions.oversight_settings import OversightFields


class PositionsSettings(BackingSettings, OversightFields, PeerSettings):
    """Where this pod finds the log and the exchange, how marks are taken, and how often it writes and looks."""

    section: ClassVar[str] = "positions"

    shard: int = Field(default=0, ge=0, le=65_535, description="shard of the market that is supervised")
    database_url: SecretStr | None = Field(
        default=None, description="postgresql:// URL of the book, and of the log unless bus_url is set"
    )
    exchange_url: str = Field(default="127.0.0.1:7400", description="host:port of the market's services")
    token_file: Path | None = Field(
        default=None,
        description="file with this service's own token (scopes `operate read`), renewed in place",
    )
    base_currency: str = Field(default="CNY", description="currency that sums over currencies are in")
    rates: str = Field(
        default="USD=7.1,HKD=0.91,EUR=7.7",
        description="base currency for one unit of others, e.g. USD=7.1,HKD=0.91; 1 where none is given",
    )
    mid_seconds: float = Field(
        default=10, gt=0, description="silence of market data after which the middle of a book is not used"
    )
    stale_seconds: float = Field(default=900, gt=0, description="age from which on a mark is shown as stale")
    max_unwritten_events: int = Field(
        default=1_000_000,
        ge=1000,
        description="events in the book that may wait for the database before folding waits too",
    )
    look_seconds: float = Field(
        default=0.5, gt=0, description="time between two looks at accounts whose marks moved without events"
    )
    history_seconds: float = Field(
        default=60, gt=0, description="time between two points of an account's history that changed"
    )
    lease_seconds: float = Field(
        default=3, ge=0.5, le=60, description="silence after which another pod writes the book"
    )
    max_past_events: int = Field(
        default=20_000_000,
        ge=1000,
        description="events read at most, from a checkpoint on, to tell a portfolio of the past",
    )
    checkpoint_events: int = Field(
        default=1_000_000,
        ge=100,
        description="events between two checkpoints of the book, from which portfolios of the past are told",
    )
    kept_checkpoints: int = Field(
        default=100, ge=1, description="checkpoints kept at most; beyond, older ones are thinned out evenly"
    )

    _known_bus = field_validator("bus_url")(known_url)

    @field_validator("rates")
    @classmethod
    def _rates_are_numbers(cls, value: str) -> str:
        _parse(value)
        return value

    def rate_table(self) -> dict[str, float]:
        """Base currency for one unit, by currency."""
        return _parse(self.rates)


def _parse(rates: str) -> dict[str, float]:
    found = {}
    for part in filter(None, (each.strip() for each in rates.split(","))):
        code, equals, number = part.partition("=")
        try:
            rate = float(number)
        except ValueError:
            rate = 0.0
        if not equals or not code.strip() or not 0 < rate < 1e9:
            raise ValueError(f"{part!r} is no rate such as USD=7.1")
        found[code.strip()] = rate
    return found
