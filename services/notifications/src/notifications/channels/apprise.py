"""Anything else through Apprise: the reader gives a URL of one of its services, such as `dingtalk://…`.

Apprise has services that write files, talk to the desktop, read templates from the disk or call any host. Only
listed schemes are let in, each of which calls its own provider's host, and nothing in a URL may name a file.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from notifications.channels.delivery import Clock, utc_now
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
    Urgency,
)

# fmt: off
FIXED_HOST_SCHEMES = frozenset({
    "dingtalk", "discord", "feishu", "gchat", "lark", "line", "pbul", "pover", "pushme", "pushplus",
    "qq", "schan", "slack", "spush", "tgram", "webex", "wpush", "wxpusher", "wxteams",
})
"""Services of which no part of the URL chooses the host."""
FORBIDDEN_SCHEMES = frozenset({
    "blink1", "custom", "dbus", "file", "gio", "glib", "gnome", "growl", "kde", "macosx", "qt",
    "rsyslog", "smpp", "syslog", "windows",
})
"""What acts on this machine; no setting lets it in."""
FORBIDDEN_OPTIONS = frozenset({
    "attach", "avatar_url", "cto", "file", "icon_url", "image", "inline", "keyfile", "path", "pem",
    "pgp", "redirect", "retry", "rto", "store", "template", "verify", "wait",
})
"""Options of a URL that name a file or another host, or loosen the limits set here."""
# fmt: on
MAX_URL = 2048


class AppriseTable(ProviderTable):
    """`[apprise]` of the providers' file."""

    schemes: tuple[str, ...] = Field(
        default=tuple(sorted(FIXED_HOST_SCHEMES)),
        description="URL schemes let in; one whose URL names a host lets readers call hosts in your network",
    )
    threads: int = Field(default=4, ge=1, le=32, description="messages sent at the same time")


class AppriseChannel:
    """Sends through Apprise. The address is an Apprise URL.

    Apprise says only whether it worked, so every failure may have been sent.
    """

    kind = ChannelKind.APPRISE
    limits = Limits(title=100, body=1000)
    idempotent = False

    def __init__(self, table: AppriseTable) -> None:
        self._schemes = frozenset(table.schemes)
        self._time_limit = table.time_limit
        self._threads = ThreadPoolExecutor(table.threads, thread_name_prefix="apprise")
        self._free = table.threads
        # Slow to import: only those who set this channel up wait for it.
        self._apprise: Any = importlib.import_module("apprise")
        self._asset = self._apprise.AppriseAsset(
            async_mode=False,
            http_redirects=False,
            storage_mode="memory",
            service_timeout=table.time_limit,
            secure_logging=True,
            allow_templates=False,
        )

    async def send(self, address: Address, message: Message) -> Outcome:
        """Send once, in a thread; one that does not end in time is left to end by itself."""
        refusal = check_url(address.value, self._schemes)
        if refusal is not None:
            return refusal
        if self._free == 0:
            return Failed("BUSY")
        self._free -= 1
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._notify, address.value, message)
        work.add_done_callback(self._freed)
        try:
            return await asyncio.wait_for(asyncio.shield(work), self._time_limit)
        except TimeoutError:
            return Failed("TIMEOUT", maybe_sent=True)

    async def close(self) -> None:
        """Take no more; what is under way ends within its own time limits."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _freed(self, work: asyncio.Future[Outcome]) -> None:
        self._free += 1
        if not work.cancelled():
            # Nobody may be waiting for it any more: mark its outcome as seen.
            work.exception()

    def _notify(self, url: str, message: Message) -> Outcome:
        try:
            service = self._apprise.Apprise.instantiate(url, asset=self._asset)
            if service is None:
                return AddressGone("BAD_URL")
            sent = service.notify(body=_text(message), title=message.title, notify_type=self._type(message))
        except Exception as error:
            # A plugin may raise anything, and its text may quote the URL: keep the name only.
            return Failed(f"APPRISE_FAILED {type(error).__name__}", maybe_sent=True)
        return Sent() if sent else Failed("APPRISE_FAILED", maybe_sent=True)

    def _type(self, message: Message) -> Any:
        kinds = self._apprise.NotifyType
        return kinds.WARNING if message.urgency >= Urgency.HIGH else kinds.INFO


def build(table: Mapping[str, object], *, clock: Clock = utc_now) -> AppriseChannel:
    """Return the channel of a table; raises `SettingsInvalid`. Apprise takes no clock."""
    settings = read_table(AppriseTable, "apprise", table)
    wrong = sorted(FORBIDDEN_SCHEMES.intersection(settings.schemes))
    if wrong:
        raise invalid("apprise", "schemes", f"{', '.join(wrong)}: acts on this machine and is never let in")
    for name in ("apprise", "urllib3", "requests"):
        # They log URLs and answers, and these hold secrets.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return AppriseChannel(settings)


def check_url(url: str, schemes: frozenset[str]) -> Refused | None:
    """Return why a URL is not let in; None if it is."""
    if len(url) > MAX_URL or not url.isprintable():
        return Refused("BAD_URL")
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        return Refused("BAD_URL")
    if scheme not in schemes:
        return Refused("SCHEME_FORBIDDEN")
    if ";" in url or "#" in url:
        # Apprise reads options behind these, and other readers of URLs do not.
        return Refused("OPTION_FORBIDDEN")
    # Read by Apprise itself: its names of options are in small letters.
    parsed = importlib.import_module("apprise.utils.parse").parse_url(url, verify_host=False)
    if parsed and not FORBIDDEN_OPTIONS.isdisjoint(parsed["qsd"]):
        return Refused("OPTION_FORBIDDEN")
    return None


def _text(message: Message) -> str:
    return f"{message.body}\n{message.link}" if message.link else message.body
