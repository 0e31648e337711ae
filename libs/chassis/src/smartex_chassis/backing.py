"""What a service is told about its database and its log."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from smartex_chassis.errors import SettingsInvalid
from smartex_chassis.settings import Settings, read_secret


class BackingSettings(Settings):
    """Who this pod is, and where its database and its log are.

    A class of settings may declare `database_url` again, to say what its database holds.
    """

    pod: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=128,
        description="name of this pod; unique",
    )
    database_url: SecretStr | None = Field(
        default=None, description="postgresql:// URL of the database, and of the log unless bus_url is set"
    )
    database_url_file: Path | None = Field(default=None, description="file that holds database_url")
    bus_url: SecretStr | None = Field(
        default=None,
        description="the log: kafka://host:port,… (TLS, logins: libs/bus) or postgresql://…; the database by default",
    )
    kafka_replication: int = Field(default=1, ge=1, le=9, description="copies of the topics made on Kafka")
    kafka_compression: Literal["none", "snappy", "lz4", "zstd"] = Field(
        default="none", description="none, snappy, lz4 or zstd: fewer bytes to far brokers for more work here"
    )

    def database_if_any(self) -> str | None:
        """The database's URL with its password; None if there is none."""
        if self.database_url_file is not None:
            return read_secret(self.database_url_file).get_secret_value()
        return self.database_url.get_secret_value() if self.database_url is not None else None

    def database(self) -> str:
        """The database's URL with its password; SettingsInvalid if there is none."""
        url = self.database_if_any()
        if url is None:
            raise SettingsInvalid(["no database: set SMARTEX_DATABASE_URL or SMARTEX_DATABASE_URL_FILE"])
        return url

    def bus(self) -> str:
        """The log's URL; SettingsInvalid if there is none."""
        url = self.bus_url.get_secret_value() if self.bus_url is not None else self.database_if_any()
        if url is None:
            raise SettingsInvalid(["no log: set SMARTEX_BUS_URL or SMARTEX_DATABASE_URL"])
        return url
