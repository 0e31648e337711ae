"""What the notifications service can be told."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator
from smartex_bus import known_url
from smartex_chassis import BackingSettings, PeerSettings, SettingsInvalid


class NotificationsSettings(BackingSettings, PeerSettings):
    """Where this pod finds what it stands on, and how much it does at once."""

    section: ClassVar[str] = "notifications"

    database_url: SecretStr | None = Field(
        default=None, description="postgresql:// URL of inboxes and deliveries, and of the bus unless set"
    )
    exchange_url: str = Field(default="", description="host:port at which the exchange's services answer")
    token_file: Path | None = Field(default=None, description="file with this service's own token")
    delegation_keys: Path | None = Field(
        default=None, description="folder of the issuer's keys, to place orders that an investor accepted"
    )
    providers_file: Path | None = Field(
        default=None, description="TOML file with a table for each push provider; none: the inbox only"
    )
    addresses_key_file: Path = Field(
        default=Path("data/notifications/addresses.key"),
        description="key that addresses are encrypted with; made at the first start, the same on all pods",
    )
    callback_host: str = Field(default="127.0.0.1", description="address on which callbacks are taken")
    callback_port: int | None = Field(
        default=None, ge=0, le=65_535, description="port for callbacks of providers; unset: none, 0: any"
    )
    public_url: str = Field(
        default="", description="https:// URL of callback_port from outside, for links in e-mails"
    )
    app_url: str = Field(
        default="", description="URL that a tapped message opens, with the card's kind and id behind it"
    )
    max_sending: int = Field(
        default=64, ge=1, le=1000, description="messages on their way at once on each channel"
    )
    sending_lease_seconds: float = Field(
        default=30,
        gt=1,
        le=600,
        description="silence after which another pod takes a message that is being sent",
    )

    retention_days: int = Field(
        default=400,
        ge=31,
        le=36_500,
        description="days for which notices, their inbox entries, deliveries and attempts are kept, if nothing of "
        "them still waits; a notice that is older is not taken in. Conversations are kept for ever",
    )

    _known_bus = field_validator("bus_url")(known_url)

    def check_keys(self) -> None:
        """SettingsInvalid if no keys are where they are said to be: an issuer would make some that nobody believes."""
        keys = self.delegation_keys
        if keys is not None and not (keys / "signing_key.pem").is_file():
            raise SettingsInvalid([f"SMARTEX_DELEGATION_KEYS={keys}: no signing_key.pem is there"])
