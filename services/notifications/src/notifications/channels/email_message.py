"""A mail as bytes: multipart text and HTML, with the headers that readers and filters want."""

from __future__ import annotations

import email.policy
import re
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import urlsplit

import idna

from notifications.channels.delivery import delivery_uuid
from notifications.domain.sending import Message, Refused, Urgency

# 7bit: not every server takes 8-bit bodies. Quoted-printable and base64 pass everywhere.
_ASCII = email.policy.SMTP.clone(cte_type="7bit")
_UTF8 = email.policy.SMTPUTF8.clone(cte_type="7bit")
_LOCAL = re.compile(r"[^\s\x00-\x1f\x7f\"(),:;<>@\[\\\]]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")


@dataclass(frozen=True)
class Mailbox:
    """An e-mail address, its domain in ASCII."""

    local: str
    domain: str
    name: str = ""

    @property
    def text(self) -> str:
        """The address, as SMTP takes it."""
        return f"{self.local}@{self.domain}"

    @property
    def is_ascii(self) -> bool:
        """Whether it can do without SMTPUTF8 (RFC 6531)."""
        return self.local.isascii()


def parse_mailbox(text: str, name: str = "") -> Mailbox | None:
    """Read an address such as `wang@例子.cn`; None if it is none. Quoted local parts are not taken."""
    local, _, domain = text.rpartition("@")
    dotted = local.startswith(".") or local.endswith(".") or ".." in local
    if not _LOCAL.fullmatch(local) or dotted or _CONTROL.search(name):
        return None
    try:
        ascii_domain = idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return None
    return Mailbox(local, ascii_domain, name) if "." in ascii_domain else None


def message_id(message: Message, sender: Mailbox) -> str:
    """Return the `Message-ID`: the same at every attempt, for mail programs show a repeat of it once."""
    return f"<{delivery_uuid(message.delivery_id)}@{sender.domain}>"


def compose(
    message: Message, sender: Mailbox, reader: Mailbox, *, now: datetime, unsubscribe_url: str = ""
) -> bytes | Refused:
    """Return the mail; refused if a text would break out of its header."""
    url = urlsplit(unsubscribe_url) if unsubscribe_url.isascii() else None
    if _CONTROL.search(message.title) or _CONTROL.search(message.language):
        return Refused("HEADER_INJECTION")
    if (
        url is None
        or re.search(r"[\s<>\x00-\x1f]", unsubscribe_url)
        or url.scheme not in ("", "https", "http")
    ):
        return Refused("BAD_UNSUBSCRIBE_URL")
    mail = EmailMessage(policy=_ASCII if reader.is_ascii else _UTF8)
    mail["From"] = HeaderAddress(sender.name, sender.local, sender.domain)
    mail["To"] = HeaderAddress("", reader.local, reader.domain)
    mail["Subject"] = message.title.encode("utf-8", "replace").decode()
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = message_id(message, sender)
    _fill(mail, message)
    _mark(mail, message, unsubscribe_url)
    return mail.as_bytes()


def _mark(mail: EmailMessage, message: Message, unsubscribe_url: str) -> None:
    """Say that a program wrote it (RFC 3834), how it presses, and how to be rid of it (RFC 8058)."""
    mail["Auto-Submitted"] = "auto-generated"
    if message.language:
        mail["Content-Language"] = message.language
    if message.urgency is Urgency.CRITICAL:
        mail["Importance"] = "high"
    if unsubscribe_url:
        mail["List-Unsubscribe"] = f"<{unsubscribe_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"


def _fill(mail: EmailMessage, message: Message) -> None:
    text = f"{message.body}\n\n{message.link}" if message.link else message.body
    mail.set_content(text.encode("utf-8", "replace").decode())
    if message.html:
        mail.add_alternative(message.html.encode("utf-8", "replace").decode(), subtype="html")
