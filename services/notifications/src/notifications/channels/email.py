"""E-mail over SMTP (RFC 5321), plain, STARTTLS or TLS."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Literal, Self

import aiosmtplib
from pydantic import Field, FilePath, SecretStr, model_validator
from smartex_chassis.keys import is_loopback

from notifications.channels.delivery import Clock, utc_now
from notifications.channels.email_message import Mailbox, compose, message_id, parse_mailbox
from notifications.channels.email_pool import SmtpConnection, SmtpPool
from notifications.channels.table import ProviderTable, invalid, read_table
from notifications.domain.sending import (
    Address,
    AddressGone,
    ChannelKind,
    Failed,
    Limits,
    Message,
    Outcome,
    Refused,
    Sent,
)

_CLOSING = 421
"""The server ends the connection, before or in place of an answer."""
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")
_GONE_BY_CODE = frozenset({550, 551, 553})
_GONE_BY_ENHANCED = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
"""RFC 3463 and RFC 7505: no such mailbox or domain, bad address, moved, takes no mail, disabled."""


class EmailTable(ProviderTable):
    """`[email]` of the providers' file."""

    host: str = Field(min_length=1, description="SMTP server")
    port: int = Field(default=587, ge=1, le=65_535, description="its port")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="how the connection is protected; starttls fails where it is not offered",
    )
    ca_file: FilePath | None = Field(
        default=None,
        description="PEM certificates to trust in place of the system's, for a server of your own",
    )
    username: str | None = Field(default=None, description="name to log in with")
    password: SecretStr | None = Field(default=None, description="password; or password_file")
    sender: str = Field(description="address of the sender")
    sender_name: str = Field(default="", max_length=64, description="name of the sender, as readers see it")
    connections: int = Field(default=8, ge=1, le=100, description="messages sent at the same time")
    idle_seconds: float = Field(
        default=30,
        ge=0,
        le=600,
        description="seconds that an idle connection is kept; 0: one for each message",
    )
    time_limit: float = Field(default=30, gt=0, le=300, description="seconds until a message is given up")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.username and self.security == "none" and not is_loopback(self.host):
            raise ValueError("a password is not sent over a plain connection; set security")
        return self


class EmailChannel:
    """Sends mail. The address is an e-mail address; its secret `unsubscribe_url` makes one-click unsubscribing."""

    kind = ChannelKind.EMAIL
    limits = Limits(title=150, body=100_000)
    idempotent = False

    def __init__(self, table: EmailTable, sender: Mailbox, clock: Clock) -> None:
        self._table = table
        self._sender = sender
        self._clock = clock
        self._room = asyncio.Semaphore(table.connections)
        self._pool = SmtpPool(lambda: _client(table), table.idle_seconds)

    async def send(self, address: Address, message: Message) -> Outcome:
        """Send once."""
        reader = parse_mailbox(address.value)
        if reader is None:
            return AddressGone("BAD_ADDRESS")
        unsubscribe_url = address.secrets.get("unsubscribe_url", "")
        mail = compose(message, self._sender, reader, now=self._clock(), unsubscribe_url=unsubscribe_url)
        if isinstance(mail, Refused):
            return mail
        async with self._room:
            transfer = _Transfer(self._pool, message_id(message, self._sender), self._table.time_limit)
            return await transfer.run(self._sender, reader, mail)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()


def build(table: Mapping[str, object], *, clock: Clock = utc_now) -> EmailChannel:
    """Return the channel of a table; raises `SettingsInvalid`."""
    settings = read_table(EmailTable, "email", table)
    sender = parse_mailbox(settings.sender, settings.sender_name)
    if sender is None:
        raise invalid("email", "sender", "is not an e-mail address")
    return EmailChannel(settings, sender, clock)


def _client(table: EmailTable) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=table.host,
        port=table.port,
        timeout=table.time_limit,
        use_tls=table.security == "tls",
        start_tls=table.security == "starttls",
        cert_bundle=str(table.ca_file) if table.ca_file else None,
        username=table.username,
        password=table.password.get_secret_value() if table.password else None,
        local_hostname="localhost" if is_loopback(table.host) else None,
    )


class _Transfer:
    """One message to one server."""

    def __init__(self, pool: SmtpPool, message_id: str, time_limit: float) -> None:
        self._pool = pool
        self._message_id = message_id
        self._limit = time_limit
        self._body_out = False

    async def run(self, sender: Mailbox, reader: Mailbox, mail: bytes) -> Outcome:
        """Transfer it; whatever happens is an outcome."""
        try:
            async with asyncio.timeout(self._limit):
                return await self._anywhere(sender, reader, mail)
        except aiosmtplib.SMTPResponseException as error:
            return outcome(error)
        except (TimeoutError, aiosmtplib.SMTPTimeoutError):
            return Failed("TIMEOUT", maybe_sent=self._body_out)
        except (aiosmtplib.SMTPException, OSError) as error:
            return Failed(f"CONNECTION_FAILED {type(error).__name__}", maybe_sent=self._body_out)

    async def _anywhere(self, sender: Mailbox, reader: Mailbox, mail: bytes) -> Outcome:
        """Transfer it on a connection that is kept, and on a new one if the server has just closed that."""
        kept = await self._pool.kept()
        if kept is not None:
            try:
                return await self._on(kept, sender, reader, mail)
            except aiosmtplib.SMTPException as error:
                if self._body_out or not _is_closing(error):
                    raise
        return await self._on(await self._pool.fresh(), sender, reader, mail)

    async def _on(self, connection: SmtpConnection, sender: Mailbox, reader: Mailbox, mail: bytes) -> Outcome:
        usable = False
        try:
            connection.messages += 1
            result = await self._talk(connection.client, sender, reader, mail)
            usable = True
            return result
        except (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError) as error:
            # They speak of the message; what speaks of us may change with a new connection.
            usable = not _is_closing(error)
            raise
        finally:
            if usable:
                self._pool.give_back(connection)
            else:
                connection.client.close()

    async def _talk(self, client: aiosmtplib.SMTP, sender: Mailbox, reader: Mailbox, mail: bytes) -> Outcome:
        utf8 = not reader.is_ascii
        if utf8 and not client.supports_extension("smtputf8"):
            return Refused("SMTPUTF8_UNSUPPORTED")
        await client.mail(sender.text, options=["SMTPUTF8"] if utf8 else None)
        await client.rcpt(reader.text, encoding="utf-8" if utf8 else "ascii")
        self._body_out = True
        await client.data(mail)
        return Sent(self._message_id)


def _is_closing(error: aiosmtplib.SMTPException) -> bool:
    """Return whether the server has ended the connection, with a word or without."""
    told = isinstance(error, aiosmtplib.SMTPResponseException) and error.code == _CLOSING
    return told or isinstance(error, aiosmtplib.SMTPServerDisconnected)


def outcome(error: aiosmtplib.SMTPResponseException) -> Outcome:
    """Return what a reply of the server means.

    4xx, a failed login and a server that greets with a refusal may pass. Of 5xx, only those that speak of the
    reader's mailbox remove it: 550 also means that our message was taken for spam (5.7.1).
    """
    found = _ENHANCED.match(error.message)
    enhanced = found.group(1) if found else ""
    told = f"SMTP {error.code} {enhanced}".rstrip()
    ours = isinstance(
        error,
        aiosmtplib.SMTPAuthenticationError | aiosmtplib.SMTPConnectResponseError | aiosmtplib.SMTPHeloError,
    )
    if error.code < 500 or ours or error.code in (530, 535):
        return Failed(told)
    by_code = isinstance(error, aiosmtplib.SMTPRecipientRefused) and error.code in _GONE_BY_CODE
    gone = enhanced in _GONE_BY_ENHANCED if enhanced else by_code
    return AddressGone(told) if gone else Refused(told)
