"""An SMTP server with STARTTLS and login, and the mailboxes behind it.

Addresses that begin with `rcpt-550-5.1.1` or `data-554-5.7.1` are answered so at that command; every other one
exists.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from email import message_from_bytes, policy
from typing import Any, Final

from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .keys import utc_now
from .mail_server import MailServer
from .mail_tls import server_context
from .people import PEOPLE, People
from .standin import Look, PhoneMessage, Place, Settings, Standin

USER: Final = "smartex"
KEPT_MAILS: Final = 200

_SCRIPTED = re.compile(r"(rcpt|data)-([45]\d\d)(?:-([45]\.\d{1,3}\.\d{1,3}))?\b")


class MailStandin(Standin):
    """Takes mail from whoever logs in."""

    name = "mail"
    title = "E-mail"

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self._clock = clock
        self._mails: deque[tuple[str, bytes]] = deque(maxlen=KEPT_MAILS)
        self._server: asyncio.Server | None = None

    async def start(self, place: Place, people: People) -> None:
        """Listen on a free port of 127.0.0.1."""
        await super().start(place, people)
        # It warns at every login of what it does itself.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        self._password = place.secret("mail password")
        self._certificate = place.folder / "mail-certificate.pem"
        context = server_context(self._certificate, self._clock())
        listening = socket.create_server(("127.0.0.1", 0))
        self._port = listening.getsockname()[1]
        self._connections: set[MailServer] = set()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: MailServer(self, context, self._authenticate, self.faults, self._connections),
            sock=listening,
        )

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
            for connection in tuple(self._connections):
                connection.abort()
            await self._server.wait_closed()

    def provider_settings(self) -> Mapping[str, Settings]:
        """The table `[email]`."""
        settings: Settings = {
            "host": "127.0.0.1",
            "port": self._port,
            "security": "starttls",
            "ca_file": str(self._certificate.resolve()),
            "username": USER,
            "password": self._password,
            "sender": "notice@smartex.example",
            "sender_name": "Smart exchange",
        }
        return {"email": settings}

    def routes(self) -> Sequence[BaseRoute]:
        """None: mail comes over SMTP."""
        return ()

    def controls(self) -> Sequence[BaseRoute]:
        """`GET /addresses`; `GET /mails`: the latest with all headers, newest first."""
        return [Route("/addresses", self._show_addresses), Route("/mails", self._show_mails)]

    async def handle_MAIL(  # noqa: N802 - the name is that of aiosmtpd
        self, server: Any, session: Session, envelope: Envelope, address: str, options: Sequence[str]
    ) -> str:
        """Take a sender, or be in trouble."""
        if self.faults.slow_seconds:
            await asyncio.sleep(self.faults.slow_seconds)
        if self.faults.take("server_error"):
            return "451 4.3.0 Local error in processing"
        if self.faults.take("rate_limited"):
            return "450 4.7.1 Too many messages, slow down"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Session, envelope: Envelope, address: str, options: Sequence[str]
    ) -> str:
        """Take a reader, or answer as the address says."""
        scripted = reply_of(address, "rcpt")
        if not scripted:
            envelope.rcpt_tos.append(address)
        return scripted or "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Put the mail into its readers' boxes."""
        for address in envelope.rcpt_tos:
            scripted = reply_of(address, "data")
            if scripted:
                return scripted
            self._deliver(address, bytes(envelope.original_content or b""))
        if self.faults.take("cut_after_send"):
            server.abort()
        return "250 2.0.0 OK: queued"

    def _deliver(self, address: str, content: bytes) -> None:
        self._mails.append((address, content))
        mail = message_from_bytes(content, policy=policy.default)
        body = mail.get_body(("plain", "html"))
        self.show(
            PhoneMessage(
                address=address,
                look=Look.MAIL,
                sender=str(mail["From"]),
                title=str(mail["Subject"]),
                body=body.get_content().strip() if body is not None else "",
                urgent=str(mail["Importance"]).lower() == "high",
                # Mail programs show a repeated Message-ID once.
                replaces=str(mail["Message-ID"]),
            )
        )

    def _authenticate(
        self, server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        known = isinstance(data, LoginPassword) and data == LoginPassword(
            USER.encode(), self._password.encode()
        )
        # Not handled: aiosmtpd is to say 235 or 535 itself.
        return AuthResult(success=known and not self.faults.take("token_expired"), handled=False)

    async def _show_addresses(self, _: Request) -> Response:
        return JSONResponse({person: {"value": f"{person}@example.com", "secrets": {}} for person in PEOPLE})

    async def _show_mails(self, _: Request) -> Response:
        mails = [{"to": to, "content": content.decode("utf-8", "replace")} for to, content in self._mails]
        return JSONResponse(mails[::-1])


def reply_of(address: str, command: str) -> str:
    """Return the reply that an address asks for at a command; empty if it asks for none."""
    found = _SCRIPTED.match(address)
    if found is None or found.group(1) != command:
        return ""
    return " ".join(filter(None, (found.group(2), found.group(3), "as the address asks for")))
