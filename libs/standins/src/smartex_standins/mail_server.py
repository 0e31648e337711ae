"""One SMTP connection, which faults may end."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Protocol

from aiosmtpd.smtp import SMTP, AuthenticatorType

from .faults import Faults


class Connections(Protocol):
    """Where open connections are kept."""

    def add(self, connection: MailServer, /) -> None:
        """Keep it."""

    def discard(self, connection: MailServer, /) -> None:
        """Forget it."""


class MailServer(SMTP):
    """aiosmtpd's protocol, with login required and `abort`."""

    def __init__(
        self,
        handler: object,
        context: ssl.SSLContext,
        authenticator: AuthenticatorType,
        faults: Faults,
        connections: Connections,
    ) -> None:
        super().__init__(
            handler,
            hostname="mail.smartex.example",
            ident="SMTP stand-in",
            enable_SMTPUTF8=True,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            # One mechanism: clients try every one, and a login that is to fail once would succeed by the next.
            auth_exclude_mechanism=["LOGIN"],
            authenticator=authenticator,
        )
        self._faults = faults
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, or be down."""
        super().connection_made(transport)
        self._connections.add(self)
        if self._faults.take("down"):
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection."""
        self._connections.discard(self)
        super().connection_lost(error)

    def abort(self) -> None:
        """End the connection without a word."""
        transport: Any = self.transport
        if transport is not None:
            transport.abort()
