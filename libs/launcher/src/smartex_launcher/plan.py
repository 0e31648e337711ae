"""What to start, where it keeps its things and where it is found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smartex_chassis import ChassisSettings
from smartex_chassis.ports import join, unix_address

from .settings import LauncherSettings


@dataclass(frozen=True)
class Plan:
    """What to start."""

    launcher: LauncherSettings
    chassis: ChassisSettings
    exit_after_ready: bool = False

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.launcher.folder

    @property
    def log_file(self) -> Path:
        """Where the log goes."""
        return self.data / "logs" / "smartex.log"

    @property
    def socket(self) -> Path | None:
        """Where this machine's own programs find the services if their port speaks TLS.

        A certificate names hosts, and a server that asks for one has none for its own people.
        """
        return None if self.chassis.tls_cert_file is None else self.data / "run" / "grpc.sock"

    def address(self, port: int) -> str:
        """Where others find the services that listen at this port."""
        host = self.chassis.host
        return join("127.0.0.1" if host in ("0.0.0.0", "::") else host, port)

    def own_address(self, port: int) -> str:
        """Where the exchange's own programs and people find them."""
        return self.address(port) if self.socket is None else unix_address(self.socket)

    @property
    def protection(self) -> str:
        """How the port is protected, behind its address."""
        if self.chassis.tls_cert_file is None:
            return ""
        return ", TLS" if self.chassis.tls_client_ca_file is None else ", mutual TLS"
