"""From a delivery that is due to a message that can be sent, or to why it is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from smartex.notifications.v1 import notice_pb2 as pb

from notifications import contract
from notifications.domain import addresses
from notifications.domain.addresses import AddressState
from notifications.domain.checks import Candidate, Hold, hold
from notifications.domain.digest import digest_text
from notifications.domain.notice import DIGEST, VERIFICATION, Notice, State, Value
from notifications.domain.preferences import Preferences
from notifications.domain.rate import Pace
from notifications.domain.retry import Tried, too_late_to_repeat
from notifications.domain.sending import Address, Channel, ChannelKind, Message, Urgency
from notifications.domain.templates import Rendered
from notifications.store import preferences as preference_store
from notifications.templatebook import TemplateBook, every_kind
from notifications.vault import KeyWrong, Vault

_log = structlog.get_logger("notifications.engine")


@dataclass(frozen=True)
class Links:
    """Where messages lead. Each may give the empty text."""

    app: Callable[[Notice], str] = lambda _: ""
    """What a tap opens."""
    unsubscribe: Callable[[str], str] = lambda _: ""
    """By address id: the page that ends e-mails."""


@dataclass(frozen=True)
class Ready:
    """A message on its way: begun in the table, not yet sent."""

    row: Any
    attempt: int
    address: Address
    message: Message
    tried: Tried


class Preparer:
    """Prepares the messages of all channels."""

    def __init__(
        self, book: TemplateBook, vault: Vault, links: Links, provider_template: Callable[[str], str]
    ) -> None:
        self._book = book
        self._vault = vault
        self._links = links
        self._provider_template = provider_template

    def hold(self, row: Any, pace: Pace, channel: Channel, now: datetime) -> Hold | None:
        """Return what keeps a delivery from being sent now."""
        try:
            return self._hold(row, pace, channel, now)
        except Exception as error:
            return _unsayable(row, error)

    def ready(self, row: Any, listed: Sequence[Any], channel: Channel, now: datetime) -> Ready | Hold:
        """Return the message of a delivery, which lists others if it leads a digest."""
        try:
            return self._ready(row, listed, channel, now)
        except Exception as error:
            return _unsayable(row, error)

    def _hold(self, row: Any, pace: Pace, channel: Channel, now: datetime) -> Hold | None:
        usable = row["address_state"] == AddressState.VERIFIED or (
            row["direct"] and row["address_state"] == AddressState.UNVERIFIED
        )
        candidate = Candidate(
            row["kind"],
            Urgency(row["urgency"]),
            row["expire_time"],
            row["replaced_by"],
            row["direct"],
            usable,
            too_late_to_repeat(tried(row, channel, now), now),
        )
        return hold(candidate, preference_store.read(row["preferences"]), pace, now)

    def _ready(self, row: Any, listed: Sequence[Any], channel: Channel, now: datetime) -> Ready | Hold:
        try:
            opened = self._vault.open(row["address_id"], row["sealed"])
        except KeyWrong:
            _log.error("address_unreadable", address=row["address_id"])
            return Hold(State.DEAD, "ADDRESS_UNREADABLE: it was sealed with another key")
        hidden = dict(opened.secrets)
        if channel.kind in addresses.MAY_UNSUBSCRIBE and not row["direct"]:
            link = self._links.unsubscribe(row["address_id"])
            hidden |= {"unsubscribe_url": link} if link else {}
        message = self._message(row, listed, channel, now)
        return Ready(
            row,
            row["attempt"] + 1,
            Address(channel.kind, opened.value, hidden),
            message,
            tried(row, channel, now),
        )

    def _message(self, row: Any, listed: Sequence[Any], channel: Channel, now: datetime) -> Message:
        wants = preference_store.read(row["preferences"])
        notice = _notice(row["content"])
        said = (
            self._digest(notice, listed, wants, channel, now)
            if listed
            else self._book.say(notice, wants, channel.kind, channel.limits, self._more(row))
        )
        return Message(
            delivery_id=row["delivery_id"],
            kind=DIGEST if listed else notice.kind,
            urgency=notice.urgency,
            title=said.title,
            body=said.body,
            language=wants.language,
            link="" if listed else self._links.app(notice),
            fields=said.fields,
            template=self._template(channel.kind, said.provider_template),
            data=_data(notice),
            collapse_key=f"{notice.account_id}:{notice.supersede_key}" if notice.supersede_key else "",
            expire_time=notice.expire_time,
        )

    def _more(self, row: Any) -> Mapping[str, Value]:
        """The code of a verification, which no table holds."""
        if row["kind"] != VERIFICATION:
            return {}
        return {"code": addresses.code(self._vault.codes, row["address_id"], row["code_nonce"])}

    def _digest(
        self, lead: Notice, listed: Sequence[Any], wants: Preferences, channel: Channel, now: datetime
    ) -> Rendered:
        notices = [lead, *(_notice(row["content"]) for row in listed)]
        titles = [self._book.say(notice, wants, None, channel.limits).title for notice in notices]
        title, lines = digest_text(titles, wants.language)
        values: dict[str, Value] = {"title": title, "lines": lines}
        digest = Notice(
            lead.notice_id, lead.account_id, DIGEST, Urgency.LOW, now, lead.expire_time, values=values
        )
        return self._book.say(digest, wants, channel.kind, channel.limits, every_kind(now, lead.expire_time))

    def _template(self, channel: ChannelKind, name: str) -> str:
        return self._provider_template(name) if channel is ChannelKind.WECHAT and name else name


def tried(row: Any, channel: Channel, now: datetime) -> Tried:
    """Return a delivery as the rules of retries see its next attempt."""
    return Tried(
        channel.kind,
        Urgency(row["urgency"]),
        row["tries"] + 1,
        row["first_attempt_time"] or now,
        row["expire_time"],
        channel.idempotent,
        row["maybe_sent"],
        bool(row["fallback"]),
        row["replaced_by"],
    )


def _unsayable(row: Any, error: Exception) -> Hold:
    """One delivery that trips over a bug of ours must not hold up all that are behind it."""
    _log.error("delivery_unsayable", delivery=row["delivery_id"], exc_info=error)
    return Hold(State.DEAD, f"CANNOT_BE_SAID {type(error).__name__}")


def _notice(content: bytes) -> Notice:
    return contract.notice(pb.Notice.FromString(content))


def _data(notice: Notice) -> dict[str, str]:
    data = {"notice_id": notice.notice_id, "kind": notice.kind, "trace_id": notice.trace_id}
    if notice.card.kind:
        data |= {"card_kind": pb.CardKind.Name(notice.card.kind), "card_id": notice.card.id}  # type: ignore[arg-type]
    return data
